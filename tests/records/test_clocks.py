"""Clocks that are wrong, or are set while we run, change nothing (P45, R36)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app import clock
from app.operations import acts, operators
from app.records import claims, freeing, heartbeat, leases, outbox, sync_state
from app.records.database import Database
from app.records.tables.deliveries import deliveries
from app.records.tables.server import heartbeat as heartbeats
from app.records.tables.stock import sync_states
from tests.databases import open_database
from tests.records.filled_outbox import fill

pytestmark = pytest.mark.both_databases

STREAM = ("first", "pipe17")
DAY = timedelta(days=1)


def beat(database: Database, now: datetime) -> timedelta | None:
    with database.write() as connection:
        return heartbeat.beat(connection, now)


def test_p45_a_process_whose_clock_is_a_day_ahead_decides_as_the_others(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert abs(database.now() - datetime.now(UTC)) < timedelta(seconds=5)
    other = open_database(database_url)
    now_s = time.time
    monkeypatch.setattr(time, "time", lambda: now_s() + DAY.total_seconds())
    assert clock.utc_now() > datetime.now(UTC) + DAY / 2
    try:
        for one in (other, database):
            assert abs(one.now() - datetime.now(UTC)) < timedelta(seconds=5), "the interpreter's own is right"
            one.beat()
        assert abs(other.now() - database.now()) < timedelta(seconds=1)
    finally:
        other.close()


def test_p45_a_clock_that_is_begun_anew_is_that_of_the_next_process(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as connection:
        long_ago = clock.utc_now() - DAY
        connection.execute(sa.update(heartbeats).values(at=long_ago, seen=long_ago))
    url = database.url.render_as_string(hide_password=False)
    first, second = Database(url), Database(url)
    now_s = time.time
    begun = first.now()
    assert abs(begun - datetime.now(UTC)) < timedelta(seconds=5)
    monkeypatch.setattr(time, "time", lambda: now_s() + DAY.total_seconds())
    try:
        assert abs(second.now() - begun) < timedelta(seconds=5)
    finally:
        first.close()
        second.close()


def test_p45_a_clock_that_is_asked_while_the_process_stands_still_is_not_believed() -> None:
    shared = clock.SharedClock()
    now_s, boot_s = time.time(), clock.boot_s()
    shared.learn(now_s, boot_s - 0.01, boot_s)
    shared.learn(now_s - 20.0, boot_s - 40.0, boot_s)
    assert abs(shared().timestamp() - time.time()) < 1
    shared.learn(now_s + 120.0, boot_s - 0.01, boot_s)
    assert abs(shared().timestamp() - time.time() - 120.0) < 1, "the server's clock was set"


def test_p45_a_process_that_stands_still_between_its_two_clocks_reads_them_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = clock.started_at()
    stops, boot_s = iter([0.0, 0.05, 0.05, 0.05]), clock.boot_s

    def interrupted() -> float:
        time.sleep(next(stops, 0.0))
        return boot_s()

    monkeypatch.setattr(clock, "boot_s", interrupted)
    for _ in range(2):
        assert abs(clock.started_at() - expected) < timedelta(milliseconds=10)


def test_p45_only_time_that_was_seen_passing_counts_for_credits_and_purges(database: Database) -> None:
    with database.read() as connection:
        row = connection.execute(sa.select(heartbeats)).one()
    start, seen = row.at, row.seen
    for minutes in (50, 100, 150):
        assert beat(database, start + timedelta(minutes=minutes)) is None
    at = start + timedelta(minutes=150)
    with database.read() as connection:
        assert heartbeat.seen_at(connection, at) == seen + timedelta(minutes=150)
        assert heartbeat.purging_at(connection, at) == at
        for ahead in (at + DAY, at + timedelta(minutes=61)):
            assert heartbeat.seen_at(connection, ahead) == seen + timedelta(minutes=150)
            assert heartbeat.purging_at(connection, ahead) == at, "a step that nobody has noted yet"
    assert beat(database, at + DAY) == DAY
    later = at + DAY + timedelta(minutes=10)
    with database.read() as connection:
        assert heartbeat.seen_at(connection, later) == seen + timedelta(minutes=160)
        assert heartbeat.purging_at(connection, later) == at + timedelta(minutes=10)
    assert beat(database, later) is None
    assert beat(database, later - DAY) == -DAY
    with database.read() as connection:
        assert heartbeat.seen_at(connection, later - DAY) == seen + timedelta(minutes=160)
        assert heartbeat.purging_at(connection, later - DAY) == later - DAY, "the clock is right again"


def test_p45_a_lease_further_ahead_than_any_can_be_is_over(database: Database) -> None:
    now = database.now()
    fill(database, lanes=2, calls=1, next_try_at=now, lease_token="t", lease_until=now + DAY)
    with database.write() as connection:
        connection.execute(sa.update(deliveries).where(deliveries.c.id == 2).values(lease_until=now + leases.LONGEST))
        assert [*claims.due_streams(connection, now)] == [STREAM]
        _, [taken] = claims.claim(connection, *STREAM, now=now, lease_s=30, limit=9)
        assert taken.id == 1 and taken.is_possibly_done and taken.last_attempt_at == now
        connection.execute(
            sa.insert(sync_states),
            {"channel": "first", "gateway": "pipe17", "lease_token": "t", "lease_until": now + DAY},
        )
        assert sync_state.take(connection, "stock", *STREAM, token="u", now=now, lease_s=30) is not None
        assert sync_state.take(connection, "stock", *STREAM, token="v", now=now, lease_s=30) is None


def test_p45_nothing_waits_for_a_time_that_the_clock_has_left(database: Database) -> None:
    now = database.now()
    beat(database, now + DAY)
    far = now + DAY + timedelta(minutes=5)
    fill(database, lanes=2, calls=1, next_try_at=far)
    with database.write() as connection:
        connection.execute(
            sa.insert(sync_states), {"channel": "first", "gateway": "pipe17", "next_try_at": far, "lease_until": far}
        )
        assert claims.due_streams(connection, now) == {}
    assert beat(database, now + timedelta(seconds=1)) is not None
    at = now + timedelta(seconds=1)
    with database.write() as connection:
        assert [*claims.due_streams(connection, at)] == [STREAM]
        assert sync_state.take(connection, "stock", *STREAM, token="u", now=at, lease_s=30) is not None


def test_p44_p45_orders_wait_for_a_late_call_as_long_as_before_when_the_clock_goes_back(database: Database) -> None:
    now = database.now()
    beat(database, now + DAY)
    fill(database, lanes=1, calls=2, next_try_at=now)
    given_up = {"state": "delivered", "late_until": now + DAY + timedelta(seconds=60)}
    with database.write() as connection:
        connection.execute(sa.update(deliveries).where(deliveries.c.id == 1).values(given_up))
    beat(database, now + timedelta(seconds=1))
    for seconds, taken in ((50, []), (62, [2])):
        with database.write() as connection:
            at = now + timedelta(seconds=seconds)
            connection.execute(sa.update(deliveries).where(deliveries.c.id == 2).values(next_try_at=at))
            found = claims.claim(connection, *STREAM, now=at, lease_s=30, limit=9)[1]
            assert [item.id for item in found] == taken


def test_p45_another_start_of_the_machine_ends_every_lease(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not database.is_sqlite:
        return  # PostgreSQL's clock goes on while a machine of ours starts again
    now = database.now()
    fill(database, lanes=1, calls=1, next_try_at=now, lease_token="t", lease_until=now + timedelta(seconds=100))
    monkeypatch.setattr(heartbeat, "boot_id", lambda: "another")
    other = open_database(database_url)
    try:
        at = other.now()
        with other.write() as connection:
            _, [taken] = claims.claim(connection, *STREAM, now=at, lease_s=30, limit=9)
        assert taken.is_possibly_done, "nobody knows whether it was sent"
    finally:
        other.close()


def test_p39_p45_an_operator_frees_a_stream_that_is_stuck_and_does_no_harm_twice(database: Database) -> None:
    now = database.now()
    fill(database, lanes=3, calls=1, next_try_at=now + DAY, lease_token="t", lease_until=now + DAY)
    with database.write() as connection:
        ended = {"id": 4, "verb": "verb", "lane": "lane 0", "command_id": 1, "about": b"[]", "state": "delivered"}
        ended |= {"channel": "first", "gateway": "pipe17", "request_id": "q", "created_at": now, "next_try_at": now}
        connection.execute(sa.insert(deliveries), {**ended, "late_until": now + DAY})
        connection.execute(
            sa.insert(sync_states),
            {"channel": "first", "gateway": "pipe17", "lease_token": "t", "lease_until": now + DAY,
             "next_try_at": now + DAY},
        )  # fmt: skip
    operator = operators.operator("ada", "the clock was wrong")
    found = acts.free_stream(database, operator, *STREAM, now)
    assert (found.calls, found.stream_until is None, found.paused_until is None) == (4, False, False)
    with database.write() as connection:
        _, taken = claims.claim(connection, *STREAM, now=now, lease_s=30, limit=9)
        assert [item.is_possibly_done for item in taken] == [True] * 3
        assert outbox.late_until(connection, *STREAM, "lane 0", now) is None
        assert freeing.held_up(connection, *STREAM, now) == freeing.HeldUp(None, None, None, 0)
    assert not acts.free_stream(database, operator, *STREAM, now).is_any
    with database.read() as connection:
        assert connection.execute(sa.text("select count(*) from operations")).scalar() == 1
