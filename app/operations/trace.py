"""What operators did: their acts as they are kept, newest first (R34)."""

from __future__ import annotations

from app.operations.paging import PAGE, Page, cursor, place
from app.operations.scope import Scope
from app.records import operations
from app.records.database import Database
from app.records.operations import Operation, Target

__all__ = ["Operation", "Target", "listing"]


def listing(database: Database, scope: Scope, *, channel: str = "", after: str = "") -> Page[Operation]:
    """The acts, newest first, of one channel or of all in the scope.  Raises `DatabaseUnavailable`."""
    before = place(after, 1)
    with database.read() as connection:
        found = operations.listing(
            connection, channel=channel, channels=scope.keys, before=before[0] if before else None, limit=PAGE + 1
        )
    rows = tuple(found[:PAGE])
    return Page(rows, cursor(rows[-1].id) if len(found) > PAGE else "")
