"""What a vendor's checkout requests of the shop, in the shop's words.

A vendor reads its own bodies into these.  What may be unreadable is a function, called when the value is needed: it may
raise the vendor's own error, and then nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.storefront.order_document import Address, PaymentMethod, Transaction


@dataclass(frozen=True)
class RequestedLine:
    """Units of a product, or with `line_id` of a line that is there already."""

    line_id: str
    product_id: str
    variant_id: str
    quantity: int
    price: Decimal | None


@dataclass(frozen=True)
class StatedLine:
    """A line of the cart as a checkout names it; what it does not say is empty, or None."""

    line_id: str
    product_id: str
    variant_id: str
    sku: str
    quantity: int | None


@dataclass(frozen=True)
class ShopperNews:
    """What a request says of the shopper; what it is silent about is empty, or None."""

    customer: Mapping[str, Any]
    """Fields of `Customer`."""
    billing_address: Address | None
    shipping_address: Address | None
    chosen_shipping: str
    notes: str | None
    is_billed_to_shipping: bool | None = None
    """Whether the billing address is the one of shipping; None where nothing is said of that."""


@dataclass(frozen=True)
class AddedShipping:
    """What shipping post-purchase additions costs more."""

    subtotal: Decimal
    tax_amount: Decimal


@dataclass(frozen=True)
class Additions:
    """What a shopper adds after the purchase; of each line its price, where one is stated."""

    lines: Sequence[RequestedLine]
    shipping: AddedShipping | None


@dataclass(frozen=True)
class CartUpdate:
    """A cart is to be as stated."""

    shopper: ShopperNews
    coupons: Sequence[str] | None
    """The codes from now on, None where nothing is said of discounts."""
    read_lines: Callable[[], Sequence[RequestedLine]]
    """Other quantities of lines that are there."""


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A cart is to become an order."""

    cart_id: str
    shopper: ShopperNews
    coupons: Sequence[str] | None
    """As of `CartUpdate`."""
    charged: Sequence[Transaction]
    names_other_money: bool
    """Whether the transactions are said to be more or less than one charge of all: an authorisation, a part, a tip."""
    is_under_review: bool | None
    """Whether it opens a fraud review or ends one; None where it says nothing."""
    is_offers_only: bool
    """True for a cart that need not have anything to ship."""
    ip_address: str
    """The shopper's, "" where it is not known."""
    meta: dict[str, Any]
    """What is kept only to be given back."""
    raw: bytes
    """The body as it came."""
    read_lines: Callable[[], Sequence[StatedLine]]
    """The lines the shopper saw."""
    read_payment_method: Callable[[], PaymentMethod | None]
    """None where nothing says how it was paid: such an order is not placed."""

    def as_news(self, *, opens_review: bool) -> OrderUpdate:
        """What it says once its cart is an order: transactions, and where `opens_review` that a review is open."""
        return OrderUpdate(
            charged=self.charged,
            is_called_paid=False,
            is_called_refunded=False,
            is_under_review=opens_review or None,
            raw=self.raw,
            read_additions=lambda: Additions((), None),
            read_payment_method=lambda: None,
        )


@dataclass(frozen=True, kw_only=True)
class OrderUpdate:
    """News of an order: additions, money, a fraud review, that it is paid or was given back."""

    charged: Sequence[Transaction]
    is_called_paid: bool
    is_called_refunded: bool
    is_under_review: bool | None
    """As of `Checkout`."""
    raw: bytes
    read_additions: Callable[[], Additions]
    read_payment_method: Callable[[], PaymentMethod | None]
