"""What Pipe17 has of a SKU at a location now, for it moves there by itself (contract 2.4)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import Api, unreadable
from app.gateways.vendors.pipe17.products.product_cache import batches
from app.gateways.wire_objects import Id, Switch, Text, Units, wire

PATH: Final = "/inventory"

ROWS: Final = 500
"""Rows requested at a time, as live clients do (contract 1.5): five locations of a hundred SKUs are one page."""


@dataclass(frozen=True)
class Level:
    """What one location has of a SKU; None is what cannot be read or is not sent (guessed names, see UNVERIFIED.md)."""

    on_hand: int | None = wire(Units("onHand"))
    unavailable: int | None = wire(Units("unavailable"))
    future: int | None = wire(Units("future"))

    @property
    def figures(self) -> tuple[int | None, int | None, int | None]:
        return self.on_hand, self.unavailable, self.future


@dataclass(frozen=True)
class StockRecord(Level):
    """A level as Pipe17 keeps it."""

    sku: str = wire(Id("sku"))
    location_id: str = wire(Id("locationId"))
    type: str = wire(Text("type"))
    is_untracked: bool = wire(Switch("inventoryNotTracked"))

    @property
    def key(self) -> tuple[str, str]:
        return self.sku, self.location_id

    @property
    def is_physical(self) -> bool:
        """Whether it is of a shelf: a virtual location holds what is not in any."""
        return self.type != "virtual"


Held = dict[tuple[str, str], StockRecord]
"""By SKU and location id."""


def held_stock(api: Api, skus: Collection[str], location_ids: Collection[str], call: Call) -> Held:
    """Records that do not exist, and SKUs that cannot stand in a request, are left out.

    Raises a `GatewayError`; `BrokenReply` when the list did not heed the SKUs, for all would read as not there.
    """
    found: Held = {}
    places = {"locationId": ",".join(sorted(location_ids))}
    for some in batches(sorted(set(skus))):
        asked = {sku.casefold() for sku in some}
        for record in api.objects(PATH, StockRecord, {"sku": ",".join(some), **places}, call, count=ROWS):
            if record.sku.casefold() not in asked:
                raise unreadable(PATH)
            if record.is_physical:
                found[record.key] = record
    return found
