"""What nobody can represent or keep costs its own field in Rally's hooks, and is never told as "try again" (P34)."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Iterator
from typing import Any

import pytest

from app.records.database import DatabaseConflict, DatabaseRefused
from app.storefront import order_store as orders
from tests.databases import open_database
from tests.gateways.vendors.rally.stage import METHOD, TEXAS, Stage, staged

HALF = "\ud83d"


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    database = open_database(database_url)
    database.upgrade()
    with staged(database) as built:
        yield built
    database.close()


def noise(length: int) -> str:
    return "".join(random.Random(length).choices(string.ascii_letters, k=length))


@pytest.mark.both_databases
def test_p34_half_an_emoji_in_a_hook_costs_its_own_text(stage: Stage) -> None:
    cart = stage.cart(TEE=1)
    body = {"notes": f"ring {HALF} twice", "shipping_address": {**TEXAS, "company": f"Ruiz {HALF}"}}
    answer = stage.call("PUT", f"/carts/{cart['external_id']}", body)
    assert (answer.status, answer.is_signed) == (200, True)
    meta = {"at": f"{HALF}", "of": [{"score": 1.5, f"{HALF}": None}]}
    made = stage.order(answer.body, meta=meta, customer={"first_name": f"Ana {HALF}", "last_name": "R"})
    assert (made.status, made.is_signed) == (200, True)
    assert made.body["meta"] == {"at": "\ufffd", "of": [{"score": 1.5, "\ufffd": None}]}
    document = stage.document(made.body["external_id"])
    assert document.notes == "ring \ufffd twice"
    assert document.customer.first_name == "Ana \ufffd"


@pytest.mark.both_databases
def test_p34_texts_of_any_length_and_numbers_out_of_range_never_fail_a_hook(stage: Stage) -> None:
    lengths = (1, 255, 256, 3000, 200_000)
    odd: list[Any] = [*map(noise, lengths), f"a{HALF}", "a\x00", "out of range", "no number"]
    for value in odd:
        cart = stage.cart(TEE=1)
        line = {"external_product_id": value, "external_variant_id": value, "quantity": 1}
        bodies = {
            ("POST", "/carts"): {"line_items": [line]},
            ("POST", f"/carts/{cart['external_id']}/add"): {"line_items": [line]},
            ("PUT", f"/carts/{cart['external_id']}"): {
                "notes": value,
                "customer": {"email": value, "external_id": value, "shipping_address": TEXAS | {"city": value}},
                "discounts": [{"type": "coupon", "name": value}],
            },
            ("POST", "/orders"): {
                "cart": {"external_id": cart["external_id"]},
                "line_items": cart["line_items"],
                "billing_address": TEXAS,
                "shipping_address": {**TEXAS, "address2": value},
                "payment_method": {**METHOD, "payment_processor_name": value},
                "transactions": [{"external_id": value, "amount": 1}],
                "meta": {"any": value},
            },
            ("POST", "/products/search"): {"product_id": value, "title": value},
        }
        for (method, path), body in bodies.items():
            raw = json.dumps(body).encode().replace(b'"out of range"', b"1e999").replace(b'"no number"', b"NaN")
            answer = stage.call(method, path, raw)
            assert answer.status in (200, 412, 422), f"{method} {path} {value!r:.30}: {answer.status} {answer.code}"
            assert answer.is_signed
            if path == "/carts":
                assert answer.code == "out_of_stock" and "\ufdd0" not in answer.raw.decode(), "its line alone is meant"


def test_p34_what_the_database_can_never_keep_is_no_reason_to_try_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    cart = stage.cart(TEE=1)
    add, times = orders.add, []

    def refuses(*_: Any, **__: Any) -> None:
        raise DatabaseRefused("a key is too long")

    def meets_another(*arguments: Any, **named: Any) -> Any:
        times.append(1)
        if len(times) < 3:
            raise DatabaseConflict("deadlock")
        return add(*arguments, **named)

    monkeypatch.setattr(orders, "add", refuses)
    answer = stage.order(cart, shipping_address=TEXAS)
    assert answer.status == 412 and answer.is_signed
    monkeypatch.setattr(orders, "add", meets_another)
    assert stage.order(cart, shipping_address=TEXAS).status == 200
    assert len(times) == 3
