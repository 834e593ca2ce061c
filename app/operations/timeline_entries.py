"""Makes the entries of a timeline out of rows: each says what happened, by whom, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import msgspec
from sqlalchemy import Row

from app.domain.body_problems import NO_PROBLEMS, BodyProblems
from app.domain.events import Event
from app.domain.prices import decimals
from app.domain.texts import counted
from app.records.callback_log import problems_of
from app.records.refunds import Entry as Refund

EntryKind = Literal[
    "order", "held_back", "handed_out", "acknowledged", "callback", "answer", "command", "package", "owed", "attempt",
    "event", "vendor_call", "closed", "parked", "hook", "refund", "late_event", "late_event_sent", "operation",
]  # fmt: skip
"""order: it came about at its source, was paid or cancelled there.  callback: RetailOps called, and answer: what it was
answered, with all `events`.  command: kept in the ledger.  owed: a call to a vendor was written; attempt: it was tried;
event: what that left to be said; closed: it is delivered, refused or dropped.  vendor_call: one HTTP request to a
vendor; hook: one of a vendor."""

RETAILOPS, HERE, OPERATOR = "RetailOps", "this server", "an operator"

INEXACT = timedelta(milliseconds=20)
"""How late a callback's begin may seem: it is its end less a duration that was rounded, read from another clock."""

_EVENTS = list[Event]


@dataclass(frozen=True)
class Entry:
    """One thing that happened.  What does not apply is "" or None."""

    at: datetime
    who: str
    """RetailOps, a vendor's token, this server, or an operator's name as stated."""
    kind: EntryKind
    sentence: str
    """For people; ours, and without a shopper's data or a vendor's words (P20)."""
    name: str = ""
    """The callback, the verb of a call, the topic of a hook, an operator's act, or method and path of an HTTP call."""
    code: str = ""
    """Code of the outcome: an event's, an error's, a state or "success"."""
    status: int | None = None
    """HTTP status."""
    ms: int | None = None
    """Milliseconds it took."""
    attempt: int | None = None
    """Which attempt of its call it was, from 1 on."""
    next_try_at: datetime | None = None
    request_id: str = ""
    delivery_id: int | None = None
    events: tuple[Event, ...] = ()
    """What RetailOps was sent with it: kind, code, our sentence, association."""
    problems: BodyProblems = NO_PROBLEMS
    """Of an answer, what was wrong with the callback's body or with the answer; of a request about many orders only in
    the timeline of that request, for a pointer does not say which order it is about."""
    amount: Decimal | None = None
    currency_code: str = ""
    reason: str = ""
    """Why an operator did it, in the operator's words."""


@dataclass
class Gathered:
    """Entries as they are found, and the requests met on the way."""

    order: str = ""
    """The order they are about; "" where they are about a request."""
    entries: list[Entry] = field(default_factory=list)
    spans: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    """By request id, between when its journal lines may stand."""

    def add(self, at: datetime | None, who: str, kind: EntryKind, sentence: str, **more: Any) -> None:
        """Nothing without a time."""
        if at is not None:
            self.entries.append(Entry(at, who, kind, sentence, **more))

    def met(self, request_id: str, *times: datetime | None) -> None:
        """A request was about the order at these times."""
        all_times = [*self.spans.get(request_id, ()), *(at for at in times if at is not None)]
        if request_id and all_times:
            self.spans[request_id] = (min(all_times), max(all_times))

    def in_order(self) -> tuple[Entry, ...]:
        """Oldest first.

        A request begins when its callback came: the journal knows that less exactly than the ledger what followed.
        """
        followed: dict[str, list[datetime]] = {}
        for entry in self.entries:
            if entry.request_id and entry.kind != "callback":
                followed.setdefault(entry.request_id, []).append(entry.at)
        return tuple(sorted((_begun(entry, followed) for entry in self.entries), key=_place))


def _begun(entry: Entry, followed: Mapping[str, Sequence[datetime]]) -> Entry:
    """A callback at the first moment of what followed, where that seems to be a little earlier; any other as it is."""
    if entry.kind != "callback":
        return entry
    earlier = [at for at in followed.get(entry.request_id, ()) if timedelta() <= entry.at - at < INEXACT]
    return replace(entry, at=min(earlier, default=entry.at))


