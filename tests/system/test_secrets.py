"""Canaries in every secret and every piece of customer data, and then a search through all that was written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import requests

from app.contract.schemas import load_contract
from app.sandbox.vendors.pipe17 import LEGACY_KEY
from app.sandbox.vendors.retailops import RetailOps, shipment
from tests.channels import PAIR, channel_table
from tests.real_server import real_server
from tests.sandboxes import Sandbox

KEY = "canary+retailops+key+0000000001"
TOKEN = "canary-console-token-0001"
CUSTOMER = {
    "firstName": "CanaryFirst",
    "lastName": "CanaryLast",
    "company": "CanaryCompany",
    "address1": "1 CanaryStreet",
    "address2": "CanaryFloor",
    "city": "CanaryCity",
    "stateOrProvince": "TX",
    "zipCodeOrPostalCode": "CANARY123",
    "country": "US",
    "email": "canary@customer.example",
    "phone": "+1-555-CANARY",
}


def test_p20_no_secret_and_no_customer_data_is_ever_written(
    start_pipe17: Callable[..., Sandbox], tmp_path: Path
) -> None:
    pipe17 = start_pipe17()
    location = next(item["locationId"] for item in pipe17.state()["locations"] if item["name"] == "Dallas DC")
    sku = pipe17.state()["products"][0]["sku"]
    for number in range(4):
        wanted = {
            "extOrderId": f"SAFE-{number}",
            "locationId": location,
            "shippingAddress": CUSTOMER,
            "giftNote": "CanaryGift",
            "currency": "USD",
            "lineItems": [{"uniqueId": "1", "sku": sku, "name": "Mug", "quantity": 2}],
        }
        pipe17.tell("shipments", {"shipment": wanted})
    verbose = {"APP_ENV": "production", "LOG_LEVEL": "DEBUG", "CONSOLE_TOKEN": TOKEN, "WEB_CONCURRENCY": "2"}
    with real_server(tmp_path, channel_table(pipe17.url, key=KEY), **verbose) as server:
        _live(server.url, pipe17)
        given = requests.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5)
        assert "channel_callbacks_total" in given.text
    written = {"the log": server.log.read_bytes(), "the metrics": given.content}
    for path in tmp_path.glob("channel.db*"):
        written[path.name] = path.read_bytes()
    assert b"order_pull" in written["the log"]
    assert sum(map(len, written.values())) > 50_000
    secrets = [KEY, LEGACY_KEY, TOKEN, *CUSTOMER.values(), "CanaryGift"]
    for place, content in written.items():
        for secret in secrets:
            if len(secret) > 3:
                assert secret.encode() not in content, f"{secret} stands in {place}"
        assert not re.search(rb"(?i)canary", content), place


def _live(url: str, pipe17: Sandbox) -> None:
    """Every callback, good and bad, with a healthy and an ill vendor."""
    ro = RetailOps(f"{url}/api/channel", KEY, *PAIR, load_contract())
    orders = [order for order in ro.pull_all() if "Canary" in json.dumps(order)]
    assert len(orders) == 4, "the canaries really pass through"
    refnums = [order["channel_order_refnum"] for order in orders]
    ro.call("order_acknowledge", orders=[{"channel_order_refnum": refnum} for refnum in refnums])
    for rule in ({"kind": "status", "code": 500}, {"kind": "html"}, {"kind": "reset_after"}, {}):
        if rule:
            pipe17.fault(**rule)
        for number, order in enumerate(orders):
            ro.call(
                "order_shipment_submit",
                channel_order_refnum=order["channel_order_refnum"],
                shipment=shipment(order, 500 + number, [(0, 1)]),
            )
        ro.call("order_cancel", order={"channel_order_refnum": refnums[3]})
        ro.call("order_complete", order={"channel_order_refnum": refnums[0], "unshipped_items": []})
        ro.call("order_pull", page_token="Canary-token", specific_orders=[{"channel_refnum": refnums[0]}])
        rows = [{"sku": "S1", "quantity_available": "CanaryNumber"}, {"sku": "S2", "quantity_available": 2}]
        ro.call("inventory_push", inventory_updates=rows)
        ro.call("order_returned", order={"channel_order_refnum": refnums[1]}, **{"return": {"refund_amt": "Canary"}})
        pipe17.heal()
    for raw in (b'{"Canary', json.dumps({"integration_auth_token": "CanaryWrong"}).encode(), b'{"a":"Canary"}'):
        requests.post(f"{url}/api/channel/order_pull_v1", data=raw, timeout=10)
    requests.get(f"{url}/Canary?key=Canary", timeout=10)
    ro.close()
