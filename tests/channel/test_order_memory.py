"""What one callback said of an order counts for the next, and an order always ends (R6, R9, R22); on both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from flask import Flask

from app.channel import labels
from app.clock import utc_now
from app.contract.schemas import Contract
from app.operations.health_checks import waiting
from app.operations.overview import overview
from app.operations.scope import Scope
from app.sandbox.vendors.pipe17 import BASE_PATH, INTEGRATION_KEY
from tests.channels import channel_table
from tests.gateways.vendors.pipe17.stage import OWN, request
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases


@pytest.fixture
def retailops(build_app: Callable[..., Flask], empty: Sandbox, contract: Contract) -> Iterator[Caller]:
    yield Caller(build_app(channel_table(empty.url, api_key=INTEGRATION_KEY, more=OWN)), contract)


def ordered(retailops: Caller, empty: Sandbox, *lines: tuple[str, int], number: int = 70) -> dict[str, Any]:
    """A pulled order of these lines, acknowledged under RetailOps' number."""
    refnum = request(empty, list(lines))["shipmentId"]
    [order] = [order for order in retailops.pull() if order["channel_order_refnum"] == refnum]
    entry = {"channel_order_refnum": refnum, "retailops_order_id": number}
    assert codes(retailops.ask("order_acknowledge", orders=[entry])) == []
    return order


def named(order: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"channel_order_refnum": order["channel_order_refnum"], **more}


def item(order: dict[str, Any], at: int, quantity: int, **more: Any) -> dict[str, Any]:
    line = order["order_items"][at]
    return {"sku": line["sku"], "channel_item_refnum": line["channel_item_refnum"], "quantity": quantity, **more}


def held(empty: Sandbox, order: dict[str, Any]) -> list[tuple[str, dict[str, int]]]:
    """(kind, units by line) of every fulfilment of the order, oldest first."""
    found = []
    for fulfilment in empty.fulfilments(order["channel_order_refnum"]):
        units = Counter[str]()
        for line in fulfilment["lineItems"]:
            units[line["uniqueId"]] += line["quantity"]
        found.append((fulfilment.get("fulfillmentType", "shipped"), dict(units)))
    return found


def status(empty: Sandbox, order: dict[str, Any]) -> str:
    return str(empty.shipment(order["channel_order_refnum"])["status"])


def checked(retailops: Caller) -> list[str]:
    """What `channel check` says of orders whose completion left something open."""
    found = waiting.of_records(retailops.database, ["first"], utc_now())
    return [finding.sentence for finding in found["first"] if finding.name == "left open"]


def left_open(retailops: Caller) -> list[str]:
    """The same; the overview names the same orders."""
    told = checked(retailops)
    [shown] = overview(retailops.database, Scope(), retailops.app.extensions["works"].configured.channels).channels
    if (later := checked(retailops)) != told:  # settled in the background meanwhile
        return later
    named = [item.example for item in shown.waiting if item.kind == "left_open"]
    assert len(named) == len(told) and all(example in sentence for example, sentence in zip(named, told, strict=True))
    return told


def test_p34_a_package_and_unshipped_units_named_by_sku_alone_fill_the_lines_of_that_sku(
    retailops: Caller, empty: Sandbox
) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 2), ("BOWL", 1), ("MUG-RED", 2))
    assert codes(retailops.ship(order, 501, package_items=[{"sku": "MUG-RED", "quantity": 3}])) == []
    assert held(empty, order) == [("shipped", {"1": 2, "3": 1})]
    rest = [{"sku": "MUG-RED", "unshipped_quantity": 1}, {"sku": "BOWL", "unshipped_quantity": 1}]
    assert codes(retailops.ask("order_complete", order=named(order, unshipped_items=rest))) == []
    assert held(empty, order)[1:] == [("rejected", {"2": 1, "3": 1})]
    assert status(empty, order) == "fulfilled" and left_open(retailops) == []


