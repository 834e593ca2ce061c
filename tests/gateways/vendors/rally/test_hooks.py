"""Rally's hooks over real HTTP: who is let in, what is signed, and the error contract (3.1, 3.8, R30)."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
from flask import Flask

from app.errors import SettingsFault
from app.gateways.vendors.rally.hook_registry import TOPICS
from app.gateways.vendors.rally.inbound.hooks import ANSWERS
from app.records.cataloguing import Statement
from app.records.database import Database
from tests.gateways.vendors.rally.stage import TEXAS, Stage, signature, staged


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    with staged(database, hmac_secret="", previous_hmac_secret="rk_previous_key_9") as built:
        yield built


PLACES = {
    "cart/create": "/carts",
    "cart/fetch": "/carts/cart-1",
    "cart/update": "/carts/cart-1",
    "cart/add": "/carts/cart-1/add",
    "cart/remove": "/carts/cart-1/remove",
    "order/create": "/orders",
    "order/update": "/orders/RLY-1",
    "order/fetch": "/orders/RLY-1",
    "orders/list": "/orders",
    "products/fetch": "/products/search",
    "categories/fetch": "/categories/search",
    "shipping_zones/fetch": "/shipping-zones",
    "store_information/fetch": "/store",
    "register/callback": "/register/callback",
}


def test_every_topic_has_its_place() -> None:
    assert set(PLACES) == set(ANSWERS) == {*TOPICS, "register/callback"}
    assert len(TOPICS) == 13


def verb_of(topic: str) -> str:
    return TOPICS[topic][0].upper() if topic in TOPICS else "POST"


def test_an_unknown_organization_gets_an_unsigned_404_for_every_topic(stage: Stage) -> None:
    for topic, place in PLACES.items():
        method = verb_of(topic)
        reply = requests.request(
            method, f"{stage.server.url}/rally/merchants/nobody{place}", data=b"{" * 10_000_000, timeout=10
        )
        assert (reply.status_code, reply.json()) == (404, {"error": "no such organization"})
        assert "X-HMAC-SHA256" not in reply.headers


def test_a_bad_signature_gets_one_constant_406_for_every_topic_and_nothing_happens(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    bodies = set()
    with caplog.at_level(logging.DEBUG):
        for topic, place in PLACES.items():
            method = verb_of(topic)
            for key in (None, "another key of length"):
                answer = stage.call(method, place, {"line_items": [], "canary": "c4n4ry"}, key=key)
                assert answer.status == 406 and answer.is_signed
                bodies.add(answer.raw)
    assert len(bodies) == 1 and json.loads(bodies.pop())["error_code"] == "platform_unavailable"
    assert "c4n4ry" not in caplog.text and "another key" not in caplog.text
    body = json.dumps({"line_items": [{"external_product_id": stage.key("TEE"), "quantity": 1}]}).encode()
    assert stage.call("POST", "/carts", body + b" ", message=body).status == 406, "one byte more than was signed"


def test_a_key_that_is_being_replaced_still_verifies_and_signs_the_answer(stage: Stage) -> None:
    answer = stage.call("GET", "/store", key="rk_previous_key_9")
    assert answer.status == 200
    assert answer.headers["X-HMAC-SHA256"] == signature("rk_previous_key_9", answer.raw)


def test_the_query_is_signed_where_there_is_no_body(stage: Stage) -> None:
    good = stage.call("GET", "/orders?per_page=5&current_page=2", message=b'{"per_page":"5","current_page":"2"}')
    assert (good.status, good.body) == (200, {"total": 0, "per_page": 5, "current_page": 2, "data": []})
    assert good.is_signed
    assert stage.call("GET", "/orders?per_page=5", message=b"").status == 406
    for query, message in (
        ("per_page=x", b'{"per_page":"x"}'),
        ("per_page=" + "9" * 40, b'{"per_page":"' + b"9" * 40 + b'"}'),
    ):
        assert stage.call("GET", f"/orders?{query}", message=message).status == 200


@pytest.mark.parametrize("raw", [b"{", b"[]", b"null", b"\xff\xfe", b'"x"', b"[" * 100_000, b'{"line_items": 1e999}'])
def test_a_body_that_cannot_be_read_is_refused_within_the_contract(stage: Stage, raw: bytes) -> None:
    seen = {}
    for topic, place in PLACES.items():
        method = verb_of(topic)
        answer = stage.call(method, place, raw)
        assert answer.is_signed
        seen[topic] = (answer.status, answer.code)
    assert {status for status, _ in seen.values()} <= {200, 404, 412, 422}
    assert seen["order/create"] in ((412, "unknown"), (422, "cart_not_found"))
    assert seen["cart/fetch"] == (422, "cart_not_found"), "what its body holds is not looked at"
    assert seen["store_information/fetch"] == seen["register/callback"] == (200, "")


def test_a_body_that_is_too_large_is_not_read(database: Database) -> None:
    with staged(database, max_hook_body=2000) as stage:
        answer = stage.call("POST", "/carts", {"line_items": [], "more": "x" * 3000})
        assert answer.status == 413 and answer.is_signed
        assert "x" * 20 not in answer.raw.decode()


def test_wrong_verbs_and_unknown_paths_are_refused(stage: Stage) -> None:
    assert stage.call("DELETE", "/carts").status == 405
    assert stage.call("GET", "/nowhere").status == 404


MERCHANT = """
[[channel]]
name = "{name}"
client_id = 1201
channel_id = {number}
auth_keys = ["key+of+{name}+00000001"]
gateways = ["rally"]

