"""The Rally sandbox behaves as the contract says, shown over real HTTP against a connector of a few lines."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from werkzeug import Request, Response

from app.sandbox.server import RunningServer, serve
from app.sandbox.vendors.rally import (
    API_KEY,
    ORGANIZATION_ID,
    SECOND_API_KEY,
    SECOND_ORGANIZATION_ID,
    serve_rally,
)
from app.sandbox.vendors.rally.answers import TOPICS
from app.sandbox.vendors.rally.findings import FOLDER, SHAPES
from app.sandbox.vendors.rally.signing import HEADER, sign, signed_message
from app.sandbox.vendors.rally.state import Settings
from app.sandbox.vendors.rally.step_requests import Checkout, StepRequest

TOPIC_PATHS = {
    "cart/create": ("post", "carts"),
    "cart/fetch": ("post", "carts/:resourceId"),
    "cart/update": ("put", "carts/:resourceId"),
    "cart/add": ("post", "carts/:resourceId/add"),
    "cart/remove": ("post", "carts/:resourceId/remove"),
    "order/create": ("post", "orders"),
    "order/update": ("put", "orders/:resourceId"),
    "order/fetch": ("get", "orders/:resourceId"),
    "orders/list": ("get", "orders"),
    "products/fetch": ("post", "products/search"),
    "categories/fetch": ("post", "categories/search"),
    "shipping_zones/fetch": ("get", "shipping-zones"),
    "store_information/fetch": ("get", "store"),
}

ADDRESS_NAMES = ("first_name", "last_name", "address1", "city", "zip", "country_code")
SHIPPING = {
    "external_id": "flat_standard", "title": "Standard", "carrier_identifier": "flat", "code": "standard",
    "description": None, "price": 5, "subtotal": 5, "tax_rate": 0, "tax_amount": 0, "total": 5,
}  # fmt: skip


def product(product_id: str = "prod-7", sku: str = "TEE", stock: int = 9, **more: object) -> dict[str, Any]:
    """A product without variants, as Rally wants it."""
    variant = {
        "external_id": product_id, "external_sku": sku, "inventory_quantity": stock, "position": 1,
        "requires_shipping": True, "taxable": True, "images": [], "option_values": [],
        "prices": [{"currency": "USD", "price": 30.0, "discounted_price": 30.0}],
    }  # fmt: skip
    return {
        "organization_id": "", "external_id": product_id, "title": "Tee", "body_html": "", "vendor": "",
        "product_type": "physical", "inventory_quantity": 0, "inventory_management": "variant", "img_src": "",
        "is_subscription_only": False, "options": [], "variants": [variant], "images": [], **more,
    }  # fmt: skip


class Connector:
    """The least that passes: one price, one shipping line, no tax."""

    def __init__(self, keys: dict[str, str]) -> None:
        self.keys = keys
        self.carts: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.spoil: dict[str, Any] = {}
        """Fields laid over the next answers, or `signature` for the header."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        body = request.get_data()
        _, _, organization_id, rest = request.path.lstrip("/").split("/", 3)
        key = self.keys[organization_id]
        status, answer = 406, {"error": "bad signature", "error_code": "platform_unavailable"}
        if request.headers.get(HEADER) == sign(key, signed_message(body, request.query_string.decode())):
            asked = msgspec.json.decode(body) if body else None
            self.asked.append((request.method, rest, asked))
            status, answer = self.answer(request, rest.split("/"), asked)
            if isinstance(answer, dict):
                answer = {name: value for name, value in {**answer, **self.spoil}.items() if value != "DROP"}
        content = msgspec.json.encode(answer)
        signature = self.spoil.get("signature", sign(key, content))
        response = Response(content, status, {HEADER: signature}, mimetype="application/json")
        return response(environ, start_response)

    def answer(self, request: Request, parts: list[str], asked: Any) -> tuple[int, Any]:
        match request.method, parts:
            case "POST", ["carts"]:
                cart = self.carts[f"cart-{len(self.carts) + 1}"] = {"lines": asked["line_items"], "address": None}
                return 200, self.cart(f"cart-{len(self.carts)}", cart)
            case "GET", ["orders"]:
                rows = [{"id": order_id, "created_at": 1716200000, "products": []} for order_id in self.orders]
                page = int(request.args["current_page"]), int(request.args["per_page"])
                return 200, {"total": len(rows), "per_page": page[1], "current_page": page[0], "data": rows}
            case "POST", ["orders"]:
                return 200, self.create(asked)
            case _, ["carts", cart_id, *what]:
                if cart_id not in self.carts:
                    return 422, {"error": "no such cart", "error_code": "cart_not_found"}
                cart = self.carts[cart_id]
                if request.method == "PUT":
                    cart["address"] = asked.get("shipping_address")
                elif what == ["add"]:
                    cart["lines"] += asked["line_items"]
                return 200, self.cart(cart_id, cart)
            case "GET", ["orders", order_id]:
                return 200, self.orders[order_id]
            case "PUT", ["orders", order_id]:
                return 200, self.update(self.orders[order_id], asked)
            case "POST", ["products", "search"]:
                return 200, [product()]
            case "GET", ["shipping-zones"]:
                return 200, {"US": {"states": ["*"]}, "REST_OF_WORLD": False}
            case "POST", ["register", "callback"]:
                return 200, {"store_name": "Tees", "store_url": "https://tees.example", "store_logo": None}
        return 404, {"error": "what?", "error_code": "order_not_found"}

    def lines(self, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                "external_id": f"li-{position}", "external_product_id": line["external_product_id"],
                "external_variant_id": line["external_variant_id"], "quantity": line["quantity"], "title": "Tee",
                "external_vendor": "", "sku": "TEE", "image": "", "inventory_quantity": 9, "requires_shipping": True,
                "taxable": False, "position": position, "price": 30.0, "discounted_price": 30.0, "tax_rate": 0,
                "tax_amount": 0, "subtotal": 30.0 * line["quantity"], "discount_amount": 0,
                "total": 30.0 * line["quantity"], "options": [], "categories": [],
            }
            for position, line in enumerate(wanted)
        ]  # fmt: skip

    def cart(self, cart_id: str, cart: dict[str, Any]) -> dict[str, Any]:
        lines = [{**line, "is_removable": False} for line in self.lines(cart["lines"])]
        subtotal = sum(line["subtotal"] for line in lines)
        offered = [SHIPPING] if cart["address"] else []
        customer = {
            "external_id": f"guest-{cart_id}", "email": None, "first_name": None, "last_name": None,
            "billing_address": {}, "shipping_address": cart["address"], "is_billing_equal_shipping": True,
        }  # fmt: skip
        return {
            "organization_id": "", "external_id": cart_id, "customer": customer, "line_items": lines,
            "shipping_lines": offered, "selected_shipping_line_external_id": "flat_standard" if offered else None,
            "discounts": [], "taxes": [], "subtotal": subtotal, "total": subtotal + 5 * len(offered),
            "shipping_total": 5 * len(offered), "handling_total": 0, "currency": "USD", "notes": None, "meta": None,
        }  # fmt: skip

    def create(self, asked: Any) -> dict[str, Any]:
        cart_id = asked["cart"]["external_id"]
        cart = self.carts[cart_id]
        known = next((order for order in self.orders.values() if order["cart_id"] == cart_id), None)
        if known is not None:
            return known
        order_id = f"ord-{len(self.orders) + 1}"
        lines = self.lines(cart["lines"])
        subtotal = sum(line["subtotal"] for line in lines)
        self.orders[order_id] = {
            "external_id": order_id, "external_number": order_id, "cart_id": cart_id, "status": "pending",
            "line_items": lines, "subtotal": subtotal, "total": subtotal + 5, "tax_amount": 0, "discounts": [],
            "taxes": [], "shipping_lines": [SHIPPING], "shipping_cost": SHIPPING, "meta": "",
            "payment_created": {"external_platform_transaction_id": "t-1", "amount": subtotal + 5},
        }  # fmt: skip
        return self.orders[order_id]

    def update(self, order: dict[str, Any], asked: Any) -> dict[str, Any]:
        if asked.get("line_items"):
            order["line_items"] = self.lines([*order["line_items"], *asked["line_items"]])
            order["subtotal"] = sum(line["subtotal"] for line in order["line_items"])
            order["total"] = order["subtotal"] + 5
        if asked.get("status") and not asked.get("fraud_review_transaction"):
            order["status"] = asked["status"]
        return order


