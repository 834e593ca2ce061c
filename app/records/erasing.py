"""Removes the personal data of one order before its date, table by table as each clock does at its date (R28)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row

from app.records import handed_out
from app.records.retention import Clock, Terms

PAST_ALL_DATES: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""Later than anything may be kept until."""


def held(connection: Connection, channel: str, refnum: str, clocks: Sequence[Clock]) -> dict[str, int]:
    """How many rows of each table hold personal data of an order; tables without any are left out."""
    return {clock.table: len(rows) for clock, rows in _found(connection, channel, refnum, clocks)}


def erase(
    connection: Connection, channel: str, refnum: str, clocks: Sequence[Clock], now: datetime
) -> dict[str, int] | None:
    """Remove it, and note that it is gone, so that none is kept later; what `held` said of it.

    None where nothing is kept and there is nothing to note.  The caller holds the order.
    """
    found = list(_found(connection, channel, refnum, clocks))
    if not found and not handed_out.is_to_note(connection, channel, refnum):
        return None
    for clock, rows in found:
        if clock.erase is not None:
            clock.erase(connection, rows)
        else:
            clock.purge(connection, rows, PAST_ALL_DATES, Terms())
    handed_out.note_erased(connection, channel, [refnum], now)
    return {clock.table: len(rows) for clock, rows in found}


def _found(
    connection: Connection, channel: str, refnum: str, clocks: Sequence[Clock]
) -> Iterator[tuple[Clock, Sequence[Row[Any]]]]:
    for clock in clocks:
        if clock.of_order is not None and (rows := connection.execute(clock.of_order(channel, refnum)).all()):
            yield clock, rows
