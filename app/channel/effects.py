"""Updates our records of orders and refunds once a vendor has answered a call, and reports what failed too late.

What an acceptance or a refusal leaves is said by the command that owed the call (`actions/`), and read from the call's
own body, so that it is the same whether the answer came within the callback, minutes later, or after a restart.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from app.channel import late_events, refund_outcomes
from app.channel.actions import command_of
from app.channel.command import VendorAnswer
from app.domain.commands import OBSERVATIONS, CommandBody, Refund
from app.errors import Refused
from app.gateways.capabilities import Gateway
from app.records import late_events as news
from app.records.deliveries import Delivery, Settled


def apply(
    connection: Connection,
    delivery: Delivery,
    settled: Settled,
    now: datetime,
    gateway: Gateway | None = None,
    *,
    changes_nothing: bool = False,
) -> None:
    """Bring the records in line with a delivery whose state was just written.

    `gateway` is the one it went to; `changes_nothing`: an acceptance has nothing to bring in line (`Owed`).
    """
    if settled.note is not None:
        settled.note(connection)
    if settled.state == "delivered" and delivery.state == "parked":
        news.dismiss(connection, now, delivery_ids=[delivery.id])  # an operator has nothing to decide any more
    body = _body(delivery)
    if isinstance(body, Refund):
        refund_outcomes.note_outcome(connection, delivery.channel, body, settled)
    elif body is not None and (command := command_of(delivery.verb)) is not None:
        answer = VendorAnswer(connection, delivery, settled, now, gateway)
        if settled.state == "delivered" and not changes_nothing:
            command.accepted(answer)
        elif settled.state == "refused":
            command.refused(answer)


def follow_up(connection: Connection, delivery: Delivery, settled: Settled, now: datetime) -> bool:
    """Owe the source the next call: that an order has everything back, once the last part is accepted.

    True when there was such a thing.
    """
    body = _body(delivery) if settled.state == "delivered" else None
    return isinstance(body, Refund) and refund_outcomes.owe_paid_back(connection, delivery, body, now)


def apply_late(
    connection: Connection, delivery: Delivery, settled: Settled, now: datetime, gateway: Gateway | None = None
) -> None:
    """The same for an attempt in the background, whose callback is answered already: what failed is reported (R15).

    What an observer is sent is RetailOps' business neither then nor later (R17).
    """
    if delivery.verb in OBSERVATIONS:
        return
    apply(connection, delivery, settled, now, gateway)
    follow_up(connection, delivery, settled, now)
    late_events.note(connection, delivery, settled, now)


def done_after_all(connection: Connection, delivery: Delivery, settled: Settled, now: datetime) -> None:
    """The vendor's acceptance came when the call had been given up: money that went back counts, operators see it."""
    if delivery.verb in OBSERVATIONS:
        return
    body = _body(delivery)
    if isinstance(body, Refund):
        refund_outcomes.note_outcome(connection, delivery.channel, body, settled)
    late_events.note_done_after_all(connection, delivery, now)


def _body(delivery: Delivery) -> CommandBody | None:
    """What the vendor was sent; None past its date (R28), for then what is unknown about it stays as it is, and where
    it cannot be read: raising would keep every other outcome from being recorded."""
    try:
        return delivery.command if delivery.body else None
    except Refused:
        return None  # it was refused for that very reason
