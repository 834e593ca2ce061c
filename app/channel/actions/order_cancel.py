"""RetailOps calls an order off.

Nothing shipped: the order is cancelled where it came from.  Something shipped: fail, an event names the
shipment, and nothing changes (R21).  Cancelled before: the stored answer (R9).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.channel import orders
from app.channel.commands import for_known_order
from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.channel.running import Command, Plan, run
from app.contract.reading import mapping, text
from app.contract.schemas import Reading
from app.deliveries.outbox import Owed
from app.gateways.interface import Gateway
from app.gateways.words import Cancellation, Event, about


def read(body: Mapping[str, Any], reading: Reading) -> str:
    """The order's refnum."""
    return text(mapping(body.get("order")).get("channel_order_refnum"))


def carry_out(refnum: str, asked: Asked, desk: Desk) -> Outcome:
    """Raises `Rejected` 503 while the same cancellation is being carried out elsewhere."""
    return for_known_order(desk, asked, "cancel_order", refnum, _cancel)


def _cancel(desk: Desk, asked: Asked, source: Gateway, order: orders.KnownOrder) -> Outcome:
    named = about("order_refnum", order.refnum)

    def plan(connection: Connection) -> Plan:
        now_known = orders.known(connection, asked.channel.name, [order.refnum])[order.refnum]
        shipped = orders.parcels(connection, asked.channel.name, order.refnum)
        if shipped:
            message = "a shipment of this order is registered; nothing was changed"
            ids = dict.fromkeys(parcel.retailops_shipment_id for parcel in shipped)
            return Plan(
                [Event("error", "ALREADY_SHIPPED", message, about("shipment_id", item) or named) for item in ids]
            )
        if now_known.state == "completed":
            return Plan([Event("error", "ALREADY_COMPLETED", "the order is completed; nothing was changed", named)])
        return Plan(owed=[Owed(source.token, "cancel_order", Cancellation(order.refnum), named)])

    command = Command("order_cancel", order.refnum, order.refnum, ("cancel",), plan, plan)
    [events] = run(desk, asked, [command])
    return Outcome(events)
