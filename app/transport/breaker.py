"""The circuit breaker of one vendor key: pure decisions on a frozen state, so that tests can pin them.

`now` is in seconds of any monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace


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
    """The call showed nothing about the vendor's health; another probe may go out."""
    return replace(state, probe_until=None) if state.probe_until is not None else state
