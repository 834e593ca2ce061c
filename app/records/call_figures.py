"""Counts callbacks and vendor calls by span of time, with the journal's lines of them, and when each was last seen.

What a page shows of a week or of ninety days is read from these figures, for the journal is far too long to count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, Insert, Select, and_, case, delete, func, or_, select

from app.records.statements import Prepared, upserted, visible
from app.records.tables.figures import DURATION_BOUNDS_MS, DURATION_CLASSES, call_figures, last_calls

FIVE_MINUTES_S: Final = 300
HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
SHORTEST_S: Final = FIVE_MINUTES_S
"""Every longer span is made of whole ones of these."""

KEPT: Final[Mapping[int, timedelta]] = {
    FIVE_MINUTES_S: timedelta(days=2),
    HOUR_S: timedelta(days=90),
    DAY_S: timedelta(days=90),
}
"""How long the figures of each length of span are kept."""

GOOD: Final = frozenset({"success", "with_events", "ok"})
"""Outcomes of calls that went through."""

NOT_SENT: Final = "not_sent"
"""Outcome of a vendor call that was not begun: a pause, an open breaker, no turn, no time."""

Kind = Literal["callback", "vendor"]


@dataclass(frozen=True)
class Figures:
    """Calls of one kind, channel, name and outcome in one span or several."""

    kind: Kind
    channel: str
    name: str
    outcome: str
    count: int
    durations: tuple[int, ...]
    """How many took how long: of each class of `DURATION_BOUNDS_MS`, then those that took longer."""
    at: datetime | None = None
    """When the span began; None for several."""


@dataclass(frozen=True)
class LastCall:
    """When something was called last, and when it last went well."""

    kind: Kind
    channel: str
    name: str
    at: datetime
    status: int | None
    outcome: str
    good_at: datetime | None


def outcome_of(line: Mapping[str, Any]) -> str:
    """The class of a journal line's outcome: for a callback success, with_events, refused or failed."""
    if line["kind"] == "vendor":
        return str(line["outcome"])[:16]
    status = line["status"] or 0
    if status >= 500:
        return "failed"
    if status >= 400:
        return "refused"
    return "success" if line["outcome"] in ("success", "DRY_RUN") else "with_events"


def name_of(line: Mapping[str, Any]) -> str:
    """The callback, or the vendor that was called."""
    return str(line["name"]).partition(" ")[0][:40]


@dataclass(frozen=True)
class Counted:
    """What some lines of the journal add to the figures."""

    calls: Counter[tuple[int, str, str, str, str, str]]
    """By the number of the shortest span, kind, channel, name, outcome and class of the duration."""
    last: dict[tuple[str, str, str], dict[str, Any]]
    """What is kept of the last call, by kind, channel and name."""


def counted(lines: Iterable[Mapping[str, Any]]) -> Counted:
    """The calls among these lines."""
    calls: Counter[tuple[int, str, str, str, str, str]] = Counter()
    last: dict[tuple[str, str, str], dict[str, Any]] = {}
    for line in lines:
        if line["kind"] not in ("callback", "vendor"):
            continue
        at, name, outcome = line["at"], name_of(line), outcome_of(line)
        of_one = (line["kind"], line["channel"], name)
        took = DURATION_CLASSES[bisect_left(DURATION_BOUNDS_MS, line["duration_ms"])]
        calls[int(at.timestamp()) // SHORTEST_S, *of_one, outcome, took] += 1
        if outcome != NOT_SENT:
            known = last.get(of_one, {})
            good_at = at if outcome in GOOD else known.get("good_at")
            last[of_one] = {"at": at, "status": line["status"], "outcome": line["outcome"], "good_at": good_at}
    return Counted(calls, last)


def add(connection: Connection, figures: Counted) -> None:
    """Add them, in the transaction that writes the lines."""
    _ADD.execute_many(connection, _rows(figures.calls))
    _keep_last(connection, figures.last)


def _rows(counted: Mapping[tuple[int, str, str, str, str, str], int]) -> list[dict[str, Any]]:
    """The rows for what was counted, of all spans."""
    spans: defaultdict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for (number, kind, channel, name, outcome, took), count in counted.items():
        begun_at = datetime.fromtimestamp(number * SHORTEST_S, UTC)
        for span_s in KEPT:
            span = spans[span_s, begin_of(begun_at, span_s), kind, channel, name, outcome]
            span["count"] += count
            span[took] += count
    names = [column.name for column in call_figures.primary_key.columns]
    # One order of rows for all processes, so that two of them never wait for each other.
    return [
        {**dict(zip(names, key, strict=True)), **{name: spans[key][name] for name in _COUNTS}} for key in sorted(spans)
    ]


def begin_of(at: datetime, span_s: int) -> datetime:
    """When the span of this length began that holds a moment; hours and days are those of UTC."""
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % span_s, UTC)


