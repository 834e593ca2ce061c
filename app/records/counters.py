"""Counters and histograms that all processes share: each adds what it counted, and any reads the sum.

Counted in memory and written in the journal's transactions: a kill may lose the last second, as it may lose lines.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, Insert, select

from app.metrics import Metric
from app.records.statements import Prepared, upserted
from app.records.tables.metrics import counters

Labels = tuple[str, ...]
"""Values in the order in which the metric declares its labels."""

WITHOUT_BOUND = "+Inf"


@dataclass(frozen=True)
class Distribution:
    """A histogram's line: how many took at most so long, by upper bound in seconds, and the seconds of all."""

    buckets: tuple[tuple[str, float], ...]
    sum_s: float


def _added(dialect: str) -> Insert:
    table = counters
    return upserted(dialect, table, lambda added: {"value": table.c.value + added["value"]})


_ADD = Prepared(_added)


class Deltas:
    """What this process has counted and not written yet.  For one thread."""

    def __init__(self) -> None:
        self._sums: Counter[tuple[str, Labels, Labels]] = Counter()
        """By the line's name, and the names and values of its labels."""
        self._durations: Counter[tuple[Metric, Labels, int]] = Counter()
        """How many were in each bucket, by its place."""

    def __bool__(self) -> bool:
        return bool(self._sums)

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Add to a counter; `labels` in their declared order."""
        self._sums[metric.name, metric.labels, labels] += by  # type: ignore[assignment]

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Add one duration to a histogram."""
        self._durations[metric, labels, bisect_left(metric.buckets, seconds)] += 1
        self._sums[f"{metric.name}_sum", metric.labels, labels] += seconds  # type: ignore[assignment]

    def write(self, connection: Connection) -> None:
        """Add all of it to what is kept; it stays here until `clear`, for the transaction may fail."""
        counted = {(name, _key(names, labels)): value for (name, names, labels), value in self._sums.items()}
        for (metric, labels, at), number in self._durations.items():
            bound = f"{metric.buckets[at]:g}" if at < len(metric.buckets) else WITHOUT_BOUND
            counted[f"{metric.name}_bucket", _key((*metric.labels, "le"), (*labels, bound))] = number
        # One order of rows for all processes, so that two of them never wait for each other.
        rows = [{"name": name, "labels": labels, "value": v} for (name, labels), v in sorted(counted.items())]
        _ADD.execute_many(connection, rows)

    def clear(self) -> None:
        """It is written."""
        self._sums.clear()
        self._durations.clear()


def _key(names: Sequence[str], values: Sequence[str]) -> str:
    return msgspec.json.encode(dict(sorted(zip(names, values, strict=True)))).decode()


Kept = Mapping[str, Mapping[str, float]]
"""By name the value of each combination of labels, as it is stored."""


def kept(connection: Connection) -> Kept:
    """Everything that was ever counted."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for row in connection.execute(select(counters)):
        found[row.name][row.labels] = row.value
    return found


def totals(found: Kept, metric: Metric) -> dict[Labels, float]:
    """The lines of a counter; those that another version wrote with other labels are left out."""
    return {
        tuple(labels[name] for name in metric.labels): value
        for text, value in found.get(metric.name, {}).items()
        if (labels := _read(text)).keys() == set(metric.labels)
    }


def distributions(found: Kept, metric: Metric) -> dict[Labels, Distribution]:
    """The lines of a histogram; bounds that another version wrote count where they are."""
    bounds: dict[Labels, Counter[str]] = defaultdict(Counter)
    for text, value in found.get(f"{metric.name}_bucket", {}).items():
        labels = _read(text)
        if labels.keys() == {*metric.labels, "le"}:
            bounds[tuple(labels[name] for name in metric.labels)][labels["le"]] += int(value)
    sums = {
        tuple(labels[name] for name in metric.labels): value
        for text, value in found.get(f"{metric.name}_sum", {}).items()
        if (labels := _read(text)).keys() == set(metric.labels)
    }
    return {labels: _distribution(metric, counts, sums.get(labels, 0.0)) for labels, counts in bounds.items()}


def _distribution(metric: Metric, counts: Mapping[str, int], sum_s: float) -> Distribution:
    declared = {f"{bound:g}" for bound in metric.buckets} | {WITHOUT_BOUND}
    reached, buckets = 0, []
    for bound in sorted(declared | counts.keys(), key=float):
        reached += counts.get(bound, 0)
        buckets.append((bound, float(reached)))
    return Distribution(tuple(buckets), sum_s)


def _read(labels: str) -> dict[str, str]:
    return msgspec.json.decode(labels, type=dict[str, str])
