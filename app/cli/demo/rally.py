"""The demo's Rally act: products and stock go out, a shopper's cart becomes an order, and the money comes back."""

from __future__ import annotations

from typing import Any

import requests

from app.cli.demo.playing import Steps, accepted, eventually, expect
from app.cli.demo.stage import Stage
from app.sandbox.vendors.rally import API_KEY, BASE_PATH, ORGANIZATION_ID, STOREFRONT_KEY
from app.sandbox.vendors.retailops import RetailOps, shipment, unshipped

VENDOR = "rally"
NAME = "rally-demo"
PAIR = (1201, 31)
KEY = "demo+key+of+the+rally+channel001"

CHANNEL = f"""
[[channel]]
name = "{NAME}"
client_id = {PAIR[0]}
channel_id = {PAIR[1]}
auth_keys = ["{KEY}"]
gateways = ["rally", "retailrocket"]

[channel.rally]
base_url = "RALLY_URL"
api_key = "{API_KEY}"
organization_id = "{ORGANIZATION_ID}"
storefront_client_id = "demo-storefront"
storefront_key = "{STOREFRONT_KEY}"
requests_per_s = 0

[[channel.rally.shipping]]
id = "standard"
title = "Standard"
price = "5.00"
countries = ["US", "CA"]
retailops_code = "GROUND"

[[channel.rally.tax]]
country = "US"
province = "TX"
rate = "0.0825"
"""

LEVELS = {"SHIRT-S": 9, "SHIRT-M": 7, "CAP": 3}


def channel(stage: Stage) -> str:
    """The [[channel]] of channels.toml for the running sandbox."""
    return CHANNEL.replace("RALLY_URL", stage.sandbox_url(VENDOR) + BASE_PATH + "/")


def _record(number: int, kind: str, feed: dict[str, Any]) -> dict[str, Any]:
    return {"object_data": {"id": number, "source_type": kind}, "feed_data": feed}


def _product(number: int, sku: str, title: str, price: str, *variants: str) -> dict[str, Any]:
    nested = [
        _record(number * 100 + place, "sku", {"General": {"SKU": name}, "Options": {"Size": name[-1]}})
        for place, name in enumerate(variants)
    ]
    shown = {"Title": title, "Price": price, "Enabled": True, "URL": f"/p/{sku}", "Currency": "USD"}
    feed = {
        "General": {"SKU": sku, **shown},
        "Categories": ["Clothes"],
        "Images": [f"https://shop.example/{sku}.jpg"],
    }
    return _record(number, "product", {**feed, "Variants": nested} if nested else feed)


