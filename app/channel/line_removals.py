"""Changes of lines that the source does not take: units taken off, and what RetailOps is sent about them (R22)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from app.channel.line_changes import Stated
from app.domain.commands import LineChange
from app.domain.events import Event, about
from app.gateways.capabilities import Gateway
from app.records.handed_out import KnownOrder


def removed(order: KnownOrder, changes: Sequence[LineChange]) -> dict[str, int]:
    """Units taken off each line of the order that is named; 0 where none is."""
    units = {line.refnum: line.quantity for line in order.lines}
    return {
        change.refnum: max(units[change.refnum] - change.quantity, 0) for change in changes if change.refnum in units
    }


def only_takes_off(order: KnownOrder, changes: Sequence[LineChange]) -> bool:
    """True when units are taken off lines of the order, or such units are restored, and nothing else changes."""
    units = {line.refnum: line.quantity for line in order.lines}
    taken_off = removed(order, changes)
    is_less = all(change.quantity <= units.get(change.refnum, 0) for change in changes)
    return is_less and any(count or order.removed.get(refnum) for refnum, count in taken_off.items())


def unchanged(source: Gateway, order: KnownOrder, changes: Sequence[LineChange]) -> Iterator[Event]:
    """The warnings for changes that stay in RetailOps alone."""
    units = {line.refnum: line.quantity for line in order.lines}
    for change in changes:
        kept = units.get(change.refnum, 0)
        named = about("orderitem_refnum", change.refnum)
        if change.refnum not in units and change.quantity:
            message = "the line was added in RetailOps only; the order cannot take it"
            yield Event("warning", "LINE_NOT_ADDED", message, about("sku_number", change.sku) or named)
        elif change.quantity != kept and order.state != "open":
            message = f"the line stays at {kept} units; the order is {order.state}"
            yield Event("warning", "LINE_NOT_CHANGED", message, named)
        elif change.quantity > kept:
            message = f"the line stays at {kept} units; the order cannot be changed"
            yield Event("warning", "LINE_NOT_CHANGED", message, named)
        elif change.quantity < kept:
            message = (
                f"the line stays at {kept} units at {source.token}; the units taken off are closed there when the "
                "order is completed"
            )
            yield Event("warning", "LINE_NOT_CHANGED", message, named)


def items(order: KnownOrder, found: Stated) -> list[dict[str, Any]]:
    """The lines as they stay, for entries with a number in RetailOps."""
    lines = {line.refnum: line for line in order.lines}
    return [
        {"order_item_id": entry.number, "refnum": refnum, "quantity": lines[refnum].quantity}
        for entry, refnums in found.meant
        for refnum in refnums
        if refnum in lines and entry.number is not None
    ]
