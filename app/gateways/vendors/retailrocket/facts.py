"""Goods and stock flags of a store, in either mode: sent through the Product API, or noted for the next feed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from app.domain.catalogue import ProductChange, ProductSent
from app.domain.stock import StockChange, StockSent
from app.gateways.calls import Call
from app.gateways.capabilities import CatalogueSink, StockSink
from app.gateways.vendors.retailrocket.api import encode
from app.gateways.vendors.retailrocket.offers import Availability
from app.gateways.vendors.retailrocket.product_api import Flags, ProductApi, read_flags
from app.records.database import Database
from app.records.feeds import FeedStore
from app.storefront import reservations

FACTS_AT_A_TIME: Final = 2000
"""In feed mode a change is only noted, so that many may be at once."""


class Goods(CatalogueSink):
    """The catalogue of one store; `feed` is None in Product API mode."""

    def __init__(self, products: ProductApi, feed: FeedStore | None, clock: Callable[[], datetime]) -> None:
        self._products = products
        self._feed = feed
        self._clock = clock
        if feed is not None:
            self.batch = FACTS_AT_A_TIME

    def push(self, changes: Sequence[ProductChange], call: Call) -> list[ProductSent]:
        """In feed mode no call is made: the feed is built anew."""
        if self._feed is None:
            return self._products.push_catalog(changes, call)
        self._feed.mark(self._clock())
        return [ProductSent(change.key, b"{}") for change in changes]


class StockFlags(StockSink):
    """What can be had of the goods of one store; `feed` is None in Product API mode."""

    can_move_at_vendor = False
    shows_with_catalogue = True

    def __init__(
        self,
        products: ProductApi,
        availability: Availability,
        feed: FeedStore | None,
        database: Database,
        channel: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._products = products
        self._availability = availability
        self._feed = feed
        self._database = database
        self._channel = channel
        self._clock = clock
        if feed is not None:
            self.batch = FACTS_AT_A_TIME

    def push(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        """In feed mode the feed is built anew where a product came or went; quantities are no news."""
        flags = self._flags(changes)
        if self._feed is None:
            return self._products.push_inventory(changes, flags, call)
        if any(flags[change.sku] != read_flags(change.sent) for change in changes):
            self._feed.mark(self._clock())
        return [StockSent(change.sku, encode(flags[change.sku])) for change in changes]

    def _flags(self, changes: Sequence[StockChange]) -> dict[str, Flags]:
        with self._database.read() as connection:
            held = reservations.reserved_units(connection, self._channel, [change.sku for change in changes])
        return {change.sku: self._availability.of(change.level, held.get(change.sku, 0)) for change in changes}
