"""What people read in a window of 80 columns: no command, name or title is broken, and every word means something."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import click
import pytest

from app import terminal
from app.cli import forget, operations
from app.gateways.vendors.retailrocket import commands as retailrocket
from app.records import forgetting
from app.records.feeds import LeftOut
from app.records.operations import Operation, Target
from app.terminal import Column

WHY = "The shop's own people counted the shelf in Dallas by hand and typed the figure into Rally's page"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "PIPED_WIDTH", 80)


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert all(len(line) <= 80 for line in lines)
    return lines


def test_a_title_is_as_wide_as_the_window_however_narrow_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    title = "Locations of channel 'pipe17-shop-of-the-whole-company'"
    terminal.print_cells(title, ["Id"], [(7,)])
    assert shown(capsys) == [title, "Id", " 7"]


ORDERS: Sequence[Column[dict[str, Any]]] = (
    Column("Id", itemgetter("id")),
    Column("Order", itemgetter("order"), narrow=lambda row: terminal.shortened(row["order"], 9)),
    Column("Channel", itemgetter("channel"), rank=1),
    Column("Vendor", itemgetter("vendor"), rank=2),
    Column("Why", itemgetter("why"), wraps=True),
    Column("Request", itemgetter("request")),
)
ROW = {"id": 7, "order": "0123456789abcdef", "channel": "shop", "vendor": "rally", "why": "-", "request": "4f1c"}


def test_a_table_shows_as_many_whole_columns_as_the_window_has_room_for(capsys: pytest.CaptureFixture[str]) -> None:
    def head(**values: Any) -> list[str]:
        terminal.print_table("", ORDERS, [ROW | values])
        lines = shown(capsys)
        assert len(lines) == 2, lines
        return lines[0].split() + lines[1].split()[1:2]

    everything = ["Id", "Order", "Channel", "Vendor", "Why", "Request"]
    assert head() == [*everything, "0123456789abcdef"]
    assert head(channel="c" * 40) == [*everything, "0123…cdef"], "first the values that can be shortened are"
    assert head(channel="c" * 44) == ["Id", "Order", "Channel", "Why", "Request", "0123…cdef"]
    assert head(channel="c" * 70) == ["Id", "Order", "Why", "Request", "0123…cdef"]


def test_one_column_wraps_between_words_and_numbers_stand_below_one_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    why = "somebody counted the shelf in Dallas by hand and typed the figure there"
    terminal.print_table("", ORDERS, [ROW | {"why": why}, ROW | {"id": 12345}])
    assert shown(capsys) == [
        "   Id  Order      Channel  Vendor  Why                                   Request",
        "    7  0123…cdef  shop     rally   somebody counted the shelf in Dallas  4f1c",
        "                                   by hand and typed the figure there",
        "12345  0123…cdef  shop     rally   -                                     4f1c",
    ]


def test_what_does_not_fit_in_any_way_is_folded_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_table("", ORDERS, [ROW | {"id": "7" * 200, "request": "f" * 200}])
    text = "".join(shown(capsys))
    assert (text.count("7"), text.count("f")) == (200, 201)


def test_an_act_of_an_operator_says_where_it_was_and_why_without_squeezed_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    at = datetime(2026, 2, 3, 15, 4, tzinfo=UTC)
    skus = tuple(Target("sku", f"SKU-{n}") for n in range(5))
    act = Operation(1, at, "Ada", "stock.send", "shop", "rally", WHY, "", "pending", 5, skus)
    with click.Context(operations.list_):
        terminal.print_table("", operations.COLUMNS, [act], as_lines=operations._lines)
    assert shown(capsys) == [
        "02-03 15:04 UTC, Ada: stock.send",
        "    sku SKU-0, sku SKU-1, sku SKU-2, and 2 more",
        "    shop, rally: pending",
        "    Why: The shop's own people counted the shelf in Dallas by hand and typed the",
        "    figure into Rally's page",
    ]


def test_goods_left_out_of_a_feed_are_told_with_the_whole_reason(capsys: pytest.CaptureFixture[str]) -> None:
    units = (LeftOut("A-VERY-LONG-SKU-OF-A-MERCHANT-WHO-LIKES-LONG-SKUS-XL", "4711001", "without url, picture"),)
    built = datetime(2026, 2, 3, tzinfo=UTC)
    retailrocket._show([retailrocket.Feed("shop", "https://shop.example/f.xml", built, False, 3, 0, 7, units)])
    lines = shown(capsys)
    assert any(re.fullmatch(r"A-VERY-\S+…\S+-XL +4711001 +without url, picture", line) for line in lines), lines
    assert "6 more." in lines and any("[channel.catalog]" in line for line in lines)


def test_forget_has_a_word_for_every_kind_of_record() -> None:
    assert set(forget.WORDS) == set(forgetting.kinds())
