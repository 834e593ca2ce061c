"""What operators did: who, when, what, on what and why (R34)."""

from __future__ import annotations

from datetime import datetime

from app.operations.paging import PAGE, Page, cursor, place
from app.operations.scope import Scope
from app.records import operations
from app.records.database import Database
from app.records.operations import Operation, Target

__all__ = ["Operation", "Target", "count", "find"]

NAMED = 20
"""Objects of one act that are named."""


def find(
    database: Database,
    scope: Scope,
    *,
    channel: str = "",
    since: datetime | None = None,
    named: int = NAMED,
    after: str = "",
) -> Page[Operation]:
    """Acts, newest first; of each at most `named` of the objects it changed.  Raises `DatabaseUnavailable`."""
    before = place(after, 1)
    with database.read() as connection:
        found = operations.listing(
            connection, channel=channel, since=since, limit=PAGE + 1, named=named, channels=scope.keys,
            before=before[0] if before else None,
        )  # fmt: skip
    rows = tuple(found[:PAGE])
    return Page(rows, cursor(rows[-1].id) if len(found) > PAGE else "")


def count(database: Database, scope: Scope, *, channel: str = "", since: datetime | None = None) -> int:
    """How many acts there are.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        return operations.count(connection, channel=channel, since=since, channels=scope.keys)
