"""RetailOps is done with an order.

Shipments of the payload that are not registered yet are registered first.  Then the units named in `unshipped_items`,
less those shipped, and the units that `order_update` took off are closed, and given back with their tax where the
source moves money; own arithmetic only warns; neither list given and something open is a failure that changes nothing
(R22).  A later completion closes and pays what no earlier one did (R9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from app.channel import orders, parcels, refunds
from app.channel.commands import OrderName, for_known_order
from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.channel.running import Command, Plan, run
from app.channel.shipments import Shipped, package_commands, read_shipments
from app.channel.unshipped import Closing, Unshipped, priced, read_unshipped, to_close
from app.contract.reading import entries, mapping
from app.contract.schemas import Reading
from app.deliveries.outbox import Owed
from app.domain.line_matching import named_lines
from app.gateways.interface import Gateway
from app.gateways.words import Completion, Event, about
from app.records import refunds as ledger

CALLBACK = "order_complete"


@dataclass(frozen=True)
class Wanted:
    """The completion as RetailOps states it."""

    name: OrderName
    shipped: list[Shipped]
    unshipped: tuple[Unshipped, ...]
    is_complete: bool = True
    """False where what will not ship cannot be read: then shipments alone are registered (R6)."""


def read(body: Mapping[str, Any], reading: Reading) -> Wanted:
    """Order, shipments and what will not ship."""
    order = mapping(body.get("order"))
    shipped = read_shipments(entries(order.get("shipments")))
    return Wanted(OrderName.read(order), shipped, read_unshipped(order), is_complete=not reading.closes_nothing)


def carry_out(wanted: Wanted, asked: Asked, desk: Desk) -> Outcome:
    """Raises `Rejected` 503 while the same completion is being carried out elsewhere."""

    def complete(desk: Desk, asked: Asked, source: Gateway, order: orders.KnownOrder) -> Outcome:
        commands = package_commands(desk, asked, source, order, wanted.shipped)
        if wanted.is_complete:
            commands.append(_completion(desk, asked, source, order, wanted))
        outcome = Outcome()
        for events in run(desk, asked, commands):
            outcome.events.extend(events)
        return outcome

    return for_known_order(desk, asked, "complete_order", wanted.name, complete)


def _completion(desk: Desk, asked: Asked, source: Gateway, order: orders.KnownOrder, wanted: Wanted) -> Command:
    channel = asked.channel.key
    named = about("order_refnum", order.refnum)

    def plan(connection: Connection) -> Plan:
        known = orders.known(connection, channel, [order.refnum])[order.refnum]
        if known.state == "cancelled":
            return Plan([Event("error", "ORDER_CANCELLED", "the order is cancelled; nothing was changed", named)])
        shipped = parcels.shipped_units(parcels.of_order(connection, channel, order.refnum))
        closing, open_units, events = to_close(known, shipped, wanted.unshipped)
        still_open = any(open_units[line.refnum] for line in known.lines if line.needs_shipping)
        names_a_line = any(named_lines(known.lines, item.line_refnum, item.sku) for item in wanted.unshipped)
        if still_open and not wanted.shipped and not names_a_line:
            orders.note_left_open(connection, channel, order.refnum, "UNITS_UNACCOUNTED", desk.clock())
            message = "units are open and neither shipments nor unshipped_items say what became of them"
            return Plan([Event("error", "UNITS_UNACCOUNTED", message, named)])
        if still_open:
            message = "by this server's count units are neither shipped nor named as unshipped"
            events.append(Event("warning", "UNITS_OPEN", message, named))
        owed = _give_back(connection, desk, asked, source, known, closing, events)
        if owed is None:
            return Plan(events)
        unshipped = tuple(item.package_line for item in closing)
        removed = tuple(item.package_line for item in closing if item.is_removed)
        orders.set_state(connection, channel, order.refnum, "completed")
        orders.add_rejected(connection, channel, order.refnum, unshipped, removed)
        orders.note_left_open(connection, channel, order.refnum, "UNITS_OPEN" if still_open else "", desk.clock())
        completion = Completion(order.refnum, unshipped, known.rejected.times + 1, removed)
        return Plan(events, [*owed, Owed(source.token, "complete_order", completion, named)])

    def correct(connection: Connection) -> Plan:
        message = "the order was completed before; units that were not closed then are closed now"
        further = plan(connection)
        corrected = [Event("info", "COMPLETION_CORRECTED", message, named)] if further.owed else []
        return Plan([*corrected, *further.events], further.owed)

    named_units = sorted((item.line_refnum, item.sku, item.quantity) for item in wanted.unshipped)
    # Units taken off since the last completion make it another one, though the request looks the same.
    removed = [sorted(order.removed.items())] if order.removed else []
    meaning = ("complete", named_units, *removed)
    return Command(CALLBACK, order.refnum, order.refnum, meaning, plan, correct)


def _purpose(order_refnum: str, ordinal: int) -> refunds.Purpose:
    """What the refund of a completion is for; a later completion's keys carry its ordinal (R9)."""
    natural_key = order_refnum if ordinal == 1 else f"{order_refnum}/{ordinal}"
    prefix = "ro-complete" if ordinal == 1 else f"ro-complete{ordinal}"
    return refunds.Purpose(CALLBACK, natural_key, f"{prefix}-{order_refnum}", about("order_refnum", order_refnum))


def _give_back(
    connection: Connection,
    desk: Desk,
    asked: Asked,
    source: Gateway,
    order: orders.KnownOrder,
    closing: Sequence[Closing],
    events: list[Event],
) -> list[Owed] | None:
    """The refund of the closed units, at most what is left; a smaller one is told in `events`.

    A credit of the very amount, with the tax or without it, is the same money (R23).  None, and an error in
    `events`, while it is not known whether such a credit was paid.
    """
    if not source.refunds_unshipped or not refunds.moves_money(source, "refund_payment"):
        return []
    channel, refnum, named = asked.channel.key, order.refnum, about("order_refnum", order.refnum)
    payments = ledger.charges(connection, channel, refnum)
    lines, told = priced(order, closing, payments[0].currency_code if payments else "")
    wanted = sum((line.amount for line in lines), Decimal(0))
    untaxed = sum((line.amount for line in lines if line.kind == "line_item"), Decimal(0))
    purpose = replace(_purpose(refnum, order.rejected.times + 1), lines=tuple(lines))
    entries = ledger.of_order(connection, channel, refnum)
    credit = refunds.same_money(entries, "payment_credit", wanted, purpose.source) or refunds.same_money(
        entries, "payment_credit", untaxed, purpose.source
    )
    if credit is not None and any(entry.state != "accepted" for entry in credit):
        message = "it is being found out whether a credit of the same amount was paid; send this completion again"
        events.append(Event("error", "CREDIT_PENDING", message, named))
        return None
    if credit is not None:
        message = "a credit of the amount of the unshipped units was paid before; nothing was paid again"
        events.append(Event("warning", "ALREADY_CREDITED", message, named))
        entry = replace(purpose.part(1).entry(refnum, None, wanted, "matched"), matched=credit[0].source)
        ledger.put(connection, channel, entry, desk.clock())
        return []
    events += told
    left = refunds.left_of(payments)
    if wanted > left and not refunds.is_same_amount(wanted, left):
        message = "the units that will not ship cost more than is left of the payments; what is left goes back"
        events.append(Event("warning", "REFUND_CUT", message, named))
    return refunds.hold(connection, channel, source, payments, wanted, purpose, desk.clock())
