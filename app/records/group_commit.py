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

_LEADS, _IS_KEPT, _IS_APART, _HAS_FAILED = range(4)
"""What becomes of a write that waited: it leads the next group, it is committed, it is to be run by itself, or was."""


class _Thread:
    """A thread of which writes wait, several where it has begun other requests meanwhile."""

    __slots__ = ("come", "commits", "ident", "is_asleep", "writes")

    def __init__(self, commits: GroupCommit) -> None:
        self.commits = commits
        self.writes: list[_Write[Any, Any]] = []
        """In the order in which they have come: whoever waits for the last waits for all of them."""
        self.ident = threading.get_ident()
        self.come = threading.Lock()
        """Released to wake it."""
        self.come.acquire()
        self.is_asleep = False


_begun_by: ContextVar[_Thread | None] = ContextVar("begun_by", default=None)
"""The thread that has begun this request while a write of its waits."""


def _outer_thread() -> _Thread | None:
    """The present thread where it has begun the present request while a write of its waits."""
    thread = _begun_by.get()
    return thread if thread is not None and thread.ident == threading.get_ident() else None


def is_begun_meanwhile() -> bool:
    """Whether this thread has begun this request while a write waits that came before: what this one writes has to
    come after it, so that it must wait with it."""
    return _outer_thread() is not None


class _Write(Generic[Item, T]):
    """One item."""

    __slots__ = ("become", "error", "give_up_at", "item", "leads", "result", "rows", "thread", "took_s", "work")
    result: T
    error: Exception

    def __init__(self, work: Work[Item, T], item: Item, rows: int, thread: _Thread, give_up_at: float) -> None:
        self.work = work
        self.item = item
        self.rows = rows
        self.thread = thread
        self.give_up_at = give_up_at
        """Until when it may wait (monotonic seconds): no longer than those that wait for it."""
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
        caller.commit_s.set(math.inf)
        thread = _outer_thread() or _Thread(self)
        give_up_at = min([time.monotonic() + wait_s, *(outer.give_up_at for outer in thread.writes)])
        write = _Write(work, item, rows, thread, give_up_at)
        if thread.commits is not self:
            return self._alone(write)
        if thread.writes and (deadline := caller.deadline.get()) is not None:
            caller.deadline.set(deadline.within_s(give_up_at - time.monotonic()))
        thread.writes.append(write)
        try:
            return self._together(write)
        finally:
            thread.writes.remove(write)

    def _together(self, write: _Write[Any, T]) -> T:
        with self._lock:
            self._waiting.append(write)
        if write.give_up_at - time.monotonic() >= PATIENT_S:
            self._begin_others(write)
        become = self._await(write)
        if become == _IS_KEPT or (become == _LEADS and self._lead(write)):
            caller.commit_s.set(write.took_s)
            return write.result
        if become == _HAS_FAILED:
            raise write.error
        for earlier in write.thread.writes:
            if earlier.become == _IS_APART and earlier is not write:
                try:
                    earlier.result, earlier.become = self._alone(earlier), _IS_KEPT
                except Exception as error:
                    earlier.error, earlier.become = error, _HAS_FAILED
        return self._alone(write)

    def _alone(self, write: _Write[Any, T]) -> T:
        left_s = write.give_up_at - time.monotonic()
        if left_s <= 0:
            raise DatabaseBusy("a commit of several writes failed late")
        with self._transaction(left_s, lambda: None) as connection:
            [result] = write.work(connection, [write.item])
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

    def _lead(self, own: _Write[Any, Any]) -> bool:
        """False where the group failed; raises where it did and no other write was part of it."""
        begun_s = time.monotonic()
        writes: list[_Write[Any, Any]] = []
        become, is_promoted, is_behind = _IS_APART, False, False
        with self._lock:
            before, self._ended = self._ended, threading.Event()
            ended = self._ended
        try:
            # The next group need not wait until the connection of this one is given back.
            with self._transaction(max(own.give_up_at - begun_s, 0.0), ended.set) as connection:
                # It has begun while those before were waiting for the disk; what has come until they are done is its.
                is_behind = not before.wait(max(own.give_up_at - time.monotonic(), 0.0))
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
        """The writes that wait by now, but for those of a thread that leads: they fail with no group but its own."""
        with self._lock:
            leading = {write.thread for write in self._waiting if write.leads}
            taken = [write for write in self._waiting if write.thread not in leading]
            self._waiting = deque(write for write in self._waiting if write.thread in leading)
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

    def _await(self, write: _Write[Any, Any]) -> int:
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
                left_s = write.give_up_at - time.monotonic() + (0.0 if is_waiting else LATE_S)
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
