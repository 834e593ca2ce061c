"""What is kept of the person behind one order is erased when a shopper requests it; ids and amounts stay (R28)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from app.clock import utc_now
from app.contract.schemas import Contract
from app.domain.orders import HeldBack, OrderSketch, SketchLine
from app.domain.purchases import Purchase, PurchaseLine
from app.operations import acts, erasure
from app.operations.find import find
from app.operations.operators import operator
from app.operations.order_facts import facts
from app.operations.orders import Sources
from app.operations.scope import Scope
from app.records import delivery_rows, handed_out, held_orders, purchase_reports, search_keys
from app.records.database import Database
from app.records.search_keys import Number
from app.records.tables import metadata
from app.records.tables.storefront import orders, reservations
from app.storefront import cart_store
from tests.command_line import CommandLine
from tests.gateways.vendors.rally.shop import TEE, Shop, channel_text, money, opened
from tests.retailops import shipment_of
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases

ADDRESS = {
    "first_name": "CanaryFirst", "last_name": "CanaryLast", "company": "CanaryCompany", "phone": "+1555canary2",
    "address1": "1 CanaryStreet", "address2": "CanaryFloor", "city": "CanaryCity", "province": "Texas",
    "country": "United States", "country_code": "US", "zip": "CANARY78701",
}  # fmt: skip
BILLING = {name: f"Billing{value}" if "anary" in value else value for name, value in ADDRESS.items()}
CUSTOMER = {
    "email": "canary@customer.example", "first_name": "CanaryBuyer", "last_name": "CanaryFamily",
    "phone": "+1555canary1",
}  # fmt: skip
NOTES, TRACKING, REPORTED = "CanaryNotes", "1ZCANARY000001", "canary@reported.example"
IP_ADDRESS = "203.0.113.9"
CANARIES = {value for value in (*ADDRESS.values(), *BILLING.values(), *CUSTOMER.values()) if "canary" in value.lower()}
CANARIES |= {NOTES, TRACKING, REPORTED, "CanaryCart", "CanaryReason", IP_ADDRESS}
WISH: dict[str, Any] = {
    "skus": {TEE: 2}, "customer": CUSTOMER, "address": ADDRESS, "billing_address": BILLING, "notes": NOTES,
}  # fmt: skip
BECAUSE = ("--reason", "the shopper requested it", "--by", "Ada")


@dataclass
class Desk:
    """A shop, and the operator's command line beside it."""

    shop: Shop
    channel: CommandLine

    def buy_and_hand_over(self) -> dict[str, Any]:
        return self.shop.buy_and_pull(**WISH)

    def erase(self, refnum: str, *more: str) -> Any:
        return self.channel.json("orders", "erase", refnum, *BECAUSE, "--yes", *more)

    def refusal(self, refnum: str) -> str:
        refused = self.channel("orders", "erase", refnum, *BECAUSE, "--yes")
        assert refused.exit_code == 1 and self.acts() == [], refused.output
        return refused.stderr

    def acts(self) -> list[dict[str, Any]]:
        kept = self.channel.json("operations", "list")["operations"]
        return [act for act in kept if act["act"] == "orders.erase"]

    def numbers(self, number: str) -> set[tuple[str, str]]:
        return {(hit.kind, hit.id) for hit in find(self.shop.database, Scope(), number)}

    def written(self) -> bytes:
        """Every row; of SQLite the file and its log, too."""
        with self.shop.database.read() as connection:
            rows = [
                b"|".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
                for table in metadata.sorted_tables
                for row in connection.execute(select(table))
            ]
        if self.shop.database.is_sqlite:
            file = Path(str(self.shop.database.url.database))
            rows += [path.read_bytes() for path in file.parent.glob(f"{file.name}*")]
        return b"\n".join(rows).lower()

    def canaries(self) -> set[str]:
        written = self.written()
        return {value for value in CANARIES if value.lower().encode() in written}


