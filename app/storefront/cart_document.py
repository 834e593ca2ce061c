"""The document of a cart, as it is stored and read back."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final

import msgspec

from app.storefront.options import ShopOptions
from app.storefront.order_document import Address, Customer, Line, Private
from app.storefront.pricing import Priced, price

_RANDOM_BYTES: Final = 20
"""160 bits: whoever has a cart's id can pay for it and see its goods, so nobody may guess one."""


class CartDocument(Private, frozen=True, kw_only=True):
    """What a shopper is about to buy.  Lines carry the prices the shopper was shown last."""

    cart_id: str
    created_at: datetime
    lines: tuple[Line, ...] = ()
    next_line: int = 1
    customer: Customer = Customer()
    billing_address: Address | None = None
    shipping_address: Address | None = None
    coupons: tuple[str, ...] = ()
    chosen_shipping: str = ""
    notes: str = ""
    refused: tuple[str, ...] = ()
    """Digests of what a checkout was refused for and of the cart's state then (see `cart_check`)."""

    @property
    def needs_shipping(self) -> bool:
        """True when anything in it has to be shipped."""
        return any(line.requires_shipping for line in self.lines)

    def priced(self, options: ShopOptions) -> Priced:
        """What it costs; goods that are not shipped are taxed where they are paid."""
        place = self.shipping_address if self.needs_shipping else self.billing_address or self.shipping_address
        return price(self.lines, place, self.coupons, self.chosen_shipping, options)


def new_cart_id() -> str:
    """An id that no other cart has."""
    return f"cart-{secrets.token_hex(_RANDOM_BYTES)}"


_decode = msgspec.json.Decoder(CartDocument).decode


def read_cart(body: bytes) -> CartDocument:
    """The document `write_cart` wrote."""
    return _decode(body)


def write_cart(cart: CartDocument) -> bytes:
    """The bytes `cart_store` keeps."""
    return msgspec.json.encode(cart)
