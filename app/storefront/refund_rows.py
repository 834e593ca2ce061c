"""Puts a refund to rows of its order: goods of a line, tax, shipping."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from app.domain.commands import Refund
from app.storefront.order_document import OrderDocument, Refunded, RefundRow
from app.storefront.pricing import ZERO
from app.storefront.retailops_order import as_ordered


def refunded_of(order: OrderDocument | None, refund: Refund) -> Refunded:
    """The refund with rows that come to its very amount.

    Its lines are those of the order as it was bought, and those RetailOps added.  What it does not say what it is for
    is taken from what is left of the goods, then of tax, then of shipping; the rest of one that does say it from what
    is left of its own rows, then of tax, then of shipping.  Of an order that is not kept any more it is put to its
    first row.  A rest adds no unit to a row, and every row names one at least.
    """
    if order:
        lines = {line.external_id for line in (*order.as_bought.lines, *order.as_bought.added)}
    else:
        lines = {line.line_refnum for line in refund.lines} - {""}
    rows: list[RefundRow] = []
    for line in refund.lines:
        if line.kind == "line_item" and line.line_refnum in lines:
            _add(rows, RefundRow(kind="line_item", amount=line.amount, line=line.line_refnum,
                                 quantity=line.quantity, reason=line.reason))  # fmt: skip
        elif line.kind != "line_item":
            kind = "tax" if line.kind == "tax" else "shipping_rate"
            _add(rows, RefundRow(kind=kind, amount=line.amount, reason=line.reason))  # type: ignore[arg-type]
    rest = refund.amount - _total(rows)
    own = {(row.kind, row.line) for row in rows}
    left = _left_of(order, rows) if order else []
    if own:
        left.sort(key=lambda row: 0 if (row.kind, row.line) in own else 1 if row.kind != "line_item" else 2)
    for row in left:
        if rest <= ZERO:
            break
        part = min(row.amount, rest)
        quantity = row.quantity if part == row.amount and not own else 1
        if (row.kind, row.line) in own:
            quantity = 0
        _add(rows, RefundRow(kind=row.kind, amount=part, line=row.line, quantity=quantity))
        rest -= part
    if rest != ZERO:
        # More than the order comes to now (it was changed, or a fee was left out): the first row bears it.
        first = rows.pop(0) if rows else RefundRow(kind="shipping_rate", amount=ZERO)
        rows.insert(0, RefundRow(kind=first.kind, amount=first.amount + rest, line=first.line,
                                 quantity=first.quantity, reason=first.reason))  # fmt: skip
    counted = (msgspec.structs.replace(row, quantity=max(row.quantity, 1)) for row in rows)
    return Refunded(key=refund.key, amount=refund.amount, rows=tuple(counted))


def _add(rows: list[RefundRow], row: RefundRow) -> None:
    """One row for each line, and one for tax and for shipping."""
    for at, known in enumerate(rows):
        if (known.kind, known.line) == (row.kind, row.line):
            quantity = known.quantity + row.quantity if row.kind == "line_item" else 1
            rows[at] = RefundRow(kind=row.kind, amount=known.amount + row.amount, line=row.line,
                                 quantity=quantity, reason=known.reason or row.reason)  # fmt: skip
            return
    rows.append(row)


def _left_of(order: OrderDocument, planned: Iterable[RefundRow]) -> list[RefundRow]:
    """What of the order as bought no refund has touched yet, nor these rows."""
    order = as_ordered(order)
    touched = [*(row for refund in order.refunds for row in refund.rows), *planned]
    money = {(row.kind, row.line): ZERO for row in touched}
    units = {row.line: 0 for row in touched}
    for row in touched:
        money[(row.kind, row.line)] += row.amount
        units[row.line] += row.quantity
    left = [
        RefundRow(
            kind="line_item",
            line=line.external_id,
            amount=line.subtotal - line.discount_amount - money.get(("line_item", line.external_id), ZERO),
            quantity=max(line.quantity - units.get(line.external_id, 0), 1),
        )
        for line in order.lines
    ]
    shipping = order.shipping_paid
    left.append(RefundRow(kind="tax", amount=order.tax_amount - money.get(("tax", ""), ZERO)))
    left.append(RefundRow(kind="shipping_rate", amount=shipping - money.get(("shipping_rate", ""), ZERO)))
    return [row for row in left if row.amount > ZERO]


def _total(rows: Iterable[RefundRow]) -> Decimal:
    return sum((row.amount for row in rows), ZERO)
