"""The threads that answer requests, started as they are needed and shared fairly between the channels (P15).

A request that waits for its turn holds no thread; neither does a large body that waits for its place (R14).
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from app.callbacks.large_bodies import IN_HAND
from app.callbacks.senders import SIGNING_IN, STRANGERS, VISITORS
from app.errors import overloaded
from app.fair_turns import Shares

MOST_WAITING: Final = 250
"""Requests of one channel that may wait: a quarter of the connections of a process."""

log = logging.getLogger(__name__)

Begun = tuple[str, Any, str]
"""A sender, its job, and of whom the job holds a place for a large body, "" where it holds none."""


class Threads:
    """Takes whole requests from one event loop.

    Of a channel at most seven eighths of the threads are busy, so that one is free when another channel comes; of
    unknown ones at most a quarter, of visitors an eighth, of those who sign in as many.  While several wait, those of
    which least is under way go first.
    """

    def __init__(
        self, most: int, work: Callable[[Any, str], str], is_short: Callable[[Any], bool] = lambda job: False
    ) -> None:
        """`work` does a job, which holds a place of a channel or ("") none, and raises nothing.

        It gives the channel of whom the job has to wait for a place, to be done again when it has it; "" when done.

        `is_short` says of a job whether the thread of the loop is to do it itself (`take_short`).
        """
        self._work = work
        self._is_short = is_short
        most_each = most - max(1, most // 8)
        fewer = {STRANGERS: most // 4, SIGNING_IN: most // 8, VISITORS: most // 8}
        self._shares: Shares[Any] = Shares(most, lambda sender: max(1, fewer.get(sender, most_each)))
        self._places: Shares[tuple[str, Any]] = Shares(IN_HAND, lambda holder: IN_HAND)
        """Of whom a large body is, and, while it waits, who sent it and its job."""
        self._lock = threading.Lock()
        self._idle: list[queue.SimpleQueue[Begun]] = []
        """Threads without a job, by what each waits at.  The last one is the next: its memory is at hand still."""
        self._left: deque[Begun] = deque()
        """Begun where the system allowed no thread for them; for those that are there."""
        self._started = 0
        self._short: deque[Begun] = deque()
        """Begun, and to be done by the thread of the loop."""

    def give(self, job: Any, sender: str) -> None:
        """Have a job done in its turn.  Raises `HttpError` 503 where too many wait."""
        with self._lock:
            if not self._shares.begin(sender):
                if self._shares.waiting(sender) >= MOST_WAITING:
                    raise overloaded()
                self._shares.wait(sender, job)
            elif self._is_short(job):
                self._short.append((sender, job, ""))
            elif not self._hand((sender, job, "")):
                self._shares.end(sender)
                raise overloaded()

    @property
    def short(self) -> int:
        """How many jobs are to be done by the thread of the loop."""
        return len(self._short)

    def take_short(self, fits: Callable[[Any], bool] = lambda job: True) -> Begun | None:
        """The next of them, for `do_short`, if it fits; those whose kind has proved long meanwhile get threads of their
        own."""
        with self._lock:
            while self._short and fits(self._short[0][1]):
                begun = self._short.popleft()
                if self._is_short(begun[1]):
                    return begun
                self._hand(begun)
        return None

    def do_short(self, begun: Begun) -> None:
        """Do it in this thread, and let the next job begin."""
        sender, job, held = begun
        waits_for = self._work(job, held)
        with self._lock:
            following = self._ended(sender, job, waits_for)
            if following is None:
                return
            if self._is_short(following[1]):
                self._short.append(following)
            else:
                self._hand(following)

    def have_no_short(self) -> None:
        """From here on all jobs have threads of their own."""
        with self._lock:
            self._is_short = lambda job: False
            while self._short:
                self._hand(self._short.popleft())

    def take_place(self, holder: str) -> bool:
        """Take a place for a large body if one is free.  Raises `HttpError` 503 where too many wait for one."""
        with self._lock:
            if self._places.begin(holder):
                return True
            if self._places.waiting(holder) >= MOST_WAITING:
                raise overloaded("large requests")
            return False

    def leave_place(self, holder: str) -> None:
        """The place goes to the next one who can have a thread as well; without one it would be of no use."""
        with self._lock:
            self._places.end(holder)
            if (following := self._begin_next()) is not None:
                self._hand(following)

    def withdraw(self, is_late: Callable[[Any], bool]) -> list[Any]:
        """The jobs that have waited too long for a thread or a place.  They are not done any more."""
        with self._lock:
            for_places = self._places.withdraw_first(lambda waiting: is_late(waiting[1]))
            return [*self._shares.withdraw_first(is_late), *(job for _, job in for_places)]

    def _hand(self, begun: Begun) -> bool:
        """Have a job done by a thread that is free, or a new one; False where there is none at all."""
        if self._idle:
            self._idle.pop().put(begun)
        elif not self._is_thread_started(begun):
            if not self._started:
                return False
            self._left.append(begun)
        return True

    def _is_thread_started(self, begun: Begun) -> bool:
        """False where the system allows no more threads; the job then waits for one of those that are there."""
        # A process that stops waits for its requests by their connections, and for no longer than it may.
        name = f"requests-{self._started + 1}"
        thread = threading.Thread(target=self._run, args=(begun,), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            log.error("a thread for requests cannot be started: %s", error)
            return False
        self._started += 1
        return True

    def _run(self, first: Begun) -> None:
        given: queue.SimpleQueue[Begun] = queue.SimpleQueue()
        following: Begun | None = first
        while True:
            while following is not None:
                sender, job, held = following
                following = self._after(sender, job, self._work(job, held), given)
            following = given.get()

    def _after(self, sender: str, job: Any, waits_for: str, given: queue.SimpleQueue[Begun]) -> Begun | None:
        """The next request's turn, in the same thread; where there is none, the thread waits to be given one."""
        with self._lock:
            following = self._ended(sender, job, waits_for)
            if following is None:
                self._idle.append(given)
            return following

    def _ended(self, sender: str, job: Any, waits_for: str) -> Begun | None:
        """Whose turn the end of this one's lets come."""
        self._shares.end(sender)
        if waits_for:
            self._places.wait(waits_for, (sender, job))
        return self._left.popleft() if self._left else self._begin_next()

    def _begin_next(self) -> Begun | None:
        """Who waits for a thread, or for a place and a thread, and has both now.

        A place is given only with a thread, or those of a channel that may have no more threads would keep others'
        large bodies waiting.
        """
        following = self._shares.next()
        if not self._places.is_idle:
            large = self._places.next(self._has_thread)
            if large is not None:
                holder, (sender, job) = large
                if following is None or self._shares.rank(sender) <= self._shares.rank(following[0]):
                    self._places.begin_next(self._has_thread)
                    self._shares.begin(sender)
                    return sender, job, holder
        if following is None:
            return None
        self._shares.begin_next()
        return (*following, "")

    def _has_thread(self, waiting: tuple[str, Any]) -> bool:
        return self._shares.may_begin(waiting[0])
