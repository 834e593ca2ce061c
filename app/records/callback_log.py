"""Which callbacks were answered, by the journal, and the calls to vendors that they owed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, tuple_

from app.records.tables.deliveries import commands, deliveries
from app.records.tables.operations import journal


@dataclass(frozen=True)
class CallbackFilter:
    """Which callbacks; what is empty does not restrict, but an order is only looked for on these channels.

    `outcome` is compared without regard to case.  Times are those of answering.
    """

    channels: Collection[str] = ()
    order: str = ""
    callback: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None


def find(connection: Connection, wanted: CallbackFilter, limit: int) -> Sequence[Row[Any]]:
    """The journal's lines of these callbacks, newest first."""
    query = select(journal).where(journal.c.kind == "callback").order_by(journal.c.at.desc()).limit(limit)
    if wanted.channels or wanted.order:
        query = query.where(journal.c.channel.in_(wanted.channels))
    if wanted.order:
        query = query.where(journal.c.order_refnum == wanted.order)
    if wanted.callback:
        query = query.where(journal.c.name == wanted.callback)
    if wanted.outcome:
        query = query.where(func.lower(journal.c.outcome) == wanted.outcome.lower())
    if wanted.since:
        query = query.where(journal.c.at >= wanted.since)
    if wanted.until:
        query = query.where(journal.c.at < wanted.until)
    return connection.execute(query).all()


def calls_about(connection: Connection, orders: Collection[tuple[str, str]]) -> Sequence[Row[Any]]:
    """The deliveries owed for these (channel, order's number), in the order they were owed."""
    if not orders:
        return ()
    return connection.execute(
        select(deliveries)
        .join(commands, commands.c.id == deliveries.c.command_id)
        .where(tuple_(commands.c.channel, commands.c.order_refnum).in_(list(orders)))
        .order_by(deliveries.c.id)
    ).all()


def unconfigured_since(connection: Connection, since: datetime) -> Sequence[Row[Any]]:
    """How often pairs that belong to no channel were answered: `outcome`, `number`, `last`; the latest first (R3)."""
    last = func.max(journal.c.at)
    return connection.execute(
        select(journal.c.outcome, func.count().label("number"), last.label("last"))
        .where(journal.c.channel == "unconfigured")
        .where(journal.c.kind == "callback", journal.c.at >= since)
        .group_by(journal.c.outcome)
        .order_by(last.desc())
    ).all()
