"""The stand-in of Retail Rocket is as strict as the contract, and misbehaves where it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from app.sandbox.server import serve
from app.sandbox.vendors.retailrocket import API_KEY, PARTNER_ID, SECOND_API_KEY, serve_retailrocket
from tests.sandboxes import Sandbox

WHO = {"sessionExternalId": "8f0c2b7a4d1e4f65a90b3c7d2e1f6a58", "timestamp": "2026-03-04T10:15:00+03:00"}
ORDER = {**WHO, "productId": 700101, "price": 1250, "quantity": 2, "transaction": "WEB-90017"}
PRODUCT = {
    "id": 7, "name": "Hose", "price": 12.5, "url": "https://shop.example/7", "pictureUrl": "https://shop.example/7.jpg",
    "isAvailable": True, "categoryPaths": ["Garden/Hoses"], "oldPrice": None,
}  # fmt: skip
OFFER = (
    '<offer id="{id}" available="{available}"><url>https://a.example/1</url><price>{price}</price>'
    "<categoryId>{category}</categoryId><picture>https://a.example/1.jpg</picture><name>{name}</name>{more}</offer>"
)


@pytest.fixture
def rocket() -> Iterator[Sandbox]:
    with serve_retailrocket() as server:
        yield Sandbox(server)


@pytest.fixture
def post(rocket: Sandbox) -> Callable[..., int]:
    def send(path: str, body: Any, **query: str) -> int:
        known = {"apiKey": API_KEY, "partnerId": PARTNER_ID, **query}
        return requests.post(f"{rocket.url}{path}", json=body, params=known, timeout=10).status_code

    return send


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 200),
        ({"productId": 7.5}, 400),
        ({"productId": 2**53}, 400),
        ({"productId": "7"}, 400),
        ({"quantity": 0}, 400),
        ({"quantity": -1}, 400),
        ({"price": -1}, 400),
        ({"sessionExternalId": "a" * 51}, 400),
        ({"sessionExternalId": "with-dashes"}, 400),
        ({"timestamp": "2026-03-04T10:15:00"}, 400),
        ({"transaction": ""}, 400),
    ],
)
def test_an_order_event_is_taken_or_refused_by_its_fields(
    changed: dict[str, Any], status: int, post: Callable[..., int]
) -> None:
    assert post("/apptracking/1.0/order", {**ORDER, **changed}) == status
    assert post("/apptracking/1.0/visitorEvents", [{"order": {**ORDER, **changed}}]) == status


def test_keys_stores_paths_and_rate(post: Callable[..., int], rocket: Sandbox) -> None:
    assert post("/apptracking/1.0/order", ORDER, apiKey="wrong") == 401
    assert post("/apptracking/1.0/order", ORDER, apiKey=SECOND_API_KEY) == 401
    assert post("/apptracking/1.0/unknown", ORDER) == 404
    rocket.tell("settings", {"blocked": [PARTNER_ID]}, "PUT")
    assert post("/apptracking/1.0/order", ORDER) == 403
    rocket.tell("settings", {"blocked": [], "rate_limit_rps": 2}, "PUT")
    assert 429 in [post("/apptracking/1.0/order", ORDER) for _ in range(5)]


def test_a_batch_is_taken_in_order_or_not_at_all(post: Callable[..., int], rocket: Sandbox) -> None:
    contact = {"setContact": {**WHO, "contactExternalId": "C1", "email": "pat@example.org"}}
    assert post("/apptracking/1.0/visitorEvents", [contact, {"order": {**ORDER, "quantity": 0}}]) == 400
    assert post("/apptracking/1.0/visitorEvents", [{"order": ORDER, "view": {}}]) == 400
    assert rocket.state()["events"] == []
    assert post("/apptracking/1.0/visitorEvents", [contact, {"order": ORDER}, {"order": ORDER}]) == 200
    assert [event["kind"] for event in rocket.state()["events"]] == ["setContact", "order", "order"]
    assert rocket.state()["purchases"][0]["times"] == 2, "nothing is suppressed by itself"


def test_two_batches_of_one_visitor_at_a_time_are_noticed(post: Callable[..., int], rocket: Sandbox) -> None:
    rocket.tell("settings", {"batch_delay_s": 2.0, "overlap_status": 409}, "PUT")
    statuses: list[int] = []

    def send() -> None:
        statuses.append(post("/apptracking/1.0/visitorEvents", [{"order": ORDER}]))

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 409]
    assert rocket.state()["warnings"]


def test_products_are_taken_whole_with_or_without_their_hash_and_read_back(
    post: Callable[..., int], rocket: Sandbox
) -> None:
    base = f"/cdn/api/1.0/partner/{PARTNER_ID}"
    assert post(f"{base}/products/7", PRODUCT) == 200
    assert post(f"{base}/products/7", PRODUCT, contentHash="1") == 200 and rocket.state()["warnings"]
    for wrong in ({"price": 0}, {"url": "/7"}, {"isAvailable": "true"}, {"categoryPaths": []}, {"id": 8}):
        assert post(f"{base}/products/7", {**PRODUCT, **wrong}) == 400
    group = {**PRODUCT, "groupId": 70, "products": {"71": {**PRODUCT, "isAvailable": False}}}
    assert post(f"{base}/productsgroup/70", group) == 200
    items = requests.get(
        f"{rocket.url}/api/api/1.0/partner/{PARTNER_ID}/items/", params={"itemsIds": "7,71,99"}, timeout=10
    ).json()
    assert [(item["ItemId"], item["IsAvailable"], item["GroupId"]) for item in items] == [
        (7, True, None),
        (71, False, 70),
    ]
    rocket.tell("settings", {"is_signed": True}, "PUT")
    assert post(f"{base}/products/7", PRODUCT) == 403
    assert post(f"{base}/products/7", PRODUCT, signature="x", validTill="20260304101500") == 400
    assert post(f"{base}/products/7", PRODUCT, signature="a" * 64, validTill="20260304101500") == 200


def test_uploads_subscribe_whoever_bought(rocket: Sandbox) -> None:
    url = f"{rocket.url}/api/api/2.0/partner/{PARTNER_ID}"

    def upload(kind: str, body: bytes) -> int:
        return requests.post(f"{url}/{kind}", data=body, params={"apikey": API_KEY}, timeout=10).status_code

    row = b'2026-03-04 10:15:00 +03,"WEB-1","700101","1250","pat@example.org",2\n'
    assert upload("transaction", b"DATE,TRANSACTION_ID,ItemId,Price,Email,Quantity\n" + row) == 400
    assert upload("transaction", row) == 200 == upload("transaction", row)
    assert len(rocket.state()["csv_orders"]) == 2 and "pat@example.org" in rocket.state()["subscribers"]
    assert upload("transaction", row * 70000) == 413
    assert upload("subscribers", b"pat@example.org,false\n") == 400
    assert upload("subscribers", b"Email,IsSubscribed\npat@example.org,false\n") == 200
    assert not rocket.state()["subscribers"]["pat@example.org"]["is_subscribed"]


TREE = '<categories><category id="10">Garden</category><category id="11" parentId="10">Hoses</category></categories>'


def _feed(*offers: str) -> bytes:
    head = f'<?xml version="1.0" encoding="UTF-8"?><yml_catalog date="2026-03-04 09:30"><shop>{TREE}<offers>'
    return (head + "".join(offers) + "</offers></shop></yml_catalog>").encode()


def _offer(number: Any, **fields: Any) -> str:
    known = {"available": "true", "price": "5", "category": "11", "name": f"N{number}", "more": "", **fields}
    return OFFER.format(id=number, **known)


def test_the_poller_takes_a_changed_feed_and_silently_skips_what_is_not_complete(rocket: Sandbox) -> None:
    said = [_feed(_offer(1), _offer(2))]

    def shop(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        etag = f'"{len(said)}"'
        if environ.get("HTTP_IF_NONE_MATCH") == etag:
            start("304 Not Modified", [])
            return []
        start("200 OK", [("ETag", etag)])
        return [said[-1]]

    with serve(shop) as server:  # type: ignore[arg-type]
        rocket.tell("settings", {"feed_url": server.url}, "PUT")
        assert rocket.tell("poll", {})["imported"] == 2
        assert rocket.tell("poll", {})["status"] == 304
        regional = '<stock id="north"><available>true</available></stock>'
        bad = [
            _offer(1, name=""),
            _offer("a"),
            _offer(3, price="0"),
            _offer(4, category="99"),
            _offer(5, more=regional),
        ]
        mixed = [_offer(6, more=regional, available="false"), _offer(6), _offer(7, available="yes")]
        said.append(_feed(*bad, *mixed))
        assert rocket.tell("poll", {})["imported"] == 1
        held = rocket.state()
        assert [item["reason"] for item in held["skipped"]] == [
            "name is missing or empty", "id is not an integer", "price is 0", "categoryId names no category",
            "available must be false where stock is used", "id stands twice", "available is not true or false",
        ]  # fmt: skip
        assert held["products"]["6"]["isAvailable"] and not held["products"]["2"]["isAvailable"]
        assert held["products"]["6"]["categories"] == ["Garden/Hoses"]
        said.append(b"\n" + said[0])
        assert rocket.tell("poll", {})["fault"]


def test_what_it_holds_outlives_it_in_a_file_and_ends_with_a_reset(tmp_path: Any) -> None:
    query = {"apiKey": API_KEY, "partnerId": PARTNER_ID}
    with serve_retailrocket(state_file=tmp_path / "kept.json") as server:
        assert requests.post(f"{server.url}/apptracking/1.0/order", json=ORDER, params=query, timeout=10).ok
    with serve_retailrocket(state_file=tmp_path / "kept.json") as server:
        rocket = Sandbox(server)
        assert len(rocket.state()["purchases"]) == 1
        assert API_KEY not in (tmp_path / "kept.json").read_text()
        rocket.tell("reset", {})
        assert rocket.state()["purchases"] == []
