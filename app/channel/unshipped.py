"""Units that will never ship: which are closed by a completion, and what goes back for them (R22).

RetailOps may state a price for them; an old caller never does.  What the shopper paid for the units is their share of
the line after discounts, plus their share of its tax, and no more than that goes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.channel.money import minor_unit, rounded, share
from app.channel.orders import KnownOrder
from app.channel.shipments import where
from app.contract.reading import amount, entries, opaque, whole
from app.domain.line_matching import allot
from app.gateways.words import Event, PackageLine, RefundLine, SketchLine, about


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
    closed_before: int
    """Units of the line that were closed before these, for exact shares."""
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
    all units of the line that will not ship.  Units that `order_update` took off are closed as well.
    """
    lines = {line.refnum: line for line in order.lines}
    closed, removed_before = Counter(order.rejected.units), Counter(order.rejected.removed)
    room = Counter({refnum: max(line.quantity - shipped.get(refnum, 0) - closed[refnum], 0)
                    for refnum, line in lines.items()})  # fmt: skip
    found: list[Closing] = []
    events: list[Event] = []

    def close(refnum: str, units: int, price: Decimal, *, is_removed: bool) -> None:
        found.append(Closing(lines[refnum], units, closed[refnum], price, is_removed))
        closed[refnum] += units
        room[refnum] -= units

    shares = allot(order.lines, stated, closed - removed_before, room, removed_before)
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


def priced(order: KnownOrder, closing: Iterable[Closing], currency: str) -> tuple[list[RefundLine], list[Event]]:
    """What goes back for these units: goods first, then their tax; with what RetailOps should know of it.

    The lesser of what RetailOps states and what the shopper paid; what was paid where nothing is stated.
    """
    is_known = any(line.charged for line in order.lines)
    goods: list[RefundLine] = []
    taxes: list[RefundLine] = []
    events: list[Event] = []
    for item in closing:
        line, named = item.line, about("orderitem_refnum", item.line.refnum)
        stated = rounded(item.stated, currency)
        paid, tax = (
            share(total, line.quantity, item.closed_before, item.units, currency) for total in (line.charged, line.tax)
        )
        if is_known:
            price = min(stated or paid, paid + tax)
        else:
            price, paid, tax = stated, stated, Decimal(0)
        if not is_known and not stated:
            message = "no price is stated for units that will not ship, and what was paid for them is unknown"
            events.append(Event("warning", "UNSHIPPED_UNPRICED", f"{message}; nothing is given back", named))
        elif stated > paid + tax + minor_unit(currency) * item.units:
            message = f"{stated} is stated for units that will not ship and {paid + tax} was paid; what was paid counts"
            events.append(Event("warning", "ABOVE_WHAT_WAS_PAID", message, named))
        goods.append(RefundLine("line_item", price, line.refnum, line.sku, item.units))
        # RetailOps' price may include the tax: together they are no more than was paid.
        if price and (rest := min(tax, paid + tax - price)) > 0:
            taxes.append(RefundLine("tax", rest))
    return [*goods, *taxes], events
