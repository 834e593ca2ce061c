"""Whether a checkout means the cart as it stands, because another tab may have changed it meanwhile.

A difference is refused once, so that the checkout fetches the cart again and the shopper sees it.  The same lines
again about the same state of the cart, or a sum that still differs, are an order: the shopper has paid, and refusing
again would take money for nothing.  Such an order is held back from RetailOps until a person has looked at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from decimal import Decimal
from itertools import combinations
from typing import Final

import msgspec

from app.storefront.cart_document import CartDocument
from app.storefront.digests import digest
from app.storefront.order_document import Line, OrderDocument, Transaction
from app.storefront.pricing import ZERO, smallest_unit
from app.storefront.requests import StatedLine

MOST_KEPT: Final = 20
"""Refusals remembered of one cart."""

MOST_PARTS: Final = 8
"""Transactions up to which every part of them is added up."""

REMEDY: Final = (
    "once it is paid or released, mend its lines with `channel send order_update`, or give all back with "
    "`channel send order_cancel`; before that, give it back at the checkout"
)


def has_stated_lines(cart: CartDocument, stated: Sequence[StatedLine]) -> bool:
    """True when each stated line is a line of the cart, and none is left over, by all that is stated of them."""
    left = list(cart.lines)
    # The most exact first, so that a vague one does not take the line that another names.
    for item in sorted(stated, key=_vagueness):
        found = next((line for line in left if _fits(line, item)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def has_stated_sum(document: OrderDocument, charged: Sequence[Transaction]) -> bool:
    """True when the stated transactions come to the order's total within a minor unit a line, or none is stated."""
    return not charged or _comes_to(document, charged)


def is_part_of_sum(document: OrderDocument, charged: Sequence[Transaction]) -> bool:
    """True when a part of the transactions comes to the order's total: the others are money of another kind, a tip."""
    if len(charged) > MOST_PARTS:
        return False
    return any(_comes_to(document, part) for size in range(1, len(charged)) for part in combinations(charged, size))


def lines_mark(cart: CartDocument, stated: Sequence[StatedLine]) -> str:
    """What a refusal of these lines for this state of the cart is remembered by."""
    return _state(cart) + digest(sorted((*astuple(item)[:4], str(item.quantity)) for item in stated))


def sum_mark(cart: CartDocument, charged: Sequence[Transaction]) -> str:
    """What a refusal of this sum for this state of the cart is remembered by."""
    return _state(cart) + digest(str(_sum(charged)))


def was_refused(cart: CartDocument) -> bool:
    """True when the checkout was sent already that the cart stands as it does now, whatever it had stated."""
    return any(mark.startswith(_state(cart)) for mark in cart.refused)


def with_refusal(cart: CartDocument, mark: str) -> CartDocument:
    """The cart, which remembers that it was refused for this."""
    return msgspec.structs.replace(cart, refused=(*cart.refused, mark)[-MOST_KEPT:])


def _state(cart: CartDocument) -> str:
    lines = [
        (line.external_id, line.product_key, line.variant_key, line.quantity, str(line.discounted_price))
        for line in cart.lines
    ]
    return digest(lines, list(cart.coupons))


def _vagueness(item: StatedLine) -> int:
    return sum(not value for value in (item.line_id, item.product_id, item.variant_id, item.sku, item.quantity))


def _fits(line: Line, item: StatedLine) -> bool:
    """Ids are ours; a SKU in their place is understood too (see `goods.find_units`)."""
    # A variant that is named as the product is none (Rally contract 4.3).
    variant_id = "" if item.variant_id == item.product_id else item.variant_id
    return (
        item.line_id in ("", line.external_id)
        and item.product_id in ("", line.product_key, line.sku)
        and variant_id in ("", line.variant_key, line.sku)
        and item.sku in ("", line.sku)
        and item.quantity in (None, line.quantity)
    )


def _comes_to(document: OrderDocument, charged: Sequence[Transaction]) -> bool:
    tolerance = smallest_unit(document.currency) * max(len(document.lines), 1)
    return abs(_sum(charged) - document.total) <= tolerance


def _sum(charged: Sequence[Transaction]) -> Decimal:
    return sum((item.amount for item in charged), ZERO)