def test_p34_units_that_name_a_line_make_those_give_way_that_named_its_sku_alone(
    retailops: Caller, empty: Sandbox
) -> None:
    """Nobody but this server said that units named by SKU stand on the first line."""
    order = ordered(retailops, empty, ("MUG-RED", 1), ("MUG-RED", 3))
    assert codes(retailops.ship(order, 501, package_items=[{"sku": "MUG-RED", "quantity": 1}])) == []
    assert codes(retailops.ship(order, 502, package_items=[item(order, 0, 1)])) == []
    assert held(empty, order) == [("shipped", {"1": 1}), ("shipped", {"2": 1})]
    again = retailops.ship(order, 503, package_items=[item(order, 0, 2)])
    assert codes(again) == ["MORE_THAN_ORDERED", "EMPTY_PACKAGE"]
    assert codes(retailops.ship(order, 504, package_items=[{"sku": "MUG-RED", "quantity": 1}])) == []
    assert held(empty, order)[2:] == [("shipped", {"2": 1})]
    mended = retailops.ship(order, 502, package_items=[item(order, 0, 1)], tracking_number="1Z-MENDED")
    assert "registered with other units" not in str(mended)
    # Two boxes may be meant, of which only one named the line: neither gets the label.
    again = retailops.ship(order, 505, package_items=[item(order, 0, 1)])
    assert codes(again) == ["MORE_THAN_ORDERED", "EMPTY_PACKAGE"]


def test_p34_units_closed_by_name_make_those_give_way_that_shipped_by_their_sku_alone(
    retailops: Caller, empty: Sandbox
) -> None:
    """Named as unshipped, or taken off: Pipe17 closes them on the line that has them open."""
    order = ordered(retailops, empty, ("MUG-RED", 1), ("MUG-RED", 3))
    assert codes(retailops.ship(order, 501, package_items=[{"sku": "MUG-RED", "quantity": 1}])) == []
    unshipped = [{**item(order, 0, 1), "unshipped_quantity": 1}]
    assert codes(retailops.ask("order_complete", order=named(order, unshipped_items=unshipped)), "warning") == [
        "UNITS_OPEN", "UNITS_OPEN_AT_PIPE17",
    ]  # fmt: skip
    no_other = [{**unshipped[0], "sku": ""}]
    assert "COMPLETION_CORRECTED" in codes(
        retailops.ask("order_complete", order=named(order, unshipped_items=no_other))
    )
    unshipped += [{**item(order, 1, 2), "unshipped_quantity": 2}]
    again = retailops.ask("order_complete", order=named(order, unshipped_items=unshipped))
    assert (again["status"], codes(again)) == ("success", ["COMPLETION_CORRECTED"])
    assert held(empty, order) == [("shipped", {"1": 1}), ("rejected", {"2": 1}), ("rejected", {"2": 2})]
    assert status(empty, order) == "fulfilled" and left_open(retailops) == []
    assert "MORE_THAN_ORDERED" in codes(retailops.ship(order, 502, package_items=[item(order, 1, 2)]))

    other = ordered(retailops, empty, ("MUG-RED", 2), ("MUG-RED", 2), number=71)
    retailops.ship(other, 503, package_items=[{"sku": "MUG-RED", "quantity": 2}])
    retailops.ask("order_update", order=named(other, order_items=[{**item(other, 0, 2), "removed": True}]))
    for _ in range(2):
        done = retailops.ask("order_complete", order=named(other))
        assert (done["status"], codes(done)) == ("success", [])
    assert held(empty, other) == [("shipped", {"1": 2}), ("rejected", {"2": 2})]
    assert status(empty, other) == "fulfilled"


