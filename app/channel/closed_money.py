"""What was paid for the units a completion closes, worked out from the lines as bought and the units stated (R22)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import msgspec

from app.channel import refunds
from app.channel.already_paid import taken_off_before, units_of, units_settled
from app.channel.bought import cut, is_known, line_of
from app.channel.money import minor_unit, rounded
from app.channel.unshipped import Closing
from app.domain.commands import PackageLine, RefundLine
from app.domain.events import Event, about
from app.domain.line_matching import standing
from app.domain.order_arithmetic import ZERO, Row, fitted
from app.records.handed_out import KnownOrder
from app.records.refunds import Entry


@dataclass(frozen=True)
class Piece:
    """One of the sums: what it is for, and the units it pays."""

    rows: tuple[RefundLine, ...] = ()
    units: tuple[PackageLine, ...] = ()

    @property
    def amount(self) -> Decimal:
        """All rows."""
        return sum((row.amount for row in self.rows), ZERO)

    @property
    def goods(self) -> Decimal:
        """Without tax."""
        return sum((row.amount for row in self.rows if row.kind == "line_item"), ZERO)

    def less(self, amount: Decimal, currency: str) -> Piece:
        """What remains of it once so much is paid already; that counts as goods first."""
        rest = self.amount - amount
        if rest <= 0 or refunds.is_same_amount(self.amount, amount):
            return replace(self, rows=())
        goods = [row for row in self.rows if row.kind == "line_item"]
        taxes = [row for row in self.rows if row.kind == "tax"]
        tax = sum((row.amount for row in taxes), ZERO)
        amounts = fitted([Row(row.amount) for row in goods], Row(tax), Row(ZERO), rest, currency)
        return replace(self, rows=cut([*goods, RefundLine("tax", tax)], amounts[:-1]))

    def beyond(self, earlier: Sequence[Entry], currency: str) -> Piece:
        """What it comes to beyond these entries: refunds, whatever came of them, and credits matched with it."""
        credited = sum((entry.amount for entry in earlier if entry.state == "matched"), ZERO)
        held: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for row in (row for entry in earlier for row in entry.rows):
            held[row.kind, row.line_refnum] += row.amount
        rest = self.amount - sum((entry.amount for entry in earlier), ZERO)
        rows = [
            msgspec.structs.replace(row, amount=max(row.amount - held[row.kind, row.line_refnum], ZERO))
            for row in self.less(credited, currency).rows
        ]
        more = replace(self, rows=tuple(rows))
        return more.less(more.amount - rest, currency)


@dataclass(frozen=True)
class Completed:
    """How the order stands with the completion that is being carried out."""

    order: KnownOrder
    closing: Sequence[Closing]
    is_all_closed: bool
    """True where no unit is open any more."""

    @property
    def has_shipped(self) -> bool:
        """True when any unit has left."""
        return bool(self.order.parcels)

    def shipped(self, returned: Counter[str]) -> Counter[str]:
        """Units by line that have shipped, those that give way to closed and returned ones on their new line."""
        order, closed = self.order, self.order.closed_as_named
        units, by_sku = order.shipped_as_named, order.shipped_by_sku
        for item in self.closing:
            closed[item.line.refnum] += item.units
            for moving in (units, by_sku):
                moving[item.line.refnum] -= item.units
                moving[item.package_line.line_refnum] += item.units
        return standing(order.lines, units, by_sku, returned, closed)


@dataclass
class Sums:
    """What was paid for units taken off, and what goes back for units that will not ship."""

    off: Piece
    unshipped: Piece
    events: list[Event] = field(default_factory=list)


def worked_out(completed: Completed, entries: Sequence[Entry], currency: str) -> Sums:
    """What was paid for units taken off, and the lesser of stated and paid for units that will not ship.

    What units that RetailOps added cost is set off against units taken off for as long as they are open or shipped: a
    later completion that closes them gives back what an earlier one set off.
    """
    order = completed.order
    settled = units_settled(order, entries)
    named: Counter[str] = Counter()
    closed = order.closed_as_named
    removed = Counter(order.rejected.removed)
    for item in completed.closing:
        closed[item.line.refnum] += item.units
        (removed if item.is_removed else named)[item.line.refnum] += item.units
    earlier = taken_off_before(order, entries)
    before = units_of(earlier)
    off: Counter[str] = Counter()
    positions: dict[str, int] = {}
    payable: dict[str, int] = {}
    for line in order.lines:
        position = line.paid_units - settled[line.refnum]
        new = max(position - line.quantity + closed[line.refnum], 0)
        payable[line.refnum] = min(named[line.refnum], new)
        positions[line.refnum] = position - new + payable[line.refnum]
        off[line.refnum] = max(line.paid_units - line.quantity + removed[line.refnum], before[line.refnum])
    piece = _taken_off(order, off, closed, currency).beyond(earlier, currency)
    units = (PackageLine(line.refnum, line.sku, off[line.refnum] - before[line.refnum]) for line in order.lines)
    sums = Sums(replace(piece, units=tuple(line for line in units if line.quantity)), Piece())
    _price(sums, completed, positions, payable, currency)
    return sums


def _taken_off(order: KnownOrder, units: Mapping[str, int], closed: Mapping[str, int], currency: str) -> Piece:
    """What these units by line, taken off from the last one on, come to, less what units added and not closed cost."""
    rows: list[RefundLine] = []
    tax = extra = ZERO
    for line in order.lines:
        bought, kept = line_of(line, currency), line.quantity - closed.get(line.refnum, 0)
        if count := units.get(line.refnum, 0):
            goods, taxed = bought.of_units(line.paid_units, count)
            rows.append(RefundLine("line_item", goods, line.refnum, line.sku, count))
            tax += taxed
        if kept > line.paid_units:
            goods, taxed = bought.of_units(kept, kept - line.paid_units)
            extra += goods + taxed
    return Piece((*rows, RefundLine("tax", tax))).less(extra, currency)


def _price(sums: Sums, completed: Completed, positions: dict[str, int], payable: dict[str, int], currency: str) -> None:
    """The units that will not ship: the lesser of what RetailOps states and what was paid, goods and then tax."""
    known = is_known(completed.order)
    goods: list[RefundLine] = []
    taxes: list[RefundLine] = []
    units: Counter[str] = Counter()
    for item in completed.closing:
        if item.is_removed:
            continue
        line, named = item.line, about("orderitem_refnum", item.line.refnum)
        count = min(item.units, payable[line.refnum])
        # Not those an earlier completion was about, but those RetailOps added, which were not paid for.
        meant = min(item.units, count + max(line.quantity - line.paid_units, 0))
        price_stated = item.stated(currency)
        stated, due = (rounded(price_stated * part / item.units, currency) for part in (meant, count))
        paid, tax = line_of(line, currency).of_units(positions[line.refnum], count)
        positions[line.refnum] -= count
        payable[line.refnum] -= count
        units[line.refnum] += count
        price = min(stated or paid, paid + tax)
        if not known:
            price, paid, tax = due, stated, ZERO
        if not known and not price_stated:
            message = "no price is stated for units that will not ship, and what was paid for them is unknown"
            sums.events.append(Event("warning", "UNSHIPPED_UNPRICED", f"{message}; nothing is given back", named))
        elif stated > paid + tax + minor_unit(currency) * meant:
            message = f"{stated} is stated for units that will not ship and {paid + tax} was paid; what was paid counts"
            sums.events.append(Event("warning", "ABOVE_WHAT_WAS_PAID", message, named))
        goods.append(RefundLine("line_item", price, line.refnum, line.sku, count))
        # RetailOps' price may include the tax: together they are no more than was paid.
        if price and (rest := min(tax, paid + tax - price)) > 0:
            taxes.append(RefundLine("tax", rest))
    skus = {line.refnum: line.sku for line in completed.order.lines}
    closed = tuple(PackageLine(refnum, skus[refnum], count) for refnum, count in units.items() if count)
    sums.unshipped = Piece(tuple(row for row in (*goods, *taxes) if row.amount > 0), closed)
