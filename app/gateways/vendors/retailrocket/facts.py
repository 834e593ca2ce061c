"""Goods and stock flags of a store, in either mode: sent through the Product API, or noted for the next feed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.domain.catalogue import ProductChange, ProductSent
from app.domain.stock import StockChange, StockSent
from app.gateways.calls import Call, read_note
from app.gateways.capabilities import CatalogueSink, StockSink
from app.gateways.vendors.retailrocket.offers import Availability
from app.gateways.vendors.retailrocket.product_api import Flags, ProductApi
from app.gateways.wire_objects import encode
from app.records.database import Database
from app.records.feeds import FeedStore
from app.storefront import reservations

FACTS_AT_A_TIME: Final = 2000
"""In feed mode a change is only noted, so that many may be at once."""


@dataclass(eq=False, repr=False)
class Goods(CatalogueSink):
    """The catalogue of one store; `_feed` is None in Product API mode."""

    _products: ProductApi
    _feed: FeedStore | None
    _clock: Callable[[], datetime]

    def __post_init__(self) -> None:
        if self._feed is not None:
            self.batch = FACTS_AT_A_TIME

    def push(self, changes: Sequence[ProductChange], call: Call) -> list[ProductSent]:
        """In feed mode no call is made: the feed is built anew."""
        if self._feed is None:
            return self._products.push_catalog(changes, call)
        self._feed.mark(self._clock())
        return [ProductSent(change.key, b"{}") for change in changes]


@dataclass(eq=False, repr=False)
class StockFlags(StockSink):
    """What can be had of the goods of one store; `_feed` is None in Product API mode."""

    _products: ProductApi
    _availability: Availability
    _feed: FeedStore | None
    _database: Database
    _channel: str
    _clock: Callable[[], datetime]

    can_move_at_vendor = False
    shows_with_catalogue = True

    def __post_init__(self) -> None:
        if self._feed is not None:
            self.batch = FACTS_AT_A_TIME

    def push(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        """In feed mode the feed is built anew where a product came or went; quantities are no news."""
        flags = self._flags(changes)
        if self._feed is None:
            return self._products.push_inventory(changes, flags, call)
        if any(flags[change.sku] != read_note(change.sent, Flags) for change in changes):
            self._feed.mark(self._clock())
        return [StockSent(change.sku, encode(flags[change.sku])) for change in changes]

    def in_words(self, sent: bytes) -> Mapping[str, str]:
        flags = read_note(sent, Flags) or {}
        return {stock_id: "can be had" if is_there else "sold out" for stock_id, is_there in flags.items()}

    def _flags(self, changes: Sequence[StockChange]) -> dict[str, Flags]:
        with self._database.read() as connection:
            held = reservations.reserved_units(connection, self._channel, [change.sku for change in changes])
        return {change.sku: self._availability.of(change.level, held.get(change.sku, 0)) for change in changes}
