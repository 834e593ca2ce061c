"""How fast one vendor key may be called: pure decisions on a state that all processes share (R14).

A token is the right to make one call.  Tokens are added at the rate and kept up to a small capacity.  Questions
take tokens first, then commands, then facts; while facts wait, every fifth of the tokens that are not for
questions is theirs.  A process that was refused leaves a mark, which holds kinds of lower priority back in
all processes until it has had its token.

The rate itself is learned where the plan leaves room above the setting: it grows while calls succeed and is
cut when the vendor says that it is too much (AIMD).  `now` is in seconds of one clock all processes use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Final, Literal

CallKind = Literal["question", "command", "fact"]

RANK: Final[Mapping[CallKind, int]] = {"question": 0, "command": 1, "fact": 2}

BLOCK_S: Final = 0.25
"""How many seconds of the rate one process may have in hand."""

LOWEST_PER_S: Final = 0.5
"""No cut goes below this, or below the setting where that is lower."""

CUT_EVERY_S: Final = 10.0
"""Calls under way together are throttled together; only the first of them cuts the rate."""

RECOVERY_S: Final = 14 * 60.0
"""Within this time of successes a rate that was cut is back at its setting, with a minute to spare (R14)."""

LONGEST_GROWTH_S: Final = 60.0
"""A success after a longer silence counts for no more than this."""

MARK_SLACK_S: Final = 0.25
"""How long after its time a mark still holds: the process that left it has to come back through the database."""

_LONGEST_MARK_S: Final = 60.0
_LONGEST_POLL_S: Final = 0.1
_SHORTEST_WAIT_S: Final = 0.05
"""At a high rate several tokens are waited for at once: each look at the store costs a transaction."""
_COMMANDS_PER_FACT: Final = 4.0
_ROUNDING: Final = 1e-9
"""Below a billionth of a token it is the rounding of the refill, not a missing token."""


@dataclass(frozen=True, slots=True)
class RatePlan:
    """What an operator has set for one vendor key.

    `per_s`: calls a second at the start, 0 for no cap; `setting`: the operator's name for it; `most_per_s`: up to
    where the rate may grow, at least `per_s`; `growth`: by which part of `per_s` it grows in a minute of full use;
    `cut`: by what it is multiplied when the vendor throttles.  Raises `ValueError` for numbers that mean nothing.
    """

    per_s: float
    most_per_s: float = 0.0
    growth: float = 0.2
    cut: float = 0.5
    setting: str = "requests_per_s"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.per_s) and self.per_s >= 0.0):
            raise ValueError("a rate must be 0 (no cap) or more calls a second")
        if not (math.isfinite(self.most_per_s) and self.growth >= 0.0 and 0.0 < self.cut <= 1.0):
            raise ValueError("a rate cannot be learned with these numbers")

    @property
    def highest(self) -> float:
        return max(self.per_s, self.most_per_s)

    @property
    def lowest(self) -> float:
        return min(self.per_s, LOWEST_PER_S)

    def share_of(self, processes: int) -> RatePlan:
        """The equal part of one process, for a time in which processes cannot share."""
        return replace(self, per_s=self.per_s / processes, most_per_s=self.most_per_s / processes)


@dataclass(frozen=True, slots=True)
class RateState:
    """What is kept of one vendor key; `*_until`: when the marks of waiting calls end, 0 for none."""

    setting: float
    """The plan's `per_s` with which `rate` was learned; another setting begins anew."""
    rate: float
    tokens: float
    at: float
    """Up to when tokens have been added."""
    question_until: float = 0.0
    command_until: float = 0.0
    fact_until: float = 0.0
    fact_credit: float = 0.0
    """Tokens that commands took while facts waited, divided by four: from 1 on the next is a fact's."""
    grown_at: float = 0.0
    cut_at: float = 0.0
    """When the vendor last throttled; 0 for never."""

    @property
    def marks(self) -> tuple[float, float, float]:
        return self.question_until, self.command_until, self.fact_until

    @property
    def is_fact_due(self) -> bool:
        """True when commands have had their four fifths and the next token is a fact's."""
        return self.fact_credit >= 1.0 - _ROUNDING

    def stored(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def read(cls, row: Mapping[str, float]) -> RateState:
        return cls(**{item.name: row[item.name] for item in fields(cls)})


@dataclass(frozen=True, slots=True)
class Request:
    """A process that needs a token for one call of `kind`.

    `most`: how many it takes at once where nobody is held up by it; `waiting`: how many other calls of
    its own wait, by rank; `own_marks`: the marks it left last, which it may take away.
    """

    kind: CallKind
    most: int = 1
    waiting: Sequence[int] = (0, 0, 0)
    own_marks: Sequence[float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Grant:
    """`tokens` taken; or none and the seconds after which to ask again.

    `is_certain`: no token can come before, whatever others do.
    """

    tokens: int
    wait_s: float
    is_certain: bool
    state: RateState


def sizes(rate: float, processes: int) -> tuple[float, int]:
    """(tokens kept for all, tokens one process takes at once).

    All that can be saved up, here and in the hands of the processes, is one block for each of them; a process
    that takes n uses one at once and so has n - 1 in hand.
    """
    block = max(1.0, rate * BLOCK_S)
    taken = max(1, int(min(block, processes * (block + 1.0) / (processes + 1))))
    return processes * (block - taken + 1.0), taken


def current(state: RateState | None, plan: RatePlan, processes: int, now: float) -> RateState:
    """The state at `now`: tokens added, marks of the past forgotten, the rate within its plan."""
    if state is None:
        return RateState(plan.per_s, plan.per_s, sizes(plan.per_s, processes)[0], now, grown_at=now)
    if state.setting != plan.per_s:
        state = replace(state, setting=plan.per_s, rate=plan.per_s)
    rate = min(max(state.rate, plan.lowest), plan.highest)
    # A clock that was set back must neither add tokens nor keep marks for hours.
    passed_s = max(0.0, now - state.at)
    question, command, fact = (until if now < until <= now + _LONGEST_MARK_S else 0.0 for until in state.marks)
    return replace(
        state,
        rate=rate,
        tokens=min(sizes(rate, processes)[0], state.tokens + passed_s * rate),
        at=now,
        question_until=question,
        command_until=command,
        fact_until=fact,
        grown_at=min(state.grown_at, now),
        cut_at=min(state.cut_at, now),
    )


def give_back(state: RateState, tokens: int, processes: int) -> RateState:
    """After a process has returned what it did not use; `state` is `current`."""
    if not tokens:
        return state
    return replace(state, tokens=min(sizes(state.rate, processes)[0], state.tokens + tokens))


def ask(state: RateState, request: Request, now: float) -> Grant:
    """Decide on tokens for one request; `state` is `current`."""
    rank = RANK[request.kind]
    waits = [until > now or count > 0 for until, count in zip(state.marks, request.waiting, strict=True)]
    usable = state.tokens
    if (rank > 0 and waits[0]) or (rank == 2 and waits[1] and not state.is_fact_due):
        usable = -math.inf
    elif rank == 1 and waits[2] and state.is_fact_due:
        usable -= math.floor(state.fact_credit + _ROUNDING)
    if usable < 1.0 - _ROUNDING:
        is_certain = usable == state.tokens
        needed = max(1.0, state.rate * _SHORTEST_WAIT_S)
        wait_s = (needed - usable) / state.rate if is_certain else min(_LONGEST_POLL_S, needed / state.rate)
        return Grant(0, wait_s, is_certain, _marked(state, request, now, wait_s))
    is_contended = rank == 2 and waits[1]
    most = min(usable, state.fact_credit) if is_contended else usable
    tokens = max(1, min(request.most, math.floor(most + _ROUNDING)))
    credit = state.fact_credit
    if rank == 1 and waits[2]:
        credit = min(max(1.0, state.rate * BLOCK_S), credit + tokens / _COMMANDS_PER_FACT)
    elif rank == 2:
        credit = max(0.0, credit - tokens)
    taken = _marked(replace(state, tokens=state.tokens - tokens, fact_credit=credit), request, now, None)
    if is_contended:
        # Whoever sends fact after fact is back in a moment and must not lose its part in between.
        taken = replace(taken, fact_until=max(taken.fact_until, now + MARK_SLACK_S))
    return Grant(tokens, 0.0, True, taken)


def _marked(state: RateState, request: Request, now: float, wait_s: float | None) -> RateState:
    """The marks of this process as they are now: who waits has one, who has its token has none (`wait_s` None)."""
    rank = RANK[request.kind]
    marks = list(state.marks)
    for each, count in enumerate(request.waiting):
        if each == rank and wait_s is not None:
            marks[each] = max(marks[each], now + wait_s + MARK_SLACK_S)
        elif count > 0:
            marks[each] = max(marks[each], now + 1.0 / state.rate + MARK_SLACK_S)
        elif each == rank and marks[each] == request.own_marks[each]:
            # Only its own: another process's question still waits.
            marks[each] = 0.0
    return replace(state, question_until=marks[0], command_until=marks[1], fact_until=marks[2])


# The learned rate


def grown(state: RateState, plan: RatePlan, successes: int, now: float) -> RateState:
    """After calls that succeeded since the last growth; `state` is `current`.

    Below the setting any success lets it grow with time, so that it is back within `RECOVERY_S`; above it grows
    as far as it is used, for a rate nobody has tried is not known to be good.
    """
    if successes <= 0:
        return state
    passed_s = now - state.grown_at
    counted_s = min(max(0.0, passed_s), LONGEST_GROWTH_S)
    gain = plan.growth * plan.per_s / 60.0
    if state.rate < plan.per_s:
        gain = max(gain, (plan.per_s - plan.lowest) / RECOVERY_S)
        rate = min(plan.per_s, state.rate + gain * counted_s)
    else:
        use = min(1.0, successes / (state.rate * passed_s)) if passed_s > 0.0 else 0.0
        rate = min(plan.highest, state.rate + gain * counted_s * use)
    return replace(state, rate=rate, grown_at=now)


def cut(state: RateState, plan: RatePlan, now: float) -> RateState:
    """After the vendor has said that it is too much; once in `CUT_EVERY_S`.  What was saved up is gone too."""
    if state.cut_at and now - state.cut_at < CUT_EVERY_S:
        return state
    return replace(state, rate=max(plan.lowest, state.rate * plan.cut), tokens=0.0, grown_at=now, cut_at=now)
