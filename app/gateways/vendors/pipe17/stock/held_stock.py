"""What Pipe17 has of a SKU at a location now, for it moves there by itself (contract 2.4)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from app.gateways.interface import Call
from app.gateways.vendors.pipe17.connection.api import Api, unreadable
from app.gateways.vendors.pipe17.products.known_products import batches

PATH: Final = "/inventory"

ROWS: Final = 500
"""Rows asked for at a time, as live clients do (contract 1.5): five locations of a hundred SKUs are one page."""

Held = dict[tuple[str, str], tuple[int | None, int | None, int | None]]
"""By SKU and location id: on hand, unavailable, future; None for what cannot be read."""


def held_stock(api: Api, skus: Collection[str], location_ids: Collection[str], call: Call) -> Held:
    """Records that do not exist, and SKUs no list can be asked for, are left out.

    Raises a `GatewayError`; `BrokenReply` when the list did not heed the SKUs, for all would read as not there.
    """
    found: Held = {}
    for some in batches(sorted(set(skus))):
        params: dict[str, str | int] = {"sku": ",".join(some), "locationId": ",".join(sorted(location_ids))}
        asked = {sku.casefold() for sku in some}
        for rows in api.pages(PATH, "inventory", params, call, count=ROWS):
            for row in rows:
                if is_physical(row):
                    if str(row.get("sku", "")).casefold() not in asked:
                        raise unreadable(PATH)
                    key = (str(row.get("sku", "")), str(row.get("locationId", "")))
                    found[key] = (_whole(row.get("onHand")), _whole(row.get("unavailable")), _whole(row.get("future")))
    return found


def is_physical(row: Any) -> bool:
    """Whether a row is a stock record of a shelf: a virtual location holds what is not in any."""
    return isinstance(row, dict) and row.get("type", "physical") != "virtual"


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
