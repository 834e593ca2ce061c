"""The errors Rally gets when a hook cannot be answered as requested (contract 3.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from app.storefront.refusals import Reason, ShopRefused

BAD_SIGNATURE: Final = b'{"error":"the request could not be verified","error_code":"platform_unavailable"}'
"""The whole body of every 406, whatever was sent (R30)."""

TOO_LARGE: Final = b'{"error":"the request is too large","error_code":"platform_unavailable"}'
"""The body of a 413: what is not read cannot be verified either."""

UNKNOWN_ORGANIZATION: Final = b'{"error":"no such organization"}'
"""The body of an unsigned 404: there is no key to sign it with (R30)."""


Refusal = tuple[int, bytes]
"""Status and body of an answer of the error contract.  The message is ours and holds no value of the request."""


def _refusal(status: int, code: str, message: str, meta: Sequence[Any] = ()) -> Refusal:
    return status, msgspec.json.encode({"error": message, "error_code": code, **({"meta": meta} if meta else {})})


UNAVAILABLE: Final = _refusal(502, "platform_unavailable", "this server cannot answer now; try again")

SHOPS: Final[Mapping[Reason, tuple[int, str]]] = {
    "cart_not_found": (422, "cart_not_found"),
    "nothing_to_ship": (422, "cart_contains_only_digital_items"),
    "coupon_invalid": (422, "invalid_discount_code"),
    "cart_differs": (422, "cart_has_been_updated"),
    "out_of_stock": (422, "out_of_stock"),
    "addition_invalid": (422, "ppo_add_error"),
    "not_placed": (412, "unknown"),
    "order_not_found": (404, "order_not_found"),
}
"""Status and code for what the shop refuses."""


def of_shop(refused: ShopRefused, *, is_placing: bool = False) -> Refusal:
    """The shop's refusal; goods that are out of stock are a 412 where an order is placed."""
    status, code = SHOPS[refused.reason]
    if is_placing and refused.reason == "out_of_stock":
        status = 412
    return _refusal(status, code, refused.message, refused.remaining)


def unreadable(topic: str) -> Refusal:
    """What a body that cannot be read gets; the contract has no code for it."""
    if topic == "order/create":
        return of_shop(ShopRefused("not_placed", "the request cannot be read"))
    if topic == "order/update":
        return of_shop(ShopRefused("addition_invalid"))
    return of_shop(ShopRefused("cart_differs", "the request cannot be read"))
