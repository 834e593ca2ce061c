"""Rally: what callbacks say of units, labels and numbers counts for later ones, and money follows it (R9, R22, R23)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask

from app.contract.schemas import Contract
from app.storefront import order_store
from app.storefront.order_document import read_document
from tests.gateways.vendors.rally.books import assert_books_hold, given_back
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, money, opened, record
from tests.retailops import codes

pytestmark = pytest.mark.both_databases


@pytest.fixture
def shop(build_app: Callable[..., Flask], contract: Contract) -> Iterator[Shop]:
    with ExitStack() as stack:
        shop = stack.enter_context(opened(build_app, contract))
        shop.offer(TEE=50, MUG=50)
        yield shop


def as_in_2016(line: dict[str, Any], units: int) -> dict[str, Any]:
    """An entry of `unshipped_items` as the caller of 2016 fills it."""
    return {
        "channel_item_refnum": line["channel_item_refnum"], "sku": line["sku"], "unshipped_quantity": units,
        "ordered_quantity": 0, "effective_unit_price": 0, "effective_extended_price": 0,
    }  # fmt: skip


def rows(refund: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(row["type"], money(row["amount"])) for row in refund["refunds"]]


def test_p19_units_that_will_not_ship_and_have_no_price_give_back_what_was_paid_for_them(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 3, MUG: 1})
    refnum = order["channel_order_refnum"]
    [tee] = [line for line in order["order_items"] if line["sku"] == TEE]
    shop.ship(order, 501, TEE=1, MUG=1)
    for _ in range(2):
        answer = shop.complete(refnum, unshipped_items=[as_in_2016(tee, 2)])
        assert (answer["status"], codes(answer)) == ("success", [])
    held = shop.at_rally(refnum)
    [refund] = held["refunds"]
    assert rows(refund) == [("line_item", 40), ("tax", 4)] and held["status"] == "completed"
    assert shop.view("warnings") == []


def test_p19_a_price_above_what_was_paid_pays_what_was_paid_and_says_both_sums(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 1, MUG: 1})
    [tee] = [line for line in order["order_items"] if line["sku"] == TEE]
    dear = {**as_in_2016(tee, 1), "effective_unit_price": 30}
    answer = shop.complete(order["channel_order_refnum"], unshipped_items=[dear])
    [event] = [event for event in answer["events"] if event["code"] == "ABOVE_WHAT_WAS_PAID"]
    assert "30.00" in event["message"] and "22.00" in event["message"] and event["event_type"] == "warning"
    assert money(shop.at_rally(order["channel_order_refnum"])["refunded"]) == 22
    # A unit that RetailOps added was never paid for, whatever is stated for it.
    more = shop.buy_and_pull(skus={TEE: 1})
    refnum, [tee] = more["channel_order_refnum"], more["order_items"]
    shop.update(refnum, {"channel_item_refnum": tee["channel_item_refnum"], "sku": TEE, "quantity": 2})
    answer = shop.complete(refnum, unshipped_items=[{**as_in_2016(tee, 2), "effective_unit_price": 20}])
    [event] = [event for event in answer["events"] if event["code"] == "ABOVE_WHAT_WAS_PAID"]
    assert "40.00" in event["message"] and "22.00" in event["message"]
    assert money(shop.at_rally(refnum)["refunded"]) == 27, "and the shipping"


def test_p10_a_second_completion_closes_and_pays_what_no_earlier_one_named(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2, MUG: 2})
    refnum = order["channel_order_refnum"]
    tee, mug = (next(line for line in order["order_items"] if line["sku"] == sku) for sku in (TEE, MUG))
    first = shop.complete(refnum, unshipped_items=[as_in_2016(tee, 1)])
    assert (first["status"], codes(first)) == ("success", ["UNITS_OPEN"])
    for _ in range(2):
        second = shop.complete(refnum, unshipped_items=[as_in_2016(tee, 2), as_in_2016(mug, 2)])
        assert (second["status"], codes(second)) == ("success", ["COMPLETION_CORRECTED"])
    refunds = shop.at_rally(refnum)["refunds"]
    keys = [f"ro-complete-{refnum}-1", f"ro-complete2-{refnum}-1", f"ro-complete2-shipping-{refnum}-1"]
    assert [refund["external_id"] for refund in refunds] == keys
    assert [money(refund["amount"]) for refund in refunds] == [22, 66, 5], "shipping, for nothing has shipped"
    payment = order["payment_transactions"][0]["refnum"]
    for paid, key in ((22, "ro-complete"), (66, "ro-complete2")):
        answer = shop.credit(paid, payment)
        assert (answer["status"], answer["refnum"]) == ("success", f"{key}-{refnum}-1"), "the same money (R23)"
    assert money(shop.at_rally(refnum)["refunded"]) == 93


def test_p34_lines_of_one_sku_are_shipped_returned_and_closed_in_order(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2}, offer_skus={TEE: 1})
    refnum = order["channel_order_refnum"]
    assert [(line["sku"], line["quantity"]) for line in order["order_items"]] == [(TEE, 2), (TEE, 1)]
    first, second = (line["channel_item_refnum"] for line in order["order_items"])
    box = {"retailops_package_id": 1, "tracking_number": "1Z1", "package_items": [{"sku": TEE, "quantity": 2}]}
    shipment = {"retailops_shipment_id": 501, "packages": [box]}
    assert codes(shop.retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=shipment)) == []
    [parcel] = shop.at_rally(refnum)["snapshot"]["meta"]["fulfillments"]
    assert [(line["external_id"], line["quantity"]) for line in parcel["line_items"]] == [(first, 2)]
    assert codes(shop.complete(refnum, unshipped_items=[{"sku": TEE, "unshipped_quantity": 1}])) == []
    [refund] = shop.at_rally(refnum)["refunds"]
    assert [row["external_id"] for row in refund["refunds"] if row["type"] == "line_item"] == [second]
    items = [{"sku": TEE, "quantity": 3, "subtotal_amt": 30}]
    assert codes(shop.give_back(9, 30, refnum, items=items)) == ["RETURN_EXCEEDS_SHIPPED"]
    returned = shop.at_rally(refnum)["refunds"][1]
    assert money(returned["amount"]) == 30
    told = {row["external_id"]: row["quantity"] for row in returned["refunds"] if row["type"] == "line_item"}
    assert told == {first: 2, second: 1}, "money and units are split over the lines"


def test_p19_units_shipped_by_their_sku_alone_leave_the_money_to_the_lines_that_are_named(shop: Shop) -> None:
    """Nobody but this server said which line they are of: later statements that name one do."""
    order = shop.buy_and_pull(skus={TEE: 1}, offer_skus={TEE: 3})
    refnum, (first, second) = order["channel_order_refnum"], order["order_items"]

    def return_second(number: int) -> dict[str, Any]:
        named = {"channel_item_refnum": second["channel_item_refnum"], "sku": TEE, "quantity": 1, "subtotal_amt": 20}
        return shop.give_back(number, 20, refnum, items=[named])

    box = {"retailops_package_id": 1, "tracking_number": "1Z1", "package_items": [{"sku": TEE, "quantity": 1}]}
    shipment = {"retailops_shipment_id": 501, "packages": [box]}
    assert codes(shop.retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=shipment)) == []
    assert codes(return_second(7)) == []
    done = shop.complete(refnum, unshipped_items=[as_in_2016(first, 1), as_in_2016(second, 2)])
    assert (done["status"], codes(done)) == ("success", [])
    names = first["channel_item_refnum"], second["channel_item_refnum"]
    assert [given_back(shop, refnum)[name] for name in (*names, "tax")] == [20, 60, 2], "the first line bears the tax"
    assert "RETURN_EXCEEDS_SHIPPED" in codes(return_second(8)), "one unit has shipped"
    assert_books_hold(shop, refnum)


def test_p34_an_update_by_sku_alone_takes_off_the_last_line_first(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2}, offer_skus={TEE: 2})
    refnum = order["channel_order_refnum"]
    first, second = (line["channel_item_refnum"] for line in order["order_items"])
    for units, expected in ((3, {first: 2, second: 1}), (1, {first: 1}), (1, {first: 1})):
        answer = shop.update(refnum, {"order_item_id": 5, "sku": TEE, "quantity": units})
        assert codes(answer, "error") == []
        held = shop.at_rally(refnum)["snapshot"]["line_items"]
        assert {line["external_id"]: line["quantity"] for line in held} == expected
        assert sum(line["quantity"] for line in answer["line_items"]) == units
    # An entry without units leaves open what is meant by the others of its SKU.
    unsaid = shop.update(refnum, {"order_item_id": 5, "sku": TEE}, {"order_item_id": 6, "sku": TEE, "quantity": 4})
    assert codes(unsaid) == ["LINE_NOT_CHANGED"]
    assert [line["quantity"] for line in shop.at_rally(refnum)["snapshot"]["line_items"]] == [1]
    # What was said of another statement is no answer to one that changes nothing.
    stranger = {"order_item_id": 7, "sku": "NOBODYS", "quantity": 1}
    assert "SKU_UNKNOWN" in codes(shop.update(refnum, {"order_item_id": 5, "sku": TEE, "quantity": 2}, stranger))
    assert codes(shop.update(refnum, {"order_item_id": 5, "sku": TEE, "quantity": 2})) == []
    # A line number of more than 64 bits cannot be answered: the change is made, and its line left out.
    beyond = shop.update(refnum, {"order_item_id": 2**64, "channel_item_refnum": first, "sku": TEE, "quantity": 2})
    assert codes(beyond, "error") == [] and beyond["line_items"] == []
    assert [line["quantity"] for line in shop.at_rally(refnum)["snapshot"]["line_items"]] == [2]


def test_p19_units_taken_off_by_mistake_and_stated_again_are_not_given_back(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2, MUG: 1})
    refnum = order["channel_order_refnum"]
    tee, mug = (
        {"order_item_id": at, "channel_item_refnum": line["channel_item_refnum"], "sku": line["sku"], "quantity": 1}
        for at, line in enumerate(order["order_items"])
    )
    shop.update(refnum, tee, mug)
    shop.ship(order, 501, TEE=1)
    assert codes(shop.update(refnum, {**mug, "removed": True})) == ["LINE_NOT_CHANGED"]
    assert codes(shop.update(refnum, tee, mug), "error") == []
    assert codes(shop.complete(refnum)) == ["UNITS_UNACCOUNTED"], "the mug is to ship again"
    shop.ship(order, 502, MUG=1)
    assert shop.complete(refnum)["status"] == "success"
    assert [row["external_id"] for refund in shop.at_rally(refnum)["refunds"] for row in refund["refunds"]
            if row["external_id"] == mug["channel_item_refnum"]] == []  # fmt: skip


def test_p34_units_taken_off_after_shipping_began_go_back_with_the_completion(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2, MUG: 1})
    refnum = order["channel_order_refnum"]
    tee, mug = (next(line for line in order["order_items"] if line["sku"] == sku) for sku in (TEE, MUG))
    shop.ship(order, 501, TEE=2)
    gone = {"order_item_id": 2, "channel_item_refnum": mug["channel_item_refnum"], "sku": MUG, "removed": "true"}
    answer = shop.update(refnum, gone)
    assert codes(answer) == codes(answer, "warning") == ["LINE_NOT_CHANGED"]
    dearer = {"order_item_id": 1, "channel_item_refnum": tee["channel_item_refnum"], "sku": TEE, "quantity": 3}
    assert codes(shop.update(refnum, dearer), "error") == ["ALREADY_SHIPPED"]
    done = shop.complete(refnum)
    assert (done["status"], codes(done)) == ("success", [])
    [refund] = shop.at_rally(refnum)["refunds"]
    assert rows(refund) == [("line_item", 20), ("tax", 2)] and shop.at_rally(refnum)["status"] == "completed"


def test_p11_a_mended_carrier_and_a_new_label_reach_rally_and_say_so(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2})
    refnum = order["channel_order_refnum"]
    shop.ship(order, 501, TEE=2)
    item = {"sku": TEE, "channel_item_refnum": order["order_items"][0]["channel_item_refnum"], "quantity": 2}

    def submit(shipment: int, **label: Any) -> dict[str, Any]:
        box = {"retailops_package_id": 1, "carrier_name": "UPS", "carrier_class_name": "Ground",
               "tracking_number": f"1Z{shipment}", "date_shipped": "2026-02-03T15:00:00Z", "package_items": [item],
               **label}  # fmt: skip
        body = {"retailops_shipment_id": shipment, "packages": [box]}
        return shop.retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=body)

    assert codes(submit(501)) == []
    assert codes(submit(501, carrier_name="DHL"), "info") == ["SHIPMENT_CORRECTED"]
    # Rally has no place for a weight: of a label mended in both each has its result, and neither is told as the other.
    assert codes(submit(501, carrier_name="DHL", weight_kg=2)) == ["CANNOT_CORRECT"]
    both = submit(501, carrier_name="GLS", weight_kg=3)
    assert codes(both, "info") == ["SHIPMENT_CORRECTED"] and codes(both, "warning") == ["CANNOT_CORRECT"]
    assert submit(501, carrier_name="GLS", weight_kg=3) == both
    assert [item["carrier"] for item in shop.at_rally(refnum)["snapshot"]["meta"]["fulfillments"]] == ["GLS"]
    # What cannot be read says nothing: Rally keeps what it was sent before.
    unread = {"carrier_name": ["UPS"], "carrier_class_name": {}, "date_shipped": "soon"}
    assert codes(submit(501, weight_kg=3, **unread), "warning") == ["FIELD_IGNORED"] * 3
    [parcel] = shop.at_rally(refnum)["snapshot"]["meta"]["fulfillments"]
    assert (parcel["carrier"], parcel["service"], parcel["shipped_at"]) == ("GLS", "Ground", "2026-02-03T15:00:00Z")
    assert codes(submit(502, carrier_name="FedEx"), "warning") == ["LABEL_REPLACED"]
    [parcel] = shop.at_rally(refnum)["snapshot"]["meta"]["fulfillments"]
    assert (parcel["external_id"], parcel["carrier"], parcel["tracking_number"]) == ("ro-ship-501-1", "FedEx", "1Z502")


def test_p34_a_cancellation_by_the_acknowledged_number_alone_gives_everything_back(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2, MUG: 1})
    assert shop.credit(20, order["payment_transactions"][0]["refnum"])["status"] == "success"
    answer = shop.retailops.ask("order_cancel", order={"retailops_order_id": 70})
    assert (answer["status"], codes(answer)) == ("success", [])
    held = shop.at_rally(order["channel_order_refnum"])
    assert money(held["refunded"]) == money(held["charged"])
    units = [[row["quantity"] for row in refund["refunds"]] for refund in held["refunds"]]
    assert [rows(refund) for refund in held["refunds"]] == [
        [("line_item", 20)],
        [("line_item", 20), ("line_item", 20), ("tax", 6), ("shipping_rate", 5)],
    ]
    assert units == [[1], [1, 1, 1, 1]], "no unit of a line goes back twice"
    [cancelled] = shop.ledger(callback="order_cancel")
    assert sum(row.amount for row in cancelled.rows) == cancelled.amount == 51, "what it is for is worked out here"
    assert shop.retailops.ask("order_cancel", order={"retailops_order_id": 71})["status"] == "fail"


def test_r9_what_rally_refused_is_sent_again_by_a_repeat_though_its_money_went_back(shop: Shop) -> None:
    """The refund binds the key, and the refusal was the whole answer: the order would never be completed."""
    order = shop.buy_and_pull(skus={TEE: 2, MUG: 1})
    refnum, (tee, mug) = order["channel_order_refnum"], order["order_items"]
    unshipped = {**as_in_2016(mug, 1), "effective_unit_price": 22}
    shop.ship(order, 501, TEE=2)
    shop.fault("status", code=422, path="webhooks/order-status", times=2)
    for _ in range(2):
        refused = shop.complete(refnum, unshipped_items=[unshipped])
        assert (refused["status"], codes(refused)) == ("fail", ["HTTP_422"])
    assert codes(shop.update(refnum, {"channel_item_refnum": tee["channel_item_refnum"], "quantity": 3})) == [
        "ALREADY_SHIPPED"
    ], "the order is open"
    for _ in range(2):
        done = shop.complete(refnum, unshipped_items=[unshipped])
        assert (done["status"], codes(done)) == ("success", [])
    assert (shop.at_rally(refnum)["status"], money(shop.at_rally(refnum)["refunded"])) == ("completed", 22)

    [refnum] = [shop.buy_and_pull(skus={TEE: 2})["channel_order_refnum"]]
    shop.fault("status", code=422, path="webhooks/order-status")
    assert [shop.retailops.cancel(refnum)["status"] for _ in range(3)] == ["fail", "success", "success"]
    assert money(shop.at_rally(refnum)["refunded"]) == money(shop.at_rally(refnum)["charged"])


@pytest.mark.parametrize(("credited", "refunded"), [(5, 39), (39, 39)], ids=["shipping", "units-and-shipping"])
def test_p19_shipping_that_a_credit_paid_is_not_paid_by_a_repeated_completion(
    shop: Shop, credited: int, refunded: int
) -> None:
    order = shop.buy_and_pull(skus={TEE: 2})
    refnum, [tee] = order["channel_order_refnum"], order["order_items"]
    assert shop.credit(credited, order["payment_transactions"][0]["refnum"])["status"] == "success"
    cheap = {**as_in_2016(tee, 2), "effective_unit_price": 15}
    shop.fault("status", code=422, path="webhooks/order-status", times=2)
    for expected in ("fail", "fail", "success", "success"):
        assert shop.complete(refnum, unshipped_items=[cheap])["status"] == expected
        assert money(shop.at_rally(refnum)["refunded"]) == refunded, "less than was paid is stated"


def kept_order(shop: Shop, refnum: str) -> tuple[str, list[str]]:
    """State and parcels of an order as it is kept here."""
    with shop.database.read() as connection:
        kept = order_store.get(connection, shop.gateway.shop.channel, refnum)
    assert kept is not None
    return kept.state, [parcel.key for parcel in read_document(kept.body).fulfillments]


def test_p11_an_order_that_rally_refused_to_close_is_called_paid_again(shop: Shop) -> None:
    """What ships after all sends the order's status, and that says how long the order is kept, too (R28)."""

    def standing(refnum: str) -> tuple[str, str]:
        return kept_order(shop, refnum)[0], shop.at_rally(refnum)["status"]

    def ship(number: int, units: int) -> tuple[str, str]:
        assert codes(shop.ship(order, number, TEE=units)) == []
        return standing(refnum)

    order = shop.buy_and_pull(skus={TEE: 2})
    refnum = order["channel_order_refnum"]
    shop.fault("status", code=422, path="webhooks/order-status")
    assert shop.retailops.cancel(refnum)["status"] == "fail" and standing(refnum) == ("paid", "paid")
    assert (ship(501, 1), ship(502, 1)) == (("paid", "paid"), ("completed", "completed"))

    order = shop.buy_and_pull(skus={TEE: 3})
    refnum, [tee] = order["channel_order_refnum"], order["order_items"]
    assert ship(511, 1) == ("paid", "paid")
    for units, state in ((2, "paid"), (1, "paid"), (0, "completed")):
        shop.fault("status", code=422, path="webhooks/order-status")
        assert shop.complete(refnum, unshipped_items=[as_in_2016(tee, units)])["status"] == "fail"
        assert standing(refnum) == (state, state)
        if units:
            ship(514 - units, 1)


