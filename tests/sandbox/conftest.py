"""Sandboxes that are running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.sandbox.server import RunningServer
from app.sandbox.vendors.pipe17 import serve_pipe17
from app.sandbox.vendors.rally import serve_rally


@pytest.fixture
def pipe17() -> Iterator[RunningServer]:
    with serve_pipe17(shipments=2) as server:
        yield server


@pytest.fixture(scope="module", params=["pipe17", "rally"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    with serve_pipe17(shipments=0) if request.param == "pipe17" else serve_rally() as server:
        yield server