class Rally:
    """The sandbox as a connector sees it (`api`, signed) and as a test sees it (`admin`)."""

    def __init__(self, server: RunningServer, session: requests.Session) -> None:
        self.server = server
        self.session = session

    def api(self, method: str, path: str, body: Any = None, *, key: str = API_KEY, **headers: str) -> tuple[int, Any]:
        data = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        message = signed_message(data, path.partition("?")[2])
        sent = {"X-API-KEY": key, HEADER: sign(key, message), "Content-Type": "application/json", **headers}
        url = f"{self.server.url}/connector-api/v1/{path}"
        reply = self.session.request(method, url, data=data, headers=sent, timeout=5, allow_redirects=False)
        return reply.status_code, msgspec.json.decode(reply.content) if reply.content else None

    def try_admin(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        data = None if body is None else msgspec.json.encode(body)
        reply = self.session.request(method, f"{self.server.url}/sandbox/{path}", data=data, timeout=15)
        return reply.status_code, msgspec.json.decode(reply.content)

    def admin(self, method: str, path: str, body: object = None) -> Any:
        status, answer = self.try_admin(method, path, body)
        assert status == 200, answer
        return answer

    def see(self, part: str, organization_id: str = ORGANIZATION_ID) -> Any:
        return self.admin("GET", f"merchants/{organization_id}/{part}")[part.rpartition("/")[2]]

    def order(self, order_id: str) -> Any:
        return self.admin("GET", f"merchants/{ORGANIZATION_ID}/orders/{order_id}")["order"]

    def step(self, topic: str, **wish: object) -> Any:
        return self.admin("POST", f"merchants/{ORGANIZATION_ID}/steps/{topic}", wish)

    def checkout(self, **wish: object) -> Any:
        return self.admin("POST", f"merchants/{ORGANIZATION_ID}/checkouts", wish)

    def counts(self) -> Any:
        return self.admin("GET", "journal")["counts"].get(ORGANIZATION_ID, {})

    def register_all(self, connector_url: str, key: str = API_KEY) -> None:
        for topic, (method, path) in TOPIC_PATHS.items():
            hook = {"type": topic, "url": f"{connector_url}/rally/merchants/:orgId/{path}", "method": method}
            assert self.api("POST", "hooks", hook, key=key)[0] == 200


@pytest.fixture
def rally() -> Iterator[Rally]:
    with requests.Session() as session, serve_rally() as server:
        session.trust_env = False
        yield Rally(server, session)


@pytest.fixture
def connector(rally: Rally) -> Iterator[Connector]:
    connector = Connector({ORGANIZATION_ID: API_KEY, SECOND_ORGANIZATION_ID: SECOND_API_KEY})
    with serve(connector) as server:
        rally.register_all(server.url)
        rally.admin("DELETE", "journal")
        yield connector


@pytest.fixture
def order_id(rally: Rally, connector: Connector) -> str:
    """A paid order of two tees: 65.00."""
    done = rally.checkout(line_items=[{"external_product_id": "p", "external_variant_id": "p", "quantity": 2}])
    assert done["outcome"] == "good", done["steps"][-1]
    return str(done["order_id"])


def test_what_the_readme_says_of_steps_topics_and_shapes_is_what_there_is() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"[a-z_]+", readme))
    assert {*StepRequest.__struct_fields__, *Checkout.__struct_fields__, *Settings.__struct_fields__} <= named
    shapes = {hook.answer for hook in TOPICS.hooks.values()} | {*TOPICS.webhooks}
    assert {shape for shape in shapes if shape not in SHAPES} == set()
    assert TOPICS.hooks.keys() - {"register/callback"} == TOPIC_PATHS.keys()


