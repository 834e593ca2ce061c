"""What an operator lets go of where a refund holds something up: its amount, or a credit's next payment."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, func, select, update

from app.records.deliveries import OPEN_STATES
from app.records.refunds import Entry, find
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.money import refunds

Release = Literal["unknown", "pays_next", "given_free", "still_open", "nothing_held"]


def release(connection: Connection, refund_id: int, now: datetime) -> Release:
    """Let go of what an entry holds up, and say what that was (`release_outcome`)."""
    entry = find(connection, refund_id)
    if entry is None:
        return "unknown"
    outcome = release_outcome(connection, entry)
    if outcome == "pays_next":
        connection.execute(
            update(refunds)
            .where(
                refunds.c.channel == entry.channel,
                refunds.c.callback == entry.callback,
                refunds.c.natural_key == entry.natural_key,
                refunds.c.released_at.is_(None),
            )
            .values(released_at=now)
        )
    elif outcome == "given_free":
        connection.execute(update(refunds).where(refunds.c.id == refund_id).values(state="released", released_at=now))
    return outcome


def release_outcome(connection: Connection, entry: Entry) -> Release:
    """What releasing this entry would come to; nothing is written.

    pays_next: a credit that was answered without paying, or repeats one that was paid, is carried out
    the next time it comes; so is a return held to be the same money as a credit.  given_free: its call
    was given up and its amount may be paid out again.  still_open: its call has to be retried or
    dropped first.  nothing_held: it holds nothing up.
    """
    if entry.released_at is None and (
        # A completion is never carried out again; what it left to a credit, another credit may pay.
        (entry.state == "matched" and entry.callback != "order_complete")
        or (entry.callback == "payment_credit" and entry.state == "accepted")
    ):
        return "pays_next"
    if entry.state not in ("owed", "parked"):
        return "nothing_held"
    # An order's completions are one command, while the refund of a later one has a key of its own (R9).
    command_key = entry.order_refnum if entry.callback == "order_complete" else entry.natural_key
    if _open_calls(connection, entry.channel, entry.callback, command_key):
        return "still_open"
    return "given_free"


def _open_calls(connection: Connection, channel: str, callback: str, natural_key: str) -> int:
    return int(
        connection.execute(
            select(func.count())
            .select_from(deliveries.join(commands, commands.c.id == deliveries.c.command_id))
            .where(
                commands.c.channel == channel,
                commands.c.callback == callback,
                commands.c.natural_key == natural_key,
                deliveries.c.verb.in_(("return_order", "credit_payment", "refund_payment")),
                deliveries.c.state.in_(OPEN_STATES),
            )
        ).scalar_one()
    )
