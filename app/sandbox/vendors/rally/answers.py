"""What a connector must answer to each hook, because a checkout that misreads an answer loses the shopper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from app.sandbox.bodies import Json
from app.sandbox.vendors.rally import objects
from app.sandbox.vendors.rally.fields import Check, Findings, array, count, country, filled, look_at, record, text

_CENT = Decimal("0.005")


class Topic(NamedTuple):
    """A hook: the verb the contract names and a good answer's shape."""

    method: str
    check: Check


def _zones(value: object, place: str, found: Findings) -> None:
    """3.7: country code to states, and one boolean among them."""
    if not isinstance(value, dict):
        found.refuse(place, "must be an object")
        return
    if not isinstance(value.get("REST_OF_WORLD"), bool):
        found.refuse("REST_OF_WORLD", "must be there and a boolean")
    zone = record({"states": array(text)})
    for code, states in value.items():
        if code != "REST_OF_WORLD":
            country(code, code, found)
            zone(states, code, found)


TOPICS: Mapping[str, Topic] = {
    "cart/create": Topic("post", objects.cart),
    "cart/fetch": Topic("post", objects.cart),
    "cart/update": Topic("put", objects.cart),
    "cart/add": Topic("post", objects.cart),
    "cart/remove": Topic("post", objects.cart),
    "order/create": Topic("post", objects.created_order),
    "order/update": Topic("put", objects.order),
    "order/fetch": Topic("get", objects.order),
    "orders/list": Topic("get", objects.order_page),
    "products/fetch": Topic("post", array(objects.product)),
    "categories/fetch": Topic("post", array(objects.category)),
    "shipping_zones/fetch": Topic("get", _zones),
    "store_information/fetch": Topic("get", objects.store),
}
"""The thirteen of contract 3.1."""

REGISTER = "register/callback"
_REGISTERED = Topic("post", objects.registered_store)

ERRORS: Mapping[int, tuple[str, ...]] = {
    406: ("platform_unavailable",),
    502: ("platform_unavailable",),
    404: ("order_not_found",),
    412: ("out_of_stock", "unknown"),
    422: (
        "cart_not_found",
        "cart_contains_only_digital_items",
        "invalid_discount_code",
        "cart_has_been_updated",
        "out_of_stock",
        "ppo_add_error",
    ),
}
"""Error contract 3.8."""

_error = record({"error": filled, "error_code": filled}, {"meta": lambda value, place, found: None})
_remaining = array(record({"product_id": filled, "variant_id": text, "quantity": count}), at_least=1)


def topic_named(name: str) -> Topic | None:
    """One of the thirteen or `register/callback`."""
    return _REGISTERED if name == REGISTER else TOPICS.get(name)


def examine_refusal(status: int, answer: object) -> Findings:
    """Looks at an answer that is not 200."""
    found = look_at(answer, _error)
    codes = ERRORS.get(status)
    if codes is None:
        found.refuse("status", f"{status} is not in the error contract")
    elif isinstance(answer, dict) and answer.get("error_code") not in codes:
        found.refuse("error_code", f"must be one of {', '.join(codes)} with status {status}")
    if isinstance(answer, dict) and answer.get("error_code") == "out_of_stock" and (status == 422 or "meta" in answer):
        _remaining(answer.get("meta"), "meta", found)
    return found


def examine(name: str, organization_id: str, resource_id: str, answer: Any, *, names_payment: bool = True) -> Findings:
    """Looks at an answer with status 200: first its shape, then what its parts say of each other.

    `names_payment` says whether the request had a payment method: without one `order/create` places nothing.
    """
    topic = topic_named(name)
    assert topic is not None
    is_unplaced = name == "order/create" and not names_payment
    found = look_at(answer, objects.unplaced_order if is_unplaced else topic.check)
    if found.problems:
        return found
    for owned in answer if isinstance(answer, list) else [answer]:
        if isinstance(owned, dict) and owned.get("organization_id", "") not in ("", organization_id):
            found.refuse("organization_id", "must be empty or the organisation of the request")
    if name.startswith("cart/"):
        _examine_cart(resource_id, answer, found)
    elif name in ("order/create", "order/update", "order/fetch"):
        _examine_order(name, resource_id, answer, found)
    elif name == "products/fetch":
        for position, product in enumerate(answer):
            _examine_product(product, position, found)
    elif name == "orders/list":
        _examine_page(answer, found)
    return found


