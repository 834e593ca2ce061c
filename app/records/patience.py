"""Ends a wait for a database server that has stopped to answer: no driver times a read out by itself."""

from __future__ import annotations

import heapq
import os
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Final

_RESETS: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on with 0 seconds: closing the last handle resets the connection and drops what was not sent."""


class Watched:
    """One use of a connection: a second handle on its socket, so that no other can be meant."""

    __slots__ = ("fd", "until_s")

    def __init__(self, fd: int, until_s: float) -> None:
        self.fd = fd
        self.until_s = until_s

    def __lt__(self, other: Watched) -> bool:
        return self.until_s < other.until_s


class Watch:
    """One thread per process, begun by the first use, that shuts the sockets of overdue uses.

    Whoever waits on such a socket is woken with the driver's error for a lost connection.
    """

    def __init__(self) -> None:
        self._begin_anew()
        # gunicorn's master has used the database before it forks; neither its thread nor its uses are the child's.
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._uses: list[Watched] = []
        self._thread: threading.Thread | None = None

    def begin(self, fileno: int, seconds: float) -> Watched:
        """Watch a socket that is to be free again within `seconds`."""
        use = Watched(os.dup(fileno), time.monotonic() + seconds)
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database-watch", daemon=True)
                self._thread.start()
            heapq.heappush(self._uses, use)
            if self._uses[0] is use:
                self._changed.notify()
        return use

    def end(self, use: Watched) -> None:
        """It is free again."""
        with self._changed:
            if use.fd >= 0:
                os.close(use.fd)
                use.fd = -1

    def _run(self) -> None:
        with self._changed:
            while True:
                while self._uses and (self._uses[0].fd < 0 or self._uses[0].until_s <= time.monotonic()):
                    self._cut(heapq.heappop(self._uses))
                self._changed.wait(self._uses[0].until_s - time.monotonic() if self._uses else None)

    def _cut(self, use: Watched) -> None:
        if use.fd < 0:
            return
        handle = socket.socket(fileno=use.fd)
        with suppress(OSError):
            # What is told as not done must not be committed later: nothing more of it is sent, whoever closes it.
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
            handle.shutdown(socket.SHUT_RDWR)
        handle.detach()
