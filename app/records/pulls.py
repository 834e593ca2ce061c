"""How often each order was handed out by `order_pull`, walk by walk (R18)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from app.records.tables.orders import IS_OPEN_ORDER, handed_out

TIRED_AFTER = 5
"""Hand-outs without acknowledgement after which an order goes behind fresh ones (R18)."""

TIRED_FOR = timedelta(days=7)
"""An order its source has not offered for so long is not looked for any more."""


def is_any_open(connection: Connection, channel: str) -> bool:
    """Whether RetailOps has any order that is neither cancelled nor completed."""
    wanted = select(handed_out.c.refnum).where(handed_out.c.channel == channel, IS_OPEN_ORDER).limit(1)
    return connection.execute(wanted).first() is not None


def standing(
    connection: Connection, channel: str, refnums: Collection[str], pull_ms: int
) -> dict[str, tuple[int, bool]]:
    """Per order how often walks before that of `pull_ms` handed it out, and whether RetailOps has it."""
    rows = connection.execute(
        select(handed_out.c.refnum, handed_out.c.times, handed_out.c.last_pull_ms, handed_out.c.acknowledged_at).where(
            handed_out.c.channel == channel, handed_out.c.refnum.in_(list(refnums))
        )
    )
    return {row.refnum: (row.times - (row.last_pull_ms == pull_ms), row.acknowledged_at is not None) for row in rows}


def has_tired(connection: Connection, channel: str, pull_ms: int, now: datetime) -> bool:
    """Whether walks before that of `pull_ms` handed out an order so often that it goes behind the fresh ones."""
    row = connection.execute(
        select(handed_out.c.refnum)
        .where(
            handed_out.c.channel == channel,
            handed_out.c.acknowledged_at.is_(None),
            IS_OPEN_ORDER,
            handed_out.c.times >= TIRED_AFTER,
            handed_out.c.last_pull_ms != pull_ms,
            handed_out.c.last_handed_at > now - TIRED_FOR,
        )
        .limit(1)
    ).first()
    return row is not None


def count(connection: Connection, channel: str, refnums: Collection[str], pull_ms: int, now: datetime) -> list[str]:
    """Count the hand-outs once per walk, however often its page is asked for; those that go last from now on."""
    if not refnums:
        return []
    rows = connection.execute(
        update(handed_out)
        .where(
            handed_out.c.channel == channel,
            handed_out.c.refnum.in_(list(refnums)),
            handed_out.c.last_pull_ms != pull_ms,
        )
        .values(times=handed_out.c.times + 1, last_pull_ms=pull_ms, last_handed_at=now)
        .returning(handed_out.c.refnum, handed_out.c.times)
    )
    tired = {row.refnum for row in rows if row.times == TIRED_AFTER}
    return [refnum for refnum in refnums if refnum in tired]
