"""The log of what RetailOps called: a list with filters, and one call with all that it caused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from app.domain.body_problems import BodyProblems
from app.domain.events import Event
from app.operations import deliveries
from app.operations.deliveries import DeliveryRow
from app.operations.paging import PAGE, SEARCHED, Page, cursor, place
from app.operations.scope import Scope
from app.records import callback_log, delivery_rows
from app.records.callback_log import CallbackChoice
from app.records.database import Database
from app.records.delivery_rows import DeliveryFilter

__all__ = ["CallbackChoice", "LoggedCallback", "LoggedCallbackInFull", "VendorCallLine", "find", "one"]


@dataclass(frozen=True)
class LoggedCallback:
    """One callback as the journal has it."""

    id: int
    at: datetime
    """When it was answered."""
    channel: str
    """Key of the records; also: unconfigured, dry_run, "" for one whose key is no channel's."""
    callback: str
    order: str
    """The channel's number of the order, "" where it was about none."""
    status: int
    outcome: str
    """success, or the code of the first error or warning, or why it was refused."""
    duration_ms: int
    request_id: str


@dataclass(frozen=True)
class VendorCallLine:
    """One call to a vendor as the journal has it."""

    at: datetime
    vendor: str
    address: str
    """Method and path, without a query and without ids where the vendor's gateway writes placeholders."""
    status: int | None
    outcome: str
    """ok, refused, misconfigured, broken, unknown, not_done or not_sent."""
    duration_ms: int


@dataclass(frozen=True)
class LoggedCallbackInFull:
    """One callback, the events it was answered with as far as they are kept, and what it caused at vendors."""

    line: LoggedCallback
    events: tuple[Event, ...]
    """Empty where none is kept."""
    problems: BodyProblems
    """What was wrong with its body or with our answer, by pointer and rule."""
    vendor_calls: tuple[VendorCallLine, ...]
    """Calls to vendors made for it, later tries included."""
    deliveries: tuple[DeliveryRow, ...]
    """The calls it left to be made."""


def find(database: Database, scope: Scope, chosen: CallbackChoice, *, after: str = "") -> Page[LoggedCallback]:
    """The callbacks, newest first.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        found = callback_log.page(
            connection, chosen, channels=scope.keys, before=place(after, 2), limit=PAGE, searched=SEARCHED
        )
    return Page(tuple(map(_line, found.rows)), cursor(*found.last) if found.last else "", found.searched_to)


def one(database: Database, scope: Scope, journal_id: int) -> LoggedCallbackInFull | None:
    """The callback of this journal line; None where there is none in the scope.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        row = callback_log.line(connection, journal_id)
        if row is None or not scope.sees(row.channel):
            return None
        line = _line(row)
        calls = callback_log.vendor_calls(connection, line.channel, line.request_id)
        answered = callback_log.events_of(connection, row)
        ids = callback_log.deliveries_of(connection, line.channel, line.order, line.request_id)
        owed = delivery_rows.find(connection, DeliveryFilter(ids=ids)) if ids else ()
        problems = callback_log.problems_of(row)
    made = tuple(map(_vendor_call, calls))
    return LoggedCallbackInFull(line, answered, problems, made, tuple(map(deliveries.row_of, owed)))


def _line(row: Row[Any]) -> LoggedCallback:
    return LoggedCallback(
        row.id, row.at, row.channel, row.name, row.order_refnum, row.status or 0, row.outcome, row.duration_ms,
        row.request_id,
    )  # fmt: skip


def _vendor_call(row: Row[Any]) -> VendorCallLine:
    vendor, _, address = row.name.partition(" ")
    return VendorCallLine(row.at, vendor, address, row.status, row.outcome, row.duration_ms)
