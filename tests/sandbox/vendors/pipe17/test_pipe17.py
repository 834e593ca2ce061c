"""The Pipe17 sandbox behaves as the contract says, shown over real HTTP, so that tests against it count."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import requests

from app.sandbox.server import RunningServer
from app.sandbox.vendors.pipe17 import (
    INTEGRATION_ID,
    INTEGRATION_KEY,
    LEGACY_KEY,
    serve_pipe17,
)
from app.sandbox.vendors.pipe17.samples import SELLING_KEY

ADDRESS = {"firstName": "Dana", "city": "Austin", "country": "US"}


class Pipe17:
    """The sandbox as a client sees it: `api` with a key, `admin` without."""

    def __init__(self, server: RunningServer, session: requests.Session) -> None:
        self.server = server
        self.session = session

    def api(
        self, method: str, path: str, body: object = None, *, key: str = INTEGRATION_KEY, **headers: str
    ) -> tuple[int, Any]:
        sent = {"X-Pipe17-Key": key, "Accept": "application/json"} if key else {}
        return self._call(method, f"/api/v3{path}", body, {**sent, **headers})

    def admin(self, method: str, path: str, body: object = None) -> Any:
        status, answer = self._call(method, f"/sandbox{path}", body, {})
        assert status == 200, answer
        return answer

    def _call(self, method: str, path: str, body: object, headers: dict[str, str]) -> tuple[int, Any]:
        data = None if body is None else msgspec.json.encode(body)
        if data is not None:
            headers = {"Content-Type": "application/json", **headers}
        answer = self.session.request(
            method, self.server.url + path, data=data, headers=headers, timeout=5, allow_redirects=False
        )
        return answer.status_code, msgspec.json.decode(answer.content)

    def state(self) -> Any:
        return self.admin("GET", "/state")

    def location(self, name: str) -> str:
        return next(row["locationId"] for row in self.state()["locations"] if row["name"] == name)

    def shipment(self, shipment_id: str) -> Any:
        return self.api("GET", f"/shipments/{shipment_id}")[1]["shipment"]

    def new_shipment(self, *lines: tuple[str, int], **more: object) -> Any:
        """A ready shipping request at Dallas with these (sku, quantity) lines, numbered from 1."""
        number = len(self.state()["shipments"])
        shipment = {
            "extOrderId": f"T-{number}",
            "locationId": self.location("Dallas DC"),
            "lineItems": [
                {"uniqueId": str(place), "sku": sku, "quantity": quantity}
                for place, (sku, quantity) in enumerate(lines, start=1)
            ],
            "shippingAddress": ADDRESS,
            **more,
        }
        return self.admin("POST", "/shipments", {"shipment": shipment})["shipments"][0]

    def stock(self, sku: str) -> Any:
        path = f"/inventory?sku={sku}&locationId={self.location('Dallas DC')}&keys=*"
        return self.api("GET", path)[1]["inventory"][0]

    def fulfil(self, shipment: Any, ext_id: str, *lines: tuple[str, str, float], **more: object) -> tuple[int, Any]:
        items = [{"uniqueId": uid, "sku": sku, "quantity": quantity} for uid, sku, quantity in lines]
        body = {"shipmentId": shipment["shipmentId"], "extFulfillmentId": ext_id, "lineItems": items, **more}
        return self.api("POST", "/fulfillments", body)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


class Clock:
    """The vendor's clock, which stands still until a test moves it."""

    def __init__(self) -> None:
        self._now = datetime(2026, 5, 4, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self._now

    def move(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pipe17(session: requests.Session, clock: Clock) -> Iterator[Pipe17]:
    with serve_pipe17(clock=clock) as server:
        yield Pipe17(server, session)


def test_a_missing_or_unknown_key_gives_401_and_a_missing_grant_403(pipe17: Pipe17) -> None:
    assert pipe17.api("GET", "/shipments", key="")[0] == 401
    status, body = pipe17.api("GET", "/shipments", key="f" * 32)
    assert (status, body["success"], body["code"]) == (401, False, 401)
    assert body["errors"] == [body["message"]]
    assert pipe17.api("GET", "/orders")[0] == 403
    assert pipe17.api("GET", "/orders", key=SELLING_KEY)[0] == 200
    assert pipe17.api("GET", "/products", key=SELLING_KEY)[0] == 403
    assert pipe17.api("GET", "/orders", key=LEGACY_KEY)[0] == 200
    assert pipe17.api("GET", "/unheard-of")[0] == 404


def test_verbs_pipe17_has_not_are_refused_with_405(pipe17: Pipe17) -> None:
    shipment = pipe17.new_shipment(("BOWL", 1))
    status, body = pipe17.fulfil(shipment, "F-1", ("1", "BOWL", 1))
    assert status == 200
    one = f"/fulfillments/{body['fulfillment']['fulfillmentId']}"
    for method, path in [("PATCH", f"/shipments/{shipment['shipmentId']}"), ("PUT", one), ("DELETE", one)]:
        status, body = pipe17.api(method, path, {})
        assert (status, body["success"]) == (405, False)


def test_lists_answer_the_envelope_page_by_page_until_last(pipe17: Pipe17) -> None:
    pipe17.admin("POST", "/shipments", {"count": 9})
    everything = {row["shipmentId"] for row in pipe17.state()["shipments"]}
    seen: list[str] = []
    skip, is_last = 0, False
    while not is_last:
        status, body = pipe17.api("GET", f"/shipments?count=4&skip={skip}&order=-createdAt")
        assert (status, body["success"], body["code"]) == (200, True, 200)
        seen += [row["shipmentId"] for row in body["shipments"]]
        is_last = body["pagination"]["last"]
        skip += body["pagination"]["pageSize"]
    assert len(seen) == len(everything)
    assert set(seen) == everything
    assert "pagination" not in pipe17.api("GET", "/shipments?pagination=disabled")[1]
    for bad in (
        "count=501",
        "count=0",
        "skip=-1",
        "updatedSince=yesterday",
        "unheard_of=1",
        "order=lineItems",
    ):
        assert pipe17.api("GET", f"/shipments?{bad}")[0] == 400, bad


def test_without_keys_a_list_is_short_and_with_a_star_it_is_whole(pipe17: Pipe17) -> None:
    short = pipe17.api("GET", "/orders?count=1", key=SELLING_KEY)[1]["orders"][0]
    assert set(short) <= {
        "orderId", "extOrderId", "email", "status", "shipByDate", "fulfilledAt", "expectedDeliveryDate",
        "tags", "createdAt", "updatedAt", "orgKey",
    }  # fmt: skip
    assert "lineItems" in pipe17.api("GET", "/orders?count=1&keys=*", key=SELLING_KEY)[1]["orders"][0]
    chosen = pipe17.api("GET", "/shipments?count=1&keys=status,locationId")[1]["shipments"][0]
    assert set(chosen) == {"shipmentId", "status", "locationId"}


def test_filters_take_commas_and_repeats_and_time_windows(pipe17: Pipe17, clock: Clock) -> None:
    statuses = ("sentToFulfillment", "canceledRestock")
    by_comma = pipe17.api("GET", f"/shipments?status={','.join(statuses)}")[1]["shipments"]
    by_repeat = pipe17.api("GET", f"/shipments?status={statuses[0]}&status={statuses[1]}")[1]["shipments"]
    assert by_comma == by_repeat
    assert {row["status"] for row in by_comma} == set(statuses)
    made = pipe17.new_shipment(("BOWL", 1))
    since = pipe17.api("GET", f"/shipments?since={made['createdAt']}")[1]["shipments"]
    assert [row["shipmentId"] for row in since] == [made["shipmentId"]]
    until = pipe17.api("GET", f"/shipments?until={made['createdAt']}")[1]["shipments"]
    assert made["shipmentId"] not in [row["shipmentId"] for row in until]
    old = until[0]["shipmentId"]
    clock.move(0.01)
    changed = pipe17.api("PUT", f"/shipments/{old}", {"tags": ["seen"]})[1]["shipment"]
    updated = pipe17.api("GET", f"/shipments?updatedSince={changed['updatedAt']}")[1]["shipments"]
    assert [row["shipmentId"] for row in updated] == [old]
    assert pipe17.api("GET", "/shipments?tags=seen")[1]["pagination"]["count"] == 1
    pipe17.session.delete(f"{pipe17.server.url}/sandbox/shipments/{old}", timeout=5).close()
    assert pipe17.api("GET", f"/shipments?shipmentId={old}")[1]["shipments"] == []
    assert len(pipe17.api("GET", f"/shipments?shipmentId={old}&deleted=true")[1]["shipments"]) == 1


def test_alternate_ids_are_read_percent_encoded(pipe17: Pipe17) -> None:
    order = next(row for row in pipe17.state()["orders"] if row["extOrderId"].startswith("#"))
    for path in (
        f"ext:{quote(order['extOrderId'], safe='')}",
        f"api:{order['extOrderApiId']}",
        order["orderId"],
    ):
        status, body = pipe17.api("GET", f"/orders/{path}", key=SELLING_KEY)
        assert (status, body["order"]["orderId"]) == (200, order["orderId"])
    assert pipe17.api("GET", "/shipments/ref:900001")[1]["shipment"]["status"] == "sentToFulfillment"
    shipment = pipe17.new_shipment(("BOWL", 1))
    odd = "RO//5#1 ü"
    assert pipe17.fulfil(shipment, odd, ("1", "BOWL", 1))[0] == 200
    found = pipe17.api("GET", f"/fulfillments/ext:{quote(odd, safe='')}")[1]["fulfillment"]
    assert found["extFulfillmentId"] == odd
    status, body = pipe17.api("GET", "/shipments/0123456789abcdef")
    assert (status, body["message"]) == (404, "No results")


def test_writes_are_refused_with_the_names_of_their_faulty_fields(pipe17: Pipe17) -> None:
    path = f"/shipments/{pipe17.new_shipment(('BOWL', 1))['shipmentId']}"
    for body, name in [
        ({"sentToFulfillmentAt": "2026-01-01T00:00:00Z"}, "sentToFulfillmentAt"),
        ({"extReferenceId": 7}, "extReferenceId"),
        ({"tags": "one"}, "tags"),
        ({"lineItems": []}, "lineItems"),
        ({"shippingAddress": ADDRESS}, "shippingAddress"),
        ({"customFields": [{"name": "n", "valu": "v"}]}, "valu"),
        ([], "object"),
    ]:
        status, answer = pipe17.api("PUT", path, body)
        assert status == 400
        assert name in answer["message"] + str(answer["errors"])
    status, answer = pipe17.api("POST", "/fulfillments", {"shipmentId": "x"})
    assert (status, answer["errors"]) == (400, ["lineItems is required"])
    bad_json = pipe17.session.post(
        f"{pipe17.server.url}/api/v3/fulfillments",
        data=b'{"shipmentId": NaN}',
        headers={"X-Pipe17-Key": INTEGRATION_KEY, "Content-Type": "application/json"},
        timeout=5,
    )
    assert bad_json.status_code == 400


def test_the_integration_moves_a_shipment_only_along_the_legal_ways(pipe17: Pipe17) -> None:
    shipment = pipe17.new_shipment(("BOWL", 2))
    path = f"/shipments/{shipment['shipmentId']}"
    assert pipe17.api("PUT", path, {"status": "fulfilled"})[0] == 400
    marks = {"status": "sentToFulfillment", "extReferenceId": "77", "extReferenceUrl": "http://127.0.0.1/77"}
    status, body = pipe17.api("PUT", path, marks)
    assert status == 200
    assert body["shipment"] | marks == body["shipment"]
    assert body["shipment"]["sentToFulfillmentAt"]
    assert pipe17.api("PUT", path, marks)[0] == 200, "the same status again is accepted"
    assert pipe17.api("PUT", path, {"status": "readyForFulfillment"})[0] == 400
    assert pipe17.api("PUT", path, {"status": "canceledRestock"})[0] == 200
    assert pipe17.api("PUT", path, {"status": "canceledRestock"})[0] == 200
    for status_word in ("sentToFulfillment", "canceled", "failed"):
        assert pipe17.api("PUT", path, {"status": status_word})[0] == 400
    assert pipe17.shipment(shipment["shipmentId"])["canceledByType"] == "integration"
    foreign = next(row for row in pipe17.state()["shipments"] if row["locationId"] == pipe17.location("Rotterdam DC"))
    assert pipe17.api("PUT", f"/shipments/{foreign['shipmentId']}", {"tags": []})[0] == 400


def test_cancelling_with_restock_frees_the_commitment_and_without_it_the_units_are_gone(
    pipe17: Pipe17,
) -> None:
    pipe17.admin("PUT", "/settings", {"inventory_engine": True})
    before = pipe17.stock("BOWL")
    first, second = (pipe17.new_shipment(("BOWL", 2)) for _ in range(2))
    committed = pipe17.stock("BOWL")
    assert committed["committed"] == before["committed"] + 4
    assert committed["available"] == before["available"] - 4
    pipe17.api("PUT", f"/shipments/{first['shipmentId']}", {"status": "canceledRestock"})
    pipe17.admin("POST", f"/shipments/{second['shipmentId']}/cancel", {"status": "canceled"})
    after = pipe17.stock("BOWL")
    assert after["committed"] == before["committed"]
    assert after["onHand"] == before["onHand"] - 2
    assert pipe17.shipment(second["shipmentId"])["canceledByType"] == "user"
    events = [row["event"] for row in pipe17.api("GET", "/inventory?sku=BOWL&ledger=true")[1]["inventory"]]
    assert events[-4:] == ["ship", "ship", "shipCancelRestock", "shipCancel"]


def test_a_fulfilment_moves_shipment_order_and_stock(pipe17: Pipe17) -> None:
    pipe17.admin("PUT", "/settings", {"inventory_engine": True})
    lines = [
        {"uniqueId": "a", "sku": "BOWL", "quantity": 2, "itemPrice": 8.75, "requiresShipping": True},
        {"uniqueId": "b", "sku": "TRAY", "quantity": 1, "itemPrice": 18, "requiresShipping": True},
    ]
    order = {"extOrderId": "#9", "lineItems": lines, "shippingAddress": ADDRESS, "currency": "USD"}
    order_id = pipe17.api("POST", "/orders", order, key=SELLING_KEY)[1]["order"]["orderId"]
    shipment = pipe17.api("GET", f"/shipments?orderId={order_id}&keys=*")[1]["shipments"][0]
    before = pipe17.stock("BOWL")
    status, body = pipe17.fulfil(shipment, "RO-1", ("a", "BOWL", 1), trackingNumber=["1Z"], shippingCarrier="UPS")
    assert (status, body["fulfillment"]["orderId"]) == (200, order_id)
    assert pipe17.shipment(shipment["shipmentId"])["status"] == "partialFulfillment"
    assert pipe17.stock("BOWL")["onHand"] == before["onHand"] - 1
    assert pipe17.stock("BOWL")["committed"] == before["committed"] - 1
    assert pipe17.api("GET", f"/orders/{order_id}", key=SELLING_KEY)[1]["order"]["status"] == "partialFulfillment"
    assert pipe17.fulfil(shipment, "RO-2", ("a", "BOWL", 1), ("b", "TRAY", 1))[0] == 200
    assert pipe17.shipment(shipment["shipmentId"])["status"] == "fulfilled"
    order = pipe17.api("GET", f"/orders/{order_id}", key=SELLING_KEY)[1]["order"]
    assert order["status"] == "fulfilled"
    assert order["fulfilledAt"]
    found = pipe17.api("GET", f"/fulfillments?shipmentId={shipment['shipmentId']}&keys=*")[1]["fulfillments"]
    assert [row["extFulfillmentId"] for row in found] == ["RO-1", "RO-2"]


def test_a_fulfilment_that_does_not_fit_its_shipment_is_refused(pipe17: Pipe17) -> None:
    shipment = pipe17.new_shipment(("BOWL", 2))
    before = pipe17.stock("BOWL")
    for line in [("9", "BOWL", 1), ("1", "TRAY", 1), ("1", "BOWL", 0), ("1", "BOWL", -1), ("1", "BOWL", 3)]:
        assert pipe17.fulfil(shipment, "RO-1", line)[0] == 400, line
    assert pipe17.fulfil(shipment, "RO-1", ("1", "BOWL", 1), ("1", "BOWL", 2))[0] == 400
    assert pipe17.fulfil(shipment, "RO-1")[0] == 400
    assert pipe17.fulfil({"shipmentId": "0" * 16}, "RO-1", ("1", "BOWL", 1))[0] == 400
    assert pipe17.stock("BOWL") == before
    assert pipe17.fulfil(shipment, "RO-1", ("1", "BOWL", 1))[0] == 200
    assert pipe17.fulfil(shipment, "RO-1", ("1", "BOWL", 1))[0] == 409
    assert pipe17.fulfil(shipment, "RO-2", ("1", "BOWL", 2))[0] == 400, "only one is open"
    pipe17.admin("POST", f"/shipments/{shipment['shipmentId']}/cancel")
    assert pipe17.fulfil(shipment, "RO-3", ("1", "BOWL", 1))[0] == 400
    assert len(pipe17.state()["fulfillments"]) == 1


def test_while_the_inventory_engine_is_off_as_it_is_by_default_no_request_moves_stock(pipe17: Pipe17) -> None:
    pipe17.admin("POST", "/reset", {"shipments": 0})
    before = pipe17.stock("BOWL")
    shipment = pipe17.new_shipment(("BOWL", 2))
    assert pipe17.fulfil(shipment, "F-1", ("1", "BOWL", 1))[0] == 200
    assert pipe17.stock("BOWL") == before
    pipe17.admin("PUT", "/settings", {"inventory_engine": True})
    held = pipe17.stock("BOWL")
    assert (held["onHand"], held["committed"]) == (before["onHand"], 1)  # what is open is committed from now on
    assert pipe17.fulfil(shipment, "F-2", ("1", "BOWL", 1))[0] == 200
    moved = pipe17.stock("BOWL")
    assert (moved["onHand"], moved["committed"], moved["available"]) == (before["onHand"] - 1, 0, before["onHand"] - 1)


def test_people_sell_count_lock_and_make_things_by_hand(pipe17: Pipe17) -> None:
    at = {"sku": "BOWL", "locationId": pipe17.location("Dallas DC")}
    here = {"locationId": at["locationId"]}
    pipe17.admin("PUT", "/inventory/BOWL", {**here, "onHand": 9, "unavailable": 0})
    pipe17.admin("PUT", "/inventory/BOWL", {**here, "sold": 2})
    pipe17.admin("PUT", "/inventory/BOWL", {**here, "returned": 1})
    row = pipe17.stock("BOWL")
    assert (row["onHand"], row["available"], row["event"], row["quantity"]) == (8, 8, "adjust", 1)
    lock = {"inventoryNotTracked": True, "locationId": at["locationId"]}
    pipe17.admin("PUT", "/products/BOWL", lock)
    pipe17.admin("PUT", "/inventory/BOWL", {**here, "onHand": 3})
    ingest = {"event": "ingest", **at, "onHand": 5}
    assert pipe17.api("POST", "/inventory", ingest)[0] == 400
    pipe17.admin("PUT", "/products/BOWL", lock | {"inventoryNotTracked": False, "is_restored": True})
    assert pipe17.stock("BOWL")["onHand"] == 8
    assert pipe17.api("POST", "/inventory", ingest)[0] == 200

    odd = " SPO\u00d6N\u00a0"
    made = pipe17.admin("POST", "/products", {"product": {"sku": odd, "name": "Spoon"}})["product"]
    assert (made["sku"], made.get("integration")) == (odd, None)
    place = pipe17.admin("POST", "/locations", {"name": "Attic", "address": ADDRESS})["location"]
    assert pipe17.location("Attic") == place["locationId"]


def test_refused_lines_close_a_shipment_without_shipping_them(pipe17: Pipe17) -> None:
    pipe17.admin("PUT", "/settings", {"inventory_engine": True})
    part, whole = pipe17.new_shipment(("BOWL", 2)), pipe17.new_shipment(("BOWL", 2))
    before = pipe17.stock("BOWL")
    pipe17.fulfil(part, "S", ("1", "BOWL", 1))
    assert pipe17.fulfil(part, "R", ("1", "BOWL", 1), fulfillmentType="rejected")[0] == 200
    assert pipe17.fulfil(whole, "R2", ("1", "BOWL", 2), fulfillmentType="rejected")[0] == 200
    assert pipe17.shipment(part["shipmentId"])["status"] == "fulfilled"
    assert pipe17.shipment(whole["shipmentId"])["status"] == "failed"
    after = pipe17.stock("BOWL")
    assert (after["onHand"], after["committed"]) == (before["onHand"] - 1, before["committed"] - 4)


def test_p9_a_created_fulfilment_counts_at_once_but_is_seen_late(pipe17: Pipe17, clock: Clock) -> None:
    pipe17.admin("PUT", "/settings", {"visible_after_s": 60})
    shipment = pipe17.new_shipment(("BOWL", 1))
    status, body = pipe17.fulfil(shipment, "RO-1", ("1", "BOWL", 1))
    fulfillment = body["fulfillment"]
    assert status == 200
    assert not any(name.startswith("_") for name in fulfillment)
    assert pipe17.api("GET", "/fulfillments?extFulfillmentId=RO-1")[1]["fulfillments"] == []
    assert pipe17.api("GET", f"/fulfillments/{fulfillment['fulfillmentId']}")[0] == 404
    assert pipe17.fulfil(shipment, "RO-1", ("1", "BOWL", 1))[0] == 409
    assert pipe17.shipment(shipment["shipmentId"])["status"] == "fulfilled"
    clock.move(59)
    assert pipe17.api("GET", "/fulfillments?extFulfillmentId=RO-1")[1]["fulfillments"] == []
    clock.move(1)
    assert len(pipe17.api("GET", "/fulfillments?extFulfillmentId=RO-1")[1]["fulfillments"]) == 1


def test_p9_an_answer_lost_after_the_work_leaves_exactly_one_fulfilment(pipe17: Pipe17) -> None:
    shipment = pipe17.new_shipment(("BOWL", 1))
    rule = {
        "kind": "reset_after",
        "times": 1,
        "match": {"method": "POST", "path_prefix": "/api/v3/fulfillments"},
    }
    pipe17.admin("POST", "/faults", rule)
    with pytest.raises(requests.ConnectionError):
        pipe17.fulfil(shipment, "RO-1", ("1", "BOWL", 1))
    assert len(pipe17.api("GET", "/fulfillments?extFulfillmentId=RO-1")[1]["fulfillments"]) == 1
    assert pipe17.fulfil(shipment, "RO-1", ("1", "BOWL", 1))[0] == 409


def test_inventory_answers_each_item_by_itself_and_in_the_form_it_was_sent(pipe17: Pipe17) -> None:
    dallas, foreign = pipe17.location("Dallas DC"), pipe17.location("Rotterdam DC")

    def item(sku: str, **more: object) -> dict[str, object]:
        return {"event": "ingest", "sku": sku, "locationId": dallas, "onHand": 5, **more}

    items = [
        item("BOWL", unavailable=2), item("UNKNOWN"), item("BOWL", locationId="0" * 16),
        item("BOWL", committed=1), item("CABLE-PER-METRE"), item("PLUG-UK"),
        item("BOWL", locationId=foreign), item("BOWL", onHand="5"),
        item("BOWL", event="ship"), {"event": "ingest", "sku": "BOWL", "locationId": dallas}, "text",
    ]  # fmt: skip
    status, body = pipe17.api("POST", "/inventory", items)
    assert status == 200
    assert [row["status"] for row in body["inventory"]] == ["created"] + ["failed"] * 10
    assert all(row["message"] for row in body["inventory"][1:])
    row = pipe17.stock("BOWL")
    assert (row["onHand"], row["unavailable"], row["available"]) == (5, 2, 3 - row["committed"])
    status, body = pipe17.api("POST", "/inventory", item("BOWL", onHand=9))
    assert (status, body["inventory"]["onHand"], body["inventory"]["unavailable"]) == (200, 9, 2)
    assert pipe17.api("POST", "/inventory", item("UNKNOWN"))[0] == 400
    assert pipe17.api("POST", "/inventory", [item("BOWL")] * 501)[0] == 400
    locked = {"event": "adjust", "sku": "PLUG-UK", "locationId": dallas, "onHand": 1}
    assert pipe17.api("POST", "/inventory", locked)[0] == 200, "a manual adjustment passes the lock"
    totals = pipe17.api("GET", "/inventory?totals=true&sku=BOWL")[1]["inventory"]
    assert [row["sku"] for row in totals] == ["BOWL"]
    assert pipe17.api("GET", "/inventory?totals=true&ledger=true")[0] == 400
    low = pipe17.api("GET", "/inventory?onHand_lt=10&keys=sku,onHand")[1]["inventory"]
    assert {row["sku"] for row in low} == {"BOWL", "PLUG-UK"}


def test_a_product_of_another_integration_takes_mapped_product_only(pipe17: Pipe17) -> None:
    products = pipe17.api("GET", "/products?status=active&keys=*&count=500")[1]["products"]
    foreign = next(row for row in products if row.get("integration") not in (None, INTEGRATION_ID))
    unowned = next(row for row in products if "integration" not in row)
    assert pipe17.api("PUT", f"/products/{foreign['productId']}", {"name": "Mine"})[0] == 409
    assert pipe17.api("PUT", f"/products/{unowned['productId']}", {"name": "Renamed"})[0] == 200
    mapped = {"integrationId": INTEGRATION_ID, "extProductId": "RO-778", "status": "published"}
    assert pipe17.api("PUT", f"/products/{foreign['productId']}", {"mappedProduct": mapped})[0] == 200
    assert pipe17.api("PUT", f"/products/{foreign['productId']}", {"mappedProduct": {"bufferInventory": 3}})[0] == 200
    whole = pipe17.api("GET", f"/products/{foreign['productId']}")[1]["product"]
    own = [row for row in whole["published"] if row["integrationId"] == INTEGRATION_ID]
    assert len(own) == 1
    assert own[0] | mapped | {"bufferInventory": 3} == own[0]
    assert "mappedProduct" not in whole
    status, body = pipe17.api(
        "POST", "/products", [{"sku": foreign["sku"], "name": "x"}, {"sku": "NEW", "name": "New"}]
    )
    assert (status, [row["status"] for row in body["products"]]) == (200, ["failed", "created"])
    assert pipe17.api("POST", "/products", {"sku": "NEW", "name": "New"})[0] == 409
    other = {"mappedProduct": {"integrationId": "0" * 16}}
    assert pipe17.api("PUT", f"/products/{unowned['productId']}", other)[0] == 400


def test_an_order_is_routed_into_one_shipment_per_location(pipe17: Pipe17) -> None:
    lines = [
        {"uniqueId": "1", "sku": "BOWL", "quantity": 1, "locationId": pipe17.location("Dallas DC")},
        {"uniqueId": "2", "sku": "SET-BREAKFAST", "quantity": 2, "locationId": pipe17.location("Reno DC")},
        {"uniqueId": "3", "sku": "TRAY", "quantity": 1, "requiresShipping": False},
    ]
    order = {"extOrderId": "#77", "respectLocationId": True, "lineItems": lines, "shippingAddress": ADDRESS}
    status, body = pipe17.api("POST", "/orders", order, key=SELLING_KEY)
    assert status == 200
    shipments = pipe17.api("GET", "/shipments?extOrderId=%2377&keys=*")[1]["shipments"]
    assert [row["extShipmentId"] for row in shipments] == ["#77", "#77.2"]
    assert {row["status"] for row in shipments} == {"readyForFulfillment"}
    assert shipments[0]["fulfillmentIntegrationId"] == INTEGRATION_ID
    parts = {(row["sku"], row["quantity"], row["bundleSKU"]) for row in shipments[1]["lineItems"]}
    assert parts == {(sku, 4, "SET-BREAKFAST") for sku in ("MUG-RED", "PLATE-S", "SPOON")}
    assert pipe17.api("POST", "/orders", order, key=SELLING_KEY)[0] == 409
    path = f"/orders/{body['order']['orderId']}"
    assert pipe17.api("PUT", path, {"status": "canceled"}, key=SELLING_KEY)[0] == 200
    assert {pipe17.shipment(row["shipmentId"])["status"] for row in shipments} == {"canceledRestock"}


def test_locations_are_created_for_the_integration_and_found_by_it(pipe17: Pipe17) -> None:
    query = f"/locations?fulfillmentIntegrationId={INTEGRATION_ID}&status=active&keys=*"
    assert {row["name"] for row in pipe17.api("GET", query)[1]["locations"]} == {"Dallas DC", "Reno DC"}
    body = {"name": "Third DC", "address": {"country": "US"}, "fulfillmentIntegrationId": INTEGRATION_ID}
    status, answer = pipe17.api("POST", "/locations", body)
    assert status == 200
    link = {"externalSystem": [{"integrationId": INTEGRATION_ID, "locationValue": "W3"}]}
    assert pipe17.api("PUT", f"/locations/{answer['location']['locationId']}", link)[0] == 200
    assert [row["name"] for row in pipe17.api("GET", "/locations?extLocationId=W3")[1]["locations"]] == ["Third DC"]
    assert pipe17.api("POST", "/locations", body | {"address": {"country": "USA"}})[0] == 400


def test_the_integration_reads_itself_and_reports_its_state(pipe17: Pipe17) -> None:
    rows = pipe17.api("GET", "/integrations?keys=*")[1]["integrations"]
    assert [row["integrationId"] for row in rows] == [INTEGRATION_ID]
    pipe17.admin("PUT", f"/integrations/{INTEGRATION_ID}", {"settings": {"location_filter": "abc"}})
    pipe17.api("PUT", f"/integrations/{INTEGRATION_ID}", {"status": "error", "errorText": "bad credentials"})
    own = pipe17.api("GET", f"/integrations/{INTEGRATION_ID}")[1]["integration"]
    assert (own["status"], own["errorText"]) == ("error", "bad credentials")
    settings = {field["path"]: field["value"] for field in own["settings"]["fields"]}
    assert (settings["location_filter"], settings["catalog.create_products"]) == ("abc", False)


def test_returns_receipts_and_trackings_are_kept_as_sent(pipe17: Pipe17) -> None:
    lines = [{"uniqueId": "1", "sku": "BOWL", "quantity": 1, "reason": "broken"}]
    returned = pipe17.api("POST", "/returns", {"extReturnId": "RMA-1", "lineItems": lines})[1]["return"]
    assert pipe17.api("GET", "/returns?extReturnId=RMA-1&keys=*")[1]["returns"][0]["lineItems"] == lines
    receipt = {
        "returnId": returned["returnId"],
        "locationId": pipe17.location("Dallas DC"),
        "lineItems": [{"sku": "BOWL", "quantity": 1}],
    }
    assert pipe17.api("POST", "/receipts", receipt)[0] == 200
    shipment = pipe17.new_shipment(("BOWL", 1))
    fulfillment = pipe17.fulfil(shipment, "F", ("1", "BOWL", 1))[1]["fulfillment"]
    tracking = {
        "fulfillmentId": fulfillment["fulfillmentId"],
        "trackingNumber": "1Z",
        "shippingCarrier": "UPS",
    }
    made = pipe17.api("POST", "/trackings", tracking)[1]["tracking"]
    assert pipe17.api("PUT", f"/trackings/{made['trackingId']}", {"status": "delivered"})[0] == 200
    assert pipe17.api("POST", "/trackings", tracking | {"fulfillmentId": "0" * 16})[0] == 400


def test_registered_webhooks_are_told_of_changes_and_nobody_else_is(pipe17: Pipe17) -> None:
    posts: queue.Queue[tuple[str | None, Any]] = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posts.put((self.headers["X-Pipe17-Key"], msgspec.json.decode(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        hook = {
            "url": f"http://127.0.0.1:{receiver.server_port}/x",
            "apikey": LEGACY_KEY,
            "topics": ["shipments"],
        }
        elsewhere = pipe17.api("POST", "/webhooks", hook | {"url": "http://example.com/"})
        assert elsewhere[0] == 400
        webhook = pipe17.api("POST", "/webhooks", hook)[1]["webhook"]
        shipment = pipe17.new_shipment(("BOWL", 1))
        key, notice = posts.get(timeout=5)
        assert (key, notice["entity"], notice["action"]) == (LEGACY_KEY, "shipments", "create")
        assert notice["itemId"] == shipment["shipmentId"]
        pipe17.api("PUT", f"/shipments/{shipment['shipmentId']}", {"tags": ["x"]})
        assert posts.get(timeout=5)[1]["action"] == "update"
        assert pipe17.api("DELETE", f"/webhooks/{webhook['webhookId']}")[0] == 200
        pipe17.api("PUT", f"/shipments/{shipment['shipmentId']}", {"tags": ["y"]})
        pipe17.api("POST", "/webhooks", hook)
        other = pipe17.new_shipment(("BOWL", 1))
        assert posts.get(timeout=5)[1]["itemId"] == other["shipmentId"], "what changed without a hook is not sent"
        receiver.shutdown()
        thread.join()


def test_p13_the_switches_for_trouble_work_and_can_be_taken_back(pipe17: Pipe17, clock: Clock) -> None:
    pipe17.admin("PUT", "/settings", {"rate_per_s": 1})
    assert [pipe17.api("GET", "/locations")[0] for _ in range(3)] == [200, 429, 429]
    clock.move(1)
    assert [pipe17.api("GET", "/locations")[0] for _ in range(2)] == [200, 429]
    pipe17.admin("PUT", "/settings", {"rate_per_s": 0, "failures_as_200": True})
    status, body = pipe17.api("GET", "/shipments/0123456789abcdef")
    assert (status, body["success"], body["code"]) == (200, False, 404)
    pipe17.admin("PUT", "/settings", {"failures_as_200": False, "post_accepts": "array"})
    assert pipe17.api("POST", "/products", {"sku": "NEW", "name": "New"})[0] == 400
    pipe17.admin("POST", "/faults", {"kind": "status", "code": 503, "retry_after": 2})
    assert pipe17.api("GET", "/shipments")[0] == 503
    pipe17.admin("DELETE", "/faults")
    assert pipe17.api("GET", "/shipments")[0] == 200
    unknown = pipe17.session.put(f"{pipe17.server.url}/sandbox/settings", json={"unheard_of": 1}, timeout=5)
    assert unknown.status_code == 400


def test_pages_may_come_out_of_order_and_repeat_rows_without_losing_any(pipe17: Pipe17) -> None:
    pipe17.admin("PUT", "/settings", {"pages_out_of_order": True, "pages_repeat_rows": True})
    everything = {row["shipmentId"] for row in pipe17.state()["shipments"]}
    for count in (3, 4, len(everything)):
        seen, skip, is_last = [], 0, False
        while not is_last:
            body = pipe17.api("GET", f"/shipments?count={count}&skip={skip}")[1]
            seen += [row["shipmentId"] for row in body["shipments"]]
            is_last, skip = body["pagination"]["last"], skip + body["pagination"]["pageSize"]
        assert set(seen) == everything
        assert len(seen) > len(everything) or count == len(everything)


def test_the_queue_shows_every_oddity_and_the_same_seed_the_same_ids(pipe17: Pipe17) -> None:
    first = pipe17.state()["shipments"]
    pipe17.admin("POST", "/reset", {"shipments": 12, "seed": 17})
    again = pipe17.state()["shipments"]
    assert [row["shipmentId"] for row in again] == [row["shipmentId"] for row in first]
    pipe17.admin("POST", "/reset", {"shipments": 12, "seed": 18})
    assert pipe17.state()["shipments"][0]["shipmentId"] != first[0]["shipmentId"]
    owned = {pipe17.location("Dallas DC"), pipe17.location("Reno DC")}
    rows = [row for row in pipe17.state()["shipments"] if row["locationId"] in owned]
    queue_rows = [row for row in rows if row["status"] == "readyForFulfillment"]
    assert len(queue_rows) == 12
    assert {"USD", "EUR", "GBP", "JPY", "SEK"} <= {row.get("currency") for row in queue_rows}
    assert {row["status"] for row in rows} - {"readyForFulfillment"} == {
        "sentToFulfillment", "canceledRestock", "onHold",
    }  # fmt: skip
    assert any(row["orderType"] == "transfer" for row in queue_rows)
    assert any(row["extShipmentId"].endswith(".2") for row in queue_rows)
    assert any("country" not in row["shippingAddress"] for row in queue_rows)


def test_p25_every_call_is_recorded_with_its_request_id(pipe17: Pipe17) -> None:
    pipe17.api("GET", "/shipments?count=1", **{"X-Request-Id": "req-17"})
    pipe17.api("GET", "/shipments/0123456789abcdef")
    state = pipe17.state()
    assert state["calls"] == {"GET /shipments": 1, "GET /shipments/{id}": 1}
    last = state["recent_calls"][0]
    assert (last["path"], last["status"], last["request_id"]) == ("/api/v3/shipments?count=1", 200, "req-17")


def test_a_killed_sandbox_remembers_everything_when_it_is_back(tmp_path: Path, session: requests.Session) -> None:
    state_file = tmp_path / "pipe17.json"
    with serve_pipe17(state_file=state_file) as server:
        pipe17 = Pipe17(server, session)
        pipe17.admin("PUT", "/settings", {"visible_after_s": 0.05})
        shipment = pipe17.new_shipment(("BOWL", 2))
        assert pipe17.fulfil(shipment, "RO-1", ("1", "BOWL", 1))[0] == 200
        before = pipe17.state()
    with serve_pipe17(state_file=state_file) as server:
        pipe17 = Pipe17(server, session)
        after = pipe17.state()
        for state in (before, after):
            del state["calls"], state["recent_calls"]
        assert after == before
        assert pipe17.fulfil(shipment, "RO-1", ("1", "BOWL", 1))[0] == 409
        assert pipe17.fulfil(shipment, "RO-2", ("1", "BOWL", 1))[0] == 200
        assert pipe17.new_shipment(("BOWL", 1))["shipmentId"] not in {row["shipmentId"] for row in before["shipments"]}


def test_without_org_wide_access_a_key_lists_only_what_its_integration_owns(pipe17: Pipe17) -> None:
    assert len(pipe17.api("GET", "/locations")[1]["locations"]) == 3
    pipe17.admin("PUT", "/settings", {"org_wide_access": False})
    assert len(pipe17.api("GET", "/locations")[1]["locations"]) == 2
    rows = pipe17.api("GET", "/shipments?keys=*")[1]["shipments"]
    assert {row["fulfillmentIntegrationId"] for row in rows} == {INTEGRATION_ID}
