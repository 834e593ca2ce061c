"""Goods and stock flags of a store, in either mode: sent through the Product API, or noted for the next feed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from app.domain.catalogue import ProductChange, ProductSent
from app.domain.stock import StockChange, StockSent
from app.gateways.calls import Call, read_note
from app.gateways.capabilities import CatalogueSink, StockSink
from app.gateways.vendors.retailrocket.product_api import ProductApi
from app.gateways.vendors.retailrocket.store import Flags, Store
from app.gateways.wire_objects import encode
from app.records.feeds import FeedStore

FACTS_AT_A_TIME: Final = 2000
"""In feed mode a change is only noted, so that many may be at once."""


class _Facts:
    """Facts of one store; `feed` is None in Product API mode."""

    def __init__(self, store: Store, products: ProductApi, feed: FeedStore | None) -> None:
        self._store = store
        self._products = products
        self._feed = feed
        if feed is not None:
            self.batch = FACTS_AT_A_TIME


class Goods(_Facts, CatalogueSink):
    """The catalogue."""

    def push(self, changes: Sequence[ProductChange], call: Call) -> list[ProductSent]:
        """In feed mode no call is made: the feed is built anew."""
        if self._feed is None:
            return self._products.push_catalog(changes, call)
        self._feed.mark(self._store.clock())
        return [ProductSent(change.key, b"{}") for change in changes]


class StockFlags(_Facts, StockSink):
    """What can be had of the goods."""

    can_move_at_vendor = False
    shows_with_catalogue = True

    def push(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        """In feed mode the feed is built anew where a product came or went; quantities are no news."""
        with self._store.database.read() as connection:
            flags = self._store.flags_at(connection, {change.sku: change.level for change in changes})
        if self._feed is None:
            return self._products.push_inventory(changes, flags, call)
        if any(flags[change.sku] != read_note(change.sent, Flags) for change in changes):
            self._feed.mark(self._store.clock())
        return [StockSent(change.sku, encode(flags[change.sku])) for change in changes]

    def in_words(self, sent: bytes) -> Mapping[str, str]:
        flags = read_note(sent, Flags) or {}
        return {stock_id: "can be had" if is_there else "sold out" for stock_id, is_there in flags.items()}
