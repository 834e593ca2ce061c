"""What happened to an order, or in a request, as entries with all that is known of each: the timeline of a page, the
sentences of a terminal, the objects of JSON.

The journal may have lost its last lines in a kill; what the ledger and the calls say is the truth (R16).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row

from app.domain.texts import counted
from app.operations import refusals, standing
from app.operations import timeline_entries as make
from app.operations.scope import Scope
from app.operations.timeline_entries import HERE, Entry, EntryKind, Gathered, times
from app.records import outcomes, pulls, refunds, search_keys, traces
from app.records.database import Database
from app.storefront import order_store
from app.storefront.order_document import OrderDocument, read_document
from app.storefront.order_store import StoredOrder

__all__ = ["Entry", "EntryKind", "Timeline", "of_journal", "of_order", "of_request", "requests_like"]


@dataclass(frozen=True)
class Timeline:
    """`now`: sentences of how things stand and what to do.  `entries`: oldest first.

    `channel` is the key of the records.  `refnum` is the order; of a request about several orders their numbers, joined
    with commas.
    """

    channel: str
    refnum: str
    now: tuple[str, ...]
    entries: tuple[Entry, ...]


def of_order(database: Database, scope: Scope, channel: str, refnum: str) -> Timeline | None:
    """Everything known of an order, by its channel's key and number; None where there is no trace of it.

    Raises `DatabaseUnavailable`.
    """
    if not scope.sees(channel):
        return None
    gathered, now = Gathered(refnum), database.now()
    with database.read() as connection:
        ledger = traces.commands_of_order(connection, channel, refnum)
        owed = traces.calls_of_commands(connection, [row.id for row in ledger])
        packages = traces.packages_of(connection, channel, refnum)
        late = traces.late_events_of(connection, channel, refnum)
        stored = order_store.get(connection, channel, refnum)
        hand_out = traces.hand_out_of(connection, channel, refnum)
        hold = traces.hold_of(connection, channel, refnum)
        _add_birth(connection, channel, refnum, stored, gathered)
        _add_hand_outs(hand_out, hold, gathered)
        if hand_out is not None and stored is None:
            cancelled = "learns that its source has cancelled it"
            gathered.add(hand_out.source_cancelled_at, HERE, "order", cancelled, code="cancelled")
        make.add_packages(packages, gathered)
        make.add_commands(ledger, gathered)
        make.add_calls(owed, _attempts_at(connection, owed), gathered)
        make.add_refunds(refunds.of_order(connection, channel, refnum), gathered)
        make.add_late_events(late, gathered)
        make.add_acts(traces.acts_on_order(connection, channel, refnum), gathered)
        names = [refnum, *([stored.cart_id] if stored is not None else [])]
        lines = traces.lines_of_order(connection, channel, names)
        for row in lines:
            gathered.met(row.request_id, row.at - timedelta(milliseconds=row.duration_ms), row.at)
        both = [*lines, *traces.lines_of_requests(connection, gathered.spans, channel)]
    make.add_lines({row.id: row for row in both}.values(), gathered)
    entries = gathered.in_order()
    said = [
        *standing.of_hand_out(hand_out, hold, stored, now),
        *standing.of_packages(packages),
        *refusals.of_answers(entries, ledger, owed, packages),
        *standing.of_calls(owed),
        *standing.of_late_events(late),
    ]
    if not entries and not said:
        return None
    if hand_out is None and hold is None and stored is None:
        said.insert(0, "This server has not handed it to RetailOps.")
    return Timeline(channel, refnum, tuple(said), entries)


def requests_like(database: Database, scope: Scope, start: str, since: datetime) -> list[str]:
    """At most five ids of requests since then that begin so, or the one that is exactly this.

    Raises `DatabaseUnavailable`.
    """
    with database.read() as connection:
        return traces.requests_like(connection, scope.keys, start, since)


def of_request(database: Database, scope: Scope, request_id: str, since: datetime) -> Timeline | None:
    """What one request did, by the journal since then and by the ledger; None where there is no trace of it.

    Raises `DatabaseUnavailable`.
    """
    gathered = Gathered()
    with database.read() as connection:
        lines = traces.lines_of_request(connection, request_id, since)
        owed = traces.calls_of_request(connection, request_id)
        ledger = traces.commands_of_request(connection, request_id, owed)
        tried = _attempts_at(connection, owed)
    # A request id is whatever its sender chose: what another channel's request of the same id did is not seen.
    lines, owed, ledger = ([row for row in rows if scope.sees(row.channel)] for rows in (lines, owed, ledger))
    make.add_commands(ledger, gathered)
    make.add_calls(owed, tried, gathered)
    make.add_lines(lines, gathered)
    if not gathered.entries:
        return None
    channels = [row.channel for row in [*ledger, *lines] if row.channel]
    named = [*(row.order_refnum for row in ledger), *(row.order_refnum for row in lines if row.order_refnum)]
    refnums = ", ".join(dict.fromkeys(named))
    now = tuple(standing.of_calls(owed))
    return Timeline(channels[0] if channels else "", refnums, now, gathered.in_order())


def of_journal(database: Database, scope: Scope, request_id: str, first: datetime, last: datetime) -> tuple[Entry, ...]:
    """The journal of one request between two moments.  Raises `DatabaseUnavailable`."""
    gathered = Gathered()
    with database.read() as connection:
        lines = traces.lines_of_requests(connection, {request_id: (first, last)} if request_id else {})
    make.add_lines([row for row in lines if scope.sees(row.channel)], gathered)
    return gathered.in_order()


def _attempts_at(connection: Connection, owed: Sequence[Row[Any]]) -> dict[int, list[Row[Any]]]:
    rows = sorted(outcomes.attempts_of(connection, [row.id for row in owed]), key=lambda row: row.delivery_id)
    return {delivery_id: list(of_call) for delivery_id, of_call in groupby(rows, key=lambda row: row.delivery_id)}


def _add_birth(
    connection: Connection, channel: str, refnum: str, stored: StoredOrder | None, gathered: Gathered
) -> None:
    """When this server learned of the order; of one that is kept here, what became of it at its checkout."""
    if stored is None:
        learned_at = search_keys.known_at(connection, channel, refnum)
        gathered.add(learned_at, HERE, "order", "learns of the order", code="known")
        return
    document = read_document(stored.body)
    total, facts = _money(document), {"amount": document.total, "currency_code": document.currency}
    made = f"makes the order of cart {stored.cart_id}: {counted(len(document.lines), 'line')}, {total}"
    gathered.add(stored.created_at, HERE, "order", made, code="created", **facts)
    paid = {"amount": document.paid, "currency_code": document.currency}
    said = f"knows that the shopper has paid {document.paid:f} {document.currency}"
    gathered.add(stored.paid_at, HERE, "order", said, code="paid", **paid)
    gathered.add(stored.cancelled_at, HERE, "order", "learns that its source has cancelled it", code="cancelled")
    if document.is_under_review:
        gathered.add(stored.changed_at, HERE, "order", "holds it while a fraud review is open", code="review")


def _money(document: OrderDocument) -> str:
    return f"{document.total:f} {document.currency}"


def _add_hand_outs(row: Row[Any] | None, hold: Row[Any] | None, gathered: Gathered) -> None:
    if hold is not None:
        gathered.add(hold.since, HERE, "held_back", f"holds the order back: {hold.reason}", code="held back")
    if row is None:
        return
    kept = pulls.moments(row.hand_outs)
    counted = dict(enumerate(kept, 1)) if len(kept) <= row.times else {}
    if row.times:
        counted[row.times] = row.last_handed_at
    for count, at in counted.items():
        said = f"hands the order to RetailOps ({times(count)} so far)"
        gathered.add(at, HERE, "handed_out", said, name="order_pull", attempt=count)
    number = f" as its order {row.retailops_order_id}" if row.retailops_order_id else ""
    gathered.add(row.acknowledged_at, "RetailOps", "acknowledged", f"has the order{number}", name="order_acknowledge")
