"""Gives orders and SKUs their numbers that code of before `search_keys` has written, piece by piece beside the traffic.

Each start of a process walks once over what there is, for code of before may go on for a while after a migration (P47).
What a package's tracking number was is not known any more; all else is.  An order of a shop that is not kept any more
was purged, and what it was found by went with it (R28).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, select, tuple_

from app.records import search_keys
from app.records.channels import LOCK
from app.records.database import Database
from app.records.search_keys import Kind, Number
from app.records.statements import are_among
from app.records.tables.catalogue import catalogue
from app.records.tables.money import payments, refunds
from app.records.tables.operations import search_keys as kept
from app.records.tables.orders import handed_out, held_back, packages
from app.records.tables.stock import stock
from app.records.tables.storefront import orders

AT_ONCE: Final = 500
"""Rows looked at by one statement."""

TURN_S: Final = 0.05
"""How long one turn looks on."""

Place = tuple[Any, ...]

Learned = tuple[str, Number, datetime | None]
"""The key of a channel, a number of its records, and when that was learned, None where nobody knows."""

Piece = tuple[list[Learned], Place | None]
"""What a piece of a table lacks, and where the next piece begins, None behind the last."""


class SearchFilling:
    """One process's walk; `turn` goes on with it and costs nothing once it is over."""

    def __init__(self, database: Database, clock: Callable[[], datetime], shops: Collection[str] = ()) -> None:
        """`shops`: channels whose orders are kept here, so that those that are not have been purged."""
        self._database = database
        self._clock = clock
        self._walks: list[Callable[[Connection, Place | None], Piece]] = [
            partial(_given_orders, shops),
            _kept_orders,
            _held_orders,
            _skus,
            _stocked_skus,
        ]
        self._after: Place | None = None

    def turn(self) -> bool:
        """Look at some more; True while there is more.  Raises `DatabaseUnavailable`."""
        stop_at_s = time.monotonic() + TURN_S
        while self._walks and time.monotonic() < stop_at_s:
            with self._database.read() as connection:
                lacking, after = self._walks[0](connection, self._after)
            if lacking:
                # Read once more: what it belongs to may have been erased since, or its channel is being forgotten.
                with self._database.write(serial=[LOCK]) as connection:
                    lacking, after = self._walks[0](connection, self._after)
                    self._learn(connection, lacking)
            self._after = after  # not before: what could not be written is looked at again
            if after is None:
                del self._walks[0]
        return bool(self._walks)

    def _learn(self, connection: Connection, lacking: Iterable[Learned]) -> None:
        now = self._clock()
        search_keys.learn_each(connection, ((channel, number, at or now) for channel, number, at in lacking))


def _given_orders(shops: Collection[str], connection: Connection, after: Place | None) -> Piece:
    """Orders RetailOps was given, with their packages, payments and refunds."""
    of = handed_out.c
    columns = (of.channel, of.refnum, of.retailops_order_id, of.acknowledged_at, of.last_handed_at)
    rows, place = _piece(connection, columns, 2, after, has_order=True)
    if shops:
        rows = _unpurged(connection, rows, shops)
    found: list[Learned] = []
    for row in rows:
        at = row.acknowledged_at or row.last_handed_at
        found.append((row.channel, Number(row.refnum, "order", row.refnum), at))
        found.append((row.channel, Number(row.refnum, "retailops_order", row.retailops_order_id), at))
    for channel in dict.fromkeys(row.channel for row in rows):
        refnums = [row.refnum for row in rows if row.channel == channel]
        found += ((channel, number, None) for number in _parts_of(connection, channel, refnums))
    return found, place


def _unpurged(connection: Connection, rows: Sequence[Row[Any]], shops: Collection[str]) -> Sequence[Row[Any]]:
    of_shops = {(row.channel, row.refnum) for row in rows if row.channel in shops}
    is_it = are_among(connection, (orders.c.channel, orders.c.refnum), of_shops)
    kept_here = set(map(tuple, connection.execute(select(orders.c.channel, orders.c.refnum).where(is_it))))
    return [row for row in rows if row.channel not in shops or (row.channel, row.refnum) in kept_here]


def _parts_of(connection: Connection, channel: str, refnums: Collection[str]) -> Iterator[Number]:
    def of(table: Any) -> Sequence[Row[Any]]:
        named = (table.c.channel == channel, table.c.order_refnum.in_(refnums))
        return connection.execute(select(table).where(*named)).all()

    for row in of(packages):
        yield Number(row.order_refnum, "shipment", row.retailops_shipment_id)
        shipment, _, package = row.key.partition("-")
        if shipment == row.retailops_shipment_id:
            yield Number(row.order_refnum, "package", package)
    for row in of(payments):
        yield Number(row.order_refnum, "payment", row.refnum)
    for row in of(refunds):
        kind: Kind = "credit" if row.callback == "payment_credit" else "refund"
        yield Number(row.order_refnum, kind, row.refnum)
        if row.callback == "order_returned":
            yield Number(row.order_refnum, "return", row.natural_key.rpartition("/")[2])


def _kept_orders(connection: Connection, after: Place | None) -> Piece:
    """Orders that are kept for RetailOps."""
    of = orders.c
    rows, place = _piece(connection, (of.channel, of.refnum, of.cart_id, of.created_at), 2, after, has_order=True)
    found: list[Learned] = []
    for row in rows:
        found.append((row.channel, Number(row.refnum, "order", row.refnum), row.created_at))
        found.append((row.channel, Number(row.refnum, "cart", row.cart_id), row.created_at))
    return found, place


def _held_orders(connection: Connection, after: Place | None) -> Piece:
    """Orders that are held back."""
    of = held_back.c
    rows, place = _piece(connection, (of.channel, of.refnum, of.since), 2, after, has_order=True)
    return [(row.channel, Number(row.refnum, "order", row.refnum), row.since) for row in rows], place


def _skus(connection: Connection, after: Place | None) -> Piece:
    """SKUs of the catalogue."""
    of = catalogue.c
    rows, place = _piece(connection, (of.number, of.channel, of.sku, of.changed_at), 1, after, has_order=False)
    return [(row.channel, Number("", "sku", row.sku), row.changed_at) for row in rows if row.sku], place


def _stocked_skus(connection: Connection, after: Place | None) -> Piece:
    """SKUs whose stock was stated; the catalogue may not have them."""
    of = stock.c
    rows, place = _piece(connection, (of.channel, of.gateway, of.sku, of.stated_at), 3, after, has_order=False)
    return [(row.channel, Number("", "sku", row.sku), row.stated_at) for row in rows], place


def _piece(
    connection: Connection, columns: Sequence[Any], key_length: int, after: Place | None, *, has_order: bool
) -> tuple[Sequence[Row[Any]], Place | None]:
    """The rows of the next piece that have no number yet; a table's key stands first among the columns."""
    key = columns[:key_length]
    some = select(*columns).order_by(*key).limit(AT_ONCE)
    if after is not None:
        some = some.where(tuple_(*key) > tuple_(*after))
    piece = some.subquery()
    order, number, kind = (piece.c.refnum, piece.c.refnum, "order") if has_order else ("", piece.c.sku, "sku")
    is_kept = and_(
        kept.c.channel == piece.c.channel,
        kept.c.order_refnum == order,
        kept.c.kind == kind,
        kept.c.object == number,
    )
    rows = connection.execute(
        select(piece, kept.c.at.label("kept_at")).outerjoin(kept, is_kept).order_by(*list(piece.c)[:key_length])
    ).all()
    place = tuple(rows[-1][:key_length]) if len(rows) == AT_ONCE else None
    return [row for row in rows if row.kept_at is None], place
