"""Units that will never ship: which are closed by a completion (R22).  What goes back for them: `settling`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.channel.shipments import where
from app.contract.reading import amount, entries, opaque, whole
from app.domain.commands import PackageLine
from app.domain.events import Event
from app.domain.line_matching import allot
from app.domain.orders import SketchLine
from app.records.handed_out import KnownOrder


@dataclass(frozen=True)
class Unshipped:
    """An entry of `unshipped_items`; a price of 0 is not stated."""

    line_refnum: str
    sku: str
    quantity: int
    unit_price: Decimal
    extended_price: Decimal

    def price_of(self, units: int) -> Decimal:
        """What RetailOps says `units` of them cost, 0 where it does not say.

        The exact price of the line where it agrees with its unit price but for the cents that rounding
        a unit loses; else unit price times units, for it is unsaid which units the line's price covers.
        """
        by_unit = self.unit_price * self.quantity
        is_agreed = not self.unit_price or abs(self.extended_price - by_unit) <= Decimal("0.01") * self.quantity
        if self.quantity and self.extended_price and is_agreed:
            return self.extended_price * units / self.quantity
        return self.unit_price * units


@dataclass(frozen=True)
class Closing:
    """Units of one line that a completion closes; `stated` is RetailOps' price for them, 0 where it states none."""

    line: SketchLine
    units: int
    stated: Decimal = Decimal(0)
    is_removed: bool = False
    """True for units that `order_update` had taken off."""

    @property
    def package_line(self) -> PackageLine:
        """The units as the vendor is sent them."""
        return PackageLine(self.line.refnum, self.line.sku, self.units, self.line.source_sku)


def read_unshipped(order: Mapping[str, Any]) -> tuple[Unshipped, ...]:
    """The entries of `unshipped_items`, those of zeros left out that an old caller may send."""
    found = (
        Unshipped(
            opaque(item.get("channel_item_refnum")),
            opaque(item.get("sku")),
            whole(item.get("unshipped_quantity")),
            max(amount(item.get("effective_unit_price")), Decimal(0)),
            max(amount(item.get("effective_extended_price")), Decimal(0)),
        )
        for item in entries(order.get("unshipped_items"))
    )
    return tuple(item for item in found if item.quantity or item.line_refnum or item.sku)


def to_close(
    order: KnownOrder, shipped: Mapping[str, int], stated: Sequence[Unshipped]
) -> tuple[list[Closing], Counter[str], list[Event]]:
    """The units a completion closes, the units that stay open by line, and what RetailOps should know.

    Shipped units stay shipped.  Units that an earlier completion closed by name are not closed again: an entry states
    all units of the line that will not ship.  Units that `order_update` took off are closed as well; those the lines
    have no more are none of the units that stay open.
    """
    lines = {line.refnum: line for line in order.lines}
    closed, removed_before = Counter(order.rejected.units), Counter(order.rejected.removed)
    room = Counter({refnum: max(line.quantity - shipped.get(refnum, 0) - closed[refnum], 0)
                    for refnum, line in lines.items()})  # fmt: skip
    found: list[Closing] = []
    events: list[Event] = []

    def close(refnum: str, units: int, price: Decimal, *, is_removed: bool) -> None:
        found.append(Closing(lines[refnum], units, price, is_removed))
        closed[refnum] += units
        room[refnum] -= units

    taken_off = removed_before + Counter(order.dropped)
    shares = allot(order.lines, stated, closed - removed_before, room, taken_off)
    for item, part in zip(stated, shares, strict=True):
        at = where(part.line_refnums, item.line_refnum, item.sku)
        if not part.line_refnums and item.quantity:
            events.append(Event("warning", "LINE_UNKNOWN", "no such line on the order; it was left out", at))
        elif part.left_over:
            events.append(_not_open(sum(shipped.get(refnum, 0) for refnum in part.line_refnums), at))
        rest = sum(part.units[1].values())
        price = item.price_of(rest)
        for refnum, units in part.units[1].items():
            close(refnum, units, price * units / rest, is_removed=False)
    for refnum, units in order.removed_and_open.items():
        if taken := min(units, room[refnum]):
            close(refnum, taken, Decimal(0), is_removed=True)
    return found, +room, events


def _not_open(shipped: int, at: Any) -> Event:
    if shipped:
        message = "units named as unshipped are registered as shipped; they stay shipped"
        return Event("warning", "SHIPPED_ALREADY", message, at)
    message = "more units are named as unshipped than the order has open; the rest was left out"
    return Event("warning", "MORE_THAN_OPEN", message, at)
