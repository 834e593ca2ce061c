"""The list of all orders this server knows, newest first, each with the word for its state."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
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

from app.domain.moments import to_ms
from app.records.bounded_search import Part, look_through, to_the_second
from app.records.statements import are_among, chunked, visible
from app.records.tables.columns import Moment
from app.records.tables.operations import IS_ORDER_KEY, search_keys
from app.records.tables.orders import handed_out, held_back
from app.records.tables.storefront import orders

AT_ONCE = 50
"""Orders that one statement names: of many more PostgreSQL looks at the whole table for each."""

Place = tuple[int, str, str]
"""Where an order stands in the list: when it was learned of in milliseconds, its channel, its number."""

_KEY, _GIVEN, _HELD, _KEPT = search_keys.c, handed_out.c, held_back.c, orders.c

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


def page(
    connection: Connection, chosen: Chosen, *, before: Place | None, now: datetime, limit: int, searched: int
) -> Part:
    """At most `limit` orders before a place, newest first, with the columns of `_rows`.

    For those of a state or of several channels at most `searched` are looked through: of one channel, and of what is
    held back, no others are.
    """
    listed, by = newest(chosen, before), ("at", "channel", "order_refnum")
    if chosen.state:

        def rules(of: Any) -> tuple[ColumnElement[bool], ...]:
            return visible(of.channel, chosen.channels), STATE.in_([chosen.state])

        part = look_through(
            connection, listed, rules, by=by, limit=limit, searched=searched, shown=_rows, parameters={"now": now}
        )
        return _without_strangers(part, before)
    # What belongs to an order is read for those of the page alone.
    some = limit + 1 if chosen.channels is None or _only(chosen) else searched
    part = look_through(
        connection, listed, lambda of: [visible(of.channel, chosen.channels)], by=by, limit=limit, searched=some
    )
    part = _without_strangers(part, before)
    keys = [(row.channel, row.order_refnum) for row in part.rows]
    by_key: dict[tuple[str, str], Row[Any]] = {}
    for named in chunked(keys, AT_ONCE):
        known = select(_KEY.at, _KEY.channel, _KEY.order_refnum).where(
            _KEY.kind == "order", are_among(connection, (_KEY.channel, _KEY.order_refnum), named)
        )
        rows = connection.execute(_rows(known.subquery()), {"now": now})
        by_key.update({(row.channel, row.order_refnum): row for row in rows})
    return replace(part, rows=[by_key[key] for key in keys if key in by_key])


def _without_strangers(part: Part, before: Place | None) -> Part:
    """The place where a search stopped may be an order of a channel that the reader does not see: its second stands for
    it.  Where all that was looked through is of one second, its moment does, and the orders of that moment are left to
    the next page, unless this one had no others."""
    if part.searched_to is None:
        return part
    by_second = to_the_second(part, before, "", "")
    if by_second is not part:
        return by_second
    end_ms = to_ms(part.searched_to)
    if before == (end_ms + 1, "", ""):
        return replace(part, last=(end_ms, "", ""))
    return replace(part, rows=[row for row in part.rows if to_ms(row.at) > end_ms], last=(end_ms + 1, "", ""))


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
    """The orders before a place in the chosen time; reads the index of orders, or that of the only channel's.

    They are of whatever channel where several are chosen, and of whatever state unless it is held back.
    """
    is_held_back, only = chosen.state == "held back", _only(chosen)
    of = _held_back(chosen.channels) if is_held_back else _KEY
    listed = select(of.at, of.channel, of.order_refnum)
    listed = listed.where(of.at.is_not(None) if is_held_back else literal_column(IS_ORDER_KEY))
    at = type_coerce(of.at, BigInteger)
    if only:
        listed = listed.where(of.channel == only)
    if before is not None and before[1] == only:
        listed = listed.where(tuple_(at, of.order_refnum) < tuple_(before[0], before[2]))
    elif before is not None:
        listed = listed.where(tuple_(at, of.channel, of.order_refnum) < tuple_(*before))
    if chosen.since is not None:
        listed = listed.where(of.at >= chosen.since)
    if chosen.until is not None:
        listed = listed.where(of.at < chosen.until)
    return listed


def _only(chosen: Chosen) -> str:
    """The channel where just one is chosen, else ""."""
    return next(iter(chosen.channels)) if chosen.channels is not None and len(chosen.channels) == 1 else ""


def _held_back(channels: Collection[str] | None) -> Any:
    """The columns of what is held back: a few among all orders, so that each one's own is read by its number."""
    at = select(_KEY.at).where(
        _KEY.channel == _HELD.channel, _KEY.order_refnum == _HELD.refnum, literal_column(IS_ORDER_KEY)
    )
    listed = select(at.limit(1).scalar_subquery().label("at"), _HELD.channel, _HELD.refnum.label("order_refnum"))
    return listed.where(visible(_HELD.channel, channels)).subquery().c


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
