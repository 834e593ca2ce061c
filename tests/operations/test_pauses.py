"""A gateway that an operator has paused is sent nothing, and what has waited arrives once it is resumed (P39, R34)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from app.contract.schemas import Contract
from app.records import operations
from tests.channels import channel_table
from tests.command_line import CommandLine
from tests.gateways.vendors.rally.shop import TEE, Shop, channel_text, opened
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases

WHY = ("--reason", "their warehouse moves", "--by", "Ada", "--yes")


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch, retailops: Caller, pipe17: Sandbox, database_url: str) -> CommandLine:
    return CommandLine(monkeypatch, database_url, channel_table(pipe17.url))


@pytest.fixture
def shop(build_app: Callable[..., Flask], contract: Contract) -> Iterator[Shop]:
    with opened(build_app, contract) as shop:
        yield shop


def reread(retailops: Caller) -> None:
    """What the process does every second by itself."""
    retailops.app.extensions["works"].pauses.read()


def state_stock(retailops: Caller, sku: str, units: int) -> None:
    place = {"quantity_type": "internal", "facility_name": "Dallas DC"}
    detail = {**place, "available_quantity": units, "total_quantity": units}
    row = {"sku": sku, "quantity_available": units, "quantity_detail": [detail]}
    assert codes(retailops.ask("inventory_push", inventory_updates=[row])) == []


def calls(pipe17: Sandbox) -> dict[str, int]:
    return dict(pipe17.state()["calls"])


def test_p39_a_paused_gateway_gets_no_call_and_then_all_that_has_waited(
    channel: CommandLine, retailops: Caller, pipe17: Sandbox
) -> None:
    pulled = retailops.pull()
    shipped, cancelled = [order for order in pulled if len(order["order_items"]) == 1][:2]
    refnums = [order["channel_order_refnum"] for order in (shipped, cancelled)]
    retailops.acknowledge(*refnums)
    sku = shipped["order_items"][0]["sku"]
    state_stock(retailops, sku, 7)
    eventually(lambda: not channel.json("deliveries", "list")["stock"])
    assert channel("pause", "first", "pipe17", *WHY).exit_code == 0
    reread(retailops)
    before = calls(pipe17)

    reply = retailops.post("order_pull")
    assert reply.status_code == 503 and reply.get_json()["events"][0]["code"] == "PAUSED", reply.get_json()
    assert reply.headers["Retry-After"]
    owed = retailops.ship(shipped)
    assert codes(owed, "warning") == ["OWED"] and "PAUSED" in owed["events"][0]["message"]
    answer = retailops.cancel(refnums[1])
    assert answer["status"] == "fail" and codes(answer, "error") == ["PAUSED"], "only Pipe17 could have decided"
    state_stock(retailops, sku, 3)

    works = retailops.app.extensions["works"]
    works.dispatcher.wake()
    eventually(lambda: [item["skus"] for item in channel.json("deliveries", "list")["stock"]] == [1])
    [call] = channel.json("deliveries", "list")["deliveries"]
    assert (call["state"], call["attempts"], call["last_code"]) == ("owed", 0, "PAUSED")
    assert calls(pipe17) == before
    report = channel.json("check", "first", exit_code=1)
    [finding] = [item for item in report["channels"][0]["findings"] if item["name"] == "paused"]
    assert finding["state"] == "attention" and "Ada" in finding["sentence"]
    assert "channel resume first pipe17" in finding["sentence"]

    assert channel("resume", "first", "pipe17", "--by", "Ada").exit_code == 0
    eventually(lambda: pipe17.fulfilments(refnums[0]))
    eventually(lambda: not channel.json("deliveries", "list")["stock"])
    assert retailops.cancel(refnums[1])["status"] == "success"
    assert retailops.post("order_pull").status_code == 200


def test_p39_a_cancellation_for_a_paused_shop_is_kept_and_arrives_when_it_is_resumed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    channel = CommandLine(monkeypatch, database_url, channel_text(shop.rally.url))
    shop.offer(**{TEE: 5})
    refnum = shop.buy_and_pull()["channel_order_refnum"]
    shop.settle()
    assert channel("pause", "shop", "rally", *WHY).exit_code == 0
    reread(shop.retailops)
    shop.forget()
    answer = shop.retailops.cancel(refnum)
    assert answer["status"] == "success"
    assert any("PAUSED" in event["message"] for event in answer["events"]), answer
    assert shop.buy(), "the shop goes on selling: its own requests are answered"
    assert shop.retailops.pull(), "its orders are kept here, so no call is needed"
    assert shop.told("webhooks") == []
    assert channel("resume", "shop", "rally").exit_code == 0
    shop.settle()
    assert shop.at_rally(refnum)["status"] == "refunded"
    assert shop.deliveries("owed", "parked") == []


def test_p39_a_pause_is_kept_with_who_and_why_and_harmless_twice(channel: CommandLine, retailops: Caller) -> None:
    first = channel.json("pause", "first", "pipe17", *WHY)
    assert first == {"channel": "first", "gateway": "pipe17", "paused": True, "dry_run": False}
    again = channel.json("pause", "first", "pipe17", "--reason", "again", "--yes")
    assert again["paused"] and again["by"] == "Ada", "the first one counts"
    for _ in range(2):
        assert channel.json("resume", "first", "pipe17", "--by", "Bob")["paused"] is False
    with retailops.database.read() as connection:
        kept = operations.listing(connection)[::-1]
    assert [(item.act, item.who, item.reason, item.gateway, item.outcome) for item in kept] == [
        ("pause", "Ada", "their warehouse moves", "pipe17", "paused"),
        ("resume", "Bob", "", "pipe17", "resumed"),
    ]


def test_p39_a_pause_needs_a_reason_and_a_yes(channel: CommandLine, retailops: Caller) -> None:
    refused = channel("pause", "first", "pipe17", "--yes")
    assert refused.exit_code == 2 and "--reason" in refused.output
    refused = channel("pause", "first", "pipe17", "--reason", "x")
    assert refused.exit_code == 1 and "add --yes" in refused.output
    assert channel("pause", "first", "rally", *WHY).exit_code == 2, "the channel has no such gateway"
    assert channel.json("pause", "first", "pipe17", "--dry-run")["paused"] is False
    assert "is not paused" in channel("resume", "first", "pipe17").output
