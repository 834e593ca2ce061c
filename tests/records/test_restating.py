"""What is stated again is sent again: changed figures first, no tail starves, and refused ones by themselves (R13)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from app.deliveries.background_work import WorkerProcess
from app.deliveries.sync import Syncer
from app.domain.facts import Obstacle
from app.domain.stock import StockChange, StockDetail, StockLevel, StockSent
from app.errors import Unavailable
from app.gateways.calls import Call, Health
from app.gateways.capabilities import CommandTarget, Gateway, StockSink
from app.records import due_facts, obstacles, refused, stock, stock_batches, stock_sync, sync_state
from app.records.database import Database
from tests.databases import open_database, owed_levels

pytestmark = pytest.mark.both_databases

START = datetime(2026, 2, 3, 12, tzinfo=UTC)
STREAM = ("first", "pipe17")


class Records:
    """One gateway's levels with a clock of their own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = START
        self.claims = 0

    def later(self, seconds: float) -> Records:
        self.now += timedelta(seconds=seconds)
        return self

    def state(self, restate_after_s: float | None = 0.0, **quantities: int) -> None:
        levels = {sku: msgspec.json.encode(StockLevel(units)) for sku, units in quantities.items()}
        with self.database.write() as connection:
            stock.accept(connection, *STREAM, levels, now=self.now, restate_after_s=restate_after_s)

    def claim(self, limit: int = 500) -> stock_batches.Batch | None:
        self.claims += 1
        with self.database.write() as connection:
            return stock_batches.claim(
                connection, *STREAM, token=f"t{self.claims}", limit=limit, now=self.now, lease_s=30
            )

    def record(self, batch: stock_batches.Batch | None, *sent: StockSent, settle_s: float = 60.0) -> None:
        assert batch is not None
        found = sent or [StockSent(change.sku, b"{}") for change in batch.changes]
        with self.database.write() as connection:
            assert stock_batches.record(connection, batch, found, now=self.now, settle_s=settle_s)

    def send(self, limit: int = 500) -> list[str]:
        """The SKUs of the next batch, in their order, all of them accepted."""
        batch = self.claim(limit)
        if batch is None:
            return []
        self.record(batch)
        return [change.sku for change in batch.changes]

    def refuse(self, **subjects: str) -> None:
        """The vendor lacks the products of these SKUs."""
        batch = self.claim()
        sent = [
            StockSent(sku, b"{}", "unknown there", obstacles=(Obstacle("product", subject),))
            for sku, subject in subjects.items()
        ]
        self.record(batch, *sent)

    def gone(self, *subjects: str) -> bool:
        with self.database.write() as connection:
            gone = [Obstacle("product", subject) for subject in subjects]
            return refused.obstacles_gone(connection, *STREAM, gone, self.now)

    def moved(self, *skus: str) -> None:
        with self.database.write() as connection:
            stock_sync.note_moved(connection, STREAM[0], skus, self.now)

    def stated(self, sku: str) -> stock.StatedLevel:
        with self.database.read() as connection:
            return next(item for item in stock.stated(connection, *STREAM, after="", limit=99) if item.sku == sku)

    def stale(self) -> list[str]:
        with self.database.read() as connection:
            return [item.sku for item in stock.stale(connection, self.now)]

    def send_again(self, *skus: str, is_dry_run: bool = False, even_if_moved: bool = False) -> stock_sync.SendAgain:
        with self.database.write() as connection:
            return stock_sync.send_again(
                connection,
                *STREAM,
                skus or None,
                even_if_moved=even_if_moved,
                is_dry_run=is_dry_run,
                now=self.now,
            )


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    opened = open_database(database_url)
    yield Records(opened)
    opened.close()


def test_p33_changed_levels_go_first_in_the_order_they_changed_and_the_others_longest_unsent_first(
    records: Records,
) -> None:
    records.state(A=1, B=1, C=1, D=1)
    assert records.send(2) == ["A", "B"] and records.later(1).send(2) == ["C", "D"]
    records.later(1).state(A=1, B=1, C=1, D=1)
    records.later(1).state(D=2)
    records.later(1).state(B=2)
    # Stated again before it is sent, each keeps its turn: nobody is put behind by being restated.
    records.later(1).state(D=2, B=2, C=1, A=1)
    assert records.later(1).send(1) == ["D"]
    records.later(1).state(D=2, B=2, C=1, A=1)
    assert [records.later(1).send(1) for _ in range(5)] == [["B"], ["A"], ["C"], ["D"], []]


def test_p33_a_level_stays_changed_until_it_is_sent_however_often_it_is_stated(records: Records) -> None:
    records.state(A=1, B=1)
    records.send()
    records.later(1).state(A=1, B=2)
    records.later(1).state(A=1, B=2)
    assert records.send(1) == ["B"]
    assert records.send() == ["A"]


