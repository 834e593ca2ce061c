"""The demo's Pipe17 act, as a custom integration: an order life, catalogue, stock, its people's clicks, an outage."""

from __future__ import annotations

import time
from typing import Any

from app.cli.demo.playing import Steps, accepted, eventually, expect
from app.cli.demo.stage import Stage
from app.sandbox.vendors.pipe17 import BASE_PATH, INTEGRATION_ID, INTEGRATION_KEY
from app.sandbox.vendors.retailops import CallbackReply, RetailOps, shipment, unshipped

VENDOR = "pipe17"
PAIR = (1201, 32)
KEY = "demo+key+of+the+pipe17+channel01"

CHANNEL = f"""
[[channel]]
name = "pipe17-demo"
client_id = {PAIR[0]}
channel_id = {PAIR[1]}
auth_keys = ["{KEY}"]
gateways = ["pipe17"]

[channel.pipe17]
base_url = "PIPE17_URL"
api_key = "{INTEGRATION_KEY}"
integration_id = "{INTEGRATION_ID}"
integration_refresh_s = 1
product_poll_minutes = 0.02
requests_per_s = 0
settle_seconds = 2
"""


def channel(stage: Stage) -> str:
    """The [[channel]] of channels.toml for the running sandbox."""
    return CHANNEL.replace("PIPE17_URL", stage.sandbox_url(VENDOR) + BASE_PATH)


