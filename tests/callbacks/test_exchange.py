"""Environments and heads of answers are gunicorn's own, to the byte."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]
from gunicorn.http import wsgi  # type: ignore[import-untyped]

from app.callbacks.exchange import Environments, Response
from app.callbacks.heads import PlainSettings, read_head

CLIENT, SERVER = ("127.0.0.1", 40000), ("127.0.0.1", 5000)
OWN = ("wsgi.errors", "wsgi.multithread", "gunicorn.socket", "wsgi.early_hints")

HEADS = (
    b"POST /api/channel/inventory_push_v1?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Type: a/b\r\n",
    b"GET /docs/%C3%BC?%C3%BC HTTP/1.0\r\n",
    b"GET / HTTP/1.1\r\nAccept: a\r\nAccept: b\r\nX-Forwarded-Proto: https\r\n",
    b"GET /below/it HTTP/1.1\r\nSCRIPT_NAME: /below\r\n",
    b"GET /it HTTP/1.1\r\nScript-Name: /below\r\n",
)


@pytest.mark.parametrize("mounted", ["", "/below"])
@pytest.mark.parametrize("head", HEADS)
def test_an_environment_is_gunicorns(head: bytes, mounted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIPT_NAME", mounted)
    settings = PlainSettings(Config())
    for client, server in product((CLIENT, "", b""), (SERVER, "/socket")):
        request = read_head(settings, head + b"\r\n", client, 1)
        found: list[Any] = []
        for make in (
            lambda: Environments(settings).of(request, client, server),  # noqa: B023
            lambda: wsgi.create(request, None, client, server, settings)[1],  # noqa: B023
        ):
            try:
                found.append({name: value for name, value in make().items() if name not in OWN})
            except Exception as error:
                found.append(type(error))
        assert found[0] == found[1], (client, server)


HEADERS: tuple[list[tuple[Any, Any]], ...] = (
    [("Content-Type", "application/json"), ("Content-Length", "2"), ("X-Request-Id", " a ")],
    [("content-length", "0")],
    [("Connection", "close"), ("Keep-Alive", "1"), ("Date", "never")],
    [("Connection", "upgrade"), ("Upgrade", "websocket")],
    [],
    [("X-Bad", "a\r\nb")],
    [("Bad Name", "a")],
    [("X-Number", 1)],
    [(b"X-Bytes", "a")],
)


class _Line:
    def __init__(self) -> None:
        self.sent = b""

    def sendall(self, data: bytes) -> None:
        self.sent += data


def test_an_answer_is_gunicorns() -> None:
    settings = PlainSettings(Config())
    requests = (b"POST / HTTP/1.1", b"HEAD / HTTP/1.1", b"GET / HTTP/1.0", b"GET / HTTP/1.1\r\nConnection: close")
    for first, status, headers in product(requests, ("200 OK", "204 No Content", "304 X", "bad"), HEADERS):
        found: list[Any] = []
        for kind in (Response, wsgi.Response):
            line = _Line()
            answer = kind(read_head(settings, first + b"\r\nHost: x\r\n\r\n", CLIENT, 1), line, settings)
            try:
                answer.start_response(status, headers)
                for piece in (b"{}", b"", b"{}"):
                    answer.write(piece)
                answer.close()
                found.append((line.sent.splitlines(), answer.should_close()))
            except Exception as error:
                found.append((type(error), str(error)))
        for lines, _ in found:
            if isinstance(lines, list):  # a second may have passed between the two
                lines[2] = lines[2][:20] if lines[2].startswith(b"Date: ") else pytest.fail("no date")
        assert found[0] == found[1], (first, status, headers)
