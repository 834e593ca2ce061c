"""What happened to an order, or in a request, as entries with all that is known of each: the timeline of a page, the
sentences of a terminal, the objects of JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from app.domain.events import Event
from app.operations.scope import Scope
from app.records import story
from app.records.database import Database

EntryKind = Literal[
    "order", "held_back", "handed_out", "acknowledged", "callback", "command", "package", "owed", "attempt",
    "vendor_call", "closed", "hook", "refund", "late_event", "late_event_sent", "operation",
]  # fmt: skip
"""order: it came about at its source, was paid, reviewed or cancelled there.  callback: RetailOps asked, with the
answer (`events` holds all that was sent).  command: kept in the ledger.  owed: a call to a vendor was written; attempt:
it was tried; closed: it is delivered, refused or dropped.  vendor_call: one HTTP request to a vendor; hook: one of a
vendor."""


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
    """Code of the outcome: an event's, an error's, or "success"."""
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
    amount: Decimal | None = None
    currency_code: str = ""
    reason: str = ""
    """Why an operator did it, in the operator's words."""


@dataclass(frozen=True)
class Timeline:
    """`now`: sentences of how things stand and what to do.  `entries`: oldest first.

    `refnum` is the order; of a request about several orders their numbers, joined with commas.
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
    with database.read() as connection:
        found = story.of_order(connection, channel, refnum)
    return None if found is None else _as_timeline(found)


def of_request(database: Database, scope: Scope, request_id: str, since: datetime) -> Timeline | None:
    """What one request did, by the journal since then and by the ledger; None where there is no trace of it.

    Raises `DatabaseUnavailable`.
    """
    with database.read() as connection:
        found = story.of_request(connection, request_id, since)
    return None if found is None or not scope.sees(found.channel) else _as_timeline(found)


def _as_timeline(found: story.Story) -> Timeline:
    entries = tuple(
        Entry(item.at, item.who, "callback", item.what, request_id=item.request_id) for item in found.moments
    )
    return Timeline(found.channel, found.order_refnum, tuple(found.now), entries)
