"""Money after the sale at Rally: computed from what was bought and what RetailOps stated last (R22, R23)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from flask import Flask

from app.contract.schemas import Contract
from tests.gateways.vendors.rally.books import assert_books_hold, given_back, rows_of, snapshot
from tests.gateways.vendors.rally.shop import Shop, money, opened, record
from tests.retailops import codes
from tests.waiting import eventually

CAP, MUG, GIFT = "CAP", "MUG", "GIFT"

TABLES = """
[[channel.rally.tax]]
country = "US"
province = "TX"
rate = "0.0725"
title = "City"

[[channel.rally.coupon]]
code = "TEN"
percent = "10"
"""


SET_OFF = 2
"""A seed whose first completion sets added goods off against goods taken off, and whose later one closes them."""


@pytest.fixture
def open_shop(build_app: Callable[..., Flask], contract: Contract) -> Iterator[Callable[..., Shop]]:
    with ExitStack() as stack:

        def start(*, tables: str = "", **how: Any) -> Shop:
            shop = stack.enter_context(opened(build_app, contract, tables=tables, **how))
            shop.push([record(1, CAP, "12.50"), record(2, MUG, "9.99"), record(3, GIFT, "0.01")])
            shop.set_stock(CAP=99, MUG=99, GIFT=99)
            shop.settle()
            return shop

        yield start


@pytest.fixture
def shop(open_shop: Callable[..., Shop]) -> Shop:
    """Two tax authorities, 10 and 7.25 percent."""
    return open_shop(tables=TABLES)


def item(order: dict[str, Any], at: int, units: int | None = None, **more: Any) -> dict[str, Any]:
    """A line of `order_update` as RetailOps states it, at the price it was sent."""
    line = order["order_items"][at]
    found = {"order_item_id": at + 1, "channel_item_refnum": line["channel_item_refnum"], "sku": line["sku"],
             "quantity": line["quantity"] if units is None else units,
             "unit_price": line["currency_values"]["unit_price"]}  # fmt: skip
    return {**found, **more}


def unshipped(order: dict[str, Any], at: int, units: int, price: Any = 0) -> dict[str, Any]:
    line = order["order_items"][at]
    return {"channel_item_refnum": line["channel_item_refnum"], "sku": line["sku"], "unshipped_quantity": units,
            "effective_unit_price": price}  # fmt: skip


def payment(order: dict[str, Any]) -> str:
    return str(order["payment_transactions"][0]["refnum"])


@pytest.mark.both_databases
def test_p19_units_taken_off_before_shipping_go_back_when_the_order_is_completed(shop: Shop) -> None:
    """12.50 with 1.25 and 0.91 of tax is 14.66; both are 29.31, so the unit taken off was 14.65."""
    for named in (0, 1):
        order = shop.buy_and_pull(skus={CAP: 2})
        refnum = order["channel_order_refnum"]
        assert codes(shop.update(refnum, item(order, 0, 1))) == ["PAID_MORE"]
        assert snapshot(shop, refnum)["taxes"] == [money("1.25"), money("0.91")]
        shop.ship(order, 501, CAP=1)
        for _ in range(2):
            answer = shop.complete(refnum, unshipped_items=[unshipped(order, 0, named)] if named else None)
            assert (answer["status"], codes(answer)) == ("success", [])
        [refund] = shop.at_rally(refnum)["refunds"]
        assert rows_of(refund) == [("li-1", 1, money("12.5")), ("tax", 1, money("2.15"))]
        assert_books_hold(shop, refnum)
        credit = shop.credit("14.65", payment(order))
        assert (credit["status"], credit["refnum"]) == ("success", refund["external_id"]), "the same money (R23)"
        assert money(shop.at_rally(refnum)["refunded"]) == money("14.65")


def test_p19_units_down_and_up_again_come_to_the_same_cent(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={CAP: 3, MUG: 2}, coupon="TEN")
    refnum = order["channel_order_refnum"]
    shop.update(refnum, item(order, 0, 2))
    first = snapshot(shop, refnum)
    for units in (1, 3, 5, 2):
        assert "PRICE_NOT_CHANGED" not in codes(shop.update(refnum, item(order, 0, units)))
    assert snapshot(shop, refnum) == first
    gone = item(order, 1, 2, removed=True)
    assert codes(shop.update(refnum, item(order, 0), gone)) == ["PAID_MORE"]
    shop.update(refnum, item(order, 0), item(order, 1))
    whole = snapshot(shop, refnum)
    assert whole["total"] == money(shop.at_rally(refnum)["charged"])
    fresh = shop.buy(skus={CAP: 3}, coupon="TEN")
    shop.update(refnum, item(order, 0), gone)
    answer = shop.step("order/fetch", order=fresh)["answer"]
    changed = snapshot(shop, refnum)
    assert changed["taxes"] == [money(tax["tax_amount"]) for tax in answer["taxes"]], "as of a fresh order"
    assert changed["discounts"] == [money(row["amount"]) for row in answer["discounts"]]
    [pulled] = shop.retailops.pull(specific_orders=[{"channel_refnum": refnum}])
    assert [line["quantity"] for line in pulled["order_items"]] == [3, 2], "order_pull keeps what was ordered"


def test_p19_a_credit_of_the_difference_before_the_completion_counts_against_it(shop: Shop) -> None:
    for credited, back, told in (("5", "9.65", ["ALREADY_CREDITED"]), ("14.65", "0", ["ALREADY_CREDITED"]),
                                 (None, "14.65", [])):  # fmt: skip
        order = shop.buy_and_pull(skus={CAP: 2})
        refnum = order["channel_order_refnum"]
        shop.update(refnum, item(order, 0, 1))
        if credited:
            assert shop.credit(credited, payment(order))["status"] == "success"
        shop.ship(order, 501, CAP=1)
        answer = shop.complete(refnum)
        assert (answer["status"], codes(answer)) == ("success", told)
        if credited == "5":
            assert "5.00" in answer["events"][0]["message"] and "14.65" in answer["events"][0]["message"]
        assert shop.complete(refnum) == answer
        assert money(shop.at_rally(refnum)["refunded"]) == money(credited or 0) + money(back)
        assert_books_hold(shop, refnum)


def test_p19_a_credit_on_one_line_leaves_the_completion_the_others(shop: Shop) -> None:
    """The credit stands in the row of the first line; the completion pays no row more than was paid for it."""
    order = shop.buy_and_pull(skus={CAP: 1, MUG: 2})
    refnum, bought = order["channel_order_refnum"], shop.at_rally(order["channel_order_refnum"])["answer"]
    shop.update(refnum, item(order, 0, 0), item(order, 1, 1))
    shop.credit(12, payment(order))
    shop.ship(order, 501, MUG=1)
    assert codes(shop.complete(refnum)) == ["ALREADY_CREDITED"]
    first, second = shop.at_rally(refnum)["refunds"]
    assert rows_of(first) == [("li-1", 1, money(12))]
    assert money(first["amount"]) + money(second["amount"]) == money("12.5") + money("9.99") + money("3.89")
    assert_books_hold(shop, refnum, bought)


def test_p19_a_return_of_units_taken_off_is_paid_once_before_or_after_the_completion(shop: Shop) -> None:
    for number, is_before in ((7, True), (8, False)):
        order = shop.buy_and_pull(skus={CAP: 1, MUG: 1})
        refnum = order["channel_order_refnum"]
        shop.update(refnum, item(order, 1, 0, removed=True))
        shop.ship(order, 501, CAP=1)
        back = {"channel_item_refnum": "li-2", "sku": MUG, "quantity": 1, "subtotal_amt": 9.99}
        for step, told in ((is_before, []), (not is_before, ["ALREADY_CREDITED"])):
            answer = (
                shop.give_back(number, 11.71, refnum, items=[back], tax_amt=1.72) if step else shop.complete(refnum)
            )
            assert [code for code in codes(answer) if code != "RETURN_EXCEEDS_SHIPPED"] == told
        assert given_back(shop, refnum) == {"li-2": money("9.99"), "tax": money("1.72")}
        assert_books_hold(shop, refnum)


def test_p19_money_for_goods_swapped_in_is_not_given_back(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={CAP: 1, MUG: 1})
    refnum = order["channel_order_refnum"]
    added = {"order_item_id": 9, "sku": MUG, "quantity": 1, "unit_price": 4, "channel_item_refnum": ""}
    gone = item(order, 0, 0, removed=True)
    answer = shop.update(refnum, gone, item(order, 1, 1), {**added, "sku": GIFT})
    assert codes(answer) == ["PAID_MORE"]
    shop.retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment={
        "retailops_shipment_id": 501, "packages": [{"retailops_package_id": 1, "tracking_number": "1Z1",
        "package_items": [{"sku": MUG, "quantity": 1}, {"sku": GIFT, "quantity": 1}]}]})  # fmt: skip
    assert codes(shop.complete(refnum)) == []
    assert money(shop.at_rally(refnum)["refunded"]) == money("14.66") - 4
    assert_books_hold(shop, refnum)


def test_p19_units_nobody_paid_for_give_nothing_back_and_hide_no_paid_one(shop: Shop) -> None:
    """Two were bought and four stated: the first two that will not ship were never paid for."""
    order = shop.buy_and_pull(skus={CAP: 2, MUG: 1})
    refnum = order["channel_order_refnum"]
    assert codes(shop.update(refnum, item(order, 0, 4))) == ["NOT_COVERED"]
    shop.ship(order, 501, MUG=1)
    backs = []
    for units in (2, 3, 4):
        assert shop.complete(refnum, unshipped_items=[unshipped(order, 0, units)])["status"] == "success"
        backs.append(money(shop.at_rally(refnum)["refunded"]))
    assert backs == [0, money("14.65"), money("29.31")]
    assert_books_hold(shop, refnum)


@pytest.mark.both_databases
def test_p19_completions_in_any_pieces_come_to_what_one_completion_pays(shop: Shop, seed: int) -> None:
    """Goods added are set off against units taken off, only for as long as no completion closes them (R22)."""
    for start in (SET_OFF, seed, seed + 1):
        dice = random.Random(start)
        wish = {CAP: dice.randint(1, 4), MUG: dice.randint(1, 3)}
        added = {"order_item_id": 9, "sku": GIFT, "quantity": dice.randint(1, 3), "channel_item_refnum": "",
                 "unit_price": dice.choice([0.01, 2, 4.35, 9.99])}  # fmt: skip
        kept = [dice.randint(0, wish[CAP]), dice.randint(1, wish[MUG])]
        units = {"li-1": kept[0], "li-2": kept[1], "ro-9": added["quantity"]}
        shipped = {"li-2": dice.randint(0, 1)} | ({"ro-9": 1} if dice.random() < 0.3 else {})
        gone = dice.randint(0, kept[0]) if any(shipped.values()) else 0
        credit = dice.choice([None, None, "1.00", "9.00"])
        closed = {line: count - shipped.get(line, 0) - (gone if line == "li-1" else 0) for line, count in units.items()}
        steps = dice.randint(2, 4)
        splits = [{line: dice.randint(0, count) for line, count in closed.items()} for _ in range(steps - 1)]
        stages = [{line: sorted(split[line] for split in [*splits, closed])[at] for line in closed}
                  for at in range(steps)]  # fmt: skip
        books = []
        for completions in ([closed], stages):
            order = shop.buy_and_pull(skus=wish)
            refnum = order["channel_order_refnum"]
            shop.update(refnum, item(order, 0, kept[0]), item(order, 1, kept[1]), added)
            if goods := [{"channel_item_refnum": line, "quantity": count} for line, count in shipped.items() if count]:
                box = {"retailops_package_id": 1, "tracking_number": "1Z1", "package_items": goods}
                shipment = {"retailops_shipment_id": 501, "packages": [box]}
                assert codes(shop.retailops.ask(
                    "order_shipment_submit", channel_order_refnum=refnum, shipment=shipment)) == []  # fmt: skip
            if gone:
                shop.update(refnum, item(order, 0, kept[0] - gone))
            if credit:
                shop.credit(credit, payment(order))
            for stage in completions:
                named = [{"channel_item_refnum": line, "unshipped_quantity": count} for line, count in stage.items()]
                answer = shop.complete(refnum, unshipped_items=named)
                if any(stage.values()) or completions is not stages:
                    assert (answer["status"], codes(answer, "error")) == ("success", [])
            assert_books_hold(shop, refnum)
            books.append(given_back(shop, refnum))
        assert books[0] == books[1], f"{start}: {wish} {kept} {added} {shipped} {gone} {credit} {stages}"


@pytest.mark.both_databases
def test_p34_a_line_rally_refuses_is_not_kept_and_costs_no_shipment(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={CAP: 2})
    refnum = order["channel_order_refnum"]
    bad = {"order_item_id": 9, "sku": MUG, "quantity": 1, "unit_price": -5, "channel_item_refnum": ""}
    assert codes(shop.update(refnum, bad), "error") == ["PRICE_BELOW_ZERO"]
    assert shop.told("order-update") == []
    refused = {"order_item_id": 10, "sku": MUG, "quantity": 1, "unit_price": 5, "channel_item_refnum": ""}
    shop.fault("status", code=422, path="webhooks/order-update")
    answer = shop.update(refnum, item(order, 0, 1), refused)
    assert len(codes(answer, "error")) == 1, "what Rally refuses is said"
    assert [(line["refnum"], line["quantity"]) for line in answer["line_items"]] == [("li-1", 2), ("ro-10", 0)]
    shop.fault("status", times=1, code=503)
    shop.fault("status", times=1, code=422, path="webhooks/order-update")
    assert "OWED" in codes(shop.update(refnum, item(order, 0, 1), refused))
    shop.settle()
    told: list[str] = []

    def is_told() -> bool:
        told.extend(codes(shop.update(refnum, item(order, 0, 2))))
        return any(code.startswith("LATE_") for code in told)

    eventually(is_told)
    assert codes(shop.ship(order, 501, CAP=2)) == []
    [parcel] = shop.at_rally(refnum)["snapshot"]["meta"]["fulfillments"]
    assert parcel["tracking_number"] == "1Z501"
    assert list(snapshot(shop, refnum)["rows"]) == ["li-1"]


def test_p34_a_price_that_cannot_change_is_said(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={CAP: 2, MUG: 1}, coupon="TEN")
    refnum = order["channel_order_refnum"]
    for price, told in ((10, ["PRICE_NOT_CHANGED"]), (12.5, []), (11.25, []), (None, []), (0, ["PRICE_NOT_CHANGED"])):
        answer = shop.update(refnum, item(order, 0, unit_price=price))
        assert codes(answer) == told, price
    assert codes(shop.update(refnum, item(order, 0, 1))) == ["PAID_MORE"]
    assert codes(shop.update(refnum, item(order, 0, 1, unit_price=10))) == ["PRICE_NOT_CHANGED"], (
        "no repeat of that one"
    )
    by_sku = {"order_item_id": 1, "sku": CAP, "quantity": 1, "unit_price": 3}
    assert codes(shop.update(refnum, by_sku)) == ["PRICE_NOT_CHANGED"]


RETURNS: list[tuple[dict[str, Any], Any, list[str], list[tuple[str, Any]]]] = [
    ({"subtotal_amt": 30}, 30, ["ABOVE_WHAT_WAS_PAID"], [("li-1", 30)]),
    ({"subtotal_amt": 12.5, "tax_amt": 2.16, "shipping_amt": 0}, 20, ["ABOVE_WHAT_WAS_PAID"],
     [("li-1", "17.84"), ("tax", "2.16")]),
    ({"subtotal_amt": 12.5}, 14.66, [], [("li-1", "12.5"), ("tax", "2.16")]),
    ({}, 14.66, [], [("li-1", "12.5"), ("tax", "2.16")]),
    ({"subtotal_amt": 12.5, "tax_amt": 2.16}, 10, [], [("li-1", "7.84"), ("tax", "2.16")]),
    ({"subtotal_amt": 12.5, "tax_amt": 2.16, "shipping_amt": 5}, 4, [], [("tax", "2.16"), ("shipping_rate", "1.84")]),
    ({"subtotal_amt": 12.5, "shipping_amt": 0}, 20, ["ABOVE_WHAT_WAS_PAID"], [("li-1", "17.84"), ("tax", "2.16")]),
    ({"quantity": 0}, 5, [], [("li-1", 5)]),
    ({"channel_item_refnum": "another"}, 5, ["LINE_UNKNOWN"], [("li-1", 5)]),
    ({"channel_item_refnum": "another", "tax_amt": 1}, 5, ["LINE_UNKNOWN"], [("li-1", 4), ("tax", 1)]),
]  # fmt: skip
"""What a return of one cap states, what it asks for, the events, and Rally's rows."""


