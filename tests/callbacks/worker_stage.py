"""The server's worker in this process, with an application that says what it was given."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
from gunicorn.config import Config  # type: ignore[import-untyped]

from app.callbacks.worker import Worker

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def told(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answers the method, the address and the body it was given, or how reading the body ended."""
    try:
        body = environ["wsgi.input"].read().decode("latin-1")
    except OSError:
        body = "broken off"
    heard = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "body": body,
    }
    answer = msgspec.json.encode(heard)
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


class Staged:
    """A worker of one thread, or as many as it is given."""

    def __init__(
        self, application: Application, *, threads: int = 1, keepalive: int = 5, most_body_bytes: int = 1 << 25
    ) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listener.setblocking(False)
        self.port: int = self.listener.getsockname()[1]
        cfg = Config()
        cfg.set("threads", threads)
        cfg.set("keepalive", keepalive)
        cfg.set("graceful_timeout", 10)
        log = SimpleNamespace(
            access=lambda *_: None, **{name: getattr(logging, name) for name in ("debug", "info", "exception")}
        )
        self.worker = Worker(0, os.getppid(), [self.listener], None, 60, cfg, log)
        self.worker.wsgi = application
        self.worker.most_body_bytes = most_body_bytes
        self.worker.PIPE = os.pipe()
        self._thread = threading.Thread(target=self.worker.run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def tell_to_stop(self) -> None:
        """What a signal does."""
        self.worker.alive = False
        os.write(self.worker.PIPE[1], b"\0")

    def stop(self) -> None:
        self.tell_to_stop()
        self._thread.join(20)
        assert not self._thread.is_alive()
        for end in self.worker.PIPE:
            os.close(end)
        self.worker.tmp.close()

    def await_turn(self) -> None:
        """Until the loop has read what was sent before, and has judged the pace of every client."""
        with self.connect() as line:
            line.sendall(post(b"", "Connection: close", method="HEAD"))
            while line.recv(65536):
                pass

    def connect(self, receive_buffer: int = 0) -> socket.socket:
        line = socket.socket()
        if receive_buffer:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        line.settimeout(30)
        line.connect(("127.0.0.1", self.port))
        return line


@contextmanager
def staged(application: Application = told, **settings: Any) -> Iterator[Staged]:
    stage = Staged(application, **settings)
    stage.start()
    try:
        yield stage
    finally:
        stage.stop()


def post(body: bytes = b"", *headers: str, target: str = "/", version: str = "1.1", method: str = "POST") -> bytes:
    """A request; its length is declared unless headers say how it ends."""
    lines = [f"{method} {target} HTTP/{version}", "Host: x", *headers]
    if not any(line.startswith(("Content-Length", "Transfer-Encoding")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answer(line: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and JSON of the next answer."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = line.recv(1)
        if not byte:
            raise ConnectionError(f"closed after {head!r}")
        head += byte
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = b""
    while len(body) < length:
        piece = line.recv(length - len(body))
        if not piece:
            raise ConnectionError("closed inside the body")
        body += piece
    found: dict[str, Any] = msgspec.json.decode(body)
    return int(head[9:12]), found


def is_closed(line: socket.socket) -> bool:
    """True when the server ends the connection, saying no more."""
    try:
        return line.recv(1) == b""
    except ConnectionResetError:
        return True
