"""Whatever callbacks say of orders, and in whatever form: in the end each is closed on both sides or named (R22)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.clock import utc_now
from app.contract.schemas import Contract
from app.operations.health_checks import waiting
from app.records import handed_out as remembered
from app.records import parcels
from app.records.tables.deliveries import deliveries
from app.records.tables.orders import handed_out
from app.sandbox.vendors.pipe17 import INTEGRATION_KEY
from tests.channels import channel_table
from tests.gateways.vendors.pipe17.stage import OWN, request
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually

SKUS = ("MUG-RED", "BOWL")
CLOSED = ("fulfilled", "failed", "canceled", "canceledRestock")
FAULTS = ("reset_after", "status")


@pytest.fixture
def retailops(build_app: Callable[..., Flask], empty: Sandbox, contract: Contract) -> Iterator[Caller]:
    yield Caller(build_app(channel_table(empty.url, api_key=INTEGRATION_KEY, more=OWN)), contract)


class History:
    """Random callbacks about one order, each in one of its forms."""

    def __init__(self, retailops: Caller, order: dict[str, Any], number: int, dice: random.Random) -> None:
        self._retailops = retailops
        self._order = order
        self._number = number
        self._dice = dice
        self._shipments: list[dict[str, Any]] = []

    @property
    def refnum(self) -> str:
        return str(self._order["channel_order_refnum"])

    def act(self) -> None:
        act = self._dice.choices(
            [self._ship, self._correct, self._update, self._complete, self._cancel], [6, 2, 3, 1, 1]
        )
        act[0]()

    def finish(self) -> None:
        """The last completion: by what was said before, or with every unit named."""
        if self._dice.random() < 0.5:
            self._complete()
            return
        self._complete([self._unshipped(line, line["quantity"]) for line in self._order["order_items"]])

    def _named(self, **more: Any) -> dict[str, Any]:
        if self._dice.random() < 0.3:
            return {"retailops_order_id": self._number, "channel_order_refnum": "", **more}
        return {"channel_order_refnum": self.refnum, **more}

    def _item(self, line: dict[str, Any], quantity: int) -> dict[str, Any]:
        item = {"sku": line["sku"], "quantity": quantity}
        return item if self._dice.random() < 0.4 else {**item, "channel_item_refnum": line["channel_item_refnum"]}

    def _some(self) -> list[dict[str, Any]]:
        lines = self._order["order_items"]
        return self._dice.sample(lines, self._dice.randint(1, len(lines)))

    def _ship(self) -> None:
        number = self._number * 10 + self._dice.randint(1, 4)
        boxes = [
            {"retailops_package_id": at, "carrier_name": "UPS", "tracking_number": f"1Z{number}{at}", "weight_kg": 1,
             "package_items": [self._item(line, self._dice.randint(0, 2)) for line in self._some()]}
            for at in range(self._dice.randint(1, 2))
        ]  # fmt: skip
        self._submit({"retailops_shipment_id": number, "packages": boxes})

    def _correct(self) -> None:
        if self._shipments:
            shipment = self._dice.choice(self._shipments)
            label = {"tracking_number": f"1ZC{self._dice.randint(1, 99)}"}
            boxes = [{**box, **label} for box in shipment["packages"]]
            self._submit({**shipment, "packages": boxes})

    def _submit(self, shipment: dict[str, Any]) -> None:
        self._shipments.append(shipment)
        self._post("order_shipment_submit", shipment=shipment, **self._named())

    def _update(self) -> None:
        items = []
        for line in self._some():
            item = self._item(line, self._dice.randint(0, line["quantity"]))
            items.append({**item, "removed": True} if self._dice.random() < 0.3 else item)
        self._post("order_update", order=self._named(order_items=items))

    def _unshipped(self, line: dict[str, Any], units: int) -> dict[str, Any]:
        item = self._item(line, units)
        return {**item, "unshipped_quantity": item.pop("quantity")}

    def _complete(self, unshipped: list[dict[str, Any]] | None = None) -> None:
        if unshipped is None and self._dice.random() < 0.5:
            unshipped = [self._unshipped(line, self._dice.randint(0, 2)) for line in self._some()]
        shipments = self._dice.choice([None, [], self._shipments[-2:]])
        self._post("order_complete", order=self._named(shipments=shipments, unshipped_items=unshipped))

    def _cancel(self) -> None:
        self._post("order_cancel", order=self._named())

    def _post(self, callback: str, **fields: Any) -> None:
        for _ in range(2 if self._dice.random() < 0.2 else 1):
            assert self._retailops.post(callback, **fields).status_code in (200, 503)


def test_p34_every_order_ends_closed_on_both_sides_or_named_by_check(
    retailops: Caller, empty: Sandbox, seed: int
) -> None:
    dice = random.Random(seed)
    histories = []
    for number in range(1, 13):
        lines = [(dice.choice(SKUS), dice.randint(1, 3)) for _ in range(dice.randint(1, 3))]
        refnum = request(empty, lines)["shipmentId"]
        [order] = [order for order in retailops.pull() if order["channel_order_refnum"] == refnum]
        entry = {"channel_order_refnum": refnum, "retailops_order_id": number}
        assert codes(retailops.ask("order_acknowledge", orders=[entry])) == []
        histories.append(History(retailops, order, number, dice))
    for _ in range(90):
        if dice.random() < 0.1:
            more = {"code": 429, "retry_after": 1} if (kind := dice.choice(FAULTS)) == "status" else {}
            empty.fault(kind=kind, times=1, match={"method": "POST"}, **more)
        dice.choice(histories).act()
    empty.heal()
    for history in histories:
        history.finish()
    eventually(lambda: _open_calls(retailops) == 0)
    with retailops.database.read() as connection:
        left_open = dict(connection.execute(select(handed_out.c.refnum, handed_out.c.left_open)).all())
    named = [refnum for refnum, code in left_open.items() if code]
    found = waiting.of_records(retailops.database, ["first"], utc_now())
    sentences = [item.sentence for item in found["first"] if item.name == "left open"]
    assert len(sentences) == bool(named)
    for history in histories:
        status = empty.shipment(history.refnum)["status"]
        assert (status in CLOSED) is not (history.refnum in named), f"{history.refnum} is {status}: {left_open}"
        with retailops.database.read() as connection:
            order = remembered.known(connection, "first", [history.refnum])[history.refnum]
            shipped = parcels.shipped_units(parcels.of_order(connection, "first", history.refnum))
        held: dict[str, Counter[str]] = {"shipped": Counter(), "rejected": Counter()}
        for made in empty.fulfilments(history.refnum):
            for line in made["lineItems"]:
                held[made.get("fulfillmentType", "shipped")][line["uniqueId"]] += line["quantity"]
        assert held == {"shipped": shipped, "rejected": Counter(order.rejected.units)}, history.refnum


def _open_calls(retailops: Caller) -> int:
    """Calls still to be made, without their pauses."""
    with retailops.database.write() as connection:
        waiting = deliveries.c.state.in_(("owed", "checking"))
        count = len(connection.execute(select(deliveries.c.id).where(waiting)).all())
        assert not connection.execute(select(deliveries.c.id).where(deliveries.c.state == "parked")).all()
    retailops.app.extensions["works"].dispatcher.wake()
    return count
