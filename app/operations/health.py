"""The figures of the last hour, day, week or ninety days: callbacks, vendor calls, and what was pending."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from app.operations.scope import Scope
from app.records import call_figures, pending_figures
from app.records.call_figures import DAY_S, FIVE_MINUTES_S, GOOD, HOUR_S, NOT_SENT, Figures, begin_of, percentile_ms
from app.records.database import Database

__all__ = [
    "WINDOWS",
    "CallbackFigures",
    "HealthFigures",
    "SpanOfCallbacks",
    "SpanOfPending",
    "VendorFigures",
    "Window",
    "health",
]

Window = Literal["1h", "24h", "7d", "90d"]


@dataclass(frozen=True)
class _Form:
    length: timedelta
    figures_s: int
    """Which figures are added up."""
    step_s: int
    """How long each point of a picture is."""


WINDOWS: Final[Mapping[Window, _Form]] = {
    "1h": _Form(timedelta(hours=1), FIVE_MINUTES_S, FIVE_MINUTES_S),
    "24h": _Form(timedelta(hours=24), FIVE_MINUTES_S, HOUR_S),
    "7d": _Form(timedelta(days=7), HOUR_S, 6 * HOUR_S),
    "90d": _Form(timedelta(days=90), DAY_S, DAY_S),
}


@dataclass(frozen=True)
class CallbackFigures:
    """One callback over the whole window."""

    callback: str
    outcomes: Mapping[str, int]
    """How many came to what: success, with_events (200 with errors or warnings), refused (4xx), failed (5xx)."""
    p50_ms: float | None
    p95_ms: float | None

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.outcomes.values())


@dataclass(frozen=True)
class VendorFigures:
    """The calls to one vendor for one channel over the whole window."""

    channel: str
    """Key of the records."""
    vendor: str
    outcomes: Mapping[str, int]
    """How many came to what: ok, refused, misconfigured, broken, unknown, not_done, not_sent."""
    p50_ms: float | None
    p95_ms: float | None
    """Of the calls that were sent; waiting for a turn at the rate is part of it."""

    @property
    def calls(self) -> int:
        """Calls that were sent."""
        return sum(count for outcome, count in self.outcomes.items() if outcome != NOT_SENT)

    @property
    def errors(self) -> int:
        """Calls that were sent and did not go through."""
        return sum(count for outcome, count in self.outcomes.items() if outcome not in (*GOOD, NOT_SENT))

    @property
    def not_sent(self) -> int:
        """Calls that were not begun: an open breaker, no free turn, no time, or a pause."""
        return self.outcomes.get(NOT_SENT, 0)


@dataclass(frozen=True)
class SpanOfCallbacks:
    """Callbacks of one step of the picture, by outcome; a step without any is a gap in nothing: its counts are 0."""

    at: datetime
    outcomes: Mapping[str, int]


@dataclass(frozen=True)
class SpanOfPending:
    """The most that was pending in one step of the picture; None where nothing was sampled: a gap."""

    at: datetime
    owed: int | None
    parked: int | None
    oldest_s: int | None
    facts: int | None


@dataclass(frozen=True)
class HealthFigures:
    """All figures of one window."""

    window: Window
    since: datetime
    until: datetime
    step_s: int
    callbacks: tuple[CallbackFigures, ...]
    """The most frequent first."""
    vendors: tuple[VendorFigures, ...]
    over_time: tuple[SpanOfCallbacks, ...]
    pending: tuple[SpanOfPending, ...]
    """Of all channels and gateways in the scope together."""


def health(database: Database, scope: Scope, window: Window, *, channel: str = "") -> HealthFigures:
    """The figures of a window; of one channel, or of all in the scope.  Raises `DatabaseUnavailable`."""
    form = WINDOWS[window]
    now = database.now()
    since = begin_of(now - form.length, form.step_s) + timedelta(seconds=form.step_s)
    keys = scope.keys if not channel else frozenset({channel} if scope.sees(channel) else ())
    with database.read() as connection:
        figures = call_figures.summed(connection, form.figures_s, since, keys)
        spans = call_figures.by_span(connection, "callback", form.figures_s, since, keys)
        samples = pending_figures.most_pending(connection, since, form.step_s, keys)
    steps = [
        since + timedelta(seconds=form.step_s * number)
        for number in range(int(form.length.total_seconds()) // form.step_s)
    ]
    return HealthFigures(
        window,
        since,
        now,
        form.step_s,
        _callbacks([item for item in figures if item.kind == "callback"]),
        _vendors([item for item in figures if item.kind == "vendor"]),
        _over_time(spans, steps, form.step_s),
        tuple(SpanOfPending(at, *samples.get(at, (None, None, None, None))) for at in steps),
    )


def _added(durations: Iterable[Sequence[int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*durations, strict=True)))


def _callbacks(figures: Iterable[Figures]) -> tuple[CallbackFigures, ...]:
    by_name: dict[str, list[Figures]] = defaultdict(list)
    for item in figures:
        by_name[item.name].append(item)
    found = []
    for name, items in by_name.items():
        outcomes: Counter[str] = Counter()
        for item in items:
            outcomes[item.outcome] += item.count
        durations = _added(item.durations for item in items)
        found.append(
            CallbackFigures(name, dict(outcomes), percentile_ms(durations, 0.5), percentile_ms(durations, 0.95))
        )
    return tuple(sorted(found, key=lambda item: (-item.count, item.callback)))


def _vendors(figures: Iterable[Figures]) -> tuple[VendorFigures, ...]:
    by_stream: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    for item in figures:
        by_stream[item.channel, item.name].append(item)
    found = []
    for (channel, vendor), items in sorted(by_stream.items()):
        outcomes = {item.outcome: item.count for item in items}
        durations = _added([item.durations for item in items if item.outcome != NOT_SENT])
        found.append(
            VendorFigures(channel, vendor, outcomes, percentile_ms(durations, 0.5), percentile_ms(durations, 0.95))
        )
    return tuple(found)


def _over_time(
    spans: Iterable[tuple[datetime, str, str, int]], steps: Sequence[datetime], step_s: int
) -> tuple[SpanOfCallbacks, ...]:
    counts: dict[datetime, Counter[str]] = {at: Counter() for at in steps}
    for at, _, outcome, count in spans:
        if (step := begin_of(at, step_s)) in counts:
            counts[step][outcome] += count
    return tuple(SpanOfCallbacks(at, dict(outcomes)) for at, outcomes in counts.items())
