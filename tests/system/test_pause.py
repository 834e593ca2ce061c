"""An operator pauses a gateway while two web processes and a worker serve it, and resumes it (P39, R34)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.demo.pipe17 import Pipe17
from app.sandbox.vendors.retailops import shipment
from tests.system.stage import Stage
from tests.waiting import eventually


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path, f"sqlite:///{tmp_path}/channel.db", deliveries="worker") as stage:
        stage.start()
        yield stage


def test_p39_every_process_goes_by_a_pause_and_what_has_waited_arrives_once(stage: Stage) -> None:
    life = Pipe17(stage.retailops(), stage.vendor_url)
    print(life.pull(), life.acknowledge(), sep="\n")
    shipped, cancelled = [order for order in life.orders if len(order["order_items"]) == 1][:2]
    stage.channel("pause", "fire", "pipe17", "--reason", "their warehouse moves", "--by", "Ada", "--yes")

    def pulled() -> int:
        return stage.retailops().call("order_pull", page_token="", specific_orders=None).status

    eventually(lambda: all(pulled() == 503 for _ in range(20)))  # whichever process answers
    before = stage.vendor()["calls"]
    [owed] = life.submit(shipped, shipment(shipped, 501, [(0, shipped["order_items"][0]["quantity"])])).answer["events"]
    assert owed["code"] == "OWED" and "PAUSED" in owed["message"]
    named = {"channel_order_refnum": cancelled["channel_order_refnum"]}
    answer = life.answered("order_cancel", order=named).answer
    assert answer["status"] == "fail" and answer["events"][0]["code"] == "PAUSED"
    assert stage.vendor()["calls"] == before
    assert life.fulfilments(shipped) == []
    stage.channel("resume", "fire", "pipe17", "--by", "Ada")
    eventually(lambda: life.fulfilments(shipped))
    eventually(lambda: all(pulled() == 200 for _ in range(20)))
    life.done("order_cancel", order=named)
    assert len(life.fulfilments(shipped)) == 1
    life.ro.close()