def _examine_cart(cart_id: str, cart: Any, found: Findings) -> None:
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
    whole = Decimal(cart["subtotal"]) + shipping["subtotal"] + cart["handling_total"] + taxes
    if not _is_equal(whole - _sum(cart["discounts"], "amount"), cart["total"]):
        found.warn("total", "is not subtotal + shipping + handling + taxes - discounts")
    _examine_taxes(cart["taxes"], taxes, found)


def _examine_order(name: str, resource_id: str, order: Any, found: Findings) -> None:
    own = "cart_id" if name == "order/create" else "external_id"
    if order[own] != resource_id:
        found.refuse(own, "is another one than Rally named")
    _examine_lines(order, found)
    shipping = order["shipping_cost"]
    if bool(shipping) != bool(order["shipping_lines"]) or (shipping and shipping != order["shipping_lines"][0]):
        found.warn("shipping_cost", "is not the one of shipping_lines")
    extra = [part for part in (shipping, order.get("handling_fee")) if part]
    whole = Decimal(order["subtotal"]) + order["tax_amount"] + _sum(extra, "subtotal")
    if not _is_equal(whole - _sum(order["discounts"], "amount"), order["total"]):
        found.warn("total", "is not subtotal + shipping + tax_amount - discounts")
    _examine_taxes(order["taxes"], Decimal(order["tax_amount"]), found)


def _examine_lines(holder: Any, found: Findings) -> None:
    lines = holder["line_items"]
    if len({line["external_id"] for line in lines}) != len(lines):
        found.refuse("line_items", "holds one external_id twice")
    for position, line in enumerate(lines):
        whole = Decimal(line["subtotal"]) + line["tax_amount"] - line["discount_amount"]
        if not _is_equal(whole, line["total"]):
            found.warn(f"line_items.{position}.total", "is not subtotal + tax_amount - discount_amount")
        if not _is_equal(Decimal(line["discounted_price"]) * line["quantity"], line["subtotal"]):
            found.warn(f"line_items.{position}.subtotal", "is not discounted_price times quantity")
    if not _is_equal(_sum(lines, "subtotal"), holder["subtotal"]):
        found.warn("subtotal", "is not the sum of the lines' subtotals")


def _examine_taxes(taxes: list[Json], whole: Decimal, found: Findings) -> None:
    if not _is_equal(_sum(taxes, "tax_amount"), whole):
        found.warn("taxes", "do not add up to the tax of lines and shipping")


def _examine_product(product: Any, position: int, found: Findings) -> None:
    known = {value["external_id"] for option in product["options"] for value in option["option_value"]}
    for place, variant in enumerate(product["variants"]):
        if any(value["product_option_value_id"] not in known for value in variant["option_values"]):
            found.refuse(f"{position}.variants.{place}.option_values", "names no option value of the product")
    ids = [variant["external_id"] for variant in product["variants"]]
    if len(set(ids)) != len(ids):
        found.refuse(f"{position}.variants", "holds one external_id twice")


def _examine_page(page: Any, found: Findings) -> None:
    moments: list[int] = [row["created_at"] for row in page["data"]]
    if moments != sorted(moments, reverse=True):
        found.refuse("data", "must be newest first")
    if len(page["data"]) > page["per_page"]:
        found.refuse("data", "holds more than per_page")


def _sum(rows: Iterable[Json], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), Decimal())


def _is_equal(one: Decimal | int, other: Decimal | int) -> bool:
    return abs(Decimal(one) - other) < _CENT
