"""Commands of RetailOps at Rally: money once, statuses in order, the order as Rally sees it the same as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import update

from app.channel import source_cancellations
from app.contract.schemas import Contract
from app.deadline import Deadline
from app.gateways.calls import Call
from app.records.tables.deliveries import deliveries
from app.sandbox.vendors.rally import ORGANIZATION_ID, SECOND_API_KEY, SECOND_ORGANIZATION_ID
from app.storefront import order_source
from tests.gateways.vendors.rally.books import assert_books_hold
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, channel_text, money, opened, record
from tests.retailops import Caller, codes
from tests.waiting import eventually

OPEN = Callable[..., Shop]


@pytest.fixture
def open_shop(build_app: Callable[..., Flask], contract: Contract) -> Iterator[OPEN]:
    with ExitStack() as stack:

        def start(*, goods: dict[str, int] | None = None, **how: Any) -> Shop:
            shop = stack.enter_context(opened(build_app, contract, **how))
            shop.offer(**(goods or {TEE: 50, MUG: 50}))
            shop.forget()
            return shop

        yield start


@pytest.fixture
def shop(open_shop: OPEN) -> Shop:
    return open_shop()


def statuses(shop: Shop, refnum: str) -> list[str]:
    return [item["status"] for item in shop.at_rally(refnum)["statuses"]]


def units(order: dict[str, Any]) -> dict[str, int]:
    return {line["sku"]: line["quantity"] for line in order["order_items"]}


@pytest.mark.both_databases
def test_an_order_goes_from_cart_to_completion_and_rally_sees_it_as_we_do(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2, MUG: 1})
    refnum = order["channel_order_refnum"]
    assert (order["ship_service_code"], order["currency_values"]["shipping_amt"]) == ("GROUND", 5)
    assert [payment["amount"] for payment in order["payment_transactions"]] == [71]
    assert shop.told("order-status-update") == [], "the acknowledgement needs no call"
    assert codes(shop.ship(order, 501, TEE=1)) == []
    assert codes(shop.ship(order, 502, TEE=1, MUG=1)) == []
    assert codes(shop.ship(order, 502, TEE=1, MUG=1)) == []
    done = shop.complete(refnum, shipments=[])
    assert (done["status"], codes(done)) == ("success", [])
    assert statuses(shop, refnum) == ["pending", "paid", "paid", "completed", "completed"]
    parcels = shop.at_rally(refnum)["snapshot"]["meta"]["fulfillments"]
    assert [(item["external_id"], item["tracking_number"], len(item["line_items"])) for item in parcels] == [
        ("ro-ship-501-1", "1Z501", 1),
        ("ro-ship-502-1", "1Z502", 2),
    ]
    assert shop.view("warnings") == []
    assert shop.step("order/fetch", order=refnum)["answer"]["status"] == "completed"


def test_mended_tracking_replaces_the_old_one_at_rally(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 1})
    shop.ship(order, 501, TEE=1)
    items = [{"sku": TEE, "channel_item_refnum": order["order_items"][0]["channel_item_refnum"], "quantity": 1}]
    package = {"retailops_package_id": 1, "tracking_number": "1ZNEW", "package_items": items}
    shipment = {"retailops_shipment_id": 501, "packages": [package]}
    refnum = order["channel_order_refnum"]
    answer = shop.retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=shipment)
    assert codes(answer, "error") == []
    [parcel] = shop.at_rally(refnum)["snapshot"]["meta"]["fulfillments"]
    assert parcel["tracking_number"] == "1ZNEW" and shop.at_rally(refnum)["status"] == "completed"


@pytest.mark.both_databases
def test_a_cancelled_order_gets_everything_back_then_the_status_and_its_stock_is_for_sale_again(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2, MUG: 1})
    refnum = order["channel_order_refnum"]
    shop.settle()
    assert {row["sku"]: row["value"] for row in shop.view("stock")} == {TEE: 48, MUG: 49}
    answer = shop.retailops.cancel(refnum)
    assert (answer["status"], codes(answer)) == ("success", [])
    held = shop.at_rally(refnum)
    [refund] = held["refunds"]
    assert (refund["external_id"], money(refund["amount"])) == (f"ro-cancel-{refnum}-1", 71)
    rows = sorted((row["type"], row["quantity"], money(row["amount"])) for row in refund["refunds"])
    assert rows == [("line_item", 1, 20), ("line_item", 2, 40), ("shipping_rate", 1, 5), ("tax", 1, 6)]
    assert statuses(shop, refnum)[-1] == "refunded"
    paths = [call["path"] for call in shop.told("") if "order" in call["path"]]
    assert paths == ["webhooks/order-refund-create", "webhooks/order-status-update"]
    assert shop.retailops.cancel(refnum) == answer and len(shop.at_rally(refnum)["refunds"]) == 1
    shop.settle()
    assert {row["sku"]: row["value"] for row in shop.view("stock")} == {TEE: 50, MUG: 50}
    assert codes(shop.ship(order, 501, TEE=1), "error") == ["ORDER_CANCELLED"]
    assert shop.view("warnings") == [] and refnum not in [
        item["channel_order_refnum"] for item in shop.retailops.pull()
    ]


def test_r21_a_shipped_order_is_not_cancelled(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2})
    shop.ship(order, 501, TEE=1)
    answer = shop.retailops.cancel(order["channel_order_refnum"])
    assert (answer["status"], codes(answer)) == ("fail", ["ALREADY_SHIPPED"])
    assert shop.view("refunds") == [] and statuses(shop, order["channel_order_refnum"])[-1] == "paid"


def test_r22_completion_registers_what_is_missing_and_refunds_only_what_is_named(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2, MUG: 2})
    refnum = order["channel_order_refnum"]
    lines = {line["sku"]: line["channel_item_refnum"] for line in order["order_items"]}
    items = [{"sku": TEE, "channel_item_refnum": lines[TEE], "quantity": 2},
             {"sku": MUG, "channel_item_refnum": lines[MUG], "quantity": 1}]  # fmt: skip
    package = {"retailops_package_id": 1, "tracking_number": "1Z9", "package_items": items}
    unshipped = {"sku": MUG, "channel_item_refnum": lines[MUG], "ordered_quantity": 2, "unshipped_quantity": 1,
                 "effective_unit_price": 20, "effective_extended_price": 20}  # fmt: skip
    answer = shop.complete(
        refnum, shipments=[{"retailops_shipment_id": 501, "packages": [package]}], unshipped_items=[unshipped]
    )
    assert (answer["status"], codes(answer)) == ("success", [])
    held = shop.at_rally(refnum)
    [refund] = held["refunds"]
    assert (refund["external_id"], money(refund["amount"])) == (f"ro-complete-{refnum}-1", 22)
    goods, tax = refund["refunds"]
    assert (goods["external_id"], goods["quantity"], goods["type"]) == (lines[MUG], 1, "line_item")
    assert (tax["type"], tax["quantity"], money(tax["amount"])) == ("tax", 1, 2)
    assert held["snapshot"]["meta"]["fulfillments"][0]["tracking_number"] == "1Z9"
    assert (held["status"], shop.view("warnings")) == ("completed", [])


def test_r23_a_credit_for_what_a_completion_gave_back_pays_nothing_again(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 1, MUG: 1})
    refnum, [payment] = order["channel_order_refnum"], order["payment_transactions"]
    lines = {line["sku"]: line["channel_item_refnum"] for line in order["order_items"]}
    shop.ship(order, 501, TEE=1)
    unshipped = {"sku": MUG, "channel_item_refnum": lines[MUG], "unshipped_quantity": 1, "effective_unit_price": 20}
    assert shop.complete(refnum, unshipped_items=[unshipped])["status"] == "success"
    answer = shop.credit(22, payment["refnum"])
    assert (answer["status"], answer["amount"], answer["refnum"]) == ("success", 22, f"ro-complete-{refnum}-1")
    assert money(shop.at_rally(refnum)["refunded"]) == 22
    assert shop.credit(5, payment["refnum"])["status"] == "success", "other money is another credit"


@pytest.mark.parametrize(
    ("units", "price", "told"),
    [
        (1, "20", ["20", "2"]),
        (3, "20", ["60", "6", "5"]),
        (1, "22", ["22"]),
        (1, "21.5", ["21.5", "0.5"]),
        (2, "15", ["30", "4"]),
        (1, "25", ["22"]),
        (1, "0", ["20", "2"]),
        (3, "0", ["60", "6", "5"]),
    ],
)
def test_r22_the_tax_of_units_that_never_ship_goes_back_unless_their_price_includes_it(
    shop: Shop, units: int, price: str, told: list[str]
) -> None:
    refnum = shop.buy_and_pull(skus={TEE: 3})["channel_order_refnum"]
    shop.complete(refnum, unshipped_items=[unshipped(units, price)])
    rows = [row for refund in shop.at_rally(refnum)["refunds"] for row in refund["refunds"]]
    assert [money(row["amount"]) for row in rows] == [money(amount) for amount in told], "shipping where nothing ships"
    assert_books_hold(shop, refnum)
    assert shop.view("warnings") == []


def test_r22_an_order_changed_in_retailops_gives_back_units_taken_off_too(shop: Shop) -> None:
    refnum = shop.buy_and_pull(skus={TEE: 3})["channel_order_refnum"]
    shop.update(refnum, {"order_item_id": 1, "channel_item_refnum": "li-1", "sku": TEE, "quantity": 2})
    shop.complete(refnum, unshipped_items=[unshipped(2, "20")])
    amounts = [money(refund["amount"]) for refund in shop.at_rally(refnum)["refunds"]]
    assert amounts == [22, 44, 5], "what was taken off, what will not ship, and shipping, for nothing ships"
    assert_books_hold(shop, refnum)


@pytest.mark.parametrize("credited", [22, 20])
def test_r23_a_credit_with_or_without_the_tax_before_a_completion_is_the_same_money(shop: Shop, credited: int) -> None:
    order = shop.buy_and_pull(skus={TEE: 3})
    refnum = order["channel_order_refnum"]
    shop.credit(credited, order["payment_transactions"][0]["refnum"])
    answer = shop.complete(refnum, unshipped_items=[unshipped(1, "20")])
    assert "ALREADY_CREDITED" in codes(answer) and money(shop.at_rally(refnum)["refunded"]) == credited


def unshipped(units: int, price: str) -> dict[str, Any]:
    return {"sku": TEE, "channel_item_refnum": "li-1", "unshipped_quantity": units, "effective_unit_price": price}


def rows_of(refund: dict[str, Any]) -> list[tuple[str, int, Any]]:
    return [(row["external_id"].partition("-ro-")[0], row["quantity"], money(row["amount"]))
            for row in refund["refunds"]]  # fmt: skip


def test_a_rest_of_a_return_adds_no_unit(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 1, MUG: 1})
    refnum = order["channel_order_refnum"]
    shop.ship(order, 501, TEE=1, MUG=1)
    tee = {"channel_item_refnum": "li-1", "sku": TEE, "quantity": 1, "subtotal_amt": 19.5}
    shop.give_back(7, 22, refnum, items=[tee], tax_amt=2)
    mug = {"channel_item_refnum": "li-2", "sku": MUG, "quantity": 1, "subtotal_amt": 20}
    shop.give_back(8, 22.01, refnum, items=[mug], tax_amt=2)
    first, second = shop.at_rally(refnum)["refunds"]
    assert rows_of(first) == [("li-1", 1, 20), ("tax", 1, 2)]
    assert rows_of(second) == [("li-2", 1, 20), ("tax", 1, 2), ("shipping", 1, money("0.01"))]


@pytest.mark.parametrize(("ordered", "returned"), [(2, 2), (3, 2), (3, 3)])
def test_a_refund_over_two_payments_names_each_unit_once(shop: Shop, ordered: int, returned: int) -> None:
    order = shop.buy_and_pull(skus={TEE: ordered}, offer_skus={MUG: 1}, offer_shipping={"total": 5, "subtotal": 5})
    refnum = order["channel_order_refnum"]
    shop.ship(order, 501, TEE=ordered)
    tees = {"channel_item_refnum": "li-1", "sku": TEE, "quantity": returned, "subtotal_amt": 20 * returned}
    shop.give_back(7, 22 * returned, refnum, items=[tees], tax_amt=2 * returned)
    shop.settle()
    refunds = shop.at_rally(refnum)["refunds"]
    told = [row for refund in refunds for row in rows_of(refund)]
    assert len(refunds) == 2 and sum(units for name, units, _ in told if name == "li-1") == returned
    assert sum(amount for name, _, amount in told if name == "li-1") == 20 * returned


def test_tax_and_shipping_a_return_states_by_item_stand_in_rows_of_their_own(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2})
    refnum = order["channel_order_refnum"]
    shop.ship(order, 501, TEE=2)
    item = {"channel_item_refnum": "li-1", "sku": TEE, "quantity": 1, "subtotal_amt": 20, "tax_amt": 1.5,
            "item_shipping_tax_amt": 0.5, "shipping_amt": 3}  # fmt: skip
    shop.give_back(7, 25, refnum, items=[item])
    [refund] = shop.at_rally(refnum)["refunds"]
    assert rows_of(refund) == [("li-1", 1, 20), ("tax", 1, 2), ("shipping", 1, 3)]


def test_a_return_is_refunded_by_line_tax_and_shipping_and_what_is_wholly_refunded_says_so(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2})
    refnum, [line] = order["channel_order_refnum"], order["order_items"]
    shop.ship(order, 501, TEE=2)
    item = {"channel_item_refnum": line["channel_item_refnum"], "sku": TEE, "quantity": 1, "subtotal_amt": 20,
            "restock_fee_amt": 2, "reason": "CustomerReturn"}  # fmt: skip
    answer = shop.give_back(7, 20, refnum, items=[item], tax_amt=2)
    assert codes(answer) == []
    [transaction] = answer["payment_transactions"]
    assert (transaction["amount"], transaction["refnum"], transaction["payment_type"]) == (20, "ro-return-7", "visa")
    [refund] = shop.at_rally(refnum)["refunds"]
    rows = [(row["external_id"], row["type"], row["quantity"], money(row["amount"])) for row in refund["refunds"]]
    assert rows == [(line["channel_item_refnum"], "line_item", 1, 18), ("tax-ro-return-7", "tax", 1, 2)]
    assert shop.at_rally(refnum)["status"] == "completed", "something remains"
    assert codes(shop.give_back(8, 29, refnum)) == []
    shop.settle()
    assert (shop.at_rally(refnum)["status"], money(shop.at_rally(refnum)["refunded"])) == ("refunded", 49)
    assert shop.give_back(7, 20, refnum, items=[item], tax_amt=2) == answer
    assert shop.view("warnings") == [] and shop.deliveries("owed", "checking", "parked") == []


def test_gives_no_store_credit_the_money_goes_back_to_the_payment(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 1})
    answer = shop.give_back(7, 10, order["channel_order_refnum"], refund_action="storecredit")
    assert codes(answer) == ["NO_STORE_CREDIT"] and answer["return"]["channel_store_credit_amount"] == 0
    assert len(answer["payment_transactions"]) == 1


def test_a_credit_is_paid_within_what_is_left_and_says_so(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 1})
    [payment] = order["payment_transactions"]
    first = shop.credit(10, payment["refnum"])
    assert (first["status"], first["amount"], first["payment_type"]) == ("success", 10, "visa")
    assert shop.credit(10, payment["refnum"])["message"] == f"same as {first['refnum']}, nothing paid again"
    assert shop.credit(18, payment["refnum"])["status"] == "decline"
    assert money(shop.at_rally(order["channel_order_refnum"])["refunded"]) == 10
    assert shop.view("warnings") == []


@pytest.mark.parametrize("fault", ["reset_after", "reset_before", "status", "half_body", "html"])
def test_r11_a_refund_of_unknown_outcome_is_parked_and_never_repeated(shop: Shop, fault: str) -> None:
    order = shop.buy_and_pull(skus={TEE: 1})
    refnum = order["channel_order_refnum"]
    shop.fault(fault, path="webhooks/order-refund-create")
    answer = shop.give_back(7, 10, refnum)
    assert codes(answer) == ["REFUND_OWED"] and answer["payment_transactions"] == []
    shop.settle()
    assert shop.deliveries("parked") == ["return_order"]
    assert len(shop.told("order-refund-create")) <= 1
    assert codes(shop.give_back(7, 10, refnum)) == ["REFUND_OWED"]


def test_r11_a_merchant_who_knows_rally_ignores_repeats_may_have_them_sent_again(open_shop: OPEN) -> None:
    shop = open_shop(rally='refund_repeat = "same_id"')
    order = shop.buy_and_pull(skus={TEE: 1})
    refnum = order["channel_order_refnum"]
    shop.fault("reset_after", path="webhooks/order-refund-create")
    assert codes(shop.give_back(7, 10, refnum)) == ["REFUND_OWED"]
    shop.settle()
    assert len(shop.at_rally(refnum)["refunds"]) == 1 and len(shop.told("order-refund-create")) == 2
    assert len(shop.give_back(7, 10, refnum)["payment_transactions"]) == 1


def test_p9_a_refund_rally_said_yes_to_is_not_sent_again_even_when_an_operator_retries_it(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 1})
    refnum = order["channel_order_refnum"]
    shop.give_back(7, 10, refnum)
    with shop.database.write() as connection:  # as a crash between Rally's yes and our own record would leave it
        body = b'{"order_refnum":"%s","key":"ro-return-7","payment_refnum":"x","amount":"10","currency_code":"USD"}'
        connection.execute(
            update(deliveries)
            .where(deliveries.c.verb == "return_order")
            .values(state="owed", body=body % refnum.encode(), is_possibly_done=False)
        )
    shop.settle()
    assert len(shop.told("order-refund-create")) == 1


def test_r10_while_rally_is_down_commands_are_owed_and_arrive_in_order(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2})
    refnum = order["channel_order_refnum"]
    shop.fault("status", code=429, times=None)
    assert codes(shop.ship(order, 501, TEE=1), "warning") == ["OWED"]
    assert codes(shop.ship(order, 502, TEE=1), "warning") == ["QUEUED"]
    done = shop.complete(refnum)
    assert (done["status"], codes(done)) == ("success", ["QUEUED"])
    shop.rally.faults.clear()
    shop.settle()
    assert statuses(shop, refnum) == ["pending", "paid", "paid", "completed", "completed"]
    assert len(shop.at_rally(refnum)["snapshot"]["meta"]["fulfillments"]) == 2


def test_a_cancellation_while_rally_is_down_counts_at_once_and_is_told_later(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2})
    refnum = order["channel_order_refnum"]
    shop.fault("refuse", times=None)
    shop.fault("status", code=429, times=None)
    answer = shop.retailops.cancel(refnum)
    assert answer["status"] == "success" and "REFUND_OWED" in codes(answer, "warning")
    assert codes(shop.ship(order, 501, TEE=1), "error") == ["ORDER_CANCELLED"]


@pytest.mark.both_databases
def test_what_the_merchant_refunded_at_rally_itself_is_called_off_and_not_paid_twice(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 1})
    refnum = order["channel_order_refnum"]
    assert shop.step("order/update", order=refnum, status="refunded")["outcome"] == "good"
    [again] = shop.retailops.pull()
    assert (again["channel_order_refnum"], again["cancel"]) == (refnum, True)
    answer = shop.retailops.cancel(refnum)
    assert (answer["status"], codes(answer)) == ("success", ["REFUNDED_AT_RALLY"])
    assert money(shop.at_rally(refnum)["refunded"]) == money(shop.at_rally(refnum)["charged"])
    shop.retailops.acknowledge(refnum)
    assert shop.retailops.pull() == []


def test_r18_an_order_that_was_pulled_by_its_number_alone_is_sent_as_cancelled_too(shop: Shop) -> None:
    refnum = shop.buy(skus={TEE: 1})
    assert len(shop.retailops.pull(specific_orders=[{"channel_refnum": refnum}])) == 1
    assert shop.step("order/update", order=refnum, status="refunded")["outcome"] == "good"
    [again] = shop.retailops.pull()
    assert (again["channel_order_refnum"], again["cancel"]) == (refnum, True)


def test_r18_more_cancellations_than_are_noted_at_once_are_noted_by_the_next_pull(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    refnums = [shop.buy(skus={TEE: 1}) for _ in range(3)]
    shop.retailops.pull()
    shop.retailops.acknowledge(*refnums)
    for refnum in refnums:
        assert shop.step("order/update", order=refnum, status="refunded")["outcome"] == "good"
    monkeypatch.setattr(source_cancellations, "MOST_NOTED", 2)
    monkeypatch.setattr(order_source, "OVERLAP", timedelta(0))
    assert len(shop.retailops.pull()) == 2
    assert sorted(order["channel_order_refnum"] for order in shop.retailops.pull()) == sorted(refnums)


def test_p17_an_order_is_handed_out_from_paid_until_acknowledged(shop: Shop) -> None:
    held = shop.buy(skus={TEE: 1}, is_paid=False)
    assert shop.retailops.pull() == []
    assert shop.retailops.pull(specific_orders=[{"channel_refnum": held}]) == []
    doubted = shop.buy(skus={TEE: 1}, is_held=True)
    assert shop.retailops.pull() == []
    assert shop.step("order/update", order=held, status="paid")["outcome"] == "good"
    assert [order["channel_order_refnum"] for order in shop.retailops.pull()] == [held]
    shop.step("order/update", order=doubted, status="paid", is_held=False)
    assert {order["channel_order_refnum"] for order in shop.retailops.pull()} == {held, doubted}
    assert codes(shop.retailops.acknowledge(held)) == []
    assert [order["channel_order_refnum"] for order in shop.retailops.pull()] == [doubted]


def test_an_update_changes_lines_and_amounts_and_tells_the_whole_order(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2, MUG: 1})
    refnum = order["channel_order_refnum"]
    lines = {line["sku"]: line["channel_item_refnum"] for line in order["order_items"]}
    less = {"order_item_id": 1, "channel_item_refnum": lines[TEE], "sku": TEE, "quantity": 1}
    gone = {"order_item_id": 2, "channel_item_refnum": lines[MUG], "sku": MUG, "quantity": 1, "removed": True}
    answer = shop.update(refnum, less, gone)
    assert codes(answer) == ["PAID_MORE"]
    told = {item["refnum"]: (item["order_item_id"], item["quantity"]) for item in answer["line_items"]}
    assert told == {lines[TEE]: (1, 1), lines[MUG]: (2, 0)}
    snapshot = shop.at_rally(refnum)["snapshot"]
    assert [(line["sku"], line["quantity"]) for line in snapshot["line_items"]] == [(TEE, 1)]
    assert (money(snapshot["total_price"]), money(snapshot["total_tax"])) == (27, 2)
    assert shop.view("refunds") == [] and shop.view("warnings") == []
    assert shop.update(refnum, less, gone)["line_items"] == answer["line_items"]
    added = {"order_item_id": 9, "sku": MUG, "quantity": 2, "unit_price": 3, "channel_item_refnum": ""}
    second = shop.update(refnum, less, added)
    assert second["line_items"][1]["refnum"] in (lines[MUG], "ro-9") and second["line_items"][1]["quantity"] == 2
    unknown = {"order_item_id": 10, "sku": "NOWHERE", "quantity": 1}
    assert "SKU_UNKNOWN" in codes(shop.update(refnum, less, unknown))
    shop.ship(order, 501, TEE=1)
    assert codes(shop.update(refnum, less), "error") == ["ALREADY_SHIPPED"]


def test_announced_returns_of_an_update_pay_nothing(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 1})
    rma = {"retailops_rma_id": 5, "refund_amt": 10, "refund_action": "refund", "items": []}
    refnum = order["channel_order_refnum"]
    assert codes(shop.update(refnum, rmas=[rma])) == ["RMA_NOTED"]
    shop.ship(order, 501, TEE=1)
    assert codes(shop.update(refnum, rmas=[rma])) == ["RMA_NOTED"], "nothing else was to be done"
    shop.complete(refnum)
    assert codes(shop.update(refnum, rmas=[{**rma, "retailops_rma_id": 6}])) == ["RMA_NOTED"]
    assert shop.view("refunds") == []


def test_one_merchants_bad_key_and_open_breaker_never_touch_anothers(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    with opened(build_app, contract) as first:
        other_text = channel_text(
            first.rally.url, name="other", pair=(1201, 77), key="key+of+the+other+merchant+002",
            api_key=SECOND_API_KEY, organization_id=SECOND_ORGANIZATION_ID,
        )  # fmt: skip
        first_text = channel_text(first.rally.url, api_key="wrong-key-of-first")
        both = build_app(first_text + other_text, PUBLIC_URL=first.server.url)
        first.retailops.app = both
        other = Shop(
            Caller(both, contract, "key+of+the+other+merchant+002", (1201, 77)), first.rally, first.server,
            "other", SECOND_ORGANIZATION_ID,
        )  # fmt: skip
        first.push([])
        first.set_stock(TEE=1)
        other.offer(TEE=7)
        assert [row["value"] for row in other.view("stock")] == [7]
        assert first.gateway.check(_call()).state == "refused" and other.gateway.check(_call()).state == "connected"


def _call() -> Call:
    return Call(Deadline.in_s(5), "check", "question")


def test_another_merchant_works_while_rally_fails_every_call_of_one(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    key, pair = "key+of+the+other+merchant+002", (1201, 77)
    with opened(build_app, contract) as first:
        other_text = channel_text(
            first.rally.url, name="other", pair=pair, key=key, api_key=SECOND_API_KEY,
            organization_id=SECOND_ORGANIZATION_ID,
        )  # fmt: skip
        first.retailops.app = build_app(channel_text(first.rally.url) + other_text, PUBLIC_URL=first.server.url)
        other = Shop(
            Caller(first.retailops.app, contract, key, pair), first.rally, first.server, "other", SECOND_ORGANIZATION_ID
        )
        with requests.Session() as session:
            broken = {"kind": "status", "code": 500, "times": None, "merchant": ORGANIZATION_ID}
            assert session.post(f"{first.rally.url}/sandbox/faults", json=broken, timeout=10).ok
        for _ in range(8):
            first.gateway.check(_call())
        assert "left alone" in first.gateway.check(_call()).detail, "the breaker of the one is open"
        other.push([record(1, TEE, "20.00")])
        other.set_stock(TEE=7)
        eventually(lambda: [row["value"] for row in other.view("stock")] == [7])


def test_what_needs_no_shipping_is_not_waited_for(open_shop: OPEN) -> None:
    shop = open_shop()
    shop.push([record(300, "EBOOK", "9.00", RequiresShipping=False)])
    shop.set_stock(EBOOK=5)
    shop.settle()
    order = shop.buy_and_pull(skus={TEE: 1, "EBOOK": 1})
    assert {line["sku"]: line["item_type"] for line in order["order_items"]} == {TEE: "ship", "EBOOK": "advisory"}
    shop.ship(order, 501, TEE=1)
    refnum = order["channel_order_refnum"]
    assert shop.at_rally(refnum)["status"] == "completed"
    assert (shop.complete(refnum)["status"], codes(shop.complete(refnum))) == ("success", [])
