"""What was done to the server's own processes, and when: who died or stood still has an excuse that others lack."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

WAKING_S = 2.0
"""How long a process that goes on may still send what it was about to."""

RECORDED_S = 2.5
"""How long a living process may take from an answer of the vendor until that is written down."""


@dataclass
class Injury:
    """Something that excuses: a process "killed" or "stopped", its "database lost", or "late packets".

    Times are monotonic.
    """

    kind: str
    process: int | None
    """None: all of them."""
    begun_at: float
    ended_at: float = math.inf


class Injuries:
    """All of a run; shared by its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Injury] = []

    def begin(self, kind: str, process: int | None = None) -> Injury:
        """From now on until `ended_at` is set."""
        injury = Injury(kind, process, time.monotonic())
        with self._lock:
            self._all.append(injury)
        return injury

    def happened(self, kinds: Collection[str], since: float, until: float, process: int | None = None) -> bool:
        """True when one of these reached into that time; `process` None: whichever it was."""
        return any(self._overlapping(kinds, since, until, process))

    def may_have_delayed(self, at: datetime) -> bool:
        """True when a call that arrived then may have been late on the wire, or in a process that stood still."""
        moment = at.timestamp() - time.time() + time.monotonic()
        return self.happened(("late packets", "stopped"), moment - WAKING_S, moment)

    def may_have_forgotten(self, begun_at: float, heard_at: float, until: float) -> bool:
        """True when the database was away while an answer was given, and a process of ours died before it was back.

        What a vendor has answered is told even if it cannot be written down; until then that process alone knows it.
        """
        return any(
            self.happened(("killed",), heard_at, min(until, away.ended_at + RECORDED_S))
            for away in self._overlapping(("database lost",), begun_at, heard_at, None)
        )

    def stood_still_s(self, since: float, until: float) -> float:
        """How much of that time some process was stopped."""
        return self._length_of("stopped", since, until)

    def without_database_s(self, since: float, until: float) -> float:
        """How much longer than `until` the database stayed away, where it went away in that time."""
        lost = self._overlapping(("database lost",), since, until, None)
        return max([0.0, *(injury.ended_at - until for injury in lost)])

    def _length_of(self, kind: str, since: float, until: float) -> float:
        some = self._overlapping((kind,), since, until, None)
        return sum(min(injury.ended_at, until) - max(injury.begun_at, since) for injury in some)

    def _overlapping(self, kinds: Collection[str], since: float, until: float, process: int | None) -> list[Injury]:
        with self._lock:
            return [
                injury
                for injury in self._all
                if injury.kind in kinds
                and (process is None or injury.process in (None, process))
                and injury.begun_at <= until
                and injury.ended_at >= since
            ]
