"""Retail Rocket's sandbox, which ends with the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.sandbox.vendors.retailrocket import serve_retailrocket
from tests.sandboxes import Sandbox


@pytest.fixture
def rocket() -> Iterator[Sandbox]:
    with serve_retailrocket() as server:
        yield Sandbox(server)
