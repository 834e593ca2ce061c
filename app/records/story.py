"""The timeline of an order or a request: journal, ledger, deliveries, hand-outs and late events by time.

The journal may have lost its last lines in a kill; what the ledger and the deliveries say is the truth (R16).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, or_, select

from app.domain.events import Event
from app.records.statements import chunked
from app.records.tables.deliveries import commands, deliveries, late_events
from app.records.tables.operations import journal
from app.records.tables.orders import handed_out, held_back, packages

SLACK = timedelta(minutes=1)
"""How far the journal's clock may stand from the ledger's: the whole of a callback, and some air."""

MOST_LINES = 2000
"""Journal lines read for one story, newest first."""


@dataclass(frozen=True)
class Moment:
    """One thing that happened.  `who` is RetailOps, a vendor, this server or an operator."""

    at: datetime
    who: str
    what: str
    request_id: str = ""


@dataclass(frozen=True)
class Story:
    """`now` says how things stand and what to do; `moments` how it came to that, oldest first."""

    channel: str
    order_refnum: str
    now: list[str]
    moments: list[Moment]


@dataclass
class _Gathered:
    moments: list[Moment] = field(default_factory=list)
    requests: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    """Request ids met, and between when their journal lines may stand."""

    def add(self, at: datetime | None, who: str, what: str, request_id: str = "") -> None:
        if at is not None:
            self.moments.append(Moment(at, who, what, request_id))

    def met(self, request_id: str, *times: datetime | None) -> None:
        known = self.requests.get(request_id, ())
        all_times = [*known, *(at for at in times if at is not None)]
        if request_id and all_times:
            self.requests[request_id] = (min(all_times), max(all_times))


def of_order(connection: Connection, channel: str, refnum: str) -> Story | None:
    """Everything known of one order on one channel; None when there is no trace of it."""
    gathered = _Gathered()
    now = [*_handed_out(connection, channel, refnum, gathered), *_packages(connection, channel, refnum, gathered)]
    ledger = connection.execute(
        select(commands).where(commands.c.channel == channel, commands.c.order_refnum == refnum).order_by(commands.c.id)
    ).all()
    owed = _deliveries_of(connection, [row.id for row in ledger])
    now += [*_calls(ledger, owed, gathered), *_news(connection, channel, refnum, gathered)]
    lines = connection.execute(
        select(journal)
        .where(journal.c.channel == channel, journal.c.order_refnum == refnum)
        .order_by(journal.c.at.desc())
        .limit(MOST_LINES)
    ).all()
    for row in lines:
        gathered.met(row.request_id, row.at - timedelta(milliseconds=row.duration_ms), row.at)
    _lines({row.id: row for row in [*lines, *_lines_of(connection, gathered)]}.values(), gathered)
    if not gathered.moments and not now:
        return None
    return Story(channel, refnum, now, sorted(gathered.moments, key=lambda moment: moment.at))


def requests_like(connection: Connection, start: str, since: datetime) -> list[str]:
    """At most five ids of requests since then that begin so, or the one that is exactly this."""
    found: set[str] = set()
    for table, moment in ((journal, journal.c.at), (commands, commands.c.begun_at)):
        named = table.c.request_id
        query = select(named).where(moment >= since, named.startswith(start, autoescape=True)).distinct().limit(5)
        found.update(connection.execute(query).scalars())
    return [start] if start in found else sorted(found)[:5]


def of_request(connection: Connection, request_id: str, since: datetime) -> Story | None:
    """What one request did, by the journal since then and by the ledger; None when there is no trace of it."""
    gathered = _Gathered()
    lines = connection.execute(
        select(journal).where(journal.c.at >= since, journal.c.request_id == request_id).limit(MOST_LINES)
    ).all()
    owed = connection.execute(
        select(deliveries).where(deliveries.c.request_id == request_id).order_by(deliveries.c.id)
    ).all()
    ledger = connection.execute(
        select(commands)
        .where(or_(commands.c.request_id == request_id, commands.c.id.in_([row.command_id for row in owed])))
        .order_by(commands.c.id)
    ).all()
    now = _calls(ledger, owed, gathered)
    _lines(lines, gathered)
    if not gathered.moments:
        return None
    channels = [row.channel for row in [*ledger, *lines] if row.channel]
    orders = dict.fromkeys(
        [*(row.order_refnum for row in ledger), *(row.order_refnum for row in lines if row.order_refnum)]
    )
    return Story(
        channels[0] if channels else "",
        ", ".join(orders),
        now,
        sorted(gathered.moments, key=lambda moment: moment.at),
    )


def lines_of(connection: Connection, request_id: str, first: datetime, last: datetime) -> list[Moment]:
    """The journal of one request between two moments, as parts of a story."""
    gathered = _Gathered()
    gathered.met(request_id, first, last)
    _lines(_lines_of(connection, gathered), gathered)
    return sorted(gathered.moments, key=lambda moment: moment.at)


def callbacks_of(connection: Connection, channel: str, refnum: str) -> list[tuple[Row[Any], Row[Any] | None]]:
    """The ledger's rows of an order, each with the journal's line of its callback, if that was not lost."""
    ledger = connection.execute(
        select(commands).where(commands.c.channel == channel, commands.c.order_refnum == refnum).order_by(commands.c.id)
    ).all()
    gathered = _Gathered()
    for row in ledger:
        gathered.met(row.request_id, row.begun_at, row.finished_at)
    lines = {row.request_id: row for row in _lines_of(connection, gathered) if row.kind == "callback"}
    return [(row, lines.get(row.request_id)) for row in ledger]


def _lines_of(connection: Connection, gathered: _Gathered) -> list[Row[Any]]:
    """By time and request id: the journal has no index on request ids, because every callback would pay for it."""
    if not gathered.requests:
        return []
    spans = [
        and_(journal.c.at >= first - SLACK, journal.c.at <= last + SLACK, journal.c.request_id == request_id)
        for request_id, (first, last) in gathered.requests.items()
    ]
    found: list[Row[Any]] = []
    for some in chunked(spans, 50):
        found += connection.execute(
            select(journal).where(or_(*some)).order_by(journal.c.at.desc()).limit(MOST_LINES)
        ).all()
    return found


def _deliveries_of(connection: Connection, command_ids: Collection[int]) -> Sequence[Row[Any]]:
    return connection.execute(
        select(deliveries).where(deliveries.c.command_id.in_(command_ids)).order_by(deliveries.c.id)
    ).all()


def _lines(lines: Iterable[Row[Any]], gathered: _Gathered) -> None:
    lines = sorted(lines, key=lambda row: row.at)
    of_many = {row.request_id for row in lines if row.kind == "callback" and not row.order_refnum}
    counted: dict[tuple[str, str, str], list[Row[Any]]] = {}
    for row in lines:
        if row.kind == "callback":
            gathered.add(
                row.at - timedelta(milliseconds=row.duration_ms), "RetailOps", f"asks {row.name}", row.request_id
            )
            answered = f"answers {row.name} with {row.status}, {row.outcome}, after {row.duration_ms} ms"
            gathered.add(row.at, "this server", answered, row.request_id)
            continue
        vendor, _, address = row.name.partition(" ")
        said = f"{address}: {row.status} {row.outcome}" if row.status else f"{address}: {row.outcome}"
        if row.request_id in of_many:
            counted.setdefault((row.request_id, vendor, said), []).append(row)
        else:
            gathered.add(row.at, vendor, f"{said}, after {row.duration_ms} ms", row.request_id)
    for (request_id, vendor, said), rows in counted.items():
        # Nobody can tell which of them was for which order of the request.
        several = f", {_times(len(rows))} for the orders of this request"
        gathered.add(rows[0].at, vendor, said + several, request_id)


def _handed_out(connection: Connection, channel: str, refnum: str, gathered: _Gathered) -> list[str]:
    now = []
    held = connection.execute(
        select(held_back).where(held_back.c.channel == channel, held_back.c.refnum == refnum)
    ).first()
    if held is not None:
        gathered.add(held.since, "this server", f"holds the order back: {held.reason}")
        now.append(f"The order is held back from RetailOps: {held.reason}")
    row = connection.execute(
        select(handed_out).where(handed_out.c.channel == channel, handed_out.c.refnum == refnum)
    ).first()
    if row is None:
        return now
    if row.times:
        gathered.add(row.last_handed_at, "this server", f"hands the order to RetailOps ({_times(row.times)} so far)")
    number = f" as its order {row.retailops_order_id}" if row.retailops_order_id else ""
    if row.acknowledged_at is not None:
        gathered.add(row.acknowledged_at, "RetailOps", f"has the order{number}")
        now.append(f"RetailOps has acknowledged it{number}; it is {row.state}.")
    elif row.times:
        now.append(f"RetailOps was given it {_times(row.times)} and has not acknowledged it; it is {row.state}.")
    else:
        now.append(f"RetailOps asked about it, but was never given it by this server; it is {row.state}.")
    if row.removed:
        now.append("RetailOps took units off its lines; they are closed when it is completed.")
    if row.left_open:
        now.append(f"order_complete left units open ({row.left_open}): send it again with unshipped_items for them.")
    return now


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _packages(connection: Connection, channel: str, refnum: str, gathered: _Gathered) -> list[str]:
    rows = connection.execute(
        select(packages).where(packages.c.channel == channel, packages.c.order_refnum == refnum)
    ).all()
    for row in rows:
        units = sum(int(line.get("quantity", 0)) for line in msgspec.json.decode(row.lines))
        shipment = f" of shipment {row.retailops_shipment_id}" if row.retailops_shipment_id else ""
        gathered.add(row.registered_at, "this server", f"registers package {row.key}{shipment}: {units} units")
    return [f"Packages registered: {len(rows)}."] if rows else []


def _calls(ledger: Sequence[Row[Any]], owed: Sequence[Row[Any]], gathered: _Gathered) -> list[str]:
    """The ledger's and the deliveries' part; returns what is still open and what to do about it."""
    now = []
    for row in ledger:
        gathered.met(row.request_id, row.begun_at, row.finished_at)
        events = msgspec.json.decode(row.events, type=list[Event])
        told = ", ".join(event.code for event in events)
        note = f"; said of it: {told}" if told else ""
        gathered.add(row.begun_at, "this server", f"keeps {row.callback} in the ledger{note}", row.request_id)
    for row in owed:
        gathered.met(row.request_id, row.created_at, row.last_attempt_at, row.closed_at)
        name = f"delivery {row.id} ({row.verb} to {row.gateway})"
        gathered.add(row.created_at, "this server", f"owes {name}", row.request_id)
        for event in msgspec.json.decode(row.events, type=list[Event]) if row.events else ():
            gathered.add(
                row.closed_at or row.last_attempt_at, row.gateway, f"{event.code}: {event.message}", row.request_id
            )
        why = f"{row.last_code}: {row.last_error}" if row.last_error else row.last_code or "not tried yet"
        if row.state == "dropped":
            gathered.add(row.closed_at, "an operator", f"gives up {name}: {row.dropped_because}", row.request_id)
            now.append(f"Given up by an operator: {name}, {row.dropped_because}.")
        elif row.closed_at is not None:
            done = f"{name} is {row.state} after {_tries(row.attempts)}"
            gathered.add(row.closed_at, "this server", done, row.request_id)
        elif row.state == "parked":
            gathered.add(row.last_attempt_at or row.created_at, "this server", f"parks {name}: {why}", row.request_id)
            now.append(
                f"PARKED: {name}. {why}. The order's later calls wait for it. "
                f"Mend the cause, then: channel deliveries retry {row.id}, or give it up: "
                f"channel deliveries drop {row.id} --reason TEXT"
            )
        elif row.state == "checking":
            now.append(f"Being found out: whether {row.gateway} did {name}. {why}.")
        else:
            now.append(f"Owed: {name}, {_tries(row.attempts)}, next {row.next_try_at:%Y-%m-%d %H:%M:%S} UTC. {why}.")
    if owed and all(row.state == "delivered" for row in owed):
        now.append(f"All {len(owed)} calls to vendors were delivered; nothing is open.")
    return now


def _tries(count: int) -> str:
    return "1 try" if count == 1 else f"{count} tries"


def _news(connection: Connection, channel: str, refnum: str, gathered: _Gathered) -> list[str]:
    now = []
    rows = connection.execute(
        select(late_events)
        .where(late_events.c.channel == channel, late_events.c.subject == refnum)
        .order_by(late_events.c.id)
    )
    for row in rows:
        gathered.add(
            row.at, "this server", f"learns after the answer: {row.code} (late news n{row.id})", row.request_id
        )
        if row.sent_request_id:
            gathered.add(
                row.sent_at, "this server", f"tells RetailOps {row.code} in a later answer", row.sent_request_id
            )
        elif row.dismissed_at is None:
            now.append(f"RetailOps does not know yet: {row.code} (told with the channel's next answer).")
    return now
