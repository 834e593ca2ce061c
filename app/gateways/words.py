"""What the core and a gateway say to each other: RetailOps' business, in neither side's wire format.

Bodies of owed calls are kept in the database as the JSON of these structures, so a field is only
ever added with a default.  Amounts are `Decimal`, times aware UTC, ids text; an id of RetailOps that
is 0 is no id and stands here as "".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from app.domain import prices

EventType = Literal["error", "warning", "info"]

IdentifierType = Literal[
    "order_id", "order_refnum", "orderitem_id", "orderitem_refnum", "shipment_id", "shipmentitem_id",
    "product_id", "sku_number",
]  # fmt: skip


class Association(msgspec.Struct, frozen=True):
    """The object an event is about (SDK contract, block E)."""

    identifier_type: IdentifierType
    identifier: str


class Event(msgspec.Struct, frozen=True):
    """Something RetailOps shows on an order, a line, a shipment or a SKU.

    error: not done; warning: done, look at it; info: for the record.  `message` holds no customer data.
    """

    event_type: EventType
    code: str
    message: str
    associations: tuple[Association, ...] = ()


def about(identifier_type: IdentifierType, identifier: str) -> tuple[Association, ...]:
    """One association, or none where there is nothing to name."""
    return (Association(identifier_type, identifier),) if identifier else ()


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
    """True when it was called off at its source; RetailOps is told so with the order itself (R18)."""
    carries_money: bool = True
    """False for a source that knows quantities only; then sums are not checked (R20)."""

    @property
    def shipping_tax(self) -> Decimal:
        """The tax that no line bears; `tax_amount` holds what rounding the tax of units leaves, too."""
        by_unit = sum((line.unit_tax * line.quantity for line in self.lines), Decimal(0))
        by_line = sum((line.all_tax for line in self.lines), Decimal(0))
        return max(self.tax_amount + by_unit - by_line, Decimal(0))


class HeldBack(msgspec.Struct, frozen=True):
    """An order that cannot be sent correctly; `reason` is a sentence for the operator, without values."""

    refnum: str
    reason: str


class Candidate(msgspec.Struct, frozen=True):
    """An order the source offers, and where it stands in the source's order of creation."""

    refnum: str
    created_ms: int
    order: Order | HeldBack


class SketchLine(msgspec.Struct, frozen=True):
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


class CalledOff(msgspec.Struct, frozen=True):
    """Orders that were called off at their source, and up to when, by its clock, that is known."""

    refnums: tuple[str, ...]
    until_ms: int


class Acknowledgement(msgspec.Struct, frozen=True):
    """RetailOps has the order; its own number may be unknown ("").

    A correction tells the number of an order acknowledged before, and which one was told then.
    """

    order_refnum: str
    retailops_order_id: str = ""
    is_correction: bool = False
    previous_order_id: str = ""


class PackageLine(msgspec.Struct, frozen=True):
    """Units of one order line."""

    line_refnum: str
    sku: str
    quantity: int
    source_sku: str = ""
    """What the source calls the SKU, where RetailOps calls it otherwise."""


class Package(msgspec.Struct, frozen=True):
    """One parcel that left; `key` names it for ever, at us and at the vendor (R24)."""

    order_refnum: str
    key: str
    lines: tuple[PackageLine, ...]
    retailops_shipment_id: str = ""
    carrier_name: str = ""
    carrier_class_name: str = ""
    channel_ship_code: str = ""
    tracking_number: str = ""
    weight_kg: Decimal | None = None
    shipped_at: datetime | None = None
    is_last: bool = False
    """True when no unit of the order is open any more once this package has left."""


class Cancellation(msgspec.Struct, frozen=True):
    """The whole order is called off before anything shipped.

    `is_decided`: it is cancelled here already, and its source is only told.
    """

    order_refnum: str
    is_decided: bool = False


