"""Threads that are begun as work comes in, and end when there was none for a while.

A server of many channels needs many of them for a moment, when all vendors are to be called at once, and few otherwise.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

KEPT_S: Final = 15.0
"""How long a thread waits for work: as long as an idle connection to a vendor, which belongs to its thread, is used."""

log = logging.getLogger(__name__)


class WorkThreads:
    """At most `most` threads.  Thread-safe."""

    def __init__(self, most: int, name: str, kept_s: float = KEPT_S) -> None:
        self._most = most
        self._name = name
        self._kept_s = kept_s
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[Callable[[], object]] = deque()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._is_ending = False

    def submit(self, work: Callable[[], object]) -> None:
        """Have `work` done, now or as soon as a thread is free; returns at once.

        Raises `RuntimeError`, and does nothing, where there is no thread and the system gives none.
        """
        with self._changed:
            self._waiting.append(work)
            if self._idle >= len(self._waiting):
                self._changed.notify()
            elif len(self._threads) < self._most:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    if not self._threads:
                        self._waiting.pop()
                        raise
                else:
                    self._threads.add(thread)

    def finish(self) -> None:
        """Wait until all work is done; nothing may be submitted any more."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._threads)

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except Exception:
                log.exception("work of a %s thread failed", self._name)

    def _next(self) -> Callable[[], object] | None:
        """What this thread does next; None where it ends."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._waiting or self._is_ending, self._kept_s)
            self._idle -= 1
            if self._waiting:
                return self._waiting.popleft()
            self._threads.discard(threading.current_thread())
            self._changed.notify_all()
            return None
