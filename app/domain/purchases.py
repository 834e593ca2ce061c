"""Purchases: what an observer, such as a recommendation service, is sent of an order."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec


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
