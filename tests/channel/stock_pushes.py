"""Stock of one facility as RetailOps pushes it and as Pipe17 holds it."""

from __future__ import annotations

from typing import Any

from tests.retailops import Caller
from tests.sandboxes import Sandbox

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
