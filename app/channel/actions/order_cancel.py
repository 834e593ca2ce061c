"""RetailOps cancels an order.

Nothing shipped: the order is cancelled where it came from.  Something shipped: fail, an event names the
shipment, and nothing changes (R21).  Cancelled before: the stored answer (R9).  Where the source moves
money, everything that is left of the order's payments is given back first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.channel import refunds, reservations
from app.channel.commands import Command, Plan, run
from app.channel.preconditions import OrderName, for_known_order
from app.channel.result import CallbackResult
from app.channel.services import CallbackRequest, Services
from app.channel.settling import give_back_everything
from app.contract.reading import mapping
from app.contract.schemas import Reading
from app.domain.commands import Cancellation
from app.domain.events import Event, about
from app.gateways.calls import Verb
from app.gateways.capabilities import Gateway
from app.records import handed_out
from app.records.handed_out import KnownOrder
from app.records.outbox import Owed


def read(body: Mapping[str, Any], reading: Reading) -> OrderName:
    """The order to be cancelled."""
    return OrderName.read(mapping(body.get("order")))


def carry_out(payload: OrderName, request: CallbackRequest, services: Services) -> CallbackResult:
    """Raises `HttpError` 503 while the same cancellation is being carried out elsewhere."""

    def cancel(services: Services, request: CallbackRequest, source: Gateway, order: KnownOrder) -> CallbackResult:
        return _cancel(services, request, source, order, payload.retailops_order_id)

    return for_known_order(services, request, "cancel_order", payload, cancel)


def _cancel(
    services: Services, request: CallbackRequest, source: Gateway, order: KnownOrder, retailops_order_id: str
) -> CallbackResult:
    named = about("order_refnum", order.refnum)

    def plan(connection: Connection) -> Plan:
        now_known = handed_out.known(connection, request.channel.key, [order.refnum])[order.refnum]
        if retailops_order_id and now_known.retailops_order_id not in ("", retailops_order_id):
            message = "the RetailOps number belongs to another order; nothing was changed"
            return Plan([Event("error", "ORDER_ID_MISMATCH", message, named)])
        if now_known.parcels:
            message = "a shipment of this order is registered; nothing was changed"
            ids = dict.fromkeys(parcel.retailops_shipment_id for parcel in now_known.parcels)
            return Plan(
                [Event("error", "ALREADY_SHIPPED", message, about("shipment_id", item) or named) for item in ids]
            )
        if now_known.state == "completed":
            return Plan([Event("error", "ALREADY_COMPLETED", "the order is completed; nothing was changed", named)])
        verb = source.commands.verbs["cancel_order"]
        is_ours = isinstance(verb, Verb) and verb.decided_by == "us"
        if is_ours:
            handed_out.set_state(connection, request.channel.key, order.refnum, "cancelled")
            skus = [line.sku for line in order.lines]
            reservations.called_off(connection, request.channel.key, source, order.refnum, skus)
        owed = [Owed(source.token, "cancel_order", Cancellation(order.refnum, is_decided=is_ours), named)]
        if refunds.moves_money(source, "refund_payment"):
            purpose = refunds.Purpose("order_cancel", order.refnum, f"ro-cancel-{order.refnum}", named)
            owed[:0] = give_back_everything(
                connection, request.channel.key, source, now_known, purpose, services.clock()
            )
        return Plan(owed=owed)

    command = Command("order_cancel", order.refnum, order.refnum, ("cancel",), plan, plan, awaits_throttle=True)
    [events] = run(services, request, [command])
    return CallbackResult(events)
