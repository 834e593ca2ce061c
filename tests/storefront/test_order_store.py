"""Orders kept whole, the units they hold, and when both are gone (R25, R28)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert

from app.domain.stock import StockSent
from app.records import due_facts, search_keys, stock, stock_batches
from app.records.database import Database, DatabaseConflict
from app.records.purge import Purge
from app.records.retention import Terms
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.orders import handed_out
from app.storefront import cart_store as carts
from app.storefront import order_expiry, order_queue, reservations
from app.storefront import order_store as orders
from app.storefront.order_queue import OrderQueue
from app.storefront.retention import CLOCKS

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 2, 3, 12, tzinfo=UTC)
FAR = NOW + timedelta(days=180)


def add(database: Database, refnum: str, at: datetime | None = NOW, **more: Any) -> orders.StoredOrder:
    """An order that may be handed out from `at` on."""
    values: dict[str, Any] = {"cart_id": f"cart-{refnum}", "state": "paid", "body": b"{}", "hook": b"{}", "now": NOW,
                              "exportable_at": at, "purge_after": FAR, **more}  # fmt: skip
    with database.write() as connection:
        return orders.add(connection, "first", refnum, **values)


def waiting(
    database: Database, since: datetime | None = None, until: datetime = FAR, limit: int = 100
) -> list[orders.WaitingOrder]:
    with database.read() as connection:
        return orders.exportable_since(connection, "first", since, until, limit)


def walk(database: Database, since: datetime | None = None, until: datetime = FAR, limit: int = 100) -> list[str]:
    return [order.refnum for order in waiting(database, since, until, limit)]


def test_orders_are_offered_by_the_time_from_which_they_may_go(database: Database) -> None:
    add(database, "c", NOW + timedelta(seconds=2))
    add(database, "b", NOW + timedelta(seconds=1))
    add(database, "a", NOW + timedelta(seconds=1))
    add(database, "waits", None, state="pending")
    assert walk(database) == ["a", "b", "c"]
    assert walk(database, until=NOW) == []
    assert walk(database, since=NOW + timedelta(seconds=2)) == ["c"]
    assert walk(database, limit=1) == ["a", "b"], "what shares a moment stays together"
    assert walk(database, limit=2) == ["a", "b"] and walk(database, limit=3) == ["a", "b", "c"]
    assert "{}" not in repr(waiting(database)), "a document holds personal data"
    with database.write() as connection:
        values = {"channel": "first", "lines": b"[]"}
        connection.execute(insert(handed_out), {**values, "refnum": "a", "acknowledged_at": NOW})
        connection.execute(insert(handed_out), {**values, "refnum": "b", "state": "cancelled", "acknowledged_at": None})
    assert walk(database) == ["c"], "acknowledged or cancelled ones are not offered"


def test_an_order_has_one_cart_and_one_number(database: Database) -> None:
    add(database, "a")
    for refnum, cart_id in (("a", "other"), ("b", "cart-a")):
        with pytest.raises(DatabaseConflict):
            add(database, refnum, cart_id=cart_id)
    with database.read() as connection:
        found = orders.of_cart(connection, "first", "cart-a")
        assert found is not None and found.refnum == "a"
        assert orders.of_cart(connection, "other", "cart-a") is None
        assert set(orders.of_refnums(connection, "first", ["a", "none"])) == {"a"}
        assert orders.get(connection, "first", "none") is None


def test_an_order_that_changes_keeps_what_its_source_said(database: Database) -> None:
    stored = add(database, "a", None, state="pending")
    assert not stored.is_final(NOW)
    with database.write() as connection:
        stored = orders.change(
            connection, stored, now=NOW, purge_after=FAR, body=b"2", hook=b"[1]", state="paid", exportable_at=NOW
        )
        assert (stored.body, stored.hooks, stored.state) == (b"2", b"{}\n[1]", "paid") and stored.is_final(NOW)
        again = orders.change(connection, stored, now=NOW, purge_after=FAR, hook=b"x" * orders.MOST_HOOKS)
        assert again.hooks == stored.hooks, "it does not grow without end"
        called = orders.change(connection, stored, now=NOW, purge_after=FAR, cancelled_at=NOW)
        assert called.body == b"2"
        assert orders.called_off(connection, "first", NOW, NOW) == ["a"]
        assert orders.called_off(connection, "first", NOW + timedelta(seconds=1), FAR) == []
    assert "x" not in repr(stored).replace("exportable", "") and "body" not in repr(stored)


def test_units_are_held_until_retailops_states_the_stock_again_after_the_grace(database: Database) -> None:
    with database.write() as connection:
        reservations.reserve(connection, "first", "1", {"TEE": 2, "MUG": 1})
        reservations.reserve(connection, "first", "1", {"TEE": 1})
        reservations.reserve(connection, "first", "2", {"TEE": 5})
        reservations.reserve(connection, "other", "1", {"TEE": 50})
        reservations.reserve(connection, "first", "3", {})

        def held() -> dict[str, int]:
            return reservations.reserved_units(connection, "first", ["TEE", "MUG", "CAP"])

        def state(skus: list[str], seconds: float) -> list[str]:
            return reservations.settle(connection, "first", skus, NOW + timedelta(seconds=seconds), 300)

        assert held() == {"TEE": 8, "MUG": 1}
        assert state(["TEE", "MUG"], 10_000) == [], "not acknowledged: RetailOps cannot have counted them"
        reservations.note_acknowledged(connection, "first", "1", NOW)
        reservations.note_acknowledged(connection, "first", "1", NOW + timedelta(days=1))
        assert state(["TEE"], 300) == [], "not more than the grace later"
        assert state(["TEE", "CAP"], 301) == ["TEE"]
        assert held() == {"TEE": 5, "MUG": 1}, "a SKU the push does not name stays held"
        assert reservations.release(connection, "first", "2") == ["TEE"]
        assert reservations.release(connection, "first", "2") == []
        assert held() == {"MUG": 1}
        assert reservations.reserved_units(connection, "other", ["TEE"]) == {"TEE": 50}


def test_p26_the_queue_holds_what_waits_and_not_what_retailops_has_had_for_a_while(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_queue, "AT_ONCE", 2)
    long_ago, just_now = NOW - timedelta(hours=1), NOW - timedelta(minutes=1)
    given: dict[str, dict[str, Any]] = {
        "had-1": {"acknowledged_at": long_ago}, "had-2": {"acknowledged_at": long_ago},
        "had-3": {"acknowledged_at": long_ago}, "over": {"state": "completed"},
        "had-just-now": {"acknowledged_at": just_now}, "refusable": {"acknowledged_at": long_ago}, "given": {},
    }  # fmt: skip
    for number, refnum in enumerate([*given, "new"]):
        add(database, refnum, NOW + timedelta(seconds=number), now=long_ago)
    with database.write() as connection:
        for refnum, values in given.items():
            row = {"channel": "first", "refnum": refnum, "lines": b"[]", **values}
            connection.execute(insert(handed_out), row)
        command = {"channel": "first", "callback": "order_acknowledge", "natural_key": "k", "order_refnum": "refusable",
                   "digest": "", "events": b"[]", "request_id": "r", "begun_at": NOW, "lease_until": NOW}  # fmt: skip
        command_id = connection.execute(insert(commands).returning(commands.c.id), command).scalar_one()
        call = {"channel": "first", "gateway": "rally", "verb": "acknowledge_order", "lane": "refusable",
                "command_id": command_id, "about": b"[]", "state": "parked", "next_try_at": NOW, "request_id": "r",
                "created_at": NOW}  # fmt: skip
        connection.execute(insert(deliveries), call)
    offered = walk(database)
    queue = OrderQueue(database, lambda: NOW)
    assert [queue.turn() for _ in range(3)] == [True, True, False]
    with database.read() as connection:
        taken = connection.exec_driver_sql("select refnum from orders where taken_at is not null").scalars()
        assert set(taken) == {"had-1", "had-2", "had-3", "over"}
    with database.write() as connection:
        connection.exec_driver_sql("delete from handed_out where refnum like 'had-_'")
    assert walk(database) == offered == ["given", "new"], "what is taken is not looked up any more"


def test_p32_orders_carts_and_what_they_hold_are_gone_after_their_date(database: Database) -> None:
    add(database, "old", purge_after=NOW + timedelta(days=1))
    for number in range(8):
        add(database, f"old-{number}", purge_after=NOW + timedelta(days=1))
    add(database, "new")
    with database.write() as connection:
        for refnum in ("old", "old-7", "new"):
            reservations.reserve(connection, "first", refnum, {"TEE": 1})
        carts.put(connection, "first", "c-old", b"1", NOW, NOW + timedelta(days=1))
        carts.put(connection, "first", "c-new", b"1", NOW, FAR)
        carts.put(connection, "first", "c-new", b"2", NOW, FAR)
    with database.write() as connection:
        stock.accept(connection, "first", "rally", {"TEE": b"[5,[]]"})
        batch = stock_batches.claim(connection, "first", "rally", token="t", limit=9, now=NOW, lease_s=9)
        assert batch and stock_batches.record(connection, batch, [StockSent("TEE", b"4")])
        assert not due_facts.due(connection, "first", "rally", NOW).stock
        assert search_keys.of_order(connection, "first", "old-7") != []
    late = NOW + timedelta(days=2)
    retention = Purge(database, Terms(), lambda: late, clocks=CLOCKS)
    begun: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda _, __, sql, *___: begun.append(sql))
    while retention.turn():
        pass
    changed = [sql for sql in begun if sql.startswith(("DELETE FROM", "UPDATE handed_out"))]
    assert len(changed) == 5, "as many statements however many orders: a slow database cuts no batch off for ever"
    with database.read() as connection:
        assert search_keys.of_order(connection, "first", "old-7") == []
        assert orders.get(connection, "first", "old") is None and orders.get(connection, "first", "new") is not None
        assert reservations.reserved_units(connection, "first", ["TEE"]) == {"TEE": 1}
        assert due_facts.due(connection, "first", "rally", late).stock, "a unit is for sale again"
        assert carts.get(connection, "first", "c-old", NOW) is None
        assert carts.get(connection, "first", "c-new", NOW) == b"2"
        assert carts.get(connection, "first", "c-new", FAR + timedelta(seconds=1)) is None
    assert {"orders", "carts"} <= {clock.table for clock in CLOCKS}


def test_p32_an_order_that_changed_meanwhile_is_not_purged(database: Database) -> None:
    stored = add(database, "a", purge_after=NOW)
    with database.write() as connection:
        orders.change(connection, stored, now=NOW, purge_after=FAR)
        order_expiry.purge(connection, [("first", "a")], NOW + timedelta(days=1))
        assert orders.get(connection, "first", "a") is not None
