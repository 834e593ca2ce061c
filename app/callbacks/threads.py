"""The threads that answer requests, started as they are needed and shared fairly between the channels (P15).

A request that waits for its turn holds no thread.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Final

from app.callbacks.senders import STRANGERS
from app.errors import Rejected
from app.fair_turns import Shares

MOST_WAITING: Final = 250
"""Requests of one channel that may wait: a quarter of the connections of a process."""

log = logging.getLogger(__name__)

_OVERLOADED: Final = Rejected(503, "OVERLOADED", "too many requests at once; send again", retry_after_s=10)


class Threads:
    """Takes whole requests from one event loop.

    Of a channel at most seven eighths of the threads are busy, so that one is free when another channel comes; of
    those that nobody knows at most a quarter.  While several wait, those of which least is under way go first.
    """

    def __init__(self, most: int, work: Callable[[Any], None]) -> None:
        """`work` raises nothing."""
        self._most = most
        self._work = work
        most_each, most_of_strangers = most - max(1, most // 8), max(1, most // 4)
        self._shares: Shares[Any] = Shares(
            most, lambda sender: most_of_strangers if sender == STRANGERS else max(1, most_each)
        )
        self._lock = threading.Lock()
        self._ready: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._under_way = 0
        self._started = 0

    def give(self, job: Any, sender: str) -> None:
        """Have a job done in its turn; called by the loop alone.  Raises `Rejected` 503 where too many wait."""
        with self._lock:
            if not self._shares.begin(sender):
                if self._shares.waiting(sender) >= MOST_WAITING:
                    raise _OVERLOADED
                self._shares.wait(sender, job)
                return
            self._under_way += 1
            is_thread_needed = self._under_way > self._started
        if is_thread_needed and not self._is_thread_started() and not self._started:
            with self._lock:
                self._shares.end(sender)
                self._under_way -= 1
            raise _OVERLOADED
        self._ready.put((sender, job))

    def _is_thread_started(self) -> bool:
        """False where the system allows no more threads; the job then waits for one of those that are there."""
        # A process that stops waits for its requests by their connections, and for no longer than it may.
        thread = threading.Thread(target=self._run, name=f"requests-{self._started + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            log.error("a thread for requests cannot be started: %s", error)
            return False
        self._started += 1
        return True

    def _run(self) -> None:
        while True:
            following: tuple[str, Any] | None = self._ready.get()
            while following is not None:
                sender, job = following
                self._work(job)
                following = self._after(sender)

    def _after(self, sender: str) -> tuple[str, Any] | None:
        """The next request's turn, in the same thread."""
        with self._lock:
            self._shares.end(sender)
            following = self._shares.begin_next()
            self._under_way -= following is None
            return following
