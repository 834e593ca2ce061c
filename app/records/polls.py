"""When a vendor is polled for what its people changed, and hints of the vendor that bring a poll forward (R13)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, ColumnElement, Connection, exists, or_, select, type_coerce

from app.records import leases
from app.records.statements import upsert
from app.records.tables.catalogue import catalogue_sync
from app.records.tables.stock import fact_obstacles, sync_states

HINTS_APART: Final = timedelta(seconds=10)
"""Hints of a vendor count at most once in so long."""

_STREAMS = sync_states.c


@dataclass(frozen=True)
class PollTurn:
    """A poll for what the vendor's people changed; the syncer that runs it holds the lease."""

    channel: str
    gateway: str
    token: str
    since_ms: int | None
    """`until_ms` of the previous poll, by the vendor's clock; None for the first poll."""


def is_due(channel: str, gateway: str, every_s: float, now: datetime) -> ColumnElement[bool]:
    """SQL: the vendor is to be polled now for what its people changed, which happens `every_s`.

    Only where it received products or where a refused fact waits for something they may do.
    """
    return exists().where(
        _STREAMS.channel == channel, _STREAMS.gateway == gateway, _is_open(every_s, now), concerns(channel, gateway)
    )


def concerns(channel: str | ColumnElement[str], gateway: str | ColumnElement[str]) -> ColumnElement[bool]:
    """SQL: the vendor received products, or a refused fact waits for something its people may do."""
    # Read by the key for each gateway; of two `exists` PostgreSQL would read every product once.
    received, waits = (
        select(of.channel).where(of.channel == channel, of.gateway == gateway).limit(1).scalar_subquery().is_not(None)
        for of in (catalogue_sync.c, fact_obstacles.c)
    )
    return or_(received, waits)


def _is_open(every_s: float, now: datetime) -> ColumnElement[bool]:
    """Its time has come, or a hint counts since the last poll began."""
    due_at, hinted_at = _STREAMS.poll_due_at, _STREAMS.hinted_at
    is_hinted = (hinted_at <= now) & (
        type_coerce(due_at, BigInteger) < type_coerce(hinted_at, BigInteger) + int(every_s * 1000)
    )
    return or_(due_at.is_(None), due_at <= now, is_hinted)


def due_at(poll_due_at: datetime | None, hinted_at: datetime | None, every_s: float) -> datetime | None:
    """When a vendor that is polled `every_s` is to be polled next, by what is kept of it; None: now, and so before."""
    if poll_due_at is None or hinted_at is None or hinted_at <= poll_due_at - timedelta(seconds=every_s):
        return poll_due_at
    return min(poll_due_at, hinted_at)


def take(
    connection: Connection, channel: str, gateway: str, *, token: str, every_s: float, now: datetime, lease_s: float
) -> PollTurn | None:
    """Lease the stream for a poll; None when it is another's or the poll not due."""
    row = leases.take(
        connection, sync_states, (channel, gateway), token, now, lease_s,
        where=[_is_open(every_s, now)], returning=[_STREAMS.poll_until_ms],
    )  # fmt: skip
    return None if row is None else PollTurn(channel, gateway, token, row[0])


def end(connection: Connection, turn: PollTurn, *, until_ms: int | None, next_at: datetime) -> bool:
    """The poll is over; False when somebody else holds the stream now."""
    values = {**leases.ENDED, "poll_until_ms": until_ms, "poll_due_at": next_at}
    return leases.write_held(connection, sync_states, (turn.channel, turn.gateway), turn.token, values)


def hinted_at(connection: Connection, channel: str, gateway: str) -> datetime | None:
    """Since when the last hint of the vendor counts; it may be soon.  None before the first."""
    mine = (_STREAMS.channel == channel, _STREAMS.gateway == gateway)
    return connection.execute(select(_STREAMS.hinted_at).where(*mine)).scalar()


def is_hint_coming(hint: datetime | None, now: datetime) -> bool:
    """Whether the last hint does not count yet, so that another one now says nothing new."""
    return hint is not None and now < hint <= now + HINTS_APART


def note_hint(connection: Connection, channel: str, gateway: str, now: datetime) -> None:
    """The vendor says that something changed there, which concerns every process, whichever it was said to.

    It counts never sooner than `HINTS_APART` after the one before, so that a flood of hints is no flood of calls.
    """
    before = hinted_at(connection, channel, gateway)
    if is_hint_coming(before, now):
        return
    # One that lies further ahead is of a clock that was set back since.
    at = now if before is None or before > now else max(now, before + HINTS_APART)
    upsert(connection, sync_states, {"channel": channel, "gateway": gateway, "hinted_at": at}, {"hinted_at": at})
