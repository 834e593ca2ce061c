"""Example Shop behind a whole server: what RetailOps sends arrives there, and what waits there is pulled."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from app.contract.schemas import Contract
from app.gateways.vendors.example_shop.api import TOKEN
from app.sandbox.vendors.example_shop import ACCOUNT_ID, API_KEY, BASE_PATH, State, serve_example_shop
from tests.channels import KEY, PAIR
from tests.retailops import Caller, codes
from tests.waiting import eventually

CHANNEL = f"""
[[channel]]
name = "first"
client_id = {PAIR[0]}
channel_id = {PAIR[1]}
auth_keys = ["{KEY}"]
gateways = ["{TOKEN}"]
[channel.catalog]
sku = "sku"
title = "title"
price = "price"
[channel.{TOKEN}]
account_id = "{ACCOUNT_ID}"
api_key = "{API_KEY}"
requests_per_s = 0
base_url = "%s"
"""


@pytest.fixture
def shop() -> Iterator[tuple[str, State]]:
    server, state = serve_example_shop()
    with server:
        yield server.url + BASE_PATH, state


@pytest.fixture
def retailops(build_app: Callable[..., Flask], shop: tuple[str, State], contract: Contract) -> Caller:
    return Caller(build_app(CHANNEL % shop[0]), contract)


def test_an_order_is_pulled_acknowledged_and_shipped(retailops: Caller, shop: tuple[str, State]) -> None:
    orders = retailops.pull()
    assert [order["channel_order_refnum"] for order in orders] == list(shop[1].orders)
    refnum = orders[0]["channel_order_refnum"]
    retailops.acknowledge(refnum)
    assert shop[1].orders[refnum]["status"] == "acknowledged"
    for _ in range(2):
        assert retailops.ship(orders[0])["events"] == []
    [shipment] = shop[1].orders[refnum]["shipments"]
    assert [line["quantity"] for line in shipment["lines"]] == [1, 1]
    assert shop[1].orders[refnum]["status"] == "shipped"


def test_an_order_that_cannot_be_read_is_held_back_and_the_others_go_on(
    retailops: Caller, shop: tuple[str, State]
) -> None:
    first, *others = shop[1].orders
    shop[1].orders[first]["lines"][0]["quantity"] = 1.5
    assert [order["channel_order_refnum"] for order in retailops.pull()] == others


def test_stock_is_sent_as_it_is_stated_and_a_refused_sku_is_reported(
    retailops: Caller, shop: tuple[str, State]
) -> None:
    rows = [
        {"sku": sku, "quantity_available": units, "quantity_detail": []}
        for sku, units in (("MUG-RED", 7), ("TEE-M", -2), ("UNKNOWN", 1))
    ]
    assert codes(retailops.ask("inventory_push", inventory_updates=rows)) == ["NEGATIVE_STOCK"]
    assert eventually(lambda: shop[1].stock == {"MUG-RED": 7, "TEE-M": 0})
    late = eventually(lambda: retailops.ask("inventory_push", inventory_updates=[])["events"])
    assert ["unknown_sku" in event["message"] for event in late] == [True]


def test_the_catalogue_is_sent_with_the_price_that_counts(retailops: Caller, shop: tuple[str, State]) -> None:
    record = {"feed_data": {"sku": "CAP", "title": "Cap", "price": 12.5}, "product": {"id": 7, "sku": "CAP"}}
    assert codes(retailops.ask("catalog_push", template_output={"data": {"products": [record]}})) == []
    sent = eventually(lambda: shop[1].products.get("CAP"))
    assert (sent["title"], sent["price"]) == ("Cap", 12.5)


def test_a_command_that_the_shop_has_no_call_for_says_so_and_does_nothing(
    retailops: Caller, shop: tuple[str, State]
) -> None:
    [refnum, *_] = [order["channel_order_refnum"] for order in retailops.pull()]
    answer = retailops.cancel(refnum)
    assert "NOT_CARRIED_OUT" in codes(answer)
    assert shop[1].orders[refnum]["status"] == "open"
