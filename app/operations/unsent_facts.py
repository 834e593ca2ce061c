"""Products and stock whose newest state a vendor has not received yet: how many, and what it said last."""

from __future__ import annotations

from app.operations.scope import Scope
from app.records import sync_state
from app.records.database import Database
from app.records.sync_state import Owed

__all__ = ["Owed", "find"]


def find(database: Database, scope: Scope, *, channel: str = "", gateway: str = "") -> list[Owed]:
    """By channel, vendor and kind; what is empty does not restrict.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        owed = sync_state.owed(connection)
    return [
        item
        for item in owed
        if scope.sees(item.channel) and channel in ("", item.channel) and gateway in ("", item.gateway)
    ]
