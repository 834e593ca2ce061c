"""Threads come with work and go without, and the work of one gateway never waits for another's."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from app.deliveries.background_work import WorkerProcess
from app.deliveries.stream_work import StreamWork
from app.deliveries.work_threads import WorkThreads
from app.domain.stock import StockChange, StockLevel, StockSent
from app.gateways.calls import Call, Health
from app.gateways.capabilities import CommandTarget, Gateway, StockSink
from app.records import stock
from app.records.database import Database
from tests.databases import owed_levels
from tests.waiting import eventually

NOW = datetime(2026, 2, 3, 12, tzinfo=UTC)


def alive(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())


def test_p15_threads_are_begun_as_needed_and_end_without_work(caplog: pytest.LogCaptureFixture) -> None:
    threads = WorkThreads(3, "of-this-test", kept_s=0.2)
    gate, done = threading.Event(), Counter[str]()

    def work(name: str) -> None:
        gate.wait(10)
        done[name] += 1
        assert name != "fails"

    for name in ("a", "fails", "b", "c", "d"):
        threads.submit(lambda name=name: work(name))
    assert alive("of-this-test") == 3
    gate.set()
    eventually(lambda: done.total() == 5)
    eventually(lambda: "work of a of-this-test thread failed" in caplog.text)
    eventually(lambda: alive("of-this-test") == 0)
    threads.submit(lambda: work("e"))
    threads.finish()
    assert done.total() == 6 and alive("of-this-test") == 0


def test_p15_a_thread_that_the_system_does_not_give_costs_neither_a_place_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads, done = WorkThreads(1, "of-this-test", kept_s=0.2), list[str]()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            threads.submit(lambda: done.append("refused"))
    threads.submit(lambda: done.append("given"))
    threads.finish()
    assert done == ["given"]


class Vendor(StockSink):
    """Takes all; the first to call waits for the others."""

    def __init__(self, together: threading.Barrier) -> None:
        self._together = together

    def push(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        self._together.wait(10)
        return [StockSent(change.sku, b"{}") for change in changes]


class Shops:
    """Many gateways of one process, and how many statements a look takes."""

    def __init__(self, database: Database, count: int, at_once: int) -> None:
        self.database = database
        self.streams = [(f"c{number:03}", "pipe17") for number in range(count)]
        sink = Vendor(threading.Barrier(at_once))
        self.own_work = Counter[tuple[str, str]]()
        self.statements = 0
        self.more = threading.Event()
        gateways = {stream: self._gateway(stream, sink) for stream in self.streams}
        process = WorkerProcess(database, gateways, lambda: NOW, lambda: False)
        self.work = StreamWork(process, set(self.streams[-1:]), self.more.set)

    def _gateway(self, stream: tuple[str, str], sink: StockSink) -> Gateway:
        def background(is_stopping: Any) -> float:
            self.own_work[stream] += 1
            return 3600.0

        health = Health("connected")
        return Gateway("pipe17", lambda call: health, CommandTarget(), stock=sink, background=background)

    def state(self, *streams: tuple[str, str]) -> None:
        with self.database.write() as connection:
            for stream in streams:
                stock.accept(connection, *stream, {"A": msgspec.json.encode(StockLevel(5))}, now=NOW)

    def look(self) -> float | None:
        sa.event.listen(self.database.engine, "before_cursor_execute", self._count)
        try:
            self.statements = 0
            return self.work.begin_due(3.0)
        finally:
            sa.event.remove(self.database.engine, "before_cursor_execute", self._count)

    def _count(self, *_: Any) -> None:
        self.statements += 1

    def owed(self) -> int:
        with self.database.read() as connection:
            return owed_levels(connection)


@pytest.mark.both_databases
def test_p15_one_look_serves_200_gateways_and_each_that_is_due_has_a_thread(database: Database) -> None:
    shops = Shops(database, 200, at_once=12)
    assert shops.look() is None
    eventually(lambda: shops.own_work.total() == 200)
    assert shops.look() is None and shops.statements == 1, "idle ones cost nothing"
    assert (alive("stream"), shops.own_work.total()) == (0, 200)

    *due, paused = shops.streams[7:19] + shops.streams[-1:]
    shops.state(*due, paused)
    assert shops.look() == 0.0
    eventually(lambda: shops.owed() == 1)
    shops.work.finish()
    assert {stream for stream, times in shops.own_work.items() if times == 2} == {*due}, "what was sent may need more"
    assert shops.look() is None, "nothing is sent to a paused one"
