"""Connections of HTTP calls that can be cut off, and what a call has come to when it is.

Each connection leaves a second handle on its socket with the attempt it serves, and the watchdog shuts that handle when
the attempt's time is over, whatever phase it is in.  Speaks no HTTP itself.

Of a request that is given up nothing more may be sent.  An orderly close would leave the kernel to deliver, minutes
later, what a network that lost packets did not take: an older stock level over a newer one, a cancellation that was
answered as failed.  So from its first byte to its whole answer a connection lingers for zero seconds: whatever closes
it (the watchdog, a timeout, an error, the end or the death of the process) resets it and drops the kernel's send
buffer, below TLS as well.  It ends orderly again once the answer is complete.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, Final, Literal

import requests
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from app.deadline import Deadline
from app.domain.gzip_content import BrokenGzip
from app.errors import BrokenReply, GatewayError, Unavailable
from app.watchdog import ENDS_ORDERLY, RESETS, WATCHDOG, Watched

KEEP_IDLE_S: Final = 15.0


class Attempt(Watched):
    """One request under way: how far it has come, and the means to cut it off from another thread."""

    __slots__ = ("_end", "connect_s", "is_answered", "is_fresh", "is_lease_short", "phase")

    def __init__(self, end: Deadline, connect_s: float) -> None:
        super().__init__(end.at_s)
        self._end = end
        self.connect_s = connect_s
        self.phase: Literal["idle", "resolving", "connecting", "securing", "sent", "answering"] = "idle"
        self.is_fresh = False
        self.is_lease_short = False
        self.is_answered = False
        """True once the whole answer was read: only then may the connection be used again, or end orderly."""

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

    def _when_held(self) -> None:
        """Until the answer is complete the connection ends with a reset, whoever closes it."""
        self._linger(RESETS)

    def _before_release(self) -> None:
        if self.is_answered and not self.is_cut:
            self._linger(ENDS_ORDERLY)


class Current(threading.local):
    attempt: Attempt | None = None


_current = Current()


@contextmanager
def watched(attempt: Attempt) -> Iterator[None]:
    """Within the block this thread's connections belong to the attempt, and its time is kept."""
    _current.attempt = attempt
    WATCHDOG.watch(attempt)
    try:
        yield
    finally:
        attempt.finish()
        _current.attempt = None


class WatchedConnection(HTTPConnection):
    """Notes with the attempt how far it is, and hands it the socket."""

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
                attempt.hold(sock.fileno())
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
            attempt.hold(self.sock.fileno())
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


TRANSPORT_ERRORS: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    HTTPException,
    OSError,
    BrokenGzip,
    UnicodeError,  # A host name that cannot be encoded.
)
"""What an attempt may end with besides its answer."""


def failure_of(attempt: Attempt, vendor: str, error: BaseException, request: str) -> GatewayError:
    """What a failed attempt was, by how far it had come rather than by which library noticed."""
    root = error
    while (inner := root.__cause__ or root.__context__) is not None:
        root = inner
    is_late = attempt.is_cut or isinstance(root, TimeoutError)
    if attempt.is_lease_short:
        return Unavailable("LEASE_ENDED", f"{request} was not sent to {vendor}: others may do it by now")
    match attempt.phase:
        case "resolving":
            return Unavailable("DNS_FAILED", f"{vendor}'s host name could not be resolved")
        case "connecting":
            why = "in time" if is_late else "there"
            return Unavailable("CONNECT_FAILED", f"nobody answered {why} at {vendor}'s address")
        case "securing":
            why = "in time" if is_late else "(its certificate, or a proxy on the way)"
            return Unavailable("TLS_FAILED", f"no secure connection to {vendor} could be made {why}")
        case "idle":
            return Unavailable("NOT_SENT", f"{request} could not be sent to {vendor}")
    if is_late:
        what = f"{vendor} did not answer {request} in time"
        return Unavailable("TIMED_OUT", what, outcome_unknown=True)
    if attempt.phase == "answering":
        what = f"{vendor}'s answer to {request} broke off or cannot be decoded"
        return BrokenReply("REPLY_CUT", what)
    if isinstance(root, OSError):
        what = f"{vendor} closed the connection without an answer to {request}"
        return Unavailable("CONNECTION_LOST", what, outcome_unknown=True)
    return BrokenReply("NOT_HTTP", f"{vendor} answered {request} with something that is not HTTP")
