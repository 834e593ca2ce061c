"""What operators did: who, when, what, on what and why (R34)."""

from __future__ import annotations

from datetime import datetime

from app.operations.paging import PAGE, Page, cursor, place
from app.operations.scope import Scope
from app.records import operations
from app.records.database import Database
from app.records.operations import Operation, Target

__all__ = ["Operation", "Target", "find"]

NAMED = 20
"""Objects of one act that are named."""


def find(
    database: Database, scope: Scope, *, channel: str = "", since: datetime | None = None, after: str = ""
) -> Page[Operation]:
    """Acts, newest first; of each at most `NAMED` of the objects it changed.  Raises `DatabaseUnavailable`."""
    before = place(after, 1)
    with database.read() as connection:
        found = operations.listing(
            connection, channel=channel, since=since, limit=PAGE + 1, named=NAMED, channels=scope.keys,
            before=before[0] if before else None,
        )  # fmt: skip
    rows = tuple(found[:PAGE])
    return Page(rows, cursor(rows[-1].id) if len(found) > PAGE else "")