def test_p33_what_changes_while_it_is_sent_goes_first_again_and_what_is_equal_does_not(records: Records) -> None:
    records.state(A=1, B=1, C=1)
    batch = records.claim()
    records.later(1).state(A=1, B=2, C=1)
    records.record(batch)
    assert records.send(1) == ["B"] and records.send() == ["A", "C"]


def test_p33_an_equal_level_is_owed_again_only_as_often_as_the_vendor_of_one_sku_a_call_can_bear(
    records: Records,
) -> None:
    day = 86_400.0
    records.state(day, A=1, B=1)
    records.send()
    records.later(day / 2).state(day, A=1, B=2)
    assert records.send() == ["B"]
    records.later(day / 2).state(day, A=1, B=2)
    assert records.send() == ["A"]
    with records.database.write() as connection:
        stock_sync.owe_again(connection, *STREAM, ["A"])
    batch = records.claim()
    assert batch and batch.changes[0].is_uncertain, "a hook came"
    records.record(batch, StockSent("A", b"{}", "no"))
    records.later(1).state(day, A=1, B=2)
    assert records.send() == ["A"], "it was refused"
    assert records.stated("A").sent_at == records.now


def test_p33_where_only_changes_are_wanted_equal_levels_are_sent_again_only_after_a_refusal(records: Records) -> None:
    records.state(None, A=1, B=1)
    batch = records.claim()
    records.record(batch, StockSent("A", b"{}"), StockSent("B", b"{}", "no"))
    records.later(86_400 * 9).state(None, A=1, B=1)
    assert records.send() == ["B"]
    records.later(1).state(None, A=1, B=1)
    assert records.send() == []


def test_p33_what_moves_levels_waits_for_a_push_that_has_not_reached_their_rows_yet(
    records: Records, database_url: str
) -> None:
    """Else each of the two might change first the row that the other changes last, and wait for ever."""
    records.state(A=1, B=1)
    level = msgspec.json.encode(StockLevel(2))
    beside = Records(open_database(database_url))
    with closing(beside.database), ThreadPoolExecutor(1) as other:
        with records.database.write() as connection:
            sync_state.next_seq(connection, *STREAM)
            moving = other.submit(beside.moved, "A", "B")
            assert wait([moving], timeout=0.3).not_done
            stock.accept(connection, *STREAM, {"A": level, "B": level}, now=records.now)
        moving.result(timeout=10)
    assert records.stated("A").is_moved and records.stated("B").is_moved


def test_p33_no_sku_starves_and_changed_ones_never_wait_for_restated_ones(records: Records, seed: int) -> None:
    """A merchant states everything each hour; the vendor takes a third of it in that time."""
    roll = random.Random(seed)
    names = [f"S{number:03d}" for number in range(90)]
    levels = dict.fromkeys(names, 1)
    records.state(**levels)
    while records.send(30):
        records.later(1)
    last_sent = dict.fromkeys(names, records.now)
    times: Counter[str] = Counter()
    for _ in range(12):
        records.later(3600)
        changed = roll.sample(names, roll.randint(0, 10))
        levels |= {sku: levels[sku] + 1 for sku in changed}
        records.state(**levels)
        for part in range(3):
            sent = records.later(1).send(10)
            if part == 0:
                assert set(changed[:10]) <= set(sent), f"seed {seed}: changed figures go first"
            last_sent |= dict.fromkeys(sent, records.now)
            times.update(sent)
        assert records.now - min(last_sent.values()) < timedelta(hours=6), f"seed {seed}: {last_sent}"
    assert set(times) == set(names), f"seed {seed}"
    with records.database.read() as connection:
        assert owed_levels(connection) <= len(names)


def test_p33_p44_after_an_attempt_of_unknown_outcome_the_present_level_is_sent_once_more_after_settle(
    records: Records,
) -> None:
    records.state(A=1)
    assert records.claim(), "nobody learns how this ended"
    records.later(31).state(A=2)
    batch = records.claim()
    assert batch and batch.changes[0].uncertain is not None
    records.record(batch)
    assert records.later(59).send() == []
    assert records.later(2).send() == ["A"]
    assert records.later(999).send() == [], "once"


def test_p33_a_level_that_an_order_or_a_shipment_moved_is_not_sent_again_by_itself_but_shown(records: Records) -> None:
    records.state(A=5, B=5)
    assert records.claim()
    records.later(31)
    records.record(records.claim())
    records.later(10).moved("A")
    assert records.stated("A").is_moved and not records.stated("B").is_moved
    assert records.stale() == []
    assert records.later(60).send() == ["B"] and records.stale() == ["A"]
    records.later(1).state(A=4)
    assert records.stale() == [] and records.send() == ["A"]


