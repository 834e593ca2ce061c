"""The document of an order, as it is stored and read back (Rally contract 4.1).

All amounts were rounded once, when a row was made (see `pricing`); every total is a sum of rows.  So what the
shopper was shown, what the checkout charged and what RetailOps books are the same figures.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

WITHOUT_DECIMALS: Final = frozenset({"JPY", "KRW"})
"""Currencies whose smallest unit is a whole one."""


class Private(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Holds a shopper's data, so that its repr shows none."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class Address(Private, frozen=True, kw_only=True):
    """A postal address as the checkout gave it; anything unknown is empty."""

    external_id: str = ""
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    phone: str = ""
    address1: str = ""
    address2: str = ""
    city: str = ""
    province: str = ""
    """Name or code, as it was given."""
    country: str = ""
    country_code: str = ""
    zip: str = ""


class Customer(Private, frozen=True, kw_only=True):
    """Who buys."""

    external_id: str = ""
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    accepts_email: bool = False


class Line(Private, frozen=True, kw_only=True):
    """Units of one SKU; the amounts are those of the whole row, without tax unless they say so."""

    external_id: str
    product_key: str
    variant_key: str
    sku: str
    quantity: int
    price: Decimal
    """List price of a unit."""
    discounted_price: Decimal
    """What a unit costs before discounts of the cart."""
    title: str = ""
    vendor: str = ""
    image: str = ""
    requires_shipping: bool = True
    taxable: bool = True
    options: tuple[tuple[str, str], ...] = ()
    categories: tuple[str, ...] = ()
    subtotal: Decimal = Decimal(0)
    discount_amount: Decimal = Decimal(0)
    tax_rate: Decimal = Decimal(0)
    tax_amount: Decimal = Decimal(0)
    is_price_given: bool = False
    """True when the checkout named the price, so that the catalogue's does not replace it."""
    is_offer: bool = False
    """True for what was added after the purchase."""

    @property
    def total(self) -> Decimal:
        """With tax, less discounts."""
        return self.subtotal + self.tax_amount - self.discount_amount


class ShippingLine(Private, frozen=True, kw_only=True):
    """A way of shipping with what it costs; `discount_amount` is what a coupon takes off."""

    external_id: str
    title: str
    ship_code: str
    """RetailOps' ship_service_code."""
    subtotal: Decimal
    description: str = ""
    tax_rate: Decimal = Decimal(0)
    tax_amount: Decimal = Decimal(0)
    discount_amount: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        """With tax, before discounts."""
        return self.subtotal + self.tax_amount


class TaxRow(Private, frozen=True, kw_only=True):
    """One tax over all rows and shipping."""

    title: str
    tax_rate: Decimal
    tax_amount: Decimal


class DiscountRow(Private, frozen=True, kw_only=True):
    """What one coupon takes off."""

    external_id: str
    name: str
    subtype: Literal["total_price", "free_shipping", "shipping"]
    amount: Decimal
    type: Literal["coupon", "promotion"] = "coupon"


class Transaction(Private, frozen=True, kw_only=True):
    """Money the checkout has taken: charged, as far as anybody knows (Rally contract 4.9 [inferred])."""

    external_id: str
    amount: Decimal


class PaymentMethod(Private, frozen=True, kw_only=True):
    """How the shopper paid."""

    method_name: str = ""
    processor_name: str = ""
    card_brand: str = ""
    last4: str = ""

    @property
    def payment_type(self) -> str:
        """What RetailOps shows; "" where nothing is known."""
        return self.card_brand or self.processor_name or self.method_name


class Fulfillment(Private, frozen=True, kw_only=True):
    """A parcel that left; units by line."""

    key: str
    units: tuple[tuple[str, int], ...]
    carrier: str = ""
    service: str = ""
    tracking_number: str = ""
    shipped_at: datetime | None = None


class RefundRow(Private, frozen=True, kw_only=True):
    """A part of a refund: goods of a line without tax, or tax, or shipping."""

    kind: Literal["line_item", "tax", "shipping_rate"]
    amount: Decimal
    line: str = ""
    quantity: int = 1
    reason: str = ""


class Refunded(Private, frozen=True, kw_only=True):
    """A refund the vendor has paid; `key` is its id there."""

    key: str
    amount: Decimal
    rows: tuple[RefundRow, ...]