@pytest.mark.parametrize(
    ("body", "query", "signature"),
    [
        (b"", "", "KbNaaOVhaJeyB5hN7jBw9OGbkON86+bHReaIEWfCcCg="),
        (b'{"method":"get"}', "", "zRySSrzUWHRD8Qrw0AnUuGWYTVqn45wbXuMnAelsSwE="),
        (b'{"external_id":"ord-1001","status":"completed"}', "", "/7Em/nETZTWi82KS3i03iSo5YLOFBEEms2BkbmHJuF0="),
        (b"", "per_page=20&current_page=1", "sNeo1k0s4APt8cdF1bSDqmg0cU0tPtqIBCWl0aOOMZ8="),
    ],
)
def test_the_contracts_signatures_come_out_of_this_hand_too(body: bytes, query: str, signature: str) -> None:
    assert sign("rk_sandbox_demo_1", signed_message(body, query)) == signature


def test_a_query_is_signed_as_php_writes_it() -> None:
    assert signed_message(b"", "q=a%2Fb+%C3%A9%F0%9F%98%80&q2=") == rb'{"q":"a\/b \u00e9\ud83d\ude00","q2":""}'


def test_key_then_signature_then_path_are_checked_for_every_verb(rally: Rally) -> None:
    assert rally.api("GET", "hooks", key="rk_unknown") == (401, {"message": "Unauthenticated."})
    for method, path in [("GET", "hooks"), ("DELETE", "hooks/x"), ("POST", "webhooks/order-update"), ("GET", "no")]:
        status, answer = rally.api(method, path, b'{"method":"get"}', **{HEADER: sign(API_KEY, b"other")})
        assert (status, answer) == (401, {"message": "Invalid HMAC signature"})
    assert rally.api("GET", "hooks", b'{"method":"get"}') == (200, {"data": []})
    assert rally.api("GET", "hooks?page=1")[0] == 200
    assert rally.api("GET", "nowhere")[0] == 404
    assert rally.api("PUT", "webhooks/order-update", {})[0] == 405
    assert rally.api("POST", "webhooks/product-delete", b"{}", **{"Content-Type": "text/plain"})[0] == 415


