"""The Pipe17 gateway against the Pipe17 sandbox over HTTP: what it brings, and what the vendor holds afterwards."""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from app.domain.commands import Acknowledgement, Cancellation, Completion, PackageLine
from app.domain.orders import HeldBack, Order
from app.domain.stock import StockChange, StockDetail, StockLevel
from app.domain.stock_levels import facility_key
from app.errors import Misconfigured, Refused, Unavailable
from app.gateways import VENDORS
from app.gateways.vendors.pipe17 import VENDOR
from app.gateways.vendors.pipe17.connection.integration import SPARE_S
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.orders.order_mapping import to_order
from app.gateways.vendors.pipe17.orders.shipments import Shipment
from app.gateways.wire_objects import read
from app.options import explain, read_table
from app.sandbox.server import serve
from app.sandbox.vendors.pipe17 import BASE_PATH, FOREIGN_INTEGRATION_ID, INTEGRATION_ID, LEGACY_KEY
from app.sandbox.vendors.pipe17.samples import DALLAS, RENO, SAMPLES
from tests.gateways.vendors.pipe17.stage import (
    AUSTIN,
    BUNDLE,
    Clock,
    Mail,
    Start,
    call,
    connect,
    event_codes,
    fetch,
    level,
    package,
    push_stock,
    request,
    stock_of,
)
from tests.sandboxes import Sandbox

# What an order is made of