@pytest.mark.parametrize("ships_first", [True, False])
def test_p34_units_taken_off_by_their_sku_alone_are_others_than_those_that_ship_by_name(
    retailops: Caller, empty: Sandbox, ships_first: bool
) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 2), ("MUG-RED", 2))

    def ship() -> None:
        assert codes(retailops.ship(order, 501, package_items=[item(order, 1, 2)])) == []

    if ships_first:
        ship()
    fewer = [{"order_item_id": 1, "sku": "MUG-RED", "quantity": 2}]
    retailops.ask("order_update", order=named(order, order_items=fewer))
    if not ships_first:
        ship()
        assert "MORE_THAN_ORDERED" in codes(retailops.ship(order, 502, package_items=[item(order, 0, 1)]))
    relabelled = retailops.ship(order, 503, package_items=[item(order, 1, 2)], tracking_number="1Z-NEW")
    assert codes(relabelled) == ["LABEL_REPLACED"], "it is known as stated"
    done = retailops.ask("order_complete", order=named(order))
    assert (done["status"], codes(done)) == ("success", [])
    shipped, closed = ("2", "1") if ships_first else ("1", "2")
    assert held(empty, order) == [("shipped", {shipped: 2}), ("rejected", {closed: 2})]
    assert status(empty, order) == "fulfilled" and left_open(retailops) == []


def test_p34_only_what_is_left_over_of_a_sku_is_reported(retailops: Caller, empty: Sandbox) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 2), ("MUG-RED", 1))
    answer = retailops.ship(order, 501, package_items=[{"sku": "MUG-RED", "quantity": 4}])
    [event] = answer["events"]
    assert (event["code"], event["associations"]) == (
        "MORE_THAN_ORDERED", [{"identifier_type": "sku_number", "identifier": "MUG-RED"}],
    )  # fmt: skip
    assert held(empty, order) == [("shipped", {"1": 2, "2": 1})]


@pytest.mark.parametrize("repeats_shipments", [False, True])
@pytest.mark.parametrize("removal", [{"removed": True}, {"quantity": 0}])
def test_p34_units_an_update_took_off_are_closed_with_the_completion(
    retailops: Caller, empty: Sandbox, repeats_shipments: bool, removal: dict[str, Any]
) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 2), ("BOWL", 2))
    gone = {**item(order, 1, 2, order_item_id=12), **removal}
    told = retailops.ask("order_update", order=named(order, order_items=[item(order, 0, 2), gone]))
    assert codes(told) == ["UPDATE_NOT_PASSED_ON", "LINE_NOT_CHANGED"]
    assert [(line["refnum"], line["quantity"]) for line in told["line_items"]] == [("2", 2)], "Pipe17 keeps it"
    package = [item(order, 0, 2)]
    assert codes(retailops.ship(order, 501, package_items=package)) == []
    box = {"retailops_package_id": 1, "carrier_name": "UPS", "carrier_class_name": "Ground", "package_items": package,
           "tracking_number": "1Z5011", "weight_kg": 1.5, "date_shipped": "2026-02-03T15:00:00Z"}  # fmt: skip
    shipments = [{"retailops_shipment_id": 501, "packages": [box]}] if repeats_shipments else None
    for _ in range(2):
        answer = retailops.ask("order_complete", order=named(order, shipments=shipments, unshipped_items=None))
        assert (answer["status"], codes(answer)) == ("success", [])
    assert held(empty, order) == [("shipped", {"1": 2}), ("rejected", {"2": 2})]
    assert status(empty, order) == "fulfilled" and left_open(retailops) == []


def test_p34_units_taken_off_are_not_open_for_a_package_until_they_are_restored(
    retailops: Caller, empty: Sandbox
) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 2), ("MUG-RED", 2))
    retailops.ask(
        "order_update", order=named(order, order_items=[{"order_item_id": 1, "sku": "MUG-RED", "quantity": 3}])
    )
    too_many = retailops.ship(order, 501, package_items=[{"sku": "MUG-RED", "quantity": 4}])
    assert codes(too_many) == ["MORE_THAN_ORDERED"]
    assert held(empty, order) == [("shipped", {"1": 2, "2": 1})], "taken off the last line first"
    restored = retailops.ask("order_update", order=named(order, order_items=[item(order, 1, 2)]))
    assert codes(restored) == ["UPDATE_NOT_PASSED_ON"]
    assert codes(retailops.ship(order, 502, package_items=[item(order, 1, 1)])) == []
    assert codes(retailops.ask("order_complete", order=named(order))) == []
    assert [kind for kind, _ in held(empty, order)] == ["shipped", "shipped"]


