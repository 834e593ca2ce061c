"""What our own records say once a vendor has taken or finally refused a command.

It is read from the command's own body, so that it is the same whether the answer came within the
callback, minutes later in the background, or after a restart.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from app.channel import late_news, orders
from app.deliveries.transitions import Delivery, Settled
from app.gateways.interface import command_body
from app.gateways.words import Acknowledgement, Cancellation, Completion, Package, Refund, Settlement
from app.records import refunds


def apply(connection: Connection, delivery: Delivery, settled: Settled, now: datetime) -> None:
    """Bring the records in line with a delivery whose state was just written."""
    if not delivery.body:
        return  # Past its date (R28): what is unknown about it stays as it is.
    is_done = settled.state == "delivered"
    channel = delivery.channel
    body = command_body(delivery.verb, delivery.body)
    if isinstance(body, Refund):
        _refund(connection, channel, body, settled)
    if settled.state not in ("delivered", "refused"):
        return
    match body:
        case Acknowledgement(order_refnum, is_correction=False) if not is_done:
            orders.set_acknowledged(connection, channel, order_refnum, None, "")
        case Package(order_refnum, key) if not is_done:
            orders.forget_parcel(connection, channel, order_refnum, key)
        case Cancellation(order_refnum) if is_done:
            orders.set_state(connection, channel, order_refnum, "cancelled")
        case Completion(order_refnum, unshipped, number) if not is_done:
            orders.forget_rejected(connection, channel, order_refnum, unshipped)
            if number == 1:
                orders.set_state(connection, channel, order_refnum, "open")
        case Settlement(order_refnum, _, payment_refnum, amount) if is_done:
            refunds.captured(connection, channel, order_refnum, payment_refnum, amount)
        case Settlement(order_refnum, _, payment_refnum, amount):
            refunds.hold_capture(connection, channel, order_refnum, payment_refnum, -amount)
        case _:
            pass


def apply_late(connection: Connection, delivery: Delivery, settled: Settled, now: datetime) -> None:
    """The same for an attempt in the background, whose callback is answered already: what failed is news (R15)."""
    apply(connection, delivery, settled, now)
    late_news.note(connection, delivery, settled, now)


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
