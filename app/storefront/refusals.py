"""Why the shop does not carry out what a checkout requests; the vendor's module says it in the vendor's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from app.errors import ChannelError

Reason = Literal[
    "cart_not_found", "nothing_to_ship", "coupon_invalid", "cart_differs", "out_of_stock", "addition_invalid",
    "not_placed", "order_not_found",
]  # fmt: skip

MESSAGES: Final[Mapping[Reason, str]] = {
    "cart_not_found": "there is no such cart, or it is an order already, or too old",
    "nothing_to_ship": "nothing in the cart can be shipped",
    "coupon_invalid": "the code is unknown or does not hold for this cart",
    "out_of_stock": "fewer units can be bought than are requested",
    "addition_invalid": "the items cannot be added as they are given",
    "order_not_found": "there is no such order",
}
"""Of the other reasons each refusal says its own."""


class Remaining(msgspec.Struct, frozen=True):
    """How many units of a requested product can still be bought."""

    product_id: str
    variant_id: str
    quantity: int


class ShopRefused(ChannelError):
    """The request is not carried out.  The message is a sentence of ours and holds no value of the request.

    `remaining` is what is left of each product that cannot be had as requested.
    """

    def __init__(self, reason: Reason, message: str = "", remaining: Sequence[Remaining] = ()) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.message = message or MESSAGES[reason]
        self.remaining = tuple(remaining)
