"""Orders as their source offers them, and what is remembered of each to judge later callbacks.

Amounts are `Decimal` in the order's currency, times aware UTC, ids text.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

_NOTHING = Decimal(0)


class Address(msgspec.Struct, frozen=True):
    """A postal address; anything unknown is empty."""

    first_name: str = ""
    last_name: str = ""
    company: str = ""
    address1: str = ""
    address2: str = ""
    city: str = ""
    state_match: str = ""
    postal_code: str = ""
    country_match: str = ""
    phone_number: str = ""


class Attribute(msgspec.Struct, frozen=True):
    """A named text RetailOps keeps with an order."""

    handle: str
    value: str
    attribute_type: Literal["text", "number", "select", "multiselect"] = "text"


class OrderLine(msgspec.Struct, frozen=True):
    """A line of an order as the source gives it; `unit_price` 0 where the source carries no money (R20)."""

    refnum: str
    sku: str
    quantity: int
    description: str = ""
    item_type: Literal["ship", "advisory", "instore"] = "ship"
    unit_price: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    unit_tax: Decimal = Decimal(0)
    tax: Decimal | None = None
    """The tax of all units, where that of a unit is rounded."""
    tax_rates: tuple[Decimal, ...] = ()
    """By tax authority, as fractions; () where the source does not say."""
    expected_ship_date: datetime | None = None
    expected_arrival_date: datetime | None = None
    source_sku: str = ""
    """What the source calls the SKU, where RetailOps calls it otherwise."""

    @property
    def all_tax(self) -> Decimal:
        """The tax of all units."""
        return self.unit_tax * self.quantity if self.tax is None else self.tax


class Payment(msgspec.Struct, frozen=True):
    """A payment of an order, in the order's currency."""

    refnum: str
    payment_type: str
    amount: Decimal
    transaction_type: Literal["auth", "charge", "capture"] = "charge"
    payment_processing_type: Literal["channel_payment", "channel_giftcert"] = "channel_payment"


class Order(msgspec.Struct, frozen=True):
    """An order for RetailOps to fulfil."""

    refnum: str
    created_at: datetime
    currency_code: str
    ship_service_code: str
    shipping_address: Address
    lines: tuple[OrderLine, ...]
    billing_address: Address | None = None
    email: str = ""
    full_name: str = ""
    phone_number: str = ""
    gift_message: str = ""
    ip_address: str = ""
    shipping_amount: Decimal = Decimal(0)
    tax_amount: Decimal = Decimal(0)
    discount_amount: Decimal = Decimal(0)
    payments: tuple[Payment, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    tags: tuple[str, ...] = ()
    is_cancelled: bool = False
    """True when it was cancelled at its source; RetailOps is sent that with the order itself (R18)."""
    carries_money: bool = True
    """False for a source that knows quantities only; then sums are not checked (R20)."""
    source_number: str = ""
    """The merchant's own number of the order, where the source has one besides `refnum`."""

    @property
    def shipping_tax(self) -> Decimal:
        """The tax that no line bears; `tax_amount` holds what rounding the tax of units leaves, too."""
        rounded = [line.unit_tax * line.quantity - line.tax for line in self.lines if line.tax is not None]
        return max(sum(rounded, self.tax_amount), _NOTHING)


class HeldBack(msgspec.Struct, frozen=True):
    """An order that cannot be sent correctly; `reason` is a sentence for the operator, without values."""

    refnum: str
    reason: str


class Candidate(msgspec.Struct, frozen=True):
    """An order the source offers, and where it stands in the source's order of creation."""

    refnum: str
    created_ms: int
    offered: Order | HeldBack | Callable[[], Order | HeldBack]
    """What `order` gives, or what reads it: many are skipped, because RetailOps has them or got them too often."""

    @property
    def order(self) -> Order | HeldBack:
        """The order, or why it is held back; read anew each time where `offered` reads it."""
        return self.offered() if callable(self.offered) else self.offered


class SketchLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of a line, what has to be remembered: its names, how many units were ordered, and what was charged for them."""

    refnum: str
    sku: str
    quantity: int
    source_sku: str = ""
    needs_shipping: bool = True
    """False for what nobody waits for to be shipped, such as a gift card."""
    charged: Decimal = Decimal(0)
    """For all units as bought, less discounts and without tax; 0 where the source carries no money, or before it was
    noted.  Of a line RetailOps added, which nobody has paid for, what it costs."""
    tax: Decimal = Decimal(0)
    """For all units as bought."""
    tax_rates: tuple[Decimal, ...] = ()
    """By tax authority, as fractions; () where they are not known."""
    bought: int | None = None
    """Units `charged` and `tax` are for; None for `quantity`."""
    is_added: bool = False
    """True for a line that RetailOps added: nothing was paid for it."""
    unit_price: Decimal | None = None
    """What RetailOps was sent as the line's `unit_price`; None where it is not known."""

    @property
    def ordered(self) -> int:
        """Units as bought, or as RetailOps first stated them of a line it added."""
        return self.quantity if self.bought is None else self.bought

    @property
    def paid_units(self) -> int:
        """Units the shopper has paid for."""
        return 0 if self.is_added else self.ordered


class OrderSketch(msgspec.Struct, frozen=True):
    """Of an order, what has to be remembered to judge later callbacks (R19)."""

    refnum: str
    lines: tuple[SketchLine, ...]
    currency_code: str = ""
    payments: tuple[Payment, ...] = ()
    shipping: Decimal = Decimal(0)
    """What was paid for shipping, less discounts and without tax."""
    shipping_tax: Decimal = Decimal(0)
    source_number: str = ""
    """See `Order.source_number`."""


class SourceCancellations(msgspec.Struct, frozen=True):
    """Orders that were cancelled at their source, and up to when, by its clock, that is known."""

    refnums: tuple[str, ...]
    until_ms: int
