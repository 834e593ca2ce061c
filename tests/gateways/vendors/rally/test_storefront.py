"""Carts a shop's own server has made, and bare line items of its page: prices from the catalogue, faults by pointer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from flask import Flask

from app.contract.schemas import Contract
from app.deadline import Deadline
from app.domain.findings import Finding
from app.errors import SettingsFault
from app.gateways.calls import Call
from app.gateways.vendors.rally.inbound.hooks import create_hooks
from app.records.cataloguing import Statement
from app.records.database import Database
from app.sandbox.vendors.rally import API_KEY, ORGANIZATION_ID
from app.storefront.cart_server import TOPIC
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, channel_text, opened
from tests.gateways.vendors.rally.stage import Stage, staged

KEY = "key~of~the~shop~server~0001"
SETTING = f'storefront_key = "{KEY}"'


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    with staged(database, storefront_key=KEY) as built:
        yield built


def post(
    server_url: str,
    body: Any = None,
    *,
    authorization: str | None = f"Bearer {KEY}",
    organization_id: str = ORGANIZATION_ID,
    method: str = "POST",
) -> requests.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Origin": "https://shop.example.test"}
    if authorization is not None:
        headers["Authorization"] = authorization
    url = f"{server_url}/rally/merchants/{organization_id}/storefront/carts"
    with requests.Session() as session:
        reply = session.request(method, url, data=raw, headers=headers, timeout=10)
    assert not [name for name in reply.headers if name.lower().startswith("access-control")], "no page may call it"
    assert KEY not in reply.text
    return reply


def wanted(*lines: Any, currency: Any = "USD") -> dict[str, Any]:
    return {"currency": currency, "line_items": list(lines)}


def line(sku: Any, quantity: Any = 1, **more: Any) -> dict[str, Any]:
    return {"sku": sku, "quantity": quantity, **more}


def faults(reply: requests.Response) -> list[tuple[str, str]]:
    return [(fault["pointer"], fault["code"]) for fault in reply.json()["faults"]]


def bought_in(order: dict[str, Any]) -> list[tuple[str, int, float]]:
    """SKU, units and price of each line as RetailOps gets it."""
    return [(item["sku"], item["quantity"], item["currency_values"]["unit_price"]) for item in order["order_items"]]


def checked(shop: Shop, name: str) -> Finding:
    """What `channel check` says of this."""
    shop.retailops.app.extensions["works"].journal.flush()
    health = shop.gateway.check(Call(Deadline.in_s(10), "check", "question"))
    return next(item for item in health.findings if item.name == name)


def kept(stage: Stage) -> int:
    with stage.database.read() as connection:
        return int(connection.exec_driver_sql("select count(*) from carts").scalar() or 0)


@pytest.mark.both_databases
def test_a_cart_the_shop_had_made_goes_the_whole_way_to_retailops(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    with opened(build_app, contract, rally=SETTING) as shop:
        shop.offer(TEE=5, MUG=5)
        made = post(shop.server.url, wanted(line(TEE, 2, price=0.01), line(MUG), line(TEE)))
        assert made.status_code == 201
        cart = made.json()
        assert (cart["currency"], cart["total"]) == ("USD", 80)
        assert [(item["sku"], item["quantity"], item["price"], item["total"]) for item in cart["line_items"]] == [
            (TEE, 3, 20, 60),
            (MUG, 1, 20, 20),
        ]
        client_id = shop.view("merchant")["client_id"]
        button = {"client_id": client_id, "cart_id": cart["id"], "cart_currency": "USD"}
        session = requests.post(f"{shop.rally.url}/api/v1/checkout/auth", json=button, timeout=5).json()
        bought = shop.checkout(session=session["checkout_session_id"])
        assert [step["topic"] for step in bought["steps"]][:2] == ["cart/fetch", "cart/update"]
        assert bought["outcome"] == "good", bought["steps"][-1]
        [order] = shop.retailops.pull()
        assert order["channel_order_refnum"] == bought["order_id"]
        assert bought_in(order) == [
            (TEE, 3, 20),
            (MUG, 1, 20),
        ]
        assert shop.step("cart/fetch", cart=cart["id"])["error"].startswith("422 cart_not_found"), "it is an order"
        assert checked(shop, "requests").state == "note" and checked(shop, TOPIC).state == "ok"
        assert post(shop.server.url, wanted(line(TEE, 99))).status_code == 422
        assert post(shop.server.url, wanted(line("no such")), authorization="Bearer wrong").status_code == 401
        found = checked(shop, TOPIC)
        assert found.state == "note" and "NOT_ENOUGH_UNITS: 2 units" in found.sentence, found
        assert "1x storefront/carts: 401 WRONG_KEY" in found.sentence


def test_p37_a_shops_server_that_is_always_refused_is_named(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    with opened(build_app, contract, rally=SETTING) as shop:
        assert checked(shop, "goods").state == "note", "the catalogue is empty"
        assert post(shop.server.url, wanted(line(TEE))).status_code == 422
        found = checked(shop, TOPIC)
        assert found.state == "attention" and "SKU_UNKNOWN" in found.sentence


def test_bare_line_items_of_the_page_go_the_whole_way_at_the_catalogues_prices(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    with opened(build_app, contract) as shop:
        shop.offer(TEE=5, MUG=5)
        # What Rally's button 1.8.0 was seen to send of `lineItems`, with prices that a shopper has edited.
        items = [
            {"title": "Tee", "product_id": TEE, "variants": [{"variant_id": TEE, "quantity": 2, "price": 0.01}]},
            {"product_id": MUG, "variants": [{"variant_id": MUG, "quantity": 1}]},
        ]
        button = {"client_id": shop.view("merchant")["client_id"], "line_items": items}
        session = requests.post(f"{shop.rally.url}/api/v1/checkout/auth", json=button, timeout=5).json()
        bought = shop.checkout(session=session["checkout_session_id"])
        assert bought["outcome"] == "good", bought["steps"][-1]
        assert bought["steps"][0]["topic"] == "cart/create"
        [order] = shop.retailops.pull()
        assert bought_in(order) == [
            (TEE, 2, 20),
            (MUG, 1, 20),
        ]


def test_bare_line_items_are_understood_however_they_name_the_goods(stage: Stage) -> None:
    hood, large = stage.key("HOOD-L"), stage.key("HOOD-L", is_variant=True)
    lines = [
        {"sku": "TEE", "quantity": 1},
        {"product_id": stage.key("MUG"), "quantity": 2, "price": 0.01},
        {"product_id": hood, "variant_id": large, "quantity": 1},
        {"product_id": hood, "variants": [{"variant_id": name, "quantity": 1} for name in ("HOOD-M", large)]},
    ]
    made = stage.call("POST", "/carts", {"line_items": lines})
    assert [(item["sku"], item["quantity"], item["discounted_price"]) for item in made.body["line_items"]] == [
        ("TEE", 1, 30),
        ("MUG", 2, 7.49),
        ("HOOD-L", 2, 49.5),
        ("HOOD-M", 1, 49.5),
    ]
    for broken in ({"product_id": hood, "variants": [1]}, {"sku": "TEE"}, {"quantity": 1}, {"sku": "T", "quantity": 1}):
        refused = stage.call("POST", "/carts", {"line_items": [broken]})
        assert (refused.status, refused.is_signed) == (422, True), broken


def test_p6_every_fault_is_named_by_its_pointer_and_no_value_comes_back(stage: Stage) -> None:
    secret = "s3cret-value"
    reply = post(
        stage.server.url,
        wanted(
            line(secret), line("OFF"), line("NOPRICE"), line("GIFT", 4), line("GIFT", 2), line("", 1), line(7),
            line("TEE", 0), line("TEE", 1.5), line("TEE", secret), line("TEE", True), line("TEE", 10**9), {}, secret,
            line("TEE", 2.0), line("x" * 256), line("\ud800"), line("HOOD"), currency="EUR",
        ),
    )  # fmt: skip
    assert reply.status_code == 422 and secret not in reply.text and kept(stage) == 0
    assert sorted(faults(reply)) == sorted(
        [
            ("/currency", "CURRENCY_NOT_SOLD"),
            ("/line_items/0/sku", "SKU_UNKNOWN"),
            ("/line_items/1/sku", "SKU_NOT_SOLD"),
            ("/line_items/2/sku", "SKU_NOT_SOLD"),
            ("/line_items/3/quantity", "NOT_ENOUGH_UNITS"),
            ("/line_items/4/quantity", "NOT_ENOUGH_UNITS"),
            ("/line_items/5/sku", "MISSING"),
            ("/line_items/6/sku", "WRONG_TYPE"),
            ("/line_items/7/quantity", "QUANTITY"),
            ("/line_items/8/quantity", "QUANTITY"),
            ("/line_items/9/quantity", "WRONG_TYPE"),
            ("/line_items/10/quantity", "WRONG_TYPE"),
            ("/line_items/11/quantity", "QUANTITY"),
            ("/line_items/12/sku", "MISSING"),
            ("/line_items/12/quantity", "MISSING"),
            ("/line_items/13", "WRONG_TYPE"),
            ("/line_items/15/sku", "NOT_A_SKU"),
            ("/line_items/16/sku", "NOT_A_SKU"),
            ("/line_items/17/sku", "SKU_UNKNOWN"),
        ]
    )
    stage.set_stock(TEE=0)
    assert faults(post(stage.server.url, wanted(line("TEE")))) == [("/line_items/0/sku", "SKU_SOLD_OUT")]


ONE_LINE = b'{"currency":"USD","line_items":[{"sku":"TEE","quantity":%s}]}'

UNUSABLE: tuple[tuple[Any, int, tuple[str, str]], ...] = (
    (b"", 400, ("", "NOT_JSON")),
    (b'{"currency": "USD", ', 400, ("", "NOT_JSON")),
    (b"[" * 100_000, 400, ("", "NOT_JSON")),
    (b"\x1f\x8b\x08\x00", 400, ("", "NOT_JSON")),
    ([], 400, ("", "WRONG_TYPE")),
    ({}, 422, ("/currency", "MISSING")),
    (wanted(), 422, ("/line_items", "MISSING")),
    (wanted(line("TEE"), currency=1), 422, ("/currency", "WRONG_TYPE")),
    ({"currency": "USD", "line_items": {}}, 422, ("/line_items", "WRONG_TYPE")),
    (wanted(*[line("TEE")] * 201), 422, ("/line_items", "TOO_MANY_LINES")),
    (ONE_LINE % b"1e999999", 422, ("/line_items/0/quantity", "QUANTITY")),
    (ONE_LINE % b"NaN", 422, ("/line_items/0/quantity", "WRONG_TYPE")),
    (wanted(line("EBOOK")), 422, ("/line_items", "NOTHING_TO_SHIP")),
    (b" " * (1024 * 1024 + 1), 413, ("", "TOO_LARGE")),
)  # fmt: skip


def test_p5_what_cannot_be_a_cart_is_refused_and_nothing_is_kept(stage: Stage) -> None:
    for body, status, fault in UNUSABLE:
        reply = post(stage.server.url, body)
        assert (reply.status_code, faults(reply)[0]) == (status, fault), fault
    assert kept(stage) == 0


def test_two_hundred_lines_of_one_sku_are_added_up_and_currency_codes_are_read_in_any_case(stage: Stage) -> None:
    stage.set_stock(TEE=200)
    made = post(stage.server.url, wanted(*[line("TEE")] * 200, currency="usd")).json()
    assert [(item["quantity"], item["total"]) for item in made["line_items"]] == [(200, 6000)]
    assert (made["currency"], made["total"], kept(stage)) == ("USD", 6000, 1)


def test_p2_any_wrong_key_gets_one_and_the_same_401_and_nothing_happens(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = [None, "", "Bearer", "Bearer ", KEY, f"Basic {KEY}", f"Bearer {KEY[:-1]}", f"Bearer {KEY}x",
             f"Bearer {API_KEY}", "Bearer \u00e9\u00ff"]  # fmt: skip
    replies = [post(stage.server.url, wanted(line("TEE")), authorization=given) for given in wrong]
    assert {reply.status_code for reply in replies} == {401} and len({reply.content for reply in replies}) == 1
    assert replies[0].headers["WWW-Authenticate"] == "Bearer" and kept(stage) == 0
    assert post(stage.server.url, wanted(line("TEE")), authorization=f"bearer {KEY}").status_code == 201
    assert KEY not in caplog.text and KEY not in repr(stage.shop)


def test_another_method_is_405_and_an_unknown_merchant_404(stage: Stage) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        reply = post(stage.server.url, method=method)
        assert (reply.status_code, reply.headers["Allow"]) == (405, "POST")
    assert post(stage.server.url, wanted(line("TEE")), organization_id="other").status_code == 404


def test_without_a_key_there_is_no_such_address(database: Database) -> None:
    with staged(database) as stage:
        nowhere = requests.post(f"{stage.server.url}/rally/merchants/{ORGANIZATION_ID}/storefront/nothing", timeout=5)
        for authorization in (None, "Bearer ", f"Bearer {KEY}"):
            reply = post(stage.server.url, wanted(line("TEE")), authorization=authorization)
            assert (reply.status_code, reply.content) == (404, nowhere.content)
        assert post(stage.server.url, method="GET").status_code == 404


def test_p23_a_key_that_is_weak_or_rallys_own_is_a_fault_at_start(build_app: Callable[..., Flask]) -> None:
    for key, said in (
        ("fifteen-letters", "16 or more printable"),
        ("sixteen letters!!", "16 or more printable"),
        (API_KEY, "another key than those Rally has"),
    ):
        with pytest.raises(SettingsFault, match=said):
            build_app(channel_text("http://127.0.0.1:9", rally=f'storefront_key = "{key}"'))


def test_p35_a_sku_is_taken_by_its_very_name(stage: Stage) -> None:
    stage.set_goods(Statement("", {"sku": "005", "price": "1"}), Statement("", {"sku": "5 ", "price": "2"}))
    stage.set_stock(**{"005": 1, "5 ": 1})
    assert faults(post(stage.server.url, wanted(line("5")))) == [("/line_items/0/sku", "SKU_UNKNOWN")]
    made = post(stage.server.url, wanted(line("005"), line("5 ")))
    assert [item["sku"] for item in made.json()["line_items"]] == ["005", "5 "]


def test_without_the_database_nothing_is_made_and_it_may_be_tried_again(stage: Stage) -> None:
    stage.database.close()
    reply = post(stage.server.url, wanted(line("TEE")))
    assert (reply.status_code, faults(reply)) == (503, [("", "UNAVAILABLE")]) and reply.headers["Retry-After"] == "5"


def test_r35_a_channel_that_is_set_aside_makes_no_carts(stage: Stage) -> None:
    app = Flask("aside", static_folder=None)
    app.register_blueprint(create_hooks({ORGANIZATION_ID: stage.shop}, frozenset({stage.shop.channel})))
    path = f"/rally/merchants/{ORGANIZATION_ID}/storefront/carts"
    for key, status, code in (("wrong", 401, "WRONG_KEY"), (KEY, 503, "CHANNEL_SET_ASIDE")):
        reply = app.test_client().post(path, json=wanted(line("TEE")), headers={"Authorization": f"Bearer {key}"})
        assert (reply.status_code, reply.get_json()["faults"][0]["code"]) == (status, code)
    assert kept(stage) == 0