[channel.rally]
base_url = "http://127.0.0.1:9/connector-api/v1/"
api_key = "rally+key+{name}"
organization_id = "{organization}"
store_name = "{name}"
"""


def test_several_merchants_in_one_server_each_with_its_own_key(build_app: Callable[..., Flask]) -> None:
    app = build_app(
        MERCHANT.format(name="east", number=31, organization="org-e")
        + MERCHANT.format(name="west", number=32, organization="org-w")
    )
    client = app.test_client()
    for name, organization in (("east", "org-e"), ("west", "org-w")):
        right, wrong = (signature(f"rally+key+{key}", b"") for key in (name, "west" if name == "east" else "east"))
        place = f"/rally/merchants/{organization}/store"
        answer = client.get(place, headers={"X-HMAC-SHA256": right})
        assert answer.get_json()["store_name"] == name
        assert answer.headers["X-HMAC-SHA256"] == signature(f"rally+key+{name}", answer.get_data())
        assert client.get(place, headers={"X-HMAC-SHA256": wrong}).status_code == 406
    assert client.get("/rally/merchants/org-x/store").status_code == 404


def test_p23_two_channels_cannot_be_one_organization(build_app: Callable[..., Flask]) -> None:
    twice = [MERCHANT.format(name=name, number=number, organization="org") for name, number in (("e", 31), ("w", 32))]
    with pytest.raises(SettingsFault, match="the same rally account"):
        build_app("".join(twice))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[[channel.rally.shipping]]\nid = "a"\ntitle = "A"\nprice = "-1"\ncountries = ["US"]', r"shipping\.0\.price"),
        ('[[channel.rally.tax]]\ncountry = "us"\nrate = "8.25"', r"tax\.0\.rate"),
        ('[[channel.rally.coupon]]\ncode = "A"', "exactly one of percent, amount and free_shipping"),
        ('[[channel.rally.shipping]]\nid = "a"', r"shipping\.0\.countries"),
    ],
)
def test_p23_a_table_that_makes_no_sense_is_a_fault_at_start(
    build_app: Callable[..., Flask], more: str, said: str
) -> None:
    with pytest.raises(SettingsFault, match=said):
        build_app(MERCHANT.format(name="e", number=31, organization="org") + more)


def test_products_are_found_by_id_by_sku_and_by_title(stage: Stage) -> None:
    key = stage.key("HOOD-M")
    step = stage.step("products/fetch", external_product_id=key)
    assert step["outcome"] == "good" and not step["warnings"], step
    (hood,) = step["answer"]
    assert hood["external_id"] == key and hood["inventory_management"] == "variant"
    assert [(one["external_sku"], one["inventory_quantity"]) for one in hood["variants"]] == [
        ("HOOD-M", 3),
        ("HOOD-L", 3),
    ]
    assert stage.call("POST", "/products/search", {"product_id": "HOOD-L"}).body == [hood]
    (mug,) = stage.call("POST", "/products/search", {"title": "mUG"}).body
    assert (mug["inventory_management"], mug["inventory_quantity"], mug["variants"][0]["external_id"]) == (
        "product", 10, mug["external_id"],
    )  # fmt: skip
    assert mug["variants"][0]["prices"] == [{"currency": "USD", "price": 9.99, "discounted_price": 7.49}]
    titles = {item["title"] for item in stage.call("POST", "/products/search", {"title": ""}).body}
    assert titles == {"Plain tee", "Mug", "A book", "Gift card", "Hood"}, "neither switched off nor without a price"
    for nothing in (
        {"title": "nothing like it"},
        {"product_id": "unknown"},
        {"product_id": "a\x00b"},
        {},
        {"title": None},
    ):
        answer = stage.call("POST", "/products/search", nothing)
        assert (answer.status, answer.body) == (200, [])


def test_categories_zones_store_and_the_register_callback(stage: Stage) -> None:
    for topic in ("categories/fetch", "shipping_zones/fetch", "store_information/fetch", "register/callback"):
        step = stage.step(topic, title="shir")
        assert step["outcome"] == "good" and not step["warnings"], step
    assert [item["external_id"] for item in stage.call("POST", "/categories/search", {"title": "SHIR"}).body] == [
        "Shirts"
    ]
    assert stage.call("POST", "/categories/search", {"category_id": "none"}).body == []
    zones = stage.call("GET", "/shipping-zones").body
    assert zones == {"US": {"states": ["*"]}, "CA": {"states": ["*"]}, "REST_OF_WORLD": False}
    registered = stage.call("POST", "/register/callback", {"any": "thing"}).body
    assert registered == {"store_name": "Tees", "store_url": "https://shop.example.test", "store_logo": None}


def test_without_the_database_rally_is_told_that_the_platform_is_away(stage: Stage) -> None:
    stage.database.close()
    for method, place in (("POST", "/carts/cart-1"), ("GET", "/orders/RLY-1"), ("POST", "/orders")):
        answer = stage.call(method, place, {"cart": {"external_id": "cart-1"}})
        assert (answer.status, answer.code, answer.is_signed) == (502, "platform_unavailable", True)


def test_p5_no_wrong_type_anywhere_makes_a_hook_fail(stage: Stage, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(seed)
    cart = stage.cart(TEE=2)
    stage.call("PUT", f"/carts/{cart['external_id']}", {"shipping_address": TEXAS})
    made = stage.order(stage.cart(TEE=1)).body["external_id"]
    oddities: list[Any] = [None, 0, -1, 1.5, 10**30, "", "x", "\x00", [], {}, [[]], [None], {"a": 1}, True, [{}]]
    oddities += ["1e9", "1e999999999", "-1e-999999999", "NaN", "sNaN", "Infinity", "9" * 5000, "\ud800"]
    templates = {
        ("POST", "/carts"): {"line_items": [{"external_product_id": "x", "external_variant_id": "y", "quantity": 1}]},
        ("PUT", f"/carts/{cart['external_id']}"): {
            "customer": {"email": "a", "consent": {"email": True}, "shipping_address": TEXAS},
            "line_items": [{"external_id": "li-1", "quantity": 2}],
            "discounts": [{"type": "coupon", "name": "TEN"}],
            "selected_shipping_line_external_id": "standard",
            "notes": "n",
        },
        ("POST", f"/carts/{cart['external_id']}/add"): {
            "line_items": [{"external_product_id": "x", "quantity": 1, "price": 1}],
        },
        ("POST", f"/carts/{cart['external_id']}/remove"): {"line_items": [{"external_id": "x", "quantity": 1}]},
        ("POST", "/orders"): {
            "cart": {"external_id": "cart-9"}, "line_items": [{"quantity": 1}], "transactions": [{"amount": 1}],
            "device_information": {"device_ip_address": "x"}, "meta": {}, "fraud_review_transaction": {},
        },
        ("PUT", f"/orders/{made}"): {
            "line_items": [{"external_product_id": "x", "quantity": 1, "price": 2}], "status": "paid",
            "shipping_costs": {"new": {"subtotal": 1, "tax_amount": 1, "total": 2}},
            "transactions": [{"external_id": "t", "amount": 3}], "payment_method": {"last4": "1"},
        },
        ("POST", "/products/search"): {"product_id": "x", "title": "y"},
    }  # fmt: skip
    for _ in range(300):
        (method, path), body = chance.choice(list(templates.items()))
        answer = stage.call(method, path, _mutated(body, chance, oddities))
        assert answer.status in (200, 412, 422) and answer.is_signed, (answer.status, answer.body)
    assert "Traceback" not in caplog.text and "failed" not in caplog.text


def _mutated(value: Any, chance: random.Random, oddities: list[Any]) -> Any:
    if chance.random() < 0.15:
        return chance.choice(oddities)
    if isinstance(value, dict):
        return {name: _mutated(item, chance, oddities) for name, item in value.items() if chance.random() > 0.05}
    if isinstance(value, list):
        return [_mutated(item, chance, oddities) for item in value]
    return value


def test_answers_stay_quick_with_a_large_catalogue(stage: Stage, seed: int) -> None:
    """2,000 products here; 50,000 by hand: SIZE in this test."""
    fill(stage, 2000)
    times = measure(stage, random.Random(seed), rounds=25)
    print(
        {topic: f"p50 {values[len(values) // 2]:.1f} ms, worst {values[-1]:.1f} ms" for topic, values in times.items()}
    )
    assert all(values[len(values) // 2] < 200 for values in times.values())


def fill(stage: Stage, size: int) -> None:
    """Products with three variants each, and their stock."""
    for at in range(0, size, 250):
        statements: list[Statement] = []
        for number in range(at, min(at + 250, size)):
            parent = len(statements)
            fields = {"product_id": str(number), "title": f"Article {number}", "description": "Lorem ipsum " * 20,
                      "price": Decimal(number % 90 + 1), "categories": (f"Category {number % 40}",)}  # fmt: skip
            statements.append(Statement(f"bulk:{number}", fields))
            statements += [
                Statement(
                    f"bulk:{number}-{size_}",
                    {"sku": f"BULK-{number}-{size_}", "product_id": f"{number}-{size_}", "options": (("Size", size_),)},
                    parent,
                )
                for size_ in "SML"
            ]
        stage.set_goods(*statements)
        skus = [statement.fields["sku"] for statement in statements if "sku" in statement.fields]
        stage.set_stock(**dict.fromkeys(skus, 100))


def measure(stage: Stage, chance: random.Random, rounds: int) -> dict[str, list[float]]:
    """Milliseconds by topic, sorted."""
    times: dict[str, list[float]] = {}

    def timed(topic: str, method: str, path: str, body: Any) -> Any:
        begun = time.perf_counter()
        answer = stage.call(method, path, body)
        times.setdefault(topic, []).append((time.perf_counter() - begun) * 1000)
        assert answer.status == 200, answer.body
        return answer.body

    for _ in range(rounds):
        sku = f"BULK-{chance.randrange(2000)}-M"
        timed("products/fetch by title", "POST", "/products/search", {"title": f"article {chance.randrange(2000)}"})
        timed("products/fetch by id", "POST", "/products/search", {"product_id": stage.key(sku)})
        timed("products/fetch nothing", "POST", "/products/search", {"title": "no such thing"})
        line = {"external_product_id": sku, "external_variant_id": sku, "quantity": 1}
        cart = timed("cart/create", "POST", "/carts", {"line_items": [line]})
        timed("cart/fetch", "POST", f"/carts/{cart['external_id']}", {})
        cart = timed("cart/update", "PUT", f"/carts/{cart['external_id']}", {"shipping_address": TEXAS})
        body = {"cart": {"external_id": cart["external_id"]}, "line_items": cart["line_items"]}
        body["payment_method"] = {"last4": "1"}
        order = timed("order/create", "POST", "/orders", body)
        timed(
            "order/update",
            "PUT",
            f"/orders/{order['external_id']}",
            {"status": "paid", "payment_method": {"last4": "1"}},
        )
        timed("order/fetch", "GET", f"/orders/{order['external_id']}", None)
        timed("orders/list", "GET", "/orders", None)
    return {topic: sorted(values) for topic, values in times.items()}
