"""The background half of the outbox: claims due calls, has them attempted, and records the outcomes.

One thread does all database work (a claim and all outcomes since the last one share a transaction);
a pool of threads waits for vendors, and `SlotScheduler` says who has one.  It runs inside the web process or alone
as `channel deliveries work`.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from app import caller
from app.clock import boot_s, utc_now
from app.deadline import Deadline
from app.deliveries.attempts import Attempts
from app.deliveries.background_work import BackgroundWork, WorkerProcess
from app.deliveries.failure_log import FailureLog
from app.deliveries.keeping import Keeper
from app.deliveries.recording import Apply, Recorder
from app.deliveries.slots import Claimed, SlotScheduler, Stream
from app.deliveries.sync import Syncer
from app.deliveries.transitions import UNTRIED_CODES
from app.gateways.calls import Verb
from app.gateways.capabilities import Gateways
from app.logs import Repeats
from app.records import claims
from app.records.database import Database, DatabaseUnavailable

log = logging.getLogger(__name__)

ATTEMPT_S = 15.0
"""How long one background attempt may take, look-up included."""

LEASE_S = 30.0
"""How long a claimed call stays with its claimer, who may have died; after that it counts as possibly done."""

IDLE_S = 0.5
"""How often the tables are looked at when nobody has woken us."""

GATHER_S = 0.01
"""How long outcomes are gathered while there is much to do: a transaction for each would cost more.