def test_p19_rows_of_a_return_say_what_retailops_says(shop: Shop) -> None:
    for number, (content, amount, told, rows) in enumerate(RETURNS, 7):
        order = shop.buy_and_pull(skus={CAP: 2, MUG: 1})
        refnum = order["channel_order_refnum"]
        shop.ship(order, 501, CAP=2, MUG=1)
        answer = shop.give_back(
            number, amount, refnum, items=[{"channel_item_refnum": "li-1", "quantity": 1, **content}]
        )
        assert codes(answer) == told
        if told == ["ABOVE_WHAT_WAS_PAID"]:
            assert f"{amount}.00" in answer["events"][0]["message"]
        [refund] = shop.at_rally(refnum)["refunds"]
        assert [(name, amount) for name, _, amount in rows_of(refund)] == [(name, money(value)) for name, value in rows]
        assert money(refund["amount"]) == money(amount)


def test_p19_a_fee_withheld_from_the_whole_return_and_a_free_gift_leave_other_rows_as_stated(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={CAP: 2, MUG: 1, GIFT: 1})
    refnum = order["channel_order_refnum"]
    shop.ship(order, 501, CAP=2, MUG=1, GIFT=1)
    items = [
        {"channel_item_refnum": "li-1", "quantity": 1, "subtotal_amt": 12.5},
        {"channel_item_refnum": "li-2", "quantity": 1, "subtotal_amt": 7.5},
        {"channel_item_refnum": "li-3", "quantity": 1, "subtotal_amt": 0, "product_amt": 15},
    ]
    assert codes(shop.give_back(7, 19.16, refnum, items=items, tax_amt=2.16, shipping_amt=1)) == []
    [refund] = shop.at_rally(refnum)["refunds"]
    assert rows_of(refund) == [("li-1", 1, 10), ("li-2", 1, 6), ("tax", 1, money("2.16")), ("shipping_rate", 1, 1)]
    assert_books_hold(shop, refnum)
    unknown = shop.give_back(8, 3, refnum, refund_action="giveback", items=[])
    assert codes(unknown, "warning") == ["REFUND_ACTION_UNKNOWN"]
    assert len(shop.at_rally(refnum)["refunds"]) == 1


