"""A real HTTP server that can misbehave, because the faults of a vendor happen on the socket.

It serves a WSGI application (a vendor sandbox, or a few lines in a test) and applies fault rules to the
requests that match them.  Rules are set through `Faults`, by a test or by a sandbox's own admin page.
Paths below `/sandbox/`, where those pages are, never fail, so that a server that was made to hang can
still be made to stop.
"""

from __future__ import annotations

import io
import logging
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from email.message import Message
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote_to_bytes

import msgspec

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

Kind = Literal[
    "refuse", "hang", "drip_headers", "drip_body", "reset_before", "reset_after", "half_body", "redirect",
    "status", "html", "wrong_type", "empty", "truncated_json", "slow",
]  # fmt: skip

KINDS: Mapping[Kind, str] = {
    "status": "answers with a status such as 503 or 429, having done nothing",
    "slow": "is right but late",
    "hang": "never answers",
    "refuse": "closes the connection without an answer",
    "reset_before": "resets the connection, having done nothing",
    "reset_after": "does the work, then resets the connection",
    "half_body": "does the work, sends half of the answer and closes",
    "truncated_json": "does the work, answers with half a JSON text",
    "empty": "does the work, answers with nothing",
    "wrong_type": "does the work, answers with JSON of a type nobody expects",
    "html": "answers with a page",
    "redirect": "answers with a redirect",
    "drip_headers": "does the work, sends the head byte by byte for ever",
    "drip_body": "does the work, sends the body byte by byte for ever",
}
"""What a server with each fault does, for people to choose from."""

_WORKS_FIRST = frozenset(
    {"drip_headers", "drip_body", "reset_after", "half_body", "wrong_type", "empty", "truncated_json", "slow"}
)
_EXEMPT_PREFIX = "/sandbox/"
_MAX_BODY = 64 * 1024 * 1024
_FILLER = b'{"success": true, "code": 200, "message": "an answer long enough to be cut in half"}'

log = logging.getLogger(__name__)


