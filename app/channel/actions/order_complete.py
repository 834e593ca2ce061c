"""RetailOps is done with an order.

Shipments of the payload that are not registered yet are registered first; only units named in
`unshipped_items`, less those shipped, are rejected, and given back with their tax where the source moves
money; own arithmetic only warns; neither list given and something open is a failure that changes nothing (R22).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection

from app.channel import orders, refunds
from app.channel.commands import for_known_order
from app.channel.desk import Asked, Desk
from app.channel.money import rounded
from app.channel.outcome import Outcome
from app.channel.running import Command, Plan, run
from app.channel.shipments import Shipped, find_line, package_command, read_shipments
from app.contract.reading import amount, entries, mapping, text, whole
from app.contract.schemas import Reading
from app.deliveries.outbox import Owed
from app.gateways.interface import Gateway
from app.gateways.words import Completion, Event, PackageLine, RefundLine, about
from app.records import refunds as ledger

CALLBACK = "order_complete"


@dataclass(frozen=True)
class Unshipped:
    """Units that will not ship, and what RetailOps says they cost; 0 where it does not say."""

    line: PackageLine
    unit_price: Decimal
    extended_price: Decimal

    def price_of(self, units: int) -> Decimal:
        """What `units` of them cost.

        The exact price of the line where it agrees with its unit price but for the cents that rounding
        a unit loses; else unit price times units, for it is unsaid which units the line's price covers.
        """
        stated = self.line.quantity
        by_unit = self.unit_price * stated
        is_agreed = not self.unit_price or abs(self.extended_price - by_unit) <= Decimal("0.01") * stated
        if stated and self.extended_price and is_agreed:
            return self.extended_price * units / stated
        return self.unit_price * units


@dataclass(frozen=True)
class Wanted:
    """The completion as RetailOps states it."""

    refnum: str
    shipped: list[Shipped]
    unshipped: tuple[Unshipped, ...]
    is_complete: bool = True
    """False where what will not ship cannot be read: then shipments alone are registered (R6)."""


def read(body: Mapping[str, Any], reading: Reading) -> Wanted:
    """Order number, shipments and what will not ship."""
    order = mapping(body.get("order"))
    refnum = text(order.get("channel_order_refnum"))
    unshipped = tuple(
        Unshipped(
            PackageLine(
                text(item.get("channel_item_refnum")), text(item.get("sku")), whole(item.get("unshipped_quantity"))
            ),
            max(amount(item.get("effective_unit_price")), Decimal(0)),
            max(amount(item.get("effective_extended_price")), Decimal(0)),
        )
        for item in entries(order.get("unshipped_items"))
    )
    shipped = read_shipments(refnum, entries(order.get("shipments")))
    return Wanted(refnum, shipped, unshipped, is_complete=not reading.closes_nothing)


def carry_out(wanted: Wanted, asked: Asked, desk: Desk) -> Outcome:
    """Raises `Rejected` 503 while the same completion is being carried out elsewhere."""

    def complete(desk: Desk, asked: Asked, source: Gateway, order: orders.KnownOrder) -> Outcome:
        commands = [package_command(desk, asked, source, order, item) for item in wanted.shipped]
        if wanted.is_complete:
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
        known = orders.known(connection, channel, [order.refnum])[order.refnum]
        if known.state == "cancelled":
            return Plan([Event("error", "ORDER_CANCELLED", "the order is cancelled; nothing was changed", named)])
        shipped = orders.shipped_units(orders.parcels(connection, channel, order.refnum))
        before = Counter(known.rejected.units)
        open_units = Counter(
            {line.refnum: line.quantity - shipped[line.refnum] - before[line.refnum] for line in known.lines}
        )
        rejected, prices, events = _rejected(known, open_units, before, wanted.unshipped)
        to_ship = [line.refnum for line in known.lines if line.needs_shipping]
        still_open = sum(max(open_units[line_refnum], 0) for line_refnum in to_ship)
        named_lines = [find_line(known.lines, item.line.line_refnum, item.line.sku) for item in wanted.unshipped]
        if still_open and not wanted.shipped and not any(named_lines):
            message = "units are open and neither shipments nor unshipped_items say what became of them"
            return Plan([Event("error", "UNITS_UNACCOUNTED", message, named)])
        if still_open:
            message = "by this server's count units are neither shipped nor named as unshipped"
            events.append(Event("warning", "UNITS_OPEN", message, named))
        owed = _give_back(connection, desk, asked, source, known, prices, events)
        if owed is None:
            return Plan(events)
        orders.set_state(connection, channel, order.refnum, "completed")
        orders.add_rejected(connection, channel, order.refnum, rejected)
        completion = Completion(order.refnum, rejected, known.rejected.times + 1)
        return Plan(events, [*owed, Owed(source.token, "complete_order", completion, named)])

    def correct(connection: Connection) -> Plan:
        if refunds.moves_money(source, "refund_payment"):
            message = "the order was completed before with other unshipped_items; nothing was changed"
            return Plan([Event("error", "COMPLETED_OTHERWISE", message, named)])
        message = "the order was completed before with other unshipped_items; what is new in them is passed on"
        further = plan(connection)
        return Plan([Event("info", "COMPLETION_CORRECTED", message, named), *further.events], further.owed)

    named_units = sorted((item.line.line_refnum, item.line.sku, item.line.quantity) for item in wanted.unshipped)
    meaning = ("complete", named_units)
    return Command(CALLBACK, order.refnum, order.refnum, meaning, plan, correct)


def _give_back(
    connection: Connection,
    desk: Desk,
    asked: Asked,
    source: Gateway,
    order: orders.KnownOrder,
    prices: list[RefundLine],
    events: list[Event],
) -> list[Owed] | None:
    """The refund of the rejected units, at most what is left; a smaller one is told in `events`.

    A credit of the very amount, with the tax or without it, is the same money (R23).  None, and an error in
    `events`, while it is not known whether such a credit was paid.
    """
    if not source.refunds_unshipped or not refunds.moves_money(source, "refund_payment"):
        return []
    channel, refnum, named = asked.channel.name, order.refnum, about("order_refnum", order.refnum)
    payments = ledger.charges(connection, channel, refnum)
    currency = payments[0].currency_code if payments else ""
    goods = [msgspec.structs.replace(line, amount=rounded(line.amount, currency)) for line in prices]
    lines = (*goods, *_taxes(order, goods, currency))
    wanted = sum((line.amount for line in lines), Decimal(0))
    untaxed = sum((line.amount for line in goods), Decimal(0))
    purpose = refunds.Purpose(CALLBACK, refnum, f"ro-complete-{refnum}", named, lines=lines)
    entries = ledger.of_order(connection, channel, refnum)
    credit = refunds.same_money(entries, "payment_credit", wanted, (CALLBACK, refnum)) or refunds.same_money(
        entries, "payment_credit", untaxed, (CALLBACK, refnum)
    )
    if credit is not None:
        if any(entry.state != "accepted" for entry in credit):
            message = "it is being found out whether a credit of the same amount was paid; send this completion again"
            events.append(Event("error", "CREDIT_PENDING", message, named))
            return None
        message = "a credit of the amount of the unshipped units was paid before; nothing was paid again"
        events.append(Event("warning", "ALREADY_CREDITED", message, named))
        entry = replace(purpose.part(1).entry(refnum, None, wanted, "matched"), matched=credit[0].source)
        ledger.put(connection, channel, entry, desk.clock())
        return []
    for line in goods:
        if not line.amount:
            message = "no price is stated for units that will not ship; nothing is given back for them"
            events.append(Event("warning", "UNSHIPPED_UNPRICED", message, about("orderitem_refnum", line.line_refnum)))
    if wanted > refunds.left_of(payments) and not refunds.is_same_amount(wanted, refunds.left_of(payments)):
        message = "the units that will not ship cost more than is left of the payments; what is left goes back"
        events.append(Event("warning", "REFUND_CUT", message, named))
    return refunds.hold(connection, channel, source, payments, wanted, purpose, desk.clock())


def _taxes(order: orders.KnownOrder, goods: Iterable[RefundLine], currency: str) -> Iterator[RefundLine]:
    """The tax the shopper paid on rejected units of a stated price, as far as that price leaves room for it.

    Price and tax together are no more than was charged for the units: RetailOps' price may include the tax.
    """
    lines = {line.refnum: line for line in order.lines}
    for item in goods:
        line = lines[item.line_refnum]
        tax = line.tax * item.quantity / line.quantity
        room = (line.charged + line.tax) * item.quantity / line.quantity - item.amount
        paid = rounded(min(tax, room), currency)
        if item.amount and paid > 0:
            yield RefundLine("tax", paid)


def _rejected(
    order: orders.KnownOrder, open_units: Counter[str], before: Counter[str], unshipped: tuple[Unshipped, ...]
) -> tuple[tuple[PackageLine, ...], list[RefundLine], list[Event]]:
    """The units to reject, taken off `open_units`, and their prices.

    Shipped ones stay shipped, and units rejected `before` are not rejected again.
    """
    rejected: list[PackageLine] = []
    prices: list[RefundLine] = []
    events: list[Event] = []
    for stated in unshipped:
        item = stated.line
        line = find_line(order.lines, item.line_refnum, item.sku)
        if line is None:
            message = "no such line on the order; it was left out"
            where = about("orderitem_refnum", item.line_refnum) or about("sku_number", item.sku)
            events.append(Event("warning", "LINE_UNKNOWN", message, where))
            continue
        wanted = max(item.quantity - before[line.refnum], 0)
        units = min(wanted, max(open_units[line.refnum], 0))
        if units < wanted:
            message = "units named as unshipped are registered as shipped; they stay shipped"
            events.append(Event("warning", "SHIPPED_ALREADY", message, about("orderitem_refnum", line.refnum)))
        open_units[line.refnum] -= units
        if units:
            rejected.append(PackageLine(line.refnum, line.sku, units, line.source_sku))
            prices.append(RefundLine("line_item", stated.price_of(units), line.refnum, line.sku, units))
    return tuple(rejected), prices, events