def _keep_last(connection: Connection, last: Mapping[tuple[str, str, str], Mapping[str, Any]]) -> None:
    rows = [{"kind": key[0], "channel": key[1], "name": key[2], **last[key]} for key in sorted(last)]
    _ADD_LAST.execute_many(connection, rows)


def _added(dialect: str) -> Insert:
    was = call_figures.c
    return upserted(dialect, call_figures, lambda added: {name: was[name] + added[name] for name in _COUNTS})


def _last_added(dialect: str) -> Insert:
    was = last_calls.c

    def change(added: Any) -> dict[str, Any]:
        is_later = added.at >= was.at
        return {
            "at": case((is_later, added.at), else_=was.at),
            "status": case((is_later, added.status), else_=was.status),
            "outcome": case((is_later, added.outcome), else_=was.outcome),
            "good_at": case(
                (added.good_at.is_(None), was.good_at),
                (was.good_at > added.good_at, was.good_at),
                else_=added.good_at,
            ),
        }

    return upserted(dialect, last_calls, change)


_COUNTS = ("count", *DURATION_CLASSES)
_ADD = Prepared(_added)
_ADD_LAST = Prepared(_last_added)


# Reading


def last_of(connection: Connection, channels: Collection[str] | None) -> list[LastCall]:
    """When each callback and vendor of these channels (None: all) was called last."""
    rows = connection.execute(select(last_calls).where(visible(last_calls.c.channel, channels)))
    return [LastCall(*row) for row in rows]


def summed(connection: Connection, span_s: int, since: datetime, channels: Collection[str] | None) -> list[Figures]:
    """The figures of all spans of this length that began since then, added up."""
    of = call_figures.c
    keys = (of.kind, of.channel, of.name, of.outcome)
    sums = [func.sum(of[name]) for name in ("count", *DURATION_CLASSES)]
    rows = connection.execute(
        select(*keys, *sums)
        .where(of.span_s == span_s, of.at >= since, visible(of.channel, channels))
        .group_by(*keys)
        .order_by(*keys)
    )
    return [
        Figures(row[0], row[1], row[2], row[3], int(row[4]), tuple(int(count) for count in row[5:])) for row in rows
    ]


def by_span(
    connection: Connection, kind: Kind, span_s: int, since: datetime, channels: Collection[str] | None
) -> list[tuple[datetime, str, str, int]]:
    """How many calls of a kind there were in each span, by channel and outcome: (begin, channel, outcome, count)."""
    of = call_figures.c
    keys = (of.at, of.channel, of.outcome)
    rows = connection.execute(
        select(*keys, func.sum(of["count"]))
        .where(of.span_s == span_s, of.at >= since, of.kind == kind, visible(of.channel, channels))
        .group_by(*keys)
        .order_by(*keys)
    )
    return [(row[0], row[1], row[2], int(row[3])) for row in rows]


def percentile_ms(durations: Iterable[int], part: float) -> float | None:
    """The duration that this part of the calls did not exceed, from the classes; None where there was no call.

    Inside a class it is taken as evenly spread; of those beyond the last bound it is the bound.
    """
    counts = tuple(durations)
    rank = part * sum(counts)
    if rank <= 0:
        return None
    low, seen = 0.0, 0
    for bound, count in zip(DURATION_BOUNDS_MS, counts, strict=False):
        if count and seen + count >= rank:
            return low + (bound - low) * (rank - seen) / count
        low, seen = float(bound), seen + count
    return low


# Purging


def expired(now: datetime) -> Select[Any]:
    """Spans that are past their date."""
    of = call_figures.c
    old = [and_(of.span_s == span_s, of.at < now - kept) for span_s, kept in KEPT.items()]
    return select(of.span_s, of.at).where(or_(*old)).distinct().order_by(of.at)


def purge(connection: Connection, spans: Sequence[Any]) -> None:
    """Delete the figures of these spans."""
    of = call_figures.c
    for span in spans:
        connection.execute(delete(call_figures).where(of.span_s == span.span_s, of.at == span.at))
