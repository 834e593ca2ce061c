"""`channel find ANYTHING`, and the timeline by any number (P38)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.channels import channel_table
from tests.command_line import CommandLine
from tests.retailops import Caller
from tests.sandboxes import Sandbox

pytestmark = pytest.mark.both_databases


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch, retailops: Caller, pipe17: Sandbox, database_url: str) -> CommandLine:
    return CommandLine(monkeypatch, database_url, channel_table(pipe17.url))


@pytest.fixture
def orders(retailops: Caller) -> list[dict[str, Any]]:
    """Two orders that RetailOps has under numbers of its own; the first has shipped."""
    two = [item for item in retailops.pull() if len(item["order_items"]) == 1][:2]
    numbers = [
        {"channel_order_refnum": order["channel_order_refnum"], "retailops_order_id": 4960000 + at}
        for at, order in enumerate(two)
    ]
    retailops.ask("order_acknowledge", orders=numbers)
    retailops.ship(two[0], 7700501, tracking_number="1ZSecret0001")
    retailops.app.extensions["works"].journal.flush()
    return two


def test_p38_find_says_what_a_number_is_and_shows_the_order_where_it_is_of_one(
    channel: CommandLine, orders: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    refnum, other = (order["channel_order_refnum"] for order in orders)
    with monkeypatch.context() as patched:
        patched.delattr("app.cli.find.timelines_of")  # no timeline is read that is not printed
        found = channel.json("find", "7700501")
    assert found == {
        "query": "7700501",
        "hits": [{"kind": "shipment", "channel": "first", "refnum": refnum, "id": "7700501"}],
    }
    for number in ("4960000", "1zsecret0001", "1ZSECR", refnum.upper()):
        shown = channel("find", number)
        assert shown.exit_code == 0 and f"Order {refnum}, channel first" in shown.output, number
        assert "registers package 7700501-1" in shown.output
    several = channel("find", "496000")
    assert several.exit_code == 0 and refnum in several.output and other in several.output
    assert "RetailOps' number of an order" in several.output
    assert channel.json("find", "496000", "--channel", "unknown", exit_code=1)["hits"] == []
    nothing = channel("find", "nobody-has-this")
    assert nothing.exit_code == 1 and "nothing has the number" in nothing.stderr
    assert channel.json("find", "nobody-has-this", exit_code=1) == {"query": "nobody-has-this", "hits": []}


def test_p38_a_word_that_nothing_has_is_said_and_does_not_look_like_nothing_to_do(channel: CommandLine) -> None:
    for command, said in (
        (("deliveries", "list", "--channel", "frist"), "there is no channel 'frist'; known: first"),
        (("callbacks", "list", "--channel", "frist"), "there is no channel 'frist'; known: first"),
        (("refunds", "list", "--channel", "frist"), "there is no channel 'frist'; known: first"),
        (("deliveries", "list", "--vendor", "pipe71"), "there is no vendor 'pipe71'; known: pipe17"),
        (("callbacks", "list", "--callback", "order_cancle"), "there is no callback 'order_cancle'; known:"),
        (("deliveries", "show", "n7"), "'n7' is no number of a call"),
        (("deliveries", "retry", "0"), "'0' is no number of a call"),
        (("pause", "first", "rally", "--reason", "x", "--yes"), "for GATEWAY: channel 'first' has pipe17"),
        (("find", "  "), "for ANYTHING: it is blank"),
        (("fnid", "7"), "No such command 'fnid'. Did you mean 'find'?"),
    ):
        assert said in channel(*command).stderr, command
    for command in (
        ("callbacks", "list", "--channel", "dry_run"),
        ("callbacks", "list", "--callback", "order_pull_v1"),
    ):
        assert channel(*command).stderr == ""


def test_p38_the_timeline_is_shown_by_any_number_and_its_json_has_what_is_known_of_each_moment(
    channel: CommandLine, retailops: Caller, orders: list[dict[str, Any]]
) -> None:
    refnum, other = (order["channel_order_refnum"] for order in orders)
    for number in (refnum, "4960000", "7700501", "1zsecret0001", "1ZSecr"):
        [story] = channel.json("callbacks", "show", "--order", number)["stories"]
        assert story["order"] == refnum, number
        listed = channel.json("callbacks", "list", "--order", number)["callbacks"]
        assert [item["callback"] for item in listed] == ["order_shipment_submit", "order_acknowledge"], number
    assert channel.json("callbacks", "list", "--order", "nobody-has-this")["callbacks"] == []
    assert channel.json("callbacks", "list", "--order", "7700501", "--channel", "unconfigured")["callbacks"] == []
    [attempt] = [item for item in story["moments"] if item["kind"] == "attempt" and item["name"] == "submit_shipment"]
    assert (attempt["who"], attempt["code"], attempt["attempt"]) == ("pipe17", "delivered", 1)
    assert attempt["ms"] >= 0 and attempt["delivery"]
    numbered = [{"channel_order_refnum": other, "retailops_order_id": attempt["delivery"]}]
    retailops.ask("order_acknowledge", orders=numbered)
    [shown] = channel.json("callbacks", "show", "--order", str(attempt["delivery"]))["stories"]
    assert shown["order"] == other, "what our id of a call is of another order is not this order's"
    [answer] = [
        item for item in story["moments"] if item["kind"] == "answer" and item["name"] == "order_shipment_submit"
    ]
    assert (answer["status"], answer["code"]) == (200, "success") and answer["request_id"]
    assert all(item["at"][19] == "." for item in story["moments"]), "moments have milliseconds"
    assert channel("callbacks", "show", "--order", "nobody-has-this").exit_code == 1


def test_p38_what_is_found_fits_80_columns(
    channel: CommandLine, orders: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.terminal.PIPED_WIDTH", 80)
    lines = channel("find", "496000").stdout.splitlines()
    assert len(lines) == 3 and all(len(line) <= 80 for line in lines)
