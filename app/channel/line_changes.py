"""What the order lines of an update mean: which lines of the order change, by how many units, and which are new."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from app.channel.money import NEARLY, minor_unit
from app.contract.reading import entries, mapping, number, opaque, optional_amount, text, whole
from app.domain.commands import LineChange
from app.domain.events import Event, about
from app.domain.line_matching import named_lines, restated
from app.domain.orders import SketchLine
from app.domain.retailops_numbers import canonical
from app.records.handed_out import KnownOrder

OWN = "ro-"
"""How the number of a line begins that RetailOps has added; its own line number follows."""

_NUMBER = re.compile("-?[0-9]{1,30}", re.ASCII)

_REMOVED = ("true", "1", "yes")


@dataclass(frozen=True)
class Line:
    """A line as RetailOps states it; `quantity` None where it does not say."""

    item_id: str
    refnum: str
    sku: str
    quantity: int | None
    unit_price: Decimal | None

    @property
    def number(self) -> int | None:
        """RetailOps' number of the line; None where there is none, or one of more bits than its answer can carry."""
        found = int(self.item_id) if _NUMBER.fullmatch(self.item_id) else None
        return found if found is not None and -(2**63) <= found < 2**63 else None

    def named_in(self, lines: Sequence[SketchLine]) -> SketchLine | None:
        """The line it names by the channel's number, else by the number this server gave the line."""
        refnum = self.refnum or self.own_refnum
        found = named_lines(lines, refnum, "")
        if not found and self.own_refnum == refnum != "":
            # Added while RetailOps' numbers were kept as they were spelled (R7).
            found = [line for line in lines if line.is_added and OWN + canonical(line.refnum[len(OWN) :]) == refnum]
        return next(iter(found), None)

    @property
    def own_refnum(self) -> str:
        """The number this server gives the line if RetailOps added it."""
        return f"{OWN}{self.item_id}" if self.item_id else ""


def read_lines(order: Mapping[str, Any]) -> tuple[Line, ...]:
    """The entries of `order_items`; a line that was removed has no units, and an entry of zeros is no line."""
    lines = map(_line, map(mapping, entries(order.get("order_items"))))
    return tuple(line for line in lines if line.quantity or line.item_id or line.refnum or line.sku)


def _line(item: Mapping[str, Any]) -> Line:
    is_removed = text(item.get("removed")).casefold() in _REMOVED
    stated = None if optional_amount(item.get("quantity")) is None else max(whole(item.get("quantity")), 0)
    return Line(
        number(item.get("order_item_id")),
        opaque(item.get("channel_item_refnum")),
        opaque(item.get("sku")),
        0 if is_removed else stated,
        optional_amount(item.get("unit_price")),
    )


@dataclass(frozen=True)
class Stated:
    """What the entries of an update mean: changes by line, and for each entry the lines it stands for."""

    changes: list[LineChange]
    meant: list[tuple[Line, list[str]]]
    events: list[Event]


def stated(order: KnownOrder, named: Sequence[Line], currency: str) -> Stated:
    """Lines named by number are changed one by one; those named by SKU alone state its units over all other lines.

    An entry for which the order has no line left is a line that RetailOps adds.  `currency` is the order's, for prices.
    """
    changes: dict[str, LineChange] = {}
    meant: list[tuple[Line, list[str]]] = []
    events: list[Event] = []
    by_sku: dict[str, list[Line]] = {}
    for entry in named:
        if entry.item_id and entry.number is None:
            where = about("orderitem_refnum", entry.refnum) or about("sku_number", entry.sku)
            message = "order_item_id has more than 64 bits, so RetailOps could not read an answer about the line"
            events.append(Event("warning", "LINE_NOT_ANSWERED", message, where))
        line = entry.named_in(order.lines)
        if line is None:
            by_sku.setdefault(entry.sku, []).append(entry)
        elif line.refnum in changes:
            message = "the line is named more than once; the first counts"
            events.append(Event("warning", "DUPLICATE_LINE", message, about("orderitem_refnum", line.refnum)))
        else:
            meant.append((entry, [line.refnum]))
            events += _price_kept([entry], [line], currency)
            units = line.quantity if entry.quantity is None else entry.quantity
            changes[line.refnum] = LineChange(line.refnum, line.sku, units, entry.unit_price)
    for sku, group in by_sku.items():
        lines = [line for line in named_lines(order.lines, "", sku) if line.refnum not in changes]
        if lines:
            events += _price_kept(group, lines, currency)
            quantities = [entry.quantity for entry in group if entry.quantity is not None]
            if len(quantities) == len(group):
                # From the units as bought, so that units taken off and restored stand where they stood.
                bought = [msgspec.structs.replace(line, quantity=line.ordered) for line in lines]
                together = restated(bought, sum(quantities), order.shipped)
                changes.update(
                    (line.refnum, LineChange(line.refnum, line.sku, together[line.refnum], group[0].unit_price))
                    for line in lines
                )
            elif quantities:
                message = "an entry of this SKU alone states no quantity; its lines keep theirs"
                events.append(Event("warning", "LINE_NOT_CHANGED", message, about("sku_number", sku)))
            meant += _paired(group, [line.refnum for line in lines])
            continue
        for entry in group:
            if not (entry.sku and entry.own_refnum and entry.quantity is not None):
                where = about("orderitem_refnum", entry.refnum) or about("sku_number", entry.sku)
                message = "no such line on the order; it was left out"
                events.append(Event("warning", "LINE_UNKNOWN", message, where))
            elif entry.own_refnum not in changes:
                meant.append((entry, [entry.own_refnum]))
                changes[entry.own_refnum] = LineChange(entry.own_refnum, entry.sku, entry.quantity, entry.unit_price)
    in_order = sorted(meant, key=lambda pair: next(at for at, entry in enumerate(named) if entry is pair[0]))
    return Stated(list(changes.values()), in_order, events)


def _price_kept(group: Sequence[Line], lines: Sequence[SketchLine], currency: str) -> Iterator[Event]:
    """A warning for a price that is neither what RetailOps was sent nor what a unit cost after discounts."""
    for entry in group:
        stated = entry.unit_price
        lines = [line for line in lines if line.quantity or not line.is_added]  # added anew, at this price
        if stated is None or not lines:
            continue
        if any(line.unit_price is None or _is_price_of(line, stated, currency) for line in lines):
            continue
        message = (
            "the line keeps the price the shopper agreed to; what is to go back for it is paid by a return or a credit"
        )
        named = about("orderitem_refnum", lines[0].refnum if len(lines) == 1 else "") or about("sku_number", entry.sku)
        yield Event("warning", "PRICE_NOT_CHANGED", message, named)


def _is_price_of(line: SketchLine, stated: Decimal, currency: str) -> bool:
    """RetailOps rounds a unit's price, and has passed amounts through 32-bit floats (R7)."""
    effective = line.charged / line.ordered if line.ordered else line.charged
    is_sent = line.unit_price is not None and abs(stated - line.unit_price) <= line.unit_price * NEARLY
    return is_sent or abs(stated - effective) < minor_unit(currency)


def _paired(group: Sequence[Line], refnums: Sequence[str]) -> list[tuple[Line, list[str]]]:
    """Each entry with one line of its SKU, in order; the last one with all that remain."""
    last = len(group) - 1
    return [(entry, list(refnums[at:] if at == last else refnums[at : at + 1])) for at, entry in enumerate(group)]
