"""Shares what a process has little of fairly between channels: connections, SQLite's writer, threads (P15).

Of those that wait the channel goes first that holds least, among equals the one served longest ago; inside a channel
it is first come, first served, give or take a moment.  So a flood of one channel delays another by one turn, however
long it is.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")


class TurnTimeout(Exception):
    """The turn did not come within the time."""


class NestedTurn(RuntimeError):
    """A thread requested a second turn while it holds one.  A fault of ours: all threads could wait for each other."""


class _Share(Generic[Item]):
    """What one channel holds and waits for; kept while it does either."""

    __slots__ = ("held", "most", "served", "waiting")

    def __init__(self, most: int) -> None:
        self.held = 0
        self.most = most
        self.served = 0
        """The number of the last turn it got: the lower, the longer ago."""
        self.waiting: deque[Item] = deque()


class Shares(Generic[Item]):
    """Decides whose turn it is: at most `limit` turns at once, and of one channel at most `most_of(channel)`.

    Not thread-safe; whoever uses it has a lock.
    """

    def __init__(self, limit: int, most_of: Callable[[str], int]) -> None:
        self._free = limit
        self._most_of = most_of
        self._shares: dict[str, _Share[Item]] = {}
        self._numbers = count(1)

    def begin(self, channel: str) -> bool:
        """Take a turn if one is free for this channel."""
        share = self._share_of(channel)
        if not self._free or share.held >= share.most:
            self._forget_if_idle(channel, share)
            return False
        self._grant(share)
        return True

    def wait(self, channel: str, item: Item) -> None:
        """Wait behind the others of the channel."""
        self._share_of(channel).waiting.append(item)

    def end(self, channel: str) -> None:
        """A turn of this channel is over."""
        share = self._shares[channel]
        share.held -= 1
        self._free += 1
        self._forget_if_idle(channel, share)

    def next(self, may_begin: Callable[[Item], bool] = lambda item: True) -> tuple[str, Item] | None:
        """Whose turn is the next, None where nobody waits who may have one.

        `may_begin` says of those who wait longest in their channel whether they can use a turn now.
        """
        if not self._free:
            return None
        due = [
            (name, share)
            for name, share in self._shares.items()
            if share.waiting and share.held < share.most and may_begin(share.waiting[0])
        ]
        if not due:
            return None
        name, share = min(due, key=lambda each: (each[1].held, each[1].served))
        return name, share.waiting[0]

    def may_begin(self, channel: str) -> bool:
        """True where a turn is free for this channel."""
        share = self._shares.get(channel)
        return self._free > 0 and (share is None or share.held < share.most)

    def rank(self, channel: str) -> tuple[int, int]:
        """Of two channels the one with the lower rank goes first."""
        share = self._shares.get(channel)
        return (share.held, share.served) if share else (0, 0)

    def begin_next(self, may_begin: Callable[[Item], bool] = lambda item: True) -> tuple[str, Item] | None:
        """The same, who waits no more and has a turn."""
        following = self.next(may_begin)
        if following is not None:
            share = self._shares[following[0]]
            share.waiting.popleft()
            self._grant(share)
        return following

    def withdraw(self, channel: str, item: Item) -> None:
        """It waits no more.  Raises `ValueError` where it does not wait."""
        share = self._share_of(channel)
        share.waiting.remove(item)
        self._forget_if_idle(channel, share)

    def withdraw_first(self, is_over: Callable[[Item], bool]) -> list[Item]:
        """Those who wait no more because it is over for them and for all before them in their channel."""
        found: list[Item] = []
        for channel, share in list(self._shares.items()):
            while share.waiting and is_over(share.waiting[0]):
                found.append(share.waiting.popleft())
            self._forget_if_idle(channel, share)
        return found

    def waiting(self, channel: str) -> int:
        """How many of this channel wait."""
        share = self._shares.get(channel)
        return len(share.waiting) if share else 0

    @property
    def is_idle(self) -> bool:
        """True when nobody holds a turn or waits for one."""
        return not self._shares

    def _share_of(self, channel: str) -> _Share[Item]:
        share = self._shares.get(channel)
        if share is None:
            share = self._shares[channel] = _Share(self._most_of(channel))
        return share

    def _grant(self, share: _Share[Item]) -> None:
        self._free -= 1
        share.held += 1
        share.served = next(self._numbers)

    def _forget_if_idle(self, channel: str, share: _Share[Item]) -> None:
        if not share.held and not share.waiting:
            del self._shares[channel]


PATIENCE_S: Final = 0.05
"""How long a thread may be overtaken by others of its own channel: who is running already takes a turn at once, while
one that has to wake up first would leave it unused meanwhile."""


class _Waiter:
    """One thread that waits; the lock is released when it is to look."""

    __slots__ = ("come", "has_turn", "is_woken", "since_s")

    def __init__(self) -> None:
        self.come = threading.Lock()
        self.come.acquire()
        self.has_turn = False
        self.is_woken = False
        self.since_s = time.monotonic()


class FairTurns:
    """At most `limit` turns at once; one channel never has the last one, unless there is only one.

    A thread may hold one turn at a time.  Thread-safe.
    """

    def __init__(self, limit: int) -> None:
        """`limit`: turns at once, at least 1."""
        self._lasting = 0
        self._shares: Shares[_Waiter] = Shares(limit, lambda channel: max(1, limit - self._lasting - 1))
        self._holders: set[int] = set()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, channel: str, wait_s: float, *, is_lasting: bool = False) -> Iterator[None]:
        """Hold a turn inside the block.  `channel`: the key of whom it is for, "" for the process itself.

        `is_lasting`: it is held for as long as the process runs, so that the others are shared as if they were all.
        Raises `TurnTimeout` when it does not come within `wait_s`, and `NestedTurn`.
        """
        thread = threading.get_ident()
        if thread in self._holders:
            raise NestedTurn("this thread holds a turn already")
        if not self._take(channel, wait_s):
            raise TurnTimeout
        self._holders.add(thread)
        self._lasting += is_lasting
        try:
            yield
        finally:
            self._lasting -= is_lasting
            self._holders.discard(thread)
            self._give_back(channel)

    @property
    def is_idle(self) -> bool:
        """True when nobody holds a turn or waits for one."""
        return self._shares.is_idle

    def waiting(self, channel: str) -> int:
        """How many threads wait for this channel's turn."""
        return self._shares.waiting(channel)

    def _take(self, channel: str, wait_s: float) -> bool:
        with self._lock:
            if self._shares.begin(channel):
                return True
            waiter = _Waiter()
            self._shares.wait(channel, waiter)
        give_up_at = waiter.since_s + wait_s
        while waiter.come.acquire(timeout=max(give_up_at - time.monotonic(), 0.0)):
            with self._lock:
                waiter.is_woken = False
                if waiter.has_turn:
                    return True
                if self._shares.begin(channel):
                    self._shares.withdraw(channel, waiter)
                    self._call_next(channel)  # another turn may have ended meanwhile
                    return True
        with self._lock:
            if not waiter.has_turn:  # else it came just now
                self._shares.withdraw(channel, waiter)
                if waiter.is_woken:
                    self._call_next(channel)
            return waiter.has_turn

    def _give_back(self, channel: str) -> None:
        with self._lock:
            self._shares.end(channel)
            self._call_next(channel)

    def _call_next(self, channel: str) -> None:
        """Give the free turn to whoever is next; inside a channel only let it look."""
        following = self._shares.next()
        if following is None:
            return
        name, waiter = following
        if name != channel or time.monotonic() - waiter.since_s > PATIENCE_S:
            self._shares.begin_next()
            waiter.has_turn = True
        if not waiter.is_woken:
            waiter.is_woken = True
            waiter.come.release()
