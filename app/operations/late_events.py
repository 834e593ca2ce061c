"""What turned out after RetailOps had its answer, until an operator dismisses it (R15); `acts.dismiss` does that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from app.operations.paging import PAGE, SEARCHED, Page, cursor, place
from app.operations.scope import Scope
from app.records import late_events
from app.records.database import Database


@dataclass(frozen=True)
class LateEventRow:
    """One late event; `channel` is the key of the records."""

    id: int
    at: datetime
    channel: str
    gateway: str
    callback: str
    subject: str
    """The order or SKU it is about."""
    code: str
    message: str
    """A sentence of ours without customer data."""
    delivery_id: int | None
    """The parked call it is about."""
    request_id: str
    sent_at: datetime | None
    """When RetailOps was sent it."""
    dismissed_at: datetime | None


def find(
    database: Database,
    scope: Scope,
    *,
    channel: str = "",
    gateway: str = "",
    subject: str = "",
    is_open: bool = True,
    after: str = "",
) -> Page[LateEventRow]:
    """Late events, newest first; `is_open`: only those nobody has dismissed.  Raises `DatabaseUnavailable`."""
    before = place(after, 1)
    with database.read() as connection:
        found = late_events.page(
            connection, channels=scope.keys, channel=channel, gateway=gateway, subject=subject, is_open=is_open,
            before=before[0] if before else None, limit=PAGE, searched=SEARCHED,
        )  # fmt: skip
    return Page(tuple(map(row_of, found.rows)), cursor(*found.last) if found.last else "", found.searched_to)


def row_of(row: Row[Any]) -> LateEventRow:
    """A row of the table as lists show it."""
    return LateEventRow(
        row.id, row.at, row.channel, row.gateway, row.callback, row.subject, row.code, row.message, row.delivery_id,
        row.request_id, row.sent_at, row.dismissed_at,
    )  # fmt: skip
