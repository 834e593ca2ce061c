"""When a vendor may be called and when again: decisions apart from the transport, so that tests can pin them.

Everything but `Gate`, `LocalRate` and `Deadline` is a pure function of a frozen state and a given `now`
(seconds of any monotonic clock).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Literal, Protocol

from app.errors import Unavailable

CallKind = Literal["question", "command", "fact"]

LONGEST_RETRY_AFTER_S: Final = 3600.0
"""A vendor that asks for more is asked again after this, lest a slip in its header stop us for days."""

_LONGEST_PAUSE_S: Final = 60.0
_RANK: Final[Mapping[CallKind, int]] = {"question": 0, "command": 1, "fact": 2}
_FACTS_SHARE: Final = 0.6


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock by which an answer must stand; handed down through every layer."""

    at_s: float

    @classmethod
    def in_s(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def left_s(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.at_s - time.monotonic())

    def within_s(self, seconds: float) -> Deadline:
        """This deadline, or the one `seconds` from now if that is sooner."""
        return Deadline(min(self.at_s, time.monotonic() + seconds))


# When to try again


def backoff_s(attempt: int, *, base_s: float = 1.0, cap_s: float = 300.0) -> float:
    """The wait after failed attempt number `attempt` (from 1): base, doubled each time, at most the cap."""
    return min(cap_s, base_s * 2.0 ** min(max(attempt, 1) - 1, 60))


def jittered(delay_s: float, roll: float) -> float:
    """Between half of the delay and all of it, by a roll in [0, 1), so that many do not return as one."""
    return delay_s * (0.5 + 0.5 * roll)


def next_try_s(attempt: int, retry_after_s: float | None, roll: float) -> float:
    """Seconds until the next try: the jittered backoff, but never before the vendor's own wish."""
    wanted = 0.0 if retry_after_s is None else min(max(retry_after_s, 0.0), LONGEST_RETRY_AFTER_S)
    own = jittered(backoff_s(attempt), roll)
    return own if own >= wanted else wanted + own * 0.1


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header (RFC 9110 10.2.3: seconds or date); None if absent or unreadable."""
    text = (value or "").strip()
    if not text:
        return None
    if text.isascii() and text.replace(".", "", 1).isdigit():
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)


# The breaker


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """Opens after `threshold` consecutive failures, for `first_open_s`, doubling up to `longest_open_s`.

    A probe that never reports is given up after `probe_s`.
    """

    threshold: int = 5
    first_open_s: float = 5.0
    longest_open_s: float = 60.0
    probe_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """Closed while `open_until` is None; open before that moment; half-open from it on."""

    failures: int = 0
    openings: int = 0
    open_until: float | None = None
    probe_until: float | None = None
    rules: BreakerRules = field(default_factory=BreakerRules)

    def refuses_for_s(self, now: float) -> float:
        """Seconds for which no call is let through; 0.0 if one may be."""
        if self.open_until is None:
            return 0.0
        if now < self.open_until:
            return self.open_until - now
        return 0.0 if self.probe_until is None else max(0.0, self.probe_until - now)


def may_call(state: Breaker, now: float) -> tuple[bool, Breaker]:
    """Whether a call may go out; half-open lets one probe through and then waits for its report."""
    if state.refuses_for_s(now) > 0.0:
        return False, state
    if state.open_until is None:
        return True, state
    return True, replace(state, probe_until=now + state.rules.probe_s)


def after_success(state: Breaker) -> Breaker:
    """Any usable answer closes the breaker, a refusal or a 429 too: the vendor lives."""
    return state if state.failures == 0 and state.open_until is None else Breaker(rules=state.rules)


def after_failure(state: Breaker, now: float) -> Breaker:
    """No answer, an answer cut short, or a 5xx.  Stragglers of the time before it opened change nothing."""
    if state.open_until is not None and now < state.open_until:
        return state
    failures = state.failures + 1
    if state.open_until is None and failures < state.rules.threshold:
        return replace(state, failures=failures)
    open_s = min(state.rules.longest_open_s, state.rules.first_open_s * 2.0 ** min(state.openings, 30))
    return Breaker(failures, state.openings + 1, now + open_s, None, state.rules)


def after_nothing(state: Breaker) -> Breaker:
    """The call told nothing about the vendor's health; another probe may go out."""
    return replace(state, probe_until=None) if state.probe_until is not None else state


# The rate


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """`rate` calls a second, bursts up to `burst`; facts additionally live within 60 % of both (R14).

    Rate 0 is no cap.
    """

    rate: float
    burst: float
    tokens: float
    fact_tokens: float
    at: float

    @classmethod
    def full(cls, rate: float, now: float, *, burst: float | None = None) -> TokenBucket:
        """A full bucket; the burst is one second's worth unless given, and at least one call.

        Raises `ValueError` for a rate that is negative or no number.
        """
        if not (math.isfinite(rate) and rate >= 0.0):
            raise ValueError("a rate must be 0 (no cap) or more calls a second")
        size = max(1.0, rate if burst is None else burst)
        return cls(rate, size, size, max(1.0, size * _FACTS_SHARE), now)


def take(bucket: TokenBucket, now: float, kind: CallKind) -> tuple[bool, TokenBucket, float]:
    """(granted, bucket afterwards, seconds until asking again is worth it)."""
    if bucket.rate == 0.0:
        return True, bucket, 0.0
    passed = max(0.0, now - bucket.at)
    tokens = min(bucket.burst, bucket.tokens + passed * bucket.rate)
    fact_rate = bucket.rate * _FACTS_SHARE
    fact_tokens = min(max(1.0, bucket.burst * _FACTS_SHARE), bucket.fact_tokens + passed * fact_rate)
    wait_s = (1.0 - tokens) / bucket.rate
    if kind == "fact":
        wait_s = max(wait_s, (1.0 - fact_tokens) / fact_rate)
    # Below a nanosecond it is the rounding of the refill, not a missing token.
    is_granted = wait_s < 1e-9
    if is_granted:
        tokens -= 1.0
        if kind == "fact":
            fact_tokens -= 1.0
    filled = replace(bucket, tokens=tokens, fact_tokens=fact_tokens, at=max(now, bucket.at))
    return is_granted, filled, 0.0 if is_granted else wait_s


class Rate(Protocol):
    """Where a gate gets its tokens; a rate shared through the database takes the place of `LocalRate`."""

    def take(self, kind: CallKind) -> float:
        """Takes one token and gives 0.0, or takes none and gives the seconds until asking again."""
        ...


class LocalRate:
    """The rate of one vendor key within this process.  Thread-safe."""

    def __init__(self, rate: float, *, burst: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bucket = TokenBucket.full(rate, clock(), burst=burst)
        self._lock = threading.Lock()

    def take(self, kind: CallKind) -> float:
        if self._bucket.rate == 0.0:
            return 0.0
        with self._lock:
            _, self._bucket, wait_s = take(self._bucket, self._clock(), kind)
        return wait_s


# The gate


class Visit:
    """One thread inside a gate.  Tell it what became of the call; silence counts as nothing learned."""

    __slots__ = ("_gate", "_verdict")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._verdict: bool | None = None

    def succeeded(self) -> None:
        """The vendor gave a usable answer, whatever it says."""
        self._verdict = True

    def failed(self) -> None:
        """The vendor gave none: down, too slow, cut short, 5xx."""
        self._verdict = False

    def pause(self, seconds: float) -> None:
        """The vendor asked for quiet: nobody calls it for that long (at most a minute)."""
        self._gate.pause(seconds)

    def __enter__(self) -> Visit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.leave(self._verdict)


class Gate:
    """Who of this process may call one vendor key now: breaker, rate, calls at a time, threads at most.

    `max_inside` counts the threads inside, those that wait for a turn included (R14: half of the
    process's threads; one more is refused at once).  `concurrency` is how many calls may be under
    way together, 0 for no cap.  Of those that wait, questions go before commands before facts.
    """

    def __init__(
        self,
        vendor: str,
        *,
        rate: Rate | None = None,
        max_inside: int = 8,
        concurrency: int = 0,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.vendor = vendor
        self._rate: Rate = LocalRate(0.0) if rate is None else rate
        self._max_inside = max_inside
        self._concurrency = concurrency or max_inside
        self._clock = clock
        self._turn = threading.Condition(threading.Lock())
        self._breaker = Breaker() if breaker is None else breaker
        self._paused_until = -math.inf
        self._inside = 0
        self._calling = 0
        self._waiting = [0, 0, 0]

    @property
    def breaker(self) -> Breaker:
        """A snapshot, for metrics and the operator's page."""
        return self._breaker

    def enter(self, kind: CallKind, deadline: Deadline) -> Visit:
        """A `with` block inside the gate, once it is this caller's turn.

        Raises `Unavailable`, surely not done: BREAKER_OPEN or VENDOR_BUSY at once, RATE_LIMITED as soon
        as it is clear that no token comes before the deadline.
        """
        rank = _RANK[kind]
        with self._turn:
            self._check_breaker()
            if self._inside >= self._max_inside:
                raise self._refusal("VENDOR_BUSY", "as many threads as allowed are inside it", None)
            self._inside += 1
            self._waiting[rank] += 1
        is_granted = False
        try:
            self._wait_for_turn(kind, rank, deadline)
            is_granted = True
        finally:
            with self._turn:
                self._waiting[rank] -= 1
                if not is_granted:
                    self._inside -= 1
                if any(self._waiting):
                    self._turn.notify_all()
        return Visit(self)

    def pause(self, seconds: float) -> None:
        with self._turn:
            until = self._clock() + min(max(seconds, 0.0), _LONGEST_PAUSE_S)
            self._paused_until = max(self._paused_until, until)

    def leave(self, verdict: bool | None) -> None:
        """For `Visit` only: one call has ended, with True for well, False for ill, None for neither."""
        with self._turn:
            self._inside -= 1
            self._calling -= 1
            if verdict is None:
                self._breaker = after_nothing(self._breaker)
            elif verdict:
                self._breaker = after_success(self._breaker)
            else:
                self._breaker = after_failure(self._breaker, self._clock())
            if any(self._waiting):
                self._turn.notify_all()

    def _wait_for_turn(self, kind: CallKind, rank: int, deadline: Deadline) -> None:
        while True:
            with self._turn:
                self._check_breaker()
                wait_s = self._paused_until - self._clock()
                if wait_s <= 0.0:
                    if any(self._waiting[:rank]) or self._calling >= self._concurrency:
                        self._await_notice(deadline)
                        continue
                    self._calling += 1
            if wait_s <= 0.0:
                # Not under the lock: a rate shared between processes asks the database.
                wait_s = self._take_token(kind)
                if wait_s <= 0.0:
                    return
            left_s = deadline.left_s()
            if wait_s >= left_s:
                raise self._refusal("RATE_LIMITED", "no call is free within the time left", wait_s)
            with self._turn:
                self._turn.wait(wait_s)

    def _take_token(self, kind: CallKind) -> float:
        """0.0 with the turn kept, or the seconds to wait with the turn given back."""
        is_kept = False
        try:
            wait_s = self._rate.take(kind)
            if wait_s <= 0.0:
                with self._turn:
                    is_let, self._breaker = may_call(self._breaker, self._clock())
                    if not is_let:
                        raise self._breaker_refusal()
                is_kept = True
            return wait_s
        finally:
            if not is_kept:
                with self._turn:
                    self._calling -= 1

    def _await_notice(self, deadline: Deadline) -> None:
        left_s = deadline.left_s()
        if left_s <= 0.0:
            raise self._refusal("VENDOR_BUSY", "its turn did not come within the time left", None)
        self._turn.wait(left_s)

    def _check_breaker(self) -> None:
        if self._breaker.refuses_for_s(self._clock()) > 0.0:
            raise self._breaker_refusal()

    def _breaker_refusal(self) -> Unavailable:
        wait_s = self._breaker.refuses_for_s(self._clock())
        return self._refusal("BREAKER_OPEN", "it failed several times in a row and is left alone", wait_s)

    def _refusal(self, code: str, why: str, retry_after_s: float | None) -> Unavailable:
        return Unavailable(
            code, f"{self.vendor} was not called: {why}", outcome_unknown=False, retry_after_s=retry_after_s
        )