@pytest.fixture
def desk(
    build_app: Callable[..., Flask], contract: Contract, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> Iterator[Desk]:
    with opened(build_app, contract) as shop:
        shop.offer(TEE=50)
        yield Desk(shop, CommandLine(monkeypatch, database_url, channel_text(shop.rally.url)))


def test_p32_nothing_personal_of_an_erased_order_is_left_anywhere_and_its_ids_and_amounts_are(desk: Desk) -> None:
    shop, database = desk.shop, desk.shop.database
    order = desk.buy_and_hand_over()
    refnum = order["channel_order_refnum"]
    other = shop.buy_and_pull(skus={TEE: 1})["channel_order_refnum"]
    shop.retailops.ship(order, tracking_number=TRACKING)
    shop.settle()
    now = utc_now()
    line = PurchaseLine(order["order_items"][0]["channel_item_refnum"], TEE, 2, money("20"))
    with database.write() as connection:
        row = connection.execute(select(orders).where(orders.c.refnum == refnum)).one()
        cart = b'{"name": "CanaryCart"}'
        cart_store.put(connection, row.channel, row.cart_id, cart, now, now + timedelta(days=30))
        purchase = Purchase(refnum, "hash", now, "USD", (line,), email=REPORTED)
        purchase_reports.see(connection, row.channel, "retailrocket", [purchase], now)
        held_orders.hold(connection, row.channel, [HeldBack(refnum, "CanaryReason")], now)
    payment = shop.at_rally(refnum)["transactions"][0]["external_id"]
    assert desk.canaries() == CANARIES and ("tracking", TRACKING) in desk.numbers(TRACKING)

    erased = desk.erase(refnum)
    assert (erased["outcome"], erased["order"], erased["channel"]) == ("erased", refnum, "shop")
    assert set(erased["rows"]) == set(erasure.WORDS), "each table that holds a person's data had some"
    assert desk.canaries() == ({IP_ADDRESS}), "the other order's alone"

    assert ("order", refnum) in desk.numbers(refnum) and ("payment", payment) in desk.numbers(payment)
    assert desk.numbers(TRACKING) == set()
    shown = facts(database, Scope(), Sources(), row.channel, refnum)
    assert shown is not None and shown.row.state == "acknowledged"
    [paid] = shown.payments
    assert (paid.refnum, paid.amount) == (payment, money(shop.at_rally(refnum)["charged"]))
    assert [(item.sku, item.ordered, item.shipped) for item in shown.lines] == [(TEE, 2, 2)]
    with database.read() as connection:
        assert connection.execute(select(orders.c.refnum)).scalars().all() == [other]

    # Money of it still goes back, once.
    for _ in range(2):
        shop.give_back(88112, 5, refnum)
        shop.settle()
    assert [entry.amount for entry in shop.ledger(order=refnum) if entry.state == "accepted"] == [money("5")]

    # And nothing that names it again brings anything back.
    for tracking in (TRACKING, f"{TRACKING}-mended"):
        shop.retailops.ship(order, tracking_number=tracking)
    shop.complete(refnum, shipments=[shipment_of(order, 502, tracking_number=TRACKING)])
    shop.retailops.pull(specific_orders=[{"channel_refnum": refnum}])
    shop.retailops.acknowledge(refnum)
    shop.update(refnum, {"channel_item_refnum": line.line_refnum, "sku": TEE, "quantity": 1})
    for topic in ("order/create", "order/update", "cart/update"):
        assert shop.step(topic, order=refnum, cart=row.cart_id, **WISH)["outcome"] != "good"
    shop.settle()
    assert desk.erase(refnum)["outcome"] == "nothing_kept"  # it empties the log, in which calls stood until delivered
    assert desk.canaries() == {IP_ADDRESS} and desk.numbers("1ZCANARY") == set()
    assert {("shipment", "501"), ("return", "88112")} <= desk.numbers("501") | desk.numbers("88112")
    desk.erase(other)
    assert desk.canaries() == set()


def test_p39_an_erasure_needs_a_reason_and_a_person_or_yes_and_is_kept_once(desk: Desk) -> None:
    refnum = desk.buy_and_hand_over()["channel_order_refnum"]
    desk.shop.settle()
    of = ("orders", "erase", refnum)
    assert "say why with --reason" in desk.channel(*of, "--yes").stderr
    assert desk.channel(*of, "--yes").exit_code == desk.channel(*of, *BECAUSE, "--json").exit_code == 2
    unasked = desk.channel(*of, *BECAUSE)
    assert unasked.exit_code == 1 and "There is no terminal to ask on, so nothing was done" in unasked.stderr
    assert desk.channel.json(*of, "--dry-run")["outcome"] == "would_be_erased"
    unknown = desk.channel("orders", "erase", refnum.lower(), *BECAUSE, "--yes")
    assert unknown.exit_code == 1 and "no order" in unknown.stderr, "an act takes the whole number as it is"
    assert desk.channel(*of, *BECAUSE, "--yes", "--channel", "elsewhere").exit_code == 1
    assert desk.acts() == [] and NOTES in desk.canaries()

    done = desk.channel(*of, *BECAUSE, "--yes", "--channel", "shop")
    assert done.exit_code == 0 and "Ids and amounts stay" in done.output
    assert desk.erase(refnum)["outcome"] == "nothing_kept"
    again = desk.channel(*of, *BECAUSE, "--yes")
    assert again.exit_code == 0 and "nothing personal is kept; it was erased at" in again.output
    [act] = desk.acts()
    assert (act["who"], act["reason"], act["channel"], act["outcome"]) == ("Ada", BECAUSE[1], "shop", "erased")
    assert act["objects"] == [{"kind": "order", "id": refnum}]


def test_p32_an_order_with_open_calls_is_not_erased_before_they_are_finished_or_dropped(desk: Desk) -> None:
    shop = desk.shop
    order = desk.buy_and_hand_over()
    refnum = order["channel_order_refnum"]
    shop.settle()
    shop.fault("status", code=503, times=None)
    shop.retailops.ship(order, tracking_number=TRACKING)
    with shop.database.read() as connection:
        [call] = delivery_rows.open_of_order(connection, "shop", refnum)
    refused = desk.refusal(refnum)
    assert str(call.id) in refused and call.verb in refused and "channel deliveries drop" in refused
    assert NOTES in desk.canaries()
    drop = ("deliveries", "drop", str(call.id), *BECAUSE, "--yes")
    eventually(lambda: desk.channel(*drop).exit_code == 0)  # a call that is being tried belongs to whoever tries it
    assert desk.erase(refnum)["outcome"] == "erased" and desk.canaries() == set()


def test_p32_a_report_that_becomes_a_call_meanwhile_undoes_the_erasure(desk: Desk) -> None:
    """Its lane is the shopper's, so that only its command says whose it is."""
    database, refnum = desk.shop.database, desk.buy_and_hand_over()["channel_order_refnum"]
    desk.shop.settle()
    now = utc_now()
    purchase = Purchase(refnum, "hash", now, "USD", (PurchaseLine("1", TEE, 2, money("20")),), email=REPORTED)
    with database.write() as connection:
        purchase_reports.see(connection, "shop", "retailrocket", [purchase], now)
    beside = Database(database.url.render_as_string(hide_password=False))
    beside.prepare()
    with ThreadPoolExecutor() as pool:
        with database.write() as connection:
            assert purchase_reports.queue_ripe(connection, "shop", "retailrocket", "acknowledgement", now)
            erased = pool.submit(acts.erase, beside, operator("Ada", "why"), "shop", refnum, now)
            if not database.is_sqlite:  # which has one writer
                waiting = text("select count(*) from pg_locks where not granted")
                eventually(lambda: connection.execute(waiting).scalar())
        with pytest.raises(erasure.NotErasable, match="report_purchase to retailrocket"):
            erased.result(30)
    beside.close()
    assert desk.acts() == [] and {NOTES, REPORTED} <= desk.canaries()
    assert "report_purchase to retailrocket" in desk.refusal(refnum)


def test_p32_a_paid_order_is_not_erased_before_retailops_has_it_nor_one_whose_cancellation_it_does_not_know(
    desk: Desk,
) -> None:
    shop, refnum = desk.shop, desk.shop.buy(**WISH)
    assert "or in part, and RetailOps does not have it" in desk.refusal(refnum)
    [order] = shop.retailops.pull()
    assert "or in part, and RetailOps does not have it" in desk.refusal(refnum), "fetched, and not acknowledged"
    shop.retailops.acknowledge(refnum)
    shop.settle()
    assert shop.step("order/update", order=refnum, status="refunded")["outcome"] == "good"
    assert "cancelled at its source" in desk.refusal(refnum)
    [called_off] = shop.retailops.pull()
    assert called_off["cancel"] and order["channel_order_refnum"] == called_off["channel_order_refnum"]
    assert "cancelled at its source" in desk.refusal(refnum)
    shop.retailops.acknowledge(refnum)
    shop.settle()
    assert desk.erase(refnum)["outcome"] == "erased" and desk.canaries() == set()


def test_p32_an_unpaid_order_goes_as_if_its_date_had_come_and_units_that_retailops_has_not_counted_stay_held(
    desk: Desk,
) -> None:
    shop = desk.shop
    unpaid = shop.buy(skus={TEE: 3}, is_paid=False, transactions=[])
    known = shop.buy_and_pull(skus={TEE: 2})["channel_order_refnum"]
    shop.settle()
    for refnum in (unpaid, known):
        desk.erase(refnum)
        assert desk.erase(refnum)["outcome"] == "nothing_kept" if refnum == known else desk.numbers(refnum) == set()
    with shop.database.read() as connection:
        held = connection.execute(select(reservations.c.order_refnum, reservations.c.units)).all()
        assert search_keys.of_order(connection, "shop", unpaid) == []
    assert held == [(known, 2)], "what RetailOps is about to pack is not sold again"


def test_an_order_of_another_source_has_nothing_to_erase_and_two_channels_with_one_number_are_told_apart(
    desk: Desk,
) -> None:
    database = desk.shop.database
    with database.write() as connection:
        search_keys.learn(connection, "shop", [Number("496", "order", "496")], utc_now())
    assert desk.erase("496") == {
        "order": "496", "channel": "shop", "outcome": "nothing_kept", "dry_run": False, "rows": {},
        "erased_before": None,
    }  # fmt: skip
    with database.write() as connection:
        search_keys.learn(connection, "gone", [Number("496", "order", "496")], utc_now())
    several = desk.channel("orders", "erase", "496", *BECAUSE, "--yes")
    assert several.exit_code == 2 and "name one with --channel" in several.stderr
    assert desk.erase("496", "--channel", "shop")["outcome"] == "nothing_kept" and desk.acts() == []


def test_p32_an_order_of_which_nothing_is_kept_yet_is_erased_and_nothing_of_it_is_kept_later(desk: Desk) -> None:
    database, refnum = desk.shop.database, "497"

    with database.write() as connection:
        handed_out.add(connection, "shop", [OrderSketch(refnum, (SketchLine("1", TEE, 2),))])
    planned = desk.channel("orders", "erase", refnum, "--dry-run")
    assert "nothing personal is kept yet, and nothing will be" in planned.output and desk.acts() == []
    done = desk.channel("orders", "erase", refnum, *BECAUSE, "--yes")
    assert done.exit_code == 0 and "nothing personal was kept, and nothing will be" in done.output
    with database.write() as connection:
        search_keys.learn(connection, "shop", [Number(refnum, "tracking", TRACKING)], utc_now())
    assert desk.numbers(TRACKING) == set() and ("order", refnum) in desk.numbers(refnum)
    again = desk.erase(refnum)
    assert again["outcome"] == "nothing_kept" and again["erased_before"] is not None
    assert [act["reason"] for act in desk.acts()] == [BECAUSE[1]]


def test_each_table_with_data_of_single_orders_has_a_word_for_people() -> None:
    assert {clock.table for clock in erasure.CLOCKS if clock.of_order is not None} == set(erasure.WORDS)
