"""What vendors called here, by the journal: newest first, page by page."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, literal_column, or_, select, tuple_, type_coerce

from app.records.bounded_search import Part, look_through, to_the_second
from app.records.statements import visible
from app.records.tables.channels import channels as channel_rows
from app.records.tables.operations import IS_HOOK, journal

_AT = type_coerce(journal.c.at, BigInteger)


@dataclass(frozen=True)
class HookChoice:
    """Which requests; what is empty does not restrict.  `channel` is a key of records, `order` may be a cart, too."""

    channel: str = ""
    vendor: str = ""
    topic: str = ""
    order: str = ""
    request_id: str = ""
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
    searched: int,
) -> Part:
    """The lines of these channels (None: all) before a (time in ms, id), newest first.

    Those of an order or a request have an index; of all others at most `searched` are looked through.
    """
    of = journal.c
    listed = select(journal).where(literal_column(IS_HOOK))
    if before is not None:
        listed = listed.where(tuple_(_AT, of.id) < tuple_(*before))
    if chosen.request_id:
        listed = listed.where(of.request_id == chosen.request_id)
    if chosen.order:  # the channel is named for the index
        listed = listed.where(of.order_refnum == chosen.order, of.channel.in_(select(channel_rows.c.key)))
    if chosen.since is not None:
        listed = listed.where(of.at >= chosen.since)
    if chosen.until is not None:
        listed = listed.where(of.at < chosen.until)

    part = look_through(
        connection, listed, lambda of: _rules(of, chosen, channels), by=("at", "id"), limit=limit, searched=searched
    )
    return part if channels is None else to_the_second(part, before, 0)


def _rules(of: Any, chosen: HookChoice, channels: Collection[str] | None) -> Iterator[ColumnElement[bool]]:
    yield visible(of.channel, channels)
    if chosen.channel:
        yield of.channel == chosen.channel
    if chosen.vendor and chosen.topic:
        yield of.name == f"{chosen.vendor} {chosen.topic}"
    elif chosen.vendor:
        yield of.name.startswith(f"{chosen.vendor} ", autoescape=True)
    elif chosen.topic:
        yield of.name.endswith(f" {chosen.topic}", autoescape=True)
    if chosen.is_refused is not None:
        is_refused = and_(of.status.is_not(None), of.status >= 400)
        yield is_refused if chosen.is_refused else or_(of.status.is_(None), of.status < 400)
