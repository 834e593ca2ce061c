"""How a figure is taken: its sides in turn in every round, and the median of each."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

from tests.benchmarks.bench import median

Row = tuple[str, float, str]
"""A label that begins with the figure's name, its ratio, and its goal (`>= 0.70`)."""


class Skipped(Exception):
    """A figure, or the rest of one, cannot be measured here; says what is missing."""


def interleaved(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """The median of each measure, all of them taken in turn in every round."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for number, measure in enumerate(measures):
            taken[number].append(measure())
    return [median(values) for values in taken]


def timed(work: Callable[[], Any]) -> float:
    """Seconds of one call, with the garbage of the last one out of the way."""
    gc.collect()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
