"""Ends every wait for a socket on time: one thread per process shuts the sockets of whatever is overdue.

Timeouts of sockets count anew with every byte that arrives, so a vendor that drips could hold a call for hours, and no
database driver times a read out at all.  Whoever begins such a wait leaves a second handle on its socket here, so that
no other socket can be meant, and is woken with an error when its time is over.
"""

from __future__ import annotations

import heapq
import os
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Final

RESETS: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on with 0 seconds: closing the last handle sends a reset, and of what was written before nothing more."""
ENDS_ORDERLY: Final = struct.pack("ii", 0, 0)


class Watched:
    """One use of a socket that has to be over by `at_s`, a moment of the monotonic clock.  Thread-safe."""

    __slots__ = ("_fd", "_lock", "at_s", "is_cut", "is_finished")

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s
        self.is_cut = False
        self.is_finished = False
        self._fd = -1
        self._lock = threading.Lock()

    def hold(self, fileno: int) -> None:
        """Keep a second handle on the socket, for whoever waits may give the first one away.

        Raises TimeoutError when the time is over, and OSError where no file handle is free.
        """
        with self._lock:
            if self.is_cut:
                raise TimeoutError
            if self._fd < 0:
                self._fd = os.dup(fileno)
                self._when_held()

    def cut(self) -> None:
        """For the watchdog: wakes the thread that waits for this socket, whose closing then resets it.

        What was reported as not done must not be done later: nothing more of it is sent, whoever closes it.
        """
        with self._lock:
            if self.is_finished:
                return
            self.is_cut = True
            if self._fd >= 0:
                self._linger(RESETS)
                handle = socket.socket(fileno=self._fd)
                with suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
                handle.detach()

    def finish(self) -> None:
        """The use is over, and the socket free for another one."""
        with self._lock:
            self.is_finished = True
            if self._fd >= 0:
                self._before_release()
                os.close(self._fd)
                self._fd = -1

    def _when_held(self) -> None:
        """What is to be done to a socket that is held from now on; under the lock."""

    def _before_release(self) -> None:
        """What is to be done to a socket that is free again; under the lock."""

    def _linger(self, how: bytes) -> None:
        """On the system's own socket, whatever stands above it."""
        handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=self._fd)
        try:
            with suppress(OSError):  # the other side has ended it: then nothing is sent any more
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, how)
        finally:
            handle.detach()


class Watchdog:
    """One thread, begun by the first use, that cuts off uses past their time."""

    def __init__(self) -> None:
        self._begin_anew()
        # gunicorn's master has used the database before it forks; neither its thread nor its uses are the child's.
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._heap: list[tuple[float, int, Watched]] = []
        self._count = 0
        self._thread: threading.Thread | None = None

    def watch(self, use: Watched) -> None:
        """Cut the use off at its time unless it is finished by then."""
        with self._changed:
            self._count += 1
            heapq.heappush(self._heap, (use.at_s, self._count, use))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            elif self._heap[0][2] is use:
                self._changed.notify()

    def begin(self, fileno: int, seconds: float) -> Watched:
        """Watch a socket that is to be free again within `seconds`.  Raises OSError without a free file handle."""
        use = Watched(time.monotonic() + seconds)
        use.hold(fileno)
        self.watch(use)
        return use

    def _run(self) -> None:
        while True:
            late: list[Watched] = []
            with self._changed:
                while self._heap and (self._heap[0][2].is_finished or self._heap[0][0] <= time.monotonic()):
                    late.append(heapq.heappop(self._heap)[2])
                if not late:
                    self._changed.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
            for use in late:
                use.cut()


WATCHDOG: Final = Watchdog()
"""The one of this process."""
