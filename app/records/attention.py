"""What waits for an operator, counted by channel: open calls, orders RetailOps does not have, late events.

`channels` are the keys of those that are looked at; None: all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, func, or_, select

from app.records import callback_log, outbox
from app.records.deliveries import DUE_STATES
from app.records.statements import visible
from app.records.tables.deliveries import IS_OPEN, commands, deliveries, late_events
from app.records.tables.figures import last_calls
from app.records.tables.money import IS_IN_DOUBT, refunds
from app.records.tables.orders import IS_LEFT_OPEN, IS_TIRED, handed_out, held_back

UNOFFERED_FOR = timedelta(days=7)
"""An order that was not handed out for so long is left out: its source does not offer it any more."""

NAMED = 3
"""Orders of a channel that are named one by one, the oldest."""

_NUMBER = func.count().label("number")


@dataclass(frozen=True)
class WaitingOrders:
    """Orders of one channel: how many, since when the oldest waits, and the first of them, each with its reason."""

    channel: str
    number: int
    since: datetime
    first: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        named = "; ".join(f"{refnum} ({reason})" for refnum, reason in self.first)
        more = self.number - len(self.first)
        return named + (f", and {more} more" if more else "")


def open_calls(connection: Connection, channels: Collection[str] | None = None) -> Sequence[Row[Any]]:
    """Calls that are not over: `channel`, `gateway`, `state`, their `number`, and `since` when the oldest is owed."""
    columns = (deliveries.c.channel, deliveries.c.gateway, deliveries.c.state)
    return connection.execute(
        select(*columns, _NUMBER, func.min(deliveries.c.created_at).label("since"))
        .where(IS_OPEN, visible(deliveries.c.channel, channels))
        .group_by(*columns)
        .order_by(*columns)
    ).all()


def orders_of_parked_calls(connection: Connection, channel: str, gateway: str) -> list[str]:
    """The first `NAMED` orders that parked calls to the vendor are about, the one that was owed first before others."""
    order_refnum = commands.c.order_refnum
    return list(
        connection.execute(
            select(order_refnum)
            .select_from(deliveries.join(commands, commands.c.id == deliveries.c.command_id))
            .where(deliveries.c.channel == channel, deliveries.c.gateway == gateway, deliveries.c.state == "parked")
            .where(IS_OPEN, order_refnum != "")
            .group_by(order_refnum)
            .order_by(func.min(deliveries.c.id))
            .limit(NAMED)
        ).scalars()
    )


def calls_failed_with(
    connection: Connection, codes: Collection[str], channels: Collection[str] | None = None
) -> Sequence[Row[Any]]:
    """Calls that are tried again and failed last with one of these codes, or with an error that names one.

    `channel`, `gateway`, `verb`, their `number`, and one of their errors as `said`.
    """
    columns = (deliveries.c.channel, deliveries.c.gateway, deliveries.c.verb)
    named = [deliveries.c.last_error.contains(code, autoescape=True) for code in codes]
    return connection.execute(
        select(*columns, _NUMBER, func.max(deliveries.c.last_error).label("said"))
        .where(outbox.is_in(deliveries, DUE_STATES), visible(deliveries.c.channel, channels))
        .where(or_(deliveries.c.last_code.in_(codes), *named))
        .group_by(*columns)
        .order_by(*columns)
    ).all()


def held_back_orders(connection: Connection, channels: Collection[str] | None = None) -> list[WaitingOrders]:
    """Orders that cannot be given to RetailOps, the oldest first."""
    return _orders(connection, held_back.c.reason, held_back.c.since, visible(held_back.c.channel, channels))


def unacknowledged(
    connection: Connection, now: datetime, channels: Collection[str] | None = None
) -> Sequence[Row[Any]]:
    """Orders RetailOps was given again and again and never acknowledged (R18): `channel`, `number`, `one` of them."""
    return connection.execute(
        select(handed_out.c.channel, _NUMBER, func.min(handed_out.c.refnum).label("one"))
        .where(
            visible(handed_out.c.channel, channels),
            IS_TIRED,
            handed_out.c.last_handed_at > now - UNOFFERED_FOR,
        )
        .group_by(handed_out.c.channel)
    ).all()


def left_open(connection: Connection, since: datetime, channels: Collection[str] | None = None) -> list[WaitingOrders]:
    """Orders whose completion since then left units open, the oldest first."""
    of = handed_out.c
    rules = (IS_LEFT_OPEN, of.left_open_at > since, visible(of.channel, channels))
    return _orders(connection, of.left_open, of.left_open_at, *rules)


def _orders(
    connection: Connection, reason: Column[str], at: Column[datetime], *rules: ColumnElement[bool]
) -> list[WaitingOrders]:
    of = reason.table.c
    oldest = func.min(at).label("since")
    grouped = select(of.channel, _NUMBER, oldest).where(*rules).group_by(of.channel).order_by(oldest, of.channel)
    first = select(of.refnum, reason).where(*rules).order_by(at, of.refnum).limit(NAMED)
    return [
        WaitingOrders(
            row.channel, row.number, row.since,
            tuple((one[0], one[1]) for one in connection.execute(first.where(of.channel == row.channel))),
        )
        for row in connection.execute(grouped).all()
    ]  # fmt: skip


def open_late_events(connection: Connection, channels: Collection[str] | None = None) -> Sequence[Row[Any]]:
    """Late events nobody has dismissed: `channel`, their `number`, `since` when, how many were `sent`."""
    since = func.min(late_events.c.at).label("since")
    return connection.execute(
        select(late_events.c.channel, _NUMBER, func.count(late_events.c.sent_at).label("sent"), since)
        .where(late_events.c.dismissed_at.is_(None), visible(late_events.c.channel, channels))
        .group_by(late_events.c.channel)
    ).all()


def refunds_in_doubt(connection: Connection, channels: Collection[str] | None = None) -> Sequence[Row[Any]]:
    """Refunds of which a person has to find out whether they were paid: `channel`, their `number`, `since` when."""
    return connection.execute(
        select(refunds.c.channel, _NUMBER, func.min(refunds.c.created_at).label("since"))
        .where(IS_IN_DOUBT, visible(refunds.c.channel, channels))
        .group_by(refunds.c.channel)
    ).all()


def wrong_pairs(connection: Connection, since: datetime) -> Sequence[Row[Any]]:
    """Pairs that belong to no channel and called with a good key: `outcome`, their `number`, `last`; latest first (R3).

    Counted only where any was seen since then, for the journal has no index of them.
    """
    seen = select(last_calls.c.at).where(last_calls.c.channel == "unconfigured", last_calls.c.at >= since).limit(1)
    if connection.execute(seen).first() is None:
        return ()
    return callback_log.unconfigured_since(connection, since)