The calls claimed ahead keep the threads of a quick vendor busy for longer than that."""

QUICK_S = 0.25
"""Calls are claimed ahead for a vendor that answers within this; for a slower one it would gain nothing."""

STREAMS_S = 60.0
"""How often it is looked for calls of gateways that are no longer configured; they end up parked."""

LONGEST_REST_S = 5.0
"""How long nothing is claimed for a vendor whose breaker is open, at most."""

BUSY_REST_S = 0.25
"""The same for one that had no turn for us."""


class Dispatcher:
    """Delivers in the background from `start()` to `stop()`."""

    def __init__(
        self,
        database: Database,
        attempts: Attempts,
        gateways: Gateways,
        apply: Apply,
        done_after_all: Apply,
        *,
        keeper: Keeper,
        threads: int,
        clock: Callable[[], datetime] = utc_now,
        idle: Callable[[], object] = lambda: None,
        channels: frozenset[str],
        paused: Container[Stream] = frozenset(),
    ) -> None:
        """`apply` writes what follows from an outcome, `done_after_all` what follows from one that came too late.

        `channels` are the keys of those that are served; what is owed for any other waits (R35), as it does for
        the streams that are `paused` at the time.
        """
        gateways = {stream: gateway for stream, gateway in gateways.items() if stream[0] in channels}
        self._database = database
        self._attempts = attempts
        self._gateways = gateways
        self._keeper = keeper
        self._threads = threads
        self._clock = clock
        self._idle = idle
        self._channels = channels
        self._paused = paused
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._ending = threading.Event()
        self._failures = FailureLog()
        self._waits = Repeats()
        process = WorkerProcess(database, gateways, clock, self._stopping.is_set)
        self._syncer = Syncer(process)
        self._background_work = BackgroundWork(process)
        self._observers = {
            stream for stream, gateway in gateways.items() if gateway.observer and gateway.observer.reports_at
        }
        """What they are owed goes out in threads of its own, one each, so that it never takes one from orders (R14)."""
        self._streams = [*self._syncer.streams, *sorted(self._observers - set(self._syncer.streams))]
        self._slots = SlotScheduler(threads, self._observers, self._begin)
        self._never_ahead = {
            stream: [
                name
                for name, verb in gateway.commands.verbs.items()
                if isinstance(verb, Verb) and verb.repeat == "never"
            ]
            for stream, gateway in gateways.items()
        }
        """After a kill these are left to a person, so none of them is to be ours while it only waits."""
        self._recorder = Recorder(database, apply, done_after_all, clock)
        self._sending: set[Stream] = set()
        self._resting: dict[Stream, float] = {}
        """Streams whose vendor was not even called lately, and until when (monotonic) none is claimed."""
        self._owed_streams: set[Stream] = set()
        self._look_for_streams_at_s = 0.0
        self._are_facts_due = True
        self._look_for_facts_at_s = 0.0
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to deliver; returns at once."""
        threads = self._threads + len(self._streams) + len(self._observers)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="delivery")
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something may be due: look now."""
        self._are_facts_due = True
        self._wake.set()

    def finish(self) -> None:
        """Claim nothing more; returns at once, while running attempts end and are recorded.

        A call begun while a stopping process answers its last requests could be under way when it is killed.
        """
        self._stopping.set()
        self._wake.set()

    def stop(self, timeout_s: float = 6.0) -> None:
        """The same, and wait for it."""
        self.finish()
        self._ending.set()
        if self._thread:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        assert self._pool is not None
        while not self._stopping.is_set():
            is_busy = False
            try:
                is_busy = self._turn()
                if not is_busy:
                    self._idle()
            except DatabaseUnavailable as error:
                if self._waits.is_news(str(error)):
                    log.warning("deliveries wait for the database: %s", error)
            except Exception:
                log.exception("a turn of the dispatcher failed")
                self._recorder.record_apart()
            if is_busy:
                self._stopping.wait(GATHER_S)
            else:
                self._wake.wait(IDLE_S)
            self._wake.clear()
        for call in self._slots.take_back():
            self._recorder.put(call, None)
        self._recorder.record_apart()
        self._pool.shutdown(wait=True)
        self._recorder.record_last(self._ending.is_set)

    def _turn(self) -> bool:
        """Record, claim, hand to the pool.  True when something was claimed."""
        streams = self._open_streams()
        budget = self._slots.budget(streams)
        at_once: list[Claimed] = []
        ahead: list[Claimed] = []
        # Without an outcome a look that needs no writer's lock comes first: most turns find nothing due.
        if self._recorder.has_any() or self._is_any_due(budget.streams):
            with self._recorder.writing() as connection:
                # Known when the transaction has begun, for it may have waited long; what is recorded now is not due.
                known = self._keeper.known
                due = claims.due_streams(connection, budget.streams, self._clock())
                random.shuffle(due)  # when threads are few, no stream is always the last
                for stream in budget.in_order(due):
                    free, more = budget.of(stream)
                    if free + more == 0:
                        continue
                    # Most of what a lease is longer than an attempt stays for recording what came of it.
                    held_until_s = boot_s() + LEASE_S
                    begin_by_s = held_until_s - ATTEMPT_S - (LEASE_S - ATTEMPT_S) * 3 / 4
                    token, found = claims.claim(
                        connection, *stream, now=self._clock(), lease_s=LEASE_S,
                        limit=free, ahead=more, never_ahead=self._never_ahead.get(stream, ()), except_for=known,
                    )  # fmt: skip
                    budget.take(stream, len(found[:free]), len(found[free:]))
                    at_once += [Claimed(delivery, token, held_until_s=held_until_s) for delivery in found[:free]]
                    ahead += [Claimed(delivery, token, begin_by_s, held_until_s) for delivery in found[free:]]
        self._slots.begin(at_once, ahead)
        self._look_for_facts()
        return bool(at_once or ahead)

    def _begin(self, call: Claimed) -> None:
        assert self._pool is not None
        self._pool.submit(self._deliver, call)

    def _look_for_facts(self) -> None:
        """When somebody says that there are some and every now and then, but not after each delivery."""
        assert self._pool is not None
        now_s = time.monotonic()
        if not self._are_facts_due and now_s < self._look_for_facts_at_s:
            return
        self._are_facts_due = False
        self._look_for_facts_at_s = now_s + IDLE_S
        for stream in self._streams:
            with self._lock:
                if stream in self._sending:
                    self._are_facts_due = True  # what is looked for came perhaps after its last look
                    continue
                self._sending.add(stream)
            self._pool.submit(self._send_facts, stream)

    def _open_streams(self) -> list[Stream]:
        """All but those whose vendor takes no call now."""
        now_s = time.monotonic()
        if now_s >= self._look_for_streams_at_s:
            self._look_for_streams_at_s = now_s + STREAMS_S
            with self._database.read() as connection:
                self._owed_streams = claims.streams(connection)
        known = {*self._gateways, *self._owed_streams}
        known = {stream for stream in known if stream[0] in self._channels}
        with self._lock:
            open_ones = (stream for stream in known if self._resting.get(stream, 0.0) <= now_s)
            return [stream for stream in open_ones if stream not in self._paused]

    def _is_any_due(self, streams: Sequence[Stream]) -> bool:
        if not streams:
            return False
        with self._database.read() as connection:
            return bool(claims.due_streams(connection, streams, self._clock()))

    def _deliver(self, call: Claimed) -> None:
        following: Claimed | None = call
        while following is not None:
            following = self._delivered(following)

    def _delivered(self, call: Claimed) -> Claimed | None:
        """Make the call; the one that this thread makes next."""
        begun_s = time.monotonic()
        if boot_s() > call.begin_by_s:
            self._recorder.put(call, None)
            return self._slots.end(call, is_quick=False)
        delivery = call.delivery
        caller.channel.set(delivery.channel)
        settled = self._attempts.make(delivery, Deadline.in_s(ATTEMPT_S).held_until(call.held_until_s), is_inline=False)
        if settled.state == "parked":
            log.error(
                "delivery %s (%s) is parked: %s", delivery.id, delivery.verb, settled.code,
                extra={"channel": delivery.channel, "gateway": delivery.gateway, "order": delivery.lane},
            )  # fmt: skip
        elif settled.state == "delivered":
            self._failures.succeeded(*call.stream, delivery.verb)
        elif settled.state == "owed":
            self._failures.failed(
                *call.stream, delivery.verb, settled.code, settled.error, order=delivery.lane, delivery=delivery.id
            )
        self._recorder.put(call, settled)
        was_tried = settled.code not in UNTRIED_CODES
        if not was_tried:
            # Its next ones would fare the same: a backlog must not be turned over for nothing.
            pause_s = (settled.next_try_at - self._clock()).total_seconds()
            longest_s = LONGEST_REST_S if settled.code == "BREAKER_OPEN" else BUSY_REST_S
            with self._lock:
                self._resting[call.stream] = time.monotonic() + min(max(pause_s, 0.0), longest_s)
        following = self._slots.end(call, is_quick=was_tried and time.monotonic() - begun_s < QUICK_S)
        self._wake.set()
        return following

    def _send_facts(self, stream: Stream) -> None:
        caller.channel.set(stream[0])
        try:
            if stream not in self._paused:
                self._syncer.send(*stream)
            if self._background_work.do(*stream):
                self._wake.set()
        finally:
            with self._lock:
                self._sending.discard(stream)