class OrderLife:
    """The demo's steps, in order; each returns the sentence for the table or raises `Failed`."""

    def __init__(self, stage: Stage, retailops: RetailOps) -> None:
        self.stage = stage
        self.ro = retailops
        self.orders: list[dict[str, Any]] = []

    def steps(self) -> Steps:
        return [
            ("catalog_get_config: how to push the catalogue", self.configuration),
            ("order_pull: shipping requests become orders", self.pull),
            ("order_acknowledge: Pipe17 sees them accepted", self.acknowledge),
            ("catalog_push: Pipe17 learns which of its products RetailOps has", self.catalogue),
            ("Pipe17's people withdraw a product: it is taken back", self.withdraw),
            ("inventory_push: stock arrives at Pipe17", self.stock),
            ("order_shipment_submit: a fulfilment per package", self.ship),
            ("the same shipment again: nothing twice", self.ship_again),
            ("order_cancel: an unshipped order", self.cancel),
            ("order_cancel: a shipped order is refused", self.cancel_shipped),
            ("order_complete: the rest will not ship", self.complete),
            ("Pipe17's people cancel an order: it comes with cancel: true", self.called_off),
            ("the integration is switched off and on: nothing, then all", self.toggle),
            ("settle, return, credit: honest about money", self.money),
            ("Pipe17 is killed: honest answers", self.outage),
            ("Pipe17 is back: what is owed arrives, once", self.recovery),
        ]

    def configuration(self) -> str:
        reply = accepted(self.ro.call("catalog_get_config"))
        return f"sku_fanout {reply.answer['sku_fanout']}"

    def pull(self) -> str:
        self.orders = self.ro.pull_all()
        ready = [item for item in self.stage.held(VENDOR)["shipments"] if item["status"] == "readyForFulfillment"]
        expect(len(self.orders) >= 6, f"only {len(self.orders)} orders came")
        return f"{len(self.orders)} orders of {len(ready)} waiting requests; the rest is held back or not for sale"

    def acknowledge(self) -> str:
        entries = [
            {"channel_order_refnum": order["channel_order_refnum"], "retailops_order_id": 7000 + number}
            for number, order in enumerate(self.orders)
        ]
        reply = accepted(self.ro.call("order_acknowledge", orders=entries))
        expect(not reply.codes("error"), f"errors {reply.codes('error')}")
        taken = self._statuses()
        refnums = [order["channel_order_refnum"] for order in self.orders]
        eventually(
            lambda: all(self._statuses()[refnum] == "sentToFulfillment" for refnum in refnums), "the acknowledgement"
        )
        expect(not self.ro.pull_all(), "acknowledged orders were handed out again")
        return f"{len(refnums)} requests sentToFulfillment; the next pull is empty ({len(taken)} requests in all)"

    def catalogue(self) -> str:
        products = [("BULB", 901), ("RO-MUG-BLUE", 902), ("ONLY-IN-RETAILOPS", 903)]
        records = [
            {
                "object_data": {"id": number, "source_type": "product"},
                "feed_data": {"General": {"SKU": sku, "Title": sku.title()}},
            }
            for sku, number in products
        ]
        reply = accepted(self.ro.call("catalog_push", template_output={"data": {"Product": records}}))
        expect(not reply.codes("error"), f"errors {reply.codes('error')}")
        expected = [("published", "901"), ("published", "902")]
        eventually(lambda: [self._row("BULB"), self._row("MUG-BLUE")] == expected, "the catalogue")
        eventually(
            lambda: "LATE_PRODUCT_REFUSED" in accepted(self.ro.call("inventory_push", inventory_updates=[])).codes(),
            "the news of the product Pipe17 does not have",
        )
        return "two products published, one under its own channel SKU; the unknown one gave LATE_PRODUCT_REFUSED"

    def withdraw(self) -> str:
        row = {"integrationId": INTEGRATION_ID, "status": "tobeunpublished"}
        self.stage.control(VENDOR, "products/BULB", {"published": row}, "PUT")
        waited = eventually(lambda: self._row("BULB")[0] == "unpublished", "the withdrawal")
        return f"tobeunpublished became unpublished {waited:.1f} s later, without a push"

    def stock(self) -> str:
        updates = [
            {
                "sku": sku,
                "quantity_available": "40",
                "quantity_detail": [
                    {"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": 30 + index,
                     "total_quantity": 35 + index, "estimated_availability_date": ""},
                    {"quantity_type": "internal", "facility_name": "Reno DC", "available_quantity": "10",
                     "total_quantity": "10", "estimated_availability_date": None},
                ],
            }
            for index, sku in enumerate(sorted({line["sku"] for order in self.orders for line in order["order_items"]}))
        ]  # fmt: skip
        reply = accepted(self.ro.call("inventory_push", inventory_updates=updates))
        expect(not reply.codes("error"), f"errors {reply.codes('error')}")
        first = updates[0]["sku"]

        def has_arrived() -> bool:
            held = [item for item in self.stage.held(VENDOR)["inventory"] if item["sku"] == first]
            return any(item["onHand"] == 35 for item in held) and any(item["onHand"] == 10 for item in held)

        waited = eventually(has_arrived, "the stock")
        return f"{len(updates)} SKUs at two locations, ingested {waited:.1f} s after the answer"

    def ship(self) -> str:
        self.two_parcels = next(
            order for order in self.orders if sum(line["quantity"] for line in order["order_items"]) >= 2
        )
        lines = self.two_parcels["order_items"]
        units = [(index, 1) for index, line in enumerate(lines) for _ in range(line["quantity"])]
        self.first_shipment = shipment(self.two_parcels, 501, [units[0]], [units[1]])
        reply = self._submit(self.two_parcels, self.first_shipment)
        expect(not reply.codes(), f"events {reply.codes()}")
        return f"{self._fulfilments(self.two_parcels)} fulfilments for one shipment of two packages"

    def ship_again(self) -> str:
        before = self._fulfilments(self.two_parcels)
        for _ in range(3):
            expect(not self._submit(self.two_parcels, self.first_shipment).codes("error"), "the repeat was refused")
        expect(self._fulfilments(self.two_parcels) == before == 2, "the number of fulfilments changed")
        return "three repeats, still 2 fulfilments"

    def cancel(self) -> str:
        self.unshipped = next(order for order in self.orders if order is not self.two_parcels)
        refnum = self.unshipped["channel_order_refnum"]
        for _ in range(2):
            reply = accepted(
                self.ro.call("order_cancel", order={"retailops_order_id": 0, "channel_order_refnum": refnum})
            )
            expect(reply.answer["status"] == "success", f"status {reply.answer['status']}, {reply.codes()}")
        expect(self._statuses()[refnum] == "canceledRestock", f"Pipe17 says {self._statuses()[refnum]}")
        return "requested twice, success twice, cancelled once at Pipe17"

    def cancel_shipped(self) -> str:
        refnum = self.two_parcels["channel_order_refnum"]
        reply = accepted(self.ro.call("order_cancel", order={"channel_order_refnum": refnum}))
        expect(reply.answer["status"] == "fail", "a shipped order was cancelled")
        return f"status fail, event {reply.codes()[0]}"

    def complete(self) -> str:
        order = next(
            item
            for item in self.orders
            if item is not self.two_parcels
            and item is not self.unshipped
            and sum(line["quantity"] for line in item["order_items"]) >= 2
        )
        units = [line["quantity"] - (at == 0) for at, line in enumerate(order["order_items"])]
        reply = accepted(
            self.ro.call(
                "order_complete",
                order={
                    "channel_order_refnum": order["channel_order_refnum"],
                    "grand_total": "0",
                    "shipments": [shipment(order, 601, [(0, 1)])],
                    "unshipped_items": unshipped(order, *enumerate(units)),
                },
            )
        )
        expect(reply.answer["status"] == "success", f"status fail, {reply.codes()}")
        held = [
            item
            for item in self.stage.held(VENDOR)["fulfillments"]
            if item["shipmentId"] == order["channel_order_refnum"]
        ]
        rejected = [item for item in held if item.get("fulfillmentType") == "rejected"]
        expect(len(held) == 2 and len(rejected) == 1, f"{len(held)} fulfilments, {len(rejected)} rejected")
        return "a shipment never submitted before is registered, the rest rejected"

    def called_off(self) -> str:
        refnum = next(number for number, status in self._statuses_of_ours() if status == "sentToFulfillment")
        self.stage.control(VENDOR, f"shipments/{refnum}/cancel", {})
        pulled = [(order["channel_order_refnum"], order["cancel"]) for order in self.ro.pull_all()]
        expect(pulled == [(refnum, True)], f"{len(pulled)} orders came")
        accepted(self.ro.call("order_acknowledge", orders=[{"channel_order_refnum": refnum}]))
        expect(not self.ro.pull_all(), "the cancellation was sent again after its acknowledgement")
        return "pulled once more with cancel: true, and no more once that was acknowledged"

    def toggle(self) -> str:
        integration = f"integrations/{INTEGRATION_ID}"
        self.stage.control(VENDOR, integration, {"status": "disabled"}, "PUT")
        time.sleep(1.5)
        made = self.stage.control(VENDOR, "shipments", {"count": 1})["shipments"][0]["shipmentId"]
        expect(self.ro.pull_all() == [], "an order came although the integration is disabled")
        self.stage.control(VENDOR, integration, {"status": "connected"}, "PUT")
        waited = eventually(
            lambda: [order["channel_order_refnum"] for order in self.ro.pull_all()] == [made], "the waiting order"
        )
        accepted(self.ro.call("order_acknowledge", orders=[{"channel_order_refnum": made}]))
        return f"disabled: an empty pull and no error; the waiting order came {waited:.1f} s after it was on again"

    def money(self) -> str:
        order = {"channel_order_refnum": self.two_parcels["channel_order_refnum"]}
        settled = accepted(self.ro.call("order_settle_payment", order=order, payment={"currency_code": "USD"}))
        returned = accepted(
            self.ro.call("order_returned", order=order, **{"return": {"retailops_return_id": 9, "refund_amt": 5}})
        )
        credit = accepted(
            self.ro.call(
                "payment_credit",
                credit={"amount": 5, "parent_payment_transactions": [{"payment_type": "Visa", "refnum": "p1"}]},
            )
        )
        expect(credit.answer["status"] == "fail" and credit.answer["amount"] == 0, "a credit was claimed")
        expect(settled.codes() == ["NOT_APPLICABLE"], f"settle says {settled.codes()}")
        expect(returned.codes() == ["NO_MONEY_MOVED"], f"returned says {returned.codes()}")
        return "NOT_APPLICABLE, NO_MONEY_MOVED, and a credit that fails with amount 0"

    def outage(self) -> str:
        self.late = next(
            order
            for order in self.orders
            if order is not self.two_parcels
            and order is not self.unshipped
            and self._statuses()[order["channel_order_refnum"]] == "sentToFulfillment"
        )
        self.stage.kill_sandbox(VENDOR)
        parcel = [(index, line["quantity"]) for index, line in enumerate(self.late["order_items"])]
        reply = accepted(self._post_shipment(self.late, shipment(self.late, 701, parcel)))
        expect(reply.codes("warning") == ["OWED"], f"events {reply.codes()}")
        pulled = self.ro.call("order_pull", page_token="", specific_orders=[])
        expect(pulled.status == 503, f"order_pull answered {pulled.status}")
        other = {"channel_order_refnum": self.late["channel_order_refnum"]}
        cancelled = accepted(self.ro.call("order_cancel", order=other))
        expect(cancelled.answer["status"] == "fail", "a cancellation was claimed")
        return "shipment kept (OWED), order_pull 503 with Retry-After, cancel fails"

    def recovery(self) -> str:
        self.stage.start_sandbox(VENDOR)
        waited = eventually(lambda: self._fulfilments(self.late) == 1, "the owed fulfilment")
        time.sleep(1)
        expect(self._fulfilments(self.late) == 1, "the fulfilment arrived more than once")
        return f"1 fulfilment, {waited:.1f} s after the restart"

    def _submit(self, order: dict[str, Any], shipped: dict[str, Any]) -> CallbackReply:
        return accepted(self._post_shipment(order, shipped))

    def _post_shipment(self, order: dict[str, Any], shipped: dict[str, Any]) -> CallbackReply:
        return self.ro.call(
            "order_shipment_submit",
            channel_order_refnum=order["channel_order_refnum"],
            retailops_order_id=0,
            shipment=shipped,
        )

    def _fulfilments(self, order: dict[str, Any]) -> int:
        refnum = order["channel_order_refnum"]
        return sum(item["shipmentId"] == refnum for item in self.stage.held(VENDOR)["fulfillments"])

    def _row(self, sku: str) -> tuple[str, str]:
        """Status and our number in our own row of a product."""
        published = next(item["published"] for item in self.stage.held(VENDOR)["products"] if item["sku"] == sku)
        own: dict[str, str] = next((row for row in published if row["integrationId"] == INTEGRATION_ID), {})
        return own.get("status", ""), own.get("extProductId", "")

    def _statuses_of_ours(self) -> list[tuple[str, str]]:
        statuses = self._statuses()
        numbers = [order["channel_order_refnum"] for order in self.orders]
        return [(number, statuses[number]) for number in numbers]

    def _statuses(self) -> dict[str, str]:
        return {item["shipmentId"]: item["status"] for item in self.stage.held(VENDOR)["shipments"]}
