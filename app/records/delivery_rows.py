"""Deliveries as operators see them: chosen by a filter, and changed only while they are as the operator saw them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select, update

from app.records import leases, outbox
from app.records.bounded_search import Part, look_through, to_the_second
from app.records.deliveries import OPEN_STATES, STATES
from app.records.statements import are_among, chunked, visible
from app.records.tables.channels import channels as channel_rows
from app.records.tables.deliveries import IS_OPEN, commands, deliveries


@dataclass(frozen=True)
class DeliveryFilter:
    """Which deliveries; what is empty does not restrict.  Times are those of owing."""

    ids: Collection[int] = ()
    order: str = ""
    channel: str = ""
    gateway: str = ""
    states: Collection[str] = ()
    since: datetime | None = None
    until: datetime | None = None


def find(connection: Connection, which: DeliveryFilter) -> Sequence[Row[Any]]:
    """The deliveries, newest first; whole rows, so the caller takes care of the body."""
    query = select(deliveries).where(*_restrictions(which)).order_by(deliveries.c.id.desc())
    return connection.execute(query).all()


def page(
    connection: Connection,
    which: DeliveryFilter,
    *,
    channels: Collection[str] | None,
    before: int | None,
    limit: int,
    searched: int,
) -> Part:
    """The calls of these channels (None: all) before an id, newest first.

    Open ones and those of an order have an index; of all others at most `searched` are looked through.
    """
    rules = [*_restrictions(which), visible(deliveries.c.channel, channels)]
    listed = select(deliveries.c.id, deliveries.c.created_at.label("at"))
    if before is not None:
        listed = listed.where(deliveries.c.id < before)
    if _is_indexed(which):
        listed = listed.where(*rules)
    part = look_through(
        connection, listed, lambda _: rules, by=("id",), limit=limit, searched=searched,
        shown=lambda some: select(deliveries).join(some, some.c.id == deliveries.c.id),
    )  # fmt: skip
    return part if channels is None else to_the_second(part, None)


def oldest(
    connection: Connection, which: DeliveryFilter, *, channels: Collection[str] | None, limit: int
) -> Sequence[Row[Any]]:
    """The first `limit` calls that are chosen, oldest first."""
    rules = [*_restrictions(which), visible(deliveries.c.channel, channels)]
    return connection.execute(select(deliveries).where(*rules).order_by(deliveries.c.id).limit(limit)).all()


def of_ids(connection: Connection, ids: Collection[int]) -> list[Row[Any]]:
    """These calls."""
    by_id: Select[Any] = select(deliveries)
    return [row for some in chunked(ids) for row in connection.execute(by_id.where(deliveries.c.id.in_(some))).all()]


def open_of_order(connection: Connection, channel: str, refnum: str) -> Sequence[Row[Any]]:
    """The open calls of an order, oldest first, those whose lane is another's: a report has its shopper's."""
    of_order = select(commands.c.id).where(commands.c.channel == channel, commands.c.order_refnum == refnum)
    is_its = or_(deliveries.c.lane == refnum, deliveries.c.command_id.in_(of_order))
    query = select(deliveries).where(deliveries.c.channel == channel, IS_OPEN, is_its)
    return connection.execute(query.order_by(deliveries.c.id)).all()


def _is_indexed(which: DeliveryFilter) -> bool:
    return bool(which.ids or which.order) or (bool(which.states) and set(which.states) <= set(OPEN_STATES))


def count(connection: Connection, which: DeliveryFilter, *, channels: Collection[str] | None) -> int:
    """How many are chosen of these channels (None: all)."""
    rules = [*_restrictions(which), visible(deliveries.c.channel, channels)]
    found = connection.execute(select(func.count()).select_from(deliveries).where(*rules))
    return int(found.scalar_one())


def _restrictions(which: DeliveryFilter) -> list[ColumnElement[bool]]:
    table = deliveries.c
    rules: list[ColumnElement[bool]] = []
    if which.ids:
        rules.append(table.id.in_(which.ids))
    if which.order:
        known = select(channel_rows.c.key)
        of_order = (commands.c.order_refnum == which.order, commands.c.channel.in_(known))
        rules.append(table.command_id.in_(select(commands.c.id).where(*of_order)))
    for column, value in ((table.lane, which.order), (table.channel, which.channel), (table.gateway, which.gateway)):
        if value:
            rules.append(column == value)
    if which.states:
        rules.append(outbox.is_in(deliveries, [state for state in STATES if state in which.states]))
    if which.states and set(which.states) <= set(OPEN_STATES):
        rules.append(outbox.is_in(deliveries, OPEN_STATES))  # the condition of the open calls' index
    if which.since:
        rules.append(table.created_at >= which.since)
    if which.until:
        rules.append(table.created_at < which.until)
    return rules


def holders(connection: Connection, rows: Iterable[Row[Any]]) -> dict[int, int]:
    """Of the open ones among these, by id, the call of its lane that has to be over before it is tried (R12)."""
    of = deliveries.c
    open_rows = [row for row in rows if row.state in OPEN_STATES]
    first: dict[tuple[str, str, str], int] = {}
    for some in chunked(sorted({(row.channel, row.gateway, row.lane) for row in open_rows})):
        lanes = select(of.channel, of.gateway, of.lane, func.min(of.id)).where(
            are_among(connection, (of.channel, of.gateway, of.lane), some), IS_OPEN
        )
        found = connection.execute(lanes.group_by(of.channel, of.gateway, of.lane))
        first |= {(channel, gateway, lane): holder for channel, gateway, lane, holder in found}
    held = {row.id: first.get((row.channel, row.gateway, row.lane), row.id) for row in open_rows}
    return {number: holder for number, holder in held.items() if holder < number}


def command_of(connection: Connection, row: Row[Any]) -> Row[Any]:
    """The command in the ledger that this call is owed for."""
    return connection.execute(select(commands).where(commands.c.id == row.command_id)).one()


def order_of(row: Row[Any]) -> str:
    """What a change to this call is serialised by (`Database.write`)."""
    return f"{row.channel}/{row.lane}"


def is_under_way(row: Row[Any], now: datetime) -> bool:
    """True while somebody holds the call's lease."""
    return leases.is_held(row.lease_until, now)


def change(connection: Connection, row: Row[Any], now: datetime, values: Mapping[str, Any]) -> bool:
    """Write these values if nobody holds the call, and it is in the state and at the attempt the operator saw (R34).

    False, and nothing written, where it is not.
    """
    changed = connection.execute(
        update(deliveries)
        .where(
            deliveries.c.id == row.id,
            deliveries.c.state == row.state,
            deliveries.c.attempts == row.attempts,
            leases.is_free(deliveries.c.lease_until, now),
        )
        .values(**values)
    )
    return changed.rowcount == 1


def close(connection: Connection, row: Row[Any], now: datetime, values: Mapping[str, Any]) -> bool:
    """The same for a call that is over with it: its body goes and its lane is free."""
    over = {"body": None, **leases.ENDED, "closed_at": now}
    if not change(connection, row, now, {**over, **values}):
        return False
    outbox.wake_lanes(connection, {(row.channel, row.gateway, row.lane): now})
    return True
