"""Channel servers that `channel verify` is run against: the real one, and the same with its answers changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.test import run_wsgi_app

from app import cli
from tests import ROOT

SCHEMAS = ROOT / "schemas"
BASE = "/api/channel"

Reply = tuple[int, str, bytes]
Change = Callable[[str, int, dict[str, Any]], Reply | dict[str, Any] | None]
"""Given callback, status and body of the right answer: another reply, another body, or None to leave it."""


class Wrong:
    """The real application, its answers changed on the way out; remembers what it was sent."""

    def __init__(self, application: Flask, change: Change = lambda *_: None) -> None:
        self._application = application
        self._change = change
        self._lock = threading.Lock()
        self.uris: list[str] = []
        self.bodies: list[bytes] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raw = environ["wsgi.input"].getvalue()
        with self._lock:
            self.uris.append(environ["RAW_URI"])
            self.bodies.append(raw)
        pieces, status, headers = run_wsgi_app(self._application, environ)
        body = b"".join(pieces)
        callback = environ["PATH_INFO"].rpartition("/")[2].removesuffix("_v1")
        changed = self._change(callback, int(status[:3]), msgspec.json.decode(body))
        if isinstance(changed, dict):
            changed = (int(status[:3]), "application/json", msgspec.json.encode(changed))
        if changed is not None:
            code, kind, body = changed
            status, headers = f"{code} Changed", [("Content-Type", kind), ("Location", "/other")]  # type: ignore
        start_response(status, list(headers))
        return [body]


def run(*args: str) -> Result:
    return CliRunner().invoke(cli.cli, ["verify", *args])


def reply_to_good_key(reply: Reply) -> Change:
    return lambda _, status, __: reply if status == 200 else None


def tokens(server: Wrong) -> list[Any]:
    """The keys of all bodies that were sent, "absent" where there was none."""
    sent = []
    for raw in server.bodies:
        with suppress(msgspec.DecodeError):
            body = msgspec.json.decode(raw)
            sent.append(body.get("integration_auth_token", "absent") if isinstance(body, dict) else "no object")
    return sent
