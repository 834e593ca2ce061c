"""Every answer to a hook holds the contract's fields and no other (contract 3.6 to 3.8, 4.1 to 4.8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app.gateways.vendors.rally.inbound.hooks import ANSWERS
from app.records.database import Database
from tests.databases import open_database
from tests.gateways.vendors.rally.stage import METHOD, TEXAS, Stage, staged

# The contract's columns, written down here once more by hand; a dict is an object, [x] a list of x, ANY is free.
ANY: Any = object()
IMAGE = dict.fromkeys(("external_id", "src", "position"))
ADDRESS = dict.fromkeys(
    ("external_id", "first_name", "last_name", "company", "phone", "address1", "address2", "city", "zip", "province",
     "country", "country_code")
)  # fmt: skip
LINE: dict[str, Any] = {
    **dict.fromkeys(
        ("external_id", "external_product_id", "external_variant_id", "quantity", "title", "external_vendor", "sku",
         "image", "inventory_quantity", "requires_shipping", "taxable", "position", "price", "discounted_price",
         "tax_rate", "tax_amount", "subtotal", "discount_amount", "total")
    ),
    "options": [dict.fromkeys(("external_id", "name", "value", "position"))],
    "categories": [{"external_id": None}],
    "metafields": [ANY],
}  # fmt: skip
SHIPPING = dict.fromkeys(
    ("external_id", "title", "carrier_identifier", "code", "description", "price", "subtotal", "tax_rate", "tax_amount",
     "total")
)  # fmt: skip
DISCOUNT = dict.fromkeys(("external_id", "type", "subtype", "name", "amount"))
TAX = {**dict.fromkeys(("title", "tax_rate", "tax_amount")), "meta": ANY}
CART = {
    **dict.fromkeys(
        ("organization_id", "external_id", "selected_shipping_line_external_id", "subtotal", "total", "shipping_total",
         "handling_total", "currency", "notes", "meta")
    ),
    "customer": {
        **dict.fromkeys(("external_id", "email", "first_name", "last_name", "phone", "is_billing_equal_shipping")),
        "consent": {"email": None}, "billing_address": ADDRESS, "shipping_address": ADDRESS,
    },
    "line_items": [{**LINE, "is_removable": None}],
    "shipping_lines": [SHIPPING], "discounts": [DISCOUNT], "taxes": [TAX],
}  # fmt: skip
ORDER = {
    **dict.fromkeys(
        ("external_id", "external_number", "cart_id", "status", "subtotal", "total", "tax_amount", "handling_fee")
    ),
    "line_items": [LINE], "discounts": [DISCOUNT], "taxes": [TAX], "shipping_lines": [SHIPPING],
    "shipping_cost": SHIPPING, "meta": ANY,
}  # fmt: skip
CREATED = {**ORDER, "payment_created": dict.fromkeys(("external_platform_transaction_id", "amount"))}
PRODUCT = {
    **dict.fromkeys(
        ("organization_id", "external_id", "title", "body_html", "vendor", "product_type", "inventory_quantity",
         "inventory_management", "img_src", "is_subscription_only")
    ),
    "options": [{
        **dict.fromkeys(("external_id", "name", "position")),
        "option_value": [dict.fromkeys(("external_id", "name", "position"))],
    }],
    "variants": [{
        **dict.fromkeys(
            ("external_id", "external_sku", "inventory_quantity", "position", "requires_shipping", "taxable")
        ),
        "images": [IMAGE], "option_values": [{"product_option_value_id": None}],
        "prices": [dict.fromkeys(("currency", "price", "discounted_price"))],
    }],
    "images": [IMAGE],
}  # fmt: skip
STORE = dict.fromkeys(
    ("organization_id", "external_id", "country_code", "address", "store_phone", "store_locale", "timezone", "currency",
     "store_name", "store_url", "native_checkout_url", "cart_url", "logo_url", "meta")
)  # fmt: skip
COLUMNS: Mapping[str, Any] = {
    **dict.fromkeys(("cart/create", "cart/fetch", "cart/update", "cart/add", "cart/remove"), CART),
    "order/create": CREATED,
    **dict.fromkeys(("order/update", "order/fetch"), ORDER),
    "orders/list": {
        **dict.fromkeys(("total", "per_page", "current_page")),
        "data": [{"id": None, "created_at": None, "products": [dict.fromkeys(("id", "name"))]}],
    },
    "products/fetch": [PRODUCT],
    "categories/fetch": [dict.fromkeys(("organization_id", "external_id", "title", "image_url", "meta"))],
    "shipping_zones/fetch": {"US": {"states": [None]}, "CA": {"states": [None]}, "REST_OF_WORLD": None},
    "store_information/fetch": STORE,
    "register/callback": dict.fromkeys(("store_name", "store_url", "store_logo")),
}
REFUSAL = {"error": None, "error_code": None, "meta": [dict.fromkeys(("product_id", "variant_id", "quantity"))]}

SHOPPER = ("ana@example.test", "Ruiz", "Elm", "78701", "+15550100", "4242", "203.0.113.9", "Ring twice")


def strangers(value: Any, columns: Any, place: str = "") -> Iterator[str]:
    """Fields that the contract does not have there."""
    if columns is ANY or value is None:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(columns, dict) or name not in columns:
                yield f"{place}/{name}"
            else:
                yield from strangers(item, columns[name], f"{place}/{name}")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from strangers(item, columns[0] if isinstance(columns, list) else {}, f"{place}/{at}")


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    database: Database = open_database(database_url)
    with staged(database) as built:
        yield built
    database.close()


def test_p20_every_answer_to_a_hook_holds_only_the_contracts_fields(stage: Stage) -> None:
    line = {"external_product_id": stage.key("HOOD-M"), "external_variant_id": stage.key("HOOD-M", is_variant=True)}
    tee = {"external_product_id": "TEE", "external_variant_id": "", "quantity": 1}
    answers = {"cart/create": stage.call("POST", "/carts", {"line_items": [{**line, "quantity": 1}, tee]}).body}
    cart = answers["cart/create"]["external_id"]
    shopper = {
        "customer": {"external_id": "c-1", "email": "ana@example.test", "first_name": "Ana", "last_name": "Ruiz",
                     "phone": "+15550100", "consent": {"email": True}},
        "shipping_address": TEXAS, "billing_address": TEXAS, "notes": "Ring twice",
    }  # fmt: skip
    coupon = {"discounts": [{"type": "coupon", "name": "TEN"}]}
    answers["cart/update"] = stage.call("PUT", f"/carts/{cart}", {**shopper, **coupon}).body
    answers["cart/add"] = stage.call("POST", f"/carts/{cart}/add", {"line_items": [{**tee, "price": 4}]}).body
    gone = {"external_id": "li-3", "quantity": 1}
    answers["cart/remove"] = stage.call("POST", f"/carts/{cart}/remove", {"line_items": [gone]}).body
    answers["cart/fetch"] = stage.call("POST", f"/carts/{cart}", {"customer": {"email": "x"}}).body
    shown = answers["cart/fetch"]
    answers["order/create"] = stage.order(
        shown, **shopper, discounts=shown["discounts"], transactions=[{"external_id": "ch", "amount": shown["total"]}],
        device_information={"device_ip_address": "203.0.113.9"}, meta={"autoCreateCustomers": True},
    ).body  # fmt: skip
    order = answers["order/create"]["external_id"]
    offer = {"line_items": [{**tee, "price": 3}], "shipping_costs": {"new": {"subtotal": 2, "tax_amount": 0.2}}}
    answers["order/update"] = stage.call("PUT", f"/orders/{order}", {**offer, "customer": shopper["customer"]}).body
    stage.call("PUT", f"/orders/{order}", {"status": "paid", "payment_method": METHOD})
    answers["order/fetch"] = stage.call("GET", f"/orders/{order}").body
    answers["orders/list"] = stage.call("GET", "/orders").body
    answers["products/fetch"] = stage.call("POST", "/products/search", {"title": "hood"}).body
    answers["categories/fetch"] = stage.call("POST", "/categories/search", {"title": ""}).body
    answers["shipping_zones/fetch"] = stage.call("GET", "/shipping-zones").body
    answers["store_information/fetch"] = stage.call("GET", "/store").body
    answers["register/callback"] = stage.call("POST", "/register/callback", {}).body
    assert set(answers) == set(ANSWERS) == set(COLUMNS), "every hook is looked at"
    for topic, answer in answers.items():
        assert answer and list(strangers(answer, COLUMNS[topic])) == [], topic
        if not topic.startswith("cart/"):
            assert not [word for word in SHOPPER if word in str(answer)], f"{topic}: nothing of the shopper"


def test_p20_every_refusal_holds_only_the_contracts_fields(stage: Stage) -> None:
    cart = stage.cart(TEE=1)
    refusals = [
        stage.call("POST", "/carts/none", {}),
        stage.call("POST", "/carts", {"line_items": [{"external_product_id": "TEE", "quantity": 999}]}),
        stage.call("POST", "/carts", b"{"),
        stage.call("PUT", f"/carts/{cart['external_id']}", {"discounts": [{"type": "coupon", "name": "NO"}]}),
        stage.order(cart, line_items=[]),
        stage.order(cart, transactions=[{}]),
        stage.call("PUT", "/orders/none", {}),
        stage.call("POST", "/carts", {}, key=None),
    ]
    for answer in refusals:
        assert answer.status >= 400 and list(strangers(answer.body, REFUSAL)) == []
        assert {"error", "error_code"} <= set(answer.body)
