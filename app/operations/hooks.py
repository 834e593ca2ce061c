"""What vendors called here: each request that was theirs beyond doubt, and a few of those that were not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.operations.scope import Scope
from app.records.database import Database

PER_PAGE = 50


@dataclass(frozen=True)
class HookFilter:
    """Which requests; what is empty does not restrict.  `channel` is a key of records."""

    channel: str = ""
    vendor: str = ""
    topic: str = ""
    order: str = ""
    is_refused: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class HookRow:
    """A request of a vendor.  `code` is "success", or our reason where it was refused or not taken whole."""

    id: int
    at: datetime
    channel: str
    vendor: str
    topic: str
    refnum: str
    """The order it was about, "" for none."""
    status: int | None
    code: str
    ms: int
    request_id: str


@dataclass(frozen=True)
class HookPage:
    """`next_after` is where the next page begins, "" after the last one."""

    rows: tuple[HookRow, ...]
    next_after: str


@dataclass(frozen=True)
class UnverifiedRequest:
    """A request without a valid key or signature, of the last hour; `path` is shortened.  `count` since `first_at`."""

    path: str
    status: int
    count: int
    first_at: datetime
    last_at: datetime


def listing(database: Database, scope: Scope, wanted: HookFilter, after: str = "", limit: int = PER_PAGE) -> HookPage:
    """A page of requests, the newest first.  `after` is the `next_after` of the page before; one that cannot be read
    counts as "".  Raises `DatabaseUnavailable`."""
    return HookPage((), "")


def unverified(database: Database, scope: Scope) -> list[UnverifiedRequest]:
    """At most 100 kinds of requests of the last hour that nobody vouched for, latest first; they are no channel's, so
    that only who sees all channels sees them.  Raises `DatabaseUnavailable`."""
    return []
