"""What an event loop is to do at later moments, such as sending a kept answer, without a thread that waits."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator

Act = Callable[[], None]


class LaterActs:
    """Any thread puts; the loop's thread takes what is due.  Moments are seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Act]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def put(self, at_s: float, act: Act) -> None:
        """Have `act` done at that moment or a little later."""
        with self._lock:
            heapq.heappush(self._waiting, (at_s, next(self._numbers), act))

    def patience_s(self, most_s: float) -> float:
        """How long the loop may wait for something else."""
        if not self._waiting:
            return most_s
        with self._lock:
            return min(most_s, max(0.0, self._waiting[0][0] - time.monotonic())) if self._waiting else most_s

    def due(self, now_s: float) -> Iterator[Act]:
        """What is to be done by now, in its order."""
        while self._waiting and self._waiting[0][0] <= now_s:
            with self._lock:
                _, _, act = heapq.heappop(self._waiting)
            yield act
