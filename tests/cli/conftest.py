"""A terminal beside a running server, and the orders RetailOps has pulled from it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.channels import channel_table
from tests.cli.operators import Terminal
from tests.retailops import Caller
from tests.sandboxes import Sandbox


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch, retailops: Caller, pipe17: Sandbox, database_url: str) -> Terminal:
    return Terminal(monkeypatch, database_url, channel_table(pipe17.url))


@pytest.fixture
def orders(retailops: Caller) -> list[dict[str, Any]]:
    pulled = retailops.pull()
    retailops.acknowledge(*[order["channel_order_refnum"] for order in pulled])
    return pulled
