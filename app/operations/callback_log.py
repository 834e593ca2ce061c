"""The log of what RetailOps called: a list with filters, and one call with all that it caused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from app.domain.body_problems import BodyProblems
from app.domain.events import Event
from app.domain.moments import to_ms
from app.operations import deliveries
from app.operations.deliveries import DeliveryRow
from app.operations.paging import PAGE, SEARCHED, Page, cursor, place
from app.operations.scope import Scope
from app.records import callback_log, delivery_rows, traces
from app.records.callback_log import CallbackChoice
from app.records.database import Database
from app.records.delivery_rows import DeliveryFilter

__all__ = [
    "CallLeft", "CallbackChoice", "LoggedCallback", "LoggedCallbackInFull", "VendorCallLine", "calls_left", "find",
    "one",
]  # fmt: skip

IN_THE_LEDGER = "in the ledger"
"""Outcome of a callback of which only the ledger knows."""


@dataclass(frozen=True)
class LoggedCallback:
    """One callback as the journal has it."""

    id: int | None
    """Of the journal's line; None where that was lost in a kill and the ledger alone knows of it (R16)."""
    at: datetime
    """When it was answered; of one that the ledger alone knows, when it was begun."""
    channel: str
    """Key of the records; also: unconfigured, dry_run, "" for one whose key is no channel's."""
    callback: str
    order: str
    """The channel's number of the order, "" where it was about none."""
    status: int | None
    outcome: str
    """success, or the code of the first error or warning, or why it was refused; `IN_THE_LEDGER`."""
    duration_ms: int | None
    request_id: str
    has_error: bool
    """Whether an event of its answer was an error: something of it was not done."""


@dataclass(frozen=True)
class CallLeft:
    """A call to a vendor that a callback left to be made, as it stands now."""

    id: int
    vendor: str
    verb: str
    state: str
    last_code: str


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
    """The callbacks, newest first; of an order with those that the ledger has of it.  Raises `DatabaseUnavailable`.

    What the journal does not have under the order are callbacks about many orders, and lines lost in a kill.
    """
    before = place(after, 2)
    with database.read() as connection:
        found = callback_log.page(connection, chosen, channels=scope.keys, before=before, limit=PAGE, searched=SEARCHED)
        ledger = traces.callbacks_of_order(connection, scope.keys, chosen.order) if chosen.order else ()
    rows = list(map(_line, found.rows))
    known = set(map(_named, rows))
    for command, line in ledger:
        item = _line(line, command.order_refnum) if line is not None else _of_ledger(command)
        is_under_order = line is not None and line.order_refnum == chosen.order
        is_of_page = _is_between(item.at, found.last, before)
        if _named(item) not in known and not is_under_order and is_of_page and _is_chosen(item, chosen):
            known.add(_named(item))
            rows.append(item)
    rows.sort(key=lambda row: row.at, reverse=True)
    return Page(tuple(rows), cursor(*found.last) if found.last else "", found.searched_to)


def _named(item: LoggedCallback) -> tuple[str, str, str]:
    """What two items of one order's callback share; a request id alone is whatever its sender chose."""
    return item.channel, item.callback, item.request_id


def _is_between(at: datetime, last: Sequence[int] | None, before: Sequence[int] | None) -> bool:
    """Whether a moment belongs to the page that ends at `last` and follows `before`."""
    ms = to_ms(at)
    return (last is None or ms > last[0]) and (before is None or ms <= before[0])


def _is_chosen(item: LoggedCallback, chosen: CallbackChoice) -> bool:
    return (
        chosen.channel in ("", item.channel)
        and chosen.callback in ("", item.callback)
        and chosen.request_id in ("", item.request_id)
        and (not chosen.status_class or str(item.status or "").startswith(chosen.status_class))
        and chosen.outcome.lower() in ("", item.outcome.lower())
        and (not chosen.slower_than_ms or (item.duration_ms or 0) > chosen.slower_than_ms)
        and (chosen.since is None or item.at >= chosen.since)
        and (chosen.until is None or item.at < chosen.until)
    )


def calls_left(database: Database, rows: Iterable[LoggedCallback]) -> dict[LoggedCallback, list[CallLeft]]:
    """By callback, the calls to vendors that it left to be made, and how they stand now.

    Raises `DatabaseUnavailable`.
    """
    listed = list(rows)
    calls: defaultdict[tuple[str, str, str], list[CallLeft]] = defaultdict(list)
    with database.read() as connection:
        for row in callback_log.calls_about(connection, {(item.channel, item.order) for item in listed if item.order}):
            left = CallLeft(row.id, row.gateway, row.verb, row.state, row.last_code)
            calls[row.channel, row.order_refnum, row.request_id].append(left)
    return {item: calls.get((item.channel, item.order, item.request_id), []) for item in listed}


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
        left = deliveries.rows_of(connection, owed, database.clock())
    problems = callback_log.problems_of(row)
    return LoggedCallbackInFull(line, answered, problems, tuple(map(_vendor_call, calls)), left)


def _line(row: Row[Any], order: str = "") -> LoggedCallback:
    return LoggedCallback(
        row.id, row.at, row.channel, row.name, order or row.order_refnum, row.status, row.outcome, row.duration_ms,
        row.request_id, callback_log.has_error(row.events),
    )  # fmt: skip


def _of_ledger(row: Row[Any]) -> LoggedCallback:
    return LoggedCallback(
        None, row.begun_at, row.channel, row.callback, row.order_refnum, None, IN_THE_LEDGER, None, row.request_id,
        callback_log.has_error(row.events),
    )  # fmt: skip


def _vendor_call(row: Row[Any]) -> VendorCallLine:
    vendor, _, address = row.name.partition(" ")
    return VendorCallLine(row.at, vendor, address, row.status, row.outcome, row.duration_ms)
