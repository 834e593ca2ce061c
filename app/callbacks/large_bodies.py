"""Large bodies: two at most are in hand in one process, and one is parsed at a time (R14)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

from app.deadline import Deadline
from app.errors import overloaded

_T = TypeVar("_T")

IN_HAND: Final = 2
"""Large bodies from inflation to the end of their first transaction: one is parsed while the other is written."""

PLACE: Final = "channel.place"
"""Where the `Place` of the request stands in the WSGI environment, if whoever calls the application has one."""


class Place(Protocol):
    """A request's claim on one of the `IN_HAND` places, which are shared fairly between the channels."""

    def take(self, holder: str) -> bool:
        """False where none is free now: nothing may be answered then, for the request is served again from its
        beginning once it has a place.  Until then it holds no thread.

        `holder` is the key of the channel whose body it is.  Raises `HttpError` 503 where too many wait.
        """

    def leave(self) -> None:
        """Give the place to the next one; harmless twice, and without a place."""


class FreePlace:
    """The place where large bodies are not counted: under another server than ours, such as Flask's own."""

    def take(self, holder: str) -> bool:
        return True

    def leave(self) -> None:
        pass


class Turn:
    """One request's time among the large bodies.  Nothing may wait for a vendor in it (P15)."""

    def __init__(self, place: Place, parsing: threading.Lock, deadline: Deadline) -> None:
        self._parsing = parsing
        self._deadline = deadline
        self.leave = place.leave

    def parsed(self, parse: Callable[[], _T]) -> _T:
        """What `parse` gives, one at a time, or small callbacks would wait for the interpreter.

        Raises `HttpError` 503 when the time is over, and whatever `parse` raises.
        """
        if not self._parsing.acquire(timeout=self._deadline.left_s()):
            raise overloaded("large requests")
        try:
            parsed = parse()
        finally:
            self._parsing.release()
        if not self._deadline.left_s():
            raise overloaded("large requests")
        return parsed


class LargeBodies:
    """The turns of one process."""

    def __init__(self) -> None:
        self._parsing = threading.Lock()

    @contextmanager
    def turn(self, place: Place, holder: str, deadline: Deadline) -> Iterator[Turn | None]:
        """The turn of a request, whose place is left at the end at the latest; None where it has to wait for one.

        Raises what `Place.take` raises.
        """
        if not place.take(holder):
            yield None
            return
        try:
            yield Turn(place, self._parsing, deadline)
        finally:
            place.leave()
