"""gunicorn's threaded worker, with what it says by itself kept to our promises: JSON, no echo, no endless wait."""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

import msgspec
from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.http import errors  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from app import logs
from app.callbacks.edge import new_request_id
from app.callbacks.replies import error_body
from app.channel.desk import BUDGET_S

_STATUS: dict[type[Exception], tuple[int, str, str]] = {
    errors.LimitRequestLine: (414, "URI Too Long", "the address is too long"),
    errors.ExpectationFailed: (417, "Expectation Failed", "Expect must be 100-continue or absent"),
    errors.LimitRequestHeaders: (431, "Request Header Fields Too Large", "the headers are too large"),
}
"""What is not simply a 400.  Nothing is 501: P5 promises that no input makes us answer 5xx."""

log = logging.getLogger(__name__)


class Connection(socket.socket):
    """A client's connection, on which a whole request has to arrive in time; too late reads as broken off."""

    arrive_by_s = 0.0
    _is_over = False

    def recv(self, size: int, flags: int = 0) -> bytes:
        if self.gettimeout() is not None:  # gunicorn set a limit of its own
            return super().recv(size, flags)
        left_s = self.arrive_by_s - time.monotonic()
        if self._is_over or left_s <= 0:
            self._is_over = True
            return b""
        self.settimeout(left_s)
        try:
            return super().recv(size, flags)
        except TimeoutError:
            self._is_over = True
            return b""
        finally:
            self.settimeout(None)


class Worker(ThreadWorker):  # type: ignore[misc]
    """Serves requests."""

    def handle(self, conn: Any) -> Any:
        """Serve the next request of a connection; it has a callback's budget to arrive, headers and body."""
        if not isinstance(conn.sock, Connection):
            line = conn.sock
            conn.sock = Connection(line.family, line.type, line.proto, fileno=line.detach())
        conn.sock.arrive_by_s = time.monotonic() + BUDGET_S
        return super().handle(conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer what never became a request.  gunicorn would repeat its bytes in HTML and in the log (P5, P20)."""
        request_id = new_request_id()
        logs.request_id.set(request_id)
        if isinstance(exc, errors.ParseException):
            status, reason, message = _STATUS.get(type(exc), (400, "Bad Request", "this is no valid HTTP request"))
            log.warning("no valid request: %s", type(exc).__name__)
        else:
            status, reason, message = 500, "Internal Server Error", f"a fault of this server; request id {request_id}"
            log.error("a request failed outside the application", exc_info=exc)
        body = msgspec.json.encode(error_body(reason.upper().replace(" ", "_"), message))
        head = (
            f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\n\r\n"
        )
        try:
            util.write_nonblock(client, head.encode() + body)
        except OSError:
            log.debug("the client did not wait for the reply")
