"""Ids of Pipe17 stay as they are, a number of ours belongs to one order, and no text of a request is cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from app.contract.schemas import Contract
from app.domain.commands import Completion, PackageLine, ReturnedGoods, ReturnedLine
from app.domain.stock import StockChange
from app.errors import Unavailable
from app.sandbox.vendors.pipe17 import INTEGRATION_ID, INTEGRATION_KEY, LEGACY_KEY
from app.sandbox.vendors.pipe17.samples import DALLAS
from tests.channels import channel_table
from tests.gateways.vendors.pipe17.stage import (
    AUSTIN,
    OWN,
    administrate,
    call,
    connect,
    event_codes,
    fetch,
    grant,
    level,
    package,
    push_stock,
    request,
    stock_of,
)
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox

ODD = {
    "blank behind": "SPOON ",
    "blank before": " SPOON",
    "two blanks inside": "SPOON  XL",
    "no-break space": "SPOON\u00a0",
    "small letters": "spoon",
    "composed": "L\u00d6FFEL",
    "decomposed": "LO\u0308FFEL",
    "address characters": "a/b?c=d&e#f%20+g:h",
    "255 characters": "x" * 254 + " ",
}
"""Ids that reading, comparing or writing may change."""


@pytest.fixture
def open_retailops(build_app: Callable[..., Flask], empty: Sandbox, contract: Contract) -> Callable[..., Caller]:
    """RetailOps in front of a custom integration; `more` are further lines of its table."""
    return lambda more="": Caller(
        build_app(channel_table(empty.url, api_key=INTEGRATION_KEY, more=OWN + more)), contract
    )


@pytest.fixture
def retailops(open_retailops: Callable[..., Caller]) -> Iterator[Caller]:
    yield open_retailops()


def make_product(sandbox: Sandbox, sku: str) -> None:
    sandbox.tell("products", {"product": {"sku": sku, "name": "Spoon"}})


def plain_item(order: dict[str, Any], at: int = 0, quantity: int = 1, *, is_trimmed: bool = False) -> dict[str, Any]:
    """A line of a pulled order as RetailOps names it; some of its systems drop blanks at the ends."""
    line = order["order_items"][at]
    names = {name: line[name].strip() if is_trimmed else line[name] for name in ("sku", "channel_item_refnum")}
    return {**names, "quantity": quantity}


# Ids of a vendor (R32)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_p35_every_id_of_pipe17s_comes_back_byte_for_byte(empty: Sandbox, odd: str) -> None:
    """SKU, line, request, location, fulfilment, tracking, return and product, through the gateway alone."""
    empty.tell("settings", {"id_suffix": odd[-20:]}, "PUT")
    make_product(empty, odd)
    place = {"name": "Attic", "address": {"country": "US"}, "fulfillmentIntegrationId": INTEGRATION_ID}
    location = empty.tell("locations", place)["location"]
    lines = [
        {"uniqueId": odd, "sku": odd, "quantity": 2},
        {"uniqueId": odd[::-1], "sku": "BOWL", "quantity": 1, "bundleSKU": odd},
    ]
    made = request(empty, lineItems=lines, extShipmentId=odd, extOrderId=odd, locationId=location["locationId"])
    gateway = connect(empty)
    [candidate] = fetch(gateway)
    order: Any = candidate.order
    assert order.refnum == made["shipmentId"] and order.refnum.endswith(odd[-20:])
    assert [(line.refnum, line.sku) for line in order.lines] == [(odd, odd), (odd[::-1], "BOWL")]
    shown: dict[str, str] = {}
    for item in order.attributes:
        handle = item.handle.rstrip("0123456789").removesuffix("_")
        shown[handle] = shown.get(handle, "") + item.value
    assert (shown["ext_shipment_id"], shown["ext_order_id"], shown["bundles"]) == (odd, odd, odd)
    assert shown["location_id"] == location["locationId"]
    assert gateway.orders.find_order(order.refnum, call("question")) is not None
    assert [item.refnum for item in gateway.orders.fetch_named([order.refnum], call("question"))] == [order.refnum]

    parcel = package(made, lines=(PackageLine(odd, odd, 1), PackageLine(odd[::-1], "BOWL", 1)))
    assert gateway.commands.submit_shipment(parcel, call()).events == ()
    assert event_codes(gateway.commands.submit_shipment(parcel, call()).events) == [("info", "ALREADY_REGISTERED")]
    mended = package(made, lines=parcel.lines, tracking_number=odd)
    for _ in range(2):
        assert gateway.commands.correct_shipment(mended, call()).events == ()
    assert [item["trackingNumber"] for item in empty.state()["trackings"]] == [odd]
    assert gateway.commands.look_up("correct_shipment", mended, call("question")) is not None
    assert gateway.commands.complete_order(Completion(order.refnum, (PackageLine(odd, odd, 1),)), call()).events == ()
    assert empty.shipment(order.refnum)["status"] == "fulfilled"
    administrate(empty, settings={"returns.create": True})
    gateway.api.outdate()
    gateway.commands.record_return(ReturnedGoods(order.refnum, "9", (ReturnedLine(odd, odd, 1),)), call())
    [returned] = empty.state()["returns"]
    assert (returned["extOrderId"], returned["locationId"]) == (odd, location["locationId"])
    assert [(line["uniqueId"], line["sku"]) for line in returned["lineItems"]] == [(odd, odd)]


def test_p35_a_request_is_read_by_its_own_id_alone(empty: Sandbox) -> None:
    made = request(empty, extShipmentId="77")
    gateway = connect(empty)
    assert gateway.orders.find_order("ext:77", call("question")) is None
    assert gateway.orders.find_order(made["shipmentId"].upper() + " ", call("question")) is None


@pytest.mark.parametrize("is_trimmed", [False, True])
def test_p35_goods_and_lines_of_odd_names_ship_and_end_though_retailops_trims_them(
    empty: Sandbox, retailops: Caller, is_trimmed: bool
) -> None:
    make_product(empty, "SPOON ")
    make_product(empty, "L\u00d6FFEL\u00a0")
    lines = [
        {"uniqueId": "1 ", "sku": "SPOON ", "quantity": 2},
        {"uniqueId": "\u00a02", "sku": "L\u00d6FFEL\u00a0", "quantity": 1},
        {"uniqueId": "3", "sku": "MUG-RED", "quantity": 1},
    ]
    refnum = request(empty, lineItems=lines)["shipmentId"]
    [order] = retailops.pull()
    retailops.acknowledge(refnum)
    assert [(item["channel_item_refnum"], item["sku"]) for item in order["order_items"]] == [
        (line["uniqueId"], line["sku"]) for line in lines
    ]
    contents = [plain_item(order, at, is_trimmed=is_trimmed) for at in range(3)]
    assert codes(retailops.ship(order, 501, package_items=contents), "error") == []
    [made] = empty.fulfilments(refnum)
    assert [(item["uniqueId"], item["sku"]) for item in made["lineItems"]] == [
        (line["uniqueId"], line["sku"]) for line in lines
    ]
    rest = {"sku": contents[0]["sku"], "unshipped_quantity": 1}
    answer = retailops.ask(
        "order_complete", order={"channel_order_refnum": refnum, "shipments": None, "unshipped_items": [rest]}
    )
    assert codes(answer, "error") == []
    assert empty.shipment(refnum)["status"] == "fulfilled"


def test_p35_lines_whose_names_differ_by_a_blank_alone_are_told_apart(empty: Sandbox, retailops: Caller) -> None:
    make_product(empty, "SPOON ")  # beside the seeded one
    lines = [
        {"uniqueId": "1", "sku": "SPOON", "quantity": 1},
        {"uniqueId": "1 ", "sku": "SPOON ", "quantity": 2},
    ]
    refnum = request(empty, lineItems=lines)["shipmentId"]
    [order] = retailops.pull()
    retailops.acknowledge(refnum)
    assert codes(retailops.ship(order, 501, package_items=[plain_item(order, 1, 2)]), "error") == []
    [made] = empty.fulfilments(refnum)
    assert made["lineItems"] == [{"uniqueId": "1 ", "sku": "SPOON ", "quantity": 2}]
    by_sku_alone = {"sku": "SPOON", "quantity": 1}
    assert codes(retailops.ship(order, 502, package_items=[by_sku_alone]), "error") == []
    assert empty.shipment(refnum)["status"] == "fulfilled"


@pytest.mark.parametrize("has_integration", [True, False])
def test_p35_stock_reaches_the_product_whose_name_differs_by_blanks_at_its_ends_only_if_it_is_the_one(
    empty: Sandbox, has_integration: bool
) -> None:
    for sku in ("LADLE ", "SPOON ", "WHISK ", "\u00a0WHISK"):
        make_product(empty, sku)
    gateway = connect(empty) if has_integration else connect(empty, api_key=LEGACY_KEY, integration_id="")
    changes = [StockChange(sku, level(dallas=(7, 7))) for sku in ("LADLE", "SPOON", "WHISK")]
    found = push_stock(gateway, *changes)
    assert stock_of(empty, "LADLE ")[DALLAS] == (7, 0)
    assert stock_of(empty, "SPOON")[DALLAS] == (7, 0), "an exact name goes first"
    assert not stock_of(empty, "SPOON ") and not stock_of(empty, "WHISK ") and not stock_of(empty, "\u00a0WHISK")
    assert found["WHISK"].refusal and not found["LADLE"].refusal
    push_stock(gateway, *(StockChange(sku, level(dallas=(9, 9))) for sku in ("SPOON ", "MUG-RED ")))
    assert (stock_of(empty, "SPOON ")[DALLAS], stock_of(empty, "SPOON")[DALLAS]) == ((9, 0), (7, 0))
    assert stock_of(empty, "MUG-RED")[DALLAS] == (9, 0), "RetailOps' own name may have the blank as well"


@pytest.mark.both_databases
@pytest.mark.parametrize("is_trimmed", [False, True])
@pytest.mark.parametrize("suffix", [" ", "\u00a0", "O\u0308 "])
def test_p35_a_requests_own_id_leads_back_from_every_callback(
    empty: Sandbox, retailops: Caller, suffix: str, is_trimmed: bool
) -> None:
    empty.tell("settings", {"id_suffix": suffix}, "PUT")
    shipped, cancelled = (request(empty)["shipmentId"] for _ in range(2))
    assert [order["channel_order_refnum"] for order in retailops.pull()] == [shipped, cancelled]

    def named(refnum: str) -> str:
        return refnum.strip() if is_trimmed else refnum

    retailops.acknowledge(named(shipped), named(cancelled))
    assert retailops.pull() == []
    assert {item["status"] for item in empty.state()["shipments"]} == {"sentToFulfillment"}
    assert retailops.cancel(named(cancelled))["status"] == "success"
    assert empty.shipment(cancelled)["status"] == "canceledRestock"
    item = {"sku": "MUG-RED", "channel_item_refnum": "1", "quantity": 1}
    order = {"channel_order_refnum": named(shipped), "order_items": [item]}
    assert codes(retailops.ship(order, 501, package_items=[item]), "error") == []
    rest = {"sku": "MUG-RED", "channel_item_refnum": "1", "unshipped_quantity": 1}
    done = {"channel_order_refnum": named(shipped), "unshipped_items": [rest]}
    assert codes(retailops.ask("order_complete", order=done), "error") == []
    assert empty.shipment(shipped)["status"] == "fulfilled"
    listed = retailops.pull(specific_orders=[{"channel_refnum": named(shipped)}])
    assert [item["channel_order_refnum"] for item in listed] == [shipped]


# Whose is it? (R24)


def test_p11_one_box_for_two_orders_is_a_fulfilment_of_each(empty: Sandbox, retailops: Caller) -> None:
    refnums = [request(empty)["shipmentId"] for _ in range(2)]
    orders = retailops.pull()
    retailops.acknowledge(*refnums)
    for order in [*orders, *orders]:
        assert codes(retailops.ship(order, 501), "error") == []
    for refnum in refnums:
        assert [item["shipmentId"] for item in empty.fulfilments(refnum)] == [refnum]
        assert empty.shipment(refnum)["status"] == "fulfilled"


def test_p11_one_return_number_for_two_orders_is_a_return_of_each(empty: Sandbox, retailops: Caller) -> None:
    administrate(empty, settings={"returns.create": True})
    refnums = [request(empty)["shipmentId"] for _ in range(2)]
    orders = retailops.pull()
    retailops.acknowledge(*refnums)
    for number, order in enumerate(orders, 501):
        retailops.ship(order, number)
    for order in [*orders, *orders]:
        item = plain_item(order, quantity=1 + orders.index(order))
        returned = {"retailops_return_id": 9, "refund_amt": 0, "refund_action": "refund", "items": [item]}
        answer = retailops.ask(
            "order_returned", order={"channel_order_refnum": order["channel_order_refnum"]}, **{"return": returned}
        )
        assert codes(answer) == ["NO_MONEY_MOVED"]
    made = empty.state()["returns"]
    shops = {item["shipmentId"]: item["extOrderId"] for item in empty.state()["shipments"]}
    assert [(item["extOrderId"], item["lineItems"][0]["quantity"]) for item in made] == [
        (shops[refnum], units) for units, refnum in enumerate(refnums, 1)
    ]


@pytest.mark.parametrize("kind", ["fulfilment", "rejection", "return"])
def test_p9_a_number_that_is_taken_counts_as_ours_only_once_it_is_seen_as_ours(empty: Sandbox, kind: str) -> None:
    """Pipe17 says 409; neither success nor refusal is true before it shows whose the number is."""
    made = request(empty)
    gateway = connect(empty, create_returns=True, integration_refresh_s=0)
    refnum = made["shipmentId"]

    def write() -> Any:
        if kind == "fulfilment":
            return gateway.commands.submit_shipment(package(made), call())
        if kind == "rejection":
            return gateway.commands.complete_order(Completion(refnum, (PackageLine("1", "MUG-RED", 2),)), call())
        return gateway.commands.record_return(ReturnedGoods(refnum, "9", (ReturnedLine("1", "MUG-RED", 1),)), call())

    for _ in range(2):
        empty.fault(kind="status", code=409, match={"method": "POST"}, times=1)
        with pytest.raises(Unavailable, match="DUPLICATE_NOT_SHOWN") as caught:
            write()
        assert not caught.value.outcome_unknown
    assert empty.fulfilments(refnum) == [] and empty.state()["returns"] == []
    assert not [event for event in write().events if event.event_type == "error"]
    assert len(empty.fulfilments(refnum)) + len(empty.state()["returns"]) == 1


# Corrections


@pytest.mark.parametrize("change", [
    {"tracking_number": "1ZNEW"}, {"carrier_name": "FedEx"}, {"date_shipped": "2026-02-04T09:00:00Z"},
    {"tracking_number": "1ZNEW", "carrier_name": "FedEx"},
], ids=str)  # fmt: skip
def test_p11_number_carrier_and_date_of_a_package_are_corrected_by_a_tracking(
    empty: Sandbox, retailops: Caller, change: dict[str, str]
) -> None:
    request(empty)
    [order] = retailops.pull()
    retailops.acknowledge(order["channel_order_refnum"])
    retailops.ship(order)
    for _ in range(2):
        assert "CANNOT_CORRECT" not in codes(retailops.ship(order, **change))
    [tracking] = empty.state()["trackings"]
    stated = {"tracking_number": "1Z5011", "carrier_name": "UPS", "date_shipped": "2026-02-03T15:00:00Z", **change}
    assert tracking["trackingNumber"] == stated["tracking_number"]
    assert tracking["shippingCarrier"] == stated["carrier_name"]
    assert tracking["actualShipDate"] == stated["date_shipped"].replace("Z", ".000Z")
    retailops.ship(order)  # and back to what the fulfilment says
    [tracking] = empty.state()["trackings"]
    assert (tracking["trackingNumber"], tracking["shippingCarrier"]) == ("1Z5011", "UPS")


@pytest.mark.parametrize(("change", "named"), [
    ({"carrier_class_name": "Air"}, "service class"), ({"weight_kg": 9}, "weight"),
], ids=str)  # fmt: skip
def test_p11_what_no_tracking_can_hold_is_named(
    empty: Sandbox, retailops: Caller, change: dict[str, Any], named: str
) -> None:
    request(empty)
    [order] = retailops.pull()
    retailops.ship(order)
    answer = retailops.ship(order, **change)
    [event] = [event for event in answer["events"] if event["code"] == "CANNOT_CORRECT"]
    assert named in event["message"]


def test_p11_a_correction_waits_until_pipe17_shows_the_fulfilment(empty: Sandbox) -> None:
    made = request(empty)
    gateway = connect(empty)
    with pytest.raises(Unavailable, match="FULFILLMENT_NOT_SHOWN"):
        gateway.commands.correct_shipment(package(made, tracking_number="1ZNEW"), call())
    gateway.commands.submit_shipment(package(made), call())
    assert gateway.commands.correct_shipment(package(made, tracking_number="1ZNEW"), call()).events == ()


def test_p11_without_the_grant_for_trackings_a_new_carrier_is_told_as_not_corrected(
    empty: Sandbox, retailops: Caller
) -> None:
    request(empty)
    [order] = retailops.pull()
    retailops.ship(order)
    grant(empty, trackings="")
    assert "CANNOT_CORRECT" in codes(retailops.ship(order, carrier_name="FedEx"))


# Texts


@pytest.mark.parametrize("length", [1, 2, 100, 101, 199, 200, 201, 1000, 3000])
def test_p34_a_note_of_any_length_reaches_retailops_whole(empty: Sandbox, retailops: Caller, length: int) -> None:
    note = ("Leave it with the neighbour \U0001f469\u200d\U0001f469\u200d\U0001f467, ring twice. " * 80)[:length]
    note = note[:-1] + "." if note.endswith((" ", "\u200d")) else note
    request(empty, shippingNote=note, giftNote=note, incoterms=note)
    [order] = retailops.pull()
    values = {item["handle"]: item["value"] for item in order["attributes"]}
    for handle in ("shipping_note", "incoterms"):
        parts = [values[handle], *(values[f"{handle}_{n}"] for n in range(2, 60) if f"{handle}_{n}" in values)]
        assert all(2 <= len(part) <= 100 for part in parts)
        assert "".join(parts) == (note if length > 1 else f"{handle}: {note}")
    assert order["gift_message"] == note


def test_p34_what_nobody_can_read_in_a_free_text_costs_its_character_alone(empty: Sandbox, retailops: Caller) -> None:
    odd, seen = "a\x00b\ufdd0", "a\ufffdb\ufffd"  # the second stands for half a character in an answer of Pipe17's
    goods = [{"uniqueId": "1", "sku": "MUG-RED", "quantity": 1, "name": odd}]
    address = {**AUSTIN, "firstName": odd, "city": odd}
    request(empty, giftNote=odd, shippingCode=odd, tags=[odd], shippingAddress=address, lineItems=goods)
    [order] = retailops.pull()
    place = order["shipping_address"]
    assert [order["gift_message"], order["ship_service_code"], place["first_name"], place["city"]] == [seen] * 4
    assert (order["tags"], order["order_items"][0]["sku_description"]) == ([seen], seen)


# What is not honoured is said


def test_p34_what_the_integration_says_and_this_server_does_not_honour_is_named_by_check(empty: Sandbox) -> None:
    administrate(empty, settings={"inventory.apply_buffer": True, "sku_mapping": 7})
    health = connect(empty).check(call("question"))
    said = {finding.sentence for finding in health.findings if finding.state != "ok"}
    assert any("inventory.apply_buffer is no setting of this server" in sentence for sentence in said)
    assert any("sku_mapping must be pairs" in sentence for sentence in said)
    assert any("1 field mapping rules for shipments; this server does not apply them" in sentence for sentence in said)