def test_p34_lines_of_one_sku_named_by_sku_alone_never_make_a_third_one(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={CAP: 2}, offer_skus={CAP: 1})
    refnum = order["channel_order_refnum"]
    charged = money(shop.at_rally(refnum)["charged"])
    seen = []
    for units in (3, 1, 3, 2, 3):
        assert codes(shop.update(refnum, {"order_item_id": 5, "sku": CAP, "quantity": units}), "error") == []
        if shop.at_rally(refnum)["snapshot"]:
            seen.append({name: row[0] for name, row in snapshot(shop, refnum)["rows"].items()})
    assert seen == [{"li-1": 1}, {"li-1": 2, "li-2": 1}, {"li-1": 2}, {"li-1": 2, "li-2": 1}]
    assert snapshot(shop, refnum)["total"] == charged
    shop.retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment={
        "retailops_shipment_id": 501, "packages": [{"retailops_package_id": 1, "tracking_number": "1Z1",
        "package_items": [{"sku": CAP, "quantity": 3}]}]})  # fmt: skip
    shop.give_back(7, 43, refnum, items=[{"sku": CAP, "quantity": 3, "subtotal_amt": 37.5}])
    shop.settle()
    counted: Counter[str] = Counter()
    for refund in shop.at_rally(refnum)["refunds"]:
        counted.update({name: count for name, count, _ in rows_of(refund)})
    assert (counted["li-1"], counted["li-2"]) == (2, 1)
    assert_books_hold(shop, refnum)


