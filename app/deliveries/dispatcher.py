"""The background half of the outbox: claims due calls, lets the courier try them, records what came of it.

One thread does all database work (a claim and all outcomes since the last one share a transaction);
a pool of threads waits for vendors.  It runs inside the web process or alone as `channel deliveries work`.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from sqlalchemy import Connection

from app.deliveries import outbox
from app.deliveries.courier import Courier, utc_now
from app.deliveries.facts import FactSender
from app.deliveries.transitions import UNTRIED_CODES, Delivery, Settled
from app.gateways.interface import Gateway
from app.gateways.policy import Deadline
from app.records.database import Database, DatabaseUnavailable

log = logging.getLogger(__name__)

ATTEMPT_S = 15.0
"""How long one background attempt may take, look-up included."""

LEASE_S = 30.0
"""How long a claimed call stays with its claimer, who may have died; after that it counts as possibly done."""

IDLE_S = 0.5
"""How often the tables are looked at when nobody has woken us."""

STREAMS_S = 60.0
"""How often it is looked for calls of gateways that are no longer configured; they end up parked."""

LONGEST_REST_S = 5.0
"""How long nothing is claimed for a vendor whose breaker is open, at most."""

BUSY_REST_S = 0.25
"""The same for one that had no turn for us."""

Stream = tuple[str, str]
"""(channel, gateway)."""

Apply = Callable[[Connection, Delivery, Settled, datetime], None]


class Dispatcher:
    """Delivers in the background from `start()` to `stop()`."""

    def __init__(
        self,
        database: Database,
        courier: Courier,
        gateways: Mapping[tuple[str, str], Gateway],
        apply: Apply,
        *,
        threads: int,
        clock: Callable[[], datetime] = utc_now,
        idle: Callable[[], object] = lambda: None,
    ) -> None:
        self._database = database
        self._courier = courier
        self._gateways = gateways
        self._apply = apply
        self._threads = threads
        self._clock = clock
        self._idle = idle
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._facts = FactSender(database, gateways, clock, self._stopping.is_set)
        self._outcomes: queue.SimpleQueue[tuple[Delivery, str, Settled]] = queue.SimpleQueue()
        self._unrecorded: list[tuple[Delivery, str, Settled]] = []
        self._inside: Counter[Stream] = Counter()
        self._sending: set[Stream] = set()
        self._resting: dict[Stream, float] = {}
        """Streams whose vendor was not even called lately, and until when (monotonic) none is claimed."""
        self._owed_streams: set[Stream] = set()
        self._look_for_streams_at_s = 0.0
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to deliver; returns at once."""
        self._pool = ThreadPoolExecutor(self._threads + len(self._facts.streams), thread_name_prefix="delivery")
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something may be due: look now."""
        self._wake.set()

    def stop(self, timeout_s: float = 6.0) -> None:
        """Claim nothing more, let running attempts end and record them."""
        self._stopping.set()
        self._wake.set()
        if self._thread:
            self._thread.join(timeout_s)

    def run_until(self, stopping: threading.Event) -> None:
        """Deliver in this process until `stopping` is set (the worker's main loop)."""
        self.start()
        stopping.wait()
        self.stop()

    def _run(self) -> None:
        assert self._pool is not None
        while not self._stopping.is_set():
            try:
                has_more = self._turn(self._pool)
                if not has_more:
                    self._idle()
            except DatabaseUnavailable as error:
                log.warning("deliveries wait for the database: %s", error)
                has_more = False
            except Exception:
                log.exception("a turn of the dispatcher failed")
                has_more = False
            if not has_more:
                self._wake.wait(IDLE_S)
            self._wake.clear()
        self._pool.shutdown(wait=True)
        try:
            self._record_only()
        except DatabaseUnavailable as error:
            log.warning("outcomes could not be recorded at the end: %s", error)

    def _turn(self, pool: ThreadPoolExecutor) -> bool:
        """Record, claim, hand to the pool.  True when there may be more to claim at once."""
        self._drain()
        free, room = self._room()
        # A look without the writer's lock first: most turns find nothing due.
        due = self._due(list(room)) if room else []
        claimed: list[tuple[str, Delivery]] = []
        if self._unrecorded or due:
            with self._database.write(serial=_lanes(item for item, _, _ in self._unrecorded)) as connection:
                self._record(connection)
                for stream in due:
                    token, found = outbox.claim(
                        connection, *stream, now=self._clock(), lease_s=LEASE_S, limit=min(room[stream], free)
                    )
                    claimed.extend((token, delivery) for delivery in found)
                    free -= len(found)
                    if free == 0:
                        break
            self._unrecorded.clear()
        for token, delivery in claimed:
            with self._lock:
                self._inside[(delivery.channel, delivery.gateway)] += 1
            pool.submit(self._deliver, delivery, token)
        for stream in self._facts.streams:
            with self._lock:
                if stream in self._sending:
                    continue
                self._sending.add(stream)
            pool.submit(self._send_facts, stream)
        return bool(claimed)

    def _room(self) -> tuple[int, dict[Stream, int]]:
        """How many calls may be claimed now, and of each stream: at most half of the threads for one (R14),
        and none while its vendor takes no call at all."""
        now_s = time.monotonic()
        if now_s >= self._look_for_streams_at_s:
            self._look_for_streams_at_s = now_s + STREAMS_S
            with self._database.read() as connection:
                self._owed_streams = outbox.streams(connection)
        with self._lock:
            free = self._threads - sum(self._inside.values())
            share = max(1, self._threads // 2)
            room = {
                stream: min(free, share - self._inside[stream])
                for stream in {*self._gateways, *self._owed_streams}
                if self._resting.get(stream, 0.0) <= now_s
            }
        return free, {stream: number for stream, number in room.items() if number > 0}

    def _due(self, streams: list[Stream]) -> list[Stream]:
        with self._database.read() as connection:
            due = outbox.due_streams(connection, streams, self._clock())
        random.shuffle(due)  # when threads are few, no stream is always the last
        return due

    def _drain(self) -> None:
        while True:
            try:
                self._unrecorded.append(self._outcomes.get_nowait())
            except queue.Empty:
                return

    def _record_only(self) -> None:
        self._drain()
        if self._unrecorded:
            with self._database.write(serial=_lanes(item for item, _, _ in self._unrecorded)) as connection:
                self._record(connection)
            self._unrecorded.clear()

    def _record(self, connection: Connection) -> None:
        now = self._clock()
        refused = []
        for delivery, token, settled in self._unrecorded:
            if outbox.record(connection, delivery, settled, token=token, now=now):
                self._apply(connection, delivery, settled, now)
                if settled.state == "refused":
                    refused.append(delivery.command_id)
        outbox.release_unbound(connection, refused)

    def _deliver(self, delivery: Delivery, token: str) -> None:
        settled = self._courier.attempt(delivery, Deadline.in_s(ATTEMPT_S), is_inline=False)
        if settled.state == "parked":
            log.error(
                "delivery %s (%s) is parked: %s", delivery.id, delivery.verb, settled.code,
                extra={"channel": delivery.channel, "gateway": delivery.gateway, "order": delivery.lane},
            )  # fmt: skip
        self._outcomes.put((delivery, token, settled))
        stream = (delivery.channel, delivery.gateway)
        with self._lock:
            self._inside[stream] -= 1
            if settled.code in UNTRIED_CODES:
                # Its next ones would fare the same: a backlog must not be turned over for nothing.
                pause_s = (settled.next_try_at - self._clock()).total_seconds()
                longest_s = LONGEST_REST_S if settled.code == "BREAKER_OPEN" else BUSY_REST_S
                self._resting[stream] = time.monotonic() + min(max(pause_s, 0.0), longest_s)
        self._wake.set()

    def _send_facts(self, stream: Stream) -> None:
        try:
            self._facts.send(*stream)
        finally:
            with self._lock:
                self._sending.discard(stream)


def _lanes(deliveries: Iterable[Delivery]) -> list[str]:
    """What `Database.write` is to keep apart: the orders whose records the outcomes may change."""
    return [f"{delivery.channel}/{delivery.lane}" for delivery in deliveries]
