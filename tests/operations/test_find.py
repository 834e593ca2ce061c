"""An order, call or payment is found by any number anybody has, from its first moment on (P38)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, event, func, select
from sqlalchemy.dialects import postgresql

from app.clock import utc_now
from app.contract.schemas import Contract
from app.deliveries.background_work import WorkerProcess
from app.deliveries.sync import Syncer
from app.operations.find import Hit, find, orders_of
from app.operations.scope import Scope
from app.records import forgetting, order_list, retention, search_filling, search_keys, searching
from app.records.database import Database, DatabaseUnavailable
from app.records.search_filling import SearchFilling
from app.records.search_keys import Number
from app.records.tables.operations import search_keys as kept
from app.records.tables.storefront import orders
from app.storefront import order_expiry
from tests.channels import channel_table
from tests.console.stage import held_refund
from tests.gateways.vendors.rally.shop import MUG, TEE, opened, record
from tests.retailops import Caller
from tests.sandboxes import Sandbox

pytestmark = pytest.mark.both_databases

ALL = Scope()


def hits(database: Database, query: str, scope: Scope = ALL) -> set[tuple[str, str, str]]:
    """(kind, order, number) of each."""
    return {(hit.kind, hit.refnum, hit.id) for hit in find(database, scope, query)}


@pytest.fixture
def shipped(retailops: Caller) -> dict[str, Any]:
    """An order that RetailOps has and has shipped; none of its numbers is part of another's."""
    return ship_one(retailops)


@pytest.fixture
def unfilled(build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract) -> Caller:
    """RetailOps in front of a server that fills no search keys by itself, for another process delivers."""
    return Caller(build_app(channel_table(pipe17.url), DELIVERIES="worker"), contract)


def ship_one(retailops: Caller) -> dict[str, Any]:
    order = next(item for item in retailops.pull() if len(item["order_items"]) == 1)
    refnum = order["channel_order_refnum"]
    retailops.ask("order_acknowledge", orders=[{"channel_order_refnum": refnum, "retailops_order_id": 8004960}])
    retailops.ship(order, 7700501, retailops_package_id=6600042, tracking_number="1ZcAnArY0123456789")
    line = order["order_items"][0]
    came_back = {"sku": line["sku"], "channel_item_refnum": line["channel_item_refnum"], "quantity": 1}
    retailops.ask(
        "order_returned",
        order={"channel_order_refnum": refnum},
        **{"return": {"retailops_return_id": 5500077, "refund_amt": 0, "items": [came_back]}},
    )
    return order


