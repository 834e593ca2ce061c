"""What Pipe17 has of a SKU at a location now, for it moves there by itself, and what it has locked (contract 2.4)."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from app.errors import Refused
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import KEPT_S, Api, NoGrant
from app.gateways.vendors.pipe17.products.product_cache import batches
from app.gateways.wire_objects import Id, Switch, Text, Units, read_all, wire

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
    def stated(self) -> dict[str, int]:
        """The figures that are there, by name."""
        figures = {"on_hand": self.on_hand, "unavailable": self.unavailable, "future": self.future}
        return {name: units for name, units in figures.items() if units is not None}

    def has(self, figures: Level) -> bool:
        """Whether these figures are all there; what is not sent may be anything."""
        return figures.stated.items() <= self.stated.items()


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
        requested = {sku.casefold() for sku in some}
        for record in api.objects(PATH, StockRecord, {"sku": ",".join(some), **places}, call, count=ROWS):
            if record.sku.casefold() not in requested:
                raise api.unreadable(PATH)
            if record.is_physical:
                found[record.key] = record
    return found


MOST_PAGES: Final = 20
"""Pages of locked records read at a time; of any others Pipe17 itself refuses the ingest."""

log = logging.getLogger(__name__)


class UntrackedStock:
    """Stock records that one key sees locked against ingests: their `inventoryNotTracked` is set.

    Used by one sender of stock at a time (R13).
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._found: frozenset[tuple[str, str]] = frozenset()
        self._places: frozenset[str] = frozenset()
        self.is_all = True
        """False when there were more of them than were read."""
        self._due_at = float("-inf")

    def forget(self) -> None:
        """What is known may be stale: the next use reads it anew."""
        self._due_at = float("-inf")

    def of(self, location_ids: Sequence[str], call: Call) -> frozenset[tuple[str, str]]:
        """(SKU, location id) of each locked record; none where the key may not read stock.

        Raises a `GatewayError`.
        """
        places = frozenset(location_ids)
        now = self._api.now()
        if now >= self._due_at or places != self._places:
            self._found = self._ask(location_ids, call)
            self._places, self._due_at = places, now + KEPT_S
        return self._found

    def _ask(self, location_ids: Sequence[str], call: Call) -> frozenset[tuple[str, str]]:
        params = {"inventoryNotTracked": "true", "locationId": ",".join(location_ids)}
        found: set[tuple[str, str]] = set()
        self.is_all = True
        try:
            for number, rows in enumerate(self._api.pages(PATH, params, call), 1):
                found |= {record.key for record in read_all(StockRecord, rows) if record.is_untracked}
                if number == MOST_PAGES:
                    self.is_all = False
                    break
        except (NoGrant, Refused) as error:
            log.info("pipe17 does not show which stock records are locked (%s)", error.code)
        return frozenset(found)
