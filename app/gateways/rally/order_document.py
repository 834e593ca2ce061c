"""An order as it is kept, and what RetailOps is told of it (contract 4.1 and the last paragraph of its section B).

All amounts were rounded once, when a row was made (see `pricing`); every total is a sum of rows.  So what the
shopper was shown, what Rally charged and what RetailOps books are the same figures.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final, Literal

import msgspec

from app.gateways import words

ATTRIBUTE_LENGTH: Final = 100
"""Longest attribute RetailOps takes; the shortest is 2."""

WITHOUT_DECIMALS: Final = frozenset({"JPY", "KRW"})
"""Currencies whose smallest unit is a whole one."""

Status = Literal["pending", "paid", "completed", "refunded"]

RALLY_STATUS: Final[dict[str, Status]] = {
    "pending": "pending",
    "review": "pending",
    "paid": "paid",
    "completed": "completed",
    "cancelled": "refunded",
    "refunded": "refunded",
}
"""Rally's word for each state of `records.orders` (contract 4.2 [code:M2])."""


class Private(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Holds a shopper's data, so that its repr shows none."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class Address(Private, frozen=True, kw_only=True):
    """Rally's address; anything unknown is empty."""

    external_id: str = ""
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    phone: str = ""
    address1: str = ""
    address2: str = ""
    city: str = ""
    province: str = ""
    """Name or code, as Rally gave it."""
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
    """True when Rally named the price, so that the catalogue's does not replace it."""
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
    """Money Rally has taken: charged, as far as anybody knows (contract 4.9 [inferred])."""

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
        """What RetailOps shows."""
        return self.card_brand or self.processor_name or self.method_name or "rally"


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
    """A refund Rally has taken; `key` is its external_id."""

    key: str
    amount: Decimal
    rows: tuple[RefundRow, ...]


class OrderDocument(Private, frozen=True, kw_only=True):
    """One order, whole."""

    refnum: str
    number: str
    cart_id: str
    created_at: datetime
    """When Rally created it here; Rally names no time of its own (contract 4.1, CHOOSE)."""
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
    """True once Rally called it paid and named the payment method with that."""
    is_under_review: bool = False
    """True while a fraud review is open, whatever else was said."""
    additions: tuple[str, ...] = ()
    """Digests of the post-purchase additions made, so that one that is repeated is not made twice."""
    meta: dict[str, Any] = {}
    fulfillments: tuple[Fulfillment, ...] = ()
    refunds: tuple[Refunded, ...] = ()

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
        """What Rally took."""
        return sum((transaction.amount for transaction in self.transactions), Decimal(0))


_decode = msgspec.json.Decoder(OrderDocument).decode


def read_document(body: bytes) -> OrderDocument:
    """The document `write_document` wrote."""
    return _decode(body)


def write_document(document: OrderDocument) -> bytes:
    """The bytes `records.orders` keeps."""
    return msgspec.json.encode(document)


def to_order(document: OrderDocument, *, default_ship_code: str, is_cancelled: bool = False) -> words.Order:
    """The order RetailOps gets; `default_ship_code` is for one that has no shipping.

    A row's tax is told by the unit with four decimals, cut off; what that leaves of it stands with the order's.
    """
    shipping = document.shipping
    lines = tuple(_to_line(line, document.currency) for line in document.lines)
    tax_of_units = sum((line.unit_tax * line.quantity for line in lines), Decimal(0))
    customer, place = document.customer, document.shipping_address or document.billing_address or Address()
    named = (customer.first_name, customer.last_name) if customer.last_name else (place.first_name, place.last_name)
    return words.Order(
        refnum=document.refnum,
        created_at=document.created_at,
        currency_code=document.currency,
        ship_service_code=(shipping.ship_code if shipping else "") or default_ship_code,
        shipping_address=to_address(place),
        billing_address=to_address(document.billing_address or place),
        lines=lines,
        email=customer.email,
        full_name=" ".join(filter(None, named)),
        phone_number=customer.phone or place.phone,
        ip_address=document.ip_address,
        shipping_amount=document.shipping_amount,
        tax_amount=document.tax_amount - tax_of_units,
        discount_amount=document.discount_amount - sum((line.discount for line in lines), Decimal(0)),
        payments=to_payments(document),
        attributes=_attributes(document),
        tags=_tags(document),
        is_cancelled=is_cancelled,
    )


def to_sketch(document: OrderDocument) -> words.OrderSketch:
    """What the core remembers of an order."""
    lines = tuple(
        words.SketchLine(line.external_id, line.sku, line.quantity, needs_shipping=line.requires_shipping)
        for line in document.lines
    )
    return words.OrderSketch(document.refnum, lines, document.currency, to_payments(document))


def to_payments(document: OrderDocument) -> tuple[words.Payment, ...]:
    """Each transaction as a charge."""
    payment_type = (document.payment_method or PaymentMethod()).payment_type
    return tuple(
        words.Payment(transaction.external_id, payment_type, transaction.amount)
        for transaction in document.transactions
        if transaction.amount > 0
    )


def to_address(address: Address) -> words.Address:
    return words.Address(
        first_name=address.first_name,
        last_name=address.last_name,
        company=address.company,
        address1=address.address1,
        address2=address.address2,
        city=address.city,
        state_match=address.province,
        postal_code=address.zip,
        country_match=address.country_code or address.country,
        phone_number=address.phone,
    )


def _to_line(line: Line, currency: str) -> words.OrderLine:
    smallest = Decimal(1) if currency in WITHOUT_DECIMALS else Decimal("0.0001")
    return words.OrderLine(
        refnum=line.external_id,
        sku=line.sku,
        quantity=line.quantity,
        description=line.title,
        item_type="ship" if line.requires_shipping else "advisory",
        unit_price=line.discounted_price,
        discount=line.discount_amount,
        unit_tax=(line.tax_amount / line.quantity).quantize(smallest, rounding=ROUND_DOWN),
    )


def _attributes(document: OrderDocument) -> tuple[words.Attribute, ...]:
    """Cut to what RetailOps takes; texts of one character are left out."""
    method = document.payment_method or PaymentMethod()
    named = {
        "rally_cart": document.cart_id,
        "shipping_title": document.shipping.title if document.shipping else "",
        "coupons": ", ".join(row.name for row in document.discounts if row.type == "coupon"),
        "payment_method": method.method_name,
        "payment_processor": method.processor_name,
        "accepts_email": "yes" if document.customer.accepts_email else "no",
        "customer_note": document.notes,
    }
    cut = {handle: " ".join(value.split())[:ATTRIBUTE_LENGTH].rstrip() for handle, value in named.items()}
    return tuple(words.Attribute(handle, value) for handle, value in cut.items() if len(value) >= 2)


def _tags(document: OrderDocument) -> tuple[str, ...]:
    has_offer = any(line.is_offer for line in document.lines)
    return ("rally", *(["post_purchase_offer"] if has_offer else []))