def test_p33_a_person_can_have_levels_sent_again_after_seeing_what_that_would_be(records: Records) -> None:
    records.state(A=1, B=2, C=3)
    records.send()
    records.later(10).moved("B")
    dry = records.send_again("A", "B", "X", is_dry_run=True)
    assert (dry.owed, dry.moved, dry.unknown) == (("A",), ("B",), ("X",))
    assert records.send() == [] and records.stale() == []
    assert records.send_again("A", "B", "X") == dry
    assert records.send() == ["A"] and records.stale() == ["B"]
    assert records.send_again("B", even_if_moved=True).owed == ("B",) and records.send() == ["B"]
    assert records.send_again().owed == ("A", "C") and records.send_again(even_if_moved=True).owed == ("A", "B", "C")
    records.later(1).state(C=4)
    assert records.send(1) == ["C"], "a whole catalogue sent by hand does not go before what changed"
    found = [records.stated(sku) for sku in "AB"]
    assert [item.is_owed for item in found] == [True, True] and found[0].stated_at == START
    assert found[0].level.quantity_available == 1 and found[0].sent_at == START + timedelta(seconds=10)


def test_p33_refused_levels_are_owed_when_their_obstacle_is_gone_and_only_those(records: Records) -> None:
    records.state(A=1, B=1, C=1)
    records.refuse(A="PA", B="PB")
    batch = records.claim()
    assert batch and [change.sku for change in batch.changes] == ["C"], "what has no answer stays owed"
    records.record(batch)
    with records.database.read() as connection:
        assert obstacles.subjects(connection, *STREAM) == {"product": ("PA", "PB")}
    assert not records.gone("PC") and records.send() == []
    assert records.gone("PB")
    batch = records.claim()
    assert batch and [(change.sku, change.was_refused) for change in batch.changes] == [("B", True)]
    records.record(batch)
    with records.database.read() as connection:
        assert obstacles.subjects(connection, *STREAM) == {"product": ("PA",)}
    assert not records.gone("PB")


def test_p33_what_is_created_late_is_tried_at_settle_and_after_twice_and_four_times_that(records: Records) -> None:
    records.state(A=1)
    records.refuse(A="PA")
    with records.database.write() as connection:
        assert refused.products_made(connection, *STREAM, ["A", "B"], records.now)
    moments = []
    begun = records.now
    for _ in range(60):
        if batch := records.claim():
            moments.append((records.now - begun).total_seconds())
            records.record(batch, StockSent("A", b"{}", "unknown there", obstacles=(Obstacle("product", "PA"),)))
        records.later(20)
    assert moments == [0, 60, 180, 420]


def test_p33_ten_thousand_refused_levels_are_never_owed_again_by_a_look_that_finds_nothing(records: Records) -> None:
    skus = [f"SKU-{number:05d}" for number in range(10_000)]
    records.state(**dict.fromkeys(skus, 1))
    while batch := records.claim(2000):
        lacks = [
            StockSent(change.sku, b"{}", "unknown there", obstacles=(Obstacle("product", change.sku),))
            for change in batch.changes
        ]
        records.record(batch, *lacks)
    assert not records.gone("ELSE") and records.claim() is None
    with records.database.read() as connection:
        assert len(obstacles.subjects(connection, *STREAM)["product"]) == 10_000
        assert not due_facts.due(connection, *STREAM, records.now).stock
    assert records.gone(skus[77]) and records.send() == [skus[77]]


def test_p27_p33_a_place_of_a_lost_attempt_stays_in_doubt_until_an_answer(records: Records) -> None:
    stated = msgspec.json.encode(StockLevel(5, (StockDetail("internal", "Dallas", 5, 5),)))
    with records.database.write() as connection:
        stock.accept(connection, *STREAM, {"A": stated}, now=records.now)
    assert records.claim()
    batch = records.later(31).claim()
    assert batch and [item.place for item in batch.changes[0].uncertain or ()] == ["Dallas"]


class Overtaken(StockSink):
    """A vendor whose first call lasts so long that another process sends the same level meanwhile.

    `breaks_off`: then it ends without an answer, as for a process that stood still.
    """

    def __init__(self, records: Records, *, breaks_off: bool) -> None:
        self._records = records
        self._breaks_off = breaks_off
        self.calls: list[list[int]] = []

    def push(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        self.calls.append([change.level.quantity_available for change in changes])
        if len(self.calls) == 1:
            self._records.later(31).state(A=2)
            assert self._records.send() == ["A"]
            if self._breaks_off:
                raise Unavailable("TIMED_OUT", "no answer", outcome_unknown=True)
        return [StockSent(change.sku, b"{}") for change in changes]


@pytest.mark.parametrize("breaks_off", [False, True])
def test_p33_p44_a_sender_that_lost_its_lease_sends_the_present_level_once_more(
    records: Records, breaks_off: bool
) -> None:
    sink = Overtaken(records, breaks_off=breaks_off)
    gateway = Gateway("pipe17", lambda call: Health("connected"), CommandTarget(), stock=sink)
    sender = Syncer(WorkerProcess(records.database, {STREAM: gateway}, lambda: records.now, lambda: False))
    records.state(A=1)
    for _ in range(3):
        sender.send(*STREAM)
    assert sink.calls == [[1], [2]], "the old figure may have arrived last"
