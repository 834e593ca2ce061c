"""What the money of a return is for: goods by line, tax, shipping, as RetailOps states it (R22).

Tax and shipping stand as stated, and so does what is stated for a line.  A sum that is smaller than its parts is taken
off the goods; one that is larger goes to goods up to what their units cost, then to their tax and to shipping where
nothing is stated of them, and then stays on the line that is named.  Where no line of the order is named, the money is
for goods of whatever line, then for tax and shipping.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from app.channel.already_paid import units_paid
from app.channel.bought import cost_of, cut, is_known, left_of
from app.channel.money import minor_unit, rounded, share
from app.channel.refunds import returned_units
from app.channel.return_requests import ReturnRequest
from app.channel.returned_goods import CameBack
from app.domain.commands import PackageLine, RefundLine
from app.domain.events import Event, about
from app.domain.line_matching import named_lines
from app.domain.order_arithmetic import ZERO, Row, fitted
from app.domain.orders import SketchLine
from app.records.handed_out import KnownOrder
from app.records.refunds import Entry


class ReturnedMoney:
    """One return's goods and money; `entries` are the order's other refunds."""

    def __init__(
        self, order: KnownOrder, entries: Sequence[Entry], stated: ReturnRequest, found: CameBack, currency: str
    ) -> None:
        self._order = order
        self._entries = entries
        self._stated = stated
        self._found = found
        self._currency = currency
        self._left = left_of(order, entries)
        self.events = list(found.events)
        self._goods: list[RefundLine] = []
        self._has_unknown_line = False
        for item, units in zip(stated.lines, found.units, strict=True):
            known = units or [(line, 0) for line in named_lines(order.lines, item.line_refnum, item.sku)[:1]]
            if known:
                self._goods += _parts(item, known, currency)
            elif item.quantity or item.amount:
                self._has_unknown_line = True
                named = about("orderitem_refnum", item.line_refnum) or about("sku_number", item.sku)
                message = "no such line on the order; its money counts"
                self.events.append(Event("warning", "LINE_UNKNOWN", message, named))

    @property
    def units(self) -> tuple[PackageLine, ...]:
        """The units that came back, by order line."""
        counted = self._found.by_line
        kept = (line for line in self._order.lines if counted[line.refnum])
        return tuple(PackageLine(line.refnum, line.sku, counted[line.refnum]) for line in kept)

    @property
    def paid_by_completion(self) -> Decimal:
        """What a completion has paid for these very units; 0 unless all of them are units that never shipped."""
        units = self._found.by_line
        before = Counter(returned_units(self._entries))
        # What came back beyond what shipped has used up units that were paid for, too.
        settled = units_paid(self._order, self._entries)
        shipped = self._found.shipped
        free = settled - (before - shipped)
        if not units or self._found.beyond != units or units - free:
            return ZERO
        return self._cost(units)

    def above(self, money: Decimal) -> Event | None:
        """The warning for a sum above what was paid for what it is for; it is paid all the same."""
        units = self._found.by_line
        if not units or not is_known(self._order) or self._has_unknown_line:
            return None
        paid, shipping = self._cost(units), self._stated.shipping
        if shipping != 0:
            of_order = self._left.shipping if self._order.shipping is not None else shipping or ZERO
            paid += (of_order if shipping is None else min(shipping, of_order)) + self._order.shipping_tax
        if money <= paid + minor_unit(self._currency) * sum(units.values()):
            return None
        message = f"{money} is stated for this return and {paid} was paid for what it names; the stated sum counts"
        return Event("warning", "ABOVE_WHAT_WAS_PAID", message, about("order_refnum", self._order.refnum))

    def rows(self, money: Decimal) -> tuple[RefundLine, ...]:
        """What the money is for."""
        stated, left, currency = self._stated, self._left, self._currency
        reason = next((row.reason for row in stated.lines if row.reason), "")
        others = [
            (RefundLine("tax", ZERO, reason=reason), stated.tax, self._tax if self._goods else left.tax),
            (RefundLine("shipping", ZERO, reason=reason), stated.shipping, left.shipping),
        ]
        tax, shipping = (Row(rounded(amount or ZERO, currency), ZERO if amount is not None else most)
                         for _, amount, most in others)  # fmt: skip
        named = self._goods or self._of_any_line(money - tax.stated - shipping.stated, reason)
        goods = [Row(row.amount, self._most(row)) for row in named]
        amounts = fitted(goods, tax, shipping, money, currency)
        rest = money - sum(amounts, ZERO)
        if rest > 0 and goods and is_known(self._order):
            amounts[0] += rest
        return cut([*named, *(row for row, _, _ in others)], amounts)

    def _of_any_line(self, money: Decimal, reason: str) -> list[RefundLine]:
        rows = self._left.rows(self._order, money)
        return [msgspec.structs.replace(row, reason=reason) for row in rows if row.kind == "line_item"]

    @property
    def _tax(self) -> Decimal:
        """The tax of the units that came back, as far as it has not gone back."""
        units = self._found.by_line
        taxes = (cost_of(line, units[line.refnum], self._currency)[1] for line in self._order.lines)
        return min(sum(taxes, ZERO), self._left.tax)

    def _most(self, row: RefundLine) -> Decimal:
        """What the row's units cost, as far as it has not gone back; of all units where it names none."""
        if not row.quantity:
            return self._left.of(row)
        line = next(line for line in self._order.lines if line.refnum == row.line_refnum)
        cost, _ = cost_of(line, row.quantity, self._currency)
        return min(cost, self._left.of(row))

    def _cost(self, units: Counter[str]) -> Decimal:
        lines = (line for line in self._order.lines if units[line.refnum])
        return sum((sum(cost_of(line, units[line.refnum], self._currency), ZERO) for line in lines), ZERO)


def _parts(item: RefundLine, units: Sequence[tuple[SketchLine, int]], currency: str) -> Iterator[RefundLine]:
    """The money of an entry by order line, in the proportion of its units; a row names no more units than its line."""
    money, done, total = rounded(item.amount, currency), 0, sum(count for _, count in units)
    for line, count in units:
        part = share(money, total, done, count, currency) if total else money
        done += count
        most = max(line.quantity, line.ordered)
        yield msgspec.structs.replace(
            item, amount=part, line_refnum=line.refnum, sku=line.sku, quantity=min(count, most)
        )
