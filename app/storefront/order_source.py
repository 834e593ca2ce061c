"""The shop as a source of orders: what RetailOps may be given of those that are kept here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from app.domain.moments import to_ms
from app.domain.orders import Candidate, HeldBack, Order, OrderSketch, SourceCancellations
from app.storefront import order_store
from app.storefront.order_document import read_document
from app.storefront.order_store import StoredOrder, WaitingOrder
from app.storefront.retailops_order import as_ordered, to_order, to_sketch
from app.storefront.shop import Shop

CHUNK: Final = 120
"""Orders read at first for a walk, a page and a few more."""

MOST: Final = 480
"""Orders read at a time at most, where a walk goes on."""

OVERLAP: Final = timedelta(minutes=2)
"""How far the look for called-off orders goes back, for one may be committed after a later one."""


class OrderSource:
    """One shop's orders.  Everything raises `DatabaseUnavailable`."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def chunks(self, since_ms: int | None, until_ms: int) -> Iterator[list[Candidate]]:
        """By the time from which they may go; those cancelled at the checkout only come by name (R18)."""
        since, size = None if since_ms is None else _moment(since_ms), CHUNK
        while True:
            with self._shop.database.read() as connection:
                found = order_store.exportable_since(connection, self._shop.channel, since, _moment(until_ms), size)
            yield [self._candidate(waiting, waiting.exportable_at) for waiting in found if waiting.cancelled_at is None]
            if len(found) < size:
                return
            since, size = found[-1].exportable_at + timedelta(milliseconds=1), min(2 * size, MOST)

    def named(self, refnums: Sequence[str]) -> list[Candidate]:
        """Whatever their state, but never one that is unpaid or under review (P17)."""
        with self._shop.database.read() as connection:
            found = order_store.of_refnums(connection, self._shop.channel, refnums)
        out = filter(self._is_out, found.values())
        return [self._candidate(stored, stored.exportable_at or stored.created_at) for stored in out]

    def called_off(self, since_ms: int | None, until_ms: int) -> SourceCancellations:
        """Orders whose money the merchant gave back at the checkout."""
        since = None if since_ms is None else _moment(since_ms) - OVERLAP
        with self._shop.database.read() as connection:
            refnums = order_store.called_off(connection, self._shop.channel, since, _moment(until_ms))
        return SourceCancellations(tuple(refnums), until_ms)

    def sketch(self, refnum: str) -> OrderSketch | None:
        """None for one that is not out."""
        stored = self._out(refnum)
        return to_sketch(read_document(stored.body), self._shop.source) if stored else None

    def as_it_stands(self, refnum: str) -> Order | None:
        """The order with its lines as they are now; None for one that is not out."""
        stored = self._out(refnum)
        if stored is None:
            return None
        document, ship_code = read_document(stored.body), self._shop.options.default_ship_code
        return to_order(document, self._shop.source, default_ship_code=ship_code)

    def _out(self, refnum: str) -> StoredOrder | None:
        with self._shop.database.read() as connection:
            stored = order_store.get(connection, self._shop.channel, refnum)
        return stored if stored and self._is_out(stored) else None

    def _is_out(self, stored: StoredOrder) -> bool:
        return stored.exportable_at is not None and stored.exportable_at <= self._shop.clock()

    def _candidate(self, stored: StoredOrder | WaitingOrder, out_at: datetime) -> Candidate:
        return Candidate(stored.refnum, to_ms(out_at), partial(self._order, stored))

    def _order(self, stored: StoredOrder | WaitingOrder) -> Order | HeldBack:
        document = read_document(stored.body)
        # RetailOps is given what was ordered, whatever it has changed since.
        order = to_order(
            as_ordered(document),
            self._shop.source,
            default_ship_code=self._shop.options.default_ship_code,
            is_cancelled=stored.cancelled_at is not None or stored.state == "cancelled",
        )
        # What was cancelled goes whatever it was held back for: nothing is booked of it (R18).
        is_held = bool(document.doubt) and not order.is_cancelled
        return HeldBack(stored.refnum, document.doubt) if is_held else order


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
