"""Counts how vendors' own requests to this server were answered, so that an operator sees why they are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, delete, func, select

from app.records.statements import upsert
from app.records.tables.gateways import inbound_requests

PERIOD_S = 600
"""Answers of so many seconds are counted in one row."""

NOBODY = ""
"""Stands for the channel of requests for an account that no channel has; their reason names it."""

KEPT_FOR = timedelta(days=1)


class Answered(NamedTuple):
    """Answers of one kind: which request, with which status, and why it was refused ("" where it was not)."""

    topic: str
    status: int
    reason: str


class Counted(NamedTuple):
    """Where and when `Answered` is counted."""

    channel: str
    gateway: str
    at: datetime
    answered: Answered


def period_of(now: datetime) -> datetime:
    """The begin of the period a moment is counted in."""
    return now - timedelta(seconds=now.timestamp() % PERIOD_S)


def add(connection: Connection, counts: Mapping[Counted, int]) -> None:
    """Count these answers."""
    table = inbound_requests
    # One order of rows for all processes, so that two of them never wait for each other.
    for counted, count in sorted(counts.items()):
        row = {**counted._asdict(), **counted.answered._asdict(), "count": count}
        del row["answered"]
        upsert(connection, table, row, lambda added: {"count": table.c["count"] + added["count"]})


def since(connection: Connection, channel: str, gateway: str, moment: datetime) -> dict[Answered, int]:
    """Answers counted since the period of this moment began, most frequent first."""
    table = inbound_requests
    number = func.sum(table.c["count"])
    rows = connection.execute(
        select(table.c.topic, table.c.status, table.c.reason, number)
        .where(table.c.channel == channel, table.c.gateway == gateway, table.c.at >= period_of(moment))
        .group_by(table.c.topic, table.c.status, table.c.reason)
        .order_by(number.desc(), table.c.topic, table.c.reason)
    )
    return {Answered(topic, status, reason): int(count) for topic, status, reason, count in rows}


def expired(now: datetime) -> Select[Any]:
    """Keys of what is past its day."""
    table = inbound_requests
    return select(table.c.channel, table.c.at).where(table.c.at < now - KEPT_FOR).distinct().order_by(table.c.at)


def purge(connection: Connection, rows: Sequence[Any]) -> None:
    """Delete these."""
    table = inbound_requests
    for row in rows:
        connection.execute(delete(table).where(table.c.channel == row.channel, table.c.at == row.at))
