"""Units that will never ship: which are closed by a completion (R22).  What goes back for them: `settling`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.channel.money import minor_unit
from app.channel.shipments import where
from app.contract.reading import amount, entries, opaque, whole
from app.domain.commands import PackageLine
from app.domain.events import Event
from app.domain.line_matching import Share, allot, give_way
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

    def price_of(self, units: int, currency: str) -> Decimal:
        """What RetailOps says `units` of them cost, 0 where it does not say.

        The exact price of the line where it agrees with its unit price but for what rounding a unit to the currency's
        decimals loses; else unit price times units, for it is unsaid which units the line's price covers.
        """
        by_unit = self.unit_price * self.quantity
        is_agreed = not self.unit_price or abs(self.extended_price - by_unit) <= minor_unit(currency) * self.quantity
        if self.quantity and self.extended_price and is_agreed:
            return self.extended_price * units / self.quantity
        return self.unit_price * units


@dataclass(frozen=True)
class Closing:
    """Units of one line that a completion closes."""

    line: SketchLine
    """The line RetailOps means: what its units cost goes back."""
    units: int
    entry: Unshipped | None = None
    """The entry that names them; None for units that it does not name."""
    of_entry: int = 0
    """Units that are closed for that entry, those of other lines among them."""
    is_removed: bool = False
    """True for units that `order_update` had taken off."""
    instead: SketchLine | None = None
    """The line of the same SKU that the vendor closes them on, where the vendor has sent the units of `line`."""

    def stated(self, currency: str) -> Decimal:
        """RetailOps' price for them, 0 where it states none."""
        if self.entry is None:
            return Decimal(0)
        return self.entry.price_of(self.of_entry, currency) * self.units / self.of_entry

    @property
    def package_line(self) -> PackageLine:
        """The units as the vendor is sent them."""
        return _package_line(self.instead or self.line, self.units)

    @property
    def named_line(self) -> PackageLine:
        """The units as RetailOps named them."""
        return _package_line(self.line, self.units)


def _package_line(line: SketchLine, units: int) -> PackageLine:
    return PackageLine(line.refnum, line.sku, units, line.source_sku)


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


def to_close(order: KnownOrder, stated: Sequence[Unshipped]) -> tuple[list[Closing], Counter[str], list[Event]]:
    """The units a completion closes, the units that stay open by line, and what RetailOps should know.

    Shipped units stay shipped.  Units that an earlier completion closed by name are not closed again: an entry states
    all units of the line that will not ship.  Units that `order_update` took off are closed as well; those the lines
    have no more are none of the units that stay open.  Both make units give way that shipped by their SKU alone.
    """
    lines = {line.refnum: line for line in order.lines}
    shipped, by_sku = order.shipped, order.shipped_by_sku
    closed, removed_before = Counter(order.rejected.units), Counter(order.rejected.removed)
    room = Counter({refnum: max(line.quantity - shipped[refnum] - closed[refnum], 0) for refnum, line in lines.items()})
    found: list[Closing] = []
    events: list[Event] = []
    taken_off = removed_before + Counter(order.dropped)
    shares = allot(order.lines, stated, order.closed_as_named - removed_before, room, taken_off)
    for part in shares:
        room.subtract(part.units[1])
    for item, part in zip(stated, shares, strict=True):
        moved = give_way(order.lines, part, by_sku, room)
        taken, at = sum(moved.values()), where(part.line_refnums, item.line_refnum, item.sku)
        if not part.line_refnums and item.quantity:
            events.append(Event("warning", "LINE_UNKNOWN", "no such line on the order; it was left out", at))
        elif part.left_over > taken:
            events.append(_not_open(sum(shipped[refnum] for refnum in part.line_refnums), at))
        rest = sum(part.units[1].values()) + taken
        found += [Closing(lines[refnum], units, item, rest) for refnum, units in part.units[1].items()]
        found += [
            Closing(lines[part.line_refnums[0]], units, item, rest, instead=lines[refnum])
            for refnum, units in moved.items()
        ]
    left = order.removed_and_open
    for refnum, units in left.items():
        if taken := min(units, room[refnum]):
            found.append(Closing(lines[refnum], taken, is_removed=True))
            room[refnum] -= taken
            left[refnum] -= taken
    for refnum, units in left.items():
        moved = give_way(order.lines, Share((refnum,), (), units), by_sku, room)
        found += [Closing(lines[refnum], count, is_removed=True, instead=lines[at]) for at, count in moved.items()]
    return found, +room, events


def _not_open(shipped: int, at: Any) -> Event:
    if shipped:
        message = "units named as unshipped are registered as shipped; they stay shipped"
        return Event("warning", "SHIPPED_ALREADY", message, at)
    message = "more units are named as unshipped than the order has open; the rest was left out"
    return Event("warning", "MORE_THAN_OPEN", message, at)
