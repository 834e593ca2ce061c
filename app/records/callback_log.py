"""Which callbacks were answered, by the journal, and the calls to vendors that they owed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, Row, Select, func, select, tuple_, type_coerce

from app.domain.body_problems import NO_PROBLEMS, BodyProblems
from app.domain.events import Event
from app.records.bounded_search import Part, look_through, to_the_second
from app.records.statements import are_among, chunked, visible
from app.records.tables.channels import channels as channel_rows
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.operations import journal


def calls_about(connection: Connection, orders: Collection[tuple[str, str]]) -> list[Row[Any]]:
    """The deliveries owed for these (channel, order's number), in the order they were owed; without their bodies."""
    of = deliveries.c
    query: Select[Any] = select(
        of.id, of.channel, of.gateway, of.verb, of.state, of.last_code, of.request_id, commands.c.order_refnum
    ).join(commands, commands.c.id == of.command_id)
    found: list[Row[Any]] = []
    for some in chunked(sorted(orders)):
        is_about = are_among(connection, (commands.c.channel, commands.c.order_refnum), some)
        found += connection.execute(query.where(is_about).order_by(of.id)).all()
    return found


def unconfigured_since(connection: Connection, since: datetime) -> Sequence[Row[Any]]:
    """How often pairs that belong to no channel were answered: `outcome`, `number`, `last`; the latest first (R3)."""
    last = func.max(journal.c.at)
    return connection.execute(
        select(journal.c.outcome, func.count().label("number"), last.label("last"))
        .where(journal.c.channel == "unconfigured")
        .where(journal.c.kind == "callback", journal.c.at >= since)
        .group_by(journal.c.outcome)
        .order_by(last.desc(), journal.c.outcome)
    ).all()


@dataclass(frozen=True)
class CallbackChoice:
    """Which callbacks of the log; what is empty does not restrict.  Times are those of answering."""

    channel: str = ""
    """Key of the records; also: unconfigured, dry_run."""
    callback: str = ""
    order: str = ""
    request_id: str = ""
    status_class: Literal["", "2", "4", "5"] = ""
    outcome: str = ""
    """Compared without regard to case."""
    slower_than_ms: int = 0
    since: datetime | None = None
    until: datetime | None = None


_AT = type_coerce(journal.c.at, BigInteger)
"""The moment in milliseconds."""


def page(
    connection: Connection,
    chosen: CallbackChoice,
    *,
    channels: Collection[str] | None,
    before: Sequence[int] | None,
    limit: int,
    searched: int,
) -> Part:
    """The callbacks of these channels (None: all) before a (time in ms, id), newest first.

    Those of an order or a request have an index; of all others at most `searched` lines are looked through.
    """
    bounds: list[ColumnElement[bool]] = []
    if before is not None:
        bounds.append(tuple_(_AT, journal.c.id) < tuple_(*before))
    if chosen.since:
        bounds.append(journal.c.at >= chosen.since)
    if chosen.until:
        bounds.append(journal.c.at < chosen.until)
    if chosen.order:
        # Both are named for their index.
        of = journal.c.channel
        of_channels = of == chosen.channel if chosen.channel else of.in_(select(channel_rows.c.key))
        bounds += [journal.c.order_refnum == chosen.order, of_channels]
    if chosen.request_id:
        bounds.append(journal.c.request_id == chosen.request_id)
    listed = select(journal).where(*bounds)
    part = look_through(
        connection, listed, lambda of: _rules(of, chosen, channels), by=("at", "id"), limit=limit, searched=searched
    )
    return part if channels is None else to_the_second(part, before, 0)


def _rules(columns: Any, chosen: CallbackChoice, channels: Collection[str] | None) -> list[ColumnElement[bool]]:
    rules: list[ColumnElement[bool]] = [columns.kind == "callback", visible(columns.channel, channels)]
    for column, value in ((columns.channel, chosen.channel), (columns.name, chosen.callback)):
        if value:
            rules.append(column == value)
    if chosen.status_class:
        first = int(chosen.status_class) * 100
        rules.append(columns.status.between(first, first + 99))
    if chosen.outcome:
        rules.append(func.lower(columns.outcome) == chosen.outcome.lower())
    if chosen.slower_than_ms:
        rules.append(columns.duration_ms > chosen.slower_than_ms)
    return rules


def line(connection: Connection, journal_id: int) -> Row[Any] | None:
    """The journal's line of one callback; None where it is of another kind, or gone."""
    return connection.execute(select(journal).where(journal.c.id == journal_id, journal.c.kind == "callback")).first()


MOST_CALLS = 500
"""Vendor calls of one request that are shown, the first ones."""


def vendor_calls(connection: Connection, channel: str, request_id: str) -> Sequence[Row[Any]]:
    """The journal's lines of the vendor calls of one request, oldest first."""
    return connection.execute(
        select(journal)
        .where(journal.c.request_id == request_id, journal.c.channel == channel, journal.c.kind == "vendor")
        .order_by(journal.c.at, journal.c.id)
        .limit(MOST_CALLS)
    ).all()


def events_of(connection: Connection, line: Row[Any]) -> tuple[Event, ...]:
    """The events that a callback was answered with; else those that the ledger keeps of its command."""
    kept: list[bytes] = [line.events]
    if line.events is None:
        of = commands.c
        of_order = (of.channel == line.channel, of.order_refnum == line.order_refnum)
        rows = connection.execute(select(of.events).where(*of_order, of.request_id == line.request_id))
        kept = list(rows.scalars())
    return tuple(event for events in kept for event in msgspec.json.decode(events, type=list[Event]))


def has_error(events: bytes | None) -> bool:
    """Whether one of the events of a row is an error."""
    found = msgspec.json.decode(events, type=list[Event]) if events else ()
    return any(event.event_type == "error" for event in found)


def problems_of(line: Row[Any]) -> BodyProblems:
    """What was wrong with the body of a callback, or with our answer."""
    return msgspec.json.decode(line.problems, type=BodyProblems) if line.problems else NO_PROBLEMS


def deliveries_of(connection: Connection, channel: str, order: str, request_id: str) -> list[int]:
    """The ids of the calls that one request left to be made for an order."""
    owed = select(deliveries.c.id).join(commands, commands.c.id == deliveries.c.command_id)
    found = owed.where(commands.c.channel == channel, commands.c.order_refnum == order)
    return list(connection.execute(found.where(deliveries.c.request_id == request_id)).scalars())
