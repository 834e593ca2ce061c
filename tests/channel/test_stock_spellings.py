"""Stock that Pipe17 must hear of however RetailOps spells it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Caller, Sandbox, eventually

PLACE = "Dallas DC"


def on_hand(pipe17: Sandbox, sku: str) -> int:
    state = pipe17.state()
    place = next(item["locationId"] for item in state["locations"] if item["name"] == PLACE)
    rows = [row for row in state["inventory"] if row["sku"] == sku and row["locationId"] == place]
    return int(rows[0]["onHand"]) if rows else 0


def push(retailops: Caller, **row: Any) -> None:
    assert retailops.ask("inventory_push", inventory_updates=[row])["events"] == []


def own(available: int, total: int | None, kind: str = "internal") -> dict[str, Any]:
    row = {"quantity_type": kind, "facility_name": PLACE, "available_quantity": available, "total_quantity": total}
    return {key: value for key, value in row.items() if value is not None}


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
    eventually(lambda: on_hand(pipe17, sku) == 0, 4)


def test_stock_whose_type_is_left_empty_is_stock_of_its_facility(sku: str, retailops: Caller, pipe17: Sandbox) -> None:
    """SDK contract 1.6: the real caller leaves quantity_type empty where it is not filled."""
    push(retailops, sku=sku, quantity_available=9, quantity_detail=[own(9, 9, kind="")])
    eventually(lambda: on_hand(pipe17, sku) == 9, 4)


def test_a_source_without_a_total_has_at_least_what_is_available(sku: str, retailops: Caller, pipe17: Sandbox) -> None:
    push(retailops, sku=sku, quantity_available=5, quantity_detail=[own(5, None)])
    eventually(lambda: on_hand(pipe17, sku) == 5, 4)
