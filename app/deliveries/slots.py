"""Decides which claimed calls get a thread, which wait for one, and how many more may be claimed.

At most half of the threads are inside one vendor (R14).  So that those of a quick vendor never wait for the database
too, calls are claimed ahead for them.  What an observer is owed goes out in a thread of its own, one each,
so that it never takes one from orders.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from app.records.deliveries import Delivery

AHEAD = 3
"""How many calls are claimed for each thread a vendor may have, beside the one it makes."""

Stream = tuple[str, str]
"""(channel, gateway)."""


@dataclass(frozen=True)
class Claimed:
    """A call of ours under a lease, which one that begins too late might outlast; both times are of `clock.boot_s`."""

    delivery: Delivery
    token: str
    begin_by_s: float = math.inf
    held_until_s: float = math.inf

    @property
    def stream(self) -> Stream:
        return self.delivery.channel, self.delivery.gateway


class ClaimBudget:
    """How many calls may be claimed in one turn; `take` notes what was taken of it."""

    def __init__(
        self,
        threads: int,
        idle: int,
        left: int,
        held: Counter[Stream],
        free: Mapping[Stream, int],
        most: Mapping[Stream, int],
        observers: Collection[Stream],
    ) -> None:
        self._threads = threads
        self._idle = idle
        self._left = left
        self._held = held
        self._free = free
        self._most = most
        self._observers = observers
        self._is_crowded = False
        self.streams = [stream for stream in free if max(free[stream], most.get(stream, 0)) > 0]

    def in_order(self, due: Iterable[Stream]) -> list[Stream]:
        """Those of which least is held come first.

        Nothing is claimed ahead while one lacks its part of the threads, for it would never get one.
        """
        ordered = sorted(due, key=self._held.__getitem__)
        lacking = [stream for stream in ordered if stream not in self._observers]
        part = max(1, self._threads // max(2, len({*lacking, *(+self._held)} - {*self._observers})))
        needed = sum(max(0, min(self._free[stream], part - self._held[stream])) for stream in lacking)
        self._is_crowded = needed > self._idle
        return ordered

    def of(self, stream: Stream) -> tuple[int, int]:
        """How many more of this stream can begin at once, and how many more may wait."""
        if stream in self._observers:
            return self._free[stream], 0
        at_once = max(0, min(self._idle, self._free[stream]))
        if self._is_crowded:
            return at_once, 0
        return at_once, max(0, min(self._left, self._most.get(stream, 0)) - at_once)

    def take(self, stream: Stream, at_once: int, ahead: int) -> None:
        if stream not in self._observers:
            self._idle -= at_once
            self._left -= at_once + ahead


class SlotScheduler:
    """The threads of one process.  `begin` is handed each call whose turn has come, and must not wait."""

    def __init__(self, threads: int, observers: Collection[Stream], begin: Callable[[Claimed], object]) -> None:
        self._threads = threads
        self._share = max(1, threads // 2)
        self._observers = observers
        self._begin = begin
        self._inside: Counter[Stream] = Counter()
        self._waiting: defaultdict[Stream, deque[Claimed]] = defaultdict(deque)
        self._quick: set[Stream] = set()
        self._lock = threading.Lock()

    def budget(self, streams: Iterable[Stream]) -> ClaimBudget:
        """What may be claimed of these now."""
        with self._lock:
            waiting = Counter({stream: len(calls) for stream, calls in self._waiting.items()})
            idle = self._threads - self._busy()
            left = idle + AHEAD * self._threads - waiting.total()
            free = {stream: self._most_inside(stream) - self._inside[stream] for stream in streams}
            most = {
                stream: free[stream] + AHEAD * self._share - waiting[stream] for stream in free if stream in self._quick
            }
            held = self._inside + waiting
            return ClaimBudget(self._threads, idle, left, held, free, most, self._observers)

    def begin(self, at_once: Iterable[Claimed], ahead: Iterable[Claimed]) -> None:
        """Give these a thread, and those one as soon as one is free."""
        with self._lock:
            for call in at_once:
                self._begin(self._enter(call))
            for call in ahead:
                self._waiting[call.stream].append(call)
            self._begin_waiting()

    def end(self, call: Claimed, *, is_quick: bool) -> Claimed | None:
        """Its thread is free: the call it makes next, None where none may begin.

        The thread goes on with that one itself, for to wake another costs a tenth of a call's work.
        Calls are claimed ahead only while their vendor is quick.
        """
        with self._lock:
            self._inside[call.stream] -= 1
            if is_quick and call.stream not in self._observers:
                self._quick.add(call.stream)
            else:
                self._quick.discard(call.stream)
            following = self._enter_waiting()
            self._begin_waiting()
            return following

    def take_back(self) -> list[Claimed]:
        """What has had no turn yet will have none."""
        with self._lock:
            calls = [call for waiting in self._waiting.values() for call in waiting]
            self._waiting.clear()
        return calls

    def _busy(self) -> int:
        return sum(number for stream, number in self._inside.items() if stream not in self._observers)

    def _most_inside(self, stream: Stream) -> int:
        return 1 if stream in self._observers else self._share

    def _enter(self, call: Claimed) -> Claimed:
        self._inside[call.stream] += 1
        return call

    def _begin_waiting(self) -> None:
        while (call := self._enter_waiting()) is not None:
            self._begin(call)

    def _enter_waiting(self) -> Claimed | None:
        """The vendor with the fewest threads inside it comes first; None where no waiting call may begin."""
        if self._busy() >= self._threads:
            return None
        ready = [stream for stream, calls in self._waiting.items() if calls and self._inside[stream] < self._share]
        if not ready:
            return None
        return self._enter(self._waiting[min(ready, key=self._inside.__getitem__)].popleft())