def test_a_key_can_be_changed_without_a_gap_and_belongs_to_one_merchant(rally: Rally, connector: Connector) -> None:
    place = f"merchants/{ORGANIZATION_ID}"
    rally.admin("PUT", place, {"api_keys": ["rk_new", API_KEY]})
    assert rally.api("GET", "hooks", key="rk_new")[0] == rally.api("GET", "hooks")[0] == 200
    assert rally.step("cart/fetch", cart="c")["status"] == 406, "the connector knows only the old key"
    assert rally.step("cart/fetch", cart="c", key=API_KEY)["outcome"] == "refused"
    rally.admin("PUT", place, {"api_keys": ["rk_new"]})
    assert rally.api("GET", "hooks")[0] == 401
    assert rally.try_admin("PUT", place, {"api_keys": [SECOND_API_KEY]})[0] == 409
    added = rally.admin("POST", "merchants", {"api_keys": ["rk_third"], "hmac_secret": "apart"})["merchant"]
    assert rally.api("GET", "hooks", key="rk_third")[0] == 401
    assert rally.api("GET", "hooks", key="rk_third", **{HEADER: sign("apart", b"")}) == (200, {"data": []})
    assert added["organization_id"] in rally.admin("GET", "state")["merchants"]


def test_hooks_are_kept_per_merchant_and_examined(rally: Rally) -> None:
    hook = {"type": "order/create", "url": "http://127.0.0.1:1/m/:orgId/orders", "method": "post"}
    assert rally.api("POST", "hooks", {**hook, "method": "POST"})[0] == 422
    status, answer = rally.api("POST", "hooks", {**hook, "type": "order/destroy", "url": "/relative"})
    assert (status, sorted(answer["errors"])) == (422, ["type", "url"])
    _, made = rally.api("POST", "hooks", hook)
    rally.api("POST", "hooks", hook)
    assert rally.api("GET", "hooks")[1]["data"][0] == made["data"]
    assert rally.api("GET", "hooks", key=SECOND_API_KEY)[1] == {"data": []}
    gone = f"hooks/{made['data']['id']}"
    assert rally.api("DELETE", gone, {"method": "get"}, key=SECOND_API_KEY)[0] == 404
    assert [rally.api("DELETE", gone, {"method": "get"})[0] for _ in range(2)] == [200, 404]
    assert any("registered already" in warning for warning in rally.see("warnings"))


def test_a_whole_checkout_runs_through_the_hooks_and_stays_readable(rally: Rally, connector: Connector) -> None:
    assert rally.step("products/fetch", title="tee")["outcome"] == "good"
    done = rally.checkout(skus={"TEE": 2}, add_skus={"TEE": 1}, coupon="", offer_skus={"TEE": 1})
    assert [step["topic"] for step in done["steps"]] == [
        "cart/create", "cart/fetch", "cart/update", "cart/update", "cart/update", "cart/add", "cart/update",
        "order/create", "order/update", "order/update",
    ]  # fmt: skip
    assert {step["outcome"] for step in done["steps"]} == {"good"}
    assert all(step["warnings"] == [] for step in done["steps"])
    assert rally.see("warnings") == []
    order = rally.order(done["order_id"])
    assert (order["is_paid"], order["status"], done["charged"]) == (True, "paid", 3 * 30 + 5 + 30)
    assert [one["status"] for one in order["statuses"]] == ["pending", "paid"]
    assert [transaction["amount"] for transaction in order["transactions"]] == [95, 30]
    paid = connector.asked[-1][2]
    assert (paid["status"], paid["payment_method"]["last4"], paid["transactions"]) == ("paid", "4242", [])
    assert rally.counts()["POST order/create"] == {"200": 1}
    assert rally.see("stock")[0] | {"at": ""} == {
        "product_id": "prod-7", "variant_id": "prod-7", "sku": "TEE", "value": 9, "updates": 0, "at": ""
    }  # fmt: skip


