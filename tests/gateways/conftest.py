"""The gateways' tests know the made-up vendor as well, which no channel of a server can have."""

from __future__ import annotations

import pytest

from app.gateways import EXAMPLE, REGISTRY


@pytest.fixture(autouse=True)
def _example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY, EXAMPLE, f"app.gateways.vendors.{EXAMPLE}")