def test_p11_a_package_that_rally_refused_stands_on_no_order_and_completes_none(shop: Shop) -> None:
    """Rally would be sent parcels that never left, and an open order would be kept as long as one that is over."""

    def refuse(order: dict[str, Any], shipment: int, **units: int) -> None:
        shop.fault("status", code=422, path="webhooks/order-status")
        assert codes(shop.ship(order, shipment, **units)) == ["HTTP_422"]

    order = shop.buy_and_pull(skus={TEE: 1, MUG: 1})
    refnum = order["channel_order_refnum"]
    refuse(order, 501, TEE=1, MUG=1)
    assert kept_order(shop, refnum) == ("paid", [])
    assert codes(shop.ship(order, 502, TEE=1)) == []
    held = shop.at_rally(refnum)
    parcels = [parcel["external_id"] for parcel in held["snapshot"]["meta"]["fulfillments"]]
    assert (held["status"], parcels) == ("paid", ["ro-ship-502-1"])
    assert codes(shop.ship(order, 503, MUG=1)) == [] and shop.at_rally(refnum)["status"] == "completed"

    # The last of two packages is accepted, and the first, which is refused, leaves the order open.
    order = shop.buy_and_pull(skus={TEE: 1, MUG: 1})
    refnum = order["channel_order_refnum"]
    boxes = [
        {"retailops_package_id": at, "tracking_number": f"1Z{at}", "package_items": [{"sku": sku, "quantity": 1}]}
        for at, sku in enumerate((TEE, MUG), 1)
    ]
    shop.fault("status", code=422, path="webhooks/order-status")
    shipment = {"retailops_shipment_id": 511, "packages": boxes}
    answer = shop.retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=shipment)
    assert codes(answer) == ["HTTP_422"] and kept_order(shop, refnum) == ("paid", ["511-2"])

    order = shop.buy_and_pull(skus={TEE: 1, MUG: 1})
    refnum, [tee] = order["channel_order_refnum"], [line for line in order["order_items"] if line["sku"] == TEE]
    assert codes(shop.complete(refnum, unshipped_items=[as_in_2016(tee, 1)])) == ["UNITS_OPEN"]
    refuse(order, 521, MUG=1)
    assert kept_order(shop, refnum) == ("completed", []), "RetailOps completed it"

    shop.push([record(300, "EBOOK", "9.00", RequiresShipping=False)])
    shop.set_stock(EBOOK=5)
    shop.settle()
    order = shop.buy_and_pull(skus={TEE: 1, "EBOOK": 1})
    assert codes(shop.ship(order, 531, TEE=1)) == []
    refuse(order, 532, EBOOK=1)
    assert kept_order(shop, order["channel_order_refnum"]) == ("completed", ["531-1"]), "nothing waits for shipping"


