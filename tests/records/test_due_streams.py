"""One look finds what is due for all gateways: the same that a look for each of them finds, by indexes alone."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.records import claims, due_facts, purchase_reports
from app.records.database import Database
from app.records.indexed_streams import Stream
from app.records.tables.catalogue import catalogue_sync
from app.records.tables.deliveries import deliveries
from app.records.tables.gateways import pending_reports
from app.records.tables.orders import handed_out
from app.records.tables.stock import fact_obstacles, stock, sync_states
from tests.records.filled_outbox import START, STREAM, fill

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 2, 3, 12, tzinfo=UTC)
WITHIN = timedelta(seconds=3)
EVERY_S = 60.0


def some_moment(roll: random.Random) -> datetime | None:
    return roll.choice([None, NOW + timedelta(seconds=roll.choice([-70, -61, -59, -1, 0, 1, 2, 3, 4, 60]))])


def keep_anything(database: Database, roll: random.Random, stream: Stream) -> None:
    """Facts, pauses, polls and hints of a gateway, as they may come together."""
    own = {"channel": stream[0], "gateway": stream[1]}
    state = {name: some_moment(roll) for name in ("next_try_at", "catalogue_next_try_at", "poll_due_at", "hinted_at")}
    with database.write() as connection:
        if roll.random() < 0.8:
            connection.execute(sa.insert(sync_states), {**own, **state})
        for number in range(roll.randrange(3)):
            fact = {**own, "seq": 2, "sent_seq": roll.choice([1, 2, 2]), "again_at": some_moment(roll)}
            moved = {"moved_at": roll.choice([None, NOW]), "level": b"{}"}
            connection.execute(sa.insert(stock), {**fact, **moved, "sku": f"S{number}"})
        for number in range(roll.randrange(2)):
            fact = {**own, "seq": 2, "sent_seq": roll.choice([1, 2]), "again_at": some_moment(roll)}
            connection.execute(sa.insert(catalogue_sync), {**fact, "root_key": f"R{number}"})
        if roll.random() < 0.3:
            obstacle = {"kind": "stock", "fact": "S", "code": "product", "subject": "P"}
            connection.execute(sa.insert(fact_obstacles), {**own, **obstacle})


def test_r13_a_look_for_all_gateways_finds_what_a_look_for_each_finds(database: Database, seed: int) -> None:
    roll = random.Random(seed)
    streams = [(f"c{number:03}", token) for number in range(40) for token in ("pipe17", "rally")]
    for stream in streams:
        keep_anything(database, roll, stream)
    polled = {stream: EVERY_S for stream in streams if stream[1] == "pipe17"}

    def is_due(stream: Stream, at: datetime) -> bool:
        with database.read() as connection:  # each time anew, for no transaction may last for long
            due = due_facts.due(connection, *stream, at, poll_every_s=polled.get(stream, 0.0))
        return due.poll or due.catalogue or due.stock

    with database.read() as connection:
        found = due_facts.due_streams(connection, NOW, NOW + WITHIN, polled)
    assert {stream for stream, at in found.items() if at <= NOW} == {
        stream for stream in streams if is_due(stream, NOW)
    }
    for stream, at in found.items():
        assert is_due(stream, max(at, NOW))
        assert at <= NOW or not is_due(stream, at - timedelta(milliseconds=1))
    later = NOW + WITHIN
    assert {*found} >= {stream for stream in streams if is_due(stream, later)}


def test_r12_the_next_call_that_will_be_due_is_known_and_a_held_one_is_not_due(database: Database) -> None:
    at = START + timedelta(seconds=2)
    fill(database, lanes=8, calls=1)
    kinds: list[tuple[str, dict[str, object]]] = [
        ("later", {"next_try_at": at}),
        ("much later", {"next_try_at": START + timedelta(minutes=2)}),
        ("held", {"lease_token": "t", "lease_until": at}),
    ]
    with database.write() as connection:
        for number, (channel, values) in enumerate(kinds):
            some = deliveries.c.id.in_([2 * number + 1, 2 * number + 2])
            connection.execute(sa.update(deliveries).where(some).values(channel=channel, **values))
        later, held = ("later", STREAM[1]), ("held", STREAM[1])
        assert claims.due_streams(connection, START) == {STREAM: START}
        assert claims.due_streams(connection, START, START + WITHIN) == {STREAM: START, later: at}
        assert {*claims.due_streams(connection, at)} == {STREAM, later, held}


def test_p15_what_is_due_for_all_is_found_by_partial_indexes(database: Database) -> None:
    """Of 20,000 levels that are sent and one that is not, in 200 channels."""
    rows = [
        {"channel": f"c{number % 200:03}", "gateway": "pipe17", "sku": f"S{number}", "level": b"", "seq": 1}
        for number in range(20_000)
    ]
    with database.write() as connection:
        connection.execute(sa.insert(stock), rows)
        connection.execute(sa.update(stock).where(stock.c.sku != "S777").values(sent_seq=1))
    plans: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        cursor.execute(("EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN ") + statement, parameters)
        plans.append(" ".join(str(row) for row in cursor.fetchall()))

    with database.read() as connection:
        sa.event.listen(database.engine, "before_cursor_execute", note)
        assert [*due_facts.due_streams(connection, NOW, NOW + WITHIN, {})] == [("c177", "pipe17")]
        sa.event.remove(database.engine, "before_cursor_execute", note)
    [plan] = plans
    for index in ("ix_stock_owed", "ix_stock_again", "ix_catalogue_sync_owed", "ix_catalogue_sync_again"):
        assert index in plan, plan
    assert "stock USING PRIMARY KEY" not in plan and "Seq Scan on stock" not in plan, plan


def test_r17_one_look_finds_every_observer_with_a_report_whose_moment_has_come(database: Database) -> None:
    orders: dict[str, dict[str, object]] = {
        "acknowledged": {"acknowledged_at": NOW},
        "completed": {"acknowledged_at": NOW, "state": "completed"},
        "cancelled": {"state": "cancelled"},
        "open": {},
        "cancelled there": {"acknowledged_at": NOW, "source_cancelled_at": NOW},
    }
    with database.write() as connection:
        for channel, values in orders.items():
            order = {"channel": channel, "refnum": "R", "lines": b"[]"}
            connection.execute(sa.insert(handed_out).values(**order, **values))
            report = {"channel": channel, "gateway": "observer", "refnum": "R", "body": b"", "seen_at": NOW}
            connection.execute(sa.insert(pending_reports), report)
        for moment, others in (("acknowledgement", {"acknowledged", "completed"}), ("completion", {"completed"})):
            found = purchase_reports.ripe_streams(connection, moment)
            assert found == {(channel, "observer") for channel in others | {"cancelled"}}
