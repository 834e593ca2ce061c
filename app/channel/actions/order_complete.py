"""RetailOps completes an order: nothing more of it will ship.

Shipments of the payload that are not registered yet are registered first.  Then the units named in `unshipped_items`,
less those shipped, and the units that `order_update` took off are closed, and given back with their tax where the
source moves money (`settling`); own arithmetic only warns; neither list given and something open is a failure that
changes nothing (R22).  A later completion closes and pays what no earlier one did (R9).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from app.channel import reservations
from app.channel.already_paid import COMPLETION
from app.channel.closed_money import Completed
from app.channel.command import OrderAtSource, OrderCommand, Plan, VendorAnswer, for_known_order
from app.channel.commands import run
from app.channel.services import CallbackRequest, CallbackResult
from app.channel.settling import give_back
from app.channel.shipments import COUNTED_HERE, REJECTION_REFUSED, package_commands
from app.channel.unshipped import Unshipped, read_unshipped, to_close
from app.contract.packages import StatedPackage, read_shipments
from app.contract.reading import OrderName, mapping
from app.contract.schemas import Reading
from app.domain.commands import Completion
from app.domain.events import Event
from app.domain.line_matching import named_lines
from app.domain.orders import OrderSketch
from app.errors import GatewayError
from app.records import handed_out, outbox
from app.records.outbox import Owed


@dataclass(frozen=True)
class CompletionRequest:
    """The completion as RetailOps states it."""

    name: OrderName
    shipped: list[StatedPackage]
    unshipped: tuple[Unshipped, ...]
    is_complete: bool = True
    """False where what will not ship cannot be read: then shipments alone are registered (R6)."""


def read(body: Mapping[str, Any], reading: Reading) -> CompletionRequest:
    """Order, shipments and what will not ship."""
    order = mapping(body.get("order"))
    shipped = read_shipments(order.get("shipments"))
    return CompletionRequest(
        OrderName.read(order), shipped, read_unshipped(order), is_complete=not reading.closes_nothing
    )


def carry_out(payload: CompletionRequest, request: CallbackRequest) -> CallbackResult:
    """Raises `HttpError` 503 while the same completion is being carried out elsewhere."""

    def complete(order: OrderAtSource) -> CallbackResult:
        commands = package_commands(order, payload.shipped)
        if payload.is_complete:
            commands.append(CompleteOrder(order, payload))
        return CallbackResult(run(request, commands))

    return for_known_order(request, "complete_order", payload.name, complete)


class CompleteOrder(OrderCommand):
    """Nothing more of the order will ship: what is open of it is closed, and given back."""

    callback = COMPLETION
    sent_again = "complete_order"
    refused_in_part = (REJECTION_REFUSED,)

    def __init__(self, order: OrderAtSource, payload: CompletionRequest) -> None:
        named_units = sorted((item.line_refnum, item.sku, item.quantity) for item in payload.unshipped)
        # Units taken off since the last completion make it another one, though the request looks the same.
        removed = [sorted(units.items()) for units in (order.known.removed, order.known.dropped) if units]
        super().__init__(order, ("complete", named_units, *removed))
        self._payload = payload
        self._sketch = OrderSketch(order.refnum, ())
        money, orders = order.source.money, order.source.orders
        is_shipping_refunded = money is not None and money.refunds_unused_shipping
        if order.known.shipping is None and is_shipping_refunded and orders is not None:
            with suppress(GatewayError):  # remembered before shipping was noted
                found = orders.find_order(order.refnum, order.request.call("question"))
                self._sketch = found or self._sketch

    def plan(self, connection: Connection) -> Plan:
        """Refunds of what is closed, then the completion; units that are left open are a warning, or a failure where
        the request names none."""
        order, payload = self.order, self._payload
        known = order.as_of(connection)
        if known.state == "cancelled":
            return Plan([Event("error", "ORDER_CANCELLED", "the order is cancelled; nothing was changed", order.named)])
        closing, open_units, events = to_close(known, payload.unshipped)
        still_open = any(open_units[line.refnum] for line in known.lines if line.needs_shipping)
        names_a_line = any(named_lines(known.lines, item.line_refnum, item.sku) for item in payload.unshipped)
        if still_open and not payload.shipped and not names_a_line:
            handed_out.note_left_open(connection, order.channel, order.refnum, "UNITS_UNACCOUNTED", order.clock())
            message = "units are open and neither shipments nor unshipped_items say what became of them"
            return Plan([Event("error", "UNITS_UNACCOUNTED", message, order.named)])
        if still_open:
            message = "by this server's count units are neither shipped nor named as unshipped"
            events.append(Event("warning", "UNITS_OPEN", message, order.named))
        if known.shipping is None:
            known = replace(known, shipping=self._sketch.shipping, shipping_tax=self._sketch.shipping_tax)
        completed = Completed(known, closing, is_all_closed=not still_open)
        owed, of_money = give_back(connection, order.channel, order.source, completed, order.clock())
        events += of_money
        if owed is None:
            return Plan(events)
        completion = Completion(
            order.refnum,
            tuple(item.package_line for item in closing),
            known.rejected.times + 1,
            tuple(item.named_line for item in closing if item.is_removed),
            tuple(item.named_line for item in closing) if any(item.instead for item in closing) else (),
        )
        reservations.acknowledged(connection, order.channel, order.source, order.refnum, order.clock())
        left_open = "UNITS_OPEN" if still_open else ""
        handed_out.set_state(connection, order.channel, order.refnum, "completed")
        handed_out.add_rejected(connection, order.channel, completion)
        handed_out.note_left_open(connection, order.channel, order.refnum, left_open, order.clock())
        return Plan(events, [*owed, Owed(order.source.token, "complete_order", completion, order.named)])

    def correct(self, connection: Connection) -> Plan:
        """A later completion closes units that no earlier one did."""
        message = "the order was completed before; units that were not closed then are closed now"
        further = self.plan(connection)
        corrected = [Event("info", "COMPLETION_CORRECTED", message, self.order.named)] if further.owed else []
        return Plan([*corrected, *further.events], further.owed)

    @staticmethod
    def accepted(answer: VendorAnswer) -> None:
        """Its warnings say what the source leaves open; units it refused to take back are open again."""
        connection, channel, order_refnum = answer.connection, answer.channel, answer.body.order_refnum
        warned = [event.code for event in answer.settled.events if event.event_type == "warning"]
        if REJECTION_REFUSED in warned:
            handed_out.forget_rejected(connection, channel, answer.body)
        if not warned:
            # Of two completions in a row the earlier one may have been answered that units were open.
            handed_out.note_nothing_left(connection, channel, order_refnum, but=COUNTED_HERE)
        elif warned[0] != "ORDER_CANCELLED":
            handed_out.note_left_open(connection, channel, order_refnum, warned[0], answer.now)

    @staticmethod
    def refused(answer: VendorAnswer) -> None:
        """Its units are open again, and so is the order where no completion of it was ever accepted."""
        connection, channel, completion = answer.connection, answer.channel, answer.body
        refnum, code = completion.order_refnum, answer.settled.code or "REFUSED"
        handed_out.forget_rejected(connection, channel, completion)
        handed_out.note_left_open(connection, channel, refnum, code, answer.now)
        [calls] = outbox.of_commands(connection, [answer.delivery.command_id]).values()
        if not any(call.verb == "complete_order" and call.state != "refused" for call in calls):
            handed_out.set_state(connection, channel, refnum, "open")
            answer.reopen_kept_order(refnum)


COMMAND = CompleteOrder
