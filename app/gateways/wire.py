"""What it takes to end an HTTP call on time: connections that can be cut off, and the thread that does it.

Timeouts of sockets count anew with every byte that arrives, so a vendor that drips could hold a call for
hours.  Here each connection leaves a second handle on its socket with the attempt it serves, and one
thread shuts that handle when the attempt's time is over, whatever phase it is in.  Speaks no HTTP itself.

Of a request that is given up nothing more may be sent.  An orderly close would leave the kernel to deliver, minutes
later, what a network that lost packets did not take: an older stock level over a newer one, a cancellation that was
answered as failed.  So from its first byte to its whole answer a connection lingers for zero seconds: whatever closes
it (the watchdog, a timeout, an error, the end or the death of the process) resets it and drops the kernel's send
buffer, below TLS as well.  It ends orderly again once the answer is complete.
"""

from __future__ import annotations

import heapq
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from app.deadline import Deadline

KEEP_IDLE_S: Final = 15.0

_RESETS: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on with 0 seconds: closing the last handle sends a reset, and of what was written before nothing more."""
_ENDS_ORDERLY: Final = struct.pack("ii", 0, 0)


class Attempt:
    """One request under way: how far it has come, and the means to cut it off from another thread."""

    __slots__ = (
        "_end",
        "_fd",
        "_lock",
        "at_s",
        "connect_s",
        "is_answered",
        "is_cut",
        "is_finished",
        "is_fresh",
        "is_lease_short",
        "phase",
    )

    def __init__(self, end: Deadline, connect_s: float) -> None:
        self._end = end
        self.at_s = end.at_s
        self.connect_s = connect_s
        self.phase: Literal["idle", "resolving", "connecting", "securing", "sent", "answering"] = "idle"
        self.is_fresh = False
        self.is_cut = False
        self.is_lease_short = False
        self.is_answered = False
        """True once the whole answer was read: only then may the connection be used again, or end orderly."""
        self.is_finished = False
        self._fd = -1
        self._lock = threading.Lock()

    def left_s(self) -> float:
        """At least a millisecond, for 0 would make a socket non-blocking."""
        return max(0.001, self.at_s - time.monotonic())

    def is_over(self) -> bool:
        if not self.is_cut and time.monotonic() >= self.at_s:
            self.is_cut = True
        return self.is_cut

    def check_before_sending(self) -> None:
        """Raises TimeoutError where nothing may be sent any more: this process may have stood still until now."""
        self.is_lease_short = self.phase != "sent" and self._end.is_lease_short()
        if self.is_lease_short or self.is_over():
            raise TimeoutError

    def hold(self, sock: socket.socket) -> None:
        """Keeps a second handle on the connection: TLS and `Connection: close` take the first one away.

        Until the answer is complete the connection ends with a reset, whoever closes it.
        """
        with self._lock:
            if self.is_cut:
                raise TimeoutError
            if self._fd < 0:
                self._fd = os.dup(sock.fileno())
                self._linger(_RESETS)

    def cut(self) -> None:
        """For the watchdog: wakes the thread that waits for this socket, whose closing then resets it."""
        with self._lock:
            if self.is_finished:
                return
            self.is_cut = True
            if self._fd >= 0:
                handle = socket.socket(fileno=self._fd)
                with suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
                handle.detach()

    def finish(self) -> None:
        with self._lock:
            self.is_finished = True
            if self._fd >= 0:
                if self.is_answered and not self.is_cut:
                    self._linger(_ENDS_ORDERLY)
                os.close(self._fd)
                self._fd = -1

    def _linger(self, how: bytes) -> None:
        """On the system's own socket, whatever stands above it."""
        handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=self._fd)
        try:
            with suppress(OSError):  # the other side has ended it: then nothing is sent any more
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, how)
        finally:
            handle.detach()


class Watchdog:
    """One thread per process, started by the first call, that cuts off attempts past their time."""

    def __init__(self) -> None:
        self._wake = threading.Condition(threading.Lock())
        self._heap: list[tuple[float, int, Attempt]] = []
        self._count = 0
        self._thread: threading.Thread | None = None

    def watch(self, attempt: Attempt) -> None:
        with self._wake:
            self._count += 1
            heapq.heappush(self._heap, (attempt.at_s, self._count, attempt))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="line-watchdog", daemon=True)
                self._thread.start()
            elif self._heap[0][2] is attempt:
                self._wake.notify()

    def _run(self) -> None:
        while True:
            late: list[Attempt] = []
            with self._wake:
                while self._heap and (self._heap[0][2].is_finished or self._heap[0][0] <= time.monotonic()):
                    late.append(heapq.heappop(self._heap)[2])
                if not late:
                    self._wake.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
            for attempt in late:
                attempt.cut()


class Current(threading.local):
    attempt: Attempt | None = None


_current = Current()
_watchdog = Watchdog()


@contextmanager
def watched(attempt: Attempt) -> Iterator[None]:
    """Within the block this thread's connections belong to the attempt, and its time is kept."""
    _current.attempt = attempt
    _watchdog.watch(attempt)
    try:
        yield
    finally:
        attempt.finish()
        _current.attempt = None


def _begin_anew_after_fork() -> None:
    global _watchdog
    _watchdog = Watchdog()


os.register_at_fork(after_in_child=_begin_anew_after_fork)


class WatchedConnection(HTTPConnection):
    """Tells the attempt how far it is and hands it the socket."""

    idle_since: float = 0.0
    _is_connecting: bool = False

    def _new_conn(self) -> socket.socket:
        attempt = _current.attempt
        if attempt is None:
            return super()._new_conn()
        attempt.is_fresh = True
        attempt.phase = "resolving"
        host = self._dns_host.strip("[]")
        places = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        attempt.phase = "connecting"
        end = min(attempt.at_s, time.monotonic() + attempt.connect_s)
        problem: OSError = TimeoutError()
        for index, (family, kind, protocol, _, address) in enumerate(places):
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                # An address that swallows packets must leave time for the next one.
                share_s = (end - time.monotonic()) / (len(places) - index)
                sock.settimeout(max(0.001, share_s))
                sock.connect(address)
                sock.settimeout(attempt.left_s())
                attempt.hold(sock)
            except OSError as error:
                sock.close()
                problem = error
            else:
                attempt.phase = "securing"
                return sock
        # Not as it is: urllib3 passes over a reset while it sends, and would wait for an answer without any connection.
        raise NewConnectionError(self, "no connection") from problem

    def connect(self) -> None:
        self._is_connecting = True
        try:
            super().connect()
        finally:
            self._is_connecting = False
        if _current.attempt is not None:
            _current.attempt.phase = "idle"

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        attempt = _current.attempt
        # What is sent while connecting asks a proxy for a tunnel and is not the request.
        if attempt is not None and not self._is_connecting:
            attempt.hold(self.sock)
            # Else sending a large body would have to be over within the time for connecting.
            self.sock.settimeout(attempt.left_s())
            attempt.check_before_sending()
            attempt.phase = "sent"
        super().send(data)


class WatchedTlsConnection(WatchedConnection, HTTPSConnection):
    pass


class Pool(urllib3.HTTPConnectionPool):
    """Does not use a connection again that has idled for so long that the vendor may have closed it."""

    ConnectionCls = WatchedConnection
    keep_idle_s: float = KEEP_IDLE_S

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        if not connection.is_closed and time.monotonic() - connection.idle_since > self.keep_idle_s:
            connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


class TlsPool(Pool, urllib3.HTTPSConnectionPool):
    ConnectionCls = WatchedTlsConnection


POOLS: Final[Mapping[str, type[Pool]]] = {"http": Pool, "https": TlsPool}
