"""What our own records say once a vendor has taken or finally refused a command.

It is read from the command's own body, so that it is the same whether the answer came within the
callback, minutes later in the background, or after a restart.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from app.channel import orders
from app.deliveries.transitions import Delivery, Settled
from app.gateways.interface import command_body
from app.gateways.words import Acknowledgement, Cancellation, Completion, Package


def apply(connection: Connection, delivery: Delivery, settled: Settled, now: datetime) -> None:
    """Bring the records in line with a delivery that was just delivered or refused."""
    if settled.state not in ("delivered", "refused"):
        return
    is_done = settled.state == "delivered"
    channel = delivery.channel
    match command_body(delivery.verb, delivery.body):
        case Acknowledgement(order_refnum) if not is_done:
            orders.set_acknowledged(connection, channel, order_refnum, None, "")
        case Package(order_refnum, key) if not is_done:
            orders.forget_parcel(connection, channel, order_refnum, key)
        case Cancellation(order_refnum) if is_done:
            orders.set_state(connection, channel, order_refnum, "cancelled")
        case Completion(order_refnum) if not is_done:
            orders.set_state(connection, channel, order_refnum, "open")
        case _:
            pass
