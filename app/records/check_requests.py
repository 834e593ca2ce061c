"""Requests to check all connections: one at a time, carried out by whichever delivering process takes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from app.records import leases
from app.records.tables.operations import check_requests

AT_MOST_EVERY: Final = timedelta(minutes=1)
"""How often a check may be requested, by whomever."""

LEASE: Final = timedelta(minutes=1)
"""How long a check may take; the process that runs it may have died."""

KEPT: Final = 10
"""Requests that are kept, the newest."""

_OF = check_requests.c


@dataclass(frozen=True)
class CheckRow:
    """One request; `report` is JSON, None until it is finished."""

    id: int
    at: datetime
    who: str
    begun_at: datetime | None
    ended_at: datetime | None
    done: int
    total: int
    report: bytes | None


def latest(connection: Connection, *, is_finished: bool = False) -> CheckRow | None:
    """The newest request; `is_finished`: the newest that has a report."""
    query = select(check_requests).order_by(_OF.id.desc()).limit(1)
    if is_finished:
        query = query.where(_OF.report.is_not(None))
    row = connection.execute(query).first()
    return None if row is None else _row(row)


def request(connection: Connection, who: str, now: datetime) -> CheckRow | None:
    """Request a check, in a transaction that is serial for checks; None where one was requested a moment ago."""
    newest = latest(connection)
    if (
        newest is not None
        and (newest.ended_at is None or now - newest.at < AT_MOST_EVERY)
        and now - newest.at < 2 * LEASE
    ):
        return None
    row = connection.execute(insert(check_requests).values(at=now, who=who).returning(check_requests)).one()
    connection.execute(delete(check_requests).where(_OF.id <= row.id - KEPT))
    return _row(row)


def is_any_open(connection: Connection, now: datetime) -> bool:
    """Whether a request waits for a process; costs no write lock."""
    return connection.execute(select(_OF.id).where(*_open(now)).limit(1)).first() is not None


def take(connection: Connection, now: datetime) -> int | None:
    """Begin the newest request; its id, None where it does not wait or another process has it."""
    taken = connection.execute(
        update(check_requests)
        .where(*_open(now))
        .values(begun_at=now, lease_until=now + LEASE, done=0)
        .returning(_OF.id)
    ).scalar()
    return None if taken is None else int(taken)


def note_progress(connection: Connection, request_id: int, done: int, total: int) -> None:
    """So many of all gateways have answered."""
    connection.execute(update(check_requests).where(_OF.id == request_id).values(done=done, total=total))


def finish(connection: Connection, request_id: int, report: bytes, now: datetime) -> None:
    """The check is over."""
    over = {"report": report, "ended_at": now, "lease_until": None}
    connection.execute(update(check_requests).where(_OF.id == request_id).values(**over))


def _open(now: datetime) -> tuple[Any, ...]:
    """The newest request, if it waits; older ones that nobody took are over."""
    newest = check_requests.alias("newest")
    return (
        _OF.id == select(func.max(newest.c.id)).scalar_subquery(),
        _OF.ended_at.is_(None),
        leases.is_free(_OF.lease_until, now),
    )


def _row(row: Row[Any]) -> CheckRow:
    return CheckRow(row.id, row.at, row.who, row.begun_at, row.ended_at, row.done, row.total, row.report)