def test_p34_units_taken_off_and_units_named_as_unshipped_are_closed_once_each(
    retailops: Caller, empty: Sandbox
) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 5))
    retailops.ship(order, 501, package_items=[item(order, 0, 1)])
    retailops.ask("order_update", order=named(order, order_items=[item(order, 0, 3)]))
    unshipped = [{"sku": "MUG-RED", "unshipped_quantity": 1}]
    first = retailops.ask("order_complete", order=named(order, unshipped_items=unshipped))
    assert (first["status"], codes(first)) == ("success", ["UNITS_OPEN", "UNITS_OPEN_AT_PIPE17"])
    assert held(empty, order)[1:] == [("rejected", {"1": 3})]
    [sentence] = left_open(retailops)
    assert order["channel_order_refnum"] in sentence
    second = retailops.ask(
        "order_complete", order=named(order, unshipped_items=[{**unshipped[0], "unshipped_quantity": 2}])
    )
    assert (second["status"], codes(second)) == ("success", ["COMPLETION_CORRECTED"])
    assert held(empty, order)[2:] == [("rejected", {"1": 1})], "what was closed by name is not closed again"
    assert status(empty, order) == "fulfilled" and left_open(retailops) == []


REJECTIONS = {"method": "POST", "path_prefix": f"{BASE_PATH}/fulfillments"}


def unshipped(order: dict[str, Any], units: int) -> dict[str, Any]:
    return named(order, unshipped_items=[{**item(order, 0, units), "unshipped_quantity": units}])


@pytest.mark.parametrize(("units", "said"), [(1, ["UNITS_OPEN"]), (3, ["COMPLETION_CORRECTED"])])
def test_p11_units_whose_rejection_was_refused_are_rejected_when_the_order_is_completed_again(
    retailops: Caller, empty: Sandbox, units: int, said: list[str]
) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 3))
    empty.fault(kind="status", code=422, times=2, match=REJECTIONS)
    for _ in range(2):
        answer = retailops.ask("order_complete", order=unshipped(order, 1))
        assert codes(answer) == ["UNITS_OPEN", "REJECTION_REFUSED", "UNITS_OPEN_AT_PIPE17"]
        assert held(empty, order) == [] and len(left_open(retailops)) == 1
    again = retailops.ask("order_complete", order=unshipped(order, units))
    assert [code for code in codes(again) if code != "UNITS_OPEN_AT_PIPE17"] == said
    assert held(empty, order) == [("rejected", {"1": units})]
    assert len(left_open(retailops)) == (0 if units == 3 else 1)
    assert retailops.ask("order_complete", order=unshipped(order, units)) == again and len(held(empty, order)) == 1


def test_p34_units_whose_rejection_was_refused_may_ship_after_all(retailops: Caller, empty: Sandbox) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 2))
    empty.fault(kind="status", code=422, times=1, match=REJECTIONS)
    assert "REJECTION_REFUSED" in codes(retailops.ask("order_complete", order=unshipped(order, 2)))
    assert codes(retailops.ship(order, 501, package_items=[item(order, 0, 2)])) == []
    assert held(empty, order) == [("shipped", {"1": 2})] and left_open(retailops) == []


def test_p34_units_that_were_closed_at_the_vendor_are_not_left_open_once_the_order_is_completed_again(
    retailops: Caller, empty: Sandbox
) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 2))
    empty.fault(kind="status", code=422, times=1, match=REJECTIONS)
    assert "REJECTION_REFUSED" in codes(retailops.ask("order_complete", order=unshipped(order, 2)))
    line = {"uniqueId": "1", "sku": "MUG-RED", "quantity": 2}
    body = {"shipmentId": order["channel_order_refnum"], "fulfillmentType": "rejected", "lineItems": [line]}
    own = {"X-Pipe17-Key": INTEGRATION_KEY}
    assert requests.post(f"{empty.url}{BASE_PATH}/fulfillments", json=body, headers=own, timeout=10).ok
    assert len(left_open(retailops)) == 1
    answer = retailops.ask("order_complete", order=unshipped(order, 2))
    assert (answer["status"], codes(answer)) == ("success", []) and left_open(retailops) == []


