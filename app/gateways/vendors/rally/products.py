"""The catalogue as Rally sees it: products, what of them can be bought, and how many units (contract 4.7, R25)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection

from app.domain import stock_levels
from app.domain.catalogue import Item, Product
from app.domain.texts import key_fault
from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.vendors.rally.order_document import Line
from app.gateways.vendors.rally.pricing import rounded
from app.gateways.vendors.rally.shop import GATEWAY
from app.records import catalogue, reservations, stock

Json = dict[str, Any]

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


def sellable(connection: Connection, channel: str, skus: Collection[str]) -> dict[str, int]:
    """Units by SKU that may be sold now: RetailOps' figure less what orders hold, never below 0 (R25).

    A SKU whose stock RetailOps never stated has 0.
    """
    levels = stock.levels_of(connection, channel, GATEWAY, skus)
    held = reservations.reserved_units(connection, channel, skus)
    return {
        sku: stock_levels.sellable(levels[sku].quantity_available, held.get(sku, 0)) if sku in levels else 0
        for sku in set(skus)
    }


def is_buyable(item: Item, options: RallyOptions) -> bool:
    """True for what has a SKU that RetailOps takes and a price in the shop's currency, and is not switched off."""
    return (
        bool(item.sku.strip(BLANKS))
        and item.is_enabled is not False
        and item.price is not None
        and (item.currency or options.currency).upper() == options.currency
    )


def find_units(
    connection: Connection, channel: str, wanted: Sequence[tuple[str, str]], options: RallyOptions
) -> list[Unit | None]:
    """For each (product id, variant id) what it names, or None where it cannot be bought.

    Ids are ours (`Item.key`); a SKU in their place is understood too, because that is what a storefront knows.
    A variant id that is empty or the product's means a product without variants (contract 4.3).
    """
    names = {name for pair in wanted for name in pair if name and not key_fault(name)}
    by_key = catalogue.of_keys(connection, channel, names)
    by_sku = catalogue.of_skus(connection, channel, names - set(by_key))
    found = [_unit(product_id, variant_id, by_key, by_sku) for product_id, variant_id in wanted]
    buyable = [pair if pair and is_buyable(pair[1], options) else None for pair in found]
    units = sellable(connection, channel, {pair[1].sku for pair in buyable if pair})
    return [Unit(pair[0], pair[1], units[pair[1].sku]) if pair else None for pair in buyable]


