"""What the worker takes apart itself is what gunicorn would have made of it, down to the error."""

from __future__ import annotations

import random
from typing import Any

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]
from gunicorn.http.message import Request  # type: ignore[import-untyped]

from app.callbacks import heads
from app.callbacks.heads import PlainSettings, read_head

TRUSTED, STRANGER = ("127.0.0.1", 5), ("192.0.2.1", 5)

LINES = (
    b"POST /api/channel/inventory_push_v1 HTTP/1.1",
    b"GET /console/?a=1&b=%2F?c HTTP/1.1",
    b"HEAD / HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"CONNECT host:80 HTTP/1.1",
    b"GET //a/b HTTP/1.1",
    b"GET http://x/y?z HTTP/1.1",
    b"GET /a?b#c HTTP/1.1",
    b"GET /a;b?c:d@e[] HTTP/1.1",
    b"GET /? HTTP/1.0",
    b"get / HTTP/1.1",
)
FIELDS = (
    b"Host: localhost",
    b"host:x",
    b"Content-Type: application/json",
    b"Content-Length: 17",
    b"Content-Length: -1",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Connection: close",
    b"Expect: 100-continue",
    b"Expect: more",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Ssl: on",
    b"SCRIPT_NAME: /below",
    b"X_Other: 1",
    b"X-Request-Id: \t abc \t",
    b"Empty:",
    b"Name : value",
    b": value",
    b" folded",
    b"X-Old: \xfc",
    b"X-Long: " + b"x" * 5000,
)


class _Line:
    """What gunicorn's parser reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, *_: Any) -> bytes:
        data, self._data = self._data, b""
        return data

    def unread(self, data: bytes) -> None:
        self._data = data + self._data


def _seen(request: Any) -> dict[str, Any]:
    found = {name: value for name, value in vars(request).items() if name not in ("cfg", "unreader", "body")}
    return {**found, "reader": type(request.body.reader), "length": getattr(request.body.reader, "length", None)}


def _mutated(head: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(head))
    piece = chance.choice((b"", b" ", b"\t", b"\r", b"\n", b"\0", b"#", b"?", b":", b"_", b"\x7f", b"\xe4", b"A", b"/"))
    return head[:at] + piece + head[at + chance.randrange(2) :]


@pytest.mark.parametrize("peer", [TRUSTED, STRANGER, ""], ids=["trusted", "stranger", "socket"])
@pytest.mark.parametrize("more", [{}, {"limit_request_fields": 3, "limit_request_line": 40}], ids=["default", "narrow"])
def test_p5_an_ordinary_head_is_read_as_gunicorn_reads_it(
    more: dict[str, int], peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = Config()
    for name, value in more.items():
        cfg.set(name, value)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    ordinary = 0
    twice = [[LINES[0], field, field] for field in FIELDS]  # chance alone may find none that is stated twice
    for lines in (
        *twice,
        *([chance.choice(LINES), *chance.choices(FIELDS, k=chance.randrange(6))] for _ in range(600)),
    ):
        head = b"\r\n".join(lines) + b"\r\n\r\n"
        for data in (head, _mutated(head, chance)):
            found: list[Any] = []
            for read in (lambda: read_head(PlainSettings(cfg), data, peer, 1), lambda: Request(cfg, _Line(data), peer)):  # noqa: B023
                try:
                    found.append(_seen(read()))
                except (Exception, StopIteration) as error:
                    found.append(type(error))
            assert found[0] == found[1], data
            ordinary += heads._ORDINARY_HEAD.fullmatch(data.decode("latin-1")) is not None
    assert ordinary > 40
