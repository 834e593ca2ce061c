"""Hints of a vendor that something changed there, which concern every process, whichever they came to.

A chore's row for each (channel, gateway) says since when the last one counts.  That is never sooner than `LEAST`
after the one before, so that a flood of hints is no flood of calls to the vendor.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.records import leases
from app.records.tables.server import chores
from app.records.tables.stock import fact_streams

LEAST: Final = timedelta(seconds=10)


def last(connection: Connection, channel: str, gateway: str) -> datetime | None:
    """Since when the last hint counts; it may be soon.  None before the first."""
    return connection.execute(select(chores.c.due_at).where(chores.c.name == _name(channel, gateway))).scalar()


def is_coming(hint: datetime | None, now: datetime) -> bool:
    """Whether the last hint does not count yet, so that another one now says nothing new."""
    return hint is not None and now < hint <= now + LEAST


def give(connection: Connection, channel: str, gateway: str, now: datetime) -> None:
    """A hint has come."""
    before = last(connection, channel, gateway)
    if is_coming(before, now):
        return
    # One that lies further ahead is of a clock that was set back since.
    due_at = now if before is None or before > now else max(now, before + LEAST)
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(
        insert(chores)
        .values(name=_name(channel, gateway), due_at=due_at)
        .on_conflict_do_update(index_elements=[chores.c.name], set_={"due_at": due_at})
    )


def is_look_older(
    connection: Connection, channel: str, gateway: str, hint: datetime, every_s: float, now: datetime
) -> bool:
    """Whether the last look at the wishes of the vendor's people began before the hint; they come `every_s`."""
    older = _older_look(channel, gateway, hint, every_s, now)
    return connection.execute(select(fact_streams.c.channel).where(older)).first() is not None


def bring_look_forward(
    connection: Connection, channel: str, gateway: str, hint: datetime, every_s: float, now: datetime
) -> None:
    """A look is due now if the last one began before the hint.

    Not while somebody has the stream: a look that ends just now would put off the next one again.
    """
    older = _older_look(channel, gateway, hint, every_s, now)
    connection.execute(update(fact_streams).where(older).values(wishes_next_look_at=now))


def _older_look(channel: str, gateway: str, hint: datetime, every_s: float, now: datetime) -> ColumnElement[bool]:
    stream = fact_streams.c
    return and_(
        stream.channel == channel,
        stream.gateway == gateway,
        stream.wishes_next_look_at > now,
        stream.wishes_next_look_at < hint + timedelta(seconds=every_s),
        leases.is_free(stream.lease_until, now),
    )


def _name(channel: str, gateway: str) -> str:
    """The name of a chore has 32 characters at most."""
    return "hint " + hashlib.sha256(f"{channel}/{gateway}".encode()).hexdigest()[:27]