def test_p11_a_last_package_completes_an_order_at_rally_only_with_all_packages_before_it(shop: Shop) -> None:
    """Both are stated by one request, and the first is refused: its units are open, so that Rally is told `paid`."""

    def ship(refnum: str, shipment: int) -> list[str]:
        boxes = [
            {"retailops_package_id": at, "tracking_number": f"1Z{at}", "package_items": [{"sku": sku, "quantity": 1}]}
            for at, sku in enumerate((TEE, MUG), 1)
        ]
        body = {"retailops_shipment_id": shipment, "packages": boxes}
        return codes(shop.retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=body))

    refnum = shop.buy_and_pull(skus={TEE: 1, MUG: 1})["channel_order_refnum"]
    shop.forget()
    shop.fault("status", code=422, path="webhooks/order-status")
    assert ship(refnum, 501) == ["HTTP_422"]
    statuses = [call["body"]["status"] for call in shop.told("order-status-update")]
    assert (statuses, shop.at_rally(refnum)["status"]) == (["paid"], "paid")
    assert ship(refnum, 501) == [] and shop.at_rally(refnum)["status"] == "completed", "the refused one by a repeat"

    refnum = shop.buy_and_pull(skus={TEE: 1, MUG: 1})["channel_order_refnum"]
    shop.fault("status", code=422, path="webhooks/order-status")
    shop.fault("status", code=500, path="webhooks/order-status", times=2)
    assert ship(refnum, 511) == ["HTTP_422", "OWED"]
    shop.settle()
    assert (kept_order(shop, refnum), shop.at_rally(refnum)["status"]) == (("paid", ["511-2"]), "paid")


