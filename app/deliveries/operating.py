"""What an operator may do with the outbox: list calls, retry a parked one, drop one, confirm that one was done.

A call that is being tried just now belongs to whoever tries it; nothing here touches it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, update

from app.gateways.interface import Verb
from app.records import leases, outbox
from app.records.deliveries import OPEN_STATES, Delivery, Settled
from app.records.tables import deliveries

NEVER_KNOWN = "NEVER_KNOWN"
"""Code of a dropped call that the vendor decides: RetailOps was told "unknown", and must not read success now."""

CONFIRMED = "CONFIRMED"
"""Code of a call that counts as delivered on an operator's word."""

STATES = ("owed", "checking", "parked", "delivered", "refused", "dropped")


@dataclass(frozen=True)
class Wanted:
    """Which deliveries; what is empty does not restrict.  Times are those of owing."""

    ids: Collection[int] = ()
    order: str = ""
    channel: str = ""
    gateway: str = ""
    states: Collection[str] = ()
    since: datetime | None = None
    until: datetime | None = None


def find(connection: Connection, wanted: Wanted, limit: int | None = None) -> Sequence[Row[Any]]:
    """The deliveries, newest first; whole rows, so the caller takes care of the body."""
    return connection.execute(
        select(deliveries).where(*_restrictions(wanted)).order_by(deliveries.c.id.desc()).limit(limit)
    ).all()


def count(connection: Connection, wanted: Wanted) -> int:
    """How many `find` would give without a limit."""
    found = connection.execute(select(func.count()).select_from(deliveries).where(*_restrictions(wanted)))
    return int(found.scalar_one())


def _restrictions(wanted: Wanted) -> list[ColumnElement[bool]]:
    table = deliveries.c
    rules: list[ColumnElement[bool]] = []
    if wanted.ids:
        rules.append(table.id.in_(wanted.ids))
    for column, value in ((table.lane, wanted.order), (table.channel, wanted.channel), (table.gateway, wanted.gateway)):
        if value:
            rules.append(column == value)
    if wanted.states:
        rules.append(table.state.in_(wanted.states))
    if wanted.since:
        rules.append(table.created_at >= wanted.since)
    if wanted.until:
        rules.append(table.created_at < wanted.until)
    return rules


def held_by(connection: Connection, row: Row[Any]) -> Row[Any] | None:
    """The first open call before this one in its lane, which has to be over before this one is tried (R12)."""
    if row.state not in OPEN_STATES:
        return None
    return connection.execute(
        select(deliveries)
        .where(
            deliveries.c.channel == row.channel,
            deliveries.c.gateway == row.gateway,
            deliveries.c.lane == row.lane,
            deliveries.c.state.in_(OPEN_STATES),
            deliveries.c.id < row.id,
        )
        .order_by(deliveries.c.id)
        .limit(1)
    ).first()


def order_of(row: Row[Any]) -> str:
    """What a change to this call is serialised by (`Database.write`)."""
    return f"{row.channel}/{row.lane}"


def is_under_way(row: Row[Any], now: datetime) -> bool:
    """True while somebody holds the call's lease."""
    return leases.is_held(row.lease_until, now)


def why_not_retried(row: Row[Any], verb: Verb | None, now: datetime, *, even_if_done: bool) -> str:
    """Why this call cannot be put back, or "".  `verb` is None when no such gateway is configured any more."""
    if row.state not in OPEN_STATES:
        return f"it is {row.state}; only what is open can be tried again"
    if is_under_way(row, now):
        return "it is being tried right now"
    if row.body is None:
        return "what it said is past its date and gone; it can only be dropped"
    if verb is None:
        return f"the channel has no gateway '{row.gateway}' that does this any more"
    is_blind = row.is_possibly_done and verb.repeat == "never"
    if is_blind and verb.decided_by == "vendor":
        return (
            "RetailOps was told that nobody knows whether it was done, so it is never sent again; look at "
            f"{row.gateway}, then confirm it, or drop it and give its amount free (channel refunds release)"
        )
    if is_blind and not even_if_done:
        return (
            f"it may have been done, and {row.gateway} gives no way to know; look there first, then confirm it, "
            "or send it again with --even-if-done"
        )
    return ""


