"""An operator pauses a gateway while two web processes and a worker serve it, and resumes it (P39, R34)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.sandbox.vendors.retailops import shipment
from tests.conftest import eventually
from tests.system.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path, f"sqlite:///{tmp_path}/channel.db", deliveries="worker") as stage:
        stage.start()
        yield stage


def test_p39_every_process_goes_by_a_pause_and_what_has_waited_arrives_once(stage: Stage) -> None:
    retailops = stage.retailops()
    orders = [order for order in retailops.pull_all() if len(order["order_items"]) == 1][:2]
    shipped, cancelled = (order["channel_order_refnum"] for order in orders)
    entries = [
        {"channel_order_refnum": name, "retailops_order_id": 70 + at} for at, name in enumerate((shipped, cancelled))
    ]
    assert retailops.call("order_acknowledge", orders=entries).status == 200
    stage.channel("pause", "fire", "pipe17", "--reason", "their warehouse moves", "--by", "Ada", "--yes")

    def pulled() -> int:
        return stage.retailops().call("order_pull", page_token="", specific_orders=None).status

    eventually(lambda: all(pulled() == 503 for _ in range(20)))  # whichever process answers
    before = stage.vendor()["calls"]
    package = shipment(orders[0], 501, [(0, orders[0]["order_items"][0]["quantity"])])
    answer = retailops.call("order_shipment_submit", channel_order_refnum=shipped, shipment=package).answer
    assert [event["code"] for event in answer["events"]] == ["OWED"] and "PAUSED" in answer["events"][0]["message"]
    answer = retailops.call("order_cancel", order={"channel_order_refnum": cancelled}).answer
    assert answer["status"] == "fail" and answer["events"][0]["code"] == "PAUSED"
    assert stage.vendor()["calls"] == before

    def fulfilments() -> list[Any]:
        return [item for item in stage.vendor()["fulfillments"] if item["shipmentId"] == shipped]

    assert fulfilments() == []
    stage.channel("resume", "fire", "pipe17", "--by", "Ada")
    eventually(fulfilments)
    eventually(lambda: all(pulled() == 200 for _ in range(20)))
    answer = retailops.call("order_cancel", order={"channel_order_refnum": cancelled}).answer
    assert answer["status"] == "success"
    assert len(fulfilments()) == 1