def _place(entry: Entry) -> tuple[datetime, bool]:
    return entry.at, entry.kind != "callback"


def add_lines(lines: Iterable[Row[Any]], gathered: Gathered) -> None:
    """Callbacks, calls to vendors and hooks, by the journal."""
    lines = sorted(lines, key=lambda row: (row.at, row.id))  # several may be of one millisecond
    of_many = {row.request_id for row in lines if row.kind == "callback" and not row.order_refnum}
    counted: dict[tuple[str, str, str], list[Row[Any]]] = {}
    for row in lines:
        begun_at = row.at - timedelta(milliseconds=row.duration_ms)
        facts = {"code": row.outcome, "status": row.status, "ms": row.duration_ms, "request_id": row.request_id}
        vendor, _, name = row.name.partition(" ")
        if row.kind == "callback":
            asks = f"asks {row.name}"
            gathered.add(begun_at, RETAILOPS, "callback", asks, name=row.name, request_id=row.request_id)
            answers = f"answers {row.name} with {row.status}, {row.outcome}, after {row.duration_ms} ms"
            is_whole = bool(row.order_refnum) or not gathered.order
            events = _events_about(row.events, "" if is_whole else gathered.order)
            problems = problems_of(row) if is_whole else NO_PROBLEMS
            gathered.add(row.at, HERE, "answer", answers, name=row.name, events=events, problems=problems, **facts)
        elif row.kind == "hook":
            said = f"asks {name}: answered {row.status}, {row.outcome}, after {row.duration_ms} ms"
            gathered.add(row.at, vendor, "hook", said, name=name, **facts)
        else:
            said = f"{name}: {row.status} {row.outcome}" if row.status else f"{name}: {row.outcome}"
            if row.request_id in of_many:
                counted.setdefault((row.request_id, vendor, said), []).append(row)
            else:
                after = f"{said}, after {row.duration_ms} ms"
                gathered.add(row.at, vendor, "vendor_call", after, name=name, **facts)
    for (request_id, vendor, said), rows in counted.items():
        # Nobody can tell which of them was for which order of the request.
        several, first = f"{said}, {times(len(rows))} for the orders of this request", rows[0]
        name = first.name.partition(" ")[2]
        gathered.add(
            first.at, vendor, "vendor_call", several, name=name, code=first.outcome, status=first.status,
            request_id=request_id,
        )  # fmt: skip


def _events_about(raw: bytes | None, order: str) -> tuple[Event, ...]:
    """The events of an answer; of one about many orders those that name this one, and what is no error of any."""
    events = msgspec.json.decode(raw, type=_EVENTS) if raw else []
    return tuple(event for event in events if not order or _is_about(event, order))


def _is_about(event: Event, order: str) -> bool:
    named = [item.identifier for item in event.associations if item.identifier_type == "order_refnum"]
    return order in named if named else event.event_type != "error"


def add_commands(ledger: Iterable[Row[Any]], gathered: Gathered) -> None:
    """What was kept in the ledger."""
    for row in ledger:
        gathered.met(row.request_id, row.begun_at, row.finished_at)
        events = tuple(msgspec.json.decode(row.events, type=_EVENTS))
        note = f"; said of it: {', '.join(event.code for event in events)}" if events else ""
        kept = f"keeps {row.callback} in the ledger{note}"
        gathered.add(row.begun_at, HERE, "command", kept, name=row.callback, events=events, request_id=row.request_id)


