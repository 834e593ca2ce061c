"""`channel deliveries list` and `show`: what a vendor has not received, and why."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from app.records.tables.catalogue import catalogue_sync
from tests.cli.operators import Terminal
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases


def test_what_a_vendor_has_not_heard_is_listed_with_what_it_said(
    channel: Terminal, retailops: Caller, pipe17: Sandbox
) -> None:
    pipe17.fault(kind="status", code=500, match={"method": "POST", "path_prefix": "/api/v3/inventory"})
    details = [{"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": 3,
                "total_quantity": 3}]  # fmt: skip
    rows = [{"sku": "MUG-RED", "quantity_available": 3, "quantity_detail": details}]
    retailops.ask("inventory_push", inventory_updates=rows)
    eventually(lambda: "HTTP_500" in channel("deliveries", "list").output)
    retailops.app.extensions["works"].dispatcher.stop()
    owed = {"channel": "first", "vendor": "pipe17"}
    with retailops.database.write() as connection:
        connection.execute(insert(catalogue_sync), {"channel": "first", "gateway": "pipe17", "root_key": "r", "seq": 1})
    listed = channel.json("deliveries", "list")
    assert listed["catalogue"] == [{**owed, "products": 1, "last_error": ""}]
    assert [item["skus"] for item in listed["stock"]] == [1]
    assert listed["stock"][0]["last_error"].startswith("HTTP_500: pipe17 answered 500 to POST /inventory")
    assert "1 products are owed to pipe17 (channel first)." in channel("deliveries", "list").output
