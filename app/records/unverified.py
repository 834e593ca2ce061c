"""A few of the requests that came without a valid key or signature, for whoever wonders why a vendor gets no answer.

Anybody can send them, so nothing of them is kept but a shortened path and a count: of an hour at most `MOST` kinds,
the latest (P46).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, delete, select, tuple_

from app.domain.texts import mended
from app.records.statements import upsert
from app.records.tables.operations import unverified_requests

MOST = 100
KEPT_FOR = timedelta(hours=1)
PATH_LENGTH = 60


class Unverified(NamedTuple):
    """Requests of one kind: a shortened path, and the status they got."""

    path: str
    status: int


@dataclass(frozen=True)
class Seen:
    """How often, and when first and last."""

    count: int
    first_at: datetime
    last_at: datetime


def kind_of(path: str, status: int) -> Unverified:
    """What is kept of a request: the begin of its path, with "?" for what cannot be shown."""
    shown = "".join(char if char.isprintable() else "?" for char in mended(path[: PATH_LENGTH + 1]))
    return Unverified(shown if len(shown) <= PATH_LENGTH else f"{shown[: PATH_LENGTH - 1]}…", status)


def add(connection: Connection, seen: Mapping[Unverified, Seen]) -> None:
    """Count these, and let go of those that are too old or too many."""
    table = unverified_requests
    # One order of rows for all processes, so that two of them never wait for each other.
    for kind, times in sorted(seen.items(), key=lambda item: item[0]):
        row = {**kind._asdict(), "count": times.count, "first_at": times.first_at, "last_at": times.last_at}
        change = {"count": table.c["count"] + times.count, "last_at": times.last_at}
        upsert(connection, table, row, change)
    latest = select(table.c.path, table.c.status).order_by(table.c.last_at.desc(), table.c.path).limit(MOST)
    connection.execute(delete(table).where(tuple_(table.c.path, table.c.status).not_in(latest)))


def listing(connection: Connection, since: datetime) -> Sequence[Row[Any]]:
    """Those that came since then, latest first."""
    table = unverified_requests
    return connection.execute(
        select(table).where(table.c.last_at >= since).order_by(table.c.last_at.desc(), table.c.path)
    ).all()


def expired(now: datetime) -> Select[Any]:
    """Keys of what is past its hour."""
    table = unverified_requests
    return select(table.c.path, table.c.status).where(table.c.last_at < now - KEPT_FOR)


def purge(connection: Connection, now: datetime) -> None:
    """Delete what is past its hour."""
    connection.execute(delete(unverified_requests).where(unverified_requests.c.last_at < now - KEPT_FOR))
