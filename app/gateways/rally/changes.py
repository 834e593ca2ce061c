"""An order's lines changed in RetailOps: what each row, the discounts and the taxes come to then.

A row keeps the price the shopper agreed to; its discount and its tax change with its units.  A line RetailOps
adds costs what RetailOps says and bears no tax, as post-purchase additions do (contract 3.5).  Shipping stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from app.gateways.rally.order_document import DiscountRow, Line, OrderDocument, TaxRow
from app.gateways.rally.pricing import ZERO, rounded
from app.gateways.words import Item, LineChange, Product


def changed(
    order: OrderDocument, changes: Sequence[LineChange], found: Mapping[str, tuple[Product, Item]]
) -> tuple[OrderDocument, list[LineChange]]:
    """The order with these lines, and the lines that could not be added, for their SKU is unknown.

    `found` is the catalogue's word on the SKUs of new lines.
    """
    wanted = {change.refnum: change for change in changes}
    lines: list[Line] = []
    for line in order.lines:
        change = wanted.pop(line.external_id, None)
        row = line if change is None else _with_units(line, change.quantity, order.currency)
        if row.quantity:
            lines.append(row)
    unknown = []
    for change in wanted.values():
        if change.quantity and change.sku not in found:
            unknown.append(change)
        elif change.quantity:
            lines.append(_new_line(change, *found[change.sku], order.currency))
    taken_off = _sum(order.lines, "discount_amount") - _sum(lines, "discount_amount")
    untaxed = _sum(order.lines, "tax_amount") - _sum(lines, "tax_amount")
    return (
        msgspec.structs.replace(
            order,
            lines=tuple(lines),
            discounts=_less_discount(order.discounts, taken_off),
            taxes=_less_tax(order.taxes, untaxed, order.currency),
        ),
        unknown,
    )


def _with_units(line: Line, quantity: int, currency: str) -> Line:
    if quantity == line.quantity:
        return line
    share = Decimal(quantity) / line.quantity
    return msgspec.structs.replace(
        line,
        quantity=quantity,
        subtotal=rounded(line.discounted_price * quantity, currency),
        discount_amount=rounded(line.discount_amount * share, currency),
        tax_amount=rounded(line.tax_amount * share, currency),
    )


def _new_line(change: LineChange, product: Product, item: Item, currency: str) -> Line:
    price = rounded(change.unit_price if change.unit_price is not None else item.price or ZERO, currency)
    return Line(
        external_id=change.refnum,
        product_key=product.item.key,
        variant_key=item.key,
        sku=change.sku,
        quantity=change.quantity,
        price=price,
        discounted_price=price,
        title=item.title or change.sku,
        vendor=item.vendor or "",
        image=(item.pictures or ("",))[0],
        requires_shipping=item.requires_shipping is not False,
        taxable=item.taxable is not False,
        options=item.options or (),
        categories=item.categories or (),
        subtotal=price * change.quantity,
        is_price_given=True,
    )


def _less_discount(rows: Sequence[DiscountRow], amount: Decimal) -> tuple[DiscountRow, ...]:
    """Discounts on goods, less this amount; a negative one is more.  What is off shipping stays."""
    found = list(rows)
    for at, row in enumerate(found):
        if row.subtype == "total_price" and amount:
            part = min(row.amount, amount)
            found[at] = msgspec.structs.replace(row, amount=row.amount - part)
            amount -= part
    return tuple(found)


def _less_tax(rows: Sequence[TaxRow], amount: Decimal, currency: str) -> tuple[TaxRow, ...]:
    """The taxes less this amount, each by its rate; the last bears what rounding leaves."""
    rates = sum((row.tax_rate for row in rows), ZERO)
    found, rest = [], amount
    for at, row in enumerate(rows):
        is_last = at == len(rows) - 1
        part = rest if is_last or not rates else rounded(amount * row.tax_rate / rates, currency)
        part = min(part, row.tax_amount)
        found.append(msgspec.structs.replace(row, tax_amount=row.tax_amount - part))
        rest -= part
    return tuple(found)


def _sum(lines: Sequence[Line], name: str) -> Decimal:
    return sum((getattr(line, name) for line in lines), ZERO)
