"""The list of all orders this server knows, newest first, each with the word for its state."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    type_coerce,
)

from app.records.statements import visible
from app.records.tables.columns import Moment
from app.records.tables.operations import IS_ORDER_KEY, search_keys
from app.records.tables.orders import handed_out, held_back
from app.records.tables.storefront import orders

Place = tuple[int, str, str]
"""Where an order stands in the list: when it was learned of in milliseconds, its channel, its number."""

_KEY, _GIVEN, _HELD, _KEPT = search_keys.c, handed_out.c, held_back.c, orders.c
_AT = type_coerce(_KEY.at, BigInteger)

_NOW = bindparam("now", type_=Moment)
_IS_CANCELLED = or_(_GIVEN.state == "cancelled", _KEPT.cancelled_at.is_not(None), _KEPT.state == "cancelled")
_IS_COMPLETED = or_(_GIVEN.state == "completed", _KEPT.state == "completed")
_IS_UNPAID = and_(_KEPT.refnum.is_not(None), or_(_KEPT.exportable_at.is_(None), _KEPT.exportable_at > _NOW))

STATE = case(
    (_IS_CANCELLED, "cancelled"),
    (_KEPT.state == "refunded", "refunded"),
    (and_(_IS_COMPLETED, func.coalesce(_GIVEN.left_open, "") != ""), "left open"),
    (_IS_COMPLETED, "completed"),
    (_GIVEN.acknowledged_at.is_not(None), "acknowledged"),
    (_HELD.refnum.is_not(None), "held back"),
    (_GIVEN.times > 0, "handed out"),
    (_KEPT.state == "review", "review"),
    (_IS_UNPAID, "unpaid"),
    else_="waiting",
)
"""The word for an order's state; the first that fits."""


@dataclass(frozen=True)
class Chosen:
    """Which orders: of these channels (None: all), in this state, learned of in this time; "" and None: any."""

    channels: Collection[str] | None
    state: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Part:
    """Rows, newest first; `last` is where the next part begins, None at the end.

    `searched_to`: where the search for orders of a rare state stopped.
    """

    rows: Sequence[Row[Any]]
    last: Place | None
    searched_to: datetime | None = None


def page(
    connection: Connection, chosen: Chosen, *, before: Place | None, now: datetime, limit: int, searched: int
) -> Part:
    """At most `limit` orders before a place; with a state at most `searched` orders are looked through for it."""
    keys = newest(chosen, before).limit(searched if chosen.state else limit + 1).subquery()
    wanted = _rows(keys).order_by(keys.c.at.desc(), keys.c.channel.desc(), keys.c.order_refnum.desc())
    if chosen.state:
        wanted = wanted.where(STATE.in_([chosen.state]))
    rows = connection.execute(wanted.limit(limit + 1), {"now": now}).all()
    if len(rows) > limit:
        return Part(rows[:limit], _place(rows[limit - 1]))
    if not chosen.state:
        return Part(rows, None)
    end = connection.execute(newest(chosen, before).offset(searched - 1).limit(1)).first()
    return Part(rows, None) if end is None else Part(rows, _place(end), end.at)


def one(connection: Connection, channel: str, refnum: str, now: datetime) -> Row[Any] | None:
    """The row of one order; None where this server does not know it."""
    known = (
        select(_KEY.at, _KEY.channel, _KEY.order_refnum)
        .where(_KEY.channel == channel, _KEY.order_refnum == refnum, _KEY.kind == "order")
        .limit(1)
        .subquery()
    )
    return connection.execute(_rows(known), {"now": now}).first()


def newest(chosen: Chosen, before: Place | None) -> Select[Any]:
    """The orders before a place, newest first, whatever their state; reads the index of orders."""
    wanted = select(_KEY.at, _KEY.channel, _KEY.order_refnum).where(
        literal_column(IS_ORDER_KEY), visible(func.coalesce(_KEY.channel, ""), chosen.channels)
    )
    if before is not None:
        wanted = wanted.where(tuple_(_AT, _KEY.channel, _KEY.order_refnum) < tuple_(*before))
    if chosen.since is not None:
        wanted = wanted.where(_KEY.at >= chosen.since)
    if chosen.until is not None:
        wanted = wanted.where(_KEY.at < chosen.until)
    return wanted.order_by(_KEY.at.desc(), _KEY.channel.desc(), _KEY.order_refnum.desc())


def _rows(keys: Any) -> Select[Any]:
    def same(of: Any, number: ColumnElement[str]) -> ColumnElement[bool]:
        return and_(of.channel == keys.c.channel, number == keys.c.order_refnum)

    return (
        select(
            keys.c.at,
            keys.c.channel,
            keys.c.order_refnum,
            STATE.label("state"),
            _GIVEN.retailops_order_id,
            _GIVEN.times,
            _GIVEN.acknowledged_at,
            _HELD.reason,
        )
        .select_from(keys)
        .outerjoin(handed_out, same(_GIVEN, _GIVEN.refnum))
        .outerjoin(held_back, same(_HELD, _HELD.refnum))
        .outerjoin(orders, same(_KEPT, _KEPT.refnum))
    )


def _place(row: Row[Any]) -> Place:
    return int(row.at.timestamp() * 1000), row.channel, row.order_refnum
