"""Lists of what happened: paged to the end without a gap, cut to what the reader may see, acted on as shown (P39)."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from flask import Flask
from sqlalchemy import insert, update

from app.contract.schemas import Contract
from app.domain.events import Event
from app.operations import (
    acts,
    bulk_acts,
    callback_log,
    catalogue,
    deliveries,
    hooks,
    late_events,
    operator_log,
    orders,
    refunds,
    settings_view,
    stock,
)
from app.operations.callback_log import CallbackChoice
from app.operations.deliveries import DeliveryFilter
from app.operations.hooks import HookChoice
from app.operations.operators import operator
from app.operations.paging import Page
from app.operations.refunds import RefundChoice
from app.operations.scope import Scope
from app.records import late_events as late_records
from app.records import refunds as ledger
from app.records import search_keys
from app.records.database import Database
from app.records.journal import Journal
from app.records.refunds import Entry
from app.records.search_keys import Number
from app.records.tables import deliveries as tables
from app.records.tables.channels import channels as channel_rows
from app.records.tables.operations import journal as lines
from app.records.tables.orders import held_back
from tests.gateways.vendors.rally.shop import opened, record
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases

ALL, FIRST, NOBODY = Scope(), Scope(frozenset({"first"})), Scope(frozenset())
SEVERAL = Scope(frozenset({"first", "third"}))
ADA = operator("Ada", "seen at the vendor")

Row = TypeVar("Row")


def walked(page: Callable[[str], Page[Row]]) -> list[Row]:
    """All rows, page after page; there is an end."""
    rows: list[Row] = []
    after = ""
    for _ in range(1000):
        found = page(after)
        rows += found.rows
        after = found.after
        if not after:
            return rows
    raise AssertionError("the list has no end")


def test_the_log_is_walked_to_its_end_and_finds_what_is_rare(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = database.now()
    rows = [
        {"at": now - timedelta(seconds=number // 3), "kind": "vendor" if number % 5 == 0 else "callback",
         "channel": ("first", "second")[number % 2], "name": "order_pull", "order_refnum": "", "outcome": "success",
         "status": 503 if number == 299 else 200, "duration_ms": number, "request_id": f"request-{number}"}
        for number in range(300)
    ]  # fmt: skip
    with database.write() as connection:
        connection.execute(insert(lines), rows)

    def seen(scope: Scope, **chosen: Any) -> list[str]:
        found = walked(lambda after: callback_log.find(database, scope, CallbackChoice(**chosen), after=after))
        assert [row.at for row in found] == sorted((row.at for row in found), reverse=True)
        return [row.request_id for row in found]

    callbacks = [row["request_id"] for row in rows if row["kind"] == "callback"]
    assert sorted(seen(ALL)) == sorted(callbacks), "by full pages"
    monkeypatch.setattr(callback_log, "SEARCHED", 40)
    assert sorted(seen(ALL)) == sorted(callbacks), "by pages that end where the search stops"
    assert len(seen(FIRST)) == 120 and seen(NOBODY) == []
    assert callback_log.find(database, FIRST, CallbackChoice(status_class="5")).after.endswith("000-0")
    assert seen(ALL, status_class="5") == ["request-299"], "in the last lines that are looked through"
    assert seen(ALL, slower_than_ms=297) == ["request-299", "request-298"]
    assert seen(ALL, request_id="request-7") == ["request-7"]
    assert seen(ALL, channel="second", outcome="SUCCESS", callback="order_pull", until=now - timedelta(seconds=98)) == [
        "request-299", "request-297"
    ]  # fmt: skip
    assert seen(ALL, callback="order_cancel") == []
    stopped = callback_log.find(database, ALL, CallbackChoice(status_class="5"))
    assert stopped.rows == () and stopped.searched_to is not None and stopped.after


def test_p40_a_reader_of_a_rare_channel_gets_pages_that_stop_and_go_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also at moments that many rows share."""
    now, numbers = database.now(), range(200)
    moments = [now - timedelta(milliseconds=number // 3) for number in numbers]
    made = [
        {"at": at, "kind": "hook", "channel": "other", "name": "rally cart/fetch", "order_refnum": "",
         "outcome": "success", "status": 200, "duration_ms": 1, "request_id": f"hook-{number}"}
        for number, at in zip(numbers, moments, strict=True)
    ]  # fmt: skip
    made[199] |= {"channel": "first", "order_refnum": "cart-9"}
    with database.write() as connection:
        connection.execute(insert(channel_rows), {"key": "first", "name": "first", "registered_at": now})
        connection.execute(insert(lines), made)
        for number, at in zip(numbers, moments, strict=True):
            channel = "first" if number == 199 else "other"
            search_keys.learn(connection, channel, [Number(f"O-{number}", "order", f"O-{number}")], at)
        connection.execute(
            insert(held_back),
            [{"channel": name, "refnum": f"O-{n}", "reason": "x", "since": now}
             for name, n in (("first", 199), ("other", 198), ("other", 1000))],
        )  # fmt: skip
        for number in numbers:
            late_records.note(
                connection, channel="other" if number else "first", gateway="pipe17", callback="order_cancel",
                subject=f"O-{number}", event=Event("warning", "LATE_X", "it is parked"), request_id="r", now=now,
            )  # fmt: skip
    for module in (hooks, orders, late_events):
        monkeypatch.setattr(module, "SEARCHED", 40)

    def of_hooks(after: str, scope: Scope = FIRST, **chosen: Any) -> Page[hooks.HookRow]:
        return hooks.listing(database, scope, HookChoice(**chosen), after=after)

    def of_orders(after: str, scope: Scope = SEVERAL, **chosen: Any) -> Page[orders.OrderRow]:
        return orders.listing(database, scope, orders.Sources(), orders.OrderFilter(**chosen), after=after)

    def of_late(after: str, *, is_open: bool = False, subject: str = "") -> Page[late_events.LateEventRow]:
        return late_events.find(database, FIRST, is_open=is_open, subject=subject, after=after)

    for page in (of_hooks, of_orders, of_late):
        first: Page[Any] = page("")
        assert first.rows == () and first.after
        assert first.searched_to is not None and first.searched_to.microsecond == 0, "of no row of another channel"
    assert of_hooks("").after.endswith("000-0")
    place = of_orders("").after
    assert b'000,"",""' in urlsafe_b64decode(place + "==")
    assert b"other" not in urlsafe_b64decode(place + "==") and b"O-" not in urlsafe_b64decode(place + "==")
    assert [row.request_id for row in walked(of_hooks)] == ["hook-199"]
    assert [row.refnum for row in walked(of_orders)] == ["O-199"]
    assert [row.refnum for row in of_orders("", FIRST).rows] == ["O-199"], "one channel's have an index"
    for scope, held in ((FIRST, ["O-199"]), (SEVERAL, ["O-199"]), (ALL, ["O-198", "O-199"]), (NOBODY, [])):
        found = of_orders("", scope, state="held back")
        assert [row.refnum for row in found.rows] == held and not found.after, "so has what is held back"
    assert [row.subject for row in walked(of_late)] == ["O-0"]
    for found in (of_late("", is_open=True), of_late("", subject="O-0")):
        assert [row.subject for row in found.rows] == ["O-0"] and not found.after, "an index finds it at once"
    assert len(walked(lambda after: of_hooks(after, ALL, channel="first", topic="cart/fetch"))) == 1
    assert len(of_hooks("", ALL, order="cart-9").rows) == len(of_hooks("", ALL, request_id="hook-199").rows) == 1
    assert of_hooks("", NOBODY, order="cart-9").rows == of_hooks("", NOBODY, request_id="hook-199").rows == ()
    assert len({row.request_id for row in walked(lambda after: of_hooks(after, ALL))}) == 200
    assert len(walked(lambda after: of_hooks(after, ALL, vendor="rally"))) == 200
    assert [row.refnum for row in walked(lambda after: of_orders(after, ALL)) if row.state == "waiting"] == [
        row.refnum for row in walked(lambda after: of_orders(after, ALL, state="waiting"))
    ]
    assert len(walked(lambda after: of_orders(after, ALL))) == 200
    assert walked(lambda after: of_orders(after, ALL, state="cancelled")) == []


def test_p40_a_search_that_stops_at_a_whole_second_leaves_out_no_row_of_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "SEARCHED", 2)
    at = database.now().replace(microsecond=0)
    made = [
        {"at": moment, "kind": "hook", "channel": channel, "name": "rally cart/fetch", "order_refnum": "",
         "outcome": "success", "status": 200, "duration_ms": 1, "request_id": f"hook-{number}"}
        for number, (channel, moment) in enumerate([("first", at), ("other", at), ("other", at + timedelta(seconds=5))])
    ]  # fmt: skip
    with database.write() as connection:
        connection.execute(insert(lines), made)
    found = walked(lambda after: hooks.listing(database, FIRST, HookChoice(), after=after))
    assert [row.request_id for row in found] == ["hook-0"]


def test_one_callback_shows_its_events_its_vendor_calls_and_what_it_left_to_be_made(
    retailops: Caller, pipe17: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = retailops.database
    order = next(order for order in retailops.pull() if len(order["order_items"]) == 1)
    retailops.acknowledge(order["channel_order_refnum"])
    retailops.app.extensions["works"].dispatcher.stop()  # what is owed is not tried again while it is looked at
    pipe17.fault(kind="status", code=503, match={"method": "POST"})
    retailops.ship(order)
    retailops.app.extensions["works"].journal.flush()
    [line] = callback_log.find(database, ALL, CallbackChoice(callback="order_shipment_submit")).rows
    found = callback_log.one(database, FIRST, line.id)
    assert found is not None
    assert found.line == line and line.order == order["channel_order_refnum"]

    def of_order() -> list[str]:
        wanted = CallbackChoice(order=line.order)
        rows = walked(lambda after: callback_log.find(database, FIRST, wanted, after=after))
        assert {row.order for row in rows} == {line.order}
        return [row.callback for row in rows]

    assert of_order() == ["order_shipment_submit", "order_acknowledge"], "what was about many orders, by the ledger"
    with monkeypatch.context() as patch:
        patch.setattr(callback_log, "PAGE", 1)
        assert of_order() == ["order_shipment_submit", "order_acknowledge"], "on whichever page"
    [left] = callback_log.calls_left(database, [line])[line]
    assert (left.vendor, left.verb, left.id) == ("pipe17", "submit_shipment", found.deliveries[0].id)
    assert {call.vendor for call in found.vendor_calls} == {"pipe17"} and found.vendor_calls[-1].status == 503
    [owed] = found.deliveries
    assert (owed.verb, owed.state) == ("submit_shipment", "owed")
    shown = deliveries.one(database, FIRST, {}, owed.id)
    assert shown is not None and shown.callback == "order_shipment_submit"
    assert [(item.number, item.status) for item in shown.attempts][:1] == [(1, 503)]
    assert shown.fields and shown.size and shown.may.drop == ""
    assert callback_log.one(database, NOBODY, line.id) is None
    assert deliveries.one(database, NOBODY, {}, owed.id) is None
    of_order = deliveries.find(database, ALL, DeliveryFilter(order=line.order)).rows
    assert [row.verb for row in of_order] == ["submit_shipment", "acknowledge_order"]


def test_p40_a_callback_of_an_order_is_not_shown_with_what_came_of_another_of_the_same_request_id(
    database: Database,
) -> None:
    """A request id is whatever its sender chose; what has no line of its own says so."""
    now = database.now()
    command = {
        "channel": "first", "natural_key": "O-1", "order_refnum": "O-1", "digest": "", "events": b"[]",
        "request_id": "r", "begun_at": now, "lease_until": now, "finished_at": now,
    }  # fmt: skip
    line = {
        "at": now, "kind": "callback", "channel": "first", "name": "order_pull", "order_refnum": "", "outcome": "x",
        "status": 503, "duration_ms": 1, "request_id": "r",
    }  # fmt: skip
    many = [line | {"at": now + timedelta(seconds=1), "kind": "vendor", "name": "pipe17 GET /"}] * 2000
    own = {"name": "order_acknowledge", "status": 200}
    with database.write() as connection:
        connection.execute(insert(channel_rows), {"key": "first", "name": "first", "registered_at": now})
        for callback in ("order_acknowledge", "order_cancel"):
            connection.execute(insert(tables.commands), command | {"callback": callback})
        others = {"name": "order_cancel", "order_refnum": "O-2"}
        connection.execute(insert(lines), [line, line | own, line | others, *many])

    def shown() -> set[tuple[str, int | None]]:
        found = callback_log.find(database, FIRST, CallbackChoice(order="O-1"))
        return {(row.callback, row.status) for row in found.rows}

    assert shown() == {("order_acknowledge", 200), ("order_cancel", None)}
    with database.write() as connection:
        connection.execute(insert(lines), line | {"name": "order_cancel", "order_refnum": "O-1\t", "status": 200})
    assert shown() == {("order_acknowledge", 200), ("order_cancel", 200)}, "blanks at its ends are no other number"


def calls(database: Database, states: list[str], channel: str = "first") -> list[int]:
    now = database.now()
    ids = []
    with database.write() as connection:
        for number, state in enumerate(states):
            command = {
                "channel": channel, "callback": "order_cancel", "natural_key": f"{channel}{number}",
                "order_refnum": f"O-{number}", "digest": "", "events": b"[]", "request_id": "r", "begun_at": now,
                "lease_until": now, "finished_at": now,
            }  # fmt: skip
            command_id = connection.execute(
                insert(tables.commands).returning(tables.commands.c.id), command
            ).scalar_one()
            row = {
                "channel": channel, "gateway": "pipe17", "verb": "submit_shipment", "lane": f"O-{number}",
                "command_id": command_id, "body": b"{}", "about": b"[]", "state": state, "request_id": "r",
                "created_at": now, "next_try_at": now + timedelta(days=9), "attempts": 7,
            }  # fmt: skip
            ids.append(
                int(connection.execute(insert(tables.deliveries).returning(tables.deliveries.c.id), row).scalar_one())
            )
    return ids


def test_calls_are_listed_by_state_to_the_end(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "SEARCHED", 30)
    states = ["parked", "owed", "delivered", "checking", "dropped", "delivered"] * 30
    ids = calls(database, states)
    others = calls(database, ["parked"], channel="second")
    for wanted in (("parked",), ("owed", "checking"), ("delivered",), ("dropped",), ("refused",), ()):
        found = walked(lambda after, s=wanted: deliveries.find(database, FIRST, DeliveryFilter(states=s), after=after))
        expected = [number for number, state in zip(ids, states, strict=True) if state in wanted or not wanted]
        assert [row.id for row in found] == expected[::-1]
    everything = walked(lambda after: deliveries.find(database, ALL, DeliveryFilter(states=("parked",)), after=after))
    assert everything[0].id == others[0]


def test_p39_a_bulk_act_changes_exactly_what_was_previewed(database: Database) -> None:
    ids = calls(database, ["parked", "parked", "parked", "delivered", "parked"])
    parked = DeliveryFilter(states=("parked",))
    [other] = calls(database, ["parked"], channel="second")
    shown = bulk_acts.preview(database, FIRST, {}, "drop", parked)
    assert shown.count == 4 and [row.id for row in shown.sample] == [ids[0], ids[1], ids[2], ids[4]]
    assert not shown.has_more and shown.refused == {}
    with database.write() as connection:
        connection.execute(update(tables.deliveries).where(tables.deliveries.c.id == ids[1]).values(attempts=8))
    with pytest.raises(ValueError, match="reason"):
        bulk_acts.act_on(database, FIRST, {}, "drop", replace(ADA, reason=""), shown.expected)
    done = bulk_acts.act_on(database, FIRST, {}, "drop", ADA, shown.expected)
    assert done.done == (ids[0], ids[2], ids[4]) and list(done.left) == [ids[1]]
    again = bulk_acts.act_on(database, FIRST, {}, "drop", ADA, shown.expected)
    assert again.done == () and len(again.left) == 4
    assert [item.act for item in operator_log.find(database, ALL).rows] == ["deliveries.drop"] * 3
    outside = bulk_acts.act_on(database, FIRST, {}, "drop", ADA, f"{other}.parked.7")
    assert outside.done == () and outside.left == {other: "there is no such call"}
    blind = bulk_acts.preview(database, ALL, {}, "retry", parked)
    assert blind.count == 0 and sum(blind.refused.values()) == 2, "no gateway carries it out any more"
    for nonsense in ("", "1", "1.parked", "x.parked.1", ",".join(f"{n}.parked.1" for n in range(1001))):
        with pytest.raises(ValueError):
            bulk_acts.act_on(database, ALL, {}, "drop", ADA, nonsense)


def test_p39_a_refund_is_released_as_it_was_shown_and_once(database: Database) -> None:
    now = database.now()
    with database.write() as connection:
        for number, (channel, state) in enumerate([("first", "parked"), ("first", "accepted"), ("second", "parked")]):
            entry = Entry(
                f"k{number}", f"O-{number}", "ch_1", "order_returned", f"n{number}", Decimal("5.00"), "USD", state
            )  # type: ignore[arg-type]
            ledger.put(connection, channel, entry, now)
    [row] = refunds.find(database, FIRST, RefundChoice(is_in_doubt=True)).rows
    assert row.can_be_released and row.release == "given_free"
    assert [item.entry.state for item in refunds.find(database, FIRST, RefundChoice()).rows] == ["accepted", "parked"]
    assert len(refunds.find(database, ALL, RefundChoice(state="parked")).rows) == 2
    assert refunds.find(database, NOBODY, RefundChoice()).rows == ()
    full = refunds.one(database, FIRST, row.entry.id)
    assert full is not None and full.given_back == Decimal("5.00")
    assert refunds.one(database, NOBODY, row.entry.id) is None
    assert refunds.release(database, NOBODY, ADA, row.entry.id, row.shown, now) == "unknown"
    with pytest.raises(ValueError, match="reason"):
        refunds.release(database, FIRST, replace(ADA, reason=""), row.entry.id, row.shown, now)
    assert refunds.release(database, FIRST, ADA, row.entry.id, row.shown, now) == "given_free"
    assert refunds.release(database, FIRST, ADA, row.entry.id, row.shown, now) == "changed"
    [act] = operator_log.find(database, FIRST).rows
    assert (act.act, act.who, act.outcome) == ("refunds.release", "Ada", "given_free")
    assert operator_log.find(database, NOBODY).rows == ()


def test_a_sku_shows_what_was_stated_and_what_the_vendor_received(
    retailops: Caller, pipe17: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = retailops.database
    order = next(order for order in retailops.pull() if len(order["order_items"]) == 1)
    sku = order["order_items"][0]["sku"]
    detail = {"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": 7, "total_quantity": 7}
    names = (sku, "nobody-has-this", *(f"T-{number:03}" for number in range(120)))
    rows = [{"sku": name, "quantity_available": 7, "quantity_detail": [detail]} for name in names]
    retailops.ask("inventory_push", inventory_updates=rows)

    def vendor(name: str) -> stock.StockAtVendor:
        found = stock.one(database, FIRST, "first", name, gateways=retailops.app.extensions["works"].gateways)
        assert found is not None
        return found.vendors[0]

    eventually(lambda: not vendor(sku).is_owed and not vendor("nobody-has-this").is_owed)
    assert vendor(sku).level.quantity_available == 7 and vendor(sku).sent_at is not None and vendor(sku).refusal == ""
    assert list(vendor(sku).sent.values()) == ["7 on hand, 0 of them not for sale"]
    assert vendor("nobody-has-this").refusal
    assert [item.code for item in vendor("nobody-has-this").obstacles] == ["product"]
    many = walked(lambda after: stock.find(database, FIRST, "t-", after=after))
    assert [row.sku for row in many] == [f"T-{n:03}" for n in range(120)]
    assert len(walked(lambda after: stock.find(database, ALL, after=after))) == 122
    assert stock.find(database, ALL, "t-%").rows == () == stock.find(database, NOBODY, "t-").rows
    monkeypatch.setattr(stock, "SEARCHED", 40)
    rare = stock.find(database, FIRST, "t-11")
    assert rare.rows == () and rare.after
    assert [row.sku for row in walked(lambda after: stock.find(database, FIRST, "t-11", after=after))] == [
        f"T-{number}" for number in range(110, 120)
    ]
    assert walked(lambda after: stock.find(database, FIRST, "t-", after=after)) == many
    assert stock.one(database, NOBODY, "first", sku) is None and stock.one(database, ALL, "first", "none") is None


def test_a_product_shows_what_was_stated_and_what_the_shop_received(
    build_app: Callable[..., Flask], contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Scope(frozenset({"shop"}))
    with opened(build_app, contract, has_hooks=False) as shop:
        shop.push([record(at, f"Cup-{at:03}", "20.00") for at in range(60)])
        shop.settle()
        rows = walked(lambda after: catalogue.find(shop.database, mine, "cup-", after=after))
        assert [row.sku for row in rows] == [f"Cup-{at:03}" for at in range(60)]
        assert (rows[0].title, rows[0].channel, rows[0].is_enabled) == ("Cup-000", "shop", True)
        found = catalogue.one(shop.database, mine, "shop", "Cup-007")
        assert found is not None and found.product.item.price == Decimal("20.00")
        [vendor] = found.vendors
        assert (vendor.gateway, vendor.is_owed, vendor.refusal) == ("rally", False, "")
        shop.set_stock(**{"Cup-007": 4})
        shop.settle()
        gateways = shop.retailops.app.extensions["works"].gateways
        level = stock.one(shop.database, mine, "shop", "Cup-007", gateways=gateways)
        assert level is not None and level.vendors[0].sent == {"": "4"}
        assert catalogue.one(shop.database, NOBODY, "shop", "Cup-007") is None
        assert catalogue.one(shop.database, ALL, "shop", "none") is None
        assert catalogue.find(shop.database, NOBODY).rows == ()
        assert catalogue.find(shop.database, ALL, channel="other").rows == ()
        monkeypatch.setattr(catalogue, "SEARCHED", 20)
        rare = catalogue.find(shop.database, mine, "cup-05")
        assert rare.rows == () and rare.after
        found = walked(lambda after: catalogue.find(shop.database, mine, "CUP-05", after=after))
        assert [row.sku for row in found] == [f"Cup-05{at}" for at in range(10)]
        assert walked(lambda after: catalogue.find(shop.database, mine, "cup-", after=after)) == rows


def test_late_events_are_listed_until_they_are_dismissed(database: Database) -> None:
    now = database.now()
    with database.write() as connection:
        for channel in ("first", "second"):
            late_records.note(
                connection, channel=channel, gateway="pipe17", callback="order_cancel", subject="O-1",
                event=Event("warning", "LATE_X", "it is parked"), request_id="r", now=now,
            )  # fmt: skip
    [mine] = late_events.find(database, FIRST).rows
    assert (mine.code, mine.channel, mine.sent_at) == ("LATE_X", "first", None)
    assert acts.dismiss(database, ADA, [mine.id], now) == {mine.id}
    assert acts.dismiss(database, ADA, [mine.id], now) == set()
    assert late_events.find(database, FIRST).rows == ()
    assert len(late_events.find(database, FIRST, is_open=False).rows) == 1
    assert len(late_events.find(database, ALL).rows) == 1


def test_p20_settings_show_no_secret_and_a_reader_of_one_channel_sees_that_alone(retailops: Caller) -> None:
    configured = retailops.app.extensions["works"].configured
    tables_of = settings_view.shown(configured, FIRST)
    assert {table.table for table in tables_of} == {"channel", "channel.pipe17"}
    assert settings_view.shown(configured, NOBODY) == []
    everything = settings_view.shown(configured, ALL)
    assert everything[0].table == "environment"
    shown = repr(everything)
    assert all(secret not in shown for secret in configured.secrets() if secret)


def test_journal_of_an_unknown_key_is_for_those_who_see_all(database: Database) -> None:
    journal = Journal(database)
    journal.callback(
        name="order_pull", channel="", order_refnum="", status=401, outcome="WRONG_KEY", duration_s=0, request_id="r"
    )
    journal.flush()
    assert len(callback_log.find(database, ALL, CallbackChoice()).rows) == 1
    assert callback_log.find(database, FIRST, CallbackChoice()).rows == ()
