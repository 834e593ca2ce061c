"""Ends what is kept of orders, at their date or before it, unless RetailOps has yet to get a paid one (R28)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, select

from app.records import handed_out as remembered
from app.records import search_keys, stock_sync
from app.records.tables.storefront import IS_PAID_FOR, orders
from app.storefront import reservations
from app.storefront.order_store import is_acknowledged, standing


def is_waiting() -> ColumnElement[bool]:
    """Orders that are paid for and that RetailOps does not have: they are kept beyond their date (R28)."""
    return IS_PAID_FOR & ~is_acknowledged()


def expired(now: datetime) -> Select[Any]:
    """Keys of what is past its date and not held for RetailOps (R28)."""
    is_over = (orders.c.purge_after < now) & ~is_waiting()
    return select(orders.c.channel, orders.c.refnum).where(is_over).order_by(orders.c.purge_after)


@dataclass(frozen=True)
class Waiting:
    """How many orders of a channel RetailOps does not have although they were paid before a moment; the oldest."""

    channel: str
    count: int
    refnum: str
    since: datetime


def waiting_since_before(connection: Connection, moment: datetime) -> list[Waiting]:
    """Orders that were paid before this moment and that RetailOps does not have, by channel."""
    rows = connection.execute(
        select(orders.c.channel, orders.c.refnum, orders.c.paid_at)
        .where(is_waiting(), orders.c.paid_at < moment)
        .order_by(orders.c.paid_at)
    ).all()
    counts = Counter(row.channel for row in rows)
    first = {row.channel: row for row in reversed(rows)}
    return [Waiting(channel, count, first[channel].refnum, first[channel].paid_at) for channel, count in counts.items()]


def purge(connection: Connection, keys: Collection[tuple[str, str]], now: datetime) -> None:
    """Delete those of these orders that are still past their date, and the units they hold.

    What that frees is owed first, as everywhere (see `reservations`).  However many they are, a channel takes as many
    statements, so that a slow database does not cut the transaction off, again at each try (`engines.TRANSACTION_S`).
    """
    of_channels = {
        channel: [refnum for of_channel, refnum in keys if of_channel == channel]
        for channel in sorted({channel for channel, _ in keys})
    }
    for channel, refnums in of_channels.items():
        stock_sync.owe_again(connection, channel, None, reservations.skus_of(connection, channel, refnums))
    for channel, refnums in of_channels.items():
        if gone := _delete(connection, channel, refnums, orders.c.purge_after < now):
            reservations.release(connection, channel, *gone)
            search_keys.forget(connection, channel, *gone)
            remembered.note_erased(connection, channel, gone, now)


def of_order(channel: str, refnum: str) -> Select[Any]:
    """The key of an order that is kept."""
    return select(orders.c.channel, orders.c.refnum).where(orders.c.channel == channel, orders.c.refnum == refnum)


def erase(connection: Connection, keys: Collection[tuple[str, str]]) -> None:
    """Delete orders before their date, but none that is held for RetailOps.

    Of one that RetailOps knows the numbers stay, and where it has acknowledged it, the units it holds until RetailOps
    has counted them (R25).
    """
    for channel, refnum in keys:
        known = standing(connection, channel, refnum)
        freed = [] if known == "taken" else reservations.skus_of(connection, channel, [refnum])
        stock_sync.owe_again(connection, channel, None, freed)
        if _delete(connection, channel, [refnum]):
            if known != "taken":
                reservations.release(connection, channel, refnum)
            if known == "unknown":
                search_keys.forget(connection, channel, refnum)


def is_held(connection: Connection, channel: str, refnum: str) -> bool:
    """Whether an order is paid for and RetailOps does not have it, so that it must not go."""
    query = select(orders.c.refnum).where(orders.c.channel == channel, orders.c.refnum == refnum, is_waiting())
    return connection.execute(query).first() is not None


def _delete(
    connection: Connection, channel: str, refnums: Collection[str], *rules: ColumnElement[bool]
) -> Sequence[str]:
    """Those of them that are deleted: never one that is held for RetailOps."""
    is_one = (orders.c.channel == channel, orders.c.refnum.in_(refnums), ~is_waiting())
    return connection.execute(delete(orders).where(*is_one, *rules).returning(orders.c.refnum)).scalars().all()
