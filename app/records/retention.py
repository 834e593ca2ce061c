"""How long anything is kept: each table has one clock (R28); those of a room with its own SQL stand there.

A table that holds personal data, or that would grow without end for no use, has a `Clock`; every other table says in
`KEPT` why it may stay.  A table that is in neither turns a test red.  `purge` ends what is past its date.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, func, or_, select, update

from app.records import call_figures, inbound, leases, pending_figures, search_keys, unverified
from app.records.statements import are_among
from app.records.tables.deliveries import IS_OPEN, deliveries, late_events
from app.records.tables.gateways import pending_reports
from app.records.tables.operations import journal
from app.records.tables.orders import handed_out, held_back

REDACTED = "REDACTED"
"""The code of an open delivery whose body is gone: it can only be dropped."""


@dataclass(frozen=True)
class Terms:
    """How long: journal lines and what has the same worth, and bodies nobody could deliver."""

    journal: timedelta = timedelta(days=90)
    bodies: timedelta = timedelta(days=180)


@dataclass(frozen=True)
class Clock:
    """One rule.  `expired` selects the keys of what is past its date, `purge` ends it for these rows.

    `purge` runs later than `expired` and in another transaction, so it has to look again.

    A table that holds personal data of single orders besides bodies of calls also has `of_order`, which selects the
    keys of what it keeps of an order, by channel and number; `erase` ends that before its date, as `purge` does at its
    date where there is no other.  See `records.erasing`.
    """

    table: str
    rule: str
    expired: Callable[[datetime, Terms], Select[Any]]
    purge: Callable[[Connection, Sequence[Any], datetime, Terms], object]
    of_order: Callable[[str, str], Select[Any]] | None = None
    erase: Callable[[Connection, Sequence[Any]], object] | None = None


def _old_lines(now: datetime, terms: Terms) -> Select[Any]:
    return select(journal.c.id).where(journal.c.at < now - terms.journal).order_by(journal.c.at)


def _delete_lines(connection: Connection, rows: Sequence[Any], now: datetime, terms: Terms) -> object:
    return connection.execute(delete(journal).where(journal.c.id.in_([row.id for row in rows])))


def _stale_bodies(now: datetime, terms: Terms) -> Select[Any]:
    changed_at = func.coalesce(deliveries.c.last_attempt_at, deliveries.c.created_at)
    return select(deliveries.c.id).where(
        IS_OPEN,
        deliveries.c.body.is_not(None),
        changed_at < now - terms.bodies,
        or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= now),
    )


def _redact(connection: Connection, rows: Sequence[Any], now: datetime, terms: Terms) -> object:
    """Parked without a body: what waited behind a parked call for so long is as old as that call."""
    still_stale = _stale_bodies(now, terms).where(deliveries.c.id.in_([row.id for row in rows]))
    return connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(still_stale))
        .values(
            body=None,
            state="parked",
            last_code=REDACTED,
            last_error=f"it was kept for {terms.bodies.days} days; what it said is gone, so it can only be dropped",
            **leases.ENDED,
        )
    )


def _needless_held_back(now: datetime, terms: Terms) -> Select[Any]:
    has_left = exists().where(
        handed_out.c.channel == held_back.c.channel,
        handed_out.c.refnum == held_back.c.refnum,
        or_(handed_out.c.acknowledged_at.is_not(None), handed_out.c.state != "open"),
    )
    return select(held_back.c.channel, held_back.c.refnum).where(or_(held_back.c.since < now - terms.journal, has_left))


def _held_back_of(channel: str, refnum: str) -> Select[Any]:
    of = held_back.c
    return select(of.channel, of.refnum).where(of.channel == channel, of.refnum == refnum)


def _delete_held_back(connection: Connection, rows: Sequence[Any], now: datetime, terms: Terms) -> object:
    keys = [(row.channel, row.refnum) for row in rows]
    named = are_among(connection, (held_back.c.channel, held_back.c.refnum), keys)
    return connection.execute(delete(held_back).where(named))


def _dismissed_news(now: datetime, terms: Terms) -> Select[Any]:
    return select(late_events.c.id).where(late_events.c.dismissed_at < now - terms.journal)


def _delete_news(connection: Connection, rows: Sequence[Any], now: datetime, terms: Terms) -> object:
    return connection.execute(delete(late_events).where(late_events.c.id.in_([row.id for row in rows])))


def _forgotten_observed(now: datetime, terms: Terms) -> Select[Any]:
    table = pending_reports
    return select(table.c.channel, table.c.gateway, table.c.refnum).where(table.c.seen_at < now - terms.bodies)


def _observed_of(channel: str, refnum: str) -> Select[Any]:
    of = pending_reports.c
    return select(of.channel, of.gateway, of.refnum).where(of.channel == channel, of.refnum == refnum)


def _delete_observed(connection: Connection, rows: Sequence[Any], now: datetime, terms: Terms) -> object:
    table = pending_reports
    keys = [(row.channel, row.gateway, row.refnum) for row in rows]
    named = are_among(connection, (table.c.channel, table.c.gateway, table.c.refnum), keys)
    return connection.execute(delete(table).where(named, table.c.seen_at < now - terms.bodies))


def _old_inbound(now: datetime, terms: Terms) -> Select[Any]:
    return inbound.expired(now)


def _delete_inbound(connection: Connection, rows: Sequence[Any], now: datetime, terms: Terms) -> None:
    inbound.purge(connection, rows)


def _old_figures(now: datetime, terms: Terms) -> Select[Any]:
    return call_figures.expired(now)


def _delete_figures(connection: Connection, rows: Sequence[Any], now: datetime, terms: Terms) -> None:
    call_figures.purge(connection, rows)


def _old_pending(now: datetime, terms: Terms) -> Select[Any]:
    return pending_figures.expired(now)


def _delete_pending(connection: Connection, rows: Sequence[Any], now: datetime, terms: Terms) -> None:
    pending_figures.purge(connection, rows)


def _old_unverified(now: datetime, terms: Terms) -> Select[Any]:
    return unverified.expired(now)


def _delete_unverified(connection: Connection, rows: Sequence[Any], now: datetime, terms: Terms) -> None:
    unverified.purge(connection, now)


def _old_tracking(now: datetime, terms: Terms) -> Select[Any]:
    return search_keys.stale_tracking(now - terms.bodies)


def _delete_tracking(connection: Connection, rows: Sequence[Any], now: datetime, terms: Terms) -> None:
    search_keys.purge(connection, rows)


CLOCKS: tuple[Clock, ...] = (
    Clock("journal", "a line goes after JOURNAL_DAYS", _old_lines, _delete_lines),
    Clock(
        "deliveries",
        "a body goes when the call is delivered, refused or dropped; of an open one 180 days after its last change",
        _stale_bodies,
        _redact,
    ),
    Clock(
        "held_back",
        "a row goes when RetailOps has the order, at the latest after JOURNAL_DAYS",
        _needless_held_back,
        _delete_held_back,
        _held_back_of,
    ),
    Clock(
        "pending_reports",
        "a row goes when its observer is owed the report or the order is cancelled, at the latest after 180 days",
        _forgotten_observed,
        _delete_observed,
        _observed_of,
    ),
    Clock("inbound_requests", "a row goes after a day", _old_inbound, _delete_inbound),
    Clock("call_figures", "five minutes go after 2 days, an hour after 90", _old_figures, _delete_figures),
    Clock("pending_figures", "a sample goes after 90 days", _old_pending, _delete_pending),
    Clock("unverified_requests", "a row goes after an hour", _old_unverified, _delete_unverified),
    Clock(
        "search_keys",
        "what an order of a shop is found by goes with the order; a tracking number 180 days after it was stated",
        _old_tracking,
        _delete_tracking,
        search_keys.tracking_of,
    ),
    Clock("late_events", "a row goes JOURNAL_DAYS after it was dismissed", _dismissed_news, _delete_news),
)

KEPT: Mapping[str, str] = {
    "channels": "one row for each channel there ever was: what is kept for ever hangs on its key",
    "channel_names": "names of channels, former ones too",
    "channel_accounts": "one row for each gateway of a channel: ids of merchants' accounts, not of people",
    "source_cancellation_cursors": "one row for each source of orders",
    "handed_out": "order numbers, lines as ids and quantities: an order must never be handed out again (R18)",
    "packages": "shipment numbers, units, label digests: what shipped must not be cancelled or refunded (R21, R22)",
    "payments": "payment numbers and amounts: nothing may be refunded beyond them",
    "refunds": "the refund ledger: ids and amounts, never purged (R9)",
    "commands": "the ledger of natural keys: ids, digests and events, never purged (R9)",
    "stock": "SKUs and quantities, one row each",
    "stock_disagreements": "counts and one SKU, one row for each channel",
    "catalogue": "goods, not people, one row each",
    "sku_numbers": "SKUs; each keeps its number for ever because vendors know it by that",
    "catalogue_sync": "keys of goods, one row each for each gateway",
    "fact_obstacles": "what refused goods wait for, one row each until they are sent again",
    "reservations": "SKUs, order numbers and units; gone with their order at the latest",
    "categories": "names of goods' categories, numbered for ever",
    "sync_states": "one row for each gateway",
    "feeds": "goods, not people; one row for each feed",
    "feed_pieces": "goods, not people; the last two builds of each feed",
    "reported_lines": "order numbers and numbers of goods: what was counted must not be counted again",
    "periodic_work": "one row for each kind of work that processes take turns at",
    "heartbeat": "one row of times",
    "schema_compatibility": "one row for each migration",
    "write_probes": "random bytes, a row for each process that has tried lately whether the database takes anything",
    "unseen_steps": "times at which the clock was set or nothing ran, one row each",
    "rates": "one row for each key of a vendor, known by its digest",
    "counters": "sums of what was counted, a row for each combination of labels, none of which names an object",
    "open_breakers": "one row for each open breaker of a process, gone a day after it ended",
    "operations": "who let money go or figures be sent, and why: an operator's word, as long as the ledger (R34)",
    "pauses": "one row for each gateway that is paused",
    "last_calls": "one row for each callback and each vendor of a channel",
    "check_requests": "the last ten",
    "attempts": "times and codes, one row for each attempt, as long as its call",
    "operation_targets": "numbers of the objects that an act changed",
}
