"""The calls owed to vendors: lists by state, and one call with all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row

from app.domain.events import Association, Event
from app.gateways.calls import Verb
from app.gateways.capabilities import Gateways
from app.operations import delivery_acts, late_events
from app.operations.late_events import LateEventRow
from app.operations.paging import PAGE, SEARCHED, Page, cursor, place
from app.operations.scope import Scope
from app.records import delivery_rows, outcomes
from app.records import late_events as late_records
from app.records.database import Database
from app.records.deliveries import DUE_STATES
from app.records.delivery_rows import DeliveryFilter

__all__ = [
    "Act", "Attempt", "DeliveryFilter", "DeliveryInFull", "DeliveryRow", "MayAct", "count", "find", "one", "rows_of",
    "verb_of", "why_not",
]  # fmt: skip

Act = Literal["retry", "drop", "confirm"]


@dataclass(frozen=True)
class DeliveryRow:
    """One call as a list shows it."""

    id: int
    channel: str
    """Key of the records."""
    gateway: str
    verb: str
    order: str
    state: str
    """owed, checking (being found out), parked, delivered, refused or dropped."""
    attempts: int
    created_at: datetime
    last_attempt_at: datetime | None
    next_try_at: datetime | None
    """None unless it is owed or being found out."""
    closed_at: datetime | None
    last_code: str
    last_error: str
    """Our own sentence about the last attempt, without customer data."""
    request_id: str
    held_by: int | None
    """The call that has to be over before this one is tried (R12)."""
    is_under_way: bool
    """Whether it is being tried at this moment."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at the call; `number` begins anew when an operator has a parked call tried again."""

    number: int
    at: datetime
    ms: int | None
    outcome: str
    """The state it left the call in."""
    status: int | None
    """The vendor's HTTP status, where there was one that the outcome does not say."""
    code: str


@dataclass(frozen=True)
class MayAct:
    """Why each act is not possible now, "" where it is."""

    retry: str
    drop: str
    confirm: str
    needs_even_if_done: bool = False
    """True where only a retry "even if done" is possible: it may have been done, and the vendor has no read for it."""


@dataclass(frozen=True)
class DeliveryInFull:
    """One call with all that is known of it."""

    row: DeliveryRow
    callback: str
    natural_key: str
    begun_at: datetime
    """When the callback came that left it to be made."""
    is_possibly_done: bool
    about: tuple[Association, ...]
    fields: tuple[str, ...]
    """Names of the fields that it says, () once they are gone; never their values."""
    size: int
    """Bytes of what it says."""
    attempts: tuple[Attempt, ...]
    """Oldest first."""
    events: tuple[Event, ...]
    """The events that RetailOps was sent after the vendor's answer."""
    held_by: DeliveryRow | None
    late_events: tuple[LateEventRow, ...]
    """What turned out about it after RetailOps had its answer."""
    dropped_because: str
    may: MayAct


def find(database: Database, scope: Scope, chosen: DeliveryFilter, *, after: str = "") -> Page[DeliveryRow]:
    """The calls, newest first.  Raises `DatabaseUnavailable`."""
    before = place(after, 1)
    with database.read() as connection:
        found = delivery_rows.page(
            connection, chosen, channels=scope.keys, before=before[0] if before else None, limit=PAGE, searched=SEARCHED
        )
        rows = rows_of(connection, found.rows, database.clock())
    return Page(rows, cursor(*found.last) if found.last else "", found.searched_to)


def count(database: Database, scope: Scope, chosen: DeliveryFilter) -> int:
    """How many there are.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        return delivery_rows.count(connection, chosen, channels=scope.keys)


def one(database: Database, scope: Scope, gateways: Gateways, delivery_id: int) -> DeliveryInFull | None:
    """The call of this id; None where there is none in the scope.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        row = next(iter(delivery_rows.find(connection, DeliveryFilter(ids=[delivery_id]))), None)
        if row is None or not scope.sees(row.channel):
            return None
        now = database.clock()
        [shown] = rows_of(connection, [row], now)
        held_by = delivery_rows.of_ids(connection, [shown.held_by] if shown.held_by else [])
        holder = next(iter(rows_of(connection, held_by, now)), None)
        command = delivery_rows.command_of(connection, row)
        tries = outcomes.attempts_of(connection, [row.id])
        late = late_records.of_delivery(connection, row)
    named = msgspec.json.decode(row.body) if row.body is not None else {}
    return DeliveryInFull(
        shown,
        command.callback,
        command.natural_key,
        command.begun_at,
        row.is_possibly_done,
        msgspec.json.decode(row.about, type=tuple[Association, ...]),
        tuple(named) if isinstance(named, dict) else (),
        len(row.body or b""),
        tuple(Attempt(item.number, item.at, item.ms, item.outcome, item.status, item.code) for item in tries),
        msgspec.json.decode(row.events, type=tuple[Event, ...]) if row.events else (),
        holder,
        tuple(map(late_events.row_of, late)),
        row.dropped_because or "",
        _may(gateways, row, now),
    )


def rows_of(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> tuple[DeliveryRow, ...]:
    """Rows of the table as lists show them."""
    holders = delivery_rows.holders(connection, rows)
    return tuple(
        DeliveryRow(
            row.id, row.channel, row.gateway, row.verb, row.lane, row.state, row.attempts, row.created_at,
            row.last_attempt_at, row.next_try_at if row.state in DUE_STATES else None, row.closed_at, row.last_code,
            row.last_error, row.request_id, holders.get(row.id), delivery_rows.is_under_way(row, now),
        )
        for row in rows
    )  # fmt: skip


def _may(gateways: Gateways, row: Row[Any], now: datetime) -> MayAct:
    retry = why_not("retry", gateways, row, now)
    is_blind = bool(retry) and not why_not("retry", gateways, row, now, even_if_done=True)
    drop, confirm = why_not("drop", gateways, row, now), why_not("confirm", gateways, row, now)
    return MayAct(retry, drop, confirm, is_blind)


def verb_of(gateways: Gateways, row: Row[Any]) -> Verb | None:
    """How the call behaves at its vendor; None when no gateway there does this any more."""
    gateway = gateways.get((row.channel, row.gateway))
    found = gateway.commands.verbs.get(row.verb) if gateway else None
    return found if isinstance(found, Verb) else None


def why_not(act: Act, gateways: Gateways, row: Row[Any], now: datetime, *, even_if_done: bool = False) -> str:
    """Why the act is not possible now, "" where it is."""
    if act == "retry":
        return delivery_acts.why_not_retried(row, verb_of(gateways, row), now, even_if_done=even_if_done)
    if act == "drop":
        return delivery_acts.why_not_dropped(row, now)
    return delivery_acts.why_not_confirmed(row, now)