def retry(connection: Connection, row: Row[Any], verb: Verb, now: datetime) -> bool:
    """Make an open call due now; a parked one gets all its tries anew.  False when it changed meanwhile.

    What may have been done is still looked up first where the vendor can be asked.
    """
    values: dict[str, Any] = {"next_try_at": now}
    if row.state == "parked":
        values |= {"state": "owed", "attempts": 0}
        if verb.repeat == "never" and verb.decided_by == "us":
            values["is_possibly_done"] = False  # the operator has said that it may be sent again
    return _change(connection, row, now, values)


def why_not_dropped(row: Row[Any], now: datetime) -> str:
    """Why this call cannot be given up, or ""."""
    if row.state not in OPEN_STATES:
        return f"it is {row.state} already"
    if is_under_way(row, now):
        return "it is being tried right now"
    return ""


def drop(connection: Connection, row: Row[Any], verb: Verb | None, because: str, now: datetime) -> bool:
    """Give a call up: its body goes and its lane is free.  False when it changed meanwhile."""
    values: dict[str, Any] = {
        "state": "dropped",
        "body": None,
        "lease_token": None,
        "lease_until": None,
        "closed_at": now,
        "dropped_because": because,
    }
    if row.state == "checking" or (verb is not None and verb.decided_by == "vendor"):
        values["last_code"] = NEVER_KNOWN
    if not _change(connection, row, now, values):
        return False
    outbox.wake_lanes(connection, {(row.channel, row.gateway, row.lane): now})
    return True


def why_not_confirmed(row: Row[Any], now: datetime) -> str:
    """Why this call cannot count as done on an operator's word, or ""."""
    if row.state not in OPEN_STATES:
        return f"it is {row.state} already"
    if is_under_way(row, now):
        return "it is being tried right now"
    if row.body is None:
        return "what it said is past its date, so that nobody knows what it being done means; it can only be dropped"
    return ""


def confirm(
    connection: Connection, row: Row[Any], refnum: str, because: str, now: datetime
) -> tuple[Delivery, Settled] | None:
    """Close an open call as delivered, because a person has seen it done; None when it changed meanwhile.

    What that means for the records is the caller's to write.
    """
    said = f"an operator has seen that it was done: {because}"
    settled = Settled("delivered", row.attempts, False, now, row.last_attempt_at, CONFIRMED, said, refnum=refnum)
    values: dict[str, Any] = {
        "state": settled.state,
        "body": None,
        "is_possibly_done": False,
        "lease_token": None,
        "lease_until": None,
        "closed_at": now,
        "last_code": settled.code,
        "last_error": settled.error,
    }
    if not _change(connection, row, now, values):
        return None
    outbox.wake_lanes(connection, {(row.channel, row.gateway, row.lane): now})
    delivery = Delivery(
        row.id, row.channel, row.gateway, row.verb, row.lane, row.command_id, row.body, row.state,
        row.attempts, row.is_possibly_done, row.last_attempt_at, row.request_id,
    )  # fmt: skip
    return delivery, settled


def _change(connection: Connection, row: Row[Any], now: datetime, values: dict[str, Any]) -> bool:
    """Only if nobody holds the call, and it is still in the state and at the attempt the operator saw (R34)."""
    changed = connection.execute(
        update(deliveries)
        .where(
            deliveries.c.id == row.id,
            deliveries.c.state == row.state,
            deliveries.c.attempts == row.attempts,
            leases.is_free(deliveries.c.lease_until, now),
        )
        .values(**values)
    )
    return changed.rowcount == 1
