"""What an operator may decide of an open call: retry it, drop it, or confirm that the vendor has done it.

A call that is being tried just now belongs to whoever tries it; nothing here touches it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from app.channel import effects
from app.domain.commands import read_back
from app.gateways.calls import Verb
from app.gateways.capabilities import Gateway
from app.records import delivery_rows
from app.records.deliveries import CONFIRMED, NEVER_KNOWN, OPEN_STATES, Delivery, Settled


def why_not_retried(row: Row[Any], verb: Verb | None, now: datetime, *, even_if_done: bool) -> str:
    """Why this call cannot be put back, or "".  `verb` is None when no such gateway is configured any more."""
    if row.state not in OPEN_STATES:
        return f"it is {row.state}; only what is open can be tried again"
    if delivery_rows.is_under_way(row, now):
        return "it is being tried right now"
    if row.body is None:
        return "what it said is past its date and gone; it can only be dropped"
    if verb is None:
        return f"the channel has no gateway '{row.gateway}' that does this any more"
    is_blind = row.is_possibly_done and verb.repeat == "never"
    if is_blind and verb.decided_by == "vendor":
        return (
            "RetailOps was answered that its outcome is unknown, so it is never sent again; look at "
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

    What may have been done is still looked up first where the vendor can be read.
    """
    values: dict[str, Any] = {"next_try_at": now}
    if row.state == "parked":
        values |= {"state": "owed", "attempts": 0}
        if verb.repeat == "never" and verb.decided_by == "us":
            values["is_possibly_done"] = False  # the operator has said that it may be sent again
    return delivery_rows.change(connection, row, now, values)


def why_not_dropped(row: Row[Any], now: datetime) -> str:
    """Why this call cannot be given up, or ""."""
    if row.state not in OPEN_STATES:
        return f"it is {row.state} already"
    if delivery_rows.is_under_way(row, now):
        return "it is being tried right now"
    return ""


def drop(connection: Connection, row: Row[Any], verb: Verb | None, because: str, now: datetime) -> bool:
    """Give a call up: its body goes and its lane is free.  False when it changed meanwhile."""
    values = {"state": "dropped", "dropped_because": because}
    if row.state == "checking" or (verb is not None and verb.decided_by == "vendor"):
        values["last_code"] = NEVER_KNOWN
    return delivery_rows.close(connection, row, now, values)


def why_not_confirmed(row: Row[Any], now: datetime) -> str:
    """Why this call cannot count as done on an operator's word, or ""."""
    if row.state not in OPEN_STATES:
        return f"it is {row.state} already"
    if delivery_rows.is_under_way(row, now):
        return "it is being tried right now"
    if row.body is None:
        return "what it said is past its date, so that nobody knows what it being done means; it can only be dropped"
    return ""


def confirm(
    connection: Connection, gateway: Gateway | None, row: Row[Any], *, refnum: str, because: str, now: datetime
) -> bool:
    """Count an open call as delivered, with all that follows, because a person has seen it done.

    Only a person can know that of a call whose outcome is unknown and whose vendor has no read for it (R11).  Inside a
    transaction that is serial for the order.  False, and nothing written, when the call changed meanwhile.
    `refnum` is the vendor's own number of what it did, or "".
    """
    said = f"an operator has seen that it was done: {because}"
    settled = Settled("delivered", row.attempts, False, now, row.last_attempt_at, CONFIRMED, said, refnum=refnum)
    values = {
        "state": settled.state,
        "is_possibly_done": False,
        "last_code": settled.code,
        "last_error": settled.error,
    }
    if not delivery_rows.close(connection, row, now, values):
        return False
    delivery = Delivery(
        row.id, row.channel, row.gateway, row.verb, row.lane, row.command_id, read_back(row.verb, row.body),
        row.state, row.attempts, row.is_possibly_done, row.last_attempt_at, row.request_id,
    )  # fmt: skip
    if gateway is not None and delivery.command is not None:
        gateway.commands.on_confirmed(connection, delivery.verb, delivery.command)
    effects.apply_late(connection, delivery, settled, now, gateway)
    return True
