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
from collections.abc import Callable, Container, Iterable
from datetime import datetime, timedelta
from functools import partial

from app import caller
from app.clock import boot_s, utc_now
from app.deadline import Deadline
from app.deliveries.attempts import Attempts
from app.deliveries.background_work import WorkerProcess
from app.deliveries.failure_log import FailureLog
from app.deliveries.keeping import Keeper
from app.deliveries.recording import Apply, Recorder
from app.deliveries.slots import Claimed, SlotScheduler, Stream
from app.deliveries.stream_work import StreamWork
from app.deliveries.transitions import UNTRIED_CODES
from app.deliveries.work_threads import WorkThreads
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

LISTENING_S = 3.0
"""The same where other processes wake us, and nothing was due at the last look."""

GATHER_S = 0.01
"""How long outcomes are gathered while there is much to do: a transaction for each would cost more.

The calls claimed ahead keep the threads of a quick vendor busy for longer than that."""

QUICK_S = 0.25
"""Calls are claimed ahead for a vendor that answers within this; for a slower one it would gain nothing."""

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
        is_listening: Callable[[], bool] = lambda: False,
    ) -> None:
        """`apply` writes what follows from an outcome, `done_after_all` what follows from one that came too late.

        `channels` are the keys of those that are served; what is owed for any other waits (R35), as it does for
        the streams that are `paused` at the time.  `is_listening`: whether other processes wake this one.
        """
        gateways = {stream: gateway for stream, gateway in gateways.items() if stream[0] in channels}
        self._database = database
        self._attempts = attempts
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
        self._is_listening = is_listening
        self._stream_work = StreamWork(
            WorkerProcess(database, gateways, clock, self._stopping.is_set), paused, self.wake
        )
        observers = {stream for stream, gateway in gateways.items() if gateway.observer and gateway.observer.reports_at}
        # What they are owed goes out in threads of its own, one each, so that it never takes one from orders (R14).
        self._slots = SlotScheduler(threads, observers, self._begin)
        self._call_threads = WorkThreads(threads + len(observers), "delivery")
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
        self._resting: dict[Stream, float] = {}
        """Streams whose vendor was not even called lately, and until when (monotonic) none is claimed."""
        self._is_more_due = True
        self._look_further_at_s = 0.0
        self._next_call_s = IDLE_S
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to deliver; returns at once."""
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something may be due: look now."""
        self._is_more_due = True
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
        while not self._stopping.is_set():
            is_busy, pause_s = False, IDLE_S
            try:
                is_busy = self._turn()
                pause_s = self._pause_s()
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
                self._wake.wait(pause_s)
            self._wake.clear()
        for call in self._slots.take_back():
            self._recorder.put(call, None)
        self._recorder.record_apart()
        self._call_threads.finish()
        self._stream_work.finish()
        self._recorder.record_last(self._ending.is_set)

    def _turn(self) -> bool:
        """Record, claim, hand to the threads.  True when something was claimed."""
        at_once: list[Claimed] = []
        ahead: list[Claimed] = []
        # Without an outcome a look that needs no writer's lock comes first: most turns find nothing due.
        if self._has_outcomes() or self._is_any_due():
            with self._recorder.writing() as connection:
                # Known when the transaction has begun, for it may have waited long; what is recorded now is not due.
                known = self._keeper.known
                due = self._open(claims.due_streams(connection, self._clock()))
                random.shuffle(due)  # when threads are few, no stream is always the last
                budget = self._slots.budget(due)
                for stream in budget.in_order(budget.streams):
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
        self._look_further()
        return bool(at_once or ahead)

    def _has_outcomes(self) -> bool:
        self._next_call_s = IDLE_S  # what is recorded may be due again soon
        return self._recorder.has_any()

    def _begin(self, call: Claimed) -> None:
        self._call_threads.submit(partial(self._deliver, call))

    def _look_further(self) -> None:
        """When somebody says that more is due, and every now and then, but not after each delivery."""
        now_s = time.monotonic()
        if not self._is_more_due and now_s < self._look_further_at_s:
            return
        self._is_more_due = False
        wait_s = self._stream_work.begin_due(LISTENING_S)
        longest_s = LISTENING_S if wait_s != 0.0 and self._is_listening() else IDLE_S
        self._look_further_at_s = now_s + min(longest_s, wait_s or longest_s)

    def _pause_s(self) -> float:
        """How long nothing is to be done unless somebody wakes us."""
        return max(0.0, min(self._next_call_s, self._look_further_at_s - time.monotonic()))

    def _open(self, streams: Iterable[Stream]) -> list[Stream]:
        """Those of channels that are served and whose vendor takes calls now."""
        now_s = time.monotonic()
        with self._lock:
            open_ones = [stream for stream in streams if self._resting.get(stream, 0.0) <= now_s]
        return [stream for stream in open_ones if stream[0] in self._channels and stream not in self._paused]

    def _is_any_due(self) -> bool:
        """Whether a call may be claimed now; notes how long none will be due."""
        now = self._clock()
        with self._database.read() as connection:
            found = claims.due_streams(connection, now, now + timedelta(seconds=LISTENING_S))
        due = [stream for stream, at in found.items() if at <= now]
        waits_s = [(at - now).total_seconds() for at in found.values() if at > now]
        longest_s = LISTENING_S if not due and self._is_listening() else IDLE_S
        self._next_call_s = min([longest_s, *waits_s])
        return bool(self._slots.budget(self._open(due)).streams)

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
