"""Reads what Rally sends: only what the contract names, leniently in form, never trusting a type (contract 3.3 to 3.5).

Nothing here raises for a value of the wrong kind except where money or units would be guessed: then `BadBody`.
A field that decides nothing in a hook is not read for it.  Ids are opaque: kept and compared as they came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from flask import request

from app.domain.countries import country_code
from app.domain.json_bodies import JsonReader, NotJson
from app.domain.lenient_values import BadBody, Json, amount, entries, identifier, mapping, text, units
from app.domain.texts import mended
from app.gateways.vendors.rally.merchant import Merchant
from app.storefront.order_document import Address
from app.storefront.requests import RequestedLine, ShopperNews, StatedLine

OFFERS_ONLY: Final = "X-Rally-Offers-Only"

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Ids of carts and orders are ours; what looks otherwise is none."""

_read = JsonReader(Decimal).read


class HookRequest:
    """One verified request."""

    def __init__(self, merchant: Merchant, topic: str, raw: bytes, resource_id: str) -> None:
        self.merchant = merchant
        self.topic = topic
        self.raw = raw
        self.resource_id = resource_id if _ID.fullmatch(resource_id) else ""
        self.is_offers_only = request.headers.get(OFFERS_ONLY, "").strip().casefold() in ("1", "true", "yes")

    def body(self) -> Json:
        """Raises `BadBody`."""
        return read_body(self.raw)


def read_body(raw: bytes) -> Json:
    """The JSON object; empty for no body.  Half a character costs its text alone (R6).  Raises `BadBody`."""
    if not raw.strip():
        return {}
    try:
        found, _ = _read(raw)
    except NotJson:
        raise BadBody from None
    if not isinstance(found, dict):
        raise BadBody
    return found


def line_items(body: Json, *, takes_price: bool = False) -> list[RequestedLine]:
    """Raises `BadBody` for a list with anything in it that is no line.

    A price that cannot be read is a fault only where it decides: with `takes_price`.  Goods are named as Rally names
    them, or as the storefront does to Rally's button: by `product_id` and `variant_id`, by a product with `variants`,
    each of which is a line (contract 9), or by `sku` alone.
    """
    return [
        RequestedLine(
            identifier(item.get("external_id")),
            *_goods(item),
            units(item.get("quantity")),
            _price(item.get("price"), takes_price),
        )
        for item in _bare(_lines(body))
    ]


def _goods(item: Json) -> tuple[str, str]:
    """Ids of product and variant; a SKU counts where neither is stated."""
    product_id = identifier(item.get("external_product_id")) or identifier(item.get("product_id"))
    variant_id = identifier(item.get("external_variant_id")) or identifier(item.get("variant_id"))
    return (product_id, variant_id) if product_id or variant_id else (identifier(item.get("sku")), "")


def _bare(lines: Sequence[Json]) -> Iterator[Json]:
    """The lines; of one that has variants and no quantity of its own each variant is one."""
    for item in lines:
        if item.get("quantity") is None and item.get("variants"):
            yield from ({**item, **variant} for variant in _objects(item["variants"]))
        else:
            yield item


def _price(value: object, is_needed: bool) -> Decimal | None:
    try:
        return None if value is None else amount(value)
    except BadBody:
        if is_needed:
            raise
        return None


def stated_lines(body: Json) -> list[StatedLine]:
    """The lines `order/create` names.  Raises `BadBody` for a list with anything in it that is no line."""
    return [
        StatedLine(
            identifier(item.get("external_id")),
            identifier(item.get("external_product_id")),
            identifier(item.get("external_variant_id")),
            identifier(item.get("sku")),
            None if item.get("quantity") is None else units(item["quantity"]),
        )
        for item in _lines(body)
    ]


def _lines(body: Json) -> list[Json]:
    given = body.get("line_items")
    return [] if given is None else _objects(given)


def _objects(given: object) -> list[Json]:
    """A list of objects.  Raises `BadBody` for anything else."""
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise BadBody
    return given


def address(value: object) -> Address | None:
    """None where nothing of it is known.

    A code that is no country's is not guessed: it is kept as the country's name where no name is stated.
    """
    given = mapping(value)
    found = {name: text(given.get(name)) for name in Address.__struct_fields__}
    found["external_id"] = mended(identifier(given.get("external_id")))
    stated = found["country_code"]
    found["country_code"] = country_code(stated)
    if not found["country_code"]:
        found["country"] = found["country"] or stated
    return Address(**found) if any(found.values()) else None


def _address_of(body: Json, name: str) -> Address | None:
    """Wherever it stands."""
    return address(mapping(body.get("customer")).get(name)) or address(body.get(name))


def customer(body: Json) -> dict[str, Any]:
    """What the body states of the customer, by fields of `Customer`."""
    given = mapping(body.get("customer"))
    stated: dict[str, Any] = {
        name: text(given[name]) for name in ("email", "first_name", "last_name", "phone")
        if given.get(name) is not None
    }  # fmt: skip
    if given.get("external_id") is not None:
        stated["external_id"] = mended(identifier(given["external_id"]))
    consent = mapping(given.get("consent")).get("email")
    return stated | ({"accepts_email": consent} if isinstance(consent, bool) else {})


def shopper(body: Json) -> ShopperNews:
    """What the body states of customer, addresses, shipping and notes."""
    notes = text(body["notes"]) if body.get("notes") is not None else None
    shipping = _address_of(body, "shipping_address")
    billing = _address_of(body, "billing_address")
    is_same = mapping(body.get("customer")).get("is_billing_equal_shipping")
    shipping_line = identifier(body.get("selected_shipping_line_external_id"))
    return ShopperNews(
        customer(body), billing, shipping, shipping_line, notes, is_same if isinstance(is_same, bool) else None
    )


def coupons(body: Json) -> list[str] | None:
    """The coupon codes from now on, or None where the body does not mention discounts."""
    if not isinstance(body.get("discounts"), list):
        return None
    codes = [text(row.get("name")) for row in entries(body["discounts"]) if row.get("type") == "coupon"]
    return list({code.casefold(): code for code in codes if code}.values())


def is_under_review(body: Json) -> bool | None:
    """Whether the body puts the order under fraud review or takes it out; None where it does not mention that."""
    if "fraud_review_transaction" not in body:
        return None
    return bool(body["fraud_review_transaction"])
