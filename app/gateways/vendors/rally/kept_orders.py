"""Orders as they are kept: read and changed for a call to Rally, one at a time, and never back to an earlier state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection

from app.domain.commands import Package
from app.errors import Unavailable
from app.gateways.vendors.rally.order_document import OrderDocument, Refunded, read_document, write_document
from app.gateways.vendors.rally.payloads import fulfillment_of
from app.gateways.vendors.rally.shop import Shop
from app.records import orders
from app.records.database import DatabaseUnavailable
from app.records.orders import State, StoredOrder

_RANK: Final[Mapping[State, int]] = {
    "pending": 0, "review": 0, "paid": 1, "completed": 2, "cancelled": 3, "refunded": 4,
}  # fmt: skip

Kept = tuple[StoredOrder, OrderDocument]


class KeptOrders:
    """The orders of one merchant."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def read(self, refnum: str) -> Kept | None:
        """None for an order past its date (R28).  Raises `Unavailable` (nothing done) without the database."""
        try:
            with self._shop.database.read() as connection:
                stored = orders.get(connection, self._shop.channel, refnum)
        except DatabaseUnavailable as error:
            raise _no_records() from error
        return None if stored is None else (stored, read_document(stored.body))

    def change(self, refnum: str, edit: Callable[[OrderDocument], OrderDocument], state: State | None) -> Kept | None:
        """The order with an edit, and in a state unless it is further already.  None and raises as `read`."""
        serial = [orders.lock_name(self._shop.channel, refnum)]
        try:
            with self._shop.database.write(serial=serial) as connection:
                stored = orders.get(connection, self._shop.channel, refnum)
                if stored is None:
                    return None
                before = read_document(stored.body)
                document = edit(before)
                further = state if state and _RANK[state] > _RANK[stored.state] else stored.state
                if document != before or further != stored.state:
                    stored = self.store(connection, stored, document, further)
        except DatabaseUnavailable as error:
            raise _no_records() from error
        return stored, document

    def store(self, connection: Connection, stored: StoredOrder, document: OrderDocument, state: State) -> StoredOrder:
        now = self._shop.clock()
        is_over = state in ("completed", "cancelled", "refunded")
        # What happens to an order that is over keeps nobody's data longer (R28).
        is_dated = is_over and stored.state == state
        date = stored.purge_after if is_dated else self._shop.order_date(now, is_over=is_over)
        body = write_document(document)
        return orders.change(connection, stored, now=now, purge_after=date, body=body, state=state)

    def with_fulfillment(self, package: Package, state: State | None) -> Kept | None:
        parcel = fulfillment_of(package)

        def edit(order: OrderDocument) -> OrderDocument:
            kept = {item.key: item for item in order.fulfillments} | {parcel.key: parcel}
            return msgspec.structs.replace(order, fulfillments=tuple(kept.values()))

        return self.change(package.order_refnum, edit, state)


def with_refund(order: OrderDocument, refunded: Refunded) -> OrderDocument:
    """The order with a refund Rally has paid."""
    known = {item.key: item for item in order.refunds}
    return msgspec.structs.replace(order, refunds=tuple((known | {refunded.key: refunded}).values()))


def _no_records() -> Unavailable:
    return Unavailable("RECORDS_UNAVAILABLE", "Rally was not called: the order could not be read here")
