"""Whether the personal data of an order may be erased, which is done by `acts.erase` (R28)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from app.errors import ChannelError
from app.operations.scope import Scope
from app.records import delivery_rows, erasing, handed_out, retention, searching, traces
from app.records.database import Database
from app.storefront import order_expiry, order_store
from app.storefront import retention as storefront

ACT: Final = "orders.erase"

CLOCKS: Final = (*retention.CLOCKS, *storefront.CLOCKS)

WORDS: Final = {
    "orders": "the order as its checkout sent it, with names and addresses",
    "carts": "the cart it was made of",
    "pending_reports": "the purchase that was to be reported",
    "held_back": "why it was held back",
    "search_keys": "its tracking numbers",
}
"""What each table keeps of the person behind an order, for people."""

NAMED: Final = 10
"""Open calls that are named one by one."""


class NotErasable(ChannelError):
    """Something of the order is still to happen for which its data is needed; the text says what to do."""


@dataclass(frozen=True)
class Erasable:
    """An order as it stands.  `rows`: personal data of it by table; `refusal`: why that must stay for now, or "".

    `erased_at` is when it was erased last, None for never.  `is_due`: whether an erasure would change anything: where
    nothing is kept of an order that is remembered, that nothing is kept of what comes later, as its tracking numbers.
    """

    rows: Mapping[str, int]
    refusal: str
    erased_at: datetime | None
    is_due: bool


def channels_of(connection: Connection, scope: Scope, refnum: str) -> list[str]:
    """The keys of the channels that know an order of this very number."""
    found = [
        *searching.orders_where_they_stand(connection, scope.keys, refnum),
        *searching.kept_orders(connection, scope.keys, refnum),
    ]
    return sorted({item.channel for item in found if item.kind == "order"})


def one(database: Database, scope: Scope, channel: str, refnum: str) -> Erasable | None:
    """What `acts.erase` would find; None where the scope has no such order.  Raises `DatabaseUnavailable`."""
    if not scope.sees(channel):
        return None
    with database.read() as connection:
        return look(connection, channel, refnum) if channel in channels_of(connection, scope, refnum) else None


def look(connection: Connection, channel: str, refnum: str) -> Erasable:
    """What `erase` would find; nothing is written."""
    acts = [act.at for act in traces.acts_on_order(connection, channel, refnum) if act.act == ACT]
    rows = erasing.held(connection, channel, refnum, CLOCKS)
    is_due = bool(rows) or handed_out.is_to_note(connection, channel, refnum)
    return Erasable(rows, _refusal(connection, channel, refnum), max(acts, default=None), is_due)


def erase(connection: Connection, channel: str, refnum: str, now: datetime) -> dict[str, int] | None:
    """Remove it, and return what it was as rows by table, None where nothing changed (`Erasable.is_due`).

    The caller holds the order, and undoes all if this raises.  Raises `NotErasable`.
    """
    if refusal := _refusal(connection, channel, refnum):
        raise NotErasable(refusal)
    rows = erasing.erase(connection, channel, refnum, CLOCKS, now)
    # What waited to be reported may have become a call just before it would have been removed.
    if refusal := _of_open_calls(connection, channel, refnum):
        raise NotErasable(refusal)
    return rows


def _refusal(connection: Connection, channel: str, refnum: str) -> str:
    return (
        _of_open_calls(connection, channel, refnum)
        or _of_money(connection, channel, refnum)
        or _of_cancellation(connection, channel, refnum)
    )


def _of_open_calls(connection: Connection, channel: str, refnum: str) -> str:
    calls = delivery_rows.open_of_order(connection, channel, refnum)
    if not calls:
        return ""
    named = ", ".join(f"{row.id} ({row.verb} to {row.gateway}, {row.state})" for row in calls[:NAMED])
    more = f" and {len(calls) - NAMED} more" if len(calls) > NAMED else ""
    return (
        f"order {refnum} has calls to vendors that are still open: {named}{more}. Let them finish, or give each up "
        "with `channel deliveries drop ID --reason TEXT`, then erase it"
    )


def _of_money(connection: Connection, channel: str, refnum: str) -> str:
    if not order_expiry.is_held(connection, channel, refnum):
        return ""
    return (
        f"order {refnum} is paid, or in part, and RetailOps does not have it: erased, it would be neither shipped nor "
        "paid back. Let RetailOps fetch and acknowledge it, or give the money back at the checkout, then erase it"
    )


def _of_cancellation(connection: Connection, channel: str, refnum: str) -> str:
    """RetailOps is sent a cancellation with the whole order (R18)."""
    stored = order_store.get(connection, channel, refnum)
    given = traces.hand_out_of(connection, channel, refnum)
    if stored is None or given is None or given.state != "open" or given.cancellation_known_at is not None:
        return ""
    if stored.cancelled_at is None and given.source_cancelled_at is None:
        return ""
    return (
        f"order {refnum} was cancelled at its source and RetailOps has not acknowledged that: erased, it would be "
        "shipped. Let RetailOps fetch and acknowledge the cancellation, then erase it"
    )
