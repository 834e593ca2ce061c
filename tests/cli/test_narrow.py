"""What people read in a window of 80 columns: no command, name or title is broken, and every word means something."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime

import click
import pytest
from rich.console import Console

from app import terminal
from app.cli import forget, operations
from app.gateways.vendors.retailrocket import commands as retailrocket
from app.records import forgetting
from app.records.feeds import LeftOut
from app.records.operations import Operation, Target

WHY = "The shop's own people counted the shelf in Dallas by hand and typed the figure into Rally's page"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    def window() -> Console:
        return Console(file=sys.stdout, width=80, markup=False, highlight=False)

    for room in (terminal, operations, retailrocket):
        monkeypatch.setattr(room, "console", window)


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert all(len(line) <= 80 for line in lines)
    return lines


def test_a_title_is_as_wide_as_the_window_however_narrow_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    title = "Locations of channel 'pipe17-shop-of-the-whole-company'"
    table = terminal.new_table(title, "Id")
    table.add_row("7")
    terminal.console().print(table)
    assert shown(capsys) == [title, "Id", "7"]


def test_an_act_of_an_operator_says_where_it_was_and_why_without_squeezed_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    at = datetime(2026, 2, 3, 15, 4, tzinfo=UTC)
    skus = tuple(Target("sku", f"SKU-{n}") for n in range(5))
    act = Operation(1, at, "Ada", "stock.send", "shop", "rally", WHY, "", "pending", 5, skus)
    with click.Context(operations.list_):
        operations._show([act])
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