class Completion(msgspec.Struct, frozen=True):
    """RetailOps is done with the order; `unshipped` names units that will never ship.

    `number` counts the completions of the order: a later one names further units.  `removed` are those of the
    units that `order_update` had taken off before.
    """

    order_refnum: str
    unshipped: tuple[PackageLine, ...] = ()
    number: int = 1
    removed: tuple[PackageLine, ...] = ()


class RefundLine(msgspec.Struct, frozen=True):
    """What part of a refund is for: units of an order line without their tax, or tax, or shipping."""

    kind: Literal["line_item", "tax", "shipping"]
    amount: Decimal
    line_refnum: str = ""
    sku: str = ""
    quantity: int = 1
    reason: str = ""


class Refund(msgspec.Struct, frozen=True):
    """Money that goes back to the customer from one payment, in that payment's currency.

    `key` names the refund for ever, at us and at the vendor; one that is tried again keeps it.  `lines`
    may be absent or come to less than `amount`, which alone says what is paid.
    """

    order_refnum: str
    key: str
    payment_refnum: str
    amount: Decimal
    currency_code: str
    to_store_credit: bool = False
    lines: tuple[RefundLine, ...] = ()
    is_followed: bool = False
    """True where the source wants to hear by itself that an order has got everything back."""


class LineChange(msgspec.Struct, frozen=True):
    """A line as RetailOps has it now.  A line of its own making has the `refnum` it is to get; 0 units are none."""

    refnum: str
    sku: str
    quantity: int
    unit_price: Decimal | None = None


class Restatement(msgspec.Struct, frozen=True):
    """The order's source is told again how the order stands; by then more may have changed.

    `is_paid_back`: nothing of what was paid for it remains.  `change` are the lines this is about, and `undo` the same
    lines as they were before: where the source refuses, those that still stand as changed go back to that.
    """

    order_refnum: str
    is_paid_back: bool = False
    change: tuple[LineChange, ...] = ()
    undo: tuple[LineChange, ...] = ()


class OrderChange(msgspec.Struct, frozen=True):
    """The lines of an order that RetailOps names after a change; lines it does not name stay as they are."""

    order_refnum: str
    lines: tuple[LineChange, ...]


class OrderChanged(msgspec.Struct, frozen=True):
    """What the source made of a change: its lines now, and what RetailOps should know."""

    lines: tuple[SketchLine, ...]
    events: tuple[Event, ...] = ()
    is_different: bool = True


class ReturnedLine(msgspec.Struct, frozen=True):
    """Units of one order line that came back."""

    line_refnum: str
    sku: str
    quantity: int
    source_sku: str = ""
    """What the source calls the SKU, where RetailOps calls it otherwise."""
    reason: str = ""


class ReturnedGoods(msgspec.Struct, frozen=True):
    """Goods RetailOps took back, told without money; `key` names the return for ever, at us and at the vendor."""

    order_refnum: str
    key: str
    lines: tuple[ReturnedLine, ...]


class Settlement(msgspec.Struct, frozen=True):
    """Money to be collected from a payment that is only authorised so far."""

    order_refnum: str
    key: str
    payment_refnum: str
    amount: Decimal
    currency_code: str


class StockDetail(msgspec.Struct, frozen=True, array_like=True):
    """Units at one source: a facility (internal), a vendor (external) or a purchase order (inflight)."""

    quantity_type: str
    place: str
    available: int
    total: int


class StockLevel(msgspec.Struct, frozen=True, array_like=True):
    """The absolute stock of one SKU, as RetailOps stated it last."""

    quantity_available: int
    """Units over all sources, as they count for a vendor that is sent one figure; may be below 0 (R6)."""
    details: tuple[StockDetail, ...] = ()
    is_nowhere: bool = False
    """True when the push names the sources of its stock and none for this SKU: no place has a unit of it."""


class Obstacle(msgspec.Struct, frozen=True, array_like=True):
    """What at a vendor stands in the way of a fact, so that the fact can be sent once that is gone.

    `subject` names it as the gateway does: of a product the vendor lacks its SKU there.
    """

    code: Literal["product", "location", "lock"]
    subject: str


