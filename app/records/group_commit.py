"""Group commit: short writes of one channel share a transaction, and each returns once it is committed.

A commit is the dearest part of a short write, for it waits for the disk; and on PostgreSQL the next push of a gateway
waits for it, too.  Whoever finds nobody writing leads: it writes its own and what has come by then, on its thread and
by as few statements as they need together.  Nobody waits for others to come; but before it waits, a thread may begin
further requests (`caller.meanwhile`), whose writes then wait with its own.  Where anything fails, nothing is kept of
any of them, and each is written again in a transaction of its own, so that none suffers from another's failure.
Channels share nothing here, so that none waits for another's locks.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection

from app import caller
from app.records.database_errors import DatabaseBusy, DatabaseUnavailable

MOST: Final = 32
"""How many writes share a transaction at most: the first of them waits for all."""

AT_ONCE: Final = 500
"""How many rows are written together at most, but for a single item that has more."""

LONGEST_S: Final = 0.02
"""After how long a group takes no more of those that wait: other channels wait for SQLite's writer meanwhile."""

LATE_S: Final = 1.0
"""How much longer than its own time a write is waited for that is under way already."""

PATIENT_S: Final = 8.0
"""How much time a write must have left for its thread to begin others: a transaction may last for 7 s."""

Item = TypeVar("Item")
T = TypeVar("T")
Work = Callable[[Connection, Sequence[Item]], Sequence[T]]
"""Writes the items as if one after another; the result of each."""

_LEADS, _IS_KEPT, _IS_APART = range(3)
"""What becomes of a write that waited: it leads the next group, it is committed, or it is to be run by itself."""


class _Thread:
    """A thread of which writes wait, several where it has begun other requests meanwhile."""

    __slots__ = ("come", "commits", "give_up_at", "ident", "is_asleep")

    def __init__(self, commits: GroupCommit, give_up_at: float) -> None:
        self.commits = commits
        self.give_up_at = give_up_at
        """When its first write has waited for long enough: those that it has begun meanwhile keep it no longer."""
        self.ident = threading.get_ident()
        self.come = threading.Lock()
        """Released to wake it."""
        self.come.acquire()
        self.is_asleep = False


_begun_by: ContextVar[_Thread | None] = ContextVar("begun_by", default=None)
"""The thread that has begun this request while a write of its waits."""


class _Write(Generic[Item, T]):
    """One item."""

    __slots__ = ("become", "item", "leads", "result", "rows", "thread", "took_s", "work")
    result: T

    def __init__(self, work: Work[Item, T], item: Item, rows: int, thread: _Thread) -> None:
        self.work = work
        self.item = item
        self.rows = rows
        self.thread = thread
        self.become: int | None = None
        self.leads = False
        """Whether its thread leads the next group or this one, whatever becomes of those before."""
        self.took_s = math.inf
        """How long its transaction took."""