class Match(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Which requests a rule is for.  Empty means all."""

    method: str = ""
    path_prefix: str = ""
    headers: dict[str, list[str]] = {}
    """Each of these must be there with one of its values, for instance the keys of one merchant."""

    def covers(self, method: str, path: str, headers: Mapping[str, str] | Message) -> bool:
        return (
            self.method.upper() in ("", method)
            and path.startswith(self.path_prefix)
            and all(headers.get(name) in values for name, values in self.headers.items())
        )


class Rule(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One fault.

    `KINDS` says what each does: `drip_*` sends a byte each `interval_s`; `slow` waits `delay_s`; `half_body`
    announces all and sends half; `truncated_json` is whole HTTP with half a JSON text.
    """

    kind: Kind
    times: int | None = None
    """How many requests it is for; None lasts until cleared."""
    match: Match = msgspec.field(default_factory=Match)
    location: str = "/"
    code: int = 503
    retry_after: str | int | None = None
    delay_s: float = 1.0
    interval_s: float = 0.1
    works: bool | None = None
    """Whether the application does the work before the fault; None is what the kind's name says
    (`reset_before`, `hang`, `status`, `html`, `redirect`, `refuse`: no; the others: yes)."""

    def does_work(self) -> bool:
        return self.kind in _WORKS_FIRST if self.works is None else self.works


class Faults:
    """The rules of one server, in the order they were added; the first that matches is applied."""

    def __init__(self, rules: Iterable[Mapping[str, Any]] = ()) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        for rule in rules:
            self.add(rule)

    def add(self, rule: object, *, within: str = "", headers: Mapping[str, list[str]] | None = None) -> None:
        """A rule as an object of `Rule`'s fields; one without a path of its own is for those below `within`.

        `headers` are required besides those it names.  Raises `ValueError` naming what is wrong, and where.
        """
        given = {name: value for name, value in rule.items() if value is not None} if isinstance(rule, dict) else rule
        try:
            parsed = msgspec.convert(given, Rule)
        except msgspec.ValidationError as error:
            raise ValueError(f"not a fault rule: {error}") from None
        parsed.match.path_prefix = parsed.match.path_prefix or within
        parsed.match.headers = {**parsed.match.headers, **(headers or {})}
        if parsed.times is not None and parsed.times < 1:
            raise ValueError("times must be at least 1")
        if parsed.kind in ("status", "redirect") and not 100 <= parsed.code <= 999:
            raise ValueError("code must have three digits")
        with self._lock:
            self._rules.append(parsed)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def remove(self, place: int, kind: str) -> bool:
        """Ends the rule that stands there, counted from 0; False where it is over or another one stands there."""
        with self._lock:
            found = self._rules[place : place + 1]
            if not found or found[0].kind != kind:
                return False
            del self._rules[place]
            return True

    def as_json(self) -> list[dict[str, Any]]:
        """The rules still standing, `times` counted down, ready to be written as JSON."""
        with self._lock:
            return [msgspec.to_builtins(rule) for rule in self._rules]

    def take(self, method: str, path: str, headers: Mapping[str, str] | Message) -> Rule | None:
        """The rule for this request, used up by one."""
        with self._lock:
            for rule in self._rules:
                if not rule.match.covers(method, path, headers):
                    continue
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times <= 0:
                        self._rules.remove(rule)
                return rule
        return None


class _Answer(msgspec.Struct):
    status: str
    headers: list[tuple[str, str]]
    body: bytes

    def as_bytes(self, *, is_closing: bool, bodiless: bool) -> bytes:
        hop = {"content-length", "connection", "transfer-encoding"}
        lines = [f"HTTP/1.1 {self.status}"]
        lines += [f"{name}: {value}" for name, value in self.headers if name.lower() not in hop]
        if not any(name.lower() == "date" for name, _ in self.headers):
            lines.append(f"Date: {formatdate(usegmt=True)}")
        lines.append(f"Content-Length: {len(self.body)}")
        if is_closing:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return head if bodiless else head + self.body


def _json_answer(status: HTTPStatus, value: object) -> _Answer:
    return _Answer(
        f"{status.value} {status.phrase}", [("Content-Type", "application/json")], msgspec.json.encode(value)
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ValueError):
            self.close_connection = True  # The peer or stop() closed the socket under us.

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
            return
        if not self.parse_request():
            self.close_connection = True
            return
        self.server.count_request()
        path = self.path.partition("?")[0]
        is_exempt = path.startswith(_EXEMPT_PREFIX)
        rule = None if is_exempt else self.server.faults.take(self.command, path, self.headers)
        if rule is not None and rule.kind == "refuse" and not rule.does_work():
            self.close_connection = True
            return
        body = self._read_body()
        if body is None:
            self.close_connection = True
            return
        if rule is None:
            self._send(self._work(body))
        else:
            self._misbehave(rule, body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: request lines may hold keys."""

    def _read_body(self) -> bytes | None:
        """The request's body, or None when it is cut short, malformed or too large."""
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            return self._read_chunks()
        size = int(self.headers.get("Content-Length") or 0)
        if not 0 <= size <= _MAX_BODY:
            return None
        body = self.rfile.read(size)
        return body if len(body) == size else None

    def _read_chunks(self) -> bytes | None:
        body = bytearray()
        while True:
            size = int(self.rfile.readline(1024).split(b";")[0], 16)
            if size < 0 or len(body) + size > _MAX_BODY:
                return None
            if size == 0:
                while self.rfile.readline(65537) not in (b"\r\n", b"\n", b""):
                    pass
                return bytes(body)
            chunk = self.rfile.read(size)
            if len(chunk) != size:
                return None
            body += chunk
            self.rfile.readline(3)

    def _work(self, body: bytes) -> _Answer:
        raw_path, _, query = self.path.partition("?")
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(raw_path).decode("latin-1"),
            "RAW_URI": self.path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.server.server_address[1]),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": str(self.client_address[0]),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            key = "HTTP_" + name.upper().replace("-", "_")
            if key not in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"):
                environ[key] = f"{environ[key]},{value}" if key in environ else value

        answer = _Answer("500 Internal Server Error", [], b"")
        pieces: list[bytes] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: object = None, /
        ) -> Callable[[bytes], object]:
            answer.status, answer.headers = status, headers
            return pieces.append

        try:
            result = self.server.app(environ, start_response)
            try:
                pieces.extend(result)
            finally:
                close = getattr(result, "close", None)
                if close is not None:
                    close()
        except Exception:
            log.exception("the served application failed")
            return _json_answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "the application failed"})
        answer.body = b"".join(pieces)
        return answer

    def _send(self, answer: _Answer) -> None:
        bodiless = self.command == "HEAD" or answer.status[:3] in ("204", "304")
        self.wfile.write(answer.as_bytes(is_closing=self.close_connection, bodiless=bodiless))

    def _misbehave(self, rule: Rule, body: bytes) -> None:
        if rule.kind == "slow" and self.server.stopping.wait(rule.delay_s):
            self.close_connection = True
            return
        answer = self._work(body) if rule.does_work() else _Answer("200 OK", [], _FILLER)
        json_type = [("Content-Type", "application/json")]
        match rule.kind:
            case "slow":
                self._send(answer)
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
                self._reset()
            case "half_body":
                whole = answer.body if len(answer.body) > 1 else _FILLER
                answer.body = whole
                sent = answer.as_bytes(is_closing=False, bodiless=False)
                self.wfile.write(sent[: len(sent) - len(whole) // 2 - 1])
                self.close_connection = True
            case "truncated_json":
                whole = answer.body if len(answer.body) > 1 else _FILLER
                self._send(_Answer("200 OK", json_type, whole[: len(whole) // 2]))
            case "redirect":
                code = rule.code if 300 <= rule.code < 400 else 302
                self._send(_Answer(f"{code} Moved", [("Location", rule.location)], b""))
            case "status":
                extra = [] if rule.retry_after is None else [("Retry-After", str(rule.retry_after))]
                said = b'{"success":false,"message":"fault"}'
                self._send(_Answer(f"{rule.code} Fault", json_type + extra, said))
            case "html":
                page = b"<!doctype html><title>Sorry</title><h1>We will be back soon</h1>"
                self._send(_Answer("200 OK", [("Content-Type", "text/html; charset=utf-8")], page))
            case "wrong_type":
                self._send(_Answer("200 OK", json_type, b'"ok"'))
            case "empty":
                self._send(_Answer("200 OK", json_type, b""))

    def _drip(self, start: bytes, drop: bytes, interval_s: float) -> None:
        self.close_connection = True
        self.wfile.write(start)
        while not self.server.stopping.wait(interval_s):
            self.wfile.write(drop)

    def _reset(self) -> None:
        """Lingering for zero seconds makes the coming close a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], app: WSGIApplication, faults: Faults) -> None:
        self.app = app
        self.faults = faults
        self.stopping = threading.Event()
        self.requests = 0
        self.connections = 0
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        super().__init__(address, _Handler)

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
        with self._lock:
            self._open.pop(request, None)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.exception("the faulty server itself failed")

    def stop_connections(self) -> None:
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


class RunningServer:
    """A server on loopback in its own threads, until `stop()` or the end of a `with` block."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.port: int = server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.faults = server.faults
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="serve", daemon=True
        )
        self._thread.start()

    @property
    def requests(self) -> int:
        """Requests read so far, whatever became of them."""
        return self._server.requests

    @property
    def connections(self) -> int:
        """Connections taken so far."""
        return self._server.connections

    def stop(self) -> None:
        """Closes the port and every connection, hanging ones too.  Harmless when repeated."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.stop_connections()

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(
    app: WSGIApplication, *, port: int = 0, faults: Faults | None = None, host: str = "127.0.0.1"
) -> RunningServer:
    """Serves `app` over HTTP/1.1 with keep-alive; port 0 takes a free one.  Raises `OSError` if taken."""
    return RunningServer(_Server((host, port), app, faults if faults is not None else Faults()))