class StockChange(msgspec.Struct, frozen=True):
    """A SKU whose stock is owed to a gateway: what holds now, and what the gateway last accepted.

    `sent` is the gateway's own note (its JSON), None before the first time.
    """

    sku: str
    level: StockLevel
    sent: bytes | None = None
    doubted: tuple[StockDetail, ...] | None = None
    """After attempts, here or in another process, of which nobody knows how they ended: what they named, without
    units.  The vendor may have been told anything of that."""
    is_uncertain: bool = False
    """True when the vendor may have another figure than `sent` says: an equal figure is sent all the same."""
    was_refused: bool = False
    """True when the vendor refused or the gateway skipped the SKU last time: what is cached about it is read anew."""
    sent_at: datetime | None = None
    """When the vendor last answered for the SKU."""


class StockSent(msgspec.Struct, frozen=True):
    """What became of one `StockChange`: the note to keep, or a refusal's sentence."""

    sku: str
    sent: bytes
    refusal: str = ""
    is_skipped: bool = False
    """True when the vendor does not accept the level just now and need not: no news for RetailOps."""
    obstacles: tuple[Obstacle, ...] = ()
    """Why it was refused or skipped, where that can go away; then the level is owed again."""
    was_sent: bool = True
    """False when the vendor has the figure already and was not called."""
    attention: str = ""
    """A sentence for the operator, kept until the SKU is sent again."""


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record of the catalogue as RetailOps stated it; None is what was never stated (R26).

    `product_id` is RetailOps' id of the object and `source_type` what kind of object it is; `number` is ours,
    whole, stable and never given twice, for vendors that want integers.
    """

    sku: str = ""
    product_id: str = ""
    source_type: str = ""
    parent_sku: str = ""
    title: str | None = None
    description: str | None = None
    vendor: str | None = None
    price: Decimal | None = None
    sale_price: Decimal | None = None
    currency: str | None = None
    images: tuple[str, ...] | None = None
    url: str | None = None
    categories: tuple[str, ...] | None = None
    options: tuple[tuple[str, str], ...] | None = None
    """Name and value of what tells variants apart, such as colour."""
    requires_shipping: bool | None = None
    taxable: bool | None = None
    is_enabled: bool | None = None
    weight: Decimal | None = None
    ignored: Mapping[str, str] | None = None
    """Fields of the newest statement that could not be read, and why; each keeps the value it had before."""
    key: str = ""
    number: int = 0

    @property
    def pictures(self) -> tuple[str, ...]:
        """The pictures that can be fetched: their addresses name a host."""
        return tuple(image for image in self.images or () if image.startswith(("https://", "http://")))


class Product(msgspec.Struct, frozen=True):
    """A product with all of its variants; a simple product has none.

    A variant has what the groups between say of it, such as its colour; what the product says is in `units`.
    """

    item: Item
    variants: tuple[Item, ...] = ()

    @property
    def is_enabled(self) -> bool:
        """False when RetailOps switched it off, or every one of its variants."""
        parts = self.variants or (self.item,)
        return self.item.is_enabled is not False and any(part.is_enabled is not False for part in parts)

    @property
    def units(self) -> tuple[Item, ...]:
        """What can be bought: the variants, with what only the product states filled in, or the product itself."""
        return tuple(_priced(_inherited(self.item, variant)) for variant in self.variants) or (self.own,)

    @property
    def own(self) -> Item:
        """The product's own record, with its prices as they count."""
        return _priced(self.item)


_OWN = frozenset({"sku", "product_id", "source_type", "parent_sku", "key", "number", "is_enabled"})


def _inherited(product: Item, variant: Item) -> Item:
    missing = {
        name: value
        for name in Item.__struct_fields__
        if name not in _OWN and getattr(variant, name) is None and (value := getattr(product, name)) is not None
    }
    if product.is_enabled is False:
        missing["is_enabled"] = False
    return msgspec.structs.replace(variant, **missing)