def add_calls(owed: Iterable[Row[Any]], attempts: Mapping[int, Sequence[Row[Any]]], gathered: Gathered) -> None:
    """Calls to vendors: when each was written, every attempt, and how it ended."""
    for row in owed:
        gathered.met(row.request_id, row.created_at, row.last_attempt_at, row.closed_at)
        facts = {"name": row.verb, "request_id": row.request_id, "delivery_id": row.id}
        called = call_name(row)
        gathered.add(row.created_at, HERE, "owed", f"owes {called}", **facts)
        for attempt in attempts.get(row.id, ()):
            said = attempt.code or attempt.outcome
            took = f" after {attempt.ms} ms" if attempt.ms is not None else ""
            is_last = attempt.at == attempts[row.id][-1].at and row.state in ("owed", "checking")
            gathered.add(
                attempt.at, row.gateway, "attempt", f"attempt {attempt.number} at {called}: {said}{took}",
                code=said, status=attempt.status, ms=attempt.ms, attempt=attempt.number,
                next_try_at=row.next_try_at if is_last else None, **facts,
            )  # fmt: skip
        for event in msgspec.json.decode(row.events, type=_EVENTS) if row.events else ():
            said_at = row.closed_at or row.last_attempt_at
            gathered.add(
                said_at, row.gateway, "event", f"{event.code}: {event.message}", code=event.code, events=(event,),
                **facts,
            )  # fmt: skip
        if row.state == "dropped":
            gives_up = f"gives up {called}: {row.dropped_because}"
            gathered.add(row.closed_at, OPERATOR, "closed", gives_up, code=row.state, **facts)
        elif row.closed_at is not None:
            done = f"{called} is {row.state} after {tries(row.attempts)}"
            gathered.add(row.closed_at, HERE, "closed", done, code=row.state, **facts)
        elif row.state == "parked":
            parked_at = row.last_attempt_at or row.created_at
            gathered.add(parked_at, HERE, "parked", f"parks {called}: {why(row)}", code=row.last_code, **facts)


def add_packages(rows: Iterable[Row[Any]], gathered: Gathered) -> None:
    """Packages that were registered."""
    for row in rows:
        units = sum(int(line.get("quantity", 0)) for line in msgspec.json.decode(row.lines))
        shipment = f" of shipment {row.retailops_shipment_id}" if row.retailops_shipment_id else ""
        said = f"registers package {row.key}{shipment}: {counted(units, 'unit')}"
        gathered.add(row.registered_at, HERE, "package", said, name=row.key)


def add_refunds(entries: Iterable[Refund], gathered: Gathered) -> None:
    """Money that goes back, or was only recorded, and how it stands."""
    for entry in entries:
        number = f" as {entry.refnum}" if entry.refnum else ""
        of = f" of payment {entry.payment_refnum}" if entry.payment_refnum else ""
        sum_of_money = f"{entry.amount:.{decimals(entry.currency_code)}f} {entry.currency_code}"
        said = f"gives back {sum_of_money}{of} for {entry.callback}: {entry.state}{number}"
        if entry.state in ("recorded", "matched"):
            said = f"pays nothing for {entry.callback} over {sum_of_money}: {entry.state}"
        facts = {"amount": entry.amount, "currency_code": entry.currency_code, "name": entry.callback}
        gathered.add(entry.created_at, HERE, "refund", said, code=entry.state, **facts)
        if entry.released_at is not None:
            gathered.add(entry.released_at, OPERATOR, "refund", "lets its amount go", code="released", **facts)


def add_late_events(rows: Iterable[Row[Any]], gathered: Gathered) -> None:
    """What turned out after an answer, and when RetailOps was sent it."""
    for row in rows:
        event = Event("warning", row.code, row.message)
        facts = {"code": row.code, "name": row.callback, "delivery_id": row.delivery_id}
        learns = f"learns after the answer: {row.code} (late news n{row.id})"
        gathered.add(row.at, HERE, "late_event", learns, request_id=row.request_id, events=(event,), **facts)
        if row.sent_request_id:
            sends = f"sends RetailOps {row.code} in a later answer"
            gathered.add(row.sent_at, HERE, "late_event_sent", sends, request_id=row.sent_request_id, **facts)


def add_acts(rows: Iterable[Row[Any]], gathered: Gathered) -> None:
    """What operators did."""
    for row in rows:
        because = f"; why: {row.reason}" if row.reason else ""
        act, outcome = (word.replace(".", " ").replace("_", " ") for word in (row.act, row.outcome))
        said = f"{' '.join(filter(None, (act, row.detail)))}: {outcome}{because}"
        gathered.add(row.at, row.who, "operation", said, name=row.act, code=row.outcome, reason=row.reason)


def call_name(row: Row[Any]) -> str:
    """A call to a vendor, in a sentence."""
    return f"delivery {row.id} ({row.verb} to {row.gateway})"


def why(row: Row[Any]) -> str:
    """What the last attempt at a call came to, in a sentence."""
    return f"{row.last_code}: {row.last_error}" if row.last_error else row.last_code or "not tried yet"


def tries(count: int) -> str:
    return counted(count, "try", "tries")


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
