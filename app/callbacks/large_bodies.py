"""How many large bodies one process has in hand, and whose is next (R14)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from app.deadline import Deadline
from app.errors import Rejected
from app.fair_turns import Shares

_T = TypeVar("_T")

IN_HAND: Final = 2
"""Large bodies from inflation to the end of their first transaction: one is parsed while the other is written."""


class Places:
    """The places for large bodies; channels that wait have them in turn, requests of one channel in their order."""

    def __init__(self, count: int = IN_HAND) -> None:
        self._lock = threading.Lock()
        self._shares: Shares[threading.Event] = Shares(count, lambda holder: count)

    def take(self, holder: str, wait_s: float) -> bool:
        """Wait for a place; False when the time is over."""
        with self._lock:
            if self._shares.begin(holder):
                return True
            mine = threading.Event()
            self._shares.wait(holder, mine)
        if mine.wait(max(wait_s, 0.0)):
            return True
        with self._lock:
            if not mine.is_set():  # else it was given in this very moment
                self._shares.withdraw(holder, mine)
            return mine.is_set()

    def give(self, holder: str) -> None:
        """The holder's place goes to the next one."""
        with self._lock:
            self._shares.end(holder)
            if (following := self._shares.begin_next()) is not None:
                following[1].set()


class Turn:
    """One request's place among the large bodies.  Nothing may wait for a vendor in it (P15)."""

    def __init__(self, places: Places, holder: str, parsing: threading.Lock, deadline: Deadline) -> None:
        self._places = places
        self._holder = holder
        self._parsing = parsing
        self._deadline = deadline
        self._is_left = False

    def parsed(self, parse: Callable[[], _T]) -> _T:
        """What `parse` gives, one at a time, or small callbacks would wait for the interpreter.

        Raises `Rejected` 503 when the time is over, and whatever `parse` raises.
        """
        if not self._parsing.acquire(timeout=self._deadline.left_s()):
            raise _overloaded()
        try:
            return parse()
        finally:
            self._parsing.release()

    def leave(self) -> None:
        """Give the place to the next one; harmless twice."""
        if not self._is_left:
            self._is_left = True
            self._places.give(self._holder)


class LargeBodies:
    """The turns of one process."""

    def __init__(self) -> None:
        self._places = Places()
        self._parsing = threading.Lock()

    @contextmanager
    def turn(self, holder: str, deadline: Deadline) -> Iterator[Turn]:
        """Wait for a place, which is left at the end at the latest; raises `Rejected` 503 when the time is over."""
        if not self._places.take(holder, deadline.left_s()):
            raise _overloaded()
        turn = Turn(self._places, holder, self._parsing, deadline)
        try:
            yield turn
        finally:
            turn.leave()


def _overloaded() -> Rejected:
    return Rejected(503, "OVERLOADED", "too many large requests at once; send again", retry_after_s=10)
