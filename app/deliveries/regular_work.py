"""Small work that a process does every second in one thread of its own, however busy all others are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from app.records.database import DatabaseUnavailable

EVERY_S: Final = 1.0

log = logging.getLogger(__name__)


class RegularWork:
    """One process's; each piece of work returns soon and may raise whatever it likes."""

    def __init__(self, *work: Callable[[], object]) -> None:
        self._work = [*work]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="regular-work", daemon=True)

    def add(self, work: Callable[[], object]) -> None:
        """Do this every second, too."""
        self._work.append(work)

    def start(self) -> None:
        """Do all of it now, then begin to do it regularly."""
        self._turn()
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            self._turn()

    def _turn(self) -> None:
        for work in self._work:
            try:
                work()
            except DatabaseUnavailable:
                continue  # who needs the database for something of weight says so
            except Exception:
                log.exception("regular work failed")
