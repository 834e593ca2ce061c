"""Stock that Pipe17 must hear of however RetailOps spells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.contract.schemas import Contract
from app.records import stock
from app.records.tables.columns import BLANKS
from app.records.tables.stock import stock as levels
from tests.channel.stock_pushes import on_hand, own, push
from tests.gateways.vendors.rally.shop import opened
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.waiting import eventually


@pytest.fixture
def sku(pipe17: Sandbox, retailops: Caller) -> str:
    """A SKU of which Pipe17 knows seven units."""
    found = str(pipe17.state()["inventory"][0]["sku"])
    push(retailops, sku=found, quantity_available=7, quantity_detail=[own(7, 7)])
    eventually(lambda: on_hand(pipe17, found) == 7)
    return found


@pytest.mark.parametrize("detail", [[], None], ids=["empty", "null"])
def test_r13_a_sku_sold_out_everywhere_is_sold_out_at_pipe17(
    detail: Any, sku: str, retailops: Caller, pipe17: Sandbox
) -> None:
    push(retailops, sku=sku, quantity_available=0, quantity_detail=detail)
    eventually(lambda: on_hand(pipe17, sku) == 0)


def test_stock_whose_type_is_left_empty_is_stock_of_its_facility(sku: str, retailops: Caller, pipe17: Sandbox) -> None:
    """SDK contract 1.6: the real caller leaves quantity_type empty where it is not filled."""
    push(retailops, sku=sku, quantity_available=9, quantity_detail=[own(9, 9, kind="")])
    eventually(lambda: on_hand(pipe17, sku) == 9)


def test_a_source_without_a_total_has_at_least_what_is_available(sku: str, retailops: Caller, pipe17: Sandbox) -> None:
    push(retailops, sku=sku, quantity_available=5, quantity_detail=[own(5, None)])
    eventually(lambda: on_hand(pipe17, sku) == 5)


def owed(retailops: Caller) -> dict[str, int]:
    """By each SKU whose level is kept the units stated last."""
    with retailops.database.read() as connection:
        found = stock.stated(connection, "first", "pipe17", after="", limit=1000)
        return {level.sku: level.level.quantity_available for level in found if "LADLE" in level.sku}


@pytest.mark.both_databases
def test_r32_p27_one_sku_in_two_spellings_has_one_level_so_the_older_never_comes_after_the_newer(
    retailops: Caller,
) -> None:
    """Whatever blank it is that some of RetailOps' systems drop."""
    assert set(BLANKS) == {blank for blank in map(chr, range(0x110000)) if blank.isspace()}
    blanks = (" ", "\u00a0", "\t", "\u3000")
    pairs = [(f"{{}}{blank}", f"{blank}{{}}") for blank in blanks] + [("{}\u00a0", "\t{}")]
    plain = [pair for blank in blanks for pair in (("{}", f"{{}}{blank}"), (f"{blank}{{}}", "{}"))]
    for at, (first, second) in enumerate(pairs + plain):
        for units, spelling in enumerate((first, second, first, second), 1):
            row = {"sku": spelling.format(f"LADLE{at}"), "quantity_available": units}
            retailops.ask("inventory_push", inventory_updates=[{**row, "quantity_detail": [own(units, units)]}])
            levels_of_it = [level for sku, level in owed(retailops).items() if sku.strip() == f"LADLE{at}"]
            assert levels_of_it == [units], (first, second)


@pytest.mark.both_databases
def test_r32_skus_that_are_stated_beside_each_other_are_two_whatever_their_blanks(retailops: Caller) -> None:
    def row(sku: str, units: int) -> dict[str, Any]:
        return {"sku": sku, "quantity_available": units, "quantity_detail": [own(units, units)]}

    retailops.ask("inventory_push", inventory_updates=[row("LADLE", 1), row("LADLE ", 2)])
    retailops.ask("inventory_push", inventory_updates=[row("LADLE ", 3)])
    retailops.ask("inventory_push", inventory_updates=[row(" LADLE", 4)])
    assert owed(retailops) == {"LADLE": 1, "LADLE ": 3, " LADLE": 4}


def test_r32_a_sku_that_the_catalogue_names_has_a_level_of_its_own_whatever_was_stated_before(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    with opened(build_app, contract) as shop:
        shop.set_stock(**{"LADLE ": 5})
        shop.offer(LADLE=7)
        with shop.database.read() as connection:
            [channel] = connection.execute(select(levels.c.channel).distinct()).scalars()
            found = stock.levels_of(connection, channel, "rally", ["LADLE", "LADLE "])
        assert {sku: level.quantity_available for sku, level in found.items()} == {"LADLE": 7, "LADLE ": 5}
