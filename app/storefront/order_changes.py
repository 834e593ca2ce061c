"""Recomputes an order after RetailOps changed its lines: rows, discounts and taxes.

Everything is computed from the order as it was bought (`OrderDocument.bought`) and the units stated last, so that
units taken off and restored give the same amounts again.  A row keeps the price the shopper agreed to; its discount
and the tax of each authority follow its units.  A line RetailOps adds costs what RetailOps says and bears no tax, as
post-purchase additions do (Rally contract 3.5).  Shipping stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from app.domain.catalogue import Item, Product
from app.domain.commands import LineChange
from app.domain.order_arithmetic import BoughtLine, spread
from app.storefront.cart_check import has_stated_sum
from app.storefront.goods import new_line
from app.storefront.order_document import Bought, DiscountRow, Line, OrderDocument, TaxRow
from app.storefront.pricing import ZERO, rounded


@dataclass(frozen=True)
class Changed:
    """The order with the lines stated, and the lines that were left out."""

    document: OrderDocument
    unknown: tuple[LineChange, ...] = ()
    """Their SKU is not in the catalogue."""
    below_zero: tuple[LineChange, ...] = ()
    """Their price is below 0, which no checkout takes."""


def changed(order: OrderDocument, changes: Sequence[LineChange], found: Mapping[str, tuple[Product, Item]]) -> Changed:
    """`found` is the catalogue's word on the SKUs of new lines.

    An order that was held back in doubt, or that comes to what the shopper paid only with these lines, is mended: they
    are what was bought.
    """
    base = order.as_bought
    stated = {change.refnum: change for change in changes}
    units = {line.external_id: line.quantity for line in order.lines}
    known = {line.external_id for line in (*base.lines, *base.added)}
    added, unknown, below_zero = list(base.added), [], []
    for change in stated.values():
        is_back = change.unit_price is not None and not units.get(change.refnum) and change.quantity
        if is_back and change.sku in found and change.unit_price >= 0:  # type: ignore[operator]
            # A line RetailOps added and took off is added anew, at the price stated now.
            added = [line for line in added if line.external_id != change.refnum]
            known -= {line.external_id for line in base.added} & {change.refnum}
        if change.refnum in known:
            units[change.refnum] = change.quantity
        elif change.quantity and change.sku not in found:
            unknown.append(change)
        elif change.quantity and change.unit_price is not None and change.unit_price < 0:
            below_zero.append(change)
        elif change.quantity:
            added.append(_new_line(change, *found[change.sku], order.currency))
            units[change.refnum] = change.quantity
    base = msgspec.structs.replace(base, added=tuple(added))
    document = with_units(order, base, units)
    is_paid, was_paid = (has_stated_sum(one, order.transactions) for one in (document, order))
    if order.bought is None and (order.doubt or (is_paid and not was_paid)):
        document = msgspec.structs.replace(document, bought=None)
    return Changed(document, tuple(unknown), tuple(below_zero))


def with_units(order: OrderDocument, base: Bought, units: Mapping[str, int]) -> OrderDocument:
    """The order with so many units of each line as bought or added; `bought` is None where nothing is changed."""
    currency = order.currency
    lines = tuple(
        row_of(line, base, units[line.external_id], currency)
        for line in (*base.lines, *base.added)
        if units.get(line.external_id)
    )
    return msgspec.structs.replace(
        order,
        lines=lines,
        discounts=_discounts(base, lines, currency),
        taxes=_taxes(base, units, currency),
        bought=None if lines == base.lines and not base.added else base,
    )


def bought_line(line: Line, base: Bought, currency: str) -> BoughtLine:
    """The line as it was bought, for what its units come to."""
    rates = goods_rates(base) if line.tax_rate else ()
    return BoughtLine(line.quantity, line.subtotal - line.discount_amount, line.tax_amount, rates, currency)


def goods_rates(base: Bought) -> tuple[Decimal, ...]:
    """The rates of the authorities that tax goods: the first tax rows, which come to the rate of a taxed line.

    A row behind them is the tax of shipping that was added after the purchase.
    """
    rate = next((line.tax_rate for line in base.lines if line.tax_rate), ZERO)
    reached = ZERO
    for at, row in enumerate(base.taxes, 1):
        reached += row.tax_rate
        if reached == rate:
            return tuple(tax.tax_rate for tax in base.taxes[:at])
    return ()


def row_of(line: Line, base: Bought, units: int, currency: str) -> Line:
    """The row of a line as bought, with so many units."""
    if units == line.quantity:
        return line
    bought = bought_line(line, base, currency)
    subtotal = rounded(line.discounted_price * units, currency)
    return msgspec.structs.replace(
        line,
        quantity=units,
        subtotal=subtotal,
        discount_amount=subtotal - bought.goods_of(units),
        tax_amount=bought.tax_of(units),
    )


def _new_line(change: LineChange, product: Product, item: Item, currency: str) -> Line:
    price = rounded(change.unit_price if change.unit_price is not None else item.price or ZERO, currency)
    return new_line(
        product.item.key,
        item,
        sku=change.sku,
        external_id=change.refnum,
        quantity=change.quantity,
        price=price,
        discounted_price=price,
        subtotal=price * change.quantity,
        is_price_given=True,
    )


def _discounts(base: Bought, lines: Sequence[Line], currency: str) -> tuple[DiscountRow, ...]:
    """Discounts on goods come to those of the rows, each coupon in proportion; what is off shipping stays."""
    of_goods = [row.amount if row.subtype == "total_price" else ZERO for row in base.discounts]
    now = sum((line.discount_amount for line in lines), ZERO)
    if now == sum(of_goods, ZERO):
        return base.discounts
    parts = spread(now, of_goods, currency)
    return tuple(
        msgspec.structs.replace(row, amount=part) if row.subtype == "total_price" else row
        for row, part in zip(base.discounts, parts, strict=True)
    )


def _taxes(base: Bought, units: Mapping[str, int], currency: str) -> tuple[TaxRow, ...]:
    """The tax of each authority; one whose share of a line is not known bears it by its rate."""
    amounts = [row.tax_amount for row in base.taxes]
    if not amounts:
        return base.taxes
    rates = [row.tax_rate for row in base.taxes]
    for line in base.lines:
        bought, kept = bought_line(line, base, currency), units.get(line.external_id, 0)
        if kept == line.quantity or not line.tax_rate:
            continue
        before, now = bought.taxes_of(line.quantity), bought.taxes_of(kept)
        less = [one - other for one, other in zip(before, now, strict=True)]
        if not bought.is_by_rate:
            less = spread(sum(less, ZERO), rates, currency)
        for at, part in enumerate(less):
            amounts[at] = max(amounts[at] - part, ZERO)
    return tuple(
        msgspec.structs.replace(row, tax_amount=amount) for row, amount in zip(base.taxes, amounts, strict=True)
    )