class OrderLife:
    """The demo's steps, in order; each returns the sentence for the table or raises `Failed`."""

    def __init__(self, stage: Stage, retailops: RetailOps) -> None:
        self.stage = stage
        self.ro = retailops
        self.merchant_url = f"{stage.sandbox_url(VENDOR)}/sandbox/merchants/{ORGANIZATION_ID}"

    def steps(self) -> Steps:
        return [
            ("channel rally hooks register: Rally knows where to ask", self.register),
            ("catalog_push: products arrive at Rally", self.catalogue),
            ("inventory_push: what may be sold arrives at Rally", self.stock),
            ("a shopper's cart becomes an order", self.checkout),
            ("order_pull: the paid order, and only that", self.pull),
            ("order_acknowledge, order_shipment_submit: tracking", self.ship),
            ("order_complete: the unit that will not ship is refunded", self.complete),
            ("order_returned: money goes back, once", self.give_back),
            ("payment_credit for the same goods pays nothing again", self.credit),
        ]

    def register(self) -> str:
        self.stage.run("rally", "hooks", "register")
        hooks = self._merchant()["hooks"]
        expect(len(hooks) == 13, f"{len(hooks)} hooks")
        return f"{len(hooks)} hooks, each signed both ways"

    def catalogue(self) -> str:
        products = [
            _product(11, "SHIRT", "Shirt", "30.00", "SHIRT-S", "SHIRT-M"),
            _product(12, "CAP", "Cap", "12.50"),
            _record(13, "product", {"General": {"SKU": "BAD", "Price": "much"}}),
        ]
        reply = accepted(self.ro.call("catalog_push", template_output={"data": {"Product": products}}))
        expect(reply.codes() == ["FIELD_IGNORED"], f"events {reply.codes()}")
        waited = eventually(lambda: len(self._merchant()["products"]) == 2, "the catalogue")
        eventually(
            lambda: "LATE_PRODUCT_REFUSED" in accepted(self.ro.call("inventory_push", inventory_updates=[])).codes(),
            "the news of the product without a price",
        )
        return f"2 products with 3 variants, {waited:.1f} s after the answer; the price that cannot be read is named"

    def stock(self) -> str:
        updates = [{"sku": sku, "quantity_available": units} for sku, units in LEVELS.items()]
        accepted(self.ro.call("inventory_push", inventory_updates=updates))
        waited = eventually(lambda: self._levels() == LEVELS, f"the stock {LEVELS}")
        return f"{len(LEVELS)} SKUs, {waited:.1f} s after the answer"

    def checkout(self) -> str:
        unpaid = self._shop({"skus": {"CAP": 1}, "is_paid": False})
        expect(unpaid["outcome"] == "good", f"the unpaid checkout: {_errors(unpaid)}")
        bought = self._shop({"skus": {"SHIRT-M": 3, "CAP": 1}, "offer_skus": {"SHIRT-S": 1}, "create_times": 2})
        expect(bought["outcome"] == "good", f"the checkout: {_errors(bought)}")
        self.refnum, self.charged = bought["order_id"], bought["charged"]
        expected = {"SHIRT-S": 8, "SHIRT-M": 4, "CAP": 1}
        eventually(lambda: self._levels() == expected, f"the reserved stock {expected}")
        return f"{len(bought['steps'])} hooks; order/create came twice and made one order; {self.charged} charged"

    def pull(self) -> str:
        orders = self.ro.pull_all()
        expect([order["channel_order_refnum"] for order in orders] == [self.refnum], f"{len(orders)} orders")
        self.order = orders[0]
        paid = sum(payment["amount"] for payment in self.order["payment_transactions"])
        expect(abs(paid - float(self.charged)) < 0.005, f"payments {paid} of {self.charged}")
        return f"{len(self.order['order_items'])} lines, {self.order['ship_service_code']}; the unpaid order is held"

    def ship(self) -> str:
        entry = {"channel_order_refnum": self.refnum, "retailops_order_id": 496}
        expect(not accepted(self.ro.call("order_acknowledge", orders=[entry])).codes("error"), "not acknowledged")
        lines = self.order["order_items"]
        parcel = [(at, line["quantity"]) for at, line in enumerate(lines) if line["sku"] != "CAP"]
        self.parcel = shipment(self.order, 801, parcel)
        reply = accepted(self.ro.call("order_shipment_submit", channel_order_refnum=self.refnum, shipment=self.parcel))
        expect(not reply.codes("error"), f"errors {reply.codes('error')}")
        eventually(lambda: self._parcels() == ["1Z999AA10008011"], "the tracking number")
        expect(self._order()["status"] == "paid", f"status {self._order()['status']}")
        return "1 parcel in meta.fulfillments, status paid: a cap is still open"

    def _parcels(self) -> list[str]:
        meta = (self._order()["snapshot"] or {}).get("meta") or {}
        return [parcel["tracking_number"] for parcel in meta.get("fulfillments", [])]

    def complete(self) -> str:
        cap = next(at for at, line in enumerate(self.order["order_items"]) if line["sku"] == "CAP")
        order = {
            "channel_order_refnum": self.refnum, "grand_total": 0,
            "shipments": [self.parcel], "unshipped_items": unshipped(self.order, (cap, 1)),
        }  # fmt: skip
        for _ in range(2):
            reply = accepted(self.ro.call("order_complete", order=order))
            expect(reply.answer["status"] == "success", f"status fail, {reply.codes()}")
        eventually(lambda: self._order()["status"] == "completed", "status completed")
        refunds, refunded = self._order()["refunds"], self._order()["refunded"]
        expect(len(refunds) == 1, f"{len(refunds)} refunds")
        expect(abs(refunded - 13.53) < 0.005, f"{refunded} refunded of the 13.53 that the cap and its tax cost")
        return f"sent twice without a price, {refunded} refunded once: what was paid; status completed"

    def give_back(self) -> str:
        shirt = next(line for line in self.order["order_items"] if line["sku"] == "SHIRT-M")
        self.returned = {
            "retailops_return_id": 77, "refund_action": "refund", "refund_amt": 32.48,
            "product_amt": 30, "subtotal_amt": 30, "tax_amt": 2.48, "shipping_amt": 0, "discount_amt": 0,
            "items": [{"channel_item_refnum": shirt["channel_item_refnum"], "sku": "SHIRT-M", "quantity": 1,
                       "reason": "CustomerReturn", "product_amt": 30, "subtotal_amt": 30, "tax_amt": 2.48}],
        }  # fmt: skip
        before = self._order()["refunded"]
        for _ in range(3):
            reply = accepted(
                self.ro.call("order_returned", order={"channel_order_refnum": self.refnum}, **{"return": self.returned})
            )
            paid = reply.answer["payment_transactions"]
            amounts = [item["amount"] for item in paid]
            expect(abs(sum(amounts) - 32.48) < 0.005, f"{amounts} {reply.codes()}")
        expect(abs(self._order()["refunded"] - before - 32.48) < 0.005, f"Rally refunded {self._order()['refunded']}")
        return f"requested three times, refunded once: {' + '.join(map(str, amounts))}, the newest payment first"

    def credit(self) -> str:
        before = self._order()["refunded"]
        parents = self.order["payment_transactions"]
        reply = accepted(
            self.ro.call("payment_credit", credit={"amount": 32.48, "parent_payment_transactions": parents})
        )
        expect(reply.answer["status"] == "success", f"status {reply.answer['status']}")
        expect(self._order()["refunded"] == before, "money went out twice")
        return "answered with the return's refund; Rally was not called"

    def _shop(self, wish: dict[str, Any]) -> dict[str, Any]:
        reply = requests.post(f"{self.merchant_url}/checkouts", json=wish, timeout=30)
        done: dict[str, Any] = reply.json()
        expect(reply.status_code == 200, f"the sandbox says {done}")
        return done

    def _merchant(self) -> dict[str, Any]:
        view: dict[str, Any] = requests.get(self.merchant_url, timeout=5).json()
        return view

    def _levels(self) -> dict[str, int]:
        return {row["sku"]: row["value"] for row in self._merchant()["stock"] if row["sku"] in LEVELS}

    def _order(self) -> dict[str, Any]:
        order: dict[str, Any] = self._merchant()["orders"][self.refnum]
        return order


def _errors(checkout: dict[str, Any]) -> list[str]:
    return [f"{step['topic']}: {step['error']}" for step in checkout["steps"] if step["error"]]