def test_p38_an_order_is_found_by_every_number_of_it_and_of_its_parts(
    retailops: Caller, pipe17: Sandbox, shipped: dict[str, Any]
) -> None:
    refnum = shipped["channel_order_refnum"]
    sent = next(item for item in pipe17.state()["shipments"] if item["shipmentId"] == refnum)
    [delivery_id] = [
        hit.id for number in range(1, 9) for hit in find(retailops.database, ALL, str(number))
        if hit.kind == "delivery" and hit.refnum == refnum
    ][:1]  # fmt: skip
    for number, kind in (
        (refnum, "order"),
        ("8004960", "retailops_order"),
        (sent["extOrderId"], "source_order"),
        ("7700501", "shipment"),
        ("6600042", "package"),
        ("1ZcAnArY0123456789", "tracking"),
        ("5500077", "return"),
        (delivery_id, "delivery"),
    ):
        for spelled in {number, number.upper(), number.lower(), f"  {number} "}:
            assert (kind, refnum, number) in hits(retailops.database, spelled), (kind, spelled)
        if len(number) > 6:
            assert (kind, refnum, number) in hits(retailops.database, number[:6].swapcase()), kind
            assert (kind, refnum, number) not in hits(retailops.database, number[:5]), "too short for a prefix"
    statements: list[str] = []

    def note(*of: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            statements.append(of[2])

    event.listen(retailops.database.engine, "before_cursor_execute", note)
    assert hits(retailops.database, "") == hits(retailops.database, "  ") == set() == set(statements)
    event.remove(retailops.database.engine, "before_cursor_execute", note)
    assert hits(retailops.database, "nobody-has-this") == set()


def test_p38_a_number_is_found_with_what_was_pasted_around_it(retailops: Caller, shipped: dict[str, Any]) -> None:
    """As it comes from mails, labels and spreadsheets, and only where nothing has the number as it stands."""
    refnum, database = shipped["channel_order_refnum"], retailops.database
    refunded = held_refund(retailops, refnum)
    with database.write() as connection:
        numbers = [Number(refnum, "source_order", "#90496"), Number(refnum, "tracking", "940010000000000496")]
        search_keys.learn(connection, "first", numbers, utc_now())
        of_another = [Number("OTHER-1", "order", "'8004960'")]
        search_keys.learn(connection, "first", of_another, utc_now())
    source, tracking = ("source_order", refnum, "#90496"), ("tracking", refnum, "940010000000000496")
    for pasted in ("#90496", "90496", "\t90496\n", "'90496'", "\u201c#90496\u201d", "Order #90496", "order no: 90496,",
                   "\ufeff90496", "904\u200b96", "\uff19\uff10\uff14\uff19\uff16", "(90496)", '="90496"'):  # fmt: skip
        assert hits(database, pasted) == {source}, pasted
    for pasted in ("9400 1000 0000 0004 96", "tracking: 940010000000000496.", "9400\u00a01000\u00a00000"):
        assert hits(database, pasted) == {tracking}, pasted
    for pasted in ("08004960", "8004960.0", "8,004,960", '"8004960"', "RetailOps order 8004960"):
        assert hits(database, pasted) == {("retailops_order", refnum, "8004960")}, pasted
    assert hits(database, "'8004960'") == {("order", "OTHER-1", "'8004960'")}, "as it stands it is another's"
    assert hits(database, "7700501-6600042") == {("package", refnum, "7700501-6600042")}, "as its vendor knows it"
    assert hits(database, "7700501-6600042", Scope(frozenset({"other"}))) == set()
    assert ("refund", refnum, str(refunded)) in hits(database, f"refund {refunded}")
    whole = hits(database, str(refunded))
    assert {kind for kind, _, _ in whole} == {"delivery", "refund"} and whole == hits(database, f"#{refunded}")
    assert hits(database, f"RED SHIRT {refunded}") == set(), "a number beside words is no id of ours"
    assert {kind for kind, _, _ in hits(database, f"Call no. {refunded}")} == {"delivery"}
    assert hits(database, "496 or 8004960") == set(), "of two numbers nobody knows which is meant"
    assert hits(database, "9" * 5000) == hits(database, "#") == set()


def test_p38_a_request_is_found_by_its_id_and_names_its_order(retailops: Caller, shipped: dict[str, Any]) -> None:
    refnum = shipped["channel_order_refnum"]
    raw = (
        b'{"integration_auth_token":"%s","client_id":%d,"channel_info":{"id":%d},"action":"x","version":1,'
        b'"order":{"channel_order_refnum":"%s"}}'
    ) % (retailops.key.encode(), *retailops.pair, refnum.encode())
    retailops.send("order_cancel", raw, headers={"X-Request-Id": "Req_9.canary-77"})
    retailops.app.extensions["works"].journal.flush()
    for query in ("Req_9.canary-77", "Req_9.c"):
        assert ("request", refnum, "Req_9.canary-77") in hits(retailops.database, query)
    assert hits(retailops.database, "ReqX9.c") == set(), "an underscore stands for itself"


def test_p38_whole_numbers_come_before_longer_ones_and_a_reader_gets_those_of_its_channels_alone(
    retailops: Caller,
) -> None:
    now = utc_now()
    with retailops.database.write() as connection:
        for channel in ("first", "other"):
            numbers = [Number(name, "order", name) for name in ("Longer-496", "LONGER-4967", "longer-49")]
            search_keys.learn(connection, channel, numbers, now)
            search_keys.learn(connection, channel, numbers, now)
    found = find(retailops.database, Scope(frozenset(("other",))), "longer-496")
    assert found == [
        Hit("order", "other", "Longer-496", "Longer-496"),
        Hit("order", "other", "LONGER-4967", "LONGER-4967"),
    ]
    assert orders_of(found) == [("other", "Longer-496"), ("other", "LONGER-4967")]
    assert len(find(retailops.database, ALL, "LONGER")) == 6
    assert find(retailops.database, Scope(frozenset()), "LONGER") == []


def test_p38_an_order_of_a_checkout_is_found_from_its_first_moment_and_its_money_by_either_side_s_number(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    with opened(build_app, contract) as shop:
        shop.offer(**{TEE: 5, MUG: 5})
        refnum = shop.buy()
        with shop.database.read() as connection:
            order = connection.execute(select(orders).where(orders.c.refnum == refnum)).one()
        assert ("order", refnum, refnum) in hits(shop.database, refnum.lower()), "RetailOps has not fetched it yet"
        assert ("cart", refnum, order.cart_id) in hits(shop.database, order.cart_id[:8])
        assert ("sku", "", TEE) in hits(shop.database, TEE.lower())
        payment = shop.at_rally(refnum)["transactions"][0]["external_id"]
        assert ("payment", refnum, payment) in hits(shop.database, payment)

        shop.retailops.pull()
        shop.retailops.acknowledge(refnum)
        shop.give_back(88112, 5, refnum)
        shop.settle()
        [entry] = [entry for entry in shop.ledger(order=refnum) if entry.state == "accepted"]
        for number in {entry.refnum, entry.key}:
            assert ("refund", refnum, number) in hits(shop.database, number)
        assert ("return", refnum, "88112") in hits(shop.database, "88112")

        # Purged with its order: not a key is left.
        with shop.database.write() as connection:
            late = utc_now() + timedelta(days=4000)
            connection.exec_driver_sql("update orders set state = 'completed'")
            order_expiry.purge(connection, [(order.channel, refnum)], late)
            assert search_keys.of_order(connection, order.channel, refnum) == []

        # Neither a later process nor RetailOps brings any back, but for what its money is called.
        shop.retailops.acknowledge(refnum)
        shop.give_back(88113, 5, refnum)
        shop.settle()
        with shop.database.write() as connection:
            connection.exec_driver_sql("update handed_out set erased_at = null")  # as code of before leaves it
        filling = SearchFilling(shop.database, shop.database.clock, {order.channel})
        while filling.turn():
            pass
        with shop.database.read() as connection:
            kinds = {number.kind for number in search_keys.of_order(connection, order.channel, refnum)}
        assert kinds == {"return", "refund"}


def test_p38_p32_a_tracking_number_is_forgotten_after_180_days_and_the_order_is_not(retailops: Caller) -> None:
    long_ago, now = utc_now() - timedelta(days=181), utc_now()
    with retailops.database.write() as connection:
        for refnum, at in (("Old-1", long_ago), ("New-1", now)):
            numbers = [Number(refnum, "order", refnum), Number(refnum, "tracking", f"1Z-{refnum}")]
            search_keys.learn(connection, "first", numbers, at)
    [clock] = [clock for clock in retention.CLOCKS if clock.table == "search_keys"]
    with retailops.database.write() as connection:
        rows = connection.execute(clock.expired(now, retention.Terms())).all()
        clock.purge(connection, rows, now, retention.Terms())
    assert hits(retailops.database, "1Z-Old-1") == set()
    assert hits(retailops.database, "Old-1") == {("order", "Old-1", "Old-1")}
    assert hits(retailops.database, "1Z-New-1") == {("tracking", "New-1", "1Z-New-1")}


def state_stock(retailops: Caller, sku: str) -> None:
    detail = {"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": 7, "total_quantity": 7}
    retailops.ask(
        "inventory_push", inventory_updates=[{"sku": sku, "quantity_available": 7, "quantity_detail": [detail]}]
    )


def send_facts(retailops: Caller) -> None:
    """As the process that delivers does."""
    works = retailops.app.extensions["works"]
    Syncer(WorkerProcess(works.database, works.gateways, works.database.clock, lambda: False)).send("first", "pipe17")


def test_p38_a_sku_that_stands_in_stock_alone_is_found_from_its_first_moment_on(
    unfilled: Caller,
) -> None:
    """Before any vendor has answered for it by its spelling, then by any."""
    retailops = unfilled
    state_stock(retailops, "Stock-Only-7")
    assert hits(retailops.database, "Stock-Only-7") == {("sku", "", "Stock-Only-7")}
    assert hits(retailops.database, "Stock-Only-7", Scope(frozenset({"other"}))) == set()
    send_facts(retailops)
    for spelled in ("Stock-Only-7", "stock-only-7", "STOCK-"):
        assert hits(retailops.database, spelled) == {("sku", "", "Stock-Only-7")}, spelled


def test_p38_p47_what_code_of_before_has_written_is_found_after_the_walk_of_a_later_process(
    unfilled: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    retailops = unfilled
    refnum, database = ship_one(retailops)["channel_order_refnum"], retailops.database
    retailops.ask("catalog_push", template_output={"data": {"Product": [record(7, "Tee-Of-Before", "20.00")]}})
    state_stock(retailops, "Only-In-Stock-7")
    send_facts(retailops)
    numbers = ("8004960", "7700501", "6600042", "5500077", "Tee-Of-Before", "Only-In-Stock-7", "ONLY-IN", refnum)
    before = {number: hits(database, number) for number in numbers}
    with database.write() as connection:
        source_numbers = connection.execute(delete(kept).where(kept.c.kind == "source_order")).rowcount
        orders_known = connection.execute(delete(kept).where(kept.c.kind == "order")).rowcount
        connection.execute(delete(kept))
    assert source_numbers and orders_known
    assert {hit[0] for hit in hits(database, refnum.swapcase())} == set()
    assert ("order", refnum, refnum) in hits(database, refnum), "by its whole number it is found where it stands"
    assert ("retailops_order", refnum, "8004960") in hits(database, "8004960")

    monkeypatch.setattr(search_filling, "AT_ONCE", 3)
    filling = SearchFilling(database, database.clock)
    learned: list[list[Any]] = [[]]  # keys by transaction
    failures = [DatabaseUnavailable("away")]

    def note(_: Any, __: Any, sql: str, values: Any, *___: Any) -> None:
        if "INTO search_keys" in sql:
            if failures:
                raise failures.pop()
            given = values.values() if isinstance(values, dict) else values
            [rows] = [value for value in given if str(value).startswith("[[")]
            learned[-1] += [row[:4] for row in json.loads(rows)]

    event.listen(database.engine, "before_cursor_execute", note)
    event.listen(database.engine, "commit", lambda _: learned.append([]))
    with pytest.raises(DatabaseUnavailable):
        filling.turn()
    while filling.turn():
        pass
    event.remove(database.engine, "before_cursor_execute", note)
    assert all(keys == sorted(keys) for keys in learned), "two that learn at once would wait for each other"
    assert {number: hits(database, number) for number in numbers} == before
    assert hits(database, "1ZcAnArY0123456789") == set(), "only its digest was kept"
    with database.read() as connection:
        again = connection.execute(select(func.count()).select_from(kept).where(kept.c.kind == "order")).scalar_one()
    assert again == orders_known


def test_r35_what_a_channel_was_found_by_is_not_filled_again_while_it_is_forgotten(
    unfilled: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship_one(unfilled)
    database = unfilled.database
    state_stock(unfilled, "Only-In-Stock-7")

    def numbers_kept() -> int:
        with database.read() as connection:
            return connection.execute(select(func.count()).select_from(kept)).scalar_one()

    def fill(database: Database) -> None:
        filling = SearchFilling(database, database.clock)
        while filling.turn():
            pass

    def forget(database: Database) -> None:
        forgetting.purge(database, "first")

    # A whole walk before each step of forgetting; then a walk whose pieces are forgotten before they are written.
    with database.write() as connection:
        connection.execute(delete(kept))
    # Another process' database: threads of this one write, too.
    with closing(Database(database.url.render_as_string(hide_password=False))) as other:
        write = other.write

        def before_each(work: Callable[[Database], None]) -> None:
            def worked(*args: Any, **how: Any) -> Any:
                work(database)
                return write(*args, **how)

            monkeypatch.setattr(other, "write", worked)

        before_each(fill)
        forget(other)
        assert numbers_kept() == 0
        state_stock(unfilled, "Only-In-Stock-7")
        before_each(forget)
        fill(other)
    assert numbers_kept() == 0


def test_p38_prefixes_are_read_from_an_index_on_both_databases(retailops: Caller) -> None:
    database, now = retailops.database, utc_now()
    with database.write() as connection:
        many = (Number(f"Order-{number:06}", "order", f"Order-{number:06}") for number in range(5000))
        search_keys.learn(connection, "first", many, now)
    wanted = {
        "ix_search_keys_folded_key": searching.kept(["first"], "order-0049", is_begin=True, limit=50),
        "ix_search_keys_orders": order_list.newest(order_list.Chosen(None), (10**12, "first", "a")).limit(51),
        "ix_search_keys_channel_orders": order_list.newest(order_list.Chosen(["first"]), (10**12, "first", "a"))
        .order_by(kept.c.at.desc(), kept.c.order_refnum.desc())
        .limit(51),
        "ix_journal_request_id": searching.requests_like(
            None, "abcdef_1", is_begin=True, is_sqlite=database.is_sqlite
        ).limit(50),
    }
    for index, statement in wanted.items():
        assert index in plan(database, statement)


def plan(database: Database, statement: Any) -> str:
    """How the database would carry it out, where the table is not so small that it would read it all."""
    with database.write() as connection:
        dialect = connection.dialect if database.is_sqlite else postgresql.dialect()
        written = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        if database.is_sqlite:
            return "\n".join(row[3] for row in connection.exec_driver_sql(f"explain query plan {written}"))
        connection.exec_driver_sql(f"analyze {kept.name}")
        connection.exec_driver_sql("set local enable_seqscan = off")
        return "\n".join(row[0] for row in connection.exec_driver_sql("explain " + written.replace("%", "%%")))
