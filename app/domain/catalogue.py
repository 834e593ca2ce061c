"""Products of the catalogue as RetailOps stated them, a change to be sent, and what became of it.

Prices are `Decimal` in the item's currency.  Items are kept in the database as JSON: a field is only ever added with a
default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from app.domain import prices
from app.domain.facts import Obstacle


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
    """Name and value of what distinguishes variants, such as colour."""
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
_OF_CURRENCY = frozenset({"price", "sale_price"})


def _inherited(product: Item, variant: Item) -> Item:
    # An amount means what it says in its own currency alone.
    is_other_money = None not in (product.currency, variant.currency) and product.currency != variant.currency
    own = _OWN | _OF_CURRENCY if is_other_money else _OWN
    missing = {
        name: value
        for name in Item.__struct_fields__
        if name not in own and getattr(variant, name) is None and (value := getattr(product, name)) is not None
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
    """A product a gateway has not received as it is now; `product` is None when it is no product any more.

    `sent` is the gateway's own note (its JSON) of what it last sent, None before the first time.
    """

    key: str
    product: Product | None
    sent: bytes | None = None
    is_uncertain: bool = False
    """True when the vendor may have another state than `sent` says: an equal product is sent all the same."""
    is_in_doubt: bool = False
    """True when an earlier attempt, here or in another process, ended with an unknown outcome."""
    was_refused: bool = False
    """True when the vendor refused the product, or a part of it, the last time."""


class ProductSent(msgspec.Struct, frozen=True):
    """What became of one `ProductChange`: the note to keep, and of each refused SKU the sentence."""

    key: str
    sent: bytes
    refusals: tuple[Refusal, ...] = ()


class Refusal(msgspec.Struct, frozen=True):
    """A vendor's final no to one record of the catalogue."""

    reason: str
    sku: str = ""
    product_id: str = ""
    obstacles: tuple[Obstacle, ...] = ()
    """Why, where that can go away; then the product is owed again."""
