"""What was paid for the lines of an order, its tax and its shipping, and how much of each has gone back.

Everything is computed from the lines as bought and the refunds in the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from app.domain.commands import RefundLine
from app.domain.order_arithmetic import ZERO, BoughtLine
from app.domain.orders import SketchLine
from app.records.handed_out import KnownOrder
from app.records.refunds import Entry


def line_of(line: SketchLine, currency: str) -> BoughtLine:
    """The line as it was bought, for what its units come to."""
    return BoughtLine(line.ordered, line.charged, line.tax, line.tax_rates, currency)


def is_known(order: KnownOrder) -> bool:
    """True where it is known what the lines cost."""
    return any(line.charged for line in order.lines)


def cost_of(line: SketchLine, units: int, currency: str) -> tuple[Decimal, Decimal]:
    """What the shopper paid for so many units of a line: goods, tax."""
    counted, bought = min(units, line.paid_units), line_of(line, currency)
    return bought.goods_of(counted), bought.tax_of(counted)


@dataclass(frozen=True)
class Left:
    """What of an order has not gone back yet, nor is on its way."""

    goods: Mapping[str, Decimal]
    """By order line, without tax."""
    tax: Decimal
    shipping: Decimal
    units: Mapping[str, int]
    """By order line, those no row of a refund names."""

    def rows(self, order: KnownOrder, money: Decimal) -> tuple[RefundLine, ...]:
        """So much of it: goods, those with units that were taken off first, then tax, then shipping.

        Comes to less where it is not known what the rest is for.
        """
        off = order.dropped.keys() | order.removed.keys()
        lines = sorted(order.lines, key=lambda line: line.refnum not in off)
        found = [
            RefundLine("line_item", self.goods.get(name, ZERO), name, line.sku, self.units.get(name, 0))
            for line in lines
            for name in [line.refnum]
        ]
        found += [RefundLine("tax", self.tax), RefundLine("shipping", self.shipping)]
        taken = []
        for row in found:
            part = min(row.amount, money)
            if part > 0:
                units = max(row.quantity, 1) if part == row.amount else 1
                taken.append(msgspec.structs.replace(row, amount=part, quantity=units))
                money -= part
        return tuple(taken)

    def fit(self, order: KnownOrder, rows: Sequence[RefundLine], money: Decimal) -> tuple[RefundLine, ...]:
        """These rows as far as there is anything left of each, and for the rest of the money other rows."""
        fitting, left = [], self
        for row in rows:
            part = min(row.amount, left.of(row))
            fitting.append(msgspec.structs.replace(row, amount=part))
            left = left.less([fitting[-1]])
        over = sum((row.amount for row in fitting), ZERO) - money
        for at in reversed(range(len(fitting))) if over > 0 else ():
            if fitting[at].kind == "line_item" and (part := min(over, fitting[at].amount)) > 0:
                fitting[at] = msgspec.structs.replace(fitting[at], amount=fitting[at].amount - part)
                over -= part
        for more in left.rows(order, -over) if over < 0 else ():
            same = next((index for index, row in enumerate(fitting) if _key(row) == _key(more)), None)
            if same is None:
                fitting.append(more)
            else:
                fitting[same] = msgspec.structs.replace(fitting[same], amount=fitting[same].amount + more.amount)
        return tuple(row for row in fitting if row.amount > 0)

    def of(self, row: RefundLine) -> Decimal:
        """What is left of the line, of tax or of shipping, whichever the row is for."""
        if row.kind == "line_item":
            return self.goods.get(row.line_refnum, ZERO)
        return self.tax if row.kind == "tax" else self.shipping

    def less(self, rows: Iterable[RefundLine]) -> Left:
        """What is left once these are paid, too."""
        goods, others = dict(self.goods), {"tax": self.tax, "shipping": self.shipping}
        units = Counter(self.units)
        for row in rows:
            if row.kind == "line_item":
                units[row.line_refnum] = max(units[row.line_refnum] - row.quantity, 0)
            of, name = (goods, row.line_refnum) if row.kind == "line_item" else (others, row.kind)
            of[name] = max(of.get(name, ZERO) - row.amount, ZERO)
        return Left(goods, others["tax"], others["shipping"], units)


def _key(row: RefundLine) -> tuple[str, str]:
    return row.kind, row.line_refnum if row.kind == "line_item" else ""


def left_of(order: KnownOrder, entries: Iterable[Entry]) -> Left:
    """What is left once every refund in effect is paid."""
    paid = [line for line in order.lines if not line.is_added]
    all_of_it = Left(
        {line.refnum: line.charged for line in paid},
        sum((line.tax for line in paid), order.shipping_tax),
        order.shipping or ZERO,
        {line.refnum: line.paid_units for line in paid},
    )
    return all_of_it.less(row for entry in entries if entry.is_in_effect for row in entry.rows)


def cut(rows: Sequence[RefundLine], amounts: Sequence[Decimal]) -> tuple[RefundLine, ...]:
    """The rows with these amounts; a row without money is left out."""
    changed = (msgspec.structs.replace(row, amount=amount) for row, amount in zip(rows, amounts, strict=True))
    return tuple(row for row in changed if row.amount > 0)