def test_the_ways_a_checkout_goes_wrong_can_be_asked_for(rally: Rally, connector: Connector) -> None:
    line = [{"external_product_id": "p", "external_variant_id": "", "quantity": 1}]
    unpaid = rally.checkout(line_items=line, is_paid=False)
    assert rally.order(unpaid["order_id"])["is_paid"] is False
    twice = rally.checkout(line_items=line, create_times=2, repeat_transactions=True, repeat_paid=2)
    order = rally.order(twice["order_id"])
    assert (len(order["transactions"]), order["charged"]) == (1, 35)
    assert connector.asked[-1][2]["transactions"][0] == order["transactions"][0] | {"amount": 35.0}
    held = rally.checkout(line_items=line, is_held=True)
    order = rally.order(held["order_id"])
    assert (order["is_held"], order["is_paid"], order["status"]) == (True, False, "pending")
    assert rally.step("order/update", order=held["order_id"], status="paid")["outcome"] == "good"
    assert rally.order(held["order_id"])["is_paid"] is True
    wrong = rally.checkout(line_items=line, wrong_signature_at="order/create")
    assert (wrong["outcome"], wrong["steps"][-1]["status"], wrong["order_id"]) == ("refused", 406, "")
    assert rally.checkout(line_items=line, stop_after="cart/fetch")["steps"][-1]["topic"] == "cart/fetch"
    assert rally.step("order/update", order=unpaid["order_id"], status="refunded")["outcome"] == "good"
    order = rally.order(unpaid["order_id"])
    assert (order["refunded"], order["refunds"][0]["by"], order["status"]) == (35, "rally", "refunded")


def test_rally_notices_a_price_of_its_own_that_is_not_taken_or_is_discounted(
    rally: Rally, connector: Connector
) -> None:
    line = {"external_product_id": "p", "external_variant_id": "p", "quantity": 1}
    assert rally.step("cart/create", line_items=[{**line, "price": 5}])["warnings"] == []
    assert rally.step("cart/add", line_items=[{**line, "price": 30}])["warnings"] == []
    [said] = rally.step("cart/add", line_items=[{**line, "price": 5}])["warnings"]
    assert "price Rally named" in said


def test_a_second_tab_names_the_lines_of_before(rally: Rally, connector: Connector) -> None:
    line = {"external_product_id": "p", "external_variant_id": "p", "quantity": 1}
    cart = rally.step("cart/create", line_items=[line])["answer"]
    rally.step("cart/update")
    assert rally.step("cart/add", line_items=[line])["outcome"] == "good"
    rally.step("order/create", shows_earlier_lines=True)
    sent = connector.asked[-1][2]
    assert (sent["cart"]["external_id"], len(sent["line_items"])) == (cart["external_id"], 1)


def test_a_paid_that_mentions_no_review_ends_one_for_rally_too(rally: Rally, connector: Connector) -> None:
    done = rally.checkout(line_items=[{"external_product_id": "p", "external_variant_id": "p", "quantity": 1}],
                          is_held=True, is_paid=False)  # fmt: skip
    assert rally.order(done["order_id"])["is_held"]
    step = rally.step("order/update", status="paid", mentions_review=False)
    assert step["outcome"] == "good" and "fraud_review_transaction" not in connector.asked[-1][2]
    assert (rally.order(done["order_id"])["is_held"], rally.order(done["order_id"])["is_paid"]) == (False, True)


def test_what_a_person_writes_into_a_step_is_refused_or_a_warning_and_never_a_fault_of_the_sandbox(
    rally: Rally, order_id: str
) -> None:
    for transactions in ([{"amount": 5}], [{"external_id": "c", "amount": "x"}], [{"external_id": [], "amount": 1}]):
        step = rally.step("order/update", transactions=transactions)
        assert "transactions holds one without an id or an amount" in step["warnings"]
    assert rally.step("order/update", more={"transactions": 5})["outcome"] == "good"
    assert rally.order(order_id)["charged"] == 65
    path = f"merchants/{ORGANIZATION_ID}/steps/order/update"
    for wish in ({"offers": [{}]}, {"offers": [{"price": 1, "quantity": "x"}]}, {"offer_shipping": {"total": "x"}}):
        status, answer = rally.try_admin("POST", path, wish)
        assert status == 400 and "offer needs a number" in answer["message"]
    assert rally.step("cart/fetch", cart="cart-9", status="refunded")["error"] == "422 cart_not_found: no such cart"
    assert rally.order(order_id)["refunded"] == 0


