"""What became of an order or a request: `channel callbacks list` and `show`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from app.clock import utc_now
from app.records.tables.operations import journal
from tests.cli.operators import Terminal, parked, value
from tests.kept_calls import a_delivery
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases


def test_r16_the_story_of_an_order_joins_journal_ledger_and_deliveries(
    channel: Terminal, retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    refnum = orders[0]["channel_order_refnum"]
    number = parked(retailops, pipe17, orders[0])
    # Lines of the journal are written a moment after what they say, the refusal that parked the delivery last.
    for has_line in (journal.c.name == "order_shipment_submit", journal.c.status == 400):
        eventually(lambda has_line=has_line: value(retailops, select(journal.c.id).where(has_line)))
    [story] = channel.json("callbacks", "show", "--order", refnum)["stories"]
    assert any(f"PARKED: delivery {number}" in line for line in story["now"])
    assert any("RetailOps has acknowledged it as its order 70" in line for line in story["now"])
    told = [moment["what"] for moment in story["moments"]]
    assert [moment["at"] for moment in story["moments"]] == sorted(moment["at"] for moment in story["moments"])
    for part in (
        "hands the order to RetailOps (once so far)", "asks order_acknowledge", "PUT /shipments/{id}: 200",
        "has the order as its order 70", "asks order_shipment_submit", f"owes delivery {number}",
        "POST /fulfillments: 429", "answers order_shipment_submit with 200, OWED", "registers package 501-1",
        f"parks delivery {number}", "LATE_FULFILLMENT_REFUSED",
    ):  # fmt: skip
        assert any(part in line for line in told), (part, told)
    registered, owed = (
        next(at for at, line in enumerate(told) if part in line)
        for part in ("registers package", f"owes delivery {number}")
    )
    assert registered < owed, "a call is owed for what was registered"
    assert f"channel deliveries retry {number}" in channel("callbacks", "show", "--order", refnum).output.replace(
        "\n", ""
    )

    listed = channel.json("callbacks", "list", "--order", refnum)["callbacks"]
    assert [item["callback"] for item in listed] == ["order_shipment_submit", "order_acknowledge"]
    assert [call["state"] for item in listed for call in item["calls"]] == ["parked", "delivered"]
    request = listed[0]["request_id"]
    [by_request] = channel.json("callbacks", "show", request)["stories"]
    assert by_request["order"] == refnum
    assert "order_acknowledge" not in str(by_request)
    assert channel.json("callbacks", "show", request[:8])["stories"] == [by_request], "the start is enough"
    assert channel("callbacks", "show", request[:7]).exit_code == 1
    assert "order_shipment_submit" in channel("callbacks", "list", "--outcome", "owed").output
    assert "order_pull" not in channel("callbacks", "list", "--callback", "order_cancel").output
    assert channel.json("callbacks", "list", "--until", "1d")["callbacks"] == []
    assert channel("callbacks", "list").exit_code == 0


def test_on_80_columns_no_name_is_broken_and_what_is_shown_of_a_request_finds_it(
    channel: Terminal,
    retailops: Caller,
    pipe17: Sandbox,
    orders: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number = parked(retailops, pipe17, orders[0])
    eventually(lambda: value(retailops, select(journal.c.id).where(journal.c.name == "order_shipment_submit")))
    monkeypatch.setattr("app.terminal.PIPED_WIDTH", 80)
    listed = channel("callbacks", "list").stdout
    [line] = [line for line in listed.splitlines() if "order_shipment_submit" in line]
    assert "OWED" in line
    shown = [listed, channel("callbacks", "show", line.split()[-1]).stdout]
    assert "asks order_shipment_submit" in shown[1]
    shown += [channel("deliveries", *args).stdout for args in (["list"], ["show", str(number)])]
    assert re.search(r"^    LATE_FULFILLMENT_REFUSED: ", shown[2], re.MULTILINE)
    shown.append(channel("settings").stdout)
    assert re.search(r"^DATABASE_CONNECTIONS = 18$", shown[-1], re.MULTILINE)
    assert re.search(r"^    [A-Z]\w+ ", shown[-1], re.MULTILINE), "the meaning stands below"
    assert all(len(line) <= 80 for text in shown[:-1] for line in text.splitlines())


def test_r16_what_the_journal_lost_is_told_by_the_ledger(
    channel: Terminal, retailops: Caller, orders: list[dict[str, Any]]
) -> None:
    refnum = orders[0]["channel_order_refnum"]
    eventually(lambda: value(retailops, select(journal.c.id).where(journal.c.name == "order_acknowledge")))
    with retailops.database.write() as connection:
        connection.execute(journal.delete())
    [item] = channel.json("callbacks", "list", "--order", refnum)["callbacks"]
    assert (item["callback"], item["outcome"]) == ("order_acknowledge", "in the ledger")
    assert [call["state"] for call in item["calls"]] == ["delivered"]
    shown = channel("callbacks", "show", "--order", refnum).output
    assert "The one call to a vendor was delivered; nothing is open." in shown


def test_an_order_without_a_trace_is_said_so(channel: Terminal, retailops: Caller) -> None:
    for args in (["--order", "496"], ["no-such-request"]):
        result = channel("callbacks", "show", *args)
        assert result.exit_code == 1 and "no trace" in result.stderr
    assert channel("callbacks", "show").exit_code == 2


def test_many_equal_attempts_are_told_in_one_line(channel: Terminal, retailops: Caller) -> None:
    begun = datetime.now(UTC) - timedelta(hours=2)
    a_delivery(retailops, "tried-often", "parked", created_at=begun, last_attempt_at=utc_now(), attempts=300)
    line = {"kind": "vendor", "channel": "first", "name": "pipe17 POST /fulfillments", "order_refnum": "",
            "status": 503, "outcome": "VENDOR_FAULT", "request_id": "r"}  # fmt: skip
    with retailops.database.write() as connection:
        lines = [{**line, "at": begun + timedelta(seconds=20 * n), "duration_ms": n} for n in range(300)]
        connection.execute(insert(journal), lines)
    shown = channel("callbacks", "show", "--order", "tried-often").output
    assert "299 times more" in shown
    assert len(shown.splitlines()) < 20
