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

from app.channel.already_paid import COMPLETION
from app.channel.closed_money import Completed
from app.channel.commands import Command, Plan, run
from app.channel.preconditions import OrderName, for_known_order
from app.channel.result import CallbackResult
from app.channel.services import CallbackRequest, Services
from app.channel.settling import give_back
from app.channel.shipments import Shipped, package_commands, read_shipments
from app.channel.unshipped import Unshipped, read_unshipped, to_close
from app.contract.reading import entries, mapping
from app.contract.schemas import Reading
from app.domain.commands import Completion
from app.domain.events import Event, about
from app.domain.line_matching import named_lines
from app.domain.orders import OrderSketch
from app.errors import GatewayError
from app.gateways.capabilities import Gateway
from app.records import handed_out
from app.records.handed_out import KnownOrder
from app.records.outbox import Owed
from app.records.parcels import shipped_units


@dataclass(frozen=True)
class CompletionRequest:
    """The completion as RetailOps states it."""

    name: OrderName
    shipped: list[Shipped]
    unshipped: tuple[Unshipped, ...]
    is_complete: bool = True
    """False where what will not ship cannot be read: then shipments alone are registered (R6)."""


def read(body: Mapping[str, Any], reading: Reading) -> CompletionRequest:
    """Order, shipments and what will not ship."""
    order = mapping(body.get("order"))
    shipped = read_shipments(entries(order.get("shipments")))
    return CompletionRequest(
        OrderName.read(order), shipped, read_unshipped(order), is_complete=not reading.closes_nothing
    )


def carry_out(payload: CompletionRequest, request: CallbackRequest, services: Services) -> CallbackResult:
    """Raises `HttpError` 503 while the same completion is being carried out elsewhere."""

    def complete(services: Services, request: CallbackRequest, source: Gateway, order: KnownOrder) -> CallbackResult:
        commands = package_commands(services, request, source, order, payload.shipped)
        if payload.is_complete:
            commands.append(_completion(services, request, source, order, payload))
        result = CallbackResult()
        for events in run(services, request, commands):
            result.events.extend(events)
        return result

    return for_known_order(services, request, "complete_order", payload.name, complete)


def _completion(
    services: Services, request: CallbackRequest, source: Gateway, order: KnownOrder, payload: CompletionRequest
) -> Command:
    channel = request.channel.key
    named = about("order_refnum", order.refnum)
    sketch = OrderSketch(order.refnum, ())
    is_shipping_refunded = source.money is not None and source.money.refunds_unused_shipping
    if order.shipping is None and is_shipping_refunded and source.orders is not None:
        with suppress(GatewayError):  # remembered before shipping was noted
            sketch = source.orders.find_order(order.refnum, request.call("question")) or sketch

    def plan(connection: Connection) -> Plan:
        known = handed_out.known(connection, channel, [order.refnum])[order.refnum]
        if known.state == "cancelled":
            return Plan([Event("error", "ORDER_CANCELLED", "the order is cancelled; nothing was changed", named)])
        shipped = shipped_units(known.parcels)
        closing, open_units, events = to_close(known, shipped, payload.unshipped)
        still_open = any(open_units[line.refnum] for line in known.lines if line.needs_shipping)
        names_a_line = any(named_lines(known.lines, item.line_refnum, item.sku) for item in payload.unshipped)
        if still_open and not payload.shipped and not names_a_line:
            handed_out.note_left_open(connection, channel, order.refnum, "UNITS_UNACCOUNTED", services.clock())
            message = "units are open and neither shipments nor unshipped_items say what became of them"
            return Plan([Event("error", "UNITS_UNACCOUNTED", message, named)])
        if still_open:
            message = "by this server's count units are neither shipped nor named as unshipped"
            events.append(Event("warning", "UNITS_OPEN", message, named))
        if known.shipping is None:
            known = replace(known, shipping=sketch.shipping, shipping_tax=sketch.shipping_tax)
        completed = Completed(known, closing, shipped, is_all_closed=not still_open)
        owed, told = give_back(connection, channel, source, completed, services.clock())
        events += told
        if owed is None:
            return Plan(events)
        unshipped = tuple(item.package_line for item in closing)
        removed = tuple(item.package_line for item in closing if item.is_removed)
        handed_out.set_state(connection, channel, order.refnum, "completed")
        handed_out.add_rejected(connection, channel, order.refnum, unshipped, removed)
        handed_out.note_left_open(
            connection, channel, order.refnum, "UNITS_OPEN" if still_open else "", services.clock()
        )
        completion = Completion(order.refnum, unshipped, known.rejected.times + 1, removed)
        return Plan(events, [*owed, Owed(source.token, "complete_order", completion, named)])

    def correct(connection: Connection) -> Plan:
        message = "the order was completed before; units that were not closed then are closed now"
        further = plan(connection)
        corrected = [Event("info", "COMPLETION_CORRECTED", message, named)] if further.owed else []
        return Plan([*corrected, *further.events], further.owed)

    named_units = sorted((item.line_refnum, item.sku, item.quantity) for item in payload.unshipped)
    # Units taken off since the last completion make it another one, though the request looks the same.
    removed = [sorted(units.items()) for units in (order.removed, order.dropped) if units]
    meaning = ("complete", named_units, *removed)
    return Command(COMPLETION, order.refnum, order.refnum, meaning, plan, correct)
