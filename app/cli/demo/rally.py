"""Rally: products and stock go out, a shopper's cart becomes an order, and the money comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.cli.demo.playing import Scenario, eventually, expect, record, step
from app.sandbox.vendors.rally import ORGANIZATION_ID, STOREFRONT_KEY
from app.sandbox.vendors.retailops import RetailOps, shipment, unshipped

VENDOR = "rally"

SETTINGS = f"""
storefront_key = "{STOREFRONT_KEY}"
requests_per_s = 0
"""
"""Of its table: the stand-in's shop keeps carts, and nobody waits long."""

LEVELS = {"SHIRT-S": 9, "SHIRT-M": 7, "CAP": 3}


class Rally(Scenario):
    """One shop and one order, from its goods to the last refund; `channel` runs a command beside the server."""

    def __init__(self, retailops: RetailOps, sandbox_url: str, channel: Callable[..., str]) -> None:
        super().__init__(retailops, sandbox_url)
        self._channel = channel

    @step("channel rally hooks register: Rally knows where to ask")
    def register(self) -> str:
        self._channel("rally", "hooks", "register")
        hooks = self._merchant()["hooks"]
        expect(len(hooks) == 13, f"{len(hooks)} hooks")
        return f"{len(hooks)} hooks, each signed both ways"

    @step("catalog_push: products arrive at Rally")
    def catalogue(self) -> str:
        products = [
            _product(11, "SHIRT", "30.00", "SHIRT-S", "SHIRT-M"),
            _product(12, "CAP", "12.50"),
            record(13, {"General": {"SKU": "BAD", "Price": "much"}}),
        ]
        reply = self.answered("catalog_push", template_output={"data": {"Product": products}})
        expect(reply.codes() == ["FIELD_IGNORED"], f"events {reply.codes()}")
        waited = eventually(lambda: len(self._merchant()["products"]) == 2, "the catalogue")
        eventually(
            lambda: "LATE_PRODUCT_REFUSED" in self.answered("inventory_push", inventory_updates=[]).codes(),
            "the news of the product without a price",
        )
        return f"2 products with 3 variants, {waited:.1f} s after the answer; the price that cannot be read is named"

    @step("inventory_push: what may be sold arrives at Rally")
    def stock(self) -> str:
        updates = [{"sku": sku, "quantity_available": units} for sku, units in LEVELS.items()]
        self.answered("inventory_push", inventory_updates=updates)
        waited = eventually(lambda: self._levels() == LEVELS, f"the stock {LEVELS}")
        return f"{len(LEVELS)} SKUs, {waited:.1f} s after the answer"

    @step("a shopper's cart becomes an order")
    def checkout(self) -> str:
        self._bought({"skus": {"CAP": 1}, "is_paid": False})
        bought = self._bought({"skus": {"SHIRT-M": 3, "CAP": 1}, "offer_skus": {"SHIRT-S": 1}, "create_times": 2})
        self.refnum, self.charged = bought["order_id"], bought["charged"]
        expected = {"SHIRT-S": 8, "SHIRT-M": 4, "CAP": 1}
        eventually(lambda: self._levels() == expected, f"the reserved stock {expected}")
        return f"{len(bought['steps'])} hooks; order/create came twice and made one order; {self.charged} charged"

    @step("order_pull: the paid order, and only that")
    def pull(self) -> str:
        orders = self.ro.pull_all()
        expect([order["channel_order_refnum"] for order in orders] == [self.refnum], f"{len(orders)} orders")
        self.order = orders[0]
        paid = sum(payment["amount"] for payment in self.order["payment_transactions"])
        expect(abs(paid - float(self.charged)) < 0.005, f"payments {paid} of {self.charged}")
        return f"{len(self.order['order_items'])} lines, {self.order['ship_service_code']}; the unpaid order is held"

    @step("order_acknowledge, order_shipment_submit: tracking")
    def ship(self) -> str:
        self.done("order_acknowledge", orders=[{"channel_order_refnum": self.refnum, "retailops_order_id": 496}])
        lines = enumerate(self.order["order_items"])
        self.parcel = shipment(self.order, 801, [(at, line["quantity"]) for at, line in lines if line["sku"] != "CAP"])
        self.done("order_shipment_submit", channel_order_refnum=self.refnum, shipment=self.parcel)
        eventually(lambda: self._parcels() == ["1Z999AA10008011"], "the tracking number")
        expect(self._order()["status"] == "paid", f"status {self._order()['status']}")
        return "1 parcel in meta.fulfillments, status paid: a cap is still open"

    @step("order_complete: the unit that will not ship is refunded")
    def complete(self) -> str:
        cap = next(at for at, line in enumerate(self.order["order_items"]) if line["sku"] == "CAP")
        order = {
            "channel_order_refnum": self.refnum, "grand_total": 0,
            "shipments": [self.parcel], "unshipped_items": unshipped(self.order, (cap, 1)),
        }  # fmt: skip
        for _ in range(2):
            self.done("order_complete", order=order)
        eventually(lambda: self._order()["status"] == "completed", "status completed")
        refunds, refunded = self._order()["refunds"], self._order()["refunded"]
        expect(len(refunds) == 1, f"{len(refunds)} refunds")
        expect(abs(refunded - 13.53) < 0.005, f"{refunded} refunded of the 13.53 that the cap and its tax cost")
        return f"sent twice without a price, {refunded} refunded once: what was paid; status completed"

    @step("order_returned: money goes back, once")
    def give_back(self) -> str:
        shirt = next(line for line in self.order["order_items"] if line["sku"] == "SHIRT-M")
        amounts = {"product_amt": 30, "subtotal_amt": 30, "tax_amt": 2.48}
        item = {"channel_item_refnum": shirt["channel_item_refnum"], "sku": "SHIRT-M", "quantity": 1, **amounts}
        returned = {
            "retailops_return_id": 77, "refund_action": "refund", "refund_amt": 32.48, "shipping_amt": 0,
            "discount_amt": 0, "items": [{**item, "reason": "CustomerReturn"}], **amounts,
        }  # fmt: skip
        before = self._order()["refunded"]
        for _ in range(3):
            reply = self.answered("order_returned", order={"channel_order_refnum": self.refnum}, **{"return": returned})
            paid = [item["amount"] for item in reply.answer["payment_transactions"]]
            expect(abs(sum(paid) - 32.48) < 0.005, f"{paid} {reply.codes()}")
        expect(abs(self._order()["refunded"] - before - 32.48) < 0.005, f"Rally refunded {self._order()['refunded']}")
        return f"requested three times, refunded once: {' + '.join(map(str, paid))}, the newest payment first"

    @step("payment_credit for the same goods pays nothing again")
    def credit(self) -> str:
        before = self._order()["refunded"]
        parents = self.order["payment_transactions"]
        self.done("payment_credit", credit={"amount": 32.48, "parent_payment_transactions": parents})
        expect(self._order()["refunded"] == before, "money went out twice")
        return "answered with the return's refund; Rally was not called"

    def _bought(self, wish: dict[str, Any]) -> dict[str, Any]:
        """A checkout that the stand-in has played to its end."""
        played = self.at_vendor(f"merchants/{ORGANIZATION_ID}/checkouts", wish)
        errors = [f"{hook['topic']}: {hook['error']}" for hook in played["steps"] if hook["error"]]
        expect(played["outcome"] == "good", f"the checkout: {errors}")
        return played

    def _merchant(self) -> dict[str, Any]:
        return self.seen(f"merchants/{ORGANIZATION_ID}")

    def _levels(self) -> dict[str, int]:
        return {row["sku"]: row["value"] for row in self._merchant()["stock"] if row["sku"] in LEVELS}

    def _order(self) -> dict[str, Any]:
        order: dict[str, Any] = self._merchant()["orders"][self.refnum]
        return order

    def _parcels(self) -> list[str]:
        meta = (self._order()["snapshot"] or {}).get("meta") or {}
        return [parcel["tracking_number"] for parcel in meta.get("fulfillments", [])]


def _product(number: int, sku: str, price: str, *variants: str) -> dict[str, Any]:
    nested = [
        record(number * 100 + place, {"General": {"SKU": name}, "Options": {"Size": name[-1]}}, "sku")
        for place, name in enumerate(variants)
    ]
    shown = {"Title": sku.title(), "Price": price, "Enabled": True, "URL": f"/p/{sku}", "Currency": "USD"}
    feed = {"General": {"SKU": sku, **shown}, "Categories": ["Clothes"], "Images": [f"https://shop.example/{sku}.jpg"]}
    return record(number, {**feed, "Variants": nested} if nested else feed)
