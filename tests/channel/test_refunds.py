"""Money goes back once, never beyond what came in, and RetailOps is told the truth about it (R10, R22, R23)."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from app import gateways
from app.gateways.calls import Verb
from app.records import operations
from app.records.refunds import Entry
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.money import refunds
from app.records.tables.operations import journal
from tests.channel.till_shop import Shop
from tests.command_line import CommandLine
from tests.gateways.conformance_targets import TARGETS
from tests.retailops import codes
from tests.waiting import eventually


class Refunds(CommandLine):
    """The command line beside the server."""

    def refunds(self, *args: str) -> tuple[int, Any]:
        """The exit code of `channel refunds ... --json`, and what it says."""
        done = self("refunds", *args, "--json")
        return done.exit_code, msgspec.json.decode(done.stdout)


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Refunds:
    return Refunds(monkeypatch, database_url, "# none")


@pytest.fixture
def shop(open_shop: Callable[..., Shop]) -> Shop:
    return open_shop()


def test_p10_a_return_is_paid_once_and_a_repeat_gets_the_same_answer(shop: Shop) -> None:
    order = shop.sell()
    answer = shop.give_back(7, 12.5)
    assert answer["events"] == []
    [transaction] = answer["payment_transactions"]
    assert transaction == {
        "payment_processing_type": "channel_payment", "transaction_type": "credit", "payment_type": "Visa",
        "amount": 12.5, "status": "success", "refnum": "rf-1",
    }  # fmt: skip
    for spelled in ("7", 7.0, "7.0", "007", " 7 "):
        assert shop.give_back(spelled, "12.50") == answer, spelled
    assert [(item["key"], item["amount"]) for item in order.paid_out] == [("ro-return-7", Decimal("12.50"))]


@pytest.mark.both_databases
def test_p10_ten_equal_requests_at_once_pay_once(shop: Shop) -> None:
    order = shop.sell()
    shop.fault("slow", times=1, delay_s=0.2)
    with ThreadPoolExecutor(10) as pool:
        returned = list(pool.map(lambda _: shop.give_back(7, 10), range(10)))
        credits = list(pool.map(lambda _: shop.credit(15), range(10)))
    assert {item["payment_transactions"][0]["refnum"] for item in returned} == {"rf-1"}
    assert {(item["status"], item["refnum"], item["amount"]) for item in credits} == {("success", "rf-2", 15)}
    assert order.money_out == 25


def test_p11_a_return_with_other_money_is_refused_under_the_same_number(shop: Shop) -> None:
    order = shop.sell()
    first = shop.give_back(7, 10)
    other = shop.give_back(7, 11)
    assert codes(other, "error") == ["REFUND_ALTERED"] and other["payment_transactions"] == []
    assert shop.give_back(7, 10) == first
    cut = shop.give_back(8, 500)
    assert codes(cut) == ["REFUND_CUT"] and shop.give_back(8, 500) == cut
    assert codes(shop.give_back(8, 20)) == ["REFUND_ALTERED"], "what was said of the first is no answer to the second"
    assert shop.give_back(8, 500) == cut
    shop.sell("B2")
    assert codes(shop.give_back(7, 10, "B2"), "error") == ["REFUND_ALTERED"], "the number is another order's"
    assert [item["amount"] for item in order.paid_out if item["key"] == "ro-return-7"] == [10]


def test_r10_a_refund_still_owed_is_a_warning_and_is_listed_once_it_is_accepted(shop: Shop) -> None:
    order = shop.sell()
    shop.fault("status", code=429)
    answer = shop.give_back(7, 10)
    assert codes(answer, "warning") == ["REFUND_OWED"] and answer["payment_transactions"] == []
    shop.settle()
    later = shop.give_back(7, 10)
    assert later["events"] == [] and [item["refnum"] for item in later["payment_transactions"]] == ["rf-1"]
    assert order.money_out == 10


@pytest.mark.parametrize("fault", ["reset_after", "reset_before", "status", "html", "half_body"])
def test_p9_a_refund_of_unknown_outcome_is_looked_up_and_paid_once(shop: Shop, fault: str) -> None:
    order = shop.sell()
    shop.fault(fault)
    assert codes(shop.give_back(7, 10)) == ["REFUND_OWED"]
    shop.settle()
    assert [item["amount"] for item in shop.give_back(7, 10)["payment_transactions"]] == [10]
    assert [item["key"] for item in order.paid_out] == ["ro-return-7"]


def test_p19_a_return_draws_on_the_newest_payment_first_and_on_no_more_than_is_left(shop: Shop) -> None:
    order = shop.sell(payments=(("old", "30.00"), ("new", "20.00")))
    assert len(shop.give_back(7, 25)["payment_transactions"]) == 2
    assert (order.out_of("A1-new"), order.out_of("A1-old")) == (20, 5)
    cut = shop.give_back(8, 40)
    assert codes(cut, "warning") == ["REFUND_CUT"]
    assert [item["amount"] for item in cut["payment_transactions"]] == [25]
    assert codes(shop.give_back(9, 1), "error") == ["NOTHING_LEFT"]
    assert order.money_out == order.money_in == 50


def test_r7_an_amount_that_lost_digits_as_a_32_bit_float_is_still_the_whole_payment(shop: Shop) -> None:
    order = shop.sell(payments=(("p1", "1048576.05"),))
    answer = shop.credit(1048576.0625)
    assert (answer["status"], answer["amount"]) == ("success", 1048576.05)
    assert order.money_out == order.money_in


def test_amounts_have_the_decimals_of_their_currency(shop: Shop) -> None:
    order = shop.sell(payments=(("p1", "5000"),), currency="JPY")
    assert [item["amount"] for item in shop.give_back(7, "1200.4")["payment_transactions"]] == [1200]
    assert order.money_out == 1200


def test_what_a_refund_is_for_is_told_to_the_shop_without_tax_and_restocking(shop: Shop) -> None:
    order = shop.sell()
    shop.ship(units=2)
    item = {"channel_item_refnum": "1", "sku": "MUG", "quantity": 2, "subtotal_amt": 20, "restock_fee_amt": 2}
    shop.give_back(7, 23.5, items=[item], tax_amt=1.5, shipping_amt=4)
    [paid] = order.paid_out
    told = [(line["kind"], line["line"], line["units"], line["amount"]) for line in paid["lines"]]
    assert told == [("line_item", "1", 2, "18.00"), ("tax", "", 1, "1.50"), ("shipping", "", 1, "4.00")]
    again = shop.give_back(8, 5, items=[item])
    assert codes(again) == ["RETURN_EXCEEDS_SHIPPED"], "all shipped units came back before"


@pytest.mark.parametrize("gives_store_credit", [True, False])
def test_store_credit_is_given_where_the_shop_can(open_shop: Callable[..., Shop], gives_store_credit: bool) -> None:
    shop = open_shop(gateway=f"store_credit = {str(gives_store_credit).lower()}")
    order = shop.sell()
    answer = shop.give_back(7, 10, refund_action="storecredit")
    [paid] = order.paid_out
    assert paid["store_credit"] is gives_store_credit
    if gives_store_credit:
        assert (answer["return"]["channel_store_credit_amount"], answer["payment_transactions"]) == (10, [])
    else:
        assert codes(answer) == ["NO_STORE_CREDIT"] and len(answer["payment_transactions"]) == 1
    assert shop.credit(45)["status"] == "decline", "store credit is money of the same payment"


@pytest.mark.parametrize("action", ["exchange", "none", None])
def test_a_return_that_is_no_refund_is_only_recorded(shop: Shop, action: str | None) -> None:
    order = shop.sell()
    assert codes(shop.give_back(7, 10, refund_action=action)) == ["RETURN_RECORDED"]
    assert "RETURN_CORRECTED" in codes(shop.give_back(7, 12, refund_action=action))
    assert order.paid_out == [] and shop.states() == ["recorded"]
    assert shop.credit(12)["status"] == "success", "nothing was paid for it, so a credit is its own"


@pytest.mark.both_databases
def test_r23_a_credit_for_a_return_that_was_paid_pays_nothing_until_an_operator_lets_one_through(
    shop: Shop, channel: Refunds
) -> None:
    order = shop.sell()
    shop.give_back(7, 10)
    first = shop.credit(10)
    assert (first["status"], first["amount"], first["refnum"]) == ("success", 10, "rf-1")
    assert shop.credit(10) == first and first["message"] == "same as rf-1, nothing paid again"
    assert order.money_out == 10
    status, [held] = channel.refunds("list", "--unpaid")
    assert (status, held["state"], held["same_as"], held["amount"]) == (0, "matched", "order_returned 7", "10.00")
    assert channel.refunds("release", str(held["id"]), "--yes", "--reason", "why")[1]["outcome"] == "pays_next"
    paid = shop.credit(10)
    assert (paid["status"], paid["refnum"], paid["message"]) == ("success", "rf-2", "")
    assert shop.credit(10)["message"] == "same as rf-2, nothing paid again"
    assert order.money_out == 20
    again = channel.refunds("release", str(held["id"]), "--yes", "--reason", "again")
    assert (again[0], again[1]["outcome"]) == (1, "nothing_held"), "twice is harmless, and kept once"
    with shop.retailops.database.read() as connection:
        [kept] = operations.listing(connection)
    assert (kept.act, kept.outcome, kept.reason) == ("refunds.release", "pays_next", "why")
    assert [(target.kind, target.id) for target in kept.targets] == [("order", "A1"), ("refund", str(held["id"]))]
    status, nothing = channel.refunds("release", "999", "--yes", "--reason", "why")
    assert (status, nothing["outcome"]) == (1, "unknown")


def test_r23_a_credit_matches_a_return_only_once_and_only_by_its_amount(shop: Shop) -> None:
    order = shop.sell(payments=(("p1", "25.00"), ("p2", "25.00")))
    shop.give_back(7, 10)
    assert shop.credit(9, "A1-p1")["refnum"] == "rf-2"
    assert shop.credit(10, "A1-p1")["refnum"] == "rf-1"
    assert shop.credit(10, "A1-p1", "A1-p2")["refnum"] == "rf-3", "the return was spoken for"
    assert order.money_out == 29


def test_r23_a_credit_for_a_return_still_owed_is_not_called_paid(shop: Shop) -> None:
    order = shop.sell()
    shop.fault("status", code=429)
    shop.give_back(7, 10)
    answer = shop.credit(10)
    assert (answer["status"], answer["amount"], answer["refnum"]) == ("timeout", 0, "")
    shop.settle()
    assert (shop.credit(10)["status"], shop.credit(10)["refnum"]) == ("success", "rf-1")
    assert order.money_out == 10


def test_p19_a_return_after_the_credit_for_the_same_goods_pays_nothing_until_released(shop: Shop) -> None:
    order = shop.sell()
    shop.credit(10)
    answer = shop.give_back(7, 10)
    assert codes(answer, "warning") == ["ALREADY_CREDITED"] and answer["payment_transactions"] == []
    assert shop.give_back(7, 10) == answer and codes(shop.give_back(7, 11), "error") == ["REFUND_ALTERED"]
    assert order.money_out == 10
    with shop.retailops.database.write() as connection:
        connection.execute(update(refunds).where(refunds.c.state == "matched").values(released_at=refunds.c.created_at))
    assert len(shop.give_back(7, 10)["payment_transactions"]) == 1
    assert order.money_out == 20


def test_r23_a_return_a_credit_has_paid_is_not_paid_after_a_statement_without_money(shop: Shop) -> None:
    order = shop.sell()
    shop.credit(5)
    assert codes(shop.give_back(1, 5)) == ["ALREADY_CREDITED"]
    for amount, action in ((12.5, "exchange"), (12.5, "")):
        assert codes(shop.give_back(1, amount, refund_action=action)) == ["REFUND_ALTERED"]
    assert codes(shop.give_back(1, 20)) == ["REFUND_ALTERED"]
    assert codes(shop.give_back(1, 5)) == ["ALREADY_CREDITED"]
    assert order.money_out == 5


def test_r23_the_merchant_may_let_the_credit_pay_and_the_return_only_record(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(channel='refunds_paid_by = "payment_credit"')
    order = shop.sell()
    assert codes(shop.give_back(7, 10)) == ["RETURN_RECORDED"]
    assert shop.credit(10)["refnum"] == "rf-1"
    assert codes(shop.give_back(7, 10)) == ["RETURN_RECORDED"]
    assert order.money_out == 10


def test_r23_a_credit_is_a_repeat_for_a_day(shop: Shop) -> None:
    order = shop.sell()
    assert [shop.credit(10)["refnum"] for _ in range(3)] == ["rf-1"] * 3
    [entry] = shop.ledger()
    assert entry.repeats == 2, "the operator sees how often it was asked again"
    shop.age(25)
    assert shop.credit(10)["refnum"] == "rf-2"
    assert order.money_out == 20


def test_p25_every_credit_is_found_in_the_journal_by_its_order_which_it_does_not_name(shop: Shop) -> None:
    shop.sell()
    assert [shop.credit(amount)["status"] for amount in (10, 10, 99)] == ["success", "success", "decline"]

    def told() -> list[tuple[str, str]]:
        with shop.retailops.database.read() as connection:
            wanted = select(journal.c.order_refnum, journal.c.outcome).where(journal.c.name == "payment_credit")
            return [(row.order_refnum, row.outcome) for row in connection.execute(wanted.order_by(journal.c.id))]

    eventually(lambda: told() == [("A1", "success"), ("A1", "success"), ("A1", "DECLINED")])


def test_payment_credit_says_decline_fail_and_timeout_where_they_are_true(shop: Shop) -> None:
    order = shop.sell()
    assert (shop.credit(50.03)["status"], shop.credit(10, "B9-p1")["status"]) == ("decline", "fail")
    assert shop.credit(0)["status"] == "fail"
    shop.fault("status", code=422)
    assert shop.credit(10)["status"] == "fail"
    shop.fault("status", code=429)
    assert shop.credit(10)["status"] == "fail", "surely not done: nothing is owed"
    assert order.paid_out == [] and shop.states() == ["refused"]
    shop.fault("reset_after")
    unknown = shop.credit(10)
    assert (unknown["status"], unknown["amount"]) == ("timeout", 0)
    assert shop.credit(45)["status"] in ("fail", "decline"), "the amount is held"
    shop.settle()
    assert (shop.credit(10)["status"], shop.credit(10)["refnum"]) == ("success", "rf-1")
    assert shop.credit(45)["status"] == "decline"
    assert order.money_out == 10


def test_r10_a_credit_that_turns_out_not_to_be_done_gives_its_amount_free(shop: Shop) -> None:
    order = shop.sell()
    shop.fault("reset_before")
    assert shop.credit(50)["status"] == "timeout"
    shop.settle()
    assert shop.states() == ["refused"] and order.paid_out == []
    assert shop.credit(50)["status"] == "success"
    assert order.money_out == 50


def test_a_credit_over_several_payments_stops_at_the_first_unknown_and_tells_what_was_paid(shop: Shop) -> None:
    order = shop.sell(payments=(("a", "20.00"), ("b", "20.00"), ("c", "20.00")))
    parents = ("A1-a", "A1-b", "A1-c")
    assert shop.credit(15, *parents)["refnum"] == "rf-1" and order.out_of("A1-c") == 15
    shop.fault("reset_after")
    assert shop.credit(45, *parents)["status"] == "timeout"
    shop.settle()
    answer = shop.credit(45, *parents)
    assert (answer["status"], answer["amount"], order.money_out) == ("success", 5, 20)
    assert shop.credit(40, *parents)["status"] == "success" and order.money_out == 60


def test_r11_a_refund_that_must_not_be_repeated_is_parked_and_holds_its_amount_until_released(
    open_shop: Callable[..., Shop], channel: Refunds
) -> None:
    shop = open_shop(gateway='repeat = "never"')
    order = shop.sell()
    shop.fault("reset_before")
    assert codes(shop.give_back(7, 50)) == ["REFUND_OWED"]
    assert shop.states() == ["parked"] and shop.credit(1)["status"] in ("fail", "decline")
    [held] = shop.ledger()
    assert channel.refunds("release", str(held.id), "--yes", "--reason", "why")[1]["outcome"] == "still_open"
    with shop.retailops.database.write() as connection:
        connection.execute(update(deliveries).values(state="dropped", body=None))
    # Until it can no longer be under way it holds up the lane; after that nobody has said that it was not paid.
    eventually(lambda: shop.credit(1)["status"] != "fail")
    assert shop.credit(1)["status"] == "decline"
    assert channel.refunds("release", str(held.id), "--yes", "--reason", "why")[1]["outcome"] == "given_free"
    assert shop.credit(50)["status"] == "success" and order.money_out == 50


def test_r11_a_credit_that_must_not_be_repeated_waits_for_a_person_as_a_timeout(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(gateway='repeat = "never"')
    order = shop.sell()
    shop.fault("reset_after")
    assert shop.credit(50)["status"] == "timeout"
    shop.settle()
    assert (shop.states(), shop.credit(50)["status"], order.money_out) == (["parked"], "timeout", 50)


def test_r22_cancelling_gives_back_all_that_is_left_and_a_repeat_nothing(shop: Shop) -> None:
    order = shop.sell(payments=(("a", "20.00"), ("b", "30.00")))
    shop.credit(5, "A1-a")
    assert shop.retailops.cancel("A1") == {"status": "success", "events": []}
    assert shop.retailops.cancel("A1") == {"status": "success", "events": []}
    assert (order.money_out, order.state) == (50, "cancelled")
    assert shop.credit(1, "A1-a")["status"] == "decline"


def test_p19_a_repeated_cancellation_gives_back_what_has_become_free_since(shop: Shop) -> None:
    """The first part stands under its key for ever: what is paid later has the next one."""
    order = shop.sell(payments=(("a", "20.00"), ("b", "30.00")))
    shop.fault("slow", delay_s=0)
    shop.fault("status", code=422)
    shop.fault("status", code=422, method="PUT")
    refused = shop.retailops.cancel("A1")
    assert (refused["status"], codes(refused)) == ("fail", ["REFUND_REFUSED", "HTTP_422"])
    assert order.money_out == 30
    for _ in range(2):
        assert shop.retailops.cancel("A1") == {"status": "success", "events": []}
    assert (order.money_out, order.state) == (50, "cancelled")
    assert [item["key"] for item in order.paid_out] == ["ro-cancel-A1-1", "ro-cancel-A1-2"]
    last = shop.sell("A2", payments=(("a", "20.00"),))
    shop.fault("status", code=422)
    for _ in range(2):
        assert codes(shop.retailops.cancel("A2")) == ["REFUND_REFUSED"], "cancelled, and its money is still here"
    assert (last.money_out, last.state) == (0, "cancelled")


def test_r21_a_cancellation_after_a_shipment_gives_nothing_back(shop: Shop) -> None:
    order = shop.sell()
    shop.ship()
    assert shop.retailops.cancel("A1")["status"] == "fail"
    assert order.paid_out == [] and shop.ledger() == []


def test_r10_a_cancellation_whose_refund_is_still_owed_succeeds_with_a_warning(shop: Shop) -> None:
    order = shop.sell()
    shop.fault("reset_after")
    answer = shop.retailops.cancel("A1")
    assert answer["status"] == "success" and "REFUND_OWED" in codes(answer, "warning")
    shop.settle()
    assert (order.money_out, order.state) == (50, "cancelled")
    assert shop.retailops.cancel("A1") == {"status": "success", "events": []}


def test_r22_completing_gives_back_only_units_named_less_those_shipped(shop: Shop) -> None:
    order = shop.sell(payments=(("p1", "50.00"),))
    shop.ship(units=1)
    named = [{"channel_item_refnum": "1", "sku": "MUG", "ordered_quantity": 2, "unshipped_quantity": 2,
              "effective_unit_price": 12.25, "effective_extended_price": 24.5}]  # fmt: skip
    answer = shop.complete(unshipped_items=named)
    assert (answer["status"], set(codes(answer))) == ("success", {"SHIPPED_ALREADY", "UNITS_OPEN"})
    assert order.money_out == Decimal("12.25"), "the other line is open by our own count, and that only warns"
    assert shop.complete(unshipped_items=named) == answer
    assert order.money_out == Decimal("12.25")


def test_p19_a_repeated_completion_pays_no_unit_again_whose_cost_is_unknown(shop: Shop) -> None:
    order = shop.till.sell("A1", payments=(("p1", "50.00"),))
    named = {"channel_item_refnum": "1", "sku": "MUG", "unshipped_quantity": 1, "effective_unit_price": 11}
    shop.fault("status", code=422, method="PUT")
    assert shop.complete(unshipped_items=[named])["status"] == "fail" and order.money_out == 11
    for units, paid in ((1, 11), (2, 22), (2, 22)):
        assert shop.complete(unshipped_items=[{**named, "unshipped_quantity": units}])["status"] == "success"
        assert order.money_out == paid
    shop.till.sell("A2")
    unpriced = {**named, "unshipped_quantity": 2, "effective_unit_price": 0}
    assert "UNSHIPPED_UNPRICED" in codes(shop.complete("A2", unshipped_items=[unpriced]))


def test_r22_a_line_price_is_exact_where_unit_prices_lose_a_cent(shop: Shop) -> None:
    order = shop.sell(payments=(("p1", "20.00"),), units=3)
    named = [{"channel_item_refnum": "2", "sku": "TEA", "ordered_quantity": 3, "unshipped_quantity": 3,
              "effective_unit_price": 3.34, "effective_extended_price": 10.01}]  # fmt: skip
    shop.complete(unshipped_items=named)
    assert order.money_out == Decimal("10.01")


def test_p19_an_authorised_payment_is_captured_once_and_only_what_was_captured_goes_back(shop: Shop) -> None:
    order = shop.sell(kind="auth")

    def settle(amount: float, series: int = 9, of: str = "A1", **more: Any) -> dict[str, Any]:
        transaction = {"transaction_type": "capture", "amount": amount, "payment_type": "Visa", **more}
        payment = {"payment_series_id": series, "currency_code": "USD", "payment_transactions": [transaction]}
        return shop.retailops.ask("order_settle_payment", order={"channel_order_refnum": of}, payment=payment)

    assert shop.credit(1)["status"] == "decline", "nothing has been collected"
    shop.fault("reset_after")
    assert codes(settle(30), "error") == []
    shop.settle()
    assert settle(30)["events"] == [] and order.money_in == 30
    assert codes(settle(40, series=10)) == [] and order.money_in == 50
    assert codes(settle(1, series=11)) == ["ALREADY_COLLECTED"] and codes(settle(70, series=12)) == ["NOT_COVERED"]
    assert codes(settle(5, series=13, payment_processing_type="authorize.net"), "error") == ["PROCESSING_UNKNOWN"]
    zeros = settle(0, series=14, transaction_type="", payment_type="", refnum="")
    assert codes(zeros, "info") == codes(zeros) == ["NO_AMOUNT"]
    assert codes(settle(0, series=15), "error") == ["NO_AMOUNT"]
    assert order.money_in == 50
    shop.retailops.cancel("A1")
    assert order.money_out == 50
    other = shop.sell("A2", kind="auth")
    assert codes(settle(10, of="A2")) == []
    shop.retailops.cancel("A2")
    assert settle(10, of="A2")["events"] == [], "a repeat"
    assert codes(settle(15, series=10, of="A2"), "error") == ["ORDER_CANCELLED"]
    assert other.money_in == other.money_out == 10, "nobody pays for a cancelled order"


def test_p10_what_stands_beside_a_transaction_collects_none_of_it_again(shop: Shop) -> None:
    order = shop.sell(kind="auth")

    def settle(*stated: tuple[float, str]) -> list[str]:
        transactions = [
            {"transaction_type": "capture", "amount": amount, "status": status} for amount, status in stated
        ]
        payment = {"payment_series_id": 9, "currency_code": "USD", "payment_transactions": transactions}
        return codes(
            shop.retailops.ask("order_settle_payment", order={"channel_order_refnum": "A1"}, payment=payment), "error"
        )

    one, other, failed = (10.3, "success"), (5, "success"), (7, "decline")
    assert settle(one) == [] and order.money_in == Decimal("10.30")
    for stated in ((failed, one), (failed, failed, (10.300000190734863, "")), ((0, "success"), one)):
        settle(*stated)
        assert order.money_in == Decimal("10.30"), stated
    settle(other, failed, one)
    for stated in ((failed, other, one), (one, other), (other,)):
        assert settle(*stated) == [] and order.money_in == Decimal("15.30"), stated
    settle(other, other)
    assert order.money_in == Decimal("20.30"), "two of one amount are two"


@pytest.mark.parametrize("token", sorted(gateways.REGISTRY))
def test_every_vendor_that_refunds_decides_cancellations_itself(token: str) -> None:
    """A refund is owed before its cancellation, so a cancellation the vendor may refuse must not have one."""
    with TARGETS[token]() as target:
        verbs = target.gateway().commands.verbs
    cancel = verbs["cancel_order"]
    assert not isinstance(verbs["refund_payment"], Verb) or not isinstance(cancel, Verb) or cancel.decided_by == "us"


@dataclass
class History:
    """A random life of a few orders, lived by two threads at once."""

    shop: Shop
    dice: random.Random
    life: int
    refnums: list[str]

    def step(self, dice: random.Random) -> None:
        shop, refnum = self.shop, dice.choice(self.refnums)
        amount = dice.choice(["5.00", "10.00", "12.50", "20.00", "33.33", "60.00"])
        match dice.randrange(12):
            case 0:
                shop.retailops.post("order_cancel", order={"channel_order_refnum": refnum})
            case 1:
                named = [{"channel_item_refnum": "1", "sku": "MUG", "unshipped_quantity": dice.randrange(3),
                          "effective_unit_price": 10.01}]  # fmt: skip
                shop.retailops.post("order_complete", order={"channel_order_refnum": refnum, "unshipped_items": named})
            case 2:
                items = [{"sku": "MUG", "channel_item_refnum": "1", "quantity": 1}]
                number = dice.randrange(1, 3)
                package = {"retailops_package_id": 1, "tracking_number": "1Z", "package_items": items}
                shop.retailops.post(
                    "order_shipment_submit",
                    channel_order_refnum=refnum,
                    shipment={"retailops_shipment_id": number, "packages": [package]},
                )
            case 3 | 4 | 5 | 6:
                number = (self.life * 10 + self.refnums.index(refnum)) * 10 + dice.randrange(1, 5)
                action = dice.choice(["refund", "refund", "refund", "storecredit", "exchange"])
                fields = {"retailops_return_id": number, "refund_amt": amount, "refund_action": action}
                shop.retailops.post("order_returned", order={"channel_order_refnum": refnum}, **{"return": fields})
            case 7 | 8 | 9:
                names = dice.choice([["p1"], ["p2"], ["p1", "p2"]])
                parents = [{"payment_type": "Visa", "refnum": f"{refnum}-{name}"} for name in names]
                shop.retailops.post("payment_credit", credit={"amount": amount, "parent_payment_transactions": parents})
            case _:
                kind = dice.choice(["reset_after", "reset_before", "refuse", "half_body", "html", "status"])
                shop.fault(kind, method=dice.choice(["POST", "PUT", "GET"]), code=dice.choice([422, 429, 500, 503]))

    def live(self, steps: int) -> None:
        seeds = [self.dice.randrange(10**9) for _ in range(2)]
        failures: list[BaseException] = []

        def thread(seed: int) -> None:
            dice = random.Random(seed)
            try:
                for _ in range(steps):
                    self.step(dice)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=thread, args=(seed,)) for seed in seeds]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert not failures, failures


def _holds(shop: Shop, *, is_settled: bool) -> None:
    """Money out never above money in; and when nothing is open, ledger and shop agree to the cent."""
    entries = shop.ledger()
    with shop.retailops.database.read() as connection:
        cut = {row.natural_key for row in connection.execute(select(commands)) if b"REFUND_CUT" in row.events}
    for order in shop.till.orders.values():
        for name, (_, charged, _) in order.payments.items():
            assert order.out_of(name) <= charged, f"{name} gave back more than it brought"
            held = [entry for entry in entries if entry.payment_refnum == name]
            in_effect = sum((entry.amount for entry in held if entry.is_in_effect), Decimal(0))
            assert in_effect <= charged
            if is_settled:
                assert not any(entry.state in ("owed", "parked") for entry in held)
                assert in_effect == order.out_of(name), f"{name}: the ledger differs from the shop"
        keys = [item["key"] for item in order.paid_out]
        assert len(keys) == len(set(keys)), "a refund was paid twice"
        _no_goods_paid_twice([entry for entry in entries if entry.order_refnum == order.refnum], cut)


def _no_goods_paid_twice(entries: list[Entry], cut: set[str]) -> None:
    """No return and credit of one amount were both paid, unless each is matched with yet another (R23).

    What was cut to what was left, or paid in part, has lost the amount it would be known by.
    """
    in_part = {entry.source for entry in entries if entry.state == "refused"}
    matched = {entry.matched for entry in entries if entry.state == "matched"}
    paid: dict[tuple[str, str], Decimal] = {}
    for entry in entries:
        is_whole = entry.source not in in_part and entry.natural_key not in cut
        if entry.is_in_effect and is_whole and entry.source not in matched:
            paid[entry.source] = paid.get(entry.source, Decimal(0)) + entry.amount
    returns = {amount for (callback, _), amount in paid.items() if callback == "order_returned"}
    credits = {amount for (callback, _), amount in paid.items() if callback == "payment_credit"}
    assert not returns & credits, "goods were paid by a return and by a credit"


@pytest.mark.both_databases
def test_p19_over_random_histories_money_out_never_exceeds_money_in(open_shop: Callable[..., Shop], seed: int) -> None:
    dice = random.Random(seed)
    shop = open_shop(appears_after_s=0.05)
    for life in range(6):
        refnums = [f"L{life}-{number}" for number in range(3)]
        for refnum in refnums:
            shop.till.sell(refnum, payments=(("p1", "40.00"), ("p2", "25.00")))
        shop.retailops.pull()
        History(shop, dice, life, refnums).live(steps=25)
        _holds(shop, is_settled=False)
        shop.server.faults.clear()
    shop.settle(60, retries_parked=True)
    _holds(shop, is_settled=True)


def test_refunds_are_listed_by_order_state_and_callback(shop: Shop, channel: Refunds) -> None:
    shop.sell()
    shop.give_back(7, 10)
    shop.credit(5)
    for filters, amounts in [
        ((), ["5.00", "10.00"]),
        (("--callback", "order_returned"), ["10.00"]),
        (("--state", "owed"), []),
        (("--order", "A1", "--channel", "shop", "--limit", "1"), ["5.00"]),
    ]:
        status, found = channel.refunds("list", *filters)
        assert (status, [item["amount"] for item in found]) == (0, amounts)
    plain = channel("refunds", "list")
    assert plain.exit_code == 0 and "rf-1" in plain.stdout


UNSHIPPED_MUG = {"sku": "MUG", "channel_item_refnum": "1", "unshipped_quantity": 1, "effective_unit_price": 12.5}
UNSHIPPED = [UNSHIPPED_MUG]


def test_r22_units_without_a_price_are_rejected_and_the_missing_refund_is_told(shop: Shop) -> None:
    """Of an order that was never handed out the shop says no prices."""
    shop.till.sell("A1")
    named = [{"channel_item_refnum": "1", "sku": "MUG", "unshipped_quantity": 2, "ordered_quantity": 2}]
    named.append({"channel_item_refnum": "2", "sku": "TEA", "unshipped_quantity": 2, "effective_unit_price": 5})
    answer = shop.complete(unshipped_items=named)
    told = [event for event in answer["events"] if event["code"] == "UNSHIPPED_UNPRICED"]
    assert answer["status"] == "success" and [event["associations"][0]["identifier"] for event in told] == ["1"]
    assert [entry.amount for entry in shop.ledger()] == [Decimal(10)]


def test_r23_a_credit_for_what_a_completion_gave_back_is_the_same_money(shop: Shop) -> None:
    order = shop.sell()
    shop.ship(units=1, tea=2)
    assert shop.complete(unshipped_items=UNSHIPPED)["status"] == "success"
    first = shop.credit(12.5)
    assert (first["status"], first["amount"], first["refnum"]) == ("success", 12.5, "rf-1")
    assert shop.credit(12.5) == first and first["message"] == "same as rf-1, nothing paid again"
    assert shop.credit(3)["refnum"] == "rf-2", "other money"
    assert order.money_out == Decimal("15.50")


def test_r23_a_completion_matches_credits_of_its_own_payments_only(shop: Shop) -> None:
    order = shop.sell(payments=(("old", "30.00"), ("new", "20.00")))
    shop.ship(units=1, tea=2)
    shop.complete(unshipped_items=UNSHIPPED)
    assert order.out_of("A1-new") == Decimal("12.50")
    assert shop.credit(12.5, "A1-old")["refnum"] == "rf-2"
    assert shop.credit(12.5, "A1-new", "A1-old")["refnum"] == "rf-1"
    assert order.money_out == 25


def test_r23_credits_for_the_payments_of_a_cancelled_order_pay_nothing(shop: Shop) -> None:
    order = shop.sell(payments=(("old", "30.00"), ("new", "20.00")))
    assert shop.retailops.cancel("A1")["status"] == "success"
    old, new = shop.credit(30, "A1-old"), shop.credit(20, "A1-new")
    assert (old["status"], old["amount"], new["status"], new["amount"]) == ("success", 30, "success", 20)
    assert old["refnum"] != new["refnum"] and shop.credit(1, "A1-old")["status"] == "decline"
    assert order.money_out == order.money_in == 50


def test_r23_a_completion_after_the_credit_for_its_unshipped_units_pays_nothing(shop: Shop) -> None:
    order = shop.sell()
    shop.ship(units=1, tea=2)
    shop.credit(12.5)
    answer = shop.complete(unshipped_items=UNSHIPPED)
    assert (answer["status"], codes(answer)) == ("success", ["ALREADY_CREDITED"])
    assert shop.complete(unshipped_items=UNSHIPPED) == answer
    assert order.money_out == Decimal("12.50") and order.state == "completed"
    assert shop.states() == ["accepted", "matched"]
    shop.age(25)
    assert shop.credit(12.5)["refnum"] == "rf-2", "the completion has used the first one up"


def test_r23_a_completion_waits_while_it_is_unknown_whether_such_a_credit_was_paid(shop: Shop) -> None:
    order = shop.sell()
    shop.ship(units=1, tea=2)
    shop.fault("reset_after")
    assert shop.credit(12.5)["status"] == "timeout"
    answer = shop.complete(unshipped_items=UNSHIPPED)
    assert (answer["status"], codes(answer)) == ("fail", ["CREDIT_PENDING"])
    shop.settle()
    assert codes(shop.complete(unshipped_items=UNSHIPPED)) == ["ALREADY_CREDITED"]
    assert order.money_out == Decimal("12.50")


@pytest.mark.parametrize(("over", "is_paid"), [("0.01", True), ("0.02", True), ("0.03", False)])
def test_p19_a_credit_within_a_cent_a_line_of_what_is_left_pays_what_is_left(
    shop: Shop, over: str, is_paid: bool
) -> None:
    order = shop.sell()
    shop.credit(20)
    answer = shop.credit(str(30 + Decimal(over)))
    if not is_paid:
        assert (answer["status"], answer["amount"]) == ("decline", 0)
        assert order.money_out == 20
        return
    assert (answer["status"], answer["amount"], order.money_out) == ("success", 30, 50)
    assert answer["message"] == "30.00 was left of these payments and was given back"
    again = shop.credit(str(30 + Decimal(over)))
    assert (again["amount"], again["message"]) == (30, f"same as {answer['refnum']}, nothing paid again")
    assert shop.credit("0.01")["status"] == "decline", "of nothing left no cent is paid"


def test_p19_the_smallest_amount_is_that_of_the_currency(shop: Shop) -> None:
    order = shop.sell(payments=(("p1", "5000"),), currency="JPY")
    assert shop.credit(5003)["status"] == "decline"
    assert (shop.credit(5002)["amount"], order.money_out) == (5000, 5000)


def test_p19_shares_of_a_line_add_up_to_what_was_paid_however_it_is_cut(shop: Shop) -> None:
    order = shop.sell(payments=(("p1", "20.00"),), units=3)
    for units in (1, 2, 3):
        named = [{"channel_item_refnum": "2", "sku": "TEA", "unshipped_quantity": units}]
        assert shop.complete(unshipped_items=named)["status"] == "success"
    assert [item["amount"] for item in order.paid_out] == [Decimal("3.34"), Decimal("3.33"), Decimal("3.34")]
    assert order.money_out == Decimal("10.01")


def test_r9_a_refund_of_a_later_completion_is_not_given_free_while_its_call_is_open(
    open_shop: Callable[..., Shop], channel: Refunds
) -> None:
    shop = open_shop(gateway='repeat = "never"')
    shop.sell()
    assert shop.complete(unshipped_items=UNSHIPPED)["status"] == "success"
    shop.fault("reset_before")
    more = [{**UNSHIPPED_MUG, "unshipped_quantity": 2}]
    assert "REFUND_OWED" in codes(shop.complete(unshipped_items=more), "warning")
    [held] = [entry for entry in shop.ledger() if entry.state == "parked"]
    assert held.key == "ro-complete2-A1-1"
    released = channel.refunds("release", str(held.id), "--yes", "--reason", "why")
    assert released[1]["outcome"] == "still_open"
