"""What has to succeed once before a process uses its database, such as the registration of channels."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from app.errors import ChannelError
from app.records.compatibility import UnfitDatabase
from app.records.database_errors import DatabaseUnavailable


class Prerequisite:
    """Work that is required until it has succeeded once; `is_met` from then on."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.is_met = False
        self._work = work
        self._lock = threading.RLock()
        self._is_under_way = False
        self._failed: tuple[float, str] = (0.0, "")
        """When it failed last (monotonic), and why."""

    def meet(self) -> None:
        """Do the work unless it was done.  Raises `DatabaseUnavailable` where it fails."""
        asked_at = time.monotonic()
        with self._lock:  # threads that come meanwhile wait; what the work itself reads goes on
            if self.is_met or self._is_under_way:
                return
            if asked_at < self._failed[0]:  # it failed meanwhile; else each would wait for the database in turn
                raise DatabaseUnavailable(self._failed[1])
            self._is_under_way = True
            try:
                self._work()
                self.is_met = True
            except ChannelError as error:
                reason = error.reason if isinstance(error, UnfitDatabase) else str(error)
                self._failed = (time.monotonic(), reason)
                raise DatabaseUnavailable(reason) from error
            finally:
                self._is_under_way = False