def test_p34_completions_that_wait_together_leave_nothing_named_once_the_source_counts_nothing_open(
    retailops: Caller, empty: Sandbox
) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 1), ("BOWL", 1))
    empty.fault(kind="status", code=503, times=1, match={"method": "POST"})
    for line in order["order_items"]:
        unshipped = [{"channel_item_refnum": line["channel_item_refnum"], "unshipped_quantity": 1}]
        retailops.ask("order_complete", order=named(order, unshipped_items=unshipped))
    eventually(lambda: status(empty, order) == "failed")
    eventually(lambda: left_open(retailops) == [])


def test_p11_units_taken_off_after_a_completion_are_closed_by_the_same_completion_again(
    retailops: Caller, empty: Sandbox
) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 1), ("BOWL", 1))
    retailops.ship(order, 501, package_items=[item(order, 0, 1)])
    done = named(order, shipments=[], unshipped_items=[])
    assert codes(retailops.ask("order_complete", order=done)) == ["UNITS_UNACCOUNTED"]
    assert len(left_open(retailops)) == 1, "an order that RetailOps could not complete is named"
    retailops.ask("order_update", order=named(order, order_items=[item(order, 1, 1, removed=True)]))
    answer = retailops.ask("order_complete", order=done)
    assert (answer["status"], codes(answer)) == ("success", [])
    assert held(empty, order)[1:] == [("rejected", {"2": 1})] and left_open(retailops) == []


def test_p11_the_same_units_under_a_new_number_replace_the_label(retailops: Caller, empty: Sandbox) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 2), ("BOWL", 1))
    refnum = order["channel_order_refnum"]
    retailops.ship(order, 501)
    for number in (502, 503):
        answer = retailops.ship(order, number, tracking_number=f"1ZNEW{number}")
        assert codes(answer) == codes(answer, "warning") == ["LABEL_REPLACED"]
        assert retailops.ship(order, number, tracking_number=f"1ZNEW{number}") == answer
    mended = retailops.ship(order, 503, tracking_number="1ZMENDED")
    assert codes(mended, "info") == ["SHIPMENT_CORRECTED"], "the new number can be corrected under its own id"
    assert len(empty.fulfilments(refnum)) == 1
    assert [row["trackingNumber"] for row in empty.state()["trackings"]] == ["1ZMENDED"]
    stale = retailops.ship(order, 501, tracking_number="1ZSTALE")
    assert codes(stale) == ["CANNOT_CORRECT"]
    assert [row["trackingNumber"] for row in empty.state()["trackings"]] == ["1ZMENDED"]


def test_p11_a_new_label_named_by_sku_in_a_completion_is_one_too(retailops: Caller, empty: Sandbox) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 1), ("MUG-RED", 2))
    retailops.ship(order, 501)
    box = {"retailops_package_id": 8, "tracking_number": "1ZNEW", "carrier_name": "UPS", "weight_kg": "1.50",
           "package_items": [{"sku": "MUG-RED", "quantity": 3}]}  # fmt: skip
    shipments = [{"retailops_shipment_id": 502, "packages": [box]}]
    answer = retailops.ask("order_complete", order=named(order, shipments=shipments))
    assert (answer["status"], codes(answer)) == ("success", ["LABEL_REPLACED"])
    assert [row["trackingNumber"] for row in empty.state()["trackings"]] == ["1ZNEW"]