def test_r9_an_update_or_a_label_that_rally_refused_is_sent_again_and_answers_no_other(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 3})
    refnum, [line] = order["channel_order_refnum"], order["order_items"]

    def update(units: int) -> list[str]:
        named = {"order_item_id": 1, "channel_item_refnum": line["channel_item_refnum"], "quantity": units}
        return codes(shop.update(refnum, named), "error")

    assert update(2) == []
    shop.fault("status", code=422, path="webhooks/order-update", times=2)
    assert [update(1) for _ in range(3)] == [["HTTP_422"], ["HTTP_422"], []], "a repeat is sent again"
    shop.fault("status", code=422, path="webhooks/order-update")
    assert [update(3), update(1), update(1), update(2)] == [["HTTP_422"], [], [], []], "one unit is what stands"
    assert [row["quantity"] for row in shop.at_rally(refnum)["snapshot"]["line_items"]] == [2]

    def ship(number: str) -> list[str]:
        item = {"sku": TEE, "channel_item_refnum": line["channel_item_refnum"], "quantity": 2}
        box = {"retailops_package_id": 1, "tracking_number": number, "package_items": [item]}
        body = {"retailops_shipment_id": 501, "packages": [box]}
        return codes(shop.retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=body))

    assert ship("1Z1") == []
    shop.fault("status", code=422, path="webhooks/order-update", times=2)
    assert [ship("1Z2") for _ in range(3)] == [["HTTP_422"], ["HTTP_422"], ["SHIPMENT_CORRECTED"]]
    [parcel] = shop.at_rally(refnum)["snapshot"]["meta"]["fulfillments"]
    assert parcel["tracking_number"] == "1Z2"
