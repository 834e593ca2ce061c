"""How long something takes, less what a busy machine adds: upper limits of time that hold there, too."""

from __future__ import annotations

import threading
import time
from types import TracebackType

PAUSE_S = 0.005


class Stopwatch:
    """Measures its block.

    A thread beside it sleeps again and again.  What such a sleep takes more than its time is lost: the machine ran
    something else, and would have kept every other thread of this process waiting as well.
    """

    def __init__(self) -> None:
        self._begun_s = self._lost_before_s = self._lost_s = 0.0
        self._took_s: float | None = None

    @property
    def took_s(self) -> float:
        """Seconds of the block, until now or its end, less those that were lost meanwhile."""
        if self._took_s is not None:
            return self._took_s
        return time.perf_counter() - self._begun_s - self._lost_now_s()

    @property
    def is_disturbed(self) -> bool:
        """Once the block is over: the machine took more than a twentieth of it, so that it may be measured again."""
        return self._lost_s > 0.05 * (self.took_s + self._lost_s)

    def _lost_now_s(self) -> float:
        return _sleeper.lost_s() - self._lost_before_s

    def __enter__(self) -> Stopwatch:
        _sleeper.join()
        self._begun_s, self._lost_before_s = time.perf_counter(), _sleeper.lost_s()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._took_s, self._lost_s = self.took_s, self._lost_now_s()
        _sleeper.leave()


class _Sleeper:
    """The thread, for all stopwatches of the process, while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._thread: threading.Thread | None = None
        self._lost_s = 0.0
        self._due_s = float("inf")

    def join(self) -> None:
        with self._lock:
            self._users += 1
            if self._thread is None:
                self._due_s = time.perf_counter()
                self._thread = threading.Thread(target=self._sleep, name="stopwatch", daemon=True)
                self._thread.start()

    def leave(self) -> None:
        with self._lock:
            self._users -= 1

    def lost_s(self) -> float:
        """Since the process began, with what a sleep is late by now."""
        with self._lock:
            return self._lost_s + max(time.perf_counter() - self._due_s, 0.0)

    def _sleep(self) -> None:
        while True:
            with self._lock:
                now_s = time.perf_counter()
                self._lost_s += max(now_s - self._due_s, 0.0)
                self._due_s = now_s + PAUSE_S if self._users else float("inf")
                if not self._users:
                    self._thread = None
                    return
            time.sleep(PAUSE_S)


_sleeper = _Sleeper()
