"""A real HTTP server that can misbehave, because the faults of a vendor happen on the socket.

It serves a WSGI application (a vendor sandbox, or a few lines in a test) and applies fault rules to the
requests that match them.  Paths below `/sandbox/`, where a sandbox's own pages are, never fail, so that a server
that was made to hang can still be made to stop.
"""

from __future__ import annotations

import io
import logging
import socket
import socketserver
import struct
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler
from werkzeug.test import run_wsgi_app
from werkzeug.wsgi import get_input_stream

from app.sandbox.faults import Answer, Faults, Rule

_EXEMPT_PREFIX = "/sandbox/"
_MAX_BODY = 64 * 1024 * 1024
_FAILED = b'{"error":"the application failed"}'

log = logging.getLogger(__name__)


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: RunningServer  # type: ignore[assignment]  # As much of a werkzeug server as is used here.

    def handle(self) -> None:
        try:
            BaseHTTPRequestHandler.handle(self)  # The nearer one takes one request a connection.
        except (OSError, ValueError):
            self.close_connection = True  # The peer or stop() closed the socket under us.

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.server.count_request()
        path = self.path.partition("?")[0]
        is_exempt = path.startswith(_EXEMPT_PREFIX)
        rule = None if is_exempt else self.server.faults.take(self.command, path, self.headers)
        if rule is not None and rule.kind == "refuse" and not rule.does_work():
            self.close_connection = True
            return
        environ = self.make_environ()
        try:
            body = get_input_stream(environ, max_content_length=_MAX_BODY).read()
        except HTTPException:  # The body is cut short, or too large.
            self.close_connection = True
            return
        environ |= {"CONTENT_LENGTH": str(len(body)), "RAW_URI": self.path, "wsgi.input": io.BytesIO(body)}
        environ.pop("HTTP_TRANSFER_ENCODING", None)  # The body is whole by now.
        if rule is None:
            self._send(self._work(environ))
        else:
            self._misbehave(rule, environ)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Silent: request lines may hold keys."""

    def _work(self, environ: WSGIEnvironment) -> Answer:
        try:
            return Answer(*run_wsgi_app(self.server.app, environ, buffered=True))
        except Exception:
            log.exception("the served application failed")
            return Answer(_FAILED, "500 Internal Server Error", content_type="application/json")

    def _send(self, answer: Answer) -> None:
        has_body = self.command != "HEAD" and answer.status_code not in (204, 304)
        self.wfile.write(answer.on_the_wire(answer.data, is_closing=self.close_connection, has_body=has_body))

    def _misbehave(self, rule: Rule, environ: WSGIEnvironment) -> None:
        if rule.kind == "slow" and self.server.stopping.wait(rule.delay_s):
            self.close_connection = True
            return
        right = self._work(environ) if rule.does_work() else Answer()
        match rule.kind:
            case "refuse":
                self.close_connection = True
            case "hang":
                self.close_connection = True
                while self.rfile.read1(65536):
                    pass
            case "drip_headers":
                self._drip(b"HTTP/1.1 200 OK\r\nX-Drip: ", b".", rule.interval_s)
            case "drip_body":
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999999\r\n\r\n"
                self._drip(head, b" ", rule.interval_s)
            case "reset_before" | "reset_after":
                # Lingering for zero seconds makes the coming close a reset.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
            case "half_body":
                announced = right.on_the_wire(right.long_body)
                self.wfile.write(announced[: len(announced) - len(right.long_body) // 2 - 1])
                self.close_connection = True
            case _:
                self._send(rule.answer(right))

    def _drip(self, start: bytes, drop: bytes, interval_s: float) -> None:
        self.close_connection = True
        self.wfile.write(start)
        while not self.server.stopping.wait(interval_s):
            self.wfile.write(drop)


class RunningServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A server on loopback in its own threads, until `stop()` or the end of a `with` block."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    ssl_context, multithread, multiprocess = None, True, False  # For `make_environ`.

    def __init__(self, port: int, app: WSGIApplication, faults: Faults) -> None:
        self.app = app
        self.faults = faults
        self.stopping = threading.Event()
        self.requests = 0
        """Requests read so far, whatever became of them."""
        self.connections = 0
        """Connections taken so far."""
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        super().__init__(("127.0.0.1", port), _Handler)
        self.port: int = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="serve", daemon=True)
        self._thread.start()

    def count_request(self) -> None:
        with self._lock:
            self.requests += 1

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self.connections += 1
            self._open[request] = threading.current_thread()
        try:
            if not self.stopping.is_set():
                super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.pop(request, None)
            request.close()

    def shutdown_request(self, request: Any) -> None:
        """Closes without a shutdown first, which would send a clean end before a requested reset."""
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.exception("the faulty server itself failed")

    def stop(self) -> None:
        """Closes the port and every connection, hanging ones too.  Harmless when repeated."""
        if not self._thread.is_alive():
            return
        # Wakes the thread, which would else notice after its interval; Linux allows this for a listening socket.
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.shutdown()
        self._thread.join()
        self.server_close()
        self.stopping.set()
        with self._lock:
            still_open = list(self._open.items())
            for connection, _ in still_open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # The peer was faster.
        for _, thread in still_open:
            thread.join(timeout=5)

    def __exit__(self, *raised: object) -> None:
        self.stop()


def serve(app: WSGIApplication, *, port: int = 0, faults: Faults | None = None) -> RunningServer:
    """Serves `app` over HTTP/1.1 with keep-alive; port 0 takes a free one.  Raises `OSError` if taken."""
    return RunningServer(port, app, Faults() if faults is None else faults)
