"""Which gateways an operator has paused; `acts.pause` and `acts.resume` change it."""

from __future__ import annotations

from app.operations.scope import Scope
from app.records import pauses
from app.records.database import Database
from app.records.pauses import KNOWN_WITHIN_S, Pause

__all__ = ["KNOWN_WITHIN_S", "Pause", "paused"]


def paused(database: Database, scope: Scope) -> list[Pause]:
    """The paused gateways in the scope, the longest paused first.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        return pauses.all_of(connection, scope.keys)
