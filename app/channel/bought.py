"""What was paid for the lines of an order, its tax and its shipping, and how much of each has gone back.

Everything is computed from the lines as bought and the refunds in the ledger.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from app.channel.orders import KnownOrder
from app.domain.order_arithmetic import BoughtLine
from app.gateways.words import RefundLine, SketchLine
from app.records.refunds import Entry

ZERO = Decimal(0)


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

    def rows(self, order: KnownOrder, money: Decimal) -> tuple[RefundLine, ...]:
        """So much of it: goods, those with units that were taken off first, then tax, then shipping.

        Comes to less where it is not known what the rest is for.
        """
        off = order.dropped.keys() | order.removed.keys()
        lines = sorted(order.lines, key=lambda line: line.refnum not in off)
        found = [RefundLine("line_item", self.goods[line.refnum], line.refnum, line.sku, line.ordered)
                 for line in lines]  # fmt: skip
        found += [RefundLine("tax", self.tax), RefundLine("shipping", self.shipping)]
        taken = []
        for row in found:
            part = min(row.amount, money)
            if part > 0:
                units = row.quantity if part == row.amount else 1
                taken.append(msgspec.structs.replace(row, amount=part, quantity=units))
                money -= part
        return tuple(taken)


def left_of(order: KnownOrder, entries: Iterable[Entry]) -> Left:
    """What is left once every refund in effect is paid."""
    given: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for entry in entries:
        for row in entry.rows if entry.is_in_effect else ():
            given[row.kind, row.line_refnum if row.kind == "line_item" else ""] += row.amount
    paid = [line for line in order.lines if not line.is_added]
    goods = {line.refnum: line.charged - given["line_item", line.refnum] for line in paid}
    return Left(
        defaultdict(Decimal, {refnum: max(amount, ZERO) for refnum, amount in goods.items()}),
        max(sum((line.tax for line in paid), order.shipping_tax) - given["tax", ""], ZERO),
        max((order.shipping or ZERO) - given["shipping", ""], ZERO),
    )


def cut(rows: Sequence[RefundLine], amounts: Sequence[Decimal]) -> tuple[RefundLine, ...]:
    """The rows with these amounts; a row without money is left out."""
    changed = (msgspec.structs.replace(row, amount=amount) for row, amount in zip(rows, amounts, strict=True))
    return tuple(row for row in changed if row.amount > 0)