def with_options(group: Iterable[tuple[str, str]], own: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The options of a group and those of a member of it, which win."""
    named = {name for name, _ in own}
    return (*(pair for pair in group if pair[0] not in named), *own)


def of_group(group: Item, member: Item) -> Item:
    """A member of a group that is no product itself, such as a size of a colour: the group's options are its too."""
    options = with_options(group.options or (), member.options or ())
    return msgspec.structs.replace(_inherited(group, member), options=options or member.options)


def _priced(item: Item) -> Item:
    """With prices as they count, for every vendor alike (R32): what is no price, or no reduction, is None.

    Decided here and not when a record is read, for a variant may bring the price to its product's sale price.
    """
    currency = item.currency or ""
    price = prices.price(item.price, currency)
    sale_price = prices.sale_price(item.sale_price, price, currency)
    if price is item.price and sale_price is item.sale_price:
        return item
    return msgspec.structs.replace(item, price=price, sale_price=sale_price)


class ProductChange(msgspec.Struct, frozen=True):
    """A product a gateway has not heard as it is now; `product` is None when it is no product any more.

    `sent` is the gateway's own note (its JSON) of what it last told, None before the first time.
    """

    key: str
    product: Product | None
    sent: bytes | None = None
    is_uncertain: bool = False
    """True when the vendor may have another state than `sent` says: an equal product is sent all the same."""
    is_in_doubt: bool = False
    """True when an earlier attempt, here or in another process, ended in a way nobody knows."""
    was_refused: bool = False
    """True when the vendor refused the product, or a part of it, the last time."""


class ProductSent(msgspec.Struct, frozen=True):
    """What became of one `ProductChange`: the note to keep, and of each refused SKU the sentence."""

    key: str
    sent: bytes
    refusals: tuple[Refusal, ...] = ()


class Wished(msgspec.Struct, frozen=True):
    """SKUs whose products a vendor's people want to be told anew, and up to when, by its clock, that is known.

    `is_all` is False when more is to be read from there on; `until_ms` None is never known.  `gone` are obstacles
    that stand in the way of a fact no more; `stock` are SKUs whose stock is to be sent again for another reason.
    """

    skus: tuple[str, ...]
    until_ms: int | None
    is_all: bool = True
    gone: tuple[Obstacle, ...] = ()
    stock: tuple[str, ...] = ()


class Refusal(msgspec.Struct, frozen=True):
    """A vendor's final no to one record of the catalogue."""

    reason: str
    sku: str = ""
    product_id: str = ""
    obstacles: tuple[Obstacle, ...] = ()
    """Why, where that can go away; then the product is owed again."""


class PurchaseLine(msgspec.Struct, frozen=True):
    """Units of a SKU as they were bought; `unit_price` is after all discounts and without tax."""

    line_refnum: str
    sku: str
    quantity: int
    unit_price: Decimal


class Purchase(msgspec.Struct, frozen=True):
    """What an observer is told of an order (R17), as the observer itself put it when the order was handed out.

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


CommandBody = (
    Acknowledgement | Package | Cancellation | Completion | Refund | Settlement | Restatement | ReturnedGoods | Purchase
)
"""The body of a verb that can be owed."""

COMMANDS: Mapping[str, type[CommandBody]] = {
    "acknowledge_order": Acknowledgement,
    "submit_shipment": Package,
    "correct_shipment": Package,
    "cancel_order": Cancellation,
    "complete_order": Completion,
    "settle_payment": Settlement,
    "update_order": Restatement,
    "return_order": Refund,
    "record_return": ReturnedGoods,
    "credit_payment": Refund,
    "refund_payment": Refund,
}
"""The business verbs that can be owed, and the body each one takes.

`record_return` tells what came back to a source that gives no money back itself; where it does, `return_order` does
both.  Three of them give money back and may be one call at the vendor; they differ in what they are for and
who decides (R10): a return, a credit, and what a cancellation or completion leaves unpaid-for.
"""

OBSERVATIONS: Mapping[str, type[CommandBody]] = {"report_purchase": Purchase}
"""What observers can be owed; only they carry it out, and nothing of it is ever told to RetailOps (R17)."""
