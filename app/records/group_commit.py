"""Group commit: short writes of one channel share a transaction, and each returns once it is committed.

A commit is the dearest part of a short write, for it waits for the disk; and on PostgreSQL the next push of a gateway
waits for it, too.  Whoever finds nobody writing leads: it runs its own write and those that have come by then, on its
thread.  Nobody waits for others to come.  Where anything fails, nothing is kept of any of them, and each is run again
in a transaction of its own, so that no write suffers from another's failure.  Channels share nothing here, so that
none waits for another's locks.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection

from app.records.database_errors import DatabaseBusy, DatabaseUnavailable

MOST: Final = 32
"""How many writes share a transaction at most: the first of them waits for all."""

LONGEST_S: Final = 0.02
"""After how long a group takes no more of those that wait: other channels wait for SQLite's writer meanwhile."""

LATE_S: Final = 1.0
"""How much longer than its own time a write is waited for that is under way already."""

T = TypeVar("T")

_LEADS, _IS_KEPT, _IS_APART = range(3)
"""What became of a write that waited: it leads the next group, it is committed, or it is to be run by itself."""


class _Write(Generic[T]):
    """One thread's write; the lock is released when it is settled what becomes of it."""

    __slots__ = ("become", "context", "result", "settled", "work")
    result: T

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self.work = work
        self.context: Context = copy_context()
        self.settled = threading.Lock()
        self.settled.acquire()
        self.become = _IS_APART

    def settle(self, become: int) -> None:
        self.become = become
        self.settled.release()


class GroupCommit:
    """The short writes of one channel in one process.  Thread-safe."""

    def __init__(self, transaction: Callable[[float], AbstractContextManager[Connection]]) -> None:
        """`transaction`: begins a write transaction within so many seconds and commits it at the end of its block."""
        self._transaction = transaction
        self._lock = threading.Lock()
        self._is_led = False
        self._waiting: deque[_Write[Any]] = deque()

    def run(self, work: Callable[[Connection], T], wait_s: float) -> T:
        """What `work` returns, once everything that it wrote is committed.

        It is short, may run on another thread and more than once, and uses no other connection.  Raises what `work`
        raises, `DatabaseUnavailable` when it has not begun within `wait_s` or is not done much later, and whatever a
        transaction raises.
        """
        write = _Write(work)
        give_up_at = time.monotonic() + wait_s
        with self._lock:
            leads = not self._is_led
            if leads:
                self._is_led = True
            else:
                self._waiting.append(write)
        if not leads:
            self._await(write, wait_s)
            if write.become == _IS_KEPT:
                return write.result
            leads = write.become == _LEADS
        if leads and self._lead(write, max(give_up_at - time.monotonic(), 0.0)):
            return write.result
        left_s = give_up_at - time.monotonic()
        if left_s <= 0:
            raise DatabaseBusy("a commit of several writes failed late")
        with self._transaction(left_s) as connection:
            return work(connection)

    @property
    def waiting(self) -> int:
        """How many writes wait for the next group."""
        return len(self._waiting)

    def _lead(self, own: _Write[Any], wait_s: float) -> bool:
        """False where the group failed; raises where it did and no other write was part of it."""
        others: list[_Write[Any]] = []
        become = _IS_APART
        try:
            with self._transaction(wait_s) as connection:
                until_s = time.monotonic() + LONGEST_S
                most = min(len(self._waiting), MOST - 1)
                own.result = own.context.run(own.work, connection)
                for _ in range(most):
                    if time.monotonic() >= until_s:
                        break
                    # Taken when it begins, for one whose thread has given up must not be written any more.
                    for write in self._take(1):
                        others.append(write)
                        write.result = write.context.run(write.work, connection)
            become = _IS_KEPT
            return True
        except Exception:
            if not others:
                raise
            return False
        finally:
            # A database that fails slowly fails for all at the same time, not for one after another.
            late = self._take(len(self._waiting)) if become == _IS_APART else []
            self._promote()
            for write in (*others, *late):
                write.settle(become)

    def _take(self, most: int) -> list[_Write[Any]]:
        """The writes that wait by now."""
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def _promote(self) -> None:
        """Let whoever has waited longest lead the next group."""
        with self._lock:
            self._is_led = bool(self._waiting)
            if self._waiting:
                self._waiting.popleft().settle(_LEADS)

    def _await(self, write: _Write[Any], wait_s: float) -> None:
        """Returns when it is settled.  Raises `DatabaseUnavailable` when that takes too long."""
        if write.settled.acquire(timeout=wait_s):
            return
        with self._lock:
            if write in self._waiting:
                self._waiting.remove(write)
                raise DatabaseBusy("other writes of this process hold it")
        if not write.settled.acquire(timeout=LATE_S):
            raise DatabaseUnavailable("a commit takes too long")
        if write.become == _LEADS:  # its time was over just then
            self._promote()
            raise DatabaseBusy("other writes of this process hold it")
