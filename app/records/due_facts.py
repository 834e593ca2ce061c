"""Which facts and polls are due: of all gateways in one statement, and of one so that its syncer takes no write lock.

So an idle server looks once, however many gateways it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    bindparam,
    false,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.sql.selectable import CompoundSelect

from app.domain.moments import moment_of
from app.records import polls, sync_state
from app.records.catalogue_batches import CATALOGUE
from app.records.indexed_streams import Stream, streams_in
from app.records.statements import Prepared, among
from app.records.stock_batches import STOCK
from app.records.synced_facts import SyncedFacts
from app.records.tables.columns import Moment
from app.records.tables.stock import sync_states

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Due:
    """What may be done now."""

    poll: bool
    catalogue: bool
    stock: bool


def due(connection: Connection, channel: str, gateway: str, now: datetime, *, poll_every_s: float = 0.0) -> Due:
    """`poll_every_s`: seconds between two polls, 0 where the gateway is never polled."""
    found = connection.execute(
        select(
            polls.is_due(channel, gateway, poll_every_s, now) if poll_every_s else false(),
            CATALOGUE.is_due(channel, gateway, now),
            STOCK.is_due(channel, gateway, now),
        )
    ).one()
    return Due(*map(bool, found))


def due_streams(
    connection: Connection, now: datetime, until: datetime, polled: Mapping[Stream, float]
) -> dict[Stream, datetime]:
    """When each (channel, gateway) has facts to receive or is to be polled: now or before, or else by `until`.

    `polled` says of each that is ever polled how many seconds lie between two polls.  Also gateways that are no longer
    configured.
    """
    found: dict[Stream, datetime] = {}
    tokens = {token for _, token in polled}
    for row in _DUE_STREAMS.execute(connection, {"until": until, "polled": tokens}):
        stream, first, second = (row.channel, row.gateway), moment_of(row.first), moment_of(row.second)
        if (row.kind == "again" and first is None) or (row.kind == "poll" and stream not in polled):
            continue
        if row.kind == "poll":
            first, second = polls.due_at(first, second, polled[stream]), None
        at = max(first or LONG_AGO, second or LONG_AGO)
        if at <= until:
            found[stream] = min(at, found.get(stream, at))
    return found


_UNTIL = bindparam("until", type_=Moment)


def _due_streams(dialect: str) -> CompoundSelect[Any]:
    facts = [part for kind in (CATALOGUE, STOCK) for part in _facts(kind, dialect)]
    return union_all(*facts, _polls())


def _facts(kind: SyncedFacts, dialect: str) -> list[Select[Any]]:
    """SQL: `first` is when the facts are due, 0: since they are there; `second` until when this kind is paused."""
    rows, table = kind.table.c, kind.table
    owed = streams_in(table, f"ix_{table.name}_owed", dialect)
    again = streams_in(table, f"ix_{table.name}_again", dialect)
    own = (rows.channel == again.c.channel, rows.gateway == again.c.gateway, kind.comes_again(_UNTIL))
    at = select(func.min(rows.again_at)).where(*own).scalar_subquery()
    return [
        select(owed.c.channel, owed.c.gateway, _named("owed"), literal_column("0").label("first"),
               sync_state.paused_until(kind.kind, owed).label("second")),
        select(again.c.channel, again.c.gateway, _named("again"), at.label("first"),
               sync_state.paused_until(kind.kind, again).label("second")),
    ]  # fmt: skip


def _named(kind: str) -> ColumnElement[str]:
    return literal_column(f"'{kind}'", String).label("kind")


def _polls() -> Select[Any]:
    """SQL: `first` is when a poll is due, null: since ever; `second` since when the vendor's last hint counts."""
    of = sync_states.c
    is_near = of.poll_due_at.is_(None) | (of.poll_due_at <= _UNTIL) | (of.hinted_at <= _UNTIL)
    return select(
        of.channel, of.gateway, _named("poll"), of.poll_due_at.label("first"),
        of.hinted_at.label("second"),
    ).where(among(of.gateway, "polled"), is_near, polls.concerns(of.channel, of.gateway))  # fmt: skip


_DUE_STREAMS = Prepared(_due_streams)
