"""The connections of one process to PostgreSQL: opened on demand, closed when idle.

Small plans allow 20 connections to all processes together, and a rolling release doubles those.  How many a process
may have is bounded by whoever asks (`Database`); a server that has none left is waited for, because the others' idle
ones close soon.
"""

from __future__ import annotations

import logging
import random
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Pool
from sqlalchemy.pool import ConnectionPoolEntry

from app.records.database_errors import is_full

IDLE_S: Final = 30.0
"""How long a connection is kept that nobody uses."""

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.25

log = logging.getLogger(__name__)

T = TypeVar("T")


def patiently(connect: Callable[[], T], wait_s: float) -> T:
    """What `connect` gives; tried again for `wait_s` while the server has no connection left.

    Raises whatever `connect` raises last.
    """
    give_up_at = time.monotonic() + wait_s
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return connect()
        except Exception as error:
            left_s = give_up_at - time.monotonic()
            if not is_full(getattr(error, "orig", error)) or left_s <= 0.0:
                raise
        time.sleep(min(random.uniform(pause_s / 2, pause_s), left_s))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


class KeptConnections(Pool):
    """A pool without a bound of its own.  The one used last is used next, so that the others become idle."""

    def __init__(self, creator: Any, **options: Any) -> None:
        super().__init__(creator, **options)
        self._options = options
        self._idle: deque[tuple[float, ConnectionPoolEntry]] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._closer: threading.Thread | None = None
        self._is_disposed = False

    def close_idle(self, idle_s: float = 0.0) -> float:
        """Close those that nobody has used for `idle_s`; in how many seconds the next would be due, 0 for none."""
        while True:
            with self._changed:
                if not self._idle:
                    return 0.0
                left_s = self._idle[0][0] + idle_s - time.monotonic()
                if left_s > 0.0:
                    return left_s
                _, record = self._idle.popleft()
            record.close()

    def recreate(self) -> KeptConnections:
        return type(self)(self._creator, **{**self._options, "_dispatch": self.dispatch, "dialect": self._dialect})

    def dispose(self) -> None:
        self._is_disposed = True
        self.close_idle()
        with self._changed:
            self._changed.notify()

    def status(self) -> str:
        return f"{len(self._idle)} idle connections"

    def _do_get(self) -> ConnectionPoolEntry:
        while True:
            with self._changed:
                if not self._idle:
                    break
                _, record = self._idle.pop()
            if not self._has_gone(record):
                return record
            record.close()
        return self._create_connection()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if record.dbapi_connection is None:  # it was lost
            return
        if self._is_disposed:
            record.close()
            return
        with self._changed:
            self._idle.append((time.monotonic(), record))
            if self._closer is None:
                self._closer = threading.Thread(target=self._close_in_time, name="database-idle", daemon=True)
                self._closer.start()

    def _has_gone(self, record: ConnectionPoolEntry) -> bool:
        """Whether the server has ended a connection: that leaves an end or a last word in the socket."""
        connection: Any = record.dbapi_connection
        poll = select.poll()
        try:
            poll.register(connection.fileno(), select.POLLIN)
        except Exception:  # the driver has noticed
            return True
        return bool(poll.poll(0))

    def _close_in_time(self) -> None:
        """Ends when there is none left to wait for."""
        while True:
            left_s = self.close_idle(IDLE_S)
            with self._changed:
                if not self._idle:
                    self._closer = None
                    return
                self._changed.wait(left_s or IDLE_S)
