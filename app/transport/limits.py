"""Who of this process may call one vendor key now: circuit breaker, rate, calls at a time, threads at most (R14).

What is decided about rates and the breaker are pure functions elsewhere; here threads wait for their turn.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import insort
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Final, Protocol

from app.deadline import Deadline
from app.errors import PAUSED, Unavailable
from app.transport import breaker
from app.transport.breaker import Breaker
from app.transport.rates import RANK, CallKind, RatePlan
from app.transport.shared_rate import Turn, local_rate

QUICK_S: Final = 1.0
"""A vendor that answers within this, on average and now, may hold three quarters of the threads."""

_LONGEST_PAUSE_S: Final = 60.0
_NEWEST_ANSWER: Final = 0.3
"""The weight of the newest answer in the average time of an answer."""


class Rate(Protocol):
    """Where a limiter gets its tokens."""

    @property
    def is_fact_due(self) -> bool:
        """True when the next token that is not for a question is for a fact."""
        ...

    def take(self, kind: CallKind, waiting: Sequence[int]) -> Turn:
        """Take one token, or say when to ask again; `waiting`: other calls that wait, by rank."""
        ...

    def succeeded(self) -> None:
        """The vendor has answered a call without throttling it."""
        ...

    def throttled(self) -> None:
        """The vendor says that it is too much."""
        ...


@dataclass(order=True, slots=True)
class _Ticket:
    """A call that waits.  Of one kind the earliest deadline goes first: a callback of several calls can finish."""

    rank: int
    until_s: float
    number: int


class Permit:
    """The right to make one call, for a `with` block.  Report what became of it; silence counts as nothing learned."""

    __slots__ = ("_is_throttled", "_limiter", "_verdict", "begun_s", "kind")

    def __init__(self, limiter: CallLimiter, kind: CallKind, begun_s: float) -> None:
        self._limiter = limiter
        self.kind = kind
        self._verdict: bool | None = None
        self._is_throttled = False
        self.begun_s = begun_s

    def succeeded(self) -> None:
        """The vendor gave a usable answer, whatever it says."""
        self._verdict = True

    def failed(self) -> None:
        """The vendor gave none: down, too slow, cut short, 5xx."""
        self._verdict = False

    def throttled(self, retry_after_s: float) -> None:
        """The vendor asks for fewer calls: the rate is cut, and nobody calls for `retry_after_s` (at most a minute)."""
        self._is_throttled = True
        self._limiter.throttled(retry_after_s)

    def __enter__(self) -> Permit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limiter.leave(self, self._verdict, is_throttled=self._is_throttled)


class Admission(Protocol):
    """Says when a call to a vendor may begin."""

    def enter(self, kind: CallKind, deadline: Deadline) -> Permit:
        """See `CallLimiter.enter`."""
        ...


class CallLimiter:
    """One per vendor key and process.

    `threads`: how many of this process call vendors.  Half of them at most are in here, waiting ones included, and
    three quarters while the vendor is healthy; one more is refused at once.  Facts do not count, for the syncer has
    threads of its own.  `concurrency`: how many calls may be under way together, 0 for no cap.  Of those that wait,
    questions go before commands before facts, and facts keep their fifth (see `rates`).
    """

    def __init__(
        self,
        vendor: str,
        *,
        rate: Rate | None = None,
        threads: int = 16,
        concurrency: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.vendor = vendor
        self._rate: Rate = local_rate(RatePlan(0.0)) if rate is None else rate
        self._threads = threads
        self._concurrency = concurrency or threads
        self._clock = clock
        self._turn = threading.Condition(threading.Lock())
        self._breaker = Breaker()
        self._paused_until = -math.inf
        self._waiting: list[_Ticket] = []
        self._numbers = count()
        self._is_asking = False
        self._ask_at = [-math.inf] * len(RANK)
        self._under_way: dict[Permit, None] = {}
        """In the order in which they began."""
        self._answer_s = 0.0
        """How long an answer took on average; one that never came counts as a slow one."""

    @property
    def breaker(self) -> Breaker:
        """A snapshot, for metrics and the operator's page."""
        return self._breaker

    def enter(self, kind: CallKind, deadline: Deadline) -> Permit:
        """The right to call, once it is this caller's turn.

        Raises `Unavailable`, surely not done: BREAKER_OPEN or VENDOR_BUSY at once; RATE_LIMITED when the
        deadline is over, or as soon as it is certain that no token comes before it.
        """
        with self._turn:
            self._check_breaker()
            if kind != "fact" and self._inside() >= self._most_inside():
                raise self._refusal("VENDOR_BUSY", "as many threads as allowed wait for it", None)
            ticket = _Ticket(RANK[kind], deadline.at_s, next(self._numbers))
            insort(self._waiting, ticket)
            # Whoever waits for a token with a lower priority has to see it.
            self._turn.notify_all()
            try:
                while True:
                    self._wait_until_next(ticket, deadline)
                    if permit := self._ask(kind, ticket, deadline):
                        return permit
            finally:
                self._waiting.remove(ticket)
                self._turn.notify_all()

    def throttled(self, retry_after_s: float) -> None:
        """For `Permit` only."""
        with self._turn:
            until = self._clock() + min(max(retry_after_s, 0.0), _LONGEST_PAUSE_S)
            self._paused_until = max(self._paused_until, until)
        self._rate.throttled()

    def leave(self, permit: Permit, verdict: bool | None, *, is_throttled: bool) -> None:
        """For `Permit` only: one call has ended, with True for well, False for ill, None for neither."""
        if verdict and not is_throttled:
            self._rate.succeeded()
        with self._turn:
            del self._under_way[permit]
            now = self._clock()
            if verdict is None:
                self._answer_s = max(self._answer_s, now - permit.begun_s)
                self._breaker = breaker.after_nothing(self._breaker)
            elif verdict:
                self._answer_s += _NEWEST_ANSWER * (now - permit.begun_s - self._answer_s)
                if self._breaker.failures:
                    self._breaker = breaker.after_success(self._breaker)
            else:
                self._answer_s = max(self._answer_s, QUICK_S)
                self._breaker = breaker.after_failure(self._breaker, now)
            if self._waiting:
                self._turn.notify_all()

    def _inside(self) -> int:
        waiting = sum(ticket.rank != RANK["fact"] for ticket in self._waiting)
        return waiting + sum(permit.kind != "fact" for permit in self._under_way)

    def _most_inside(self) -> int:
        oldest = next(iter(self._under_way), None)
        is_quick = self._answer_s < QUICK_S and (oldest is None or self._clock() - oldest.begun_s < QUICK_S)
        half = max(1, self._threads // 2)
        return max(half, self._threads * 3 // 4) if is_quick and self._breaker.open_until is None else half

    def _wait_until_next(self, ticket: _Ticket, deadline: Deadline) -> None:
        """Hold until this call is the one that may ask for a token.  Raises `Unavailable`."""
        while True:
            self._check_breaker()
            now, left_s = self._clock(), deadline.left_s()
            pause_s = self._paused_until - now
            if pause_s > 0.0:
                # The vendor's pause, not our throttle: there is no use in waiting for a moment beyond the deadline.
                if pause_s >= left_s:
                    raise self._refusal("RATE_LIMITED", "it has requested a pause", pause_s)
                self._turn.wait(pause_s)
                continue
            wait_s = left_s
            if self._next() is ticket and not self._is_asking and len(self._under_way) < self._concurrency:
                wait_s = self._ask_at[ticket.rank] - now
                if wait_s <= 0.0:
                    return
            if left_s <= 0.0:
                is_slow = len(self._under_way) >= self._concurrency
                code, why = ("VENDOR_BUSY", "its turn") if is_slow else ("RATE_LIMITED", "a call of its rate")
                raise self._refusal(code, f"{why} did not come within the time left", None)
            self._turn.wait(min(wait_s, left_s))

    def _next(self) -> _Ticket:
        first = self._waiting[0]
        if first.rank == RANK["command"] and self._rate.is_fact_due:
            return next((ticket for ticket in self._waiting if ticket.rank == RANK["fact"]), first)
        return first

    def _ask(self, kind: CallKind, ticket: _Ticket, deadline: Deadline) -> Permit | None:
        """One try to get a token.  Raises `Unavailable`; gives None where the call has to wait on."""
        others = [0] * len(RANK)
        for each in self._waiting:
            others[each.rank] += each is not ticket
        self._is_asking = True
        # Not under the lock: a rate shared between processes asks the database.
        self._turn.release()
        try:
            turn = self._rate.take(kind, others)
        finally:
            self._turn.acquire()
            self._is_asking = False
        if turn.wait_s > 0.0:
            self._ask_at[ticket.rank] = self._clock() + turn.wait_s
            if turn.is_certain and turn.wait_s >= deadline.left_s():
                raise self._refusal("RATE_LIMITED", "no call of its rate is free within the time left", turn.wait_s)
            self._turn.notify_all()
            return None
        self._ask_at[ticket.rank] = -math.inf
        if self._breaker.open_until is not None:
            is_let, self._breaker = breaker.may_call(self._breaker, self._clock())
            if not is_let:
                raise self._breaker_refusal()
        permit = Permit(self, kind, self._clock())
        self._under_way[permit] = None
        return permit

    def _check_breaker(self) -> None:
        if self._breaker.open_until is not None and self._breaker.refuses_for_s(self._clock()) > 0.0:
            raise self._breaker_refusal()

    def _breaker_refusal(self) -> Unavailable:
        wait_s = self._breaker.refuses_for_s(self._clock())
        return self._refusal("BREAKER_OPEN", "it failed several times in a row and is left alone", wait_s)

    def _refusal(self, code: str, why: str, retry_after_s: float | None) -> Unavailable:
        return Unavailable(
            code, f"{self.vendor} was not called: {why}", outcome_unknown=False, retry_after_s=retry_after_s
        )


@dataclass(frozen=True)
class PausableLimiter:
    """A limiter as one gateway of a channel has it, which an operator may pause while others go on."""

    limiter: CallLimiter
    channel: str
    vendor: str
    paused: Container[tuple[str, str]]
    """The (channel, vendor) pairs that are paused now; it changes while the limiter is used."""

    def enter(self, kind: CallKind, deadline: Deadline) -> Permit:
        """See `CallLimiter.enter`; raises `Unavailable` PAUSED besides.  A call that waits already still goes."""
        if (self.channel, self.vendor) in self.paused:
            raise Unavailable(PAUSED, f"{self.vendor} was not called: an operator has paused it")
        return self.limiter.enter(kind, deadline)
