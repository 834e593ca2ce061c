"""Shares a bounded resource of one process fairly between channels: connections, SQLite's writer, threads (P15).

Of those that wait the channel goes first that holds least, among equals the one served longest ago; inside a channel
it is first come, first served.  So a flood of one channel delays another by one turn, whatever its length.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count


class TurnTimeout(Exception):
    """The turn did not come within the time."""


class NestedTurn(RuntimeError):
    """A thread asked for a second turn while it holds one.  A fault of ours: all threads could wait for each other."""


class _Waiter:
    """One thread that waits; the lock is released when its turn has come."""

    __slots__ = ("come", "has_turn")

    def __init__(self) -> None:
        self.come = threading.Lock()
        self.come.acquire()
        self.has_turn = False


class _Share:
    """What one channel holds and waits for; kept while it does either."""

    __slots__ = ("held", "served", "waiting")

    def __init__(self) -> None:
        self.held = 0
        self.served = 0
        """The number of the last turn it got: the lower, the longer ago."""
        self.waiting: deque[_Waiter] = deque()


class FairTurns:
    """At most `limit` turns at once; one channel never has the last one, unless there is only one.

    A thread may hold one turn at a time.  Thread-safe.
    """

    def __init__(self, limit: int) -> None:
        """`limit`: turns at once, at least 1."""
        self._most_each = max(1, limit - 1)
        self._free = limit
        self._shares: dict[str, _Share] = {}
        self._holders: set[int] = set()
        self._numbers = count(1)
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, channel: str, wait_s: float) -> Iterator[None]:
        """Hold a turn inside the block.  `channel`: the key of whom it is for, "" for the process itself.

        Raises `TurnTimeout` when it does not come within `wait_s`, and `NestedTurn`.
        """
        thread = threading.get_ident()
        if thread in self._holders:
            raise NestedTurn("this thread holds a turn already")
        if not self._take(channel, wait_s):
            raise TurnTimeout
        self._holders.add(thread)
        try:
            yield
        finally:
            self._holders.discard(thread)
            self._give_back(channel)

    def _take(self, channel: str, wait_s: float) -> bool:
        with self._lock:
            share = self._shares.get(channel)
            if share is None:
                share = self._shares[channel] = _Share()
            # Where one is free, whoever waits may not have it: nobody is overtaken.
            if self._free and share.held < self._most_each:
                self._grant(share)
                return True
            waiter = _Waiter()
            share.waiting.append(waiter)
        if waiter.come.acquire(timeout=max(wait_s, 0.0)):
            return True
        with self._lock:
            if waiter.has_turn:  # it came just now
                return True
            share.waiting.remove(waiter)
            self._forget_if_idle(channel, share)
            return False

    def _give_back(self, channel: str) -> None:
        with self._lock:
            share = self._shares[channel]
            share.held -= 1
            self._free += 1
            self._serve_next()
            self._forget_if_idle(channel, share)

    def _serve_next(self) -> None:
        due = [share for share in self._shares.values() if share.waiting and share.held < self._most_each]
        if not due:
            return
        share = min(due, key=lambda each: (each.held, each.served))
        waiter = share.waiting.popleft()
        self._grant(share)
        waiter.has_turn = True
        waiter.come.release()

    def _grant(self, share: _Share) -> None:
        self._free -= 1
        share.held += 1
        share.served = next(self._numbers)

    def _forget_if_idle(self, channel: str, share: _Share) -> None:
        if not share.held and not share.waiting:
            del self._shares[channel]