class GroupCommit:
    """The short writes of one channel in one process.  Thread-safe."""

    def __init__(self, transaction: Callable[[float, Callable[[], None]], AbstractContextManager[Connection]]) -> None:
        """`transaction`: begins a write transaction within so many seconds and commits it at the end of its block.

        It calls the second argument as soon as it is committed.
        """
        self._transaction = transaction
        self._lock = threading.Lock()
        self._is_led = False
        self._waiting: deque[_Write[Any, Any]] = deque()
        self._ended = threading.Event()
        """Of the group that was led last."""
        self._ended.set()

    def run(self, work: Work[Item, T], item: Item, wait_s: float, *, rows: int = 1) -> T:
        """The result of `work` for this item, once everything that it wrote is committed.

        `work` is short, may run on another thread, together with items of others and more than once, and uses no other
        connection; `rows` is how many it writes of the item.  Raises what `work` raises, `DatabaseUnavailable`
        when it has not begun within `wait_s` or is not done much later, and whatever a transaction raises.
        """
        give_up_at = time.monotonic() + wait_s
        caller.commit_s.set(math.inf)
        outer = _begun_by.get()
        is_inner = outer is not None and outer.ident == threading.get_ident()
        thread = outer if outer is not None and is_inner else _Thread(self, give_up_at)
        thread.give_up_at = give_up_at = min(give_up_at, thread.give_up_at)
        if thread.commits is self:
            write = _Write(work, item, rows, thread)
            with self._lock:
                self._waiting.append(write)
            if wait_s >= PATIENT_S:
                self._begin_others(write)
            become = self._await(write, give_up_at)
            left_s = max(give_up_at - time.monotonic(), 0.0)
            if become == _IS_KEPT or (become == _LEADS and self._lead(write, left_s)):
                caller.commit_s.set(write.took_s)
                return write.result
        left_s = give_up_at - time.monotonic()
        if left_s <= 0:
            raise DatabaseBusy("a commit of several writes failed late")
        with self._transaction(left_s, lambda: None) as connection:
            [result] = work(connection, [item])
            return result

    @property
    def waiting(self) -> int:
        """How many writes wait for whoever leads the next group."""
        with self._lock:
            return sum(not write.leads for write in self._waiting)

    def _begin_others(self, write: _Write[Any, Any]) -> None:
        """Let the thread of this write begin others before it waits."""
        token = _begun_by.set(write.thread)
        try:
            caller.meanwhile.get()()
        except BaseException:
            with self._lock:
                self._withdraw(write)
            raise
        finally:
            _begun_by.reset(token)

    def _withdraw(self, write: _Write[Any, Any]) -> None:
        if write in self._waiting:
            self._waiting.remove(write)

    def _lead(self, own: _Write[Any, Any], wait_s: float) -> bool:
        """False where the group failed; raises where it did and no other write was part of it."""
        begun_s = time.monotonic()
        give_up_at = begun_s + wait_s
        writes: list[_Write[Any, Any]] = []
        become, is_promoted, is_behind = _IS_APART, False, False
        with self._lock:
            before, self._ended = self._ended, threading.Event()
            ended = self._ended
        try:
            # The next group need not wait until the connection of this one is given back.
            with self._transaction(wait_s, ended.set) as connection:
                # It has begun while those before were waiting for the disk; what has come until they are done is its.
                is_behind = not before.wait(max(give_up_at - time.monotonic(), 0.0))
                if is_behind:
                    raise DatabaseBusy("other writes of this process hold it")
                self._write(connection, own, writes)
                self._promote()
                is_promoted = True
            become = _IS_KEPT
            for write in writes:
                write.took_s = time.monotonic() - begun_s
            return True
        except Exception:
            if all(write is own for write in writes):
                raise
            return False
        finally:
            with self._lock:
                self._withdraw(own)
                if is_behind:  # whoever leads now waits for the same group, and only this write has failed
                    self._ended = before
            ended.set()
            # A database that fails slowly fails for all at the same time, not for one after another.
            late = self._take_all() if become == _IS_APART and not is_behind else []
            if not is_promoted:
                self._promote()
            self._settle([write for write in (*writes, *late) if write is not own], become)

    def _write(self, connection: Connection, own: _Write[Any, Any], writes: list[_Write[Any, Any]]) -> None:
        """Run the writes that wait by now, first come, first written; they are added to `writes`.

        The own one is always among them; others of its thread have come before it.
        """
        until_s = time.monotonic() + LONGEST_S
        left = 1 + min(self.waiting, MOST - 1)
        while own not in writes or (left > 0 and time.monotonic() < until_s):
            # Taken when they begin, for one whose thread has given up must not be written any more.
            together = self._take_together(max(left, 1))
            if not together:
                break
            writes += together
            results = together[0].work(connection, [write.item for write in together])
            for write, result in zip(together, results, strict=True):
                write.result = result
            left -= len(together)

    def _take_all(self) -> list[_Write[Any, Any]]:
        """The writes that wait by now, but for one that leads: it fails with no group but its own."""
        with self._lock:
            taken = [write for write in self._waiting if not write.leads]
            self._waiting = deque(write for write in self._waiting if write.leads)
        return taken

    def _take_together(self, most: int) -> list[_Write[Any, Any]]:
        """The first of those that wait by now, as far as they are written together: of one kind, and of few rows."""
        taken: list[_Write[Any, Any]] = []
        rows = 0
        with self._lock:
            while len(taken) < most and self._waiting:
                write = self._waiting[0]
                rows += write.rows
                if taken and (rows > AT_ONCE or write.work != taken[0].work):
                    break
                taken.append(self._waiting.popleft())
        return taken

    def _promote(self) -> None:
        """Let whoever has waited longest, and does nothing else, lead the next group."""
        with self._lock:
            self._call_next()

    def _call_next(self) -> None:
        thread = next((write.thread for write in self._waiting if write.thread.is_asleep), None)
        self._is_led = thread is not None
        if thread is not None:
            # It sleeps for the last of its writes.
            next(write for write in reversed(self._waiting) if write.thread is thread).leads = True
            self._wake(thread)

    def _settle(self, writes: Iterable[_Write[Any, Any]], become: int) -> None:
        with self._lock:
            for write in writes:
                write.become = become
                self._wake(write.thread)

    def _wake(self, thread: _Thread) -> None:
        if thread.is_asleep:
            thread.is_asleep = False
            thread.come.release()

    def _await(self, write: _Write[Any, Any], give_up_at: float) -> int:
        """What becomes of it.  Raises `DatabaseUnavailable` when that takes too long to be known."""
        thread = write.thread
        while True:
            with self._lock:
                is_waiting = write in self._waiting
                if is_waiting and not self._is_led:
                    write.leads = self._is_led = True
                if write.leads:
                    return _LEADS
                if write.become is not None:
                    return write.become
                left_s = give_up_at - time.monotonic() + (0.0 if is_waiting else LATE_S)
                if left_s <= 0:
                    if not is_waiting:
                        raise DatabaseUnavailable("a commit takes too long")
                    self._waiting.remove(write)
                    raise DatabaseBusy("other writes of this process hold it")
                thread.is_asleep = True
            if not thread.come.acquire(timeout=left_s):
                with self._lock:
                    if not thread.is_asleep:
                        thread.come.acquire()
                    thread.is_asleep = False