@pytest.mark.parametrize("is_on", [True, False])
def test_p19_shipping_goes_back_where_nothing_ships(open_shop: Callable[..., Shop], is_on: bool) -> None:
    shop = open_shop(rally=f"refund_shipping_when_nothing_ships = {str(is_on).lower()}")
    order = shop.buy_and_pull(skus={CAP: 1, MUG: 1})
    refnum = order["channel_order_refnum"]
    shop.complete(refnum, unshipped_items=[unshipped(order, 0, 1)])
    assert "shipping_rate" not in given_back(shop, refnum), "a unit is still open"
    answer = shop.complete(refnum, unshipped_items=[unshipped(order, 0, 1), unshipped(order, 1, 1)])
    assert (answer["status"], codes(answer)) == ("success", ["COMPLETION_CORRECTED"])
    assert given_back(shop, refnum)["shipping_rate"] == (5 if is_on else 0)
    assert_books_hold(shop, refnum)
    left = money(shop.at_rally(refnum)["charged"]) - money(shop.at_rally(refnum)["refunded"])
    assert left == (0 if is_on else 5)
    if is_on:
        assert shop.credit(5, payment(order))["message"].startswith("same as"), "shipping is the same money, too"
        other = shop.buy_and_pull(skus={CAP: 1, MUG: 1})
        shop.complete(other["channel_order_refnum"], unshipped_items=[unshipped(other, 0, 1), unshipped(other, 1, 1)])
        whole = shop.credit(str(shop.at_rally(other["channel_order_refnum"])["refunded"]), payment(other))
        assert whole["status"] == "success" and whole["message"].startswith("same as")
    shipped = shop.buy_and_pull(skus={CAP: 1, MUG: 1})
    shop.ship(shipped, 900, CAP=1)
    shop.complete(shipped["channel_order_refnum"], unshipped_items=[unshipped(shipped, 1, 1)])
    assert "shipping_rate" not in given_back(shop, shipped["channel_order_refnum"])


