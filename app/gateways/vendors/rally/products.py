"""The catalogue as Rally sees it: products, what of them can be bought, and how many units (contract 4.7, R25)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from sqlalchemy import Connection

from app.domain.catalogue import Item, Product
from app.gateways.vendors.rally.merchant import GATEWAY
from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.wire_objects import Json
from app.storefront.goods import discounted_price, find_categories, find_products, is_buyable
from app.storefront.pricing import rounded
from app.storefront.reservations import sellable


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
    found = find_products(connection, channel, product_id, title, options.products_per_search)
    skus = {unit.sku for product in found for unit in product.units if unit.sku}
    units = sellable(connection, channel, GATEWAY, skus)
    shown = [product_json(product, units, options) for product in found]
    return [item for item in shown if item is not None]


def search_categories(
    connection: Connection, channel: str, category_id: str, title: str | None, options: RallyOptions
) -> list[Json]:
    """Categories by id, else by a part of the title."""
    paths = find_categories(connection, channel, category_id, title, options.products_per_search)
    return [category_json(path, options) for path in paths]
