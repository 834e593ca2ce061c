"""Orders as they are kept: read and changed for a command, one at a time; back to an earlier state only if refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection

from app.domain.commands import OrderChange, OrderChanged, Package, Refund
from app.domain.events import Event, about
from app.errors import Unavailable
from app.records import catalogue
from app.records.database import DatabaseUnavailable
from app.storefront import order_store
from app.storefront.order_changes import changed
from app.storefront.order_document import Fulfillment, OrderDocument, Refunded, read_document, write_document
from app.storefront.order_progress import date_of, open_state
from app.storefront.order_store import OrderState, StoredOrder
from app.storefront.refund_rows import refunded_of
from app.storefront.retailops_order import to_sketch
from app.storefront.shop import Shop

_RANK: Final[Mapping[OrderState, int]] = {
    "pending": 0, "review": 0, "paid": 1, "completed": 2, "cancelled": 3, "refunded": 4,
}  # fmt: skip

Kept = tuple[StoredOrder, OrderDocument]


class KeptOrders:
    """The orders of one shop."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def read(self, refnum: str) -> Kept | None:
        """None for an order past its date (R28).  Raises `Unavailable` (nothing done) without the database."""
        try:
            with self._shop.database.read() as connection:
                stored = order_store.get(connection, self._shop.channel, refnum)
        except DatabaseUnavailable as error:
            raise self._no_records() from error
        return None if stored is None else (stored, read_document(stored.body))

    def moved(self, connection: Connection, places: Mapping[str, int]) -> set[str]:
        """Orders that stand elsewhere in the queue by now than at these times of creation (ms)."""
        return order_store.moved(connection, self._shop.channel, places)

    def change(
        self, refnum: str, edit: Callable[[OrderDocument, OrderState], OrderDocument], state: OrderState | None
    ) -> Kept | None:
        """The order with an edit, which sees its state, in a state unless it is further.  None and raises as `read`."""
        serial = [order_store.lock_name(self._shop.channel, refnum)]
        try:
            with self._shop.database.write(serial=serial) as connection:
                stored = order_store.get(connection, self._shop.channel, refnum)
                if stored is None:
                    return None
                before = read_document(stored.body)
                document = edit(before, stored.state)
                further = state if state and _RANK[state] > _RANK[stored.state] else stored.state
                if document != before or further != stored.state:
                    stored = self._store(connection, stored, document, further)
        except DatabaseUnavailable as error:
            raise self._no_records() from error
        return stored, document

    def in_state(self, refnum: str, state: OrderState) -> Kept | None:
        """The order in this state, or further already.  None and raises as `read`."""
        return self.change(refnum, lambda order, was: order, state)

    def paid_back(self, refnum: str) -> Kept | None:
        """The order refunded, for all of its money has gone back through this server.  None and raises as `read`."""

        def edit(order: OrderDocument, was: OrderState) -> OrderDocument:
            return order if was == "refunded" else msgspec.structs.replace(order, is_paid_back=True)

        return self.change(refnum, edit, "refunded")

    def reopen(self, connection: Connection, refnum: str) -> None:
        """An order that was cancelled or completed is as far as its money and its review; the caller holds it."""
        stored = order_store.get(connection, self._shop.channel, refnum)
        if stored is not None and stored.state in ("cancelled", "completed"):
            document = read_document(stored.body)
            self._store(connection, stored, document, open_state(document, is_queued=stored.exportable_at is not None))

    def with_fulfillment(self, package: Package, state: OrderState | None) -> Kept | None:
        """The order with a parcel, which replaces one of the same key; what it does not say of that stays.

        None and raises as `read`.
        """
        parcel = _fulfillment_of(package)

        def edit(order: OrderDocument, was: OrderState) -> OrderDocument:
            kept = {item.key: item for item in order.fulfillments}
            kept[parcel.key] = _corrected(kept.get(parcel.key, parcel), parcel)
            return msgspec.structs.replace(order, fulfillments=tuple(kept.values()))

        return self.change(package.order_refnum, edit, state)

    def forget_parcel(self, connection: Connection, refnum: str, key: str) -> None:
        """The vendor refused the parcel: the order is without it; the caller holds it."""
        stored = order_store.get(connection, self._shop.channel, refnum)
        if stored is not None:
            order = read_document(stored.body)
            others = tuple(item for item in order.fulfillments if item.key != key)
            self._store(connection, stored, msgspec.structs.replace(order, fulfillments=others), stored.state)

    def note_refunded(self, connection: Connection, order_refnum: str, refunded: Refunded) -> None:
        """The vendor has paid; nothing to keep for an order past its date."""
        self._note(connection, order_refnum, lambda order: refunded)

    def note_refund(self, connection: Connection, refund: Refund) -> None:
        """As `note_refunded`, of a refund as it was requested."""
        self._note(connection, refund.order_refnum, lambda order: refunded_of(order, refund))

    def _note(self, connection: Connection, order_refnum: str, rows_of: Callable[[OrderDocument], Refunded]) -> None:
        stored = order_store.get(connection, self._shop.channel, order_refnum)
        if stored is not None:
            order = read_document(stored.body)
            refunded = rows_of(order)
            known = {item.key: item for item in order.refunds} | {refunded.key: refunded}
            document = msgspec.structs.replace(order, refunds=tuple(known.values()))
            self._store(connection, stored, document, stored.state)

    def change_lines(self, connection: Connection, change: OrderChange) -> OrderChanged:
        """Change the lines as RetailOps states them; the caller holds the order."""
        stored = order_store.get(connection, self._shop.channel, change.order_refnum)
        if stored is None:
            message = "the order is not kept here any more; nothing was changed"
            event = Event("error", "ORDER_GONE", message, about("order_refnum", change.order_refnum))
            return OrderChanged((), (event,), is_different=False)
        before = read_document(stored.body)
        found = catalogue.of_skus(connection, self._shop.channel, {line.sku for line in change.lines})
        outcome = changed(before, change.lines, found)
        document, refuses = outcome.document, f"which {self._shop.vendor} refuses"
        events = [
            Event("warning", "SKU_UNKNOWN", "no such SKU in the catalogue; the line was left out",
                  about("sku_number", line.sku)) for line in outcome.unknown
        ]  # fmt: skip
        events += [
            Event("error", "PRICE_BELOW_ZERO", f"unit_price is below 0, {refuses}; the line was not added",
                  about("sku_number", line.sku)) for line in outcome.below_zero
        ]  # fmt: skip
        if not document.lines:
            message = "the change leaves no line on the order; nothing was changed: to call it off, cancel it"
            events.append(Event("error", "NO_LINES_LEFT", message, about("order_refnum", change.order_refnum)))
            return OrderChanged(to_sketch(before, self._shop.source).lines, tuple(events), is_different=False)
        is_different = document != before
        # Whoever states its lines has looked at them.
        document = msgspec.structs.replace(document, doubt="")
        if document != before:
            self._store(connection, stored, document, stored.state)
        if is_different:
            events += self._of_money(document)
        return OrderChanged(to_sketch(document, self._shop.source).lines, tuple(events), is_different)

    def _of_money(self, document: OrderDocument) -> list[Event]:
        """No money moves with a change itself, so that the difference is reported."""
        named = about("order_refnum", document.refnum)
        if document.total > document.paid:
            message = f"the order comes to more than the shopper paid; {self._shop.vendor} cannot charge the rest"
            return [Event("warning", "NOT_COVERED", message, named)]
        if document.total < document.paid:
            message = "the shopper paid more than the order comes to now; it goes back at completion, or when asked for"
            return [Event("info", "PAID_MORE", message, named)]
        return []

    def _store(
        self, connection: Connection, stored: StoredOrder, document: OrderDocument, state: OrderState
    ) -> StoredOrder:
        now = self._shop.clock()
        date, body = date_of(self._shop, stored, state, now), write_document(document)
        return order_store.change(connection, stored, now=now, purge_after=date, body=body, state=state)

    def _no_records(self) -> Unavailable:
        message = f"{self._shop.vendor} was not called: the order could not be read here"
        return Unavailable("RECORDS_UNAVAILABLE", message)


def _fulfillment_of(package: Package) -> Fulfillment:
    """A parcel as it is kept with its order."""
    return Fulfillment(
        key=package.key,
        units=tuple((line.line_refnum, line.quantity) for line in package.lines),
        carrier=package.carrier_name,
        service=package.carrier_class_name,
        tracking_number=package.tracking_number,
        shipped_at=package.shipped_at,
    )


def _corrected(before: Fulfillment, parcel: Fulfillment) -> Fulfillment:
    """A parcel as it is stated now; carrier, service and date may be absent because they could not be read.

    A service is one of its carrier's.
    """
    is_same = parcel.carrier in ("", before.carrier)
    return msgspec.structs.replace(
        parcel,
        carrier=parcel.carrier or before.carrier,
        service=parcel.service or (before.service if is_same else ""),
        shipped_at=parcel.shipped_at or before.shipped_at,
    )
