"""Rows that say what happened to an order or in a request: of the journal, the ledger, the calls, the hand-outs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Subquery, and_, func, literal, or_, select, true, union_all

from app.records.statements import chunked, visible
from app.records.tables.channels import channels as channel_rows
from app.records.tables.columns import BLANKS
from app.records.tables.deliveries import commands, deliveries, late_events
from app.records.tables.operations import journal, operation_targets, operations
from app.records.tables.orders import handed_out, held_back, packages

SLACK = timedelta(minutes=1)
"""How far the journal's clock may stand from the ledger's: the whole of a callback, and some air."""

MOST_LINES = 2000
"""Journal lines read for one timeline, newest first."""

Rows = Sequence[Row[Any]]

Spans = Mapping[str, tuple[datetime, datetime]]
"""By request id, between when its journal lines may stand."""


def lines_of_order(connection: Connection, channel: str, names: Collection[str]) -> Rows:
    """The journal's lines that name the order, or the cart it was."""
    query = select(journal).where(journal.c.channel == channel, journal.c.order_refnum.in_(names))
    return connection.execute(query.order_by(journal.c.at.desc()).limit(MOST_LINES)).all()


def lines_of_requests(connection: Connection, spans: Spans, channel: str | None = None) -> Rows:
    """The journal's lines of these requests, of all channels or of one.

    A request id is whatever its sender chose: those of two channels may have the same.
    """
    found: list[Row[Any]] = []
    is_seen = true() if channel is None else journal.c.channel == channel
    for some in chunked(list(spans.items()), 50):
        # Each by itself: for all at once the database would walk the journal backwards, for the order of the lines.
        parts = [_lines_between(request_id, first, last, is_seen) for request_id, (first, last) in some]
        lines = union_all(*(select(part) for part in parts)).subquery()
        found += connection.execute(select(lines).order_by(lines.c.at.desc()).limit(MOST_LINES)).all()
    return found


def _lines_between(request_id: str, first: datetime, last: datetime, is_seen: ColumnElement[bool]) -> Subquery:
    between = journal.c.at.between(first - SLACK, last + SLACK)
    lines = select(journal).where(journal.c.request_id == request_id, between, is_seen)
    return lines.order_by(journal.c.at.desc()).limit(MOST_LINES).subquery()


def lines_of_request(connection: Connection, request_id: str, since: datetime) -> Rows:
    """The journal's lines of one request since then."""
    query = select(journal).where(journal.c.at >= since, journal.c.request_id == request_id)
    return connection.execute(query.order_by(journal.c.at.desc()).limit(MOST_LINES)).all()


def requests_like(connection: Connection, channels: Collection[str] | None, start: str, since: datetime) -> list[str]:
    """At most five ids of requests since then that begin so, or the one that is exactly this."""
    found: set[str] = set()
    for table, moment in ((journal, journal.c.at), (commands, commands.c.begun_at)):
        named = table.c.request_id
        begins_so = named.startswith(start, autoescape=True)
        query = select(named).where(moment >= since, begins_so, visible(table.c.channel, channels)).distinct()
        found.update(connection.execute(query.limit(5)).scalars())
    return [start] if start in found else sorted(found)[:5]


def commands_of_order(connection: Connection, channel: str, refnum: str) -> Rows:
    """The ledger's rows of an order, oldest first."""
    return connection.execute(
        select(commands).where(commands.c.channel == channel, commands.c.order_refnum == refnum).order_by(commands.c.id)
    ).all()


def commands_of_request(connection: Connection, request_id: str, owed: Rows) -> Rows:
    """The ledger's rows that a request made, and those of these calls."""
    command_ids = [row.command_id for row in owed]
    return connection.execute(
        select(commands)
        .where(or_(commands.c.request_id == request_id, commands.c.id.in_(command_ids)))
        .order_by(commands.c.id)
    ).all()


def callbacks_of_order(
    connection: Connection, channels: Collection[str] | None, refnum: str
) -> list[tuple[Row[Any], Row[Any] | None]]:
    """The ledger's rows of an order of these channels (None: all), each with its journal line, if that was not lost."""
    known = select(channel_rows.c.key)  # both are named for their index
    of_order = (commands.c.channel.in_(known), commands.c.order_refnum == refnum, visible(commands.c.channel, channels))
    ledger = connection.execute(select(commands).where(*of_order).order_by(commands.c.id)).all()
    lines: dict[int, Row[Any]] = {}
    for some in chunked([row for row in ledger if row.request_id], 50):
        found = connection.execute(union_all(*(select(_line_of_command(row)) for row in some)))
        lines |= {line.command_id: line for line in found}
    return [(row, lines.get(row.id)) for row in ledger]


def _line_of_command(row: Row[Any]) -> Subquery:
    """The journal's line of the callback that made a row of the ledger, and the row's id as `command_id`.

    The request id alone does not tell, for another callback may have brought the same.  The line names the order as
    RetailOps does, which may drop blanks at the ends of a number (R32), or none.
    """
    of, last = journal.c, row.finished_at or row.begun_at
    is_its = (
        of.request_id == row.request_id,
        of.at.between(row.begun_at - SLACK, last + SLACK),
        of.kind == "callback",
        of.channel == row.channel,
        of.name == row.callback,
        func.trim(of.order_refnum, BLANKS).in_(("", row.order_refnum.strip())),
    )
    lines = select(journal, literal(row.id).label("command_id")).where(*is_its)
    return lines.order_by(of.at).limit(1).subquery()


def calls_of_commands(connection: Connection, command_ids: Collection[int]) -> Rows:
    """The calls that these commands owe, oldest first."""
    return connection.execute(
        select(deliveries).where(deliveries.c.command_id.in_(command_ids)).order_by(deliveries.c.id)
    ).all()


def calls_of_request(connection: Connection, request_id: str) -> Rows:
    """The calls that a request owed, oldest first."""
    return connection.execute(
        select(deliveries).where(deliveries.c.request_id == request_id).order_by(deliveries.c.id)
    ).all()


def hand_out_of(connection: Connection, channel: str, refnum: str) -> Row[Any] | None:
    """What RetailOps was given of the order."""
    return connection.execute(
        select(handed_out).where(handed_out.c.channel == channel, handed_out.c.refnum == refnum)
    ).first()


def hold_of(connection: Connection, channel: str, refnum: str) -> Row[Any] | None:
    """Why the order is held back, where it is."""
    return connection.execute(
        select(held_back).where(held_back.c.channel == channel, held_back.c.refnum == refnum)
    ).first()


def packages_of(connection: Connection, channel: str, refnum: str) -> Rows:
    """The packages registered for the order, oldest first."""
    query = select(packages).where(packages.c.channel == channel, packages.c.order_refnum == refnum)
    return connection.execute(query.order_by(packages.c.registered_at, packages.c.key)).all()


def late_events_of(connection: Connection, channel: str, refnum: str) -> Rows:
    """What turned out of the order after an answer, oldest first."""
    query = select(late_events).where(late_events.c.channel == channel, late_events.c.subject == refnum)
    return connection.execute(query.order_by(late_events.c.id)).all()


def acts_on_order(connection: Connection, channel: str, refnum: str) -> Rows:
    """What operators did to the order, oldest first."""
    is_named = and_(
        operation_targets.c.operation_id == operations.c.id,
        operation_targets.c.kind == "order",
        operation_targets.c.id == refnum,
    )
    return connection.execute(
        select(operations)
        .join(operation_targets, is_named)
        .where(operations.c.channel == channel)
        .order_by(operations.c.id)
    ).all()
