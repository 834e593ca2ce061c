"""The list of orders for people who look: by state, channel, vendor and time, newest first."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

import msgspec
from sqlalchemy import Row

from app.operations.paging import PAGE, SEARCHED, Page, UnknownPlace
from app.operations.scope import Scope
from app.records import order_list
from app.records.database import Database
from app.records.order_list import Chosen, Place

OrderState = Literal[
    "unpaid", "review", "held back", "waiting", "handed out", "acknowledged", "left open", "completed", "cancelled",
    "refunded",
]  # fmt: skip
"""unpaid: its source may still change it, or waits for the money.  review: held for a fraud review.  held back: it
cannot be sent as it is, and a person has to look.  waiting: RetailOps has not fetched it yet.  handed out: fetched, not
acknowledged.  acknowledged: RetailOps has it.  left open: completed with units that are still open.  The others say it
themselves."""

STATES: tuple[OrderState, ...] = (
    "unpaid", "review", "held back", "waiting", "handed out", "acknowledged", "left open", "completed", "cancelled",
    "refunded",
)  # fmt: skip


@dataclass(frozen=True)
class OrderFilter:
    """Which orders; what is empty does not restrict.  Times are when this server first knew the order.

    `channel` is a key of records, `vendor` the token of the order's source.
    """

    state: OrderState | None = None
    channel: str = ""
    vendor: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class OrderRow:
    """One order of a list.  `vendor` is "" where the channel has no source of orders any more."""

    channel: str
    refnum: str
    vendor: str
    state: OrderState
    known_at: datetime
    retailops_order_id: str
    handed_out_times: int
    acknowledged_at: datetime | None
    held_back_because: str = ""


@dataclass(frozen=True)
class Sources:
    """Which vendor orders come from, by the key of the channel (R17)."""

    by_channel: Mapping[str, str] = field(default_factory=dict)

    def channels_of(self, vendor: str) -> Collection[str]:
        """The channels whose orders come from this vendor."""
        return [channel for channel, token in self.by_channel.items() if token == vendor]


def listing(
    database: Database, scope: Scope, sources: Sources, filters: OrderFilter, *, after: str = "", limit: int = PAGE
) -> Page[OrderRow]:
    """A page of orders.  `after` is that of the page before.

    Raises `UnknownPlace`, `DatabaseUnavailable`.
    """
    chosen = Chosen(_channels(scope, sources, filters), filters.state or "", filters.since, filters.until)
    now = database.now()
    with database.read() as connection:
        part = order_list.page(connection, chosen, before=_place(after), now=now, limit=limit, searched=SEARCHED)
    return Page(tuple(row_of(row, sources) for row in part.rows), _cursor(part.last), part.searched_to)


def row_of(row: Row[Any], sources: Sources) -> OrderRow:
    """An order of `records.order_list`."""
    return OrderRow(
        row.channel,
        row.order_refnum,
        sources.by_channel.get(row.channel, ""),
        cast(OrderState, row.state),
        row.at,
        row.retailops_order_id or "",
        row.times or 0,
        row.acknowledged_at,
        row.reason or "",
    )


def _channels(scope: Scope, sources: Sources, filters: OrderFilter) -> Collection[str] | None:
    """The keys that scope, channel and vendor leave; None: all."""
    chosen = [scope.keys] if scope.keys is not None else []
    if filters.channel:
        chosen.append(frozenset((filters.channel,)))
    if filters.vendor:
        chosen.append(frozenset(sources.channels_of(filters.vendor)))
    return frozenset.intersection(*chosen) if chosen else None


def _cursor(place: Place | None) -> str:
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=") if place is not None else ""


def _place(after: str) -> Place | None:
    if not after:
        return None
    try:
        place: Place = msgspec.json.decode(urlsafe_b64decode(after + "=" * (-len(after) % 4)), type=Place)
        return place
    except (ValueError, msgspec.DecodeError):
        raise UnknownPlace from None
