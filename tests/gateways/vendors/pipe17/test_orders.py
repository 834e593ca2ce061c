"""Shipping requests from Pipe17 to RetailOps and back: what is translated, called off, shipped in parts, mended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select

from app.contract.schemas import Contract
from app.domain.commands import Acknowledgement, Completion, PackageLine
from app.domain.orders import Order
from app.errors import Refused, Unavailable
from app.records.tables.orders import handed_out
from app.sandbox.vendors.pipe17 import BASE_PATH, INTEGRATION_ID, INTEGRATION_KEY
from app.sandbox.vendors.pipe17.samples import DALLAS, RENO
from tests.channels import channel_table
from tests.gateways.vendors.pipe17.stage import (
    BUNDLE,
    BUNDLE_SKU,
    OWN,
    Clock,
    Start,
    administrate,
    call,
    connect,
    event_codes,
    fetch,
    grant,
    package,
    request,
)
from tests.passing_time import PassingTime
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox

NOW_MS = 2**45


@pytest.fixture
def retailops(build_app: Callable[..., Flask], empty: Sandbox, contract: Contract) -> Iterator[Caller]:
    """RetailOps in front of a custom integration of an organisation without requests."""
    yield Caller(build_app(channel_table(empty.url, api_key=INTEGRATION_KEY, more=OWN)), contract)


def only_order(sandbox: Sandbox, **options: Any) -> Order:
    [candidate] = fetch(connect(sandbox, **options))
    assert isinstance(candidate.order, Order)
    return candidate.order


def kept(order: Order) -> Mapping[str, str]:
    return {item.handle: item.value for item in order.attributes}


# Translation


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        ({"shippingCode": "RM24", "shippingCarrier": "UPS", "shippingClass": "Ground"}, "ROYAL"),
        ({"shippingCarrier": "ups", "shippingClass": "ground"}, "UPSG"),
        ({"shippingCarrier": "UPS"}, "DEFAULT"),
        ({"shippingCode": "DRONE"}, "DRONE"),
        ({}, "DEFAULT"),
    ],
    ids=["code first", "carrier and class", "carrier alone", "not listed", "none"],
)
def test_the_shipping_method_is_the_code_then_carrier_and_class_through_our_table_then_the_default(
    empty: Sandbox, stated: dict[str, str], code: str
) -> None:
    table = '{"RM24": "ROYAL", "UPS Ground": "UPSG"}'
    administrate(empty, settings={"shipping_method_map": table, "shipping_method_default": "DEFAULT"})
    request(empty, **stated)
    order = only_order(empty)
    assert order.ship_service_code == code
    assert kept(order).get("shipping_code", "") == stated.get("shippingCode", ""), "the original is passed on beside it"
    if code == "DRONE":
        assert only_order(empty, integration_refresh_s=0, shipping_methods={"*": "ANY"}).ship_service_code == "ANY"


def test_a_mapped_sku_is_retailops_own_on_the_way_in_and_pipe17s_on_the_way_out(
    empty: Sandbox, retailops: Caller
) -> None:
    administrate(empty, settings={"sku_mapping": "MUG-RED:RO-RED"})
    made = request(empty, [("MUG-RED", 3), ("BOWL", 1)])
    [order] = retailops.pull()
    assert [line["sku"] for line in order["order_items"]] == ["RO-RED", "BOWL"]
    retailops.acknowledge(made["shipmentId"])
    # The mapping of the day it came counts, whatever has become of it since.
    administrate(empty, settings={"sku_mapping": "BOWL:RO-RED"})
    items = [{"sku": "RO-RED", "quantity": 2}]
    assert codes(retailops.ship(order, package_items=items)) == []
    unshipped = [{"sku": "RO-RED", "unshipped_quantity": 1}, {"sku": "BOWL", "unshipped_quantity": 1}]
    body = {"channel_order_refnum": made["shipmentId"], "unshipped_items": unshipped}
    assert retailops.ask("order_complete", order=body)["status"] == "success"
    told = [line for item in empty.fulfilments(made["shipmentId"]) for line in item["lineItems"]]
    assert [(line["sku"], line["quantity"]) for line in told] == [("MUG-RED", 2), ("MUG-RED", 1), ("BOWL", 1)]


def test_without_a_pair_a_products_own_channel_sku_counts_where_products_may_be_read(
    empty: Sandbox, retailops: Caller
) -> None:
    request(empty, [("MUG-BLUE", 1), ("BOWL", 1)])  # the sandbox publishes it to us as RO-MUG-BLUE
    gateway = connect(empty)
    for _ in range(2):
        [order] = [item.order for item in fetch(gateway)]
        assert isinstance(order, Order)
        assert [(line.sku, line.source_sku) for line in order.lines] == [("RO-MUG-BLUE", "MUG-BLUE"), ("BOWL", "BOWL")]
    assert empty.calls("GET /products") == 1
    [pulled] = retailops.pull()
    assert codes(retailops.ship(pulled)) == []
    [told] = empty.fulfilments(pulled["channel_order_refnum"])
    assert [line["sku"] for line in told["lineItems"]] == ["MUG-BLUE", "BOWL"]

    request(empty, [("MUG-BLUE", 1)])
    administrate(empty, settings={"sku_mapping": "MUG-BLUE:PAIRED"})
    assert only_order(empty).lines[0].sku == "PAIRED", "a pair goes before the row"
    administrate(empty, settings={"sku_mapping": ""})
    grant(empty, products="")
    assert only_order(empty).lines[0].sku == "MUG-BLUE"


def test_an_order_waits_rather_than_come_under_a_wrong_sku(empty: Sandbox) -> None:
    request(empty, [("MUG-BLUE", 1)])
    empty.fault(kind="status", code=503, match={"method": "GET", "path_prefix": f"{BASE_PATH}/products"})
    with pytest.raises(Unavailable, match="HTTP_503"):
        fetch(connect(empty))


def test_dates_and_holds_are_passed_on_and_nothing_comes_before_its_time(empty: Sandbox) -> None:
    dates = {
        "shipByDate": "2026-03-02T00:00:00Z",
        "shipAfterDate": "2026-03-01T00:00:00Z",
        "shipCancelByDate": "2026-03-09T00:00:00Z",
        "expectedShipDate": "2026-03-01T12:00:00Z",
        "expectedDeliveryDate": "2026-03-05T00:00:00Z",
        "holdUntil": "2026-02-20T00:00:00Z",
    }
    request(empty, **dates)
    order = only_order(empty)
    assert {name: kept(order)[name][:10] for name in kept(order) if name.endswith(("_date", "_until"))} == {
        "ship_by_date": "2026-03-02",
        "ship_after_date": "2026-03-01",
        "ship_cancel_by_date": "2026-03-09",
        "expected_ship_date": "2026-03-01",
        "expected_delivery_date": "2026-03-05",
        "hold_until": "2026-02-20",
    }
    [line] = order.lines
    assert line.expected_ship_date and line.expected_ship_date.hour == 12 and line.expected_arrival_date
    before_hold_ms = 1_771_000_000_000  # 2026-02-13
    assert fetch(connect(empty), until_ms=before_hold_ms) == []


def test_bundles_are_left_as_given_whole_or_broken_up(empty: Sandbox) -> None:
    request(empty, [(BUNDLE_SKU, 1)])
    assert [(line.sku, line.quantity) for line in only_order(empty).lines] == [(BUNDLE_SKU, 1)]
    parts = [
        {"uniqueId": str(place), **item, "bundleSKU": BUNDLE_SKU, "bundleQuantity": 1}
        for place, item in enumerate(BUNDLE, 1)
    ]
    broken_up = request(empty, lineItems=parts)
    [order] = [item.order for item in fetch(connect(empty)) if item.refnum == broken_up["shipmentId"]]
    assert isinstance(order, Order) and kept(order)["bundles"] == BUNDLE_SKU
    assert [(line.sku, line.quantity) for line in order.lines] == [(item["sku"], item["quantity"]) for item in BUNDLE]


def test_several_requests_of_one_order_are_several_orders_that_live_apart(empty: Sandbox, retailops: Caller) -> None:
    first, second = (request(empty, extOrderId="#77") for _ in range(2))
    pulled = retailops.pull()
    assert {order["channel_order_refnum"] for order in pulled} == {first["shipmentId"], second["shipmentId"]}
    names = [{item["handle"]: item["value"] for item in order["attributes"]} for order in pulled]
    assert {item["ext_order_id"] for item in names} == {"#77"}
    assert {item["ext_shipment_id"] for item in names} == {"#77", "#77.2"}
    retailops.acknowledge(first["shipmentId"], second["shipmentId"])
    assert retailops.cancel(first["shipmentId"])["status"] == "success"
    assert codes(retailops.ship(pulled[-1])) == []
    states = {refnum: empty.shipment(refnum)["status"] for refnum in (first["shipmentId"], second["shipmentId"])}
    assert sorted(states.values()) == ["canceledRestock", "fulfilled"]


def test_blanked_contacts_cost_no_order_and_no_address_is_kept(empty: Sandbox, retailops: Caller) -> None:
    blank = {"firstName": "", "lastName": "", "email": "", "phone": "", "address1": "9 Canary Row", "country": "US"}
    request(empty, shippingAddress=blank, privacyPolicy=[{"type": "blankContacts"}])
    [order] = retailops.pull()
    assert order["customer_info"]["email_address"] == ""
    with retailops.database.read() as connection:
        rows = connection.execute(select(handed_out)).mappings().all()
    assert rows and "Canary" not in repr(rows)


# Called off at Pipe17


def test_the_second_poll_finds_what_was_cancelled_and_looks_back_beyond_its_cursor(start_pipe17: Start) -> None:
    clock = Clock()
    sandbox = start_pipe17(shipments=0, clock=clock)
    early, late, running = (request(sandbox)["shipmentId"] for _ in range(3))
    gateway = connect(sandbox, poll_overlap_minutes=10)
    sandbox.tell(f"shipments/{early}/cancel", {"status": "canceled"})
    cancelled_at_ms = clock.ms
    first = gateway.orders.fetch_cancellations(None, clock.ms, call("question"))
    assert (first.refnums, first.until_ms) == ((early,), cancelled_at_ms)
    clock.move(11 * 60_000)
    sandbox.tell(f"shipments/{late}/cancel", {})
    second = gateway.orders.fetch_cancellations(first.until_ms, clock.ms, call("question"))
    assert set(second.refnums) == {early, late}, "the overlap shows again what was known"
    third = gateway.orders.fetch_cancellations(second.until_ms, clock.ms, call("question"))
    assert third.refnums == (late,) and third.until_ms == second.until_ms == clock.ms
    assert running not in second.refnums


@pytest.mark.parametrize("settings", [{"pages_out_of_order": True}, {"pages_repeat_rows": True}], ids=str)
def test_many_cancellations_come_over_several_pages(empty: Sandbox, settings: dict[str, bool]) -> None:
    made = {item["shipmentId"] for item in empty.tell("shipments", {"count": 130})["shipments"]}
    for refnum in made:
        empty.tell(f"shipments/{refnum}/cancel", {})
    empty.tell("settings", settings, "PUT")
    found = connect(empty).orders.fetch_cancellations(None, int(time.time() * 1000), call("question"))
    assert set(found.refnums) == made and len(found.refnums) == len(made)


def test_a_page_of_other_peoples_cancellations_hides_none_of_ours_and_a_broken_walk_goes_on(empty: Sandbox) -> None:
    for _ in range(101):
        transfer = request(empty, orderType="transfer")["shipmentId"]
        empty.tell(f"shipments/{transfer}/cancel", {})
    ours = request(empty)["shipmentId"]
    empty.tell(f"shipments/{ours}/cancel", {})
    gateway = connect(empty, poll_overlap_minutes=0)
    place = {"match": {"method": "GET", "path_prefix": f"{BASE_PATH}/shipments"}, "times": 1}
    empty.fault(kind="slow", delay_s=0.0, **place)
    empty.fault(kind="status", code=500, **place)
    now_ms = int(time.time() * 1000)
    first = gateway.orders.fetch_cancellations(None, now_ms, call("question"))
    assert first.refnums == ()
    second = gateway.orders.fetch_cancellations(first.until_ms, now_ms, call("question"))
    assert second.refnums == (ours,) and second.until_ms > first.until_ms


@pytest.mark.both_databases
def test_r18_an_order_called_off_is_told_until_that_is_acknowledged_and_pipe17_hears_nothing_of_it(
    empty: Sandbox, retailops: Caller
) -> None:
    acknowledged, only_pulled, never_seen = (request(empty)["shipmentId"] for _ in range(3))
    empty.tell(f"shipments/{never_seen}/cancel", {})
    assert {order["channel_order_refnum"] for order in retailops.pull()} == {acknowledged, only_pulled}
    retailops.acknowledge(acknowledged)
    for refnum in (acknowledged, only_pulled):
        empty.tell(f"shipments/{refnum}/cancel", {})

    for _ in range(2):
        told = retailops.pull()
        assert {order["channel_order_refnum"]: order["cancel"] for order in told} == {
            acknowledged: True,
            only_pulled: True,
        }
    before = empty.state()
    assert retailops.acknowledge(acknowledged, only_pulled)["events"] == []
    assert retailops.acknowledge(acknowledged)["events"] == []
    after = empty.state()
    # Of the one that was pulled only, this may have been the acknowledgement of its first hand-out.
    assert [(order["channel_order_refnum"], order["cancel"]) for order in retailops.pull()] == [(only_pulled, True)]
    assert retailops.acknowledge(only_pulled)["events"] == []
    assert (before["shipments"], before["calls"]) == (after["shipments"], after["calls"])
    assert retailops.pull() == []
    assert codes(retailops.ask("order_shipment_submit", channel_order_refnum=acknowledged, shipment={"packages": []}))


@pytest.mark.parametrize("how", ["closed", "filtered out"])
def test_r18_a_cancellation_at_a_place_served_no_more_is_told_all_the_same(
    empty: Sandbox, retailops: Caller, how: str, time_passes: PassingTime
) -> None:
    places = {item["name"]: item["locationId"] for item in empty.state()["locations"]}
    refnum = request(empty, locationId=places[RENO])["shipmentId"]
    retailops.pull()
    retailops.acknowledge(refnum)
    empty.tell(f"shipments/{refnum}/cancel", {})
    if how == "closed":
        address = f"{empty.url}{BASE_PATH}/locations/{places[RENO]}"
        headers = {"X-Pipe17-Key": INTEGRATION_KEY}
        assert requests.put(address, json={"status": "inactive"}, headers=headers, timeout=5).status_code == 200
    else:
        administrate(empty, settings={"location_filter": places[DALLAS]})
        time_passes.move(0.3)
    assert all(item.refnum != refnum for item in fetch(connect(empty))), "of fresh ones only those of served places"
    retailops.app.extensions["works"].gateways[("first", "pipe17")].api.outdate()
    assert [(order["channel_order_refnum"], order["cancel"]) for order in retailops.pull()] == [(refnum, True)]


def test_r18_a_late_acknowledgement_of_the_order_is_none_of_its_cancellation(empty: Sandbox, retailops: Caller) -> None:
    refnum = request(empty)["shipmentId"]
    retailops.pull()
    empty.tell(f"shipments/{refnum}/cancel", {})
    assert [order["cancel"] for order in retailops.pull()] == [True], "RetailOps got no answer, or was slow to act"
    for _ in range(2):  # The same acknowledgement may come again before the next pull.
        assert codes(retailops.acknowledge(refnum)) in ([], ["ORDER_CANCELLED"])
    assert [order["cancel"] for order in retailops.pull()] == [True]
    retailops.acknowledge(refnum)
    assert retailops.pull() == []


def test_r18_a_cancelled_request_whose_address_was_blanked_is_called_off_all_the_same(
    empty: Sandbox, retailops: Caller
) -> None:
    refnum = request(empty)["shipmentId"]
    retailops.pull()
    retailops.acknowledge(refnum)
    empty.tell(f"shipments/{refnum}/cancel", {"is_blanked": True})
    [order] = retailops.pull()
    assert (order["channel_order_refnum"], order["cancel"]) == (refnum, True)


@pytest.mark.both_databases
def test_r18_what_retailops_cancelled_itself_is_not_told_back_and_a_restart_forgets_nothing(
    empty: Sandbox, retailops: Caller, build_app: Callable[..., Flask], contract: Contract
) -> None:
    ours, theirs = request(empty)["shipmentId"], request(empty)["shipmentId"]
    retailops.pull()
    retailops.acknowledge(ours, theirs)
    assert retailops.cancel(ours)["status"] == "success"
    empty.tell(f"shipments/{theirs}/cancel", {"status": "canceled"})
    empty.fault(kind="status", code=500, times=1, match={"method": "GET", "path_prefix": f"{BASE_PATH}/shipments"})
    restarted = Caller(build_app(channel_table(empty.url, api_key=INTEGRATION_KEY, more=OWN)), contract)
    assert restarted.pull() == [], "the poll failed; the orders themselves did not"
    assert [order["channel_order_refnum"] for order in restarted.pull()] == [theirs]
    restarted.acknowledge(theirs)
    assert restarted.pull() == [] and retailops.pull() == []


def test_r18_a_page_keeps_room_for_fresh_orders_however_many_are_called_off(empty: Sandbox, retailops: Caller) -> None:
    made = [item["shipmentId"] for item in empty.tell("shipments", {"count": 40})["shipments"]]
    retailops.acknowledge(*[order["channel_order_refnum"] for order in retailops.pull()])
    for refnum in made:
        empty.tell(f"shipments/{refnum}/cancel", {})
    empty.tell("shipments", {"count": 100})
    told: set[str] = set()
    for _ in range(2):
        page = retailops.pull()
        called_off = [order["channel_order_refnum"] for order in page if order["cancel"]]
        assert len(page) == 100 and len(called_off) == 25
        told |= set(called_off)
    assert told == set(made), "those told least often go first"


# Shipping


def test_an_order_may_ship_in_parts_and_pipe17_follows(empty: Sandbox, retailops: Caller) -> None:
    made = request(empty, [("MUG-RED", 3)])
    refnum = made["shipmentId"]
    [order] = retailops.pull()
    retailops.acknowledge(refnum)
    states = []
    for shipment_id, units in ((501, 1), (502, 2)):
        items = [{"sku": "MUG-RED", "channel_item_refnum": "1", "quantity": units}]
        assert codes(retailops.ship(order, shipment_id, package_items=items)) == []
        states.append(empty.shipment(refnum)["status"])
    assert states == ["partialFulfillment", "fulfilled"]
    assert retailops.ask("order_complete", order={"channel_order_refnum": refnum})["status"] == "success"
    assert [item.get("fulfillmentType") for item in empty.fulfilments(refnum)] == [None, None]


def test_more_than_was_ordered_is_cut_with_a_warning_and_never_reaches_pipe17(
    empty: Sandbox, retailops: Caller
) -> None:
    made = request(empty, [("MUG-RED", 2)])
    [order] = retailops.pull()
    items = [{"sku": "MUG-RED", "channel_item_refnum": "1", "quantity": 5}]
    assert codes(retailops.ship(order, package_items=items)) == ["MORE_THAN_ORDERED"]
    again = retailops.ship(order, 502, package_items=items)
    assert codes(again, "warning") == ["MORE_THAN_ORDERED", "EMPTY_PACKAGE"]
    [told] = empty.fulfilments(made["shipmentId"])
    assert told["lineItems"][0]["quantity"] == 2
    with pytest.raises(Refused, match="FULFILLMENT_REFUSED"):
        connect(empty).commands.submit_shipment(package(made, "503-1"), call())


def test_units_are_rejected_by_a_completion_and_by_nothing_else(empty: Sandbox, retailops: Caller) -> None:
    made = request(empty, [("MUG-RED", 3)])
    refnum = made["shipmentId"]
    [order] = retailops.pull()
    retailops.ship(order, package_items=[{"sku": "MUG-RED", "channel_item_refnum": "1", "quantity": 1}])
    assert retailops.cancel(refnum)["status"] == "fail"
    changed = {"channel_order_refnum": refnum, "order_items": [{"order_item_id": 9, "sku": "MUG-RED", "quantity": 1}]}
    retailops.ask("order_update", order=changed)
    assert [item.get("fulfillmentType") for item in empty.fulfilments(refnum)] == [None]
    body = {"channel_order_refnum": refnum, "unshipped_items": [{"sku": "MUG-RED", "unshipped_quantity": 2}]}
    retailops.ask("order_complete", order=body)
    assert [item.get("fulfillmentType") for item in empty.fulfilments(refnum)] == [None, "rejected"]
    assert empty.shipment(refnum)["status"] == "fulfilled"


@pytest.mark.parametrize("granted", [True, False])
def test_r24_a_mended_tracking_number_goes_beside_the_fulfilment_where_granted(
    empty: Sandbox, retailops: Caller, granted: bool
) -> None:
    request(empty)
    [order] = retailops.pull()
    retailops.ship(order)
    if not granted:
        grant(empty, trackings="")
    for number in ("1ZMENDED", "1ZMENDED", "1ZAGAIN"):
        answer = retailops.ship(order, tracking_number=number)
        assert codes(answer) == (["SHIPMENT_CORRECTED"] if granted else ["CANNOT_CORRECT"])
    told = [item["trackingNumber"] for item in empty.state()["trackings"]]
    assert told == (["1ZAGAIN"] if granted else [])
    [made] = empty.fulfilments(order["channel_order_refnum"])
    assert made["trackingNumber"] == ["1Z5011"], "it is frozen"
    # Back to the number of the fulfilment itself, which the tracking beside it has to follow.
    back = retailops.ship(order, tracking_number="1Z5011")
    assert codes(back) == (["SHIPMENT_CORRECTED"] if granted else ["CANNOT_CORRECT"])
    told = [item["trackingNumber"] for item in empty.state()["trackings"]]
    assert told == (["1Z5011"] if granted else [])
    # What it holds cannot be mended at all.
    first = order["order_items"][0]
    items = [{"sku": first["sku"], "channel_item_refnum": first["channel_item_refnum"], "quantity": 1}]
    again = retailops.ship(order, tracking_number="1ZLAST", package_items=items)
    assert set(codes(again)) == ({"SHIPMENT_CORRECTED", "CANNOT_CORRECT"} if granted else {"CANNOT_CORRECT"})


def test_r20_an_update_tells_the_lines_as_they_stand_and_what_did_not_change(empty: Sandbox, retailops: Caller) -> None:
    refnum = request(empty, [("MUG-RED", 3), ("BOWL", 1), ("LAMP", 1)])["shipmentId"]
    retailops.pull()
    lines = [
        {"order_item_id": 11, "channel_item_refnum": "1", "sku": "MUG-RED", "quantity": 2},
        {"order_item_id": 12, "sku": "BOWL", "quantity": 1},
        {"order_item_id": 13, "channel_item_refnum": "3", "sku": "LAMP", "quantity": 1, "removed": True},
        {"order_item_id": 14, "sku": "NEW", "quantity": 1},
    ]
    before = empty.state()["calls"]
    answer = retailops.ask("order_update", order={"channel_order_refnum": refnum, "order_items": lines})
    assert [(item["order_item_id"], item["refnum"], item["quantity"]) for item in answer["line_items"]] == [
        (11, "1", 3),
        (12, "2", 1),
        (13, "3", 1),
    ]
    assert codes(answer) == ["UPDATE_NOT_PASSED_ON", "LINE_NOT_CHANGED", "LINE_NOT_CHANGED", "LINE_NOT_ADDED"]
    assert answer["values"] == {} and empty.state()["calls"] == before


# As few calls as the promises allow


def test_an_order_costs_five_calls_and_a_share_of_the_polls(empty: Sandbox) -> None:
    made = request(empty)
    refnum = made["shipmentId"]
    gateway = connect(empty)
    fetch(gateway)
    gateway.orders.fetch_cancellations(None, NOW_MS // 20, call())
    start = sum(empty.state()["calls"].values())
    assert start == 6, "the integration, its mapping, the locations and the SKUs once, and the two polls"
    spent = []
    for use in (
        lambda: gateway.commands.acknowledge_order(Acknowledgement(refnum, "9001"), call()),
        lambda: gateway.commands.submit_shipment(package(made), call()),
        lambda: gateway.commands.complete_order(Completion(refnum), call()),
    ):
        assert event_codes(use().events) == []
        now = sum(empty.state()["calls"].values())
        spent.append(now - start)
        start = now
    assert spent == [2, 2, 1]
    rejecting = Completion(request(empty)["shipmentId"], (PackageLine("1", "MUG-RED", 2),))
    gateway.commands.complete_order(rejecting, call())
    assert sum(empty.state()["calls"].values()) - start == 3
    assert empty.calls("GET /integrations/{id}") == 1 and INTEGRATION_ID