class Bought(Private, frozen=True, kw_only=True):
    """What the shopper bought, kept unchanged while RetailOps changes lines; `added` are lines RetailOps made."""

    lines: tuple[Line, ...]
    discounts: tuple[DiscountRow, ...]
    taxes: tuple[TaxRow, ...]
    added: tuple[Line, ...] = ()


class OrderDocument(Private, frozen=True, kw_only=True):
    """One order, whole: `lines`, `discounts` and `taxes` as they stand now."""

    refnum: str
    number: str
    cart_id: str
    created_at: datetime
    """When it was placed here; a checkout names no time of its own (Rally contract 4.1, CHOOSE)."""
    currency: str
    lines: tuple[Line, ...]
    next_line: int
    """Number of the next line to be added."""
    customer: Customer = Customer()
    billing_address: Address | None = None
    shipping_address: Address | None = None
    shipping: ShippingLine | None = None
    discounts: tuple[DiscountRow, ...] = ()
    taxes: tuple[TaxRow, ...] = ()
    transactions: tuple[Transaction, ...] = ()
    payment_method: PaymentMethod | None = None
    ip_address: str = ""
    notes: str = ""
    is_offers_only: bool = False
    is_paid: bool = False
    """True once the checkout called it paid and named the payment method with that."""
    is_under_review: bool = False
    """True while a fraud review is open, whatever else was said."""
    additions: tuple[str, ...] = ()
    """Digests of the post-purchase additions made, so that one that is repeated is not made twice."""
    doubt: str = ""
    """Why a person has to look before RetailOps gets it, as a sentence without values; "" for no reason."""
    meta: dict[str, Any] = {}
    fulfillments: tuple[Fulfillment, ...] = ()
    refunds: tuple[Refunded, ...] = ()
    is_paid_back: bool = False
    """True where it is refunded because all of its money went back through this server, and the merchant has not called
    it refunded since: money that comes later is still to go back."""
    merchant_refunded: tuple[str, ...] | None = None
    """Numbers of the transactions that were there when the merchant called it refunded last; None where that was not
    noted, so that all count as given back."""
    bought: Bought | None = None
    """None while nothing is changed."""

    @property
    def as_bought(self) -> Bought:
        """The rows as the shopper bought them."""
        return self.bought or Bought(lines=self.lines, discounts=self.discounts, taxes=self.taxes)

    @property
    def shipping_paid(self) -> Decimal:
        """What was paid for shipping, less discounts and without tax."""
        goods = sum((line.discount_amount for line in self.lines), Decimal(0))
        return self.shipping_amount - (self.discount_amount - goods)

    @property
    def shipping_tax(self) -> Decimal:
        """The tax of shipping: what no line bears."""
        return self.tax_amount - sum((line.tax_amount for line in self.lines), Decimal(0))

    @property
    def subtotal(self) -> Decimal:
        """Goods before tax and discounts."""
        return sum((line.subtotal for line in self.lines), Decimal(0))

    @property
    def tax_amount(self) -> Decimal:
        """All taxes, that of shipping included."""
        return sum((row.tax_amount for row in self.taxes), Decimal(0))

    @property
    def discount_amount(self) -> Decimal:
        """All discounts, positive."""
        return sum((row.amount for row in self.discounts), Decimal(0))

    @property
    def shipping_amount(self) -> Decimal:
        """Shipping before tax and discounts, that of post-purchase additions included."""
        return self.shipping.subtotal if self.shipping else Decimal(0)

    @property
    def total(self) -> Decimal:
        """What the shopper pays."""
        return self.subtotal + self.shipping_amount + self.tax_amount - self.discount_amount

    @property
    def paid(self) -> Decimal:
        """What the checkout took."""
        return sum((transaction.amount for transaction in self.transactions), Decimal(0))

    def is_refunded_by_merchant(self, payment: str) -> bool:
        """Of an order that is refunded: whether the merchant gave this payment back, for it was there then."""
        return not self.is_paid_back and (self.merchant_refunded is None or payment in self.merchant_refunded)

    @property
    def is_charged(self) -> bool:
        """Whether the shopper has paid all or a part: the checkout said so, or took money."""
        return self.is_paid or self.paid > 0


_decode = msgspec.json.Decoder(OrderDocument).decode


def read_document(body: bytes) -> OrderDocument:
    """The document `write_document` wrote."""
    return _decode(body)


def write_document(document: OrderDocument) -> bytes:
    """The bytes `order_store` keeps."""
    return msgspec.json.encode(document)
