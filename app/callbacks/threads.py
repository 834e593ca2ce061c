"""The threads that answer requests, started as they are needed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class Threads:
    """Takes whole requests from one event loop, first come first served."""

    def __init__(self, most: int, work: Callable[[Any], None]) -> None:
        """`work` raises nothing."""
        self._most = most
        self._work = work
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._in_hand: set[Any] = set()
        self._started = 0

    def give(self, job: Any) -> None:
        """Have a job done, which is no other's equal; called by the loop alone."""
        self._in_hand.add(job)
        if self._started < self._most and len(self._in_hand) > self._started:
            self._started += 1
            # A process that stops waits for its requests by their connections, and for no longer than it may.
            threading.Thread(target=self._run, name=f"requests-{self._started}", daemon=True).start()
        self._jobs.put(job)

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            self._work(job)
            self._in_hand.discard(job)