def test_p11_two_equal_boxes_get_two_new_labels_and_one_alone_is_no_replacement(
    retailops: Caller, empty: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 2))
    retailops.ship(order, 501, packages=2)
    alone = retailops.ship(order, 502, package_items=[item(order, 0, 1)])
    assert codes(alone) == ["MORE_THAN_ORDERED", "EMPTY_PACKAGE"], "nobody knows which of the two it is"
    assert codes(retailops.ship(order, 503, packages=2)) == ["LABEL_REPLACED"]
    assert sorted(row["trackingNumber"] for row in empty.state()["trackings"]) == ["1Z5031", "1Z5032"]
    assert len(held(empty, order)) == 2
    compared, allot = [0], labels.allot

    def counted(*of: Any) -> Any:
        compared[0] += 1
        return allot(*of)

    monkeypatch.setattr(labels, "allot", counted)
    assert codes(retailops.ship(order, 504, packages=40)) == ["MORE_THAN_ORDERED", "EMPTY_PACKAGE"]
    assert compared[0] <= 40 * 8, "not each of many packages with each (P7)"


def test_p11_other_units_or_a_package_still_owed_are_no_replacement(retailops: Caller, empty: Sandbox) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 2))
    empty.fault(kind="status", code=429, retry_after=2, times=1, match={"method": "POST"})
    assert codes(retailops.ship(order, 501)) == ["OWED"]
    assert "LABEL_REPLACED" not in codes(retailops.ship(order, 502, tracking_number="1ZNEW"))
    eventually(lambda: len(held(empty, order)) == 1)
    fewer = retailops.ship(order, 503, package_items=[item(order, 0, 1)])
    assert codes(fewer) == ["MORE_THAN_ORDERED", "EMPTY_PACKAGE"]


ZEROS = {
    "retailops_package_id": 0, "carrier_name": "", "carrier_class_name": "", "channel_ship_code": "",
    "tracking_number": "", "weight_kg": 0, "date_shipped": "", "package_items": None,
}  # fmt: skip
ZERO_ITEM = {"sku": "", "retailops_order_item_id": 0, "retailops_shipment_item_id": 0, "channel_item_refnum": "",
             "quantity": 0}  # fmt: skip


@pytest.mark.parametrize("items", [None, [], [ZERO_ITEM]])
def test_p34_packages_of_zeros_are_info_and_cost_no_neighbour(retailops: Caller, empty: Sandbox, items: Any) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 2), ("BOWL", 1))
    zeros = {**ZEROS, "package_items": items}
    good = {**ZEROS, "retailops_package_id": 1, "tracking_number": "1Z1", "carrier_name": "UPS",
            "package_items": [ZERO_ITEM, item(order, 0, 2)]}  # fmt: skip
    shipment = {"retailops_shipment_id": 501, "packages": [zeros, good, zeros]}
    answer = retailops.ask("order_shipment_submit", shipment=shipment, **named(order))
    assert codes(answer) == codes(answer, "info") == ["EMPTY_PACKAGE"]
    assert held(empty, order) == [("shipped", {"1": 2})]
    for nothing in ({"retailops_shipment_id": 0, "packages": items and []}, {"packages": [zeros]}):
        answer = retailops.ask("order_shipment_submit", shipment=nothing, **named(order))
        assert codes(answer) == codes(answer, "info") != []
    blank = {"sku": "", "channel_item_refnum": "", "unshipped_quantity": 0}
    bowl = {"sku": "BOWL", "unshipped_quantity": 1}
    done = named(order, shipments=[shipment, {"retailops_shipment_id": 0, "packages": [zeros]}],
                 unshipped_items=[blank, bowl])  # fmt: skip
    answer = retailops.ask("order_complete", order=done)
    assert (answer["status"], codes(answer)) == ("success", ["EMPTY_PACKAGE"])
    assert held(empty, order)[1:] == [("rejected", {"2": 1})]


