"""Pipe17 as a custom integration: an order life, catalogue, stock, its people's clicks, and an outage."""

from __future__ import annotations

import time
from typing import Any

from app.cli.demo.playing import Scenario, eventually, expect, record, step
from app.cli.demo.stage import Stage
from app.sandbox.vendors.pipe17 import INTEGRATION_ID
from app.sandbox.vendors.retailops import CallbackReply, RetailOps, shipment, unshipped

VENDOR = "pipe17"

SETTINGS = """
integration_refresh_s = 1
product_poll_minutes = 0.02
requests_per_s = 0
settle_seconds = 2
"""
"""Of its table: nobody waits long."""


class Pipe17(Scenario):
    """Shipping requests of the stand-in, from the first pull to the news about money."""

    def __init__(self, retailops: RetailOps, sandbox_url: str) -> None:
        super().__init__(retailops, sandbox_url)
        self.orders: list[dict[str, Any]] = []
        self.two_parcels: dict[str, Any] = {}

    @step("catalog_get_config: how to push the catalogue")
    def configuration(self) -> str:
        return f"sku_fanout {self.done('catalog_get_config').answer['sku_fanout']}"

    @step("order_pull: shipping requests become orders")
    def pull(self) -> str:
        self.orders = self.ro.pull_all()
        ready = [item for item in self.seen()["shipments"] if item["status"] == "readyForFulfillment"]
        expect(len(self.orders) >= 6, f"only {len(self.orders)} orders came")
        return f"{len(self.orders)} orders of {len(ready)} waiting requests; the rest is held back or not for sale"

    @step("order_acknowledge: Pipe17 sees them accepted")
    def acknowledge(self) -> str:
        refnums = [order["channel_order_refnum"] for order in self.orders]
        numbered = enumerate(refnums, 7000)
        entries = [{"channel_order_refnum": refnum, "retailops_order_id": number} for number, refnum in numbered]
        self.done("order_acknowledge", orders=entries)
        taken = self.statuses()
        eventually(lambda: {self.statuses()[refnum] for refnum in refnums} == {"sentToFulfillment"}, "acknowledgement")
        expect(not self.ro.pull_all(), "acknowledged orders were handed out again")
        return f"{len(refnums)} requests sentToFulfillment; the next pull is empty ({len(taken)} requests in all)"

    @step("catalog_push: Pipe17 learns which of its products RetailOps has")
    def catalogue(self) -> str:
        skus = enumerate(("BULB", "RO-MUG-BLUE", "ONLY-IN-RETAILOPS"), 901)
        records = [record(number, {"General": {"SKU": sku, "Title": sku.title()}}) for number, sku in skus]
        self.done("catalog_push", template_output={"data": {"Product": records}})
        expected = [("published", "901"), ("published", "902")]
        eventually(lambda: [self._row("BULB"), self._row("MUG-BLUE")] == expected, "the catalogue")
        eventually(
            lambda: "LATE_PRODUCT_REFUSED" in self.answered("inventory_push", inventory_updates=[]).codes(),
            "the news of the product Pipe17 does not have",
        )
        return "two products published, one under its own channel SKU; the unknown one gave LATE_PRODUCT_REFUSED"

    @step("Pipe17's people withdraw a product: it is taken back")
    def withdraw(self) -> str:
        row = {"integrationId": INTEGRATION_ID, "status": "tobeunpublished"}
        self.at_vendor("products/BULB", {"published": row}, "PUT")
        waited = eventually(lambda: self._row("BULB")[0] == "unpublished", "the withdrawal")
        return f"tobeunpublished became unpublished {waited:.1f} s later, without a push"

    @step("inventory_push: stock arrives at Pipe17")
    def stock(self) -> str:
        skus = sorted({line["sku"] for order in self.orders for line in order["order_items"]})
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
            for index, sku in enumerate(skus)
        ]  # fmt: skip
        self.done("inventory_push", inventory_updates=updates)

        def has_arrived() -> bool:
            return {35, 10} <= {item["onHand"] for item in self.seen()["inventory"] if item["sku"] == skus[0]}

        waited = eventually(has_arrived, "the stock")
        return f"{len(updates)} SKUs at two locations, ingested {waited:.1f} s after the answer"

    @step("order_shipment_submit: a fulfilment per package")
    def ship(self) -> str:
        self.two_parcels = next(order for order in self.orders if _units(order) >= 2)
        lines = self.two_parcels["order_items"]
        units = [(index, 1) for index, line in enumerate(lines) for _ in range(line["quantity"])]
        self.first_shipment = shipment(self.two_parcels, 501, [units[0]], [units[1]])
        reply = self.submit(self.two_parcels, self.first_shipment)
        expect(not reply.codes(), f"events {reply.codes()}")
        return f"{len(self.fulfilments(self.two_parcels))} fulfilments for one shipment of two packages"

    @step("the same shipment again: nothing twice")
    def ship_again(self) -> str:
        before = len(self.fulfilments(self.two_parcels))
        for _ in range(3):
            self.submit(self.two_parcels, self.first_shipment)
        expect(len(self.fulfilments(self.two_parcels)) == before == 2, "the number of fulfilments changed")
        return "three repeats, still 2 fulfilments"

    @step("order_cancel: an unshipped order")
    def cancel(self) -> str:
        self.unshipped = next(order for order in self.orders if order is not self.two_parcels)
        refnum = self.unshipped["channel_order_refnum"]
        for _ in range(2):
            self.done("order_cancel", order={"retailops_order_id": 0, "channel_order_refnum": refnum})
        expect(self.statuses()[refnum] == "canceledRestock", f"Pipe17 says {self.statuses()[refnum]}")
        return "requested twice, success twice, cancelled once at Pipe17"

    @step("order_cancel: a shipped order is refused")
    def cancel_shipped(self) -> str:
        reply = self.answered("order_cancel", order=_named(self.two_parcels))
        expect(reply.answer["status"] == "fail", "a shipped order was cancelled")
        return f"status fail, event {reply.codes()[0]}"

    @step("order_complete: the rest will not ship")
    def complete(self) -> str:
        others = [order for order in self.orders if order not in (self.two_parcels, self.unshipped)]
        order = next(order for order in others if _units(order) >= 2)
        open_units = [line["quantity"] - (at == 0) for at, line in enumerate(order["order_items"])]
        shipped = {"shipments": [shipment(order, 601, [(0, 1)])]}
        left = {"unshipped_items": unshipped(order, *enumerate(open_units))}
        self.done("order_complete", order={**_named(order), "grand_total": "0", **shipped, **left})
        held = self.fulfilments(order)
        rejected = [item for item in held if item.get("fulfillmentType") == "rejected"]
        expect(len(held) == 2 and len(rejected) == 1, f"{len(held)} fulfilments, {len(rejected)} rejected")
        return "a shipment never submitted before is registered, the rest rejected"

    @step("Pipe17's people cancel an order: it comes with cancel: true")
    def called_off(self) -> str:
        refnum = self.open_order()["channel_order_refnum"]
        self.at_vendor(f"shipments/{refnum}/cancel", {})
        pulled = [(order["channel_order_refnum"], order["cancel"]) for order in self.ro.pull_all()]
        expect(pulled == [(refnum, True)], f"{len(pulled)} orders came")
        self.answered("order_acknowledge", orders=[{"channel_order_refnum": refnum}])
        expect(not self.ro.pull_all(), "the cancellation was sent again after its acknowledgement")
        return "pulled once more with cancel: true, and no more once that was acknowledged"

    @step("the integration is switched off and on: nothing, then all")
    def toggle(self) -> str:
        integration = f"integrations/{INTEGRATION_ID}"
        self.at_vendor(integration, {"status": "disabled"}, "PUT")
        time.sleep(1.5)
        made = self.at_vendor("shipments", {"count": 1})["shipments"][0]["shipmentId"]
        expect(self.ro.pull_all() == [], "an order came although the integration is disabled")
        self.at_vendor(integration, {"status": "connected"}, "PUT")
        waited = eventually(
            lambda: [order["channel_order_refnum"] for order in self.ro.pull_all()] == [made], "the waiting order"
        )
        self.answered("order_acknowledge", orders=[{"channel_order_refnum": made}])
        return f"disabled: an empty pull and no error; the waiting order came {waited:.1f} s after it was on again"

    @step("settle, return, credit: honest about money")
    def money(self) -> str:
        order = _named(self.two_parcels)
        settled = self.answered("order_settle_payment", order=order, payment={"currency_code": "USD"})
        given_back = {"return": {"retailops_return_id": 9, "refund_amt": 5}}
        returned = self.answered("order_returned", order=order, **given_back)
        parents = [{"payment_type": "Visa", "refnum": "p1"}]
        credit = self.answered("payment_credit", credit={"amount": 5, "parent_payment_transactions": parents})
        expect(credit.answer["status"] == "fail" and credit.answer["amount"] == 0, "a credit was claimed")
        expect(settled.codes() == ["NOT_APPLICABLE"], f"settle says {settled.codes()}")
        expect(returned.codes() == ["NO_MONEY_MOVED"], f"returned says {returned.codes()}")
        return "NOT_APPLICABLE, NO_MONEY_MOVED, and a credit that fails with amount 0"

    def open_order(self) -> dict[str, Any]:
        """An order that is acknowledged, and nothing else has happened to it."""
        statuses, others = self.statuses(), [order for order in self.orders if order is not self.two_parcels]
        return next(order for order in others if statuses[order["channel_order_refnum"]] == "sentToFulfillment")

    def submit(self, order: dict[str, Any], shipped: dict[str, Any]) -> CallbackReply:
        """order_shipment_submit."""
        refnum = order["channel_order_refnum"]
        return self.done("order_shipment_submit", channel_order_refnum=refnum, retailops_order_id=0, shipment=shipped)

    def fulfilments(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        """What Pipe17 has of an order."""
        refnum = order["channel_order_refnum"]
        return [item for item in self.seen()["fulfillments"] if item["shipmentId"] == refnum]

    def statuses(self) -> dict[str, str]:
        """The status of every shipping request, by id."""
        return {item["shipmentId"]: item["status"] for item in self.seen()["shipments"]}

    def _row(self, sku: str) -> tuple[str, str]:
        """Status and our number in our own row of a product."""
        published = next(item["published"] for item in self.seen()["products"] if item["sku"] == sku)
        own: dict[str, str] = next((row for row in published if row["integrationId"] == INTEGRATION_ID), {})
        return own.get("status", ""), own.get("extProductId", "")


class Outage(Scenario):
    """Pipe17 goes while an order is open, and comes back."""

    def __init__(self, life: Pipe17, stage: Stage) -> None:
        super().__init__(life.ro, stage.sandbox_url(VENDOR))
        self._life = life
        self._stage = stage

    @step("Pipe17 is killed: honest answers")
    def outage(self) -> str:
        self._late = self._life.open_order()
        self._stage.kill_sandbox(VENDOR)
        parcel = [(index, line["quantity"]) for index, line in enumerate(self._late["order_items"])]
        reply = self._life.submit(self._late, shipment(self._late, 701, parcel))
        expect(reply.codes("warning") == ["OWED"], f"events {reply.codes()}")
        pulled = self.ro.call("order_pull", page_token="", specific_orders=[])
        expect(pulled.status == 503, f"order_pull answered {pulled.status}")
        cancelled = self.answered("order_cancel", order=_named(self._late))
        expect(cancelled.answer["status"] == "fail", "a cancellation was claimed")
        return "shipment kept (OWED), order_pull 503 with Retry-After, cancel fails"

    @step("Pipe17 is back: what is owed arrives, once")
    def recovery(self) -> str:
        self._stage.start_sandbox(VENDOR)
        waited = eventually(lambda: len(self._life.fulfilments(self._late)) == 1, "the owed fulfilment")
        time.sleep(1)
        expect(len(self._life.fulfilments(self._late)) == 1, "the fulfilment arrived more than once")
        return f"1 fulfilment, {waited:.1f} s after the restart"


def _units(order: dict[str, Any]) -> int:
    return sum(line["quantity"] for line in order["order_items"])


def _named(order: dict[str, Any]) -> dict[str, Any]:
    return {"channel_order_refnum": order["channel_order_refnum"]}
