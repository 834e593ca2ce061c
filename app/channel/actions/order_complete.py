"""RetailOps is done with an order.

Shipments of the payload that are not registered yet are registered first; only units named in
`unshipped_items`, less those shipped, are rejected; own arithmetic only warns; neither list given and
something open is a failure that changes nothing (R22).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from app.channel import orders
from app.channel.commands import for_known_order
from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.channel.running import Command, Plan, run
from app.channel.shipments import Shipped, find_line, package_command, read_shipments
from app.contract.reading import entries, mapping, text, whole
from app.contract.schemas import Reading
from app.deliveries.outbox import Owed
from app.gateways.interface import Gateway
from app.gateways.words import Completion, Event, PackageLine, about


@dataclass(frozen=True)
class Wanted:
    """The completion as RetailOps states it."""

    refnum: str
    shipped: list[Shipped]
    unshipped: tuple[PackageLine, ...]


def read(body: Mapping[str, Any], reading: Reading) -> Wanted:
    """Order number, shipments and what will not ship."""
    order = mapping(body.get("order"))
    refnum = text(order.get("channel_order_refnum"))
    unshipped = tuple(
        PackageLine(text(item.get("channel_item_refnum")), text(item.get("sku")), whole(item.get("unshipped_quantity")))
        for item in entries(order.get("unshipped_items"))
    )
    return Wanted(refnum, read_shipments(refnum, entries(order.get("shipments"))), unshipped)


def carry_out(wanted: Wanted, asked: Asked, desk: Desk) -> Outcome:
    """Raises `Rejected` 503 while the same completion is being carried out elsewhere."""

    def complete(desk: Desk, asked: Asked, source: Gateway, order: orders.KnownOrder) -> Outcome:
        commands = [package_command(desk, asked, source, order, item) for item in wanted.shipped]
        commands.append(_completion(desk, asked, source, order, wanted))
        outcome = Outcome()
        for events in run(desk, asked, commands):
            outcome.events.extend(events)
        return outcome

    return for_known_order(desk, asked, "complete_order", wanted.refnum, complete)


def _completion(desk: Desk, asked: Asked, source: Gateway, order: orders.KnownOrder, wanted: Wanted) -> Command:
    channel = asked.channel.name
    named = about("order_refnum", order.refnum)

    def plan(connection: Connection) -> Plan:
        if orders.known(connection, channel, [order.refnum])[order.refnum].state == "cancelled":
            return Plan([Event("error", "ORDER_CANCELLED", "the order is cancelled; nothing was changed", named)])
        shipped = orders.shipped_units(orders.parcels(connection, channel, order.refnum))
        open_units = Counter({line.refnum: line.quantity - shipped[line.refnum] for line in order.lines})
        rejected, events = _rejected(order, open_units, wanted.unshipped)
        still_open = sum(units for units in open_units.values() if units > 0)
        if still_open and not wanted.shipped and not wanted.unshipped:
            message = "units are open and neither shipments nor unshipped_items say what became of them"
            return Plan([Event("error", "UNITS_UNACCOUNTED", message, named)])
        if still_open:
            message = "by this server's count units are neither shipped nor named as unshipped"
            events.append(Event("warning", "UNITS_OPEN", message, named))
        orders.set_state(connection, channel, order.refnum, "completed")
        return Plan(events, [Owed(source.token, "complete_order", Completion(order.refnum, rejected), named)])

    def refuse(connection: Connection) -> Plan:
        message = "the order was completed before with other unshipped_items; nothing was changed"
        return Plan([Event("error", "COMPLETED_OTHERWISE", message, named)])

    meaning = ("complete", sorted((item.line_refnum, item.sku, item.quantity) for item in wanted.unshipped))
    return Command("order_complete", order.refnum, order.refnum, meaning, plan, refuse)


def _rejected(
    order: orders.KnownOrder, open_units: Counter[str], unshipped: tuple[PackageLine, ...]
) -> tuple[tuple[PackageLine, ...], list[Event]]:
    """The units to reject, taken off `open_units`; shipped ones stay shipped whatever the payload says."""
    rejected: list[PackageLine] = []
    events: list[Event] = []
    for item in unshipped:
        line = find_line(order.lines, item.line_refnum, item.sku)
        if line is None:
            message = "no such line on the order; it was left out"
            where = about("orderitem_refnum", item.line_refnum) or about("sku_number", item.sku)
            events.append(Event("warning", "LINE_UNKNOWN", message, where))
            continue
        units = min(item.quantity, max(open_units[line.refnum], 0))
        if units < item.quantity:
            message = "units named as unshipped are registered as shipped; they stay shipped"
            events.append(Event("warning", "SHIPPED_ALREADY", message, about("orderitem_refnum", line.refnum)))
        open_units[line.refnum] -= units
        if units:
            rejected.append(PackageLine(line.refnum, line.sku, units))
    return tuple(rejected), events
