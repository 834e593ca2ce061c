"""Nothing personal stays longer than its clock allows, and nothing else depends on it (R28)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from app.records import claims
from app.records.database import Database
from app.records.purge import BATCH, EVERY, Purge
from app.records.retention import CLOCKS, KEPT, REDACTED, Terms
from app.records.tables import metadata
from app.records.tables.deliveries import commands, deliveries, late_events
from app.records.tables.operations import journal
from app.records.tables.orders import handed_out, held_back, packages
from app.records.tables.server import periodic_work
from app.storefront.retention import CLOCKS as shop_clocks
from tests.databases import set_purge_due
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases
START = datetime(2026, 2, 3, 15, tzinfo=UTC)
CANARY = b'{"order_refnum": "496", "name": "cAnArY0123456789"}'


class Time:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def purge(retention: Purge) -> None:
    while retention.turn():
        pass


def rows(database: Database, query: Any) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(query).all())


def a_command(database: Database, number: int = 1) -> int:
    with database.write() as connection:
        return int(
            connection.execute(
                insert(commands).returning(commands.c.id),
                {
                    "channel": "first", "callback": "order_shipment_submit", "natural_key": f"k{number}",
                    "order_refnum": "496", "digest": "d", "events": b"[]", "request_id": "r", "begun_at": START,
                    "lease_until": START, "finished_at": START,
                },
            ).scalar_one()
        )  # fmt: skip


def a_delivery(database: Database, state: str, at: datetime, **more: Any) -> int:
    command_id = a_command(database, len(rows(database, select(commands))))
    with database.write() as connection:
        return int(
            connection.execute(
                insert(deliveries).returning(deliveries.c.id),
                {
                    "channel": "first", "gateway": "pipe17", "verb": "submit_shipment", "lane": "496",
                    "command_id": command_id, "body": CANARY, "about": b"[]", "state": state, "next_try_at": at,
                    "request_id": "r", "created_at": START, "last_attempt_at": at, **more,
                },
            ).scalar_one()
        )  # fmt: skip


def test_p32_a_body_nobody_could_deliver_is_redacted_180_days_after_its_last_change(database: Database) -> None:
    clock = Time()
    retention = Purge(database, Terms(), clock)
    old = a_delivery(database, "parked", START)
    waiting = a_delivery(database, "owed", START, last_attempt_at=None)
    tried = a_delivery(database, "parked", START + timedelta(days=30))
    clock.now = START + timedelta(days=179)
    purge(retention)
    assert len(rows(database, select(deliveries.c.id).where(deliveries.c.body == CANARY))) == 3
    leased = a_delivery(database, "owed", START, lease_token="t", lease_until=START + timedelta(days=181, minutes=1))
    clock.now = START + timedelta(days=181)
    purge(retention)
    held = {row.id: row for row in rows(database, select(deliveries))}
    for number in (old, waiting):
        assert (held[number].body, held[number].state, held[number].last_code) == (None, "parked", REDACTED)
    for number in (tried, leased):
        assert held[number].body == CANARY
    clock.now = START + timedelta(days=211)
    purge(retention)
    assert all(row.body is None for row in rows(database, select(deliveries)))
    with database.write() as connection:
        assert claims.claim(connection, "first", "pipe17", now=clock.now, lease_s=1, limit=9)[1] == []
    assert len(rows(database, select(commands))) == 4, "the ledger is never purged"


def test_p32_journal_held_back_rows_and_dismissed_news_go_and_the_rest_stays(database: Database) -> None:
    clock = Time()
    line = {"kind": "callback", "channel": "first", "name": "order_pull", "order_refnum": "496", "status": 200,
            "outcome": "success", "duration_ms": 1, "request_id": "r"}  # fmt: skip
    news = {"channel": "first", "gateway": "pipe17", "callback": "order_cancel", "subject": "496", "code": "LATE_X",
            "message": "m", "about": b"[]", "request_id": "r", "at": START, "sent_at": START}  # fmt: skip
    with database.write() as connection:
        connection.execute(insert(journal), [{**line, "at": START} for _ in range(2 * BATCH + 3)])
        connection.execute(insert(journal), {**line, "at": START + timedelta(days=50)})
        connection.execute(
            insert(held_back),
            [
                {"channel": "first", "refnum": "waits", "reason": "r", "since": START + timedelta(days=50)},
                {"channel": "first", "refnum": "sent", "reason": "r", "since": START + timedelta(days=50)},
                {"channel": "first", "refnum": "old", "reason": "r", "since": START},
            ],
        )
        for refnum, at in (("sent", START), ("waits", None)):
            connection.execute(
                insert(handed_out), {"channel": "first", "refnum": refnum, "lines": b"[]", "acknowledged_at": at}
            )
        connection.execute(
            insert(packages),
            {"channel": "first", "order_refnum": "sent", "key": "1", "retailops_shipment_id": "1", "lines": b"[]",
             "registered_at": START},
        )  # fmt: skip
        connection.execute(insert(late_events), [{**news, "dismissed_at": START}, {**news, "dismissed_at": None}])
    clock.now = START + timedelta(days=91)
    purge(Purge(database, Terms(), clock))
    assert [row.at for row in rows(database, select(journal))] == [START + timedelta(days=50)]
    assert [row.refnum for row in rows(database, select(held_back))] == ["waits"]
    assert [row.dismissed_at for row in rows(database, select(late_events))] == [None]
    assert len(rows(database, select(handed_out))) == 2 and len(rows(database, select(packages))) == 1


def test_one_process_at_a_time_purges_and_another_takes_over_when_it_dies(database: Database) -> None:
    clock = Time()
    line = {"at": START - timedelta(days=100), "kind": "callback", "channel": "first", "name": "x",
            "order_refnum": "", "outcome": "success", "duration_ms": 1, "request_id": "r"}  # fmt: skip

    def fill() -> None:
        with database.write() as connection:
            connection.execute(insert(journal), line)

    def left() -> int:
        return len(rows(database, select(journal.c.id)))

    first, second = (Purge(database, Terms(), clock) for _ in range(2))
    purge(first)
    fill()
    purge(second)
    assert left() == 1, "the hour is not over"
    clock.now += timedelta(minutes=61)
    assert second._take_turn(clock.now), "it has the turn, and now it dies"
    purge(first)
    assert left() == 1
    clock.now += timedelta(minutes=6)
    purge(first)
    assert left() == 0
    fill()
    assert not second.turn(), "the one that was thought dead finds its turn taken"
    assert left() == 1


def test_p32_every_table_names_its_clock_or_why_it_is_kept() -> None:
    clocks = {clock.table for clock in (*CLOCKS, *shop_clocks)}
    assert clocks | set(KEPT) == set(metadata.tables)
    assert not clocks & set(KEPT)


def test_the_purge_needs_no_scheduler(database: Database, build_app: Any) -> None:
    set_purge_due(database, START - EVERY)
    build_app()
    eventually(lambda: rows(database, select(periodic_work.c.due_at))[0].due_at > START)
