"""What is counted of calls and of what is pending, and what pages make of it (R16)."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from app.domain.traffic import VendorCall
from app.operations.health import WINDOWS, health
from app.operations.overview import overview
from app.operations.scope import Scope
from app.records import attention, call_figures, pending_figures
from app.records.database import Database
from app.records.journal import Journal
from app.records.purge import Purge
from app.records.retention import Terms
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.figures import call_figures as figures
from app.records.tables.figures import pending_figures as samples
from app.records.tables.orders import handed_out, held_back
from tests.databases import set_purge_due
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases

ALL = Scope()


def call(status: int | None, outcome: str, ms: int, vendor: str = "pipe17") -> VendorCall:
    return VendorCall(vendor, "GET", "/orders", status, outcome, ms / 1000, "r")


def answered(journal: Journal, ms: int, status: int = 200, outcome: str = "success", name: str = "order_pull") -> None:
    journal.callback(
        name=name, channel="first", order_refnum="", status=status, outcome=outcome, duration_s=ms / 1000,
        request_id="r",
    )  # fmt: skip


def test_r16_each_line_of_the_journal_is_counted_once_in_every_length_of_span(database: Database) -> None:
    journal = Journal(database)
    for ms in (3, 30, 30, 300, 30_000):
        answered(journal, ms)
    answered(journal, 4, 503, "PAUSED")
    answered(journal, 4, 401, "WRONG_KEY")
    answered(journal, 4, 200, "QUEUED")
    journal.vendor_call("first", call(200, "ok", 40))
    journal.vendor_call("first", call(None, "not_sent", 0))
    journal.flush()
    journal.flush()
    answered(journal, 40)
    journal.flush()
    for window in WINDOWS:
        seen = health(database, ALL, window)
        [pull] = seen.callbacks
        assert pull.callback == "order_pull" and pull.count == 9
        assert pull.outcomes == {"success": 6, "failed": 1, "refused": 1, "with_events": 1}
        [vendor] = seen.vendors
        assert (vendor.vendor, vendor.channel) == ("pipe17", "first")
        assert (vendor.calls, vendor.errors, vendor.not_sent) == (1, 0, 1)
        assert sum(sum(span.outcomes.values()) for span in seen.over_time) == 9
        assert seen.over_time[-1].outcomes, "the present span is the last one"
        assert health(database, Scope(frozenset({"second"})), window).callbacks == ()
        assert health(database, ALL, window, channel="second").vendors == ()


def test_r16_a_percentile_lies_in_the_class_of_the_true_one(seed: int) -> None:
    draw = random.Random(seed)
    bounds = (0, *call_figures.DURATION_BOUNDS_MS)
    for _ in range(50):
        took = sorted(int(draw.lognormvariate(4, 1.5)) for _ in range(draw.randint(1, 300)))
        counts = [0] * len(call_figures.DURATION_CLASSES)
        for ms in took:
            counts[next((at for at, bound in enumerate(bounds[1:]) if ms <= bound), len(bounds) - 1)] += 1
        for part in (0.5, 0.95):
            true = min(took[max(0, -int(-part * len(took) // 1) - 1)], bounds[-1])
            found = call_figures.percentile_ms(counts, part)
            assert found is not None
            low = max(bound for bound in bounds if bound < true or bound == 0)
            high = min((bound for bound in bounds if bound >= true), default=bounds[-1])
            assert low <= found <= high, (took, part)
    assert call_figures.percentile_ms([0] * len(call_figures.DURATION_CLASSES), 0.5) is None


def test_r16_a_line_that_waited_for_the_database_is_counted_once(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    away = Database(f"sqlite:///{folder}/channel.db")
    folder.rmdir()
    journal = Journal(away)
    for _ in range(3):
        answered(journal, 5)
        journal.flush()
    folder.mkdir()
    away.prepare()
    for _ in range(2):
        journal.flush()
    with away.read() as connection:
        total = connection.execute(select(func.sum(figures.c["count"])).where(figures.c.span_s == 3600)).scalar_one()
    away.close()
    assert total == 3


def test_the_last_call_counts_and_one_that_was_not_sent_says_nothing_of_a_vendor(
    retailops: Caller, pipe17: Sandbox
) -> None:
    database = retailops.database
    works = retailops.app.extensions["works"]
    channels = works.configured.channels

    def state() -> str:
        works.journal.flush()
        [shown] = overview(database, ALL, channels).channels
        return shown.gateways[0].state

    assert state() == "never called"
    retailops.pull()
    assert state() == "answering"
    works.journal.vendor_call("first", call(503, "unknown", 10))
    assert state() == "failing"
    works.journal.vendor_call("first", call(None, "not_sent", 0))
    assert state() == "failing"
    [shown] = overview(database, ALL, channels).channels
    last = shown.gateways[0].last
    assert last is not None and last.good_at is not None and last.good_at <= last.at
    assert [item.callback for item in shown.callbacks] == ["order_pull"]
    assert sum(hour.count for hour in shown.hours) == 1 and len(shown.hours) == 24
    assert overview(database, Scope(frozenset({"second"})), channels).channels == ()


def a_call(database: Database, state: str, at: datetime) -> None:
    command = {
        "channel": "first", "callback": "order_cancel", "natural_key": f"{state}{at}", "order_refnum": "O",
        "digest": "", "events": b"[]", "request_id": "r", "begun_at": at, "lease_until": at, "finished_at": at,
    }  # fmt: skip
    with database.write() as connection:
        number = connection.execute(insert(commands).returning(commands.c.id), command).scalar_one()
        row = {
            "channel": "first", "gateway": "pipe17", "verb": "cancel_order", "lane": "O", "command_id": number,
            "body": b"{}", "about": b"[]", "state": state, "next_try_at": at, "request_id": "r", "created_at": at,
        }  # fmt: skip
        connection.execute(insert(deliveries), row)


def test_p40_what_waits_is_read_of_the_readers_channels_alone_and_a_few_are_named(database: Database) -> None:
    now = database.now().replace(microsecond=0)
    a_call(database, "parked", now)
    with database.write() as connection:
        for channel, count in (("first", 5), ("second", 2)):
            for number in range(count):
                held = {"channel": channel, "refnum": f"H{number}", "reason": "no country"}
                connection.execute(insert(held_back), held | {"since": now - timedelta(minutes=number)})
            given = {"channel": channel, "refnum": "T", "lines": b"[]", "times": 6, "last_handed_at": now}
            left = {"left_open": "UNITS_OPEN", "left_open_at": now}
            connection.execute(insert(handed_out), given | left)
    for scope in (frozenset({"first"}), frozenset({"second"}), frozenset[str](), None):
        seen = scope if scope is not None else {"first", "second"}
        with database.read() as connection:
            held = attention.held_back_orders(connection, scope)
            assert {row.channel for row in attention.open_calls(connection, scope)} == seen & {"first"}
            assert {row.channel for row in attention.unacknowledged(connection, now, scope)} == seen
            long_ago = now - timedelta(days=1)
            assert {orders.channel for orders in attention.left_open(connection, long_ago, scope)} == seen
        assert [orders.channel for orders in held] == [name for name in ("first", "second") if name in seen]
        if "first" in seen:
            assert (held[0].number, held[0].since) == (5, now - timedelta(minutes=4))
            assert str(held[0]) == "H4 (no country); H3 (no country); H2 (no country), and 2 more"
    assert str(held[1]) == "H1 (no country); H0 (no country)"


def test_what_is_pending_is_sampled_once_in_five_minutes_whoever_looks(database: Database) -> None:
    now = database.now()
    a_call(database, "owed", now - timedelta(minutes=7))
    a_call(database, "parked", now - timedelta(minutes=5))
    a_call(database, "delivered", now - timedelta(minutes=9))
    streams = [("first", "pipe17"), ("first", "retailrocket")]
    for _ in range(3):
        pending_figures.PendingSampler(database, streams).turn()
    with database.read() as connection:
        found = connection.execute(select(samples)).all()
    moments = {row.at for row in found}
    assert len(found) == 2 * len(moments) and len(moments) <= 2, "one sample, or two where five minutes ended"
    calls = next(row for row in found if row.gateway == "pipe17")
    assert (calls.owed, calls.parked, calls.facts) == (1, 1, 0) and 420 <= calls.oldest_s < 480
    seen = health(database, ALL, "1h").pending
    assert (seen[-1].owed, seen[-1].parked) == (1, 1)
    assert seen[0].owed is None, "where nothing was sampled there is a gap"


def test_p32_figures_go_by_their_own_clock(database: Database) -> None:
    now = database.now()
    ages = (timedelta(minutes=1), timedelta(days=4), timedelta(days=92))
    with database.write() as connection:
        for age in ages:
            line = {
                "kind": "callback", "channel": "first", "name": "order_pull", "at": now - age, "status": 200,
                "outcome": "success", "duration_ms": 3,
            }  # fmt: skip
            call_figures.add(connection, call_figures.counted([line]))
            pending_figures.sample(connection, [("first", "pipe17")], now - age)
    set_purge_due(database, now)
    retention = Purge(database, Terms(), database.clock)
    while retention.turn():
        pass
    with database.read() as connection:
        spans = connection.execute(select(figures.c.span_s, figures.c.at).order_by(figures.c.at)).all()
        kept = connection.execute(select(func.count()).select_from(samples)).scalar_one()
    assert sorted(row.span_s for row in spans if row.at < now - timedelta(days=2)) == [3600, 86400]
    assert len(spans) == 5 and kept == 2


def test_a_server_samples_by_itself(retailops: Caller) -> None:
    def count() -> int:
        with retailops.database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(samples)).scalar_one())

    eventually(count)
