"""`channel operations list` fits a narrow window."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import click

from app import terminal
from app.cli import operations
from app.records.operations import Operation, Target

WHY = "The shop's own people counted the shelf in Dallas by hand and typed the figure into Rally's page"


def test_an_act_of_an_operator_says_where_it_was_and_why_without_squeezed_columns(
    shown_at_80: Callable[[], list[str]],
) -> None:
    at = datetime(2026, 2, 3, 15, 4, tzinfo=UTC)
    skus = tuple(Target("sku", f"SKU-{n}") for n in range(5))
    act = Operation(1, at, "Ada", "stock.send", "shop", "rally", WHY, "", "pending", 5, skus)
    with click.Context(operations.list_):
        terminal.print_table("", operations.COLUMNS, [act], as_lines=operations._lines)
    assert shown_at_80() == [
        "02-03 15:04 UTC, Ada: stock.send",
        "    sku SKU-0, sku SKU-1, sku SKU-2, and 2 more",
        "    shop, rally: pending",
        "    Why: The shop's own people counted the shelf in Dallas by hand and typed the",
        "    figure into Rally's page",
    ]