def test_single_steps_reach_the_other_hooks(rally: Rally, connector: Connector, order_id: str) -> None:
    assert rally.step("order/fetch")["answer"]["external_id"] == order_id
    assert connector.asked[-1] == ("GET", f"orders/{order_id}", None)
    page = rally.step("orders/list", per_page=20, current_page=1)
    assert (page["outcome"], page["answer"]["total"]) == ("good", 1)
    assert rally.step("shipping_zones/fetch")["outcome"] == "good"
    assert rally.step("register/callback")["answer"]["store_name"] == "Tees"
    assert rally.step("cart/remove", line_items=[{"external_id": "li-0", "quantity": 1}])["outcome"] == "good"
    assert rally.step("cart/fetch", cart="cart-9")["error"] == "422 cart_not_found: no such cart"
    assert rally.step("store_information/fetch")["status"] == 404
    assert rally.step("cart/fetch", cart="a/b")["url"].endswith("/carts/a%2Fb")
    assert rally.step("order/create", raw="{half")["outcome"] in ("faulty", "unreachable")
    assert rally.try_admin("POST", f"merchants/{ORGANIZATION_ID}/steps/cart/burn", {})[0] == 404
    assert rally.try_admin("POST", f"merchants/{ORGANIZATION_ID}/steps/cart/fetch", {"crat": "x"})[0] == 400
    assert rally.try_admin("POST", f"merchants/{SECOND_ORGANIZATION_ID}/checkouts", {})[0] == 409


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"signature": "AAAA"}, "X-HMAC-SHA256 of the answer is wrong"),
        ({"signature": ""}, "X-HMAC-SHA256 of the answer is missing"),
        ({"subtotal": "60.00"}, "subtotal must be a number"),
        ({"total": 0.1 + 0.2}, "total must have at most 4 decimals"),
        ({"currency": "DROP"}, "currency is required"),
        ({"external_id": "cart-other"}, "external_id is another cart"),
        ({"organization_id": SECOND_ORGANIZATION_ID}, "organization_id must be empty or the organisation"),
        ({"line_items": [{"external_id": "li-0"}]}, "line_items.0.sku is required"),
    ],
)
def test_an_answer_that_drifts_is_an_error_and_changes_nothing(
    rally: Rally, connector: Connector, spoil: dict[str, Any], said: str
) -> None:
    rally.step("cart/create", line_items=[{"external_product_id": "p", "external_variant_id": "p", "quantity": 1}])
    before = rally.see("carts")
    connector.spoil = spoil
    step = rally.step("cart/fetch")
    assert (step["outcome"], step["status"]) == ("faulty", 200)
    assert any(problem.startswith(said) for problem in step["problems"]), step["problems"]
    assert rally.see("carts") == before
    assert rally.admin("GET", "journal?direction=sent")["calls"][-1]["problems"]


def test_an_unknown_field_or_a_sum_that_is_off_is_a_warning(rally: Rally, connector: Connector) -> None:
    connector.spoil = {"colour": "blue", "total": 1}
    step = rally.step(
        "cart/create", line_items=[{"external_product_id": "p", "external_variant_id": "", "quantity": 1}]
    )
    assert step["outcome"] == "good"
    assert step["warnings"][0] == "colour is unknown"
    assert any(warning.startswith("total is not") for warning in step["warnings"])
    assert "cart/create: colour is unknown" in rally.see("warnings")


def test_errors_outside_the_error_contract_are_faulty(rally: Rally, connector: Connector) -> None:
    connector.spoil = {"error_code": "made_up"}
    assert rally.step("cart/fetch", cart="cart-9")["outcome"] == "faulty"
    connector.spoil = {"error_code": "out_of_stock"}
    assert "meta must be a list" in rally.step("cart/fetch", cart="cart-9")["problems"]
    connector.spoil = {"error_code": "out_of_stock", "meta": [{"product_id": "p", "variant_id": "", "quantity": 0}]}
    assert rally.step("cart/fetch", cart="cart-9")["outcome"] == "refused"
    assert rally.step("cart/fetch", cart="cart-9", sign="none")["status"] == 406


def test_refunds_stay_within_the_charge_and_count_once(rally: Rally, order_id: str) -> None:
    def refund(refund_id: str, amount: float, **more: object) -> tuple[int, Any]:
        row = {"external_id": "li-0", "type": "line_item", "reason": None, "quantity": 1, "amount": amount}
        body = {"organization_id": "", "external_id": refund_id, "external_order_id": order_id, "amount": amount}
        return rally.api("POST", "webhooks/order-refund-create", {**body, "refunds": [row], **more})

    assert refund("r-1", 30.0) == (202, {"data": {"received": True}})
    assert refund("r-1", 30.0)[0] == 202
    assert rally.order(order_id)["refunded"] == 30
    assert refund("r-2", 35.01) == (
        422,
        {
            "message": "The given data was invalid.",
            "errors": {"amount": ["exceeds what is left of the charged total"]},
        },
    )
    assert refund("r-2", 35.0)[0] == 202
    assert refund("r-3", 0.01)[0] == 422
    assert refund("r-4", 1, external_order_id="ord-unknown") == (404, {"message": "Not found"})
    assert [(one["external_id"], one["amount"]) for one in rally.see("refunds")] == [("r-1", 30), ("r-2", 35)]
    assert rally.counts()["POST webhooks/order-refund-create"] == {"202": 3, "422": 2, "404": 1}
    rally.api("POST", "webhooks/order-refund-create", {"external_id": "r-1"})
    assert "external_order_id is required" in rally.admin("GET", "journal?status=422")["calls"][-1]["problems"]
    assert rally.see("warnings") == []
    assert refund("r-1", 29.0)[0] == 202
    assert rally.see("warnings") == [
        "webhooks/order-refund-create: external_id was refunded already with other contents; nothing is done"
    ]


