"""`channel late`: late news, shown and dismissed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from app.records.tables.deliveries import late_events
from tests.cli.operators import Terminal, parked, value
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox

pytestmark = pytest.mark.both_databases


def test_late_news_is_dismissed_by_its_number_and_then_told_to_nobody(
    channel: Terminal, retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    parked(retailops, pipe17, orders[0])
    [news] = channel.json("deliveries", "list")["late_news"]
    name = f"n{news['id']}"
    assert channel.json("deliveries", "drop", name, "--yes", "--reason", "why")["done"][0]["id"] == name
    assert channel.json("deliveries", "list")["late_news"] == []
    assert channel("deliveries", "drop", name, "--yes", "--reason", "why").exit_code == 1
    assert value(retailops, select(late_events.c.sent_at)) is not None
    assert codes(retailops.ask("order_update", order={"channel_order_refnum": "another"}), "warning") == [
        "UPDATE_NOT_PASSED_ON"
    ]
