"""Reads what Rally sends: only what the contract names, leniently in form, never trusting a type (contract 3.3 to 3.5).

Nothing here raises for a value of the wrong kind except where money or units would be guessed: then `BadBody`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from app.domain.json_bodies import JsonReader, NotJson
from app.domain.texts import key_fault, mended
from app.gateways.rally.order_document import Address, Customer, PaymentMethod, Transaction

Json = Mapping[str, Any]

MOST_UNITS: Final = 1_000_000
MOST_MONEY: Final = Decimal(10) ** 9
_CENT: Final = Decimal("0.01")

_read = JsonReader(Decimal).read


class BadBody(Exception):
    """The body does not say what the hook needs."""


@dataclass(frozen=True)
class WantedLine:
    """Units of a product, or with `line_id` of a line that is there already."""

    line_id: str
    product_id: str
    variant_id: str
    quantity: int
    price: Decimal | None


@dataclass(frozen=True)
class AddedShipping:
    """What shipping post-purchase additions costs more."""

    subtotal: Decimal
    tax_amount: Decimal


def read_body(raw: bytes) -> Json:
    """The JSON object; empty for no body.  Raises `BadBody`."""
    if not raw.strip():
        return {}
    try:
        found, _ = _read(raw)
    except NotJson:
        raise BadBody from None
    if not isinstance(found, dict):
        raise BadBody
    return found


def text(value: object) -> str:
    """Free text, whole, with U+FFFD for what no database takes; numbers as they are written; anything else is empty."""
    if isinstance(value, str):
        return mended(value).strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def mapping(value: object) -> Json:
    """An object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def entries(value: object) -> list[Json]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def amount(value: object) -> Decimal:
    """Money.  Raises `BadBody`."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise BadBody
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise BadBody from None
    # Compared, not computed with: of a text like 1e999999 arithmetic would overflow.
    if not found.is_finite() or not -MOST_MONEY <= found <= MOST_MONEY:
        raise BadBody
    # Rally's numbers may be binary fractions; no currency has more than two decimals here.
    return found.quantize(_CENT, rounding=ROUND_HALF_UP)


def units(value: object) -> int:
    """A whole number of units, at least 0.  Raises `BadBody`."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise BadBody
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise BadBody from None
    if not found.is_finite() or found != found.to_integral_value() or not 0 <= found <= MOST_UNITS:
        raise BadBody
    return int(found)


def line_items(body: Json) -> list[WantedLine]:
    """Raises `BadBody` for a list with anything in it that is no line."""
    given = body.get("line_items")
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise BadBody
    return [
        WantedLine(
            text(item.get("external_id")),
            text(item.get("external_product_id")),
            text(item.get("external_variant_id")),
            units(item.get("quantity")),
            None if item.get("price") is None else amount(item["price"]),
        )
        for item in given
    ]


def address(value: object) -> Address | None:
    """None where nothing of it is known."""
    given = mapping(value)
    found = {name: text(given.get(name)) for name in Address.__struct_fields__}
    found["country_code"] = found["country_code"].upper()[:2]
    return Address(**found) if any(found.values()) else None


def shipping_address(body: Json) -> Address | None:
    """Wherever it stands."""
    return address(mapping(body.get("customer")).get("shipping_address")) or address(body.get("shipping_address"))


def billing_address(body: Json) -> Address | None:
    """Wherever it stands; the shipping address where the two are said to be one."""
    customer = mapping(body.get("customer"))
    found = address(customer.get("billing_address")) or address(body.get("billing_address"))
    if found is None and customer.get("is_billing_equal_shipping") is True:
        return shipping_address(body)
    return found


def customer(body: Json, known: Customer) -> Customer:
    """What is known of the customer, with what the body says laid over it."""
    given = mapping(body.get("customer"))
    said = {
        name: text(given[name]) for name in ("external_id", "email", "first_name", "last_name", "phone")
        if given.get(name) is not None
    }  # fmt: skip
    consent = mapping(given.get("consent")).get("email")
    accepts = consent if isinstance(consent, bool) else known.accepts_email
    return msgspec.structs.replace(known, **said, accepts_email=accepts)


def coupons(body: Json) -> list[str] | None:
    """The coupon codes wanted from now on, or None where the body says nothing about discounts."""
    if not isinstance(body.get("discounts"), list):
        return None
    codes = [text(row.get("name")) for row in entries(body["discounts"]) if row.get("type") == "coupon"]
    return list({code.casefold(): code for code in codes if code}.values())


def transactions(body: Json) -> list[Transaction]:
    """Raises `BadBody` for one without a readable amount.

    One without an id, or with one that cannot be a key, gets one made of its content: the money was taken.
    """
    found = []
    for item in entries(body.get("transactions")):
        given = item.get("external_id")
        own_id = "" if isinstance(given, str) and key_fault(given) else text(given)
        found.append(Transaction(external_id=own_id or f"tx-{digest(item)}", amount=amount(item.get("amount"))))
    return found


def payment_method(body: Json) -> PaymentMethod | None:
    given = mapping(body.get("payment_method"))
    found = PaymentMethod(
        method_name=text(given.get("payment_method_name")),
        processor_name=text(given.get("payment_processor_name")),
        card_brand=text(given.get("card_brand")),
        last4=text(given.get("last4"))[:4],
    )
    return found if given else None


def added_shipping(body: Json) -> AddedShipping | None:
    """`shipping_costs.new`, or None where it costs nothing.  Raises `BadBody`."""
    given = mapping(mapping(body.get("shipping_costs")).get("new"))
    if not given:
        return None
    tax = amount(given.get("tax_amount") or 0)
    total = amount(given["total"]) if given.get("total") is not None else amount(given.get("subtotal") or 0) + tax
    subtotal = amount(given["subtotal"]) if given.get("subtotal") is not None else total - tax
    if total <= 0:
        return None
    if subtotal < 0 or tax < 0:
        raise BadBody
    return AddedShipping(subtotal, tax)


def is_under_review(body: Json) -> bool | None:
    """Whether the body puts the order under fraud review or takes it out; None where it says nothing."""
    if "fraud_review_transaction" not in body:
        return None
    return bool(body["fraud_review_transaction"])


def digest(*parts: object) -> str:
    """What tells one content from another."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:24]


def texts(values: object) -> Iterator[str]:
    """The texts of a list."""
    for value in values if isinstance(values, list) else ():
        if found := text(value):
            yield found
