"""The errors Rally gets when a hook cannot be answered as requested (contract 3.8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from app.errors import ChannelError

BAD_SIGNATURE: Final = b'{"error":"the request could not be verified","error_code":"platform_unavailable"}'
"""The whole body of every 406, whatever was sent (R30)."""

TOO_LARGE: Final = b'{"error":"the request is too large","error_code":"platform_unavailable"}'
"""The body of a 413: what is not read cannot be verified either."""

UNKNOWN_ORGANIZATION: Final = b'{"error":"no such organization"}'
"""The body of an unsigned 404: there is no key to sign it with (R30)."""


class HookRefused(ChannelError):
    """An answer of the error contract.  The message is ours and holds no value of the request."""

    def __init__(self, status: int, code: str, message: str, meta: Sequence[Any] = ()) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.meta = tuple(meta)

    def body(self) -> bytes:
        """The JSON to send."""
        meta = {"meta": self.meta} if self.meta else {}
        return msgspec.json.encode({"error": self.message, "error_code": self.code, **meta})


class Remaining(msgspec.Struct, frozen=True):
    """How many units of a wanted product can still be bought."""

    product_id: str
    variant_id: str
    quantity: int


def unavailable() -> HookRefused:
    return HookRefused(502, "platform_unavailable", "this server cannot answer now; try again")


def cart_not_found() -> HookRefused:
    return HookRefused(422, "cart_not_found", "there is no such cart, or it is an order already, or too old")


def only_digital_items() -> HookRefused:
    return HookRefused(422, "cart_contains_only_digital_items", "nothing in the cart can be shipped")


def invalid_discount_code() -> HookRefused:
    return HookRefused(422, "invalid_discount_code", "the code is unknown or does not hold for this cart")


def cart_has_been_updated(what: str) -> HookRefused:
    """`what` is a sentence of ours."""
    return HookRefused(422, "cart_has_been_updated", what)


def out_of_stock(remaining: Sequence[Remaining], status: int = 422) -> HookRefused:
    """422, or 412 where an order is placed."""
    return HookRefused(status, "out_of_stock", "fewer units can be bought than are wanted", remaining)


def addition_failed() -> HookRefused:
    return HookRefused(422, "ppo_add_error", "the items cannot be added as they are given")


def placement_failed(what: str) -> HookRefused:
    """`what` is a sentence of ours."""
    return HookRefused(412, "unknown", what)


def order_not_found() -> HookRefused:
    return HookRefused(404, "order_not_found", "there is no such order")
