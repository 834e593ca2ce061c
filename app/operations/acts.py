"""The acts of operators: each is carried out once for the state the operator saw, and kept with who and why (R34).

Whoever offers an act, a command or a page, brings the operator and the object as it was shown.  The act and its trace
are one transaction, so that neither exists without the other; an act sent twice for one shown state is carried out and
kept once.  What sends facts again stands in `fact_acts`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row

from app.gateways.calls import Verb
from app.gateways.capabilities import Gateway
from app.operations import delivery_acts, erasure
from app.operations.operators import Operator, keep
from app.records import (
    channels,
    delivery_rows,
    forgetting,
    freeing,
    late_events,
    pauses,
    refund_releases,
)
from app.records import refunds as ledger
from app.records.database import Database
from app.records.freeing import HeldUp
from app.records.operations import Target
from app.records.pauses import Pause
from app.records.refund_releases import Release
from app.records.refunds import Entry
from app.storefront import order_store, reservations

ReleaseOutcome = Release | Literal["changed"]


# Calls to vendors


def retry(
    database: Database, operator: Operator, row: Row[Any], verb: Verb, now: datetime, *, even_if_done: bool = False
) -> bool:
    """Make an open call due now.  False, and nothing written, when it has changed since `row` was read."""
    return _decide(
        database, operator, "deliveries.retry", row, "due",
        lambda connection: delivery_acts.retry(connection, row, verb, now),
        now, detail="--even-if-done" if even_if_done else "",
    )  # fmt: skip


def drop(database: Database, operator: Operator, row: Row[Any], verb: Verb | None, now: datetime) -> bool:
    """Give an open call up for good.  False, and nothing written, when it has changed since `row` was read."""
    return _decide(
        database, operator, "deliveries.drop", row, "dropped",
        lambda connection: delivery_acts.drop(connection, row, verb, operator.reason, now),
        now,
    )  # fmt: skip


def confirm(
    database: Database, operator: Operator, row: Row[Any], gateway: Gateway | None, now: datetime, *, refnum: str = ""
) -> bool:
    """Count an open call as delivered.  False, and nothing written, when it has changed since `row` was read.

    `refnum` is the vendor's own number of what it did, or "".
    """
    return _decide(
        database, operator, "deliveries.confirm", row, "delivered",
        lambda connection: delivery_acts.confirm(
            connection, gateway, row, refnum=refnum, because=operator.reason, now=now
        ),
        now,
    )  # fmt: skip


def _decide(
    database: Database,
    operator: Operator,
    act: str,
    row: Row[Any],
    outcome: str,
    change: Callable[[Connection], bool],
    now: datetime,
    detail: str = "",
) -> bool:
    """Late events of a call that was decided on are dismissed with it."""
    with database.write(serial=[delivery_rows.order_of(row)]) as connection:
        if not change(connection):
            return False
        late_events.dismiss(connection, now, delivery_ids=[row.id])
        targets = [Target("delivery", str(row.id)), Target("order", row.lane)]
        keep(connection, operator, act, row.channel, row.gateway, outcome, targets, now, detail)
    return True


def dismiss(database: Database, operator: Operator, event_ids: Collection[int], now: datetime) -> set[int]:
    """The operator knows these late events: RetailOps is sent none of them any more.  Returns those that were open."""
    with database.write() as connection:
        dismissed = late_events.dismiss(connection, now, news_ids=event_ids)
        for event in late_events.named(connection, dismissed):
            targets = [Target("late_event", str(event.id))]
            keep(connection, operator, "late.dismiss", event.channel, event.gateway, "dismissed", targets, now)
    return dismissed


def open_late_events(database: Database, event_ids: Collection[int]) -> set[int]:
    """Those of these late events that nobody has dismissed: what `dismiss` would change."""
    with database.read() as connection:
        return {row.id for row in late_events.named(connection, event_ids) if row.dismissed_at is None}


# Refunds


def release(
    database: Database, operator: Operator, refund_id: int, now: datetime, *, expected: Entry | None = None
) -> ReleaseOutcome:
    """Let go of what a refund holds up; see `refunds.release` for what the outcomes mean.

    "changed", and nothing written, where it is not as `expected` says any more.
    """
    with database.read() as connection:
        entry = ledger.find(connection, refund_id)
    if entry is None:
        return "unknown"
    expected = expected or entry
    with database.write(serial=[f"{entry.channel}/{entry.order_refnum}"]) as connection:
        now_held = ledger.find(connection, refund_id)
        if now_held is None or _standing(now_held) != _standing(expected):
            return "changed"
        outcome = refund_releases.release(connection, refund_id, now)
        if outcome in ("pays_next", "given_free"):
            targets = [Target("refund", str(refund_id)), Target("order", entry.order_refnum)]
            keep(connection, operator, "refunds.release", entry.channel, "", outcome, targets, now)
    return outcome


def _standing(entry: Entry) -> tuple[str, datetime | None]:
    return entry.state, entry.released_at


# Gateways


def free_stream(database: Database, operator: Operator, channel: str, gateway: str, now: datetime) -> HeldUp:
    """Let go of whatever holds up the calls and facts of a gateway; a sender that still runs owes its facts again.

    Returns what was held up; nothing is kept where nothing was.
    """
    with database.write() as connection:
        found = freeing.free(connection, channel, gateway, now)
        if found.is_any:
            targets = [Target("stream", gateway)]
            keep(connection, operator, "streams.free", channel, gateway, "freed", targets, now)
    return found


def pause(database: Database, operator: Operator, channel: str, gateway: str, now: datetime) -> bool:
    """Send nothing more to a gateway: calls wait, and a callback that needs the vendor's answer is refused for now.

    Every process goes by it within `pauses.KNOWN_WITHIN_S`.  False, and nothing written, where it is paused already.
    """
    with database.write() as connection:
        if not pauses.pause(connection, Pause(channel, gateway, now, operator.who, operator.reason)):
            return False
        keep(connection, operator, "pause", channel, gateway, "paused", [Target("gateway", gateway)], now)
    return True


def resume(database: Database, operator: Operator, channel: str, gateway: str, now: datetime) -> bool:
    """Let a paused gateway be sent what has waited.  False, and nothing written, where it is not paused."""
    with database.write() as connection:
        if not pauses.resume(connection, channel, gateway, now):
            return False
        keep(connection, operator, "resume", channel, gateway, "resumed", [Target("gateway", gateway)], now)
    return True


# Orders


def erase(database: Database, operator: Operator, channel: str, refnum: str, now: datetime) -> dict[str, int] | None:
    """Remove the personal data of an order before its date, and keep none later; ids and amounts stay (R28).

    Returns how many rows of each table that was: none where nothing was kept yet of an order that is remembered.  None,
    and nothing written, where nothing changed.  Raises `NotErasable`, and nothing is written, where something of the
    order is still to happen.
    """
    serial = [order_store.lock_name(channel, refnum), reservations.lock_name(channel)]
    with database.write(serial=serial) as connection:
        rows = erasure.erase(connection, channel, refnum, now)
        if rows is not None:
            keep(connection, operator, erasure.ACT, channel, "", "erased", [Target("order", refnum)], now)
    return rows


# Channels


def forget(database: Database, operator: Operator, key: str, name: str, now: datetime) -> None:
    """Remove what is kept under a channel's key for good, but for the ledgers.

    The act is kept before the first row goes; done again it removes what an interrupted one left.
    """
    with database.write(serial=[channels.LOCK]) as connection:
        count = sum(forgetting.held(connection, key).values())
        if channels.mark_forgotten(connection, key, now):
            target = [Target("channel", name)]
            keep(connection, operator, "channel.forget", key, "", "forgotten", target, now, count=count)
    forgetting.purge(database, key)


def keep_account(
    database: Database, operator: Operator, key: str, gateway: str, before: str, account: str, now: datetime
) -> bool:
    """A vendor's account is the one it was, under a new key of it.  False, and nothing written, if that is no news."""
    with database.write(serial=[channels.LOCK]) as connection:
        if not channels.keep_account(connection, key, gateway, before, account):
            return False
        target = [Target("account", account)]
        keep(connection, operator, "account.keep", key, gateway, "kept", target, now)
    return True
