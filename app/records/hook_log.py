"""What vendors called here, by the journal: newest first, page by page."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, and_, literal_column, or_, select, tuple_, type_coerce

from app.records.statements import visible
from app.records.tables.operations import IS_HOOK, journal

_AT = type_coerce(journal.c.at, BigInteger)


@dataclass(frozen=True)
class HookChoice:
    """Which requests; what is empty does not restrict.  `channel` is a key of records, `order` may be a cart, too."""

    channel: str = ""
    vendor: str = ""
    topic: str = ""
    order: str = ""
    is_refused: bool | None = None
    """True: answered with 4xx or 5xx; False: the others."""
    since: datetime | None = None
    until: datetime | None = None


def page(
    connection: Connection,
    chosen: HookChoice,
    *,
    channels: Collection[str] | None,
    before: Sequence[int] | None,
    limit: int,
) -> tuple[Sequence[Row[Any]], tuple[int, int] | None]:
    """The lines of these channels (None: all) before a (time in ms, id), and where the next page begins."""
    of = journal.c
    wanted = select(journal).where(literal_column(IS_HOOK), visible(of.channel, channels))
    if before is not None:
        wanted = wanted.where(tuple_(_AT, of.id) < tuple_(*before))
    for column, value in ((of.channel, chosen.channel), (of.order_refnum, chosen.order)):
        if value:
            wanted = wanted.where(column == value)
    if chosen.vendor and chosen.topic:
        wanted = wanted.where(of.name == f"{chosen.vendor} {chosen.topic}")
    elif chosen.vendor:
        wanted = wanted.where(of.name.startswith(f"{chosen.vendor} ", autoescape=True))
    elif chosen.topic:
        wanted = wanted.where(of.name.endswith(f" {chosen.topic}", autoescape=True))
    if chosen.is_refused is not None:
        is_refused = and_(of.status.is_not(None), of.status >= 400)
        wanted = wanted.where(is_refused if chosen.is_refused else or_(of.status.is_(None), of.status < 400))
    if chosen.since is not None:
        wanted = wanted.where(of.at >= chosen.since)
    if chosen.until is not None:
        wanted = wanted.where(of.at < chosen.until)
    rows = connection.execute(wanted.order_by(of.at.desc(), of.id.desc()).limit(limit + 1)).all()
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], (int(last.at.timestamp() * 1000), last.id)
