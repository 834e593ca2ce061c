"""Updates our records of orders and refunds once a vendor has accepted or finally refused a command.

It is read from the command's own body, so that it is the same whether the answer came within the
callback, minutes later in the background, or after a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from app.channel import late_events
from app.domain.commands import (
    OBSERVATIONS,
    Acknowledgement,
    Cancellation,
    Completion,
    LineChange,
    OrderChange,
    Package,
    Refund,
    Restatement,
    Settlement,
)
from app.errors import Refused
from app.gateways.capabilities import Gateway
from app.gateways.stored_commands import command_body
from app.records import handed_out, outbox, parcels, refunds
from app.records import late_news as news
from app.records.deliveries import Delivery, Settled
from app.records.outbox import Owed

COUNTED_HERE: Final = ("UNITS_OPEN", "UNITS_UNACCOUNTED")
"""Reasons why an order is left open that follow from our own count, whatever its source says."""


def apply(
    connection: Connection, delivery: Delivery, settled: Settled, now: datetime, gateway: Gateway | None = None
) -> None:
    """Bring the records in line with a delivery whose state was just written; `gateway` is the one it went to."""
    if settled.note is not None:
        settled.note(connection)
    if settled.state == "delivered" and delivery.state == "parked":
        news.dismiss(connection, now, delivery_ids=[delivery.id])  # an operator has nothing to decide any more
    if not delivery.body:
        return  # Past its date (R28): what is unknown about it stays as it is.
    is_done = settled.state == "delivered"
    channel = delivery.channel
    try:
        body = command_body(delivery.verb, delivery.body)
    except Refused:
        return  # Refused for that very reason; raising here would keep every other outcome from being recorded.
    if isinstance(body, Refund):
        _refund(connection, channel, body, settled)
    if settled.state not in ("delivered", "refused"):
        return
    match body:
        case Acknowledgement(order_refnum, is_correction=False) if not is_done:
            handed_out.set_acknowledged(connection, channel, order_refnum, None, "")
        case Package(order_refnum, is_last=True) if is_done and delivery.verb == "submit_shipment":
            handed_out.note_nothing_left(connection, channel, order_refnum, but=(*COUNTED_HERE, "REJECTION_REFUSED"))
        case Package(order_refnum, key) if not is_done and delivery.verb == "submit_shipment":
            parcels.forget(connection, channel, order_refnum, key)
        case Cancellation(order_refnum) if is_done:
            handed_out.set_state(connection, channel, order_refnum, "cancelled")
        case Cancellation(order_refnum, is_decided=True):
            handed_out.set_state(connection, channel, order_refnum, "open")
        case Completion(order_refnum) if is_done:
            warned = [event.code for event in settled.events if event.event_type == "warning"]
            if not warned:
                # Of two completions in a row the earlier one may have been told that units were open.
                handed_out.note_nothing_left(connection, channel, order_refnum, but=COUNTED_HERE)
            elif warned[0] != "ORDER_CANCELLED":
                handed_out.note_left_open(connection, channel, order_refnum, warned[0], now)
        case Completion(order_refnum, unshipped, number, removed):
            handed_out.forget_rejected(connection, channel, order_refnum, unshipped, removed)
            handed_out.note_left_open(connection, channel, order_refnum, settled.code or "REFUSED", now)
            if number == 1:
                handed_out.set_state(connection, channel, order_refnum, "open")
        case Settlement(order_refnum, _, payment_refnum, amount) if is_done:
            refunds.captured(connection, channel, order_refnum, payment_refnum, amount)
        case Settlement(order_refnum, _, payment_refnum, amount):
            refunds.hold_capture(connection, channel, order_refnum, payment_refnum, -amount)
        case Restatement(order_refnum, _, change, undo) if not is_done and undo and gateway is not None:
            _take_back(connection, channel, gateway, order_refnum, change, undo)
        case _:
            pass


def _take_back(
    connection: Connection,
    channel: str,
    gateway: Gateway,
    order_refnum: str,
    change: Sequence[LineChange],
    undo: Sequence[LineChange],
) -> None:
    """The source refused these changes for good: lines that still stand as changed are as they were before."""
    known = handed_out.known(connection, channel, [order_refnum]).get(order_refnum)
    if known is None or known.state != "open" or gateway.kept_orders is None:
        return
    now = {line.refnum: line.quantity for line in known.lines}
    stated = {line.refnum: line.quantity for line in change}
    lines = tuple(line for line in undo if now.get(line.refnum) == stated.get(line.refnum) != line.quantity)
    if not lines:
        return
    changed = gateway.kept_orders.change_order(connection, OrderChange(order_refnum, lines))
    if changed.is_different:
        handed_out.replace_lines(connection, channel, order_refnum, changed.lines)


def follow_up(connection: Connection, delivery: Delivery, settled: Settled, now: datetime) -> bool:
    """Owe what the source has to hear next: that an order has everything back, once the last part is accepted.

    True when there was such a thing.
    """
    if settled.state != "delivered" or not delivery.body:
        return False
    body = command_body(delivery.verb, delivery.body)
    if not isinstance(body, Refund) or not body.is_followed:
        return False
    if not _is_paid_back(connection, delivery.channel, body.order_refnum):
        return False
    # It is about nothing RetailOps asked for, so that no answer tells of it while it waits.
    placed = outbox.owe(
        connection,
        Owed(delivery.gateway, "update_order", Restatement(body.order_refnum, is_paid_back=True), ()),
        channel=delivery.channel,
        lane=delivery.lane,
        command_id=delivery.command_id,
        request_id=delivery.request_id,
        now=now,
        lease=None,
    )
    assert placed is not None
    outbox.wake(connection, placed.delivery.id, now)
    return True


def _is_paid_back(connection: Connection, channel: str, order_refnum: str) -> bool:
    """True when something was paid, and all of it has surely gone back."""
    entries = refunds.of_order(connection, channel, order_refnum)
    charges = refunds.charges(connection, channel, order_refnum)
    is_sure = all(entry.state == "accepted" for entry in entries if entry.is_in_effect)
    return is_sure and any(charge.charged for charge in charges) and not any(charge.left for charge in charges)


def apply_late(
    connection: Connection, delivery: Delivery, settled: Settled, now: datetime, gateway: Gateway | None = None
) -> None:
    """The same for an attempt in the background, whose callback is answered already: what failed is news (R15).

    What an observer is told is RetailOps' business neither then nor later (R17).
    """
    if delivery.verb in OBSERVATIONS:
        return
    apply(connection, delivery, settled, now, gateway)
    follow_up(connection, delivery, settled, now)
    late_events.note(connection, delivery, settled, now)


def done_after_all(connection: Connection, delivery: Delivery, settled: Settled, now: datetime) -> None:
    """The vendor's acceptance came when the call had been given up: money that went back counts, people are told."""
    if delivery.verb in OBSERVATIONS:
        return
    if delivery.body:
        with suppress(Refused):
            body = command_body(delivery.verb, delivery.body)
            if isinstance(body, Refund):
                _refund(connection, delivery.channel, body, settled)
    late_events.note_done_after_all(connection, delivery, now)


def _refund(connection: Connection, channel: str, refund: Refund, settled: Settled) -> None:
    """The held amount is paid, or free again once it is sure that it was not and will not be."""
    match settled.state:
        case "delivered":
            refunds.set_state(connection, channel, refund.key, "accepted", settled.refnum or refund.key)
        case "refused":
            refunds.set_state(connection, channel, refund.key, "refused")
        case "parked":
            refunds.set_state(connection, channel, refund.key, "parked")
        case _:
            refunds.set_state(connection, channel, refund.key, "owed")