def test_statuses_are_the_four_and_going_back_is_noticed(rally: Rally, order_id: str) -> None:
    def status(wanted: str) -> int:
        body = {"organization_id": "", "external_id": order_id, "status": wanted}
        return rally.api("POST", "webhooks/order-status-update", body)[0]

    assert [status(wanted) for wanted in ("completed", "cancelled", "pending", "refunded")] == [202, 422, 202, 202]
    assert [one["status"] for one in rally.order(order_id)["statuses"]] == [
        "pending", "paid", "completed", "pending", "refunded"
    ]  # fmt: skip
    assert rally.see("warnings") == ["webhooks/order-status-update: status goes back from completed to pending"]


def test_an_order_snapshot_is_examined_field_by_field(rally: Rally, connector: Connector, order_id: str) -> None:
    order, address = connector.orders[order_id], dict.fromkeys(ADDRESS_NAMES, "") | {"country_code": "US"}
    snapshot = {
        **{name: order[name] for name in ("external_id", "external_number", "line_items", "discounts", "taxes")},
        "customer": {"external_id": "guest", "email": "a@b.test", "first_name": "A", "last_name": "R"},
        "billing_address": address, "shipping_address": address,
        "organization_id": ORGANIZATION_ID, "cart": {"external_id": order["cart_id"]}, "email": "a@b.test",
        "selected_shipping_line_external_id": "flat_standard", "total_tax": 0, "total_price": 65,
        "subtotal_price": 60, "total_discounts": 0, "payment_method": "credit_card", "status": "paid",
        "taxes_included_in_price": False, "meta": {"fulfillments": []},
    }  # fmt: skip
    assert rally.api("POST", "webhooks/order-update", snapshot)[0] == 202
    assert rally.order(order_id)["snapshot"]["meta"] == {"fulfillments": []}
    assert rally.see("warnings") == []
    line = order["line_items"][0]
    for more in ({"metafields": []}, {"is_removable": True}):
        assert rally.api("POST", "webhooks/order-update", {**snapshot, "line_items": [{**line, **more}]})[0] == 202
    assert [warning.partition(" ")[2] for warning in rally.see("warnings")] == [
        "line_items.0.metafields is unknown", "line_items.0.is_removable is unknown"
    ]  # fmt: skip
    for name, value in [("status", "canceled"), ("total_price", "65"), ("organization_id", "org-demo-2")]:
        status, answer = rally.api("POST", "webhooks/order-update", {**snapshot, name: value})
        assert (status, list(answer["errors"])) == (422, [name])
    assert rally.api("POST", "webhooks/order-update", {**snapshot, "external_id": "ord-9"})[0] == 404


def test_catalogue_and_stock_are_copied_and_the_unknown_is_let_pass_with_a_warning(rally: Rally) -> None:
    def stock(product_id: str, value: object, variant_id: str = "") -> int:
        body = {"organization_id": "", "external_product_id": product_id, "external_variant_id": variant_id}
        return rally.api("POST", "webhooks/product-inventory-update", {**body, "value": value, "method": "absolute"})[0]

    assert stock("prod-7", 3) == 202
    assert rally.see("stock") == []
    assert len(rally.see("warnings")) == 1
    assert rally.api("POST", "webhooks/product-update", product())[0] == 202
    assert [stock("prod-7", 0), stock("prod-7", 4, "prod-7"), stock("prod-7", -1), stock("prod-7", 1.5)] == [
        202, 202, 422, 422
    ]  # fmt: skip
    assert [(row["sku"], row["value"], row["updates"]) for row in rally.see("stock")] == [("TEE", 4, 2)]
    assert rally.api("POST", "webhooks/product-update", product(variants=[]))[0] == 422
    assert rally.api("POST", "webhooks/product-update", product(color="red"))[0] == 202
    assert rally.see("warnings")[1:] == ["webhooks/product-update: color is unknown"]
    assert rally.see("products", SECOND_ORGANIZATION_ID) == {}
    gone = {"organization_id": "", "external_id": "prod-7"}
    assert [rally.api("POST", "webhooks/product-delete", gone)[0] for _ in range(2)] == [202, 202]
    assert rally.see("stock") == []
    shirts = {"organization_id": "", "external_id": "cat-3", "title": "Shirts", "image_url": "", "meta": ""}
    assert rally.api("POST", "webhooks/category-update", shirts)[0] == 202
    assert list(rally.see("categories")) == ["cat-3"]
    shop = {
        "external_id": "1", "organization_id": "", "country_code": "US", "address": "1 Elm St", "phone": None,
        "locale": "en_US", "timezone": "America/Chicago", "currency": "USD", "weight_unit": "kg",
    }  # fmt: skip
    assert rally.api("POST", "webhooks/shop-info-update", shop)[0] == 202
    assert rally.api("POST", "webhooks/shop-info-update", {**shop, "weight_unit": "g"})[0] == 422
    assert rally.see("shop")["profile"]["timezone"] == "America/Chicago"
    assert rally.api("POST", "webhooks/order-create", {"external_id": "o", "cart_id": "c"})[0] == 202
    assert rally.see("orders_announced")[0]["cart_id"] == "c"


