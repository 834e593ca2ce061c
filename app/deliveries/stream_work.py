"""Begins what is due for gateways besides calls: the sync of facts, polls, reports for observers, and their own work.

One look finds what is due for all gateways; one that has nothing to do costs neither a thread nor a statement.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterator, Set
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Final

from app import caller
from app.deliveries.background_work import BackgroundWork, WorkerProcess
from app.deliveries.slots import Stream
from app.deliveries.sync import Syncer
from app.deliveries.work_threads import WorkThreads
from app.records import due_facts

BACKGROUND_THREADS: Final = 2
"""So many gateways do work of their own at the same time, such as building a feed, which calls nobody."""


class StreamWork:
    """One process's.  A gateway does one piece of work at a time."""

    def __init__(self, process: WorkerProcess, paused: Container[Stream], on_due: Callable[[], None]) -> None:
        """`on_due` is called where more may be due now than the last look found.  No fact goes to those `paused`."""
        self._process = process
        self._paused = paused
        self._on_due = on_due
        self._syncer = Syncer(process)
        self._background = BackgroundWork(process)
        self._syncing = {*self._syncer.streams}
        self._polled = {
            stream: gateway.poll.every_s
            for stream, gateway in process.gateways.items()
            if gateway.poll is not None and gateway.poll.every_s
        }
        self._busy: set[Stream] = set()
        self._missed: set[Stream] = set()
        """Those that were found due while they were busy: what is due came perhaps after they looked."""
        self._queued: set[Stream] = set()
        """Those whose own work waits for a thread."""
        self._lock = threading.Lock()
        self._sync_threads = WorkThreads(max(1, len(self._syncing)), "stream")
        self._background_threads = WorkThreads(BACKGROUND_THREADS, "background")

    def begin_due(self, within_s: float) -> float | None:
        """Begin what is due now; in how many seconds more will be, if within so many.  Raises `DatabaseUnavailable`.

        0 where anything was due.
        """
        now = self._process.clock()
        with self._process.database.read() as connection:
            until = now + timedelta(seconds=within_s)
            found = due_facts.due_streams(connection, now, until, self._polled)
        found = {stream: at for stream, at in found.items() if stream in self._syncing and stream not in self._paused}
        due = {stream for stream, at in found.items() if at <= now}
        self._begin_syncs(due)
        self._begin_background(self._background.due())
        if due:
            return 0.0
        waits_s = [(at - now).total_seconds() for at in found.values()] + [self._background.wait_s()]
        return min((wait_s for wait_s in waits_s if wait_s <= within_s), default=None)

    def finish(self) -> None:
        """Wait for what is under way."""
        self._sync_threads.finish()
        self._background_threads.finish()

    def _begin_syncs(self, streams: Set[Stream]) -> None:
        for stream in streams:
            with self._lock:
                is_begun = stream not in self._busy
                (self._busy if is_begun else self._missed).add(stream)
            if is_begun:
                with self._released_on_failure(self._busy, stream):
                    self._sync_threads.submit(partial(self._work, stream, self._syncer.send))

    def _begin_background(self, streams: Set[Stream]) -> None:
        for stream in streams - self._queued:
            self._queued.add(stream)
            with self._released_on_failure(self._queued, stream):
                self._background_threads.submit(partial(self._begin_own, stream))

    @contextmanager
    def _released_on_failure(self, held: set[Stream], stream: Stream) -> Iterator[None]:
        """Where no thread can be had, the stream is begun at another look."""
        try:
            yield
        except RuntimeError:
            with self._lock:
                held.discard(stream)
            raise

    def _begin_own(self, stream: Stream) -> None:
        """Its turn has come, which facts need not wait for; one that is being synced does it afterwards anyway."""
        self._queued.discard(stream)
        with self._lock:
            if stream in self._busy:
                return
            self._busy.add(stream)
        self._work(stream)

    def _work(self, stream: Stream, *before: Callable[[str, str], None]) -> None:
        caller.channel.set(stream[0])
        is_more_due = False
        try:
            for work in before:
                work(*stream)
            is_more_due = self._background.do(stream)
        finally:
            with self._lock:
                self._busy.discard(stream)
                is_more_due |= stream in self._missed
                self._missed.discard(stream)
            if is_more_due:
                self._on_due()
