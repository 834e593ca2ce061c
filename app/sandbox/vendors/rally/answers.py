"""What a connector must answer to each hook, because a checkout that misreads an answer loses the shopper."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal

import msgspec

from app.sandbox.bodies import Json
from app.sandbox.vendors.rally.findings import FOLDER, Findings, look_at
from app.sandbox.vendors.rally.step_requests import Call

CENT = Decimal("0.005")
"""Sums may differ by less than this: a cent that was rounded the other way."""
REGISTER = "register/callback"
"""The only topic that is called without a registration."""


class Hook(msgspec.Struct, frozen=True):
    """The verb the contract names for a topic, the shape of a good answer, and what the `:resourceId` is of."""

    method: str
    answer: str
    about: Literal["cart", "order", ""] = ""


class Topics(msgspec.Struct, frozen=True):
    """What may be called on either side: hooks by topic, codes of a refusal by status, and webhooks."""

    hooks: dict[str, Hook]
    errors: dict[int, list[str]]
    webhooks: list[str]


TOPICS = msgspec.json.decode((FOLDER / "topics.json").read_bytes(), type=Topics)


def examine_refusal(status: int, answer: object) -> Findings:
    """Looks at an answer that is not 200."""
    stated = answer if isinstance(answer, dict) else {}
    names_goods = stated.get("error_code") == "out_of_stock" and (status == 422 or "meta" in stated)
    found = look_at("OutOfStock" if names_goods else "Error", answer)
    codes = TOPICS.errors.get(status)
    if codes is None:
        found.refuse("status", f"{status} is not in the error contract")
    elif isinstance(answer, dict) and answer.get("error_code") not in codes:
        found.refuse("error_code", f"must be one of {', '.join(codes)} with status {status}")
    return found


def examine(call: Call, organization_id: str, answer: Any) -> Findings:
    """Looks at an answer with status 200: first its shape, then what its parts say of each other."""
    shape = "UnplacedOrder" if call.places_nothing else TOPICS.hooks[call.topic].answer
    found = look_at(shape, answer)
    if found.problems:
        return found
    for owned in answer if isinstance(answer, list) else [answer]:
        if owned.get("organization_id", "") not in ("", organization_id):
            found.refuse("organization_id", "must be empty or the organisation of the request")
    match shape:
        case "Cart":
            _examine_cart(call.resource_id, answer, found)
        case "Order" | "CreatedOrder" | "UnplacedOrder":
            _examine_order(call, answer, found)
        case "Products":
            for position, product in enumerate(answer):
                _examine_product(product, position, found)
        case "OrderPage":
            _examine_page(answer, found)
    return found


def _examine_cart(cart_id: str, cart: Json, found: Findings) -> None:
    if cart_id and cart["external_id"] != cart_id:
        found.refuse("external_id", "is another cart than the one requested")
    offered = {line["external_id"]: line for line in cart["shipping_lines"]}
    chosen = cart["selected_shipping_line_external_id"]
    if chosen and chosen not in offered:
        found.refuse("selected_shipping_line_external_id", "is none of shipping_lines")
    _examine_lines(cart, found)
    shipping = offered.get(chosen or "", {"subtotal": 0, "total": 0, "tax_amount": 0})
    taxes = _sum(cart["line_items"], "tax_amount") + shipping["tax_amount"]
    if not any(_is_equal(cart["shipping_total"], shipping[name]) for name in ("subtotal", "total")):
        found.warn("shipping_total", "is neither subtotal nor total of the chosen line")
    if not _is_equal(_total(cart, shipping["subtotal"], cart["handling_total"], taxes), cart["total"]):
        found.warn("total", "is not subtotal + shipping + handling + taxes - discounts")
    _examine_taxes(cart, taxes, found)


def _examine_order(call: Call, order: Json, found: Findings) -> None:
    own = "cart_id" if call.topic == "order/create" else "external_id"
    if order[own] != call.resource_id:
        found.refuse(own, "is another one than Rally named")
    _examine_lines(order, found)
    shipping = order["shipping_cost"]
    if bool(shipping) != bool(order["shipping_lines"]) or (shipping and shipping != order["shipping_lines"][0]):
        found.warn("shipping_cost", "is not the one of shipping_lines")
    extra = [part for part in (shipping, order.get("handling_fee")) if part]
    if not _is_equal(_total(order, order["tax_amount"], _sum(extra, "subtotal")), order["total"]):
        found.warn("total", "is not subtotal + shipping + tax_amount - discounts")
    _examine_taxes(order, order["tax_amount"], found)


def _examine_lines(holder: Json, found: Findings) -> None:
    lines = holder["line_items"]
    if len({line["external_id"] for line in lines}) != len(lines):
        found.refuse("line_items", "holds one external_id twice")
    for position, line in enumerate(lines):
        if not _is_equal(line["subtotal"] + line["tax_amount"] - line["discount_amount"], line["total"]):
            found.warn(f"line_items.{position}.total", "is not subtotal + tax_amount - discount_amount")
        if not _is_equal(line["discounted_price"] * line["quantity"], line["subtotal"]):
            found.warn(f"line_items.{position}.subtotal", "is not discounted_price times quantity")
    if not _is_equal(_sum(lines, "subtotal"), holder["subtotal"]):
        found.warn("subtotal", "is not the sum of the lines' subtotals")


def _examine_taxes(holder: Json, whole: Decimal | int, found: Findings) -> None:
    if not _is_equal(_sum(holder["taxes"], "tax_amount"), whole):
        found.warn("taxes", "do not add up to the tax of lines and shipping")


def _examine_product(product: Json, position: int, found: Findings) -> None:
    known = {value["external_id"] for option in product["options"] for value in option["option_value"]}
    for place, variant in enumerate(product["variants"]):
        if any(value["product_option_value_id"] not in known for value in variant["option_values"]):
            found.refuse(f"{position}.variants.{place}.option_values", "names no option value of the product")
    ids = [variant["external_id"] for variant in product["variants"]]
    if len(set(ids)) != len(ids):
        found.refuse(f"{position}.variants", "holds one external_id twice")


def _examine_page(page: Json, found: Findings) -> None:
    moments: list[int] = [row["created_at"] for row in page["data"]]
    if moments != sorted(moments, reverse=True):
        found.refuse("data", "must be newest first")
    if len(page["data"]) > page["per_page"]:
        found.refuse("data", "holds more than per_page")


def _total(holder: Json, *extra: Decimal | int) -> Decimal:
    """What goods, taxes and shipping cost together after the discounts."""
    return sum(extra, Decimal(holder["subtotal"])) - _sum(holder["discounts"], "amount")


def _sum(rows: Iterable[Json], name: str) -> Decimal:
    return sum((row[name] for row in rows), Decimal())


def _is_equal(one: Decimal | int, other: Decimal | int) -> bool:
    return abs(Decimal(one) - other) < CENT
