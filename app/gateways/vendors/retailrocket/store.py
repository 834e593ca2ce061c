"""One store of Retail Rocket: its settings, and where its goods and their stock are kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection

from app.domain.stock import StockLevel
from app.gateways.vendors.retailrocket.api import TOKEN
from app.gateways.vendors.retailrocket.offers import Availability, Offers
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.records import stock
from app.records.database import Database
from app.storefront import reservations

Flags = dict[str, bool]
"""What can be had of a SKU, by stock id; under "" for a store that has none."""


@dataclass(frozen=True, eq=False)
class Store:
    """What every part of the gateway is given."""

    options: RetailRocketOptions = field(repr=False)
    database: Database = field(repr=False)
    channel: str
    clock: Callable[[], datetime] = field(repr=False)

    @cached_property
    def offers(self) -> Offers:
        return Offers(self.options)

    @cached_property
    def availability(self) -> Availability:
        return Availability(self.options)

    def flags_of(self, connection: Connection, skus: Collection[str]) -> dict[str, Flags]:
        """By SKU, as its stock was stated last."""
        levels = stock.levels_of(connection, self.channel, TOKEN, skus)
        return self.flags_at(connection, {sku: levels.get(sku) for sku in skus})

    def flags_at(self, connection: Connection, levels: Mapping[str, StockLevel | None]) -> dict[str, Flags]:
        """By SKU, at these levels and with what orders hold just now."""
        held = reservations.reserved_units(connection, self.channel, levels)
        return {sku: self.availability.of(level, held.get(sku, 0)) for sku, level in levels.items()}