def test_p34_a_return_of_more_than_shipped_is_recorded_as_stated_with_a_warning(
    retailops: Caller, empty: Sandbox
) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 2), ("MUG-RED", 1))

    def give_back(number: int, units: int) -> dict[str, Any]:
        returned = {"retailops_return_id": number, "refund_action": "refund", "refund_amt": 0,
                    "items": [{"sku": "MUG-RED", "quantity": units}]}  # fmt: skip
        return retailops.ask("order_returned", order=named(order), **{"return": returned})

    assert codes(give_back(1, 1)) == ["NO_MONEY_MOVED", "RETURN_EXCEEDS_SHIPPED"], "before any shipment"
    retailops.ship(order, 501)
    assert codes(give_back(2, 2)) == ["NO_MONEY_MOVED"]
    for _ in range(2):
        assert codes(give_back(3, 2)) == ["NO_MONEY_MOVED", "RETURN_EXCEEDS_SHIPPED"]


def test_p34_every_command_finds_its_order_by_the_number_of_its_acknowledgement(
    retailops: Caller, empty: Sandbox
) -> None:
    order = ordered(retailops, empty, ("MUG-RED", 2), number=4711)
    by_number = {"retailops_order_id": "04711.0", "channel_order_refnum": ""}
    box = {"retailops_package_id": 1, "tracking_number": "1Z1", "package_items": [item(order, 0, 1)]}
    shipment = {"retailops_shipment_id": 501, "packages": [box]}
    assert codes(retailops.ask("order_shipment_submit", retailops_order_id=4711, shipment=shipment)) == []
    assert codes(retailops.ask("order_shipment_submit", shipment=shipment, **named(order))) == [], "the same command"
    line = item(order, 0, 2, order_item_id=5)
    assert retailops.ask("order_update", order={**by_number, "order_items": [line]})["line_items"][0]["quantity"] == 2
    assert codes(retailops.ask("order_settle_payment", order=by_number, payment={})) == ["NOT_APPLICABLE"]
    returned = {"retailops_return_id": 1, "items": [item(order, 0, 1)]}
    assert codes(retailops.ask("order_returned", order=by_number, **{"return": returned})) == ["NO_MONEY_MOVED"]
    assert codes(retailops.ask("order_cancel", order=by_number), "error") == ["ALREADY_SHIPPED"]
    rest = [{"sku": "MUG-RED", "unshipped_quantity": 1}]
    done = retailops.ask("order_complete", order={"retailops_order_id": 4711, "unshipped_items": rest})
    assert done["status"] == "success" and held(empty, order) == [("shipped", {"1": 1}), ("rejected", {"1": 1})]
    assert retailops.ask("order_complete", order=named(order, unshipped_items=rest)) == done


def test_p34_a_number_nobody_has_or_several_have_changes_nothing(retailops: Caller, empty: Sandbox) -> None:
    first = ordered(retailops, empty, ("MUG-RED", 1), number=7)
    second = ordered(retailops, empty, ("MUG-RED", 1), number=7)
    for number, code in ((7, "ORDER_AMBIGUOUS"), (8, "ORDER_UNKNOWN")):
        answer = retailops.ask("order_cancel", order={"retailops_order_id": number})
        [event] = answer["events"]
        assert (answer["status"], event["event_type"], event["code"]) == ("fail", "error", code)
        assert event["associations"] == [{"identifier_type": "order_id", "identifier": str(number)}]
        shipped = retailops.ask("order_shipment_submit", retailops_order_id=number, shipment={"packages": None})
        assert codes(shipped, "error") == [code]
        returned = {"retailops_return_id": 1, "items": [item(first, 0, 1)]}
        given_back = retailops.ask("order_returned", order={"retailops_order_id": number}, **{"return": returned})
        assert codes(given_back, "error") == [code]
        changed = {"retailops_order_id": number, "order_items": [item(first, 0, 0)]}
        assert codes(retailops.ask("order_update", order=changed), "error") == [code]
        done = retailops.ask("order_complete", order={"retailops_order_id": number})
        assert (done["status"], codes(done, "error")) == ("fail", [code])
    assert {status(empty, order) for order in (first, second)} == {"sentToFulfillment"}
    for unnamed in ({}, {"retailops_order_id": 0}, {"channel_order_refnum": " ", "retailops_order_id": "null"}):
        assert codes(retailops.ask("order_cancel", order=unnamed), "error") == ["INVALID_REQUIRED"]
