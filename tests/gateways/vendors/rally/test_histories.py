"""Whatever happens to orders, in whatever order and however often: money, units and Rally's view hold (P10, P19)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from app.contract.schemas import Contract
from app.domain.commands import read_back
from app.operations import delivery_acts
from app.records import delivery_rows, parcels
from app.records import handed_out as remembered
from app.records.delivery_rows import DeliveryFilter
from app.records.payment_ledger import charges
from app.records.refund_releases import release
from app.records.refunds import of_order
from app.storefront import order_store as kept
from app.storefront.order_document import read_document
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, money, opened

FAULTS = ("status", "reset_after", "reset_before", "half_body", "refuse", "html")


@pytest.fixture
def open_shop(build_app: Callable[..., Flask], contract: Contract) -> Iterator[Callable[..., Shop]]:
    with ExitStack() as stack:

        def start(**how: Any) -> Shop:
            shop = stack.enter_context(opened(build_app, contract, **how))
            shop.offer(TEE=9999, MUG=9999)
            return shop

        yield start


class History:
    """Orders, and requests of RetailOps about them, repeated and at the same time."""

    def __init__(self, shop: Shop, dice: random.Random) -> None:
        self._shop = shop
        self._dice = dice
        self._sent: list[tuple[str, dict[str, Any]]] = []
        self._pulled: dict[str, dict[str, Any]] = {}
        self.refnums: list[str] = []
        self.refunded_at_rally: set[str] = set()
        self._ordered: dict[str, Counter[str]] = {}

    def live(self, steps: int) -> None:
        self._buy()
        self._fetch()
        for _ in range(steps):
            act = self._dice.choices(
                [
                    self._buy,
                    self._fetch,
                    self._fault,
                    self._heal,
                    self._refund_at_rally,
                    self._review,
                    self._add,
                    self._ask,
                ],
                [2, 3, 3, 3, 0.3, 2, 1, 20],
            )[0]
            act()
            self.holds()

    def _buy(self) -> None:
        more: dict[str, Any] = {"offer_skus": {MUG: 1}} if self._dice.random() < 0.3 else {}
        more["is_held"] = self._dice.random() < 0.2
        units = Counter({TEE: self._dice.randint(1, 3), MUG: self._dice.randint(1, 2)})
        refnum = self._shop.buy(skus=units, **more)
        self.refnums.append(refnum)
        self._ordered[refnum] = units + Counter(more.get("offer_skus", {}))

    def _fetch(self) -> None:
        for order in self._shop.retailops.pull():
            self._pulled[order["channel_order_refnum"]] = order
        if self._pulled and self._dice.random() < 0.9:
            self._shop.retailops.acknowledge(*self._pulled)

    def _fault(self) -> None:
        kind = self._dice.choice(FAULTS)
        more = {"code": self._dice.choice([429, 500, 503])} if kind == "status" else {}
        self._shop.fault(kind, times=self._dice.randint(1, 2), **more)

    def _heal(self) -> None:
        self._shop.rally.faults.clear()

    def _refund_at_rally(self) -> None:
        refnum = self._dice.choice(self.refnums)
        self._shop.rally.faults.clear()
        self._shop.settle_all()
        self._shop.step("order/update", order=refnum, status="refunded")
        self.refunded_at_rally.add(refnum)

    def _review(self) -> None:
        """A fraud review of an order is opened or is over."""
        review = self._dice.choice([{}, {}, {"id": 1}])
        refnum = self._dice.choice(self.refnums)
        assert self._shop.step("order/update", order=refnum, more={"fraud_review_transaction": review})["answer"]

    def _add(self) -> None:
        """The shopper buys more of an order RetailOps has not fetched."""
        if waiting := [refnum for refnum in self.refnums if refnum not in self._pulled]:
            refnum = self._dice.choice(waiting)
            answer = self._shop.step("order/update", order=refnum, offer_skus={MUG: 1})["answer"]
            for sku in (TEE, MUG):
                self._ordered[refnum][sku] = sum(
                    line["quantity"] for line in answer["line_items"] if line["sku"] == sku
                )

    def _ask(self) -> None:
        """One request, an earlier one again, or two at the same time."""
        if not self._pulled:
            return
        wanted = [self._request() for _ in range(1 if self._dice.random() < 0.7 else 2)]
        if self._sent and self._dice.random() < 0.3:
            wanted.append(self._dice.choice(self._sent))
        self._sent += wanted
        with ThreadPoolExecutor(3) as pool:
            for reply in pool.map(lambda item: self._shop.retailops.post(item[0], **item[1]), wanted):
                assert reply.status_code in (200, 503), reply.get_data(as_text=True)

    def _request(self) -> tuple[str, dict[str, Any]]:
        refnum, order = self._dice.choice(sorted(self._pulled.items()))
        make = self._dice.choices(
            [self._shipping, self._cancelling, self._completing, self._returning, self._crediting, self._updating],
            [6, 2, 2, 4, 3, 2],
        )[0]
        return make(refnum, order)

    def _items(self, order: dict[str, Any], name: str) -> list[dict[str, Any]]:
        lines = self._dice.sample(order["order_items"], self._dice.randint(1, len(order["order_items"])))
        is_by_sku = self._dice.random() < 0.3
        return [
            {"sku": line["sku"], "channel_item_refnum": "" if is_by_sku else line["channel_item_refnum"],
             name: self._dice.randint(1, 2)} for line in lines
        ]  # fmt: skip

    def _shipping(self, refnum: str, order: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        number = 500 + self._dice.randint(1, 4)
        package = {"retailops_package_id": 1, "tracking_number": f"1Z{self._dice.randint(1, 2)}",
                   "package_items": self._items(order, "quantity")}  # fmt: skip
        shipment = {"retailops_shipment_id": number, "packages": [package]}
        return "order_shipment_submit", {"channel_order_refnum": refnum, "shipment": shipment}

    def _cancelling(self, refnum: str, order: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "order_cancel", {"order": {"channel_order_refnum": refnum}}

    def _completing(self, refnum: str, order: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        price = self._dice.choice([0, 20, 19.99, 22, 30])
        unshipped = [item | {"effective_unit_price": price} for item in self._items(order, "unshipped_quantity")]
        more = {"unshipped_items": unshipped} if self._dice.random() < 0.7 else {"shipments": []}
        return "order_complete", {"order": {"channel_order_refnum": refnum, **more}}

    def _returning(self, refnum: str, order: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        items = [item | {"subtotal_amt": 20 * item["quantity"]} for item in self._items(order, "quantity")]
        goods = sum(item["subtotal_amt"] for item in items)
        number = self.refnums.index(refnum) * 10 + self._dice.randint(1, 4)
        amount = self._dice.choice([goods, goods + 2, goods + 2.01, goods + 1.99, 15, 999])
        returned = {"retailops_return_id": number, "refund_amt": amount, "refund_action": "refund",
                    "items": items, "tax_amt": 2}  # fmt: skip
        return "order_returned", {"order": {"channel_order_refnum": refnum}, "return": returned}

    def _crediting(self, refnum: str, order: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        named = [{"payment_type": "visa", "refnum": item["refnum"], "amount": 1}
                 for item in order["payment_transactions"]]  # fmt: skip
        amount = self._dice.choice([5, 15, 20, 22, 40, money(order["payment_transactions"][0]["amount"])])
        return "payment_credit", {"credit": {"amount": float(amount), "parent_payment_transactions": named}}

    def _updating(self, refnum: str, order: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        items = [
            item | {"order_item_id": at + 1, "quantity": item["quantity"] - self._dice.randint(0, 1)}
            for at, item in enumerate(self._items(order, "quantity"))
        ]
        stated = Counter[str]()
        for item in items:  # entries by SKU alone state its units together
            stated[item["sku"]] += item["quantity"]
        self._ordered[refnum] |= stated  # RetailOps may also order more
        return "order_update", {"order": {"channel_order_refnum": refnum, "order_items": items}}

    # What must be true

    def holds(self) -> None:
        """At every moment: no money beyond what came in, no refund twice, no unit twice."""
        for refnum in self.refnums:
            held = self._shop.at_rally(refnum)
            assert money(held["refunded"]) <= money(held["charged"]), f"{refnum}: more back than came in"
            for refund in held["refunds"]:
                parts = sum(money(row["amount"]) for row in refund["refunds"])
                assert refund["by"] != "connector" or parts == money(refund["amount"]), f"{refnum}: rows do not add up"
            keys = [refund["external_id"] for refund in held["refunds"]]
            assert len(keys) == len(set(keys))
            with self._shop.database.read() as connection:
                known = remembered.known(connection, "shop", [refnum]).get(refnum)
                in_effect = [entry for entry in of_order(connection, "shop", refnum) if entry.is_in_effect]
                brought = charges(connection, "shop", refnum)
                shipped = parcels.shipped_units(parcels.of_order(connection, "shop", refnum))
                stored = kept.get(connection, "shop", refnum)
            assert stored is not None
            document = read_document(stored.body)
            if known is None:
                continue
            skus = {line.refnum: line.sku for line in known.lines}
            for row in (row for refund in held["refunds"] for row in refund["refunds"] if row["type"] == "line_item"):
                assert row["quantity"] <= self._ordered[refnum][skus[row["external_id"]]], f"{refnum}: {row}"
            assert sum((entry.amount for entry in in_effect), Decimal(0)) <= sum(item.charged for item in brought)
            cancelled = Counter(known.rejected.units)
            for line in known.lines:
                # What is neither shipped nor cancelled is open, and that is never less than nothing.
                assert (shipped + cancelled)[line.refnum] <= line.quantity, f"{refnum}: more units gone than ordered"
                assert line.quantity <= self._ordered[refnum][line.sku], f"{refnum}: more units than were ever ordered"
            assert sum(line.quantity for line in known.lines), f"{refnum}: nothing is ordered any more"
            assert (shipped + cancelled).keys() <= {line.refnum for line in known.lines}
            assert not (known.state == "cancelled" and shipped)
            assert {line.external_id: line.quantity for line in document.lines} == {
                line.refnum: line.quantity for line in known.lines if line.quantity
            }, f"{refnum}: the order is kept with other units than are remembered of it"

    def agrees(self) -> None:
        """With nothing left to tell Rally sees each order as it is kept here."""
        self.holds()
        for refnum in self.refnums:
            held = self._shop.at_rally(refnum)
            with self._shop.database.read() as connection:
                known = remembered.known(connection, "shop", [refnum]).get(refnum)
                registered = parcels.of_order(connection, "shop", refnum)
                entries = [entry for entry in of_order(connection, "shop", refnum) if entry.is_in_effect]
                left = sum((item.left for item in charges(connection, "shop", refnum)), Decimal(0))
            answer = self._shop.step("order/fetch", order=refnum)
            assert answer["outcome"] == "good", answer["problems"]
            assert answer["answer"]["status"] == self._shop.at_rally(refnum)["status"], f"{refnum}: another status"
            told = ((held["snapshot"] or {}).get("meta") or {}).get("fulfillments", [])
            assert {item["external_id"] for item in told} == {f"ro-ship-{parcel.key}" for parcel in registered}
            left_here = Counter[str]()
            for item in told:
                left_here.update({line["external_id"]: line["quantity"] for line in item["line_items"]})
            assert left_here == parcels.shipped_units(registered), f"{refnum}: Rally counts other units as shipped"
            if refnum in self.refunded_at_rally or known is None:
                continue
            assert all(entry.state == "accepted" for entry in entries)
            ours = {entry.key: entry.amount for entry in entries}
            assert {refund["external_id"]: money(refund["amount"]) for refund in held["refunds"]} == ours
            if known.state == "cancelled" or (entries and not left):
                assert held["status"] == "refunded", f"{refnum}: nothing remains of it"
            elif known.state == "completed":
                assert held["status"] == "completed"
            if held["snapshot"]:
                lines = {line["external_id"]: line["quantity"] for line in held["snapshot"]["line_items"]}
                assert lines == {line.refnum: line.quantity for line in known.lines if line.quantity}
        told = [warning for warning in self._shop.view("warnings") if not warning.startswith("order/update")]
        assert not [warning for warning in told if "goes back" in warning]


class Desk(Shop):
    """The shop with an operator who looks at Rally before deciding on what is parked (R11)."""

    def settle_all(self) -> None:
        """Until nothing is open any more, though a call be parked just after the operator has looked."""
        while self.deliveries("owed", "checking", "parked"):
            self.settle(60, operator=self._decide)
        self.settle(60)

    def _decide(self) -> None:
        """Confirms what Rally has; sends again what it has not, or gives it free where RetailOps has to ask again."""
        made = {refund["external_id"] for refund in self.view("refunds")}
        now = self.gateway.shop.clock()
        with self.database.read() as connection:
            parked = delivery_rows.find(connection, DeliveryFilter(states=["parked"]))
        for row in parked:
            is_done = any(f'"{key}"'.encode() in row.body for key in made)
            with self.database.write(serial=[delivery_rows.order_of(row)]) as connection:
                verb = self.gateway.commands.verbs[row.verb]
                if is_done:
                    delivery_acts.confirm(connection, self.gateway, row, refnum="", because="seen", now=now)
                elif not delivery_acts.why_not_retried(row, verb, now, even_if_done=True):
                    delivery_acts.retry(connection, row, verb, now)
                else:
                    delivery_acts.drop(connection, row, verb, "not done", now)
                    key = read_back(row.verb, row.body).key
                    [held] = [entry for entry in of_order(connection, "shop", row.lane) if entry.key == key]
                    assert release(connection, held.id, now) == "given_free"


@pytest.mark.parametrize(
    ("database_url", "repeat"),
    [
        ("sqlite", "never"),
        ("sqlite", "same_id"),
        pytest.param("postgresql", "never", marks=pytest.mark.postgresql),
    ],
    indirect=["database_url"],
)
def test_p19_over_random_histories_money_units_and_rallys_view_hold(
    open_shop: Callable[..., Shop], seed: int, repeat: str
) -> None:
    shop = open_shop(rally=f'refund_repeat = "{repeat}"\npatience_s = 1.0')
    desk = Desk(shop.retailops, shop.rally, shop.server)
    history = History(desk, random.Random(seed))
    for _ in range(3):
        history.live(steps=20)
        shop.rally.faults.clear()
        desk.settle_all()
        history.agrees()
