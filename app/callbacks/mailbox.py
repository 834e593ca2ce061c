"""A queue in which other threads leave objects for a thread that waits in a selector."""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Any thread puts; the thread that waits for `woken` to become readable takes."""

    def __init__(self) -> None:
        self._left: deque[T] = deque()
        self.woken, self._wake = socket.socketpair()
        """Readable when there may be something."""
        for end in (self.woken, self._wake):
            end.setblocking(False)

    def put(self, thing: T) -> None:
        """Leave something; harmless after `close`."""
        self._left.append(thing)
        self.ring()

    def ring(self) -> None:
        """Wake the waiting thread all the same."""
        with contextlib.suppress(OSError):  # a full pipe wakes as well
            self._wake.send(b"\0")

    def take(self) -> Iterator[T]:
        """What was left, oldest first."""
        with contextlib.suppress(OSError):
            self.woken.recv(4096)
        while self._left:
            yield self._left.popleft()

    def __bool__(self) -> bool:
        return bool(self._left)

    def close(self) -> None:
        self.woken.close()
        self._wake.close()
