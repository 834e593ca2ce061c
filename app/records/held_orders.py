"""Orders that RetailOps does not get before a person has looked, for the operator (see `tables.held_back`)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from app.records.tables import held_back


def hold(connection: Connection, channel: str, refnum: str, reason: str, now: datetime) -> None:
    """Name the order as held back, unless it is already.  `reason` is a sentence without values."""
    known = connection.execute(
        select(held_back.c.refnum).where(held_back.c.channel == channel, held_back.c.refnum == refnum)
    ).first()
    if known is None:
        connection.execute(insert(held_back), {"channel": channel, "refnum": refnum, "reason": reason, "since": now})


def let_go(connection: Connection, channel: str, refnum: str) -> None:
    """Nobody has to look any more: the order is over."""
    connection.execute(delete(held_back).where(held_back.c.channel == channel, held_back.c.refnum == refnum))
