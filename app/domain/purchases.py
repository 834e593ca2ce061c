"""Purchases: what an observer, such as a recommendation service, is sent of an order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from app.domain.orders import Order

_PRICE: Final = Decimal("0.0001")
"""What a price of one unit is rounded to."""


class PurchaseLine(msgspec.Struct, frozen=True):
    """Units of a SKU as they were bought; `unit_price` is after all discounts and without tax."""

    line_refnum: str
    sku: str
    quantity: int
    unit_price: Decimal


class Purchase(msgspec.Struct, frozen=True):
    """What an observer is sent of an order (R17), as the observer itself put it when the order was handed out.

    `shopper` keeps the reports of one shopper in order; it is no name.  `email` stands only where the shop has
    consent for it, and goes with the report (R28).
    """

    order_refnum: str
    shopper: str
    ordered_at: datetime
    currency_code: str
    lines: tuple[PurchaseLine, ...]
    session: str = ""
    email: str = ""


def bought_lines(order: Order) -> tuple[PurchaseLine, ...]:
    """Each line at what a unit cost after its own discount and its part of the order's, never below 0."""
    totals = [max(line.quantity * line.unit_price - line.discount, Decimal(0)) for line in order.lines]
    goods = sum(totals, Decimal(0))
    share = max(goods - order.discount_amount, Decimal(0)) / goods if goods else Decimal(1)
    return tuple(
        PurchaseLine(line.refnum, line.sku, line.quantity, (total * share / line.quantity).quantize(_PRICE))
        for line, total in zip(order.lines, totals, strict=True)
        if line.quantity > 0
    )


def by_product(lines: Iterable[PurchaseLine], number_of: Mapping[str, int]) -> dict[int, tuple[int, Decimal]]:
    """Units of each product and the mean of their prices; `number_of` by SKU, lines of other SKUs are left out."""
    units: dict[int, int] = {}
    money: dict[int, Decimal] = {}
    for line in lines:
        if line.sku in number_of:
            product = number_of[line.sku]
            units[product] = units.get(product, 0) + line.quantity
            money[product] = money.get(product, Decimal(0)) + line.quantity * line.unit_price
    return {product: (count, (money[product] / count).quantize(_PRICE)) for product, count in units.items()}