def test_p19_the_figures_of_an_order_are_decimal_and_those_of_its_currency(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(tables=TABLES, rally='currency = "JPY"')
    shop.push([record(1, CAP, "1250", Currency="JPY"), record(2, MUG, "999", Currency="JPY")])
    shop.settle()
    order = shop.buy_and_pull(skus={CAP: 3, MUG: 1}, coupon="TEN")
    refnum = order["channel_order_refnum"]
    shop.update(refnum, item(order, 0, 2))
    shop.ship(order, 501, CAP=1, MUG=1)
    shop.complete(refnum, unshipped_items=[unshipped(order, 0, 1)])
    assert_books_hold(shop, refnum)
    amounts = [money(refund["amount"]) for refund in shop.at_rally(refnum)["refunds"]]
    assert len(amounts) == 2 and all(amount == amount.to_integral_value() for amount in amounts)
    one = shop.buy(skus={CAP: 1, MUG: 1}, coupon="TEN")
    assert money(shop.at_rally(refnum)["charged"]) - sum(amounts) == money(shop.at_rally(one)["charged"])


def test_p19_in_yen_a_units_price_is_rounded_to_the_yen(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(tables=TABLES, rally='currency = "JPY"')
    shop.push([record(1, CAP, "1255", Currency="JPY")])
    shop.settle()
    order = shop.buy_and_pull(skus={CAP: 2}, coupon="TEN")
    refnum = order["channel_order_refnum"]
    for price, warnings in ((1129, []), (1130, []), (1128, ["PRICE_NOT_CHANGED"]), (1131, ["PRICE_NOT_CHANGED"])):
        answer = shop.update(refnum, item(order, 0, 2, unit_price=price))
        assert codes(answer) == warnings, "a unit cost 1129.5 after discounts"

    order = shop.buy_and_pull(skus={CAP: 3}, coupon="TEN")
    refnum = order["channel_order_refnum"]
    stated = {**unshipped(order, 0, 3), "effective_unit_price": 1129, "effective_extended_price": 3388}
    assert codes(shop.complete(refnum, unshipped_items=[stated])) == []
    rows = [row for refund in shop.at_rally(refnum)["refunds"] for row in refund["refunds"]]
    assert [row["amount"] for row in rows if row["type"] == "line_item"] == [3388], "the exact price"


class _Story:
    """An order that RetailOps changes, ships and completes, each statement in pieces and often twice."""

    def __init__(self, shop: Shop, dice: random.Random) -> None:
        self._shop, self._dice = shop, dice
        more = {"coupon": "TEN"} if dice.random() < 0.5 else {}
        self.bought = {CAP: dice.randint(1, 4), MUG: dice.randint(1, 3)}
        self.order = shop.buy_and_pull(skus=self.bought, **more)
        self.refnum = self.order["channel_order_refnum"]
        self.answer = shop.at_rally(self.refnum)["answer"]
        self.lines = {line["sku"]: at for at, line in enumerate(self.order["order_items"])}
        self.shipped = dict.fromkeys(self.bought, 0)

    def say(self, request: Callable[[], dict[str, Any]]) -> list[str]:
        first = request()
        if self._dice.random() < 0.5:
            request()
        return codes({"events": [], **first}, "error")

    def change(self) -> None:
        """Before anything ships: any units, up to what was bought at the end."""
        wanted = dict(self.bought)
        for _ in range(self._dice.randint(0, 4)):
            sku = self._dice.choice([CAP, MUG])
            units = self._dice.randint(0, self.bought[sku] + 1)
            if self._state(sku, units):
                wanted[sku] = units
        for sku, units in wanted.items():
            if units > self.bought[sku]:
                self._state(sku, self.bought[sku])

    def _state(self, sku: str, units: int) -> bool:
        """Whether it was taken: the last line of an order is not."""
        by_sku = {"order_item_id": self.lines[sku] + 1, "sku": sku, "quantity": units}
        named = by_sku if self._dice.random() < 0.3 else item(self.order, self.lines[sku], units)
        refused = self.say(lambda: self._shop.update(self.refnum, named))
        assert refused in ([], ["NO_LINES_LEFT"])
        return not refused

    def credit_a_part(self) -> None:
        """Of what was taken off, RetailOps asks for a part by itself."""
        held = self._shop.at_rally(self.refnum)
        more = money(held["charged"]) - (snapshot(self._shop, self.refnum)["total"] if held["snapshot"] else 0)
        if held["snapshot"] and more > 1 and self._dice.random() < 0.5:
            part = (more / self._dice.randint(2, 3)).quantize(Decimal("0.01"))
            self.say(lambda: self._shop.credit(str(part), payment(self.order)))

    def ship(self) -> None:
        answer = self._shop.step("order/fetch", order=self.refnum)["answer"]
        now = {line["sku"]: line["quantity"] for line in answer["line_items"]}
        self.shipped = {sku: self._dice.randint(0, now.get(sku, 0)) for sku in self.bought}
        for number, (sku, units) in enumerate(self.shipped.items(), 501):
            if units:
                assert self.say(lambda n=number, s=sku, u=units: self._shop.ship(self.order, n, **{s: u})) == []  # type: ignore[misc]

    def complete(self) -> None:
        open_units = {sku: self.bought[sku] - self.shipped[sku] for sku in self.bought}
        if any(self.shipped.values()) and self._dice.random() < 0.5:
            # Taken off after shipping has begun: everything that has not left.
            for sku, units in self.shipped.items():
                self._shop.update(self.refnum, item(self.order, self.lines[sku], units))
            self.say(lambda: self._shop.complete(self.refnum))
        pieces = [{sku} for sku in self.bought] if self._dice.random() < 0.5 else [set(self.bought)]
        self._dice.shuffle(pieces)
        for at in range(len(pieces)):
            named = [
                unshipped(self.order, self.lines[sku], open_units[sku])
                for sku in set().union(*pieces[: at + 1])
                if open_units[sku]
            ]
            self.say(lambda n=named: self._shop.complete(self.refnum, unshipped_items=n))  # type: ignore[misc]

    def kept(self) -> Decimal:
        """What the shipped units and shipping cost, worked out here from the order as it was bought."""
        rates = [money(tax["tax_rate"]) for tax in self.answer["taxes"]]
        total = Decimal(5) if any(self.shipped.values()) else Decimal(0)
        for line in self.answer["line_items"]:
            units = self.shipped[line["sku"]]
            discount = money(line["discount_amount"]) * units / line["quantity"]
            goods = money(line["discounted_price"]) * units - _cents(discount)
            total += goods + sum(_cents(goods * rate) for rate in rates)
        return total


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


@pytest.mark.both_databases
def test_p19_over_random_orders_the_books_at_rally_equal_what_retailops_stated(shop: Shop, seed: int) -> None:
    for number in range(4):
        story = _Story(shop, random.Random(seed + number))
        story.change()
        story.credit_a_part()
        story.ship()
        story.complete()
        shop.settle()
        held = shop.at_rally(story.refnum)
        assert money(held["charged"]) - money(held["refunded"]) == story.kept(), f"{number}: {story.refnum}"
        assert_books_hold(shop, story.refnum, story.answer)
        assert shop.deliveries("owed", "checking", "parked", "refused") == [], f"{number}"
