"""RetailOps cancels an order.

Nothing shipped: the order is cancelled where it came from.  Something shipped: fail, an event names the
shipment, and nothing changes (R21).  Cancelled before: the stored answer (R9).  Where the source moves
money, everything that is left of the order's payments is given back first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.channel import reservations
from app.channel.command import OrderAtSource, OrderCommand, Plan, VendorAnswer, for_known_order
from app.channel.commands import run
from app.channel.services import CallbackRequest, CallbackResult
from app.channel.settling import give_back_everything
from app.contract.reading import OrderName
from app.contract.schemas import Reading
from app.domain.commands import Cancellation
from app.domain.events import Event, about
from app.gateways.calls import Verb
from app.records import handed_out
from app.records.outbox import Owed


def read(body: Mapping[str, Any], reading: Reading) -> OrderName:
    """The order to be cancelled."""
    return OrderName.read(body.get("order"))


def carry_out(payload: OrderName, request: CallbackRequest) -> CallbackResult:
    """Raises `HttpError` 503 while the same cancellation is being carried out elsewhere."""

    def cancel(order: OrderAtSource) -> CallbackResult:
        return CallbackResult(run(request, [CancelOrder(order, payload.retailops_order_id)]))

    return for_known_order(request, "cancel_order", payload, cancel, commands_read_it=True)


class CancelOrder(OrderCommand):
    """The whole order is cancelled, unless something of it has shipped."""

    callback = "order_cancel"
    sent_again = "cancel_order"
    awaits_throttle = True

    def __init__(self, order: OrderAtSource, retailops_order_id: str) -> None:
        super().__init__(order, ("cancel",))
        self._retailops_order_id = retailops_order_id

    def plan(self, connection: Connection) -> Plan:
        """Its money back, then the cancellation; the order is cancelled at once only where the decision is ours."""
        order, source = self.order, self.order.source
        known = order.as_of(connection)
        if self._retailops_order_id and known.retailops_order_id not in ("", self._retailops_order_id):
            message = "the RetailOps number belongs to another order; nothing was changed"
            return Plan([Event("error", "ORDER_ID_MISMATCH", message, order.named)])
        if known.parcels:
            message = "a shipment of this order is registered; nothing was changed"
            shipments = dict.fromkeys(parcel.retailops_shipment_id for parcel in known.parcels)
            named = [about("shipment_id", shipment) or order.named for shipment in shipments]
            return Plan([Event("error", "ALREADY_SHIPPED", message, each) for each in named])
        if known.state == "completed":
            message = "the order is completed; nothing was changed"
            return Plan([Event("error", "ALREADY_COMPLETED", message, order.named)])
        verb = source.commands.verbs["cancel_order"]
        is_ours = isinstance(verb, Verb) and verb.decided_by == "us"
        if is_ours:
            handed_out.set_state(connection, order.channel, order.refnum, "cancelled")
            reservations.acknowledged(connection, order.channel, source, order.refnum, order.clock())
        cancellation = Cancellation(order.refnum, is_decided=is_ours)
        owed = [Owed(source.token, "cancel_order", cancellation, order.named)]
        return Plan(owed=[*give_back_everything(connection, order.channel, source, known, order.clock()), *owed])

    @staticmethod
    def accepted(answer: VendorAnswer) -> None:
        """The order is cancelled, and only now are its units free: a refusal leaves them reserved (R25)."""
        channel, cancellation = answer.channel, answer.body
        handed_out.set_state(answer.connection, channel, cancellation.order_refnum, "cancelled")
        if cancellation.is_decided:
            reservations.cancelled(answer.connection, channel, answer.gateway, cancellation.order_refnum)

    @staticmethod
    def refused(answer: VendorAnswer) -> None:
        """An order that was cancelled here is open again; what the vendor decides has changed nothing."""
        if answer.body.is_decided:
            handed_out.set_state(answer.connection, answer.channel, answer.body.order_refnum, "open")
            if answer.kept_orders is not None:
                answer.kept_orders.reopen(answer.connection, answer.body.order_refnum)


COMMAND = CancelOrder
