"""The requests that vendors sent here: each one that was theirs beyond doubt, and a few of those that were not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from app.operations.paging import PAGE, SEARCHED, Page, cursor, place
from app.operations.scope import Scope
from app.records import hook_log
from app.records import unverified as strangers
from app.records.database import Database
from app.records.hook_log import HookChoice

__all__ = ["HookChoice", "HookRow", "UnverifiedRequest", "listing", "unverified"]


@dataclass(frozen=True)
class HookRow:
    """A request of a vendor.  `code` is "success", or our reason where it was refused or not taken whole."""

    id: int
    at: datetime
    channel: str
    """Key of the records."""
    vendor: str
    topic: str
    refnum: str
    """The order or cart it was about, "" for none."""
    status: int | None
    code: str
    ms: int
    request_id: str


@dataclass(frozen=True)
class UnverifiedRequest:
    """Requests of one kind without a valid key or signature, of the last hour; `path` is shortened."""

    path: str
    status: int
    count: int
    first_at: datetime
    last_at: datetime


def listing(
    database: Database, scope: Scope, chosen: HookChoice, *, after: str = "", limit: int = PAGE
) -> Page[HookRow]:
    """A page of requests, the newest first.  `after` is that of the page before.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        found = hook_log.page(
            connection, chosen, channels=scope.keys, before=place(after, 2), limit=limit, searched=SEARCHED
        )
    return Page(tuple(map(_row, found.rows)), cursor(*found.last) if found.last else "", found.searched_to)


def _row(row: Row[Any]) -> HookRow:
    vendor, _, topic = row.name.partition(" ")
    return HookRow(
        row.id, row.at, row.channel, vendor, topic, row.order_refnum, row.status, row.outcome, row.duration_ms,
        row.request_id,
    )  # fmt: skip


def unverified(database: Database, scope: Scope) -> list[UnverifiedRequest]:
    """At most 100 kinds of requests of the last hour that nobody vouched for, latest first; they are no channel's, so
    that only who sees all channels sees them.  Raises `DatabaseUnavailable`."""
    if scope.keys is not None:
        return []
    since = database.now() - strangers.KEPT_FOR
    with database.read() as connection:
        return [UnverifiedRequest(**row._mapping) for row in strangers.listing(connection, since)]