def units_of_skus(
    connection: Connection, channel: str, skus: Collection[str], options: RallyOptions
) -> dict[str, Unit | None]:
    """What each SKU names, None where it is not sold; a SKU that the catalogue does not have is left out."""
    known = catalogue.of_skus(connection, channel, skus)
    units = sellable(connection, channel, known)
    return {
        sku: Unit(product, item, units[sku]) if is_buyable(item, options) else None
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
    item = unit.item
    list_price = item.price or Decimal(0)
    charged = discounted_price(item)
    if line is not None and line.is_price_given:
        list_price, charged = max(list_price, line.discounted_price), line.discounted_price
    return Line(
        external_id=line.external_id if line else external_id,
        product_key=unit.product_key,
        variant_key=item.key,
        sku=item.sku,
        quantity=line.quantity if line else quantity,
        price=list_price,
        discounted_price=charged,
        title=item.title or item.sku,
        vendor=item.vendor or "",
        image=(item.pictures or ("",))[0],
        requires_shipping=item.requires_shipping is not False,
        taxable=item.taxable is not False,
        options=item.options or (),
        categories=item.categories or (),
        is_price_given=bool(line and line.is_price_given),
    )


def discounted_price(item: Item) -> Decimal:
    """What a unit costs: its sale price where it has one (`words.Product` says whether it counts)."""
    return (item.price or Decimal(0)) if item.sale_price is None else item.sale_price


def product_json(product: Product, sellable_units: Mapping[str, int], options: RallyOptions) -> Json | None:
    """Rally's Product with all variants that can be bought; None when none can."""
    units = [unit for unit in product.units if is_buyable(unit, options)]
    if product.item.is_enabled is False or not units:
        return None
    item, has_variants = product.item, bool(product.variants)
    images = item.pictures or next((unit.pictures for unit in units if unit.pictures), ())
    names = list(dict.fromkeys(name for unit in units for name, _ in unit.options or ())) if has_variants else []
    return {
        "organization_id": options.organization_id,
        "external_id": item.key,
        "title": item.title or units[0].title or units[0].sku,
        "body_html": item.description or "",
        "vendor": item.vendor or "",
        "product_type": "digital" if all(unit.requires_shipping is False for unit in units) else "physical",
        "inventory_quantity": 0 if has_variants else sellable_units.get(units[0].sku, 0),
        "inventory_management": "variant" if has_variants else "product",
        "img_src": images[0] if images else "",
        "is_subscription_only": False,
        "options": [_option_json(name, at, units) for at, name in enumerate(names, 1)],
        "variants": [
            _variant_json(unit, at, sellable_units.get(unit.sku, 0), has_variants, options)
            for at, unit in enumerate(units, 1)
        ],
        "images": _images_json(images),
    }


def _option_json(name: str, position: int, units: Sequence[Item]) -> Json:
    values = dict.fromkeys(value for unit in units for known, value in unit.options or () if known == name)
    return {
        "external_id": name,
        "name": name,
        "position": position,
        "option_value": [
            {"external_id": _value_id(name, value), "name": value, "position": at} for at, value in enumerate(values, 1)
        ],
    }


def _value_id(name: str, value: str) -> str:
    return f"{name}:{value}"


def _variant_json(item: Item, position: int, units: int, has_variants: bool, options: RallyOptions) -> Json:
    return {
        "external_id": item.key,
        "external_sku": item.sku,
        "inventory_quantity": units,
        "position": position,
        "requires_shipping": item.requires_shipping is not False,
        "taxable": item.taxable is not False,
        "images": _images_json(item.pictures),
        "option_values": [
            {"product_option_value_id": _value_id(name, value)} for name, value in item.options or () if has_variants
        ],
        "prices": [
            {
                "currency": options.currency,
                "price": rounded(item.price or Decimal(0), options.currency),
                "discounted_price": rounded(discounted_price(item), options.currency),
            }
        ],
    }


def _images_json(images: Sequence[str]) -> list[Json]:
    return [{"external_id": src, "src": src, "position": at} for at, src in enumerate(images, 1)]


def category_json(path: str, options: RallyOptions) -> Json:
    """Rally's Category; a category is known by its whole path."""
    return {
        "organization_id": options.organization_id,
        "external_id": path,
        "title": path,
        "image_url": "",
        "meta": "",
    }


def search_products(
    connection: Connection, channel: str, product_id: str, title: str | None, options: RallyOptions
) -> list[Json]:
    """Products by id (or SKU), else by a part of the title; none where neither is given (contract 3.1)."""
    if product_id and key_fault(product_id):
        return []
    if product_id:
        found = list(catalogue.of_keys(connection, channel, [product_id]).values())
        found = found or [product for product, _ in catalogue.of_skus(connection, channel, [product_id]).values()]
    elif title is not None:
        found = catalogue.search(connection, channel, title, options.products_per_search)
    else:
        return []
    units = sellable(connection, channel, {unit.sku for product in found for unit in product.units if unit.sku})
    shown = [product_json(product, units, options) for product in found]
    return [item for item in shown if item is not None]


def search_categories(
    connection: Connection, channel: str, category_id: str, title: str | None, options: RallyOptions
) -> list[Json]:
    """Categories by id, else by a part of the title."""
    paths = list(catalogue.category_numbers(connection, channel))
    if category_id:
        paths = [path for path in paths if path == category_id]
    elif title is not None:
        paths = [path for path in paths if title.casefold() in path.casefold()]
    else:
        return []
    return [category_json(path, options) for path in paths[: options.products_per_search]]