def test_requests_become_orders_with_quantities_and_without_money(pipe17: Sandbox) -> None:
    found = {item.refnum: item.order for item in fetch(connect(pipe17))}
    held = {refnum: order for refnum, order in found.items() if isinstance(order, HeldBack)}
    orders = [order for order in found.values() if isinstance(order, Order)]
    queue = [item for item in pipe17.state()["shipments"] if item["status"] == "readyForFulfillment"]
    foreign = [item for item in queue if item.get("fulfillmentIntegrationId") == FOREIGN_INTEGRATION_ID]
    transfers = [item for item in queue if item["orderType"] == "transfer"]
    assert len(foreign) == len(transfers) == 1
    assert set(found) == {item["shipmentId"] for item in queue if item not in foreign + transfers}
    [fraction] = held.values()
    assert "whole number" in fraction.reason

    gift = next(order for order in orders if order.gift_message)
    assert gift.currency_code == "GBP" and gift.ship_service_code == "RM24" and "🎁" in gift.gift_message
    assert gift.shipping_address.country_match == "GB" and gift.full_name == "Zoë O’Example"
    assert [(line.refnum, line.sku, line.quantity) for line in gift.lines] == [
        (str(number), part["sku"], part["quantity"]) for number, part in enumerate(BUNDLE, 1)
    ]
    assert not gift.carries_money and not gift.payments and gift.shipping_amount == 0
    assert all(line.unit_price == 0 for line in gift.lines)

    blanked = next(order for order in orders if order.lines[0].sku == "LAMP")
    kept = {item.handle: item.value for item in blanked.attributes}
    assert (blanked.email, blanked.full_name, blanked.ship_service_code) == ("", "", "FedEx 2Day")
    notes = [kept["shipping_note"], *(kept[f"shipping_note_{number}"] for number in range(2, 25))]
    [note] = [row["shippingNote"] for row in SAMPLES["queue"] if row["lineItems"][0]["sku"] == "LAMP"]
    assert "".join(notes) == (note["text"] * note["times"]).strip() and kept["shipping_carrier"] == "FedEx"
    assert (
        kept["ship_cancel_by_date"] and blanked.lines[0].expected_ship_date and blanked.lines[0].expected_arrival_date
    )

    assert next(order for order in orders if order.currency_code == "JPY").ship_service_code == "STANDARD"
    assert all(2 <= len(item.value) <= 100 for order in orders for item in order.attributes)
    priced = next(order for order in orders if order.lines[0].sku == "MUG-RED" and len(order.lines) == 1)
    assert {"shipping_price": "5.95 USD"}.items() <= {item.handle: item.value for item in priced.attributes}.items()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"shippingAddress": None}, "address"),
        ({"shippingAddress": {"firstName": "Dana", "country": "US"}}, "address"),
        ({"lineItems": [{"uniqueId": "1", "sku": "A", "quantity": "1.5"}]}, "whole number"),
        ({"lineItems": [{"uniqueId": None, "sku": "A", "quantity": 1}]}, "uniqueId"),
        ({"lineItems": [{"uniqueId": "1", "sku": "A", "quantity": 1}] * 2}, "same uniqueId"),
        ({"createdAt": "yesterday"}, "time of creation"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_request_no_right_order_can_be_made_of_is_held_back_without_its_values(
    change: dict[str, Any], reason: str
) -> None:
    row = {
        "shipmentId": "0af1",
        "createdAt": "2026-01-31T08:30:49.767Z",
        "shippingAddress": dict(AUSTIN),
        "lineItems": [{"uniqueId": "1", "sku": "A", "quantity": 1}],
    }
    shipment = read(Shipment, {**row, **change})
    assert shipment is not None
    held = to_order(shipment, Pipe17Options(api_key="k"), {})
    assert isinstance(held, HeldBack) and reason in held.reason
    assert not any(value in held.reason for value in ("Dana", "1.5", "yesterday"))


def test_nulls_unknown_fields_and_other_spellings_cost_no_order() -> None:
    row: dict[str, Any] = {
        "shipmentId": "0af1",
        "createdAt": "2026-01-31T08:30:49.767Z",
        "orderCreateTime": "2026-01-30T23:00:00+02:00",
        "shippingAddress": {**AUSTIN, "email": None, "phone": None, "country": None, "what": {"is": "this"}},
        "lineItems": [{"uniqueId": 1, "sku": 4711, "quantity": Decimal("2.0"), "name": None, "bundleSKU": []}],
        "shippingCarrier": "UPS", "shippingClass": None, "currency": "eur", "shippingPrice": Decimal("5"),
        "tags": ["vip", None, ""], "holdUntil": "", "giftNote": None, "extShipmentId": "x", "customFields": None,
    }  # fmt: skip
    shipment = read(Shipment, row)
    assert shipment is not None
    order = to_order(shipment, Pipe17Options(api_key="k"), {})
    assert isinstance(order, Order)
    assert (order.lines[0].refnum, order.lines[0].sku, order.lines[0].quantity) == ("1", "4711", 2)
    assert (order.currency_code, order.ship_service_code, order.tags) == ("EUR", "STANDARD", ("vip",))
    assert order.created_at == datetime(2026, 1, 30, 21, tzinfo=UTC)
    # One character is too short for RetailOps.
    assert {item.handle: item.value for item in order.attributes}["ext_shipment_id"] == "ext_shipment_id: x"


# The walk


@pytest.mark.parametrize("settings", [{}, {"pages_out_of_order": True}, {"pages_repeat_rows": True}], ids=str)
def test_p18_every_request_is_reached_once_and_no_millisecond_is_cut(
    start_pipe17: Start, seed: int, settings: dict[str, bool]
) -> None:
    rng = random.Random(seed)
    clock = Clock()
    sandbox = start_pipe17(shipments=0, clock=clock)
    created: dict[str, int] = {}
    for count in (1, 120, 98, 1, 1, rng.randint(1, 60)):
        clock.move(rng.randint(1, 3))
        created |= {item["shipmentId"]: clock.ms for item in sandbox.tell("shipments", {"count": count})["shipments"]}
    sandbox.tell("settings", settings, "PUT")
    gateway = connect(sandbox)
    for since_ms in (None, sorted(created.values())[130]):
        chunks = list(gateway.orders.fetch_orders(since_ms, clock.ms, call("question")))
        flat = [(item.created_ms, item.refnum) for chunk in chunks for item in chunk]
        wanted = {refnum for refnum, at_ms in created.items() if since_ms is None or at_ms >= since_ms}
        assert len(flat) == len({refnum for _, refnum in flat})
        assert wanted <= {refnum for _, refnum in flat}
        assert all(created[refnum] == at_ms for at_ms, refnum in flat)
        assert [at_ms for at_ms, _ in flat] == sorted(at_ms for at_ms, _ in flat)
        times = [{item.created_ms for item in chunk} for chunk in chunks]
        assert all(not first & second for first, second in itertools.pairwise(times))


def test_p18_the_walk_ends_where_it_was_told_to(start_pipe17: Start) -> None:
    clock = Clock()
    sandbox = start_pipe17(shipments=0, clock=clock)
    first = sandbox.tell("shipments", {"count": 3})["shipments"]
    until_ms = clock.ms
    clock.move(1)
    sandbox.tell("shipments", {"count": 150})
    assert {item.refnum for item in fetch(connect(sandbox), None, until_ms)} == {item["shipmentId"] for item in first}
    assert sandbox.calls("GET /shipments") == 1


def test_requests_on_hold_and_transfers_are_passed_over(empty: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    due = request(empty, holdUntil="2020-01-01T00:00:00Z")
    later = request(empty, holdUntil="2126-01-01T00:00:00Z")
    transfer = request(empty, orderType="transfer")
    gateway = connect(empty)
    with caplog.at_level(logging.INFO):
        found = fetch(gateway, until_ms=int(datetime.now(UTC).timestamp() * 1000) + 5000)
    assert [item.refnum for item in found] == [due["shipmentId"]]
    assert transfer["shipmentId"] in caplog.text and later["shipmentId"] not in caplog.text
    assert "Dana" not in caplog.text


def test_named_orders_come_in_whatever_state_and_what_cannot_be_an_id_costs_no_call(pipe17: Sandbox) -> None:
    gateway = connect(pipe17)
    state = {item["shipmentId"]: item for item in pipe17.state()["shipments"]}
    ours = {
        refnum
        for refnum, item in state.items()
        if item["fulfillmentIntegrationId"] == INTEGRATION_ID and item["orderType"] == "sales"
    }
    assert {state[refnum]["status"] for refnum in ours} > {"canceledRestock", "sentToFulfillment", "onHold"}
    named = [*state, "ffffffffffffffff", "1,2", "../locations", "", "ext:#17001", "x" * 256, "naïve", "a\x00", ".."]
    found = gateway.orders.fetch_named(named, call("question"))
    assert {item.refnum for item in found} == ours
    # An id with a comma would be two in a list.
    assert pipe17.calls("GET /shipments") == 1 and pipe17.calls("GET /shipments/{id}") == 1

    few = [next(iter(ours)), "ffffffffffffffff", "1,2"]
    assert [item.refnum for item in gateway.orders.fetch_named(few, call("question"))] == few[:1]
    assert gateway.orders.fetch_named(["", "a\x00", "..", "x" * 256], call("question")) == []
    assert pipe17.calls("GET /shipments/{id}") == 4

    # An address holds 1,800 characters of ids, whoever asks for them.
    long = [f"{number:0>250}" for number in range(20)]
    assert gateway.orders.fetch_named(long, call("question")) == [] and pipe17.calls("GET /shipments") == 1 + 3
    assert gateway.holdings.orders(long, call("question")) == {} and pipe17.calls("GET /shipments") == 1 + 3 + 3


def test_an_order_is_known_by_its_lines_and_an_unknown_one_is_none(pipe17: Sandbox) -> None:
    gateway = connect(pipe17)
    made = request(pipe17, [("MUG-RED", 2), ("BOWL", 1)])
    sketch = gateway.orders.find_order(made["shipmentId"], call("question"))
    assert sketch is not None
    assert [(line.refnum, line.sku, line.quantity) for line in sketch.lines] == [("1", "MUG-RED", 2), ("2", "BOWL", 1)]
    others = next(item for item in pipe17.state()["shipments"] if item["lineItems"][0]["sku"] == "KNIFE")
    for refnum in ("ffffffffffffffff", "..", "", "a/b?c#d", others["shipmentId"]):
        assert gateway.orders.find_order(refnum, call("question")) is None


# Whose locations


def test_only_own_locations_are_served(pipe17: Sandbox) -> None:
    places = {item["name"]: item["locationId"] for item in pipe17.state()["locations"]}

    def served(**options: Any) -> set[str]:
        gateway = connect(pipe17, **{"api_key": LEGACY_KEY, "integration_id": "", **options})
        refnums = {item.refnum for item in fetch(gateway)}
        return {item["locationId"] for item in pipe17.state()["shipments"] if item["shipmentId"] in refnums}

    assert served(integration_id=INTEGRATION_ID) == {places[DALLAS], places[RENO]}
    assert served(locations={"Any name": places[RENO]}) == {places[RENO]}
    assert served() == set(places.values())
    with pytest.raises(Misconfigured, match="NO_LOCATIONS"):
        served(integration_id="ffffffffffffffff")


def test_a_bare_key_that_serves_other_peoples_locations_says_so(
    pipe17: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = connect(pipe17, api_key=LEGACY_KEY, integration_id="")
    fetch(gateway)
    fetch(gateway)
    assert caplog.text.count("set integration_id or locations") == 1
    assert pipe17.calls("GET /locations") == 1, "the list is kept"


# Commands


def test_an_acknowledged_request_is_sent_to_us_under_our_number(empty: Sandbox) -> None:
    gateway = connect(empty)
    refnum = request(empty)["shipmentId"]
    assert gateway.commands.acknowledge_order(Acknowledgement(refnum, "9001"), call()).events == ()
    held = empty.shipment(refnum)
    assert (held["status"], held["extReferenceId"]) == ("sentToFulfillment", "9001")

    other = request(empty)["shipmentId"]
    gateway.commands.acknowledge_order(Acknowledgement(other), call())
    assert empty.shipment(other)["status"] == "sentToFulfillment" and "extReferenceId" not in empty.shipment(other)


def test_p12_what_is_acknowledged_already_is_success(empty: Sandbox) -> None:
    gateway = connect(empty)
    refnum = request(empty)["shipmentId"]
    gateway.commands.acknowledge_order(Acknowledgement(refnum, "9001"), call())
    again = gateway.commands.acknowledge_order(Acknowledgement(refnum, "9001"), call())
    assert event_codes(again.events) == [("info", "ALREADY_ACKNOWLEDGED")]
    elsewhere = gateway.commands.acknowledge_order(Acknowledgement(refnum, "9002"), call())
    assert event_codes(elsewhere.events) == [("warning", "OTHER_REFERENCE")]
    assert empty.calls("PUT /shipments/{id}") == 1 and empty.shipment(refnum)["extReferenceId"] == "9001"


def test_acknowledging_a_request_that_was_cancelled_says_so(empty: Sandbox) -> None:
    refnum = request(empty)["shipmentId"]
    empty.tell(f"shipments/{refnum}/cancel", {})
    accepted = connect(empty).commands.acknowledge_order(Acknowledgement(refnum, "9001"), call())
    assert event_codes(accepted.events) == [("warning", "ORDER_CANCELLED")]
    assert [item.identifier for item in accepted.events[0].associations] == [refnum]


def test_a_package_becomes_one_final_fulfilment(empty: Sandbox) -> None:
    made = request(empty, [("MUG-RED", 2), ("BOWL", 1)])
    shipped_at = datetime(2026, 2, 3, 10, tzinfo=UTC)
    more = {"carrier_class_name": "Ground", "weight_kg": Decimal("1.25"), "shipped_at": shipped_at}
    assert connect(empty).commands.submit_shipment(package(made, **more), call()).events == ()
    [held] = empty.fulfilments(made["shipmentId"])
    wanted = {
        "extFulfillmentId": f"{made['shipmentId']}-501-1",
        "trackingNumber": ["1Z1"],
        "shippingCarrier": "UPS",
        "shippingClass": "Ground",
        "actualShipDate": "2026-02-03T10:00:00.000Z",
        "weight": 1.25,
        "weightUnit": "kg",
    }
    assert wanted.items() <= held.items()
    assert held["lineItems"] == [
        {"uniqueId": "1", "sku": "MUG-RED", "quantity": 2},
        {"uniqueId": "2", "sku": "BOWL", "quantity": 1},
    ]
    assert empty.shipment(made["shipmentId"])["status"] == "fulfilled"


def test_p12_a_package_sent_twice_is_one_fulfilment(start_pipe17: Start) -> None:
    clock = Clock()
    empty = start_pipe17(shipments=0, clock=clock)
    made = request(empty)
    gateway = connect(empty)
    gateway.commands.submit_shipment(package(made), call())
    assert event_codes(gateway.commands.submit_shipment(package(made), call()).events) == [
        ("info", "ALREADY_REGISTERED")
    ]
    # Not visible yet: then Pipe17 itself says 409, and whose the number is shows later.
    empty.tell("settings", {"visible_after_s": 1}, "PUT")
    late = request(empty)
    gateway.commands.submit_shipment(package(late, "502-1"), call())
    with pytest.raises(Unavailable, match="DUPLICATE_NOT_SHOWN") as caught:
        gateway.commands.submit_shipment(package(late, "502-1"), call())
    assert not caught.value.outcome_unknown
    clock.move(1100)
    again = gateway.commands.submit_shipment(package(late, "502-1"), call())
    assert event_codes(again.events) == [("info", "ALREADY_REGISTERED")]
    assert len(empty.fulfilments(made["shipmentId"])) == len(empty.fulfilments(late["shipmentId"])) == 1


def test_a_package_beyond_what_is_open_is_refused_in_our_own_words(empty: Sandbox) -> None:
    made = request(empty)
    too_many = package(made, lines=(PackageLine("1", "MUG-RED", 3),))
    with pytest.raises(Refused, match="FULFILLMENT_REFUSED") as caught:
        connect(empty).commands.submit_shipment(too_many, call())
    assert "lineItems" not in caught.value.message, "Pipe17's own text stays there"
    assert empty.fulfilments(made["shipmentId"]) == []


@pytest.mark.parametrize("status", ["canceledRestock", "canceled"])
def test_a_request_is_cancelled_once(empty: Sandbox, status: str) -> None:
    refnum = request(empty)["shipmentId"]
    empty.tell(f"integrations/{INTEGRATION_ID}", {"settings": {"cancel_status": status}}, "PUT")
    gateway = connect(empty)
    assert gateway.commands.cancel_order(Cancellation(refnum), call()).events == ()
    assert empty.shipment(refnum)["status"] == status
    assert event_codes(gateway.commands.cancel_order(Cancellation(refnum), call()).events) == [
        ("info", "ALREADY_CANCELLED")
    ]
    assert empty.calls("PUT /shipments/{id}") == 1


def test_a_request_of_which_something_shipped_is_not_cancelled(empty: Sandbox) -> None:
    made = request(empty)
    gateway = connect(empty)
    gateway.commands.submit_shipment(package(made, lines=(PackageLine("1", "MUG-RED", 1),)), call())
    with pytest.raises(Refused, match="ALREADY_SHIPPED") as caught:
        gateway.commands.cancel_order(Cancellation(made["shipmentId"]), call())
    assert caught.value.association == ("order_refnum", made["shipmentId"])
    assert empty.shipment(made["shipmentId"])["status"] == "partialFulfillment"


def test_units_that_will_never_ship_are_rejected_once(empty: Sandbox) -> None:
    made = request(empty)
    refnum = made["shipmentId"]
    gateway = connect(empty)
    gateway.commands.submit_shipment(package(made, lines=(PackageLine("1", "MUG-RED", 1),)), call())
    completion = Completion(refnum, (PackageLine("1", "MUG-RED", 1),))
    for _ in range(2):
        assert gateway.commands.complete_order(completion, call()).events == ()
    rejected = [item for item in empty.fulfilments(refnum) if item.get("fulfillmentType") == "rejected"]
    assert [(item["extFulfillmentId"], item["lineItems"][0]["quantity"]) for item in rejected] == [
        (f"{refnum}-rejected", 1)
    ]
    assert empty.shipment(refnum)["status"] == "fulfilled"


def test_a_completed_order_that_pipe17_still_waits_for_is_a_warning(empty: Sandbox) -> None:
    gateway = connect(empty, reject_unshipped=False)
    refnum = request(empty)["shipmentId"]
    completion = Completion(refnum, (PackageLine("1", "MUG-RED", 2),))
    assert event_codes(gateway.commands.complete_order(completion, call()).events) == [
        ("warning", "UNITS_OPEN_AT_PIPE17")
    ]
    assert empty.fulfilments(refnum) == []
    empty.tell(f"shipments/{refnum}/cancel", {})
    assert event_codes(gateway.commands.complete_order(completion, call()).events) == [("warning", "ORDER_CANCELLED")]


def test_a_refused_rejection_leaves_the_units_open_with_a_warning(empty: Sandbox) -> None:
    refnum = request(empty)["shipmentId"]
    accepted = connect(empty).commands.complete_order(Completion(refnum, (PackageLine("9", "NO-SUCH", 1),)), call())
    wanted = [("warning", "REJECTION_REFUSED"), ("warning", "UNITS_OPEN_AT_PIPE17")]
    assert event_codes(accepted.events) == wanted


def test_a_rejection_that_was_taken_is_not_repeated_because_the_state_could_not_be_read(empty: Sandbox) -> None:
    refnum = request(empty)["shipmentId"]
    empty.fault(kind="status", code=500, match={"method": "GET", "path_prefix": f"{BASE_PATH}/shipments/"})
    accepted = connect(empty).commands.complete_order(Completion(refnum, (PackageLine("1", "MUG-RED", 2),)), call())
    assert event_codes(accepted.events) == [("warning", "STATE_NOT_READ")]
    assert len(empty.fulfilments(refnum)) == 1


@pytest.mark.parametrize("status", [201, 202])
def test_creates_may_be_answered_with_any_success(empty: Sandbox, status: int) -> None:
    empty.tell("settings", {"create_status": status}, "PUT")
    made = request(empty)
    connect(empty).commands.submit_shipment(package(made), call())
    assert len(empty.fulfilments(made["shipmentId"])) == 1


def test_p13_a_failure_dressed_as_success_is_a_failure(empty: Sandbox) -> None:
    empty.tell("settings", {"failures_as_200": True}, "PUT")
    gateway = connect(empty)
    made = request(empty)
    assert gateway.orders.find_order("ffffffffffffffff", call("question")) is None
    with pytest.raises(Refused, match="ORDER_UNKNOWN"):
        gateway.commands.cancel_order(Cancellation("ffffffffffffffff"), call())
    with pytest.raises(Refused, match="FULFILLMENT_REFUSED"):
        gateway.commands.submit_shipment(package(made, lines=(PackageLine("1", "MUG-RED", 3),)), call())


def test_p13_a_wrong_address_does_not_read_as_an_unknown_order(empty: Sandbox) -> None:
    def website(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("404 Not Found", [("Content-Type", "text/html")])
        return [b"<h1>No such page</h1>"]

    with serve(website) as server:  # type: ignore[arg-type]
        gateway = connect(empty, base_url=server.url)
        with pytest.raises(Misconfigured, match="NOT_PIPE17"):
            gateway.orders.find_order("ffffffffffffffff", call("question"))


# Lost answers


@pytest.mark.parametrize("kind", ["reset_after", "half_body", "empty", "html", "status"])
def test_p9_a_fulfilment_whose_answer_was_lost_exists_exactly_once(start_pipe17: Start, kind: str) -> None:
    clock = Clock()
    sandbox = start_pipe17(shipments=0, clock=clock)
    sandbox.tell("settings", {"visible_after_s": 20}, "PUT")
    made = request(sandbox)
    mail = Mail(connect(sandbox), "submit_shipment", package(made), made["shipmentId"], clock)
    sandbox.fault(kind=kind, works=True, times=1, match={"method": "POST", "path_prefix": BASE_PATH})
    settled = mail.attempt()
    assert (settled.state, settled.is_possibly_done) == ("owed", True)
    # Not visible yet, and too early to send again: only a look.
    assert mail.attempt(later_s=10).state == "owed"
    assert mail.attempt(later_s=15).state == "delivered"
    assert sandbox.calls("POST /fulfillments") == 1
    assert len(sandbox.fulfilments(made["shipmentId"])) == 1


def test_p9_a_fulfilment_that_never_arrived_is_sent_again_once_it_had_time_to_show(empty: Sandbox) -> None:
    made = request(empty)
    mail = Mail(connect(empty), "submit_shipment", package(made), made["shipmentId"])
    empty.fault(kind="reset_before", times=1, match={"method": "POST", "path_prefix": BASE_PATH})
    assert mail.attempt().state == "owed"
    assert mail.attempt(later_s=30).state == "owed" and empty.fulfilments(made["shipmentId"]) == []
    assert mail.attempt(later_s=31).state == "delivered"
    assert len(empty.fulfilments(made["shipmentId"])) == 1


def test_p9_a_cancellation_of_unknown_outcome_is_found_out_and_never_repeated(empty: Sandbox) -> None:
    done, lost = request(empty)["shipmentId"], request(empty)["shipmentId"]
    for refnum, kind, ending in ((done, "reset_after", "delivered"), (lost, "reset_before", "refused")):
        mail = Mail(connect(empty), "cancel_order", Cancellation(refnum), refnum)
        empty.fault(kind=kind, times=1, match={"method": "PUT", "path_prefix": BASE_PATH})
        assert mail.attempt().state == "checking"
        assert mail.attempt(later_s=61).state == ending
    assert empty.shipment(done)["status"] == "canceledRestock"
    assert empty.shipment(lost)["status"] == "readyForFulfillment"
    assert empty.calls("PUT /shipments/{id}") == 1


def test_p9_a_failed_look_before_writing_leaves_nothing_in_doubt(empty: Sandbox) -> None:
    refnum = request(empty)["shipmentId"]
    mail = Mail(connect(empty), "cancel_order", Cancellation(refnum), refnum)
    empty.fault(kind="status", code=503, times=1, match={"method": "GET", "path_prefix": BASE_PATH})
    settled = mail.attempt()
    assert (settled.state, settled.is_possibly_done) == ("refused", False)


# Stock


def test_stock_is_told_absolute_per_location(empty: Sandbox) -> None:
    gateway = connect(empty)
    first = push_stock(gateway, StockChange("MUG-RED", level(dallas=(7, 10), reno=(4, 4))))["MUG-RED"]
    assert first.refusal == ""
    held = stock_of(empty, "MUG-RED")
    assert (held[DALLAS], held[RENO]) == ((10, 3), (4, 0))

    # A facility that is no longer named has none.
    second = push_stock(gateway, StockChange("MUG-RED", level(dallas=(8, 8)), first.sent))["MUG-RED"]
    held = stock_of(empty, "MUG-RED")
    assert (held[DALLAS], held[RENO]) == ((8, 0), (0, 0))
    places = {item["name"]: item["locationId"] for item in empty.state()["locations"]}
    assert msgspec.json.decode(second.sent) == {places[DALLAS]: [8, 0, None, [facility_key(DALLAS)]]}

    # Nobody knows where units without details are, and other kinds of stock are on no shelf.
    untold = push_stock(gateway, StockChange("MUG-RED", StockLevel(99), second.sent))["MUG-RED"]
    assert untold.sent == second.sent and "facilities" in untold.refusal
    bought = StockLevel(5, (StockDetail("inflight", "PO-1", 5, 5),))
    push_stock(gateway, StockChange("MUG-RED", bought, second.sent))
    assert stock_of(empty, "MUG-RED")[DALLAS] == (0, 0)


def test_one_refused_figure_costs_no_other(empty: Sandbox) -> None:
    gateway = connect(empty)
    found = push_stock(
        gateway,
        StockChange("MUG-RED", level(dallas=(7, 7), moon=(1, 1))),
        StockChange("NO-SUCH", level(dallas=(1, 1))),
        StockChange("BOWL", level(reno=(3, 3))),
    )
    assert "Moon DC" in found["MUG-RED"].refusal and stock_of(empty, "MUG-RED")[DALLAS] == (7, 0)
    assert "sku is unknown" in found["NO-SUCH"].refusal and found["NO-SUCH"].sent == b"{}"
    assert found["BOWL"].refusal == "" and stock_of(empty, "BOWL")[RENO] == (3, 0)
    assert empty.calls("POST /inventory") == 1


def test_a_batch_refused_as_a_whole_is_searched_for_the_one_to_blame(empty: Sandbox) -> None:
    empty.fault(kind="status", code=400, times=3, match={"method": "POST", "path_prefix": BASE_PATH})
    skus = ["MUG-RED", "PLATE-S", "BOWL", "TRAY"]
    found = push_stock(connect(empty), *(StockChange(sku, level(dallas=(5, 5))) for sku in skus))
    assert [sku for sku in skus if found[sku].refusal] == ["MUG-RED"]
    assert all(stock_of(empty, sku)[DALLAS] == (5, 0) for sku in skus[1:])


@pytest.mark.parametrize(
    ("options", "settings", "posts"),
    [
        ({"ingest_batch": 2}, {}, 2),
        ({"bulk_post": "single"}, {"post_accepts": "single"}, 3),
        ({}, {"post_accepts": "array", "create_status": 202}, 1),
    ],
    ids=["batches", "single", "array"],
)
def test_stock_goes_in_the_form_that_is_set(
    empty: Sandbox, options: dict[str, Any], settings: dict[str, Any], posts: int
) -> None:
    empty.tell("settings", settings, "PUT")
    found = push_stock(
        connect(empty, **options), *(StockChange(sku, level(dallas=(5, 9))) for sku in ("BOWL", "LAMP", "JAM"))
    )
    assert all(item.refusal == "" for item in found.values())
    assert empty.calls("POST /inventory") == posts and stock_of(empty, "JAM")[DALLAS] == (9, 4)


def test_the_difference_can_be_left_out_and_facilities_can_be_named_otherwise(empty: Sandbox) -> None:
    places = {item["name"]: item["locationId"] for item in empty.state()["locations"]}
    gateway = connect(empty, unavailable="omit", locations={"Moon DC": places[RENO], "Dallas DC": places[RENO]})
    found = push_stock(gateway, StockChange("BOWL", level(dallas=(1, 2), moon=(3, 5))))
    assert stock_of(empty, "BOWL")[RENO] == (7, 0) and found["BOWL"].refusal == ""
    assert empty.calls("GET /locations") == 0


def test_p27_what_was_answered_is_settled_and_the_rest_stays_owed(empty: Sandbox) -> None:
    gateway = connect(empty, ingest_batch=1)
    changes = [StockChange(sku, level(dallas=(5, 5))) for sku in ("BOWL", "LAMP", "JAM")]
    place = {"match": {"method": "POST", "path_prefix": BASE_PATH}}
    empty.fault(kind="slow", delay_s=0.0, times=1, **place)
    empty.fault(kind="reset_after", times=1, **place)
    assert set(push_stock(gateway, *changes)) == {"BOWL"}
    empty.fault(kind="reset_before", times=1, **place)
    with pytest.raises(Unavailable):
        push_stock(gateway, *changes[1:])
    assert set(push_stock(gateway, *changes[1:])) == {"LAMP", "JAM"}


# The account


def test_p23_every_wrong_setting_is_named_with_its_rule_and_without_its_value() -> None:
    table = {
        "api_key": "se cret", "base_url": "http://pipe17.example/api", "integration_id": "a,b", "orders": "yes",
        "locations": {"Dallas": "x,y"}, "default_currency": "euro", "cancel_status": "gone", "ingest_batch": 0,
        "patience_s": 0, "requests_per_s": -1, "shipments_path": "shipments", "surprise": 1,
    }  # fmt: skip
    faults: list[str] = []
    assert read_table(VENDOR.options, table, "channels.toml: channel 'x'.pipe17", faults) is None
    text = "\n".join(faults)
    assert all(f"pipe17.{name}" in text for name in table)
    assert not any(value in text for value in ("se cret", "pipe17.example", "euro", "x/y"))


def test_p23_settings_that_contradict_each_other_are_faults() -> None:
    options = VENDOR.options(api_key="k", requests_per_s=0.1, locations={"Dallas DC": "a", "dallas  dc": "b"})
    assert len(VENDOR.faults(options)) == 2
    [fault] = VENDOR.faults(VENDOR.options(api_key="k", facilities={"Dallas DC": "Dallas", "DALLAS DC": "Moon"}))
    assert "facilities" in fault and "Moon" not in fault
    assert VENDOR.faults(VENDOR.options(api_key="k", facilities={"Dallas DC": "Dallas", "DALLAS DC": "Dallas"})) == []
    assert VENDOR.faults(VENDOR.options(api_key="k")) == []
    assert "k1e2y3" not in repr(VENDOR.options(api_key="k1e2y3"))
    assert {item.value for item in explain(VENDOR.options, None) if item.name == "api_key"} == {"not set"}


def test_accounts_overlap_unless_key_or_locations_differ() -> None:
    def marks(key: str, **locations: str) -> list[Any]:
        return VENDOR.account_marks(VENDOR.options(api_key=key, locations=locations))

    def collide(one: list[Any], other: list[Any]) -> bool:
        return any(mark in dict.fromkeys(one) for mark in other)

    assert collide(marks("k"), marks("k"))
    assert collide(marks("k"), marks("k", Dallas="1")) and collide(marks("k", Dallas="1"), marks("k"))
    assert collide(marks("k", Dallas="1", Reno="2"), marks("k", R="2"))
    assert not collide(marks("k", Dallas="1"), marks("k", Reno="2"))
    assert not collide(marks("k"), marks("other"))
    assert "k3y" not in repr(marks("k3y"))


def test_p14_channels_with_one_key_share_one_rate(empty: Sandbox) -> None:
    places = {item["name"]: item["locationId"] for item in empty.state()["locations"]}
    both = [
        connect(empty, locations={name: places[name]}, requests_per_s=0.1, patience_s=4.0) for name in (DALLAS, RENO)
    ]
    budgets_s = (0.9 * SPARE_S, 0.2, 0.2, 0.2)  # with less than SPARE_S a check makes one call
    spent = [gateway.check(call("question", s)).state for gateway, s in zip(both * 2, budgets_s, strict=True)]
    assert spent == ["connected", "unreachable", "unreachable", "unreachable"], "a block of 250 ms is one call here"
    assert empty.calls("GET /locations") == 1


def test_stock_only_accounts_bring_no_orders(empty: Sandbox) -> None:
    assert connect(empty, orders=False).orders is None and connect(empty).orders is not None
    assert VENDORS["pipe17"] is VENDOR and not VENDOR.brings_orders(VENDOR.options(api_key="k", orders=False))
