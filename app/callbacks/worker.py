"""gunicorn's threaded worker, with what it says by itself kept to our promises: JSON, no echo, no endless wait.

A request's head has to arrive within a callback's budget; after that a peer is cut off only for being slow, while it
sends and while it reads, and never for taking long.  Long bodies leave by a thread of their own (`downloads`).
"""

from __future__ import annotations

import logging
import os
import select
import socket
import time
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.http import errors  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from app import logs
from app.callbacks.downloads import Downloads
from app.callbacks.edge import new_request_id
from app.callbacks.progress import MOST_SENT_S, Outgoing, Progress
from app.callbacks.replies import error_body
from app.channel.desk import BUDGET_S
from app.gateways.interface import LONG_BODY

_STATUS: dict[type[Exception], tuple[int, str, str]] = {
    errors.LimitRequestLine: (414, "URI Too Long", "the address is too long"),
    errors.ExpectationFailed: (417, "Expectation Failed", "Expect must be 100-continue or absent"),
    errors.LimitRequestHeaders: (431, "Request Header Fields Too Large", "the headers are too large"),
}
"""What is not simply a 400.  Nothing is 501: P5 promises that no input makes us answer 5xx."""

log = logging.getLogger(__name__)


STOP_S: Final = 5.0
"""How long downloads may go on when the process is to end and every request is answered."""


class Connection(socket.socket):
    """A client's connection.  Too late, or too slow, reads as broken off; who reads too slowly has hung up."""

    arrive_by_s = 0.0
    """When a request's head has to be here."""
    is_handed_over = False
    _is_over = False
    _body: Progress | None = None

    def head_is_here(self) -> None:
        """What comes from here on is a body: it may take long, but not be slow."""
        self._body = Progress()

    def next_head(self, arrive_by_s: float) -> None:
        """The next request is to come."""
        self.arrive_by_s = arrive_by_s
        self._body = None

    def recv(self, size: int, flags: int = 0) -> bytes:
        if self.gettimeout() is not None:  # gunicorn set a limit of its own
            return super().recv(size, flags)
        begun_s = time.monotonic()
        left_s = self._body.left_s if self._body is not None else self.arrive_by_s - begun_s
        if self._is_over or left_s <= 0:
            self._is_over = True
            return b""
        self.settimeout(left_s)
        try:
            found = super().recv(size, flags)
        except TimeoutError:
            self._is_over = True
            return b""
        finally:
            self.settimeout(None)
        if self._body is not None:
            self._body.waited(time.monotonic() - begun_s)
            self._body.moved(len(found))
        return found

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Raises `BrokenPipeError` when the peer reads too slowly."""
        if self.gettimeout() is not None:
            return super().sendall(data, flags)
        rest = memoryview(data)
        sent = self._send_now(rest, flags)
        if sent == len(rest):
            return None  # nearly always, for the system's buffer is larger than most answers
        outgoing, progress = Outgoing(self), Progress(MOST_SENT_S)
        outgoing.given(sent)
        poll = select.poll()
        poll.register(self, select.POLLOUT)
        while rest := rest[sent:]:
            begun_s = time.monotonic()
            poll.poll(1000)
            progress.waited(time.monotonic() - begun_s)
            progress.moved(outgoing.moved())
            if progress.is_too_slow:
                raise BrokenPipeError("the client reads too slowly")
            sent = self._send_now(rest, flags)
            outgoing.given(sent)
        return None

    def _send_now(self, data: memoryview, flags: int) -> int:
        try:
            return super().send(data, flags | socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return 0


class Worker(ThreadWorker):  # type: ignore[misc]
    """Serves requests."""

    wsgi: Any

    def load_wsgi(self) -> None:
        """Whatever the application marks as a long body leaves by the thread for downloads."""
        super().load_wsgi()
        application = self.wsgi
        self._downloads = Downloads()  # not before the fork, for it has a thread

        def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            body: Iterable[bytes] = application(environ, start_response)
            line = environ.get("gunicorn.socket")
            if environ.get(LONG_BODY) and isinstance(line, Connection):
                return self._hand_over(line, start_response.__self__, body)
            return body

        self.wsgi = serve

    def _hand_over(self, line: Connection, response: Any, body: Iterable[bytes]) -> Iterable[bytes]:
        """The head goes out here, the body from the other thread, which closes the connection."""
        try:
            response.force_close()
            response.send_headers()
            other = socket.socket(line.family, line.type, line.proto, fileno=os.dup(line.fileno()))
        except BaseException:
            getattr(body, "close", lambda: None)()
            raise
        line.is_handed_over = True
        self._downloads.take(other, body)
        return ()

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Serve a request whose head has been read."""
        conn.sock.head_is_here()
        is_kept = super().handle_request(req, conn)
        if not conn.sock.is_handed_over:
            return is_kept
        # gunicorn would end the connection itself: it gets one that never was, and ours stays with the download.
        conn.sock.close()
        conn.sock = socket.socket()
        return False

    def run(self) -> None:
        """Serve until told to stop; then what is being fetched has a moment to end."""
        super().run()
        self._downloads.stop(STOP_S)

    def handle(self, conn: Any) -> Any:
        """Serve the next request of a connection; its head has a callback's budget to arrive."""
        if not isinstance(conn.sock, Connection):
            line = conn.sock
            conn.sock = Connection(line.family, line.type, line.proto, fileno=line.detach())
        conn.sock.next_head(time.monotonic() + BUDGET_S)
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
