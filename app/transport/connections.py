"""HTTP exchanges that can be cut off at any moment, over connections that are kept.

Each connection leaves a second handle on its socket with the attempt it serves, and the watchdog shuts that handle when
the attempt's time is over, whatever phase it is in.

Of a request that is given up nothing more may be sent.  An orderly close would leave the kernel to deliver, minutes
later, what a network that lost packets did not take: an older stock level over a newer one, a cancellation that was
answered as failed.  So from its first byte to its whole answer a connection lingers for zero seconds: whatever closes
it (the watchdog, a timeout, an error, the end or the death of the process) resets it and drops the kernel's send
buffer, below TLS as well.  It ends orderly again once the answer is complete.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, cast

import requests
import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from app.deadline import Deadline
from app.errors import BrokenReply, GatewayError
from app.transport.failures import TRANSPORT_ERRORS, Phase, failure_of
from app.transport.replies import MAX_REPLY_BYTES, Reply, read_body
from app.watchdog import ENDS_ORDERLY, RESETS, WATCHDOG, Watched

KEEP_IDLE_S: Final = 15.0
READS: Final = ("GET", "HEAD")

# urllib3 writes whole addresses, and with them the keys that some vendors want in the query.  A filter,
# unlike a level, outlives any later configuration of logging.
for _talkative in ("connectionpool", "connection", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_talkative}").addFilter(lambda record: False)


class Attempt(Watched):
    """One request under way: how far it has come, and the means to cut it off from another thread."""

    __slots__ = ("_end", "connect_s", "is_answered", "is_fresh", "is_lease_short", "phase")

    def __init__(self, end: Deadline, connect_s: float) -> None:
        super().__init__(end.at_s)
        self._end = end
        self.connect_s = connect_s
        self.phase: Phase = "idle"
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

    def failure(self, server: str, error: BaseException, request: str) -> GatewayError:
        """What the attempt was that ended with this error."""
        return failure_of(self.phase, server, error, request, is_cut=self.is_cut, is_lease_short=self.is_lease_short)

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


class HttpClient:
    """Carries requests to one server, each of which ends at its deadline; no redirects, no cookies.

    `server` is its name in errors; `connect_s` bounds the part of an exchange that connects.  Connections idle for
    longer than `keep_idle_s` are not used again, for the server may have closed them.
    """

    def __init__(
        self,
        server: str,
        *,
        connect_s: float,
        max_reply_bytes: int = MAX_REPLY_BYTES,
        keep_idle_s: float = KEEP_IDLE_S,
        verify: bool | str = True,
        proxies: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._server = server
        self._connect_s = connect_s
        self._max_reply_bytes = max_reply_bytes
        self._keep_idle_s = keep_idle_s
        self._verify = verify
        self._proxies = dict(proxies)
        self._mine = threading.local()
        self._adapters: weakref.WeakSet[_Adapter] = weakref.WeakSet()
        self._lock = threading.Lock()

    def exchange(self, prepared: requests.PreparedRequest, shown: str, end: Deadline) -> Reply:
        """One request, one complete answer; a read that met a connection the server had given up is sent once more.

        `shown` is the path in messages.  Raises a `GatewayError` as `failure_of` says, and `BrokenReply` for an answer
        that is too large.
        """
        attempt = Attempt(end, self._connect_s)
        reply, failure = self._try(prepared, shown, attempt)
        if (
            failure is not None
            and failure.code == "CONNECTION_LOST"
            and not attempt.is_fresh
            and prepared.method in READS
            and end.left_s() > 0.0
        ):
            reply, failure = self._try(prepared, shown, Attempt(end, self._connect_s))
        if failure is not None:
            raise failure
        return cast(Reply, reply)

    def _try(
        self, prepared: requests.PreparedRequest, shown: str, attempt: Attempt
    ) -> tuple[Reply | None, GatewayError | None]:
        """The reply or the error, returned: one raised here would drag along urllib3's, with the URL."""
        answer: urllib3.BaseHTTPResponse | None = None
        started = time.monotonic()
        left_s = attempt.left_s()
        is_whole = False
        with watched(attempt):
            try:
                timeout = urllib3.Timeout(connect=min(self._connect_s, left_s), read=left_s)
                answer = (
                    self._adapter()
                    .send(
                        prepared,
                        stream=True,
                        timeout=timeout,  # type: ignore[arg-type]  # The adapter takes urllib3's, undocumented.
                        verify=self._verify,
                        proxies=self._proxies,
                    )
                    .raw
                )
                attempt.phase = "answering"
                body = read_body(answer, self._max_reply_bytes)
                # A shut socket reads as a clean end, so a body of undeclared length may only seem whole.
                is_whole = attempt.is_answered = body is not None and not attempt.is_over()
            except TRANSPORT_ERRORS as error:
                attempt.is_over()
                return None, attempt.failure(self._server, error, f"{prepared.method} {shown}")
            finally:
                if answer is not None and not is_whole:
                    answer.close()
        if attempt.is_cut:
            return None, attempt.failure(self._server, TimeoutError(), f"{prepared.method} {shown}")
        if body is None:
            what = f"{prepared.method} {shown} with more than {self._max_reply_bytes} bytes"
            return None, BrokenReply("REPLY_TOO_LARGE", f"{self._server} answered {what}")
        duration_s = time.monotonic() - started
        method = prepared.method or ""
        return Reply(self._server, method, shown, answer.status, answer.headers, body, duration_s), None

    def _adapter(self) -> _Adapter:
        """This thread's own, and this process's: a socket shared with a parent would mix up answers."""
        mine = getattr(self._mine, "adapter", None)
        if isinstance(mine, _Adapter) and self._mine.pid == os.getpid():
            return mine
        adapter = _Adapter(self._keep_idle_s)
        self._mine.adapter, self._mine.pid = adapter, os.getpid()
        with self._lock:
            self._adapters.add(adapter)
        return adapter

    def close(self) -> None:
        """Closes every idle connection.  The client stays usable."""
        with self._lock:
            for adapter in list(self._adapters):
                adapter.close()


class _Adapter(requests.adapters.HTTPAdapter):
    """One thread's connection to one server.

    What `requests` does anew for each call although it cannot change between them (finding the pool,
    looking for the certificate file) is done once here, and cookies are not kept at all.
    """

    def __init__(self, keep_idle_s: float) -> None:
        self._keep_idle_s = keep_idle_s
        self._pool: Any = None
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager: Any = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        if self._pool is None or self._pool.pool is None:
            self._pool = super().get_connection_with_tls_context(*args, **kwargs)
            self._pool.keep_idle_s = self._keep_idle_s
            self._is_verified = False
        return self._pool

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        if not self._is_verified:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
            self._is_verified = True

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """The path as it is: two slashes at its beginning stay two."""
        return super().request_url(request, proxies) if proxies else request.path_url

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        response = requests.Response()
        response.status_code = resp.status
        response.raw = resp
        return response
