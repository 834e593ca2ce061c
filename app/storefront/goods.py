"""Goods of the catalogue as the shop sells them: what can be bought, for how much, and how many units (R25)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection

from app.domain.catalogue import Item, Product
from app.domain.texts import key_fault
from app.records import catalogue
from app.storefront.options import ShopOptions
from app.storefront.order_document import Line
from app.storefront.pricing import ZERO
from app.storefront.reservations import sellable
from app.storefront.shop import Shop

BLANKS: Final = " \t\r\n"
"""A SKU of nothing else may stand in no line of an order (SDK contract 2.5)."""


@dataclass(frozen=True)
class Unit:
    """What can be put into a cart: a variant, or a product that has none."""

    product: Product
    item: Item
    sellable: int

    @property
    def product_key(self) -> str:
        return self.product.item.key


def is_buyable(item: Item, options: ShopOptions) -> bool:
    """True for what has a SKU that RetailOps takes and a price in the shop's currency, and is not switched off."""
    return (
        bool(item.sku.strip(BLANKS))
        and item.is_enabled is not False
        and item.price is not None
        and (item.currency or options.currency).upper() == options.currency
    )


def find_units(connection: Connection, shop: Shop, requested: Iterable[tuple[str, str]]) -> list[Unit | None]:
    """For each (product id, variant id) what it names, or None where it cannot be bought.

    Ids are ours (`Item.key`); a SKU in their place is understood too, because that is what a storefront knows.
    A variant id that is empty or the product's means a product without variants (Rally contract 4.3).
    """
    pairs = list(requested)
    names = {name for pair in pairs for name in pair if name and not key_fault(name)}
    by_key = catalogue.of_keys(connection, shop.channel, names)
    by_sku = catalogue.of_skus(connection, shop.channel, names - set(by_key))
    found = [_unit(product_id, variant_id, by_key, by_sku) for product_id, variant_id in pairs]
    buyable = [pair if pair and is_buyable(pair[1], shop.options) else None for pair in found]
    units = sellable(connection, shop.channel, shop.source, {pair[1].sku for pair in buyable if pair})
    return [Unit(pair[0], pair[1], units[pair[1].sku]) if pair else None for pair in buyable]


def find_products(connection: Connection, channel: str, name: str, title: str | None, limit: int) -> list[Product]:
    """Products by id (or SKU), else by a part of the title; none where neither is given."""
    if name and key_fault(name):
        return []
    if name:
        found = list(catalogue.of_keys(connection, channel, [name]).values())
        return found or [product for product, _ in catalogue.of_skus(connection, channel, [name]).values()]
    return [] if title is None else catalogue.search(connection, channel, title, limit)


def find_categories(connection: Connection, channel: str, path: str, title: str | None, limit: int) -> list[str]:
    """Whole paths of categories by one of them, else by a part of it; none where neither is given."""
    paths = list(catalogue.category_numbers(connection, channel))
    if path:
        return [known for known in paths if known == path]
    return [] if title is None else [known for known in paths if title.casefold() in known.casefold()][:limit]


def units_of_skus(connection: Connection, shop: Shop, skus: Collection[str]) -> dict[str, Unit | None]:
    """What each SKU names, None where it is not sold; a SKU that the catalogue does not have is left out."""
    known = catalogue.of_skus(connection, shop.channel, skus)
    units = sellable(connection, shop.channel, shop.source, known)
    return {
        sku: Unit(product, item, units[sku]) if is_buyable(item, shop.options) else None
        for sku, (product, item) in known.items()
    }


def _unit(
    product_id: str, variant_id: str, by_key: Mapping[str, Product], by_sku: Mapping[str, tuple[Product, Item]]
) -> tuple[Product, Item] | None:
    if variant_id and variant_id != product_id:
        if variant_id in by_sku:
            return by_sku[variant_id]
        product = by_key.get(variant_id)
        return next(((product, unit) for unit in product.units if unit.key == variant_id), None) if product else None
    if product_id in by_sku:
        return by_sku[product_id]
    product = by_key.get(product_id)
    if product is None:
        return None
    unit = next((unit for unit in product.units if unit.key == product_id), None)
    if unit is None and len(product.units) == 1:
        unit = product.units[0]
    return None if unit is None else (product, unit)


def line_of(unit: Unit, line: Line | None, *, external_id: str = "", quantity: int = 0) -> Line:
    """A new line of this unit, or `line` as the catalogue has its unit now."""
    list_price = unit.item.price or ZERO
    charged = discounted_price(unit.item)
    if line is not None and line.is_price_given:
        list_price, charged = max(list_price, line.discounted_price), line.discounted_price
    return new_line(
        unit.product_key,
        unit.item,
        external_id=line.external_id if line else external_id,
        sku=unit.item.sku,
        quantity=line.quantity if line else quantity,
        price=list_price,
        discounted_price=charged,
        is_price_given=bool(line and line.is_price_given),
    )


def new_line(product_key: str, item: Item, *, sku: str, **more: Any) -> Line:
    """A line of this SKU, described as the catalogue describes the item; `more` are units and prices."""
    return Line(
        product_key=product_key,
        variant_key=item.key,
        sku=sku,
        title=item.title or sku,
        vendor=item.vendor or "",
        image=(item.pictures or ("",))[0],
        requires_shipping=item.requires_shipping is not False,
        taxable=item.taxable is not False,
        options=item.options or (),
        categories=item.categories or (),
        **more,
    )


def discounted_price(item: Item) -> Decimal:
    """What a unit costs: its sale price where it has one (`domain.catalogue.Product` says whether it counts)."""
    return (item.price or ZERO) if item.sale_price is None else item.sale_price