def test_faults_hit_one_route_of_one_merchant_and_say_whether_the_work_was_done(rally: Rally) -> None:
    update = {"match": {"path_prefix": "/connector-api/v1/webhooks/product-update"}, "merchant": ORGANIZATION_ID}
    rally.admin("POST", "faults", {"kind": "status", "code": 429, "retry_after": 2, "times": 1, **update})
    assert rally.api("POST", "webhooks/product-update", product(), key=SECOND_API_KEY)[0] == 202
    assert rally.api("GET", "hooks")[0] == 200
    assert rally.api("POST", "webhooks/product-update", product())[0] == 429
    assert rally.see("products") == {}
    rally.admin("POST", "faults", {"kind": "reset_after", "times": 1, **update})
    with pytest.raises(requests.ConnectionError):
        rally.api("POST", "webhooks/product-update", product())
    assert list(rally.see("products")) == ["prod-7"]
    assert rally.counts()["POST webhooks/product-update"] == {"202": 1}
    assert rally.try_admin("POST", "faults", {"kind": "explode"})[0] == 400
    rally.admin("PUT", "settings", {"rate_per_s": 1})
    assert [rally.api("GET", "hooks")[0] for _ in range(2)] == [200, 429]
    assert rally.api("GET", "hooks", key=SECOND_API_KEY)[0] == 200


def test_a_connector_that_hangs_costs_one_step_and_blocks_nothing_else(rally: Rally) -> None:
    with serve(Connector({ORGANIZATION_ID: API_KEY})) as server:
        server.faults.add({"kind": "hang"})
        rally.register_all(server.url)
        waiting: dict[str, Any] = {}

        def ask() -> None:
            with requests.Session() as session:
                waiting.update(Rally(rally.server, session).step("cart/fetch", cart="c", patience_s=3.0))

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.2)
        assert rally.api("GET", "hooks")[0] == 200
        assert thread.is_alive()
        thread.join()
    assert (waiting["outcome"], waiting["status"], waiting["error"]) == ("unreachable", 0, "no answer: ReadTimeout")
    assert rally.step("cart/fetch", cart="c")["outcome"] == "unreachable"


def test_the_storefront_gets_a_session_and_a_page(rally: Rally, connector: Connector) -> None:
    client_id = rally.admin("GET", f"merchants/{ORGANIZATION_ID}")["merchant"]["client_id"]
    line = {"external_product_id": "p", "external_variant_id": "", "quantity": 1}

    def ask(**body: object) -> requests.Response:
        return rally.session.post(f"{rally.server.url}/api/v1/checkout/auth", json=body, timeout=5)

    assert ask(client_id="unknown", cart_id="c").status_code == 401
    assert ask(client_id=client_id).status_code == 422
    assert ask(client_id=client_id, line_items=[{"product_id": "p", "variants": 5}]).status_code == 422
    answer = ask(client_id=client_id, line_items=[line]).json()
    assert answer["url"].startswith(rally.server.url)
    assert "Checkout" in rally.session.get(answer["url"], timeout=5).text
    assert rally.checkout(session=answer["checkout_session_id"])["outcome"] == "good"
    again = ask(client_id=client_id, cart_id="cart-1", checkout_session_id=answer["checkout_session_id"])
    assert again.json() == answer
    preflight = rally.session.options(f"{rally.server.url}/api/v1/checkout/auth", timeout=5)
    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Headers"]) == (204, "Content-Type")
    for reply in (again, preflight, ask(client_id="unknown")):
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert rally.checkout(session=answer["checkout_session_id"])["steps"][0]["topic"] == "cart/fetch"


def test_the_state_survives_a_restart_and_a_reset_forgets_it(tmp_path: Path) -> None:
    kept = tmp_path / "rally.json"
    with requests.Session() as session:
        with serve_rally(state_file=kept) as server:
            assert Rally(server, session).api("POST", "webhooks/product-update", product())[0] == 202
        with serve_rally(state_file=kept) as server:
            rally = Rally(server, session)
            assert rally.see("stock")[0]["value"] == 9
            rally.admin("POST", "reset", {})
            assert rally.see("products") == {}
