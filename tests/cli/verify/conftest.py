"""The real application, and `channel verify` run against it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from click.testing import Result
from flask import Flask

from app import create_app, settings
from app.gateways import VENDORS
from app.sandbox.faults import Faults
from app.sandbox.server import RunningServer, serve
from tests.cli.verify.servers import BASE, Change, Wrong, run


@pytest.fixture(scope="module")
def channel_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The real application with the test key on an empty database."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    folder = tmp_path_factory.mktemp("verified")
    application = create_app(
        settings.load(
            {"APP_ENV": "development", "DATABASE_URL": f"sqlite:///{folder}/channel.db", "CHANNELS": "# none"},
            vendors=VENDORS,
        )
    )
    root.handlers[:] = handlers
    yield application
    application.extensions["works"].stop()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def against(channel_server: Flask) -> Iterator[Callable[..., tuple[Result, dict[str, Any], Wrong]]]:
    """Verify a server whose answers are changed; the result, its JSON report and the server."""
    running: list[RunningServer] = []

    def verify(
        *args: str, change: Change = lambda *_: None, rules: tuple[dict[str, Any], ...] = (), path: str = BASE
    ) -> tuple[Result, dict[str, Any], Wrong]:
        wrong = Wrong(channel_server, change)
        running.append(serve(wrong, faults=Faults(rules)))
        result = run("--base-url", running[-1].url + path, "--json", *args)
        return result, msgspec.json.decode(result.stdout) if result.stdout else {}, wrong

    yield verify
    for server in running:
        server.stop()
