"""The shop to try: a person clicks from the goods to the order, with Rally's real button and without it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from flask import Flask
from playwright.sync_api import Browser, Page, Route

from app.contract.schemas import Contract
from app.gateways.vendors.rally.cart_button import snippet
from app.sandbox.vendors.rally import ORGANIZATION_ID
from tests.browser import NoBrowser, npm_package
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, opened

SETTING = 'storefront_key = "storefront~of~the~sandbox~01"'
BUTTON = "@rallycommerce/checkout-button@1.8.0"
SCRIPTS, API = "https://js.onrally.com/", "http://api.onrally.com/"
"""The button calls its API by the scheme of the page it stands on."""


@pytest.fixture(scope="module")
def button(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of Rally's real button, as npm has it; it is never kept in the project."""
    try:
        folder = npm_package(BUTTON, tmp_path_factory.mktemp("npm"))
    except NoBrowser as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(reason))
    return (folder / "build" / "index.esm.js").read_text(encoding="utf-8")


class Visit:
    """A shopper's browser in the shop; what it sent to Rally's own address is kept."""

    def __init__(self, browser: Browser, shop: Shop, script: str = "") -> None:
        self.shop = shop
        self.sessions: list[dict[str, Any]] = []
        self.is_rally_up = True
        self.strangers: list[str] = []
        self._script = script
        self._context = browser.new_context()
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.route("**/*", self._routed)

    def close(self) -> None:
        self._context.close()

    def _routed(self, route: Route) -> None:
        url = route.request.url
        if url.startswith(self.shop.rally.url):
            route.continue_()
        elif url.startswith(SCRIPTS) and self._script:
            headers = {"Access-Control-Allow-Origin": "*"}
            route.fulfill(body=self._script, content_type="text/javascript", headers=headers)
        elif url.startswith(API) and self.is_rally_up:
            if route.request.method == "POST":
                self.sessions.append(route.request.post_data_json)
            route.fulfill(response=route.fetch(url=f"{self.shop.rally.url}/{url.removeprefix(API)}"))
        else:
            self.strangers.append(url)
            route.abort()

    def put_in_cart(self, *titles: str) -> None:
        self.page.goto(f"{self.shop.rally.url}/shop/")
        for title in titles:
            self.page.get_by_role("link", name="Goods").click()
            self.page.get_by_role("button", name=f"Add {title} to the cart").click()
        assert self.page.get_by_role("heading", name="Cart").is_visible()

    def pay(self) -> str:
        """Through Rally's hosted page, from its address to the order's number."""
        page = self.page
        page.wait_for_url("**/checkout/**")
        page.get_by_label("Street").fill("2 Oak St")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Use these").click()
        page.get_by_role("button", name="Pay").click()
        page.get_by_role("link", name="See the order in the shop").click()
        return page.url.rpartition("/")[2]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    open_ones: list[Visit] = []

    def open_one(shop: Shop, script: str = "") -> Visit:
        open_ones.append(Visit(browser, shop, script))
        return open_ones[-1]

    yield open_one
    for one in open_ones:
        one.close()


@contextmanager
def stocked(build_app: Callable[..., Flask], contract: Contract, *, has_key: bool) -> Iterator[Shop]:
    with opened(build_app, contract, rally=SETTING if has_key else "") as shop:
        shop.offer(TEE=5, MUG=5)
        yield shop


def paste_button(shop: Shop) -> None:
    """The merchant pastes what `channel rally cart-button` prints, with the shop's own checkout for the worst case."""
    native = f"{shop.rally.url}/shop/{ORGANIZATION_ID}/cart?native=1"
    options = dataclasses.replace(shop.gateway.shop.options, native_checkout_url=native)
    change_merchant(shop, cart_button=snippet(options), client_id=options.storefront_client_id)


def change_merchant(shop: Shop, **changes: str) -> None:
    url = f"{shop.rally.url}/sandbox/merchants/{ORGANIZATION_ID}"
    assert requests.put(url, json=changes, timeout=5).status_code == 200


def test_a_person_buys_without_any_script_and_sees_tracking_and_refund_come_back(
    build_app: Callable[..., Flask], contract: Contract, visit: Callable[..., Visit]
) -> None:
    with stocked(build_app, contract, has_key=True) as shop:
        shopper = visit(shop)
        shopper.put_in_cart("Tee", "Mug", "Tee")
        shopper.page.get_by_role("button", name="Check out").click()
        refnum = shopper.pay()
        [order] = shop.retailops.pull()
        assert order["channel_order_refnum"] == refnum and order["shipping_address"]["address1"] == "2 Oak St"
        assert sorted((item["sku"], item["quantity"]) for item in order["order_items"]) == [(MUG, 1), (TEE, 2)]
        shop.retailops.acknowledge(refnum)
        shop.ship(order, 77, TEE=2)
        shop.give_back(5, 22, refnum, items=[{"sku": TEE, "quantity": 1, "refund_amt": 22}])
        shop.settle()
        shopper.page.reload()
        shown = shopper.page.get_by_role("main").inner_text()
        assert "1Z77" in shown and "UPS Ground" in shown and "2 x Tee" in shown
        assert "22.00 given back" in shown and "ro-return-5" in shown
        assert shopper.strangers == []


@pytest.mark.parametrize("has_key", [True, False], ids=["cart id", "bare line items"])
def test_rallys_real_button_leads_through_the_checkout_to_order_pull(
    build_app: Callable[..., Flask], contract: Contract, visit: Callable[..., Visit], button: str, has_key: bool
) -> None:
    with stocked(build_app, contract, has_key=has_key) as shop:
        paste_button(shop)
        shopper = visit(shop, button)
        shopper.put_in_cart("Tee", "Mug")
        shopper.page.locator("rally-checkout-button button").click()
        refnum = shopper.pay()
        opened_with = shopper.sessions[-1]
        if has_key:
            assert opened_with.keys() - {"checkout_session_id"} == {"client_id", "cart_id", "cart_currency"}
        else:
            items = opened_with["line_items"]
            assert sorted((item["title"], len(item["variants"])) for item in items) == [("Mug", 1), ("Tee", 1)]
            assert "cart_id" not in opened_with
            assert all(item["variants"][0].keys() == {"variant_id", "quantity"} for item in items), "no price"
        [order] = shop.retailops.pull()
        assert order["channel_order_refnum"] == refnum
        assert sorted(item["sku"] for item in order["order_items"]) == [MUG, TEE]
        assert shopper.strangers == []


def test_without_an_answer_of_rally_the_real_button_leads_to_the_shops_own_checkout(
    build_app: Callable[..., Flask], contract: Contract, visit: Callable[..., Visit], button: str
) -> None:
    with stocked(build_app, contract, has_key=True) as shop:
        paste_button(shop)
        shopper = visit(shop, button)
        shopper.is_rally_up = False
        shopper.put_in_cart("Tee")
        shopper.page.locator("rally-checkout-button button").click()
        shopper.page.wait_for_url("**/cart?native=1")
        assert "Rally could not be reached" in shopper.page.get_by_role("main").inner_text()
        assert {url.removeprefix(API) for url in shopper.strangers} == {"api/v1/checkout/auth"}
