"""Rally where an order's life leaves the usual road: late money, late refunds, purged orders, a person's word."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import select, update

from app import cli
from app.contract.schemas import Contract
from app.records.refund_releases import release
from app.records.tables.deliveries import deliveries
from app.records.tables.orders import held_back
from app.records.tables.storefront import orders as orders_table
from app.storefront import order_expiry
from app.storefront import order_store as kept
from tests.command_line import unset_ours
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, channel_text, money, opened
from tests.retailops import codes
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases

OPEN = Callable[..., Shop]

HELD = {"fraud_review_transaction": {"id": 1}}
CLEARED: dict[str, Any] = {"fraud_review_transaction": {}}


@pytest.fixture
def open_shop(build_app: Callable[..., Flask], contract: Contract) -> Iterator[OPEN]:
    with ExitStack() as stack:

        def start(**how: Any) -> Shop:
            shop = stack.enter_context(opened(build_app, contract, **how))
            shop.offer(TEE=50, MUG=50)
            shop.forget()
            return shop

        yield start


@pytest.fixture
def shop(open_shop: OPEN) -> Shop:
    return open_shop()


def may_still_arrive(shop: Shop) -> bool:
    """Whether an attempt that was given up holds up the next call of its order."""
    with shop.database.read() as connection:
        late = select(deliveries.c.id).where(deliveries.c.late_until > shop.database.clock())
        return connection.execute(late).first() is not None


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch, shop: Shop, database_url: str) -> Callable[..., Result]:
    """The command line beside the running server."""
    unset_ours(monkeypatch)
    environment = {
        "APP_ENV": "development",
        "DATABASE_URL": database_url,
        "CHANNELS": channel_text(shop.rally.url),
    }
    return lambda *args: CliRunner().invoke(cli.cli, ["deliveries", *args], env=environment)


def shown_status(shop: Shop, refnum: str) -> str:
    return str(shop.step("order/fetch", order=refnum)["answer"]["status"])


def test_an_update_that_leaves_no_line_changes_nothing_and_says_to_cancel(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2, MUG: 1})
    refnum = order["channel_order_refnum"]
    gone = [
        {"order_item_id": at, "channel_item_refnum": line["channel_item_refnum"], "sku": line["sku"], "quantity": 0}
        for at, line in enumerate(order["order_items"], 1)
    ]
    answer = shop.update(refnum, *gone)
    assert codes(answer, "error") == ["NO_LINES_LEFT"]
    assert [item["quantity"] for item in answer["line_items"]] == [2, 1]
    assert shop.told("order-update") == [] and shop.step("order/fetch", order=refnum)["outcome"] == "good"
    assert shop.retailops.cancel(refnum)["status"] == "success"
    assert money(shop.at_rally(refnum)["refunded"]) == money(shop.at_rally(refnum)["charged"])


def test_p19_money_that_came_after_the_hand_out_goes_back_with_the_rest(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 1})
    refnum = order["channel_order_refnum"]
    late = {"external_id": "ch_late", "amount": 7.25}
    assert shop.step("order/update", order=refnum, transactions=[late])["outcome"] == "good"
    charged = money(shop.at_rally(refnum)["charged"])
    assert charged == money(order["payment_transactions"][0]["amount"]) + money("7.25")
    assert shop.retailops.cancel(refnum)["status"] == "success"
    assert money(shop.at_rally(refnum)["refunded"]) == charged


ALL_FREE = """
[[channel.rally.shipping]]
id = "gift"
title = "Gift"
price = "0.00"
countries = ["US"]

[[channel.rally.coupon]]
code = "ALL"
percent = "100"
"""


def test_p19_money_that_came_for_an_order_that_cost_nothing_goes_back_with_it(open_shop: OPEN) -> None:
    shop = open_shop(tables=ALL_FREE)
    refnum = shop.buy_and_pull(skus={TEE: 1}, shipping="gift", coupon="ALL")["channel_order_refnum"]
    assert shop.at_rally(refnum)["charged"] == 0
    late = {"external_id": "ch_late", "amount": 7.25}
    assert shop.step("order/update", order=refnum, transactions=[late])["outcome"] == "good"
    assert shop.retailops.cancel(refnum)["status"] == "success"
    assert money(shop.at_rally(refnum)["refunded"]) == money("7.25")


def test_p19_money_that_came_after_all_had_gone_back_goes_back_once_by_us_or_by_the_merchant(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 1})
    refnum, [payment] = order["channel_order_refnum"], order["payment_transactions"]
    assert shop.credit(payment["amount"], payment["refnum"])["status"] == "success"
    shop.settle()
    assert shop.at_rally(refnum)["status"] == "refunded"
    for amount, is_merchants in ((15, False), (16, False), (17, True)):
        late = {"external_id": f"ch_{amount}", "amount": amount}
        assert shop.step("order/update", order=refnum, transactions=[late])["outcome"] == "good"
        if is_merchants:
            assert shop.step("order/update", order=refnum, status="refunded")["outcome"] == "good"
        assert shop.credit(amount, f"ch_{amount}")["status"] == "success"
        shop.settle()
        held = shop.at_rally(refnum)
        assert (money(held["refunded"]), held["status"]) == (money(held["charged"]), "refunded")
    assert [(refund["by"], money(refund["amount"])) for refund in held["refunds"]] == [
        ("connector", money(payment["amount"])), ("connector", 15), ("connector", 16), ("rally", 17),
    ]  # fmt: skip


def test_p19_money_that_comes_after_the_merchants_own_refund_goes_back_by_us(shop: Shop) -> None:
    """The merchant gave back what was there then; of the rest nobody has, so that a credit of it pays."""
    order = shop.buy_and_pull(skus={TEE: 1})
    refnum, [payment] = order["channel_order_refnum"], order["payment_transactions"]
    assert shop.step("order/update", order=refnum, status="refunded")["outcome"] == "good"
    for amount in (15, 16):
        late = {"external_id": f"ch_{amount}", "amount": amount}
        assert shop.step("order/update", order=refnum, transactions=[late])["outcome"] == "good"
        assert shop.credit(amount, f"ch_{amount}")["status"] == "success"
    assert shop.credit(payment["amount"], payment["refnum"])["status"] == "success", "the merchant has"
    shop.settle()
    held = shop.at_rally(refnum)
    assert [(refund["by"], money(refund["amount"])) for refund in held["refunds"]] == [
        ("rally", money(payment["amount"])), ("connector", 15), ("connector", 16),
    ]  # fmt: skip
    assert (money(held["refunded"]), held["status"]) == (money(held["charged"]), "refunded")


def test_r18_a_cancellation_is_told_although_the_sums_of_the_order_do_not_match_any_more(shop: Shop) -> None:
    changed = shop.buy_and_pull(skus={TEE: 3})["channel_order_refnum"]
    answer = shop.update(changed, {"order_item_id": 1, "channel_item_refnum": "li-1", "sku": TEE, "quantity": 2})
    assert codes(answer) == ["PAID_MORE"]
    paid_late = shop.buy_and_pull(skus={TEE: 1})["channel_order_refnum"]
    shop.step("order/update", order=paid_late, transactions=[{"external_id": "ch_late", "amount": 7.25}])
    doubted = shop.buy(skus={TEE: 1})
    assert [order["channel_order_refnum"] for order in shop.retailops.pull()] == [doubted]
    shop.step("order/update", order=doubted, more=HELD)
    for refnum in (changed, paid_late, doubted):
        assert shop.step("order/update", order=refnum, status="refunded")["outcome"] == "good"
    told = {order["channel_order_refnum"]: order["cancel"] for order in shop.retailops.pull()}
    assert told == {changed: True, paid_late: True, doubted: True}


def test_p18_an_order_that_gets_money_while_it_is_handed_out_waits_for_a_person_and_then_goes_out_whole(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    refnum = shop.buy(skus={TEE: 1})
    fetch = shop.gateway.orders.fetch_orders

    def overtaken(*args: Any) -> Iterator[Any]:
        yield from fetch(*args)
        shop.step("order/update", order=refnum, offer_skus={MUG: 1})

    with monkeypatch.context() as patched:
        patched.setattr(shop.gateway.orders, "fetch_orders", overtaken)
        assert shop.retailops.pull() == []
    assert shop.retailops.pull() == [], "the line came after the invoice: it is passed over, its money is kept"
    with shop.database.read() as connection:
        [reason] = connection.execute(select(held_back.c.reason)).scalars()
    assert reason.startswith("SUMS_DIFFER")
    shop.update(refnum, {"order_item_id": 9, "sku": MUG, "quantity": 1, "unit_price": 20})
    [order] = shop.retailops.pull()
    assert [line["sku"] for line in order["order_items"]] == [TEE, MUG]
    assert len(order["payment_transactions"]) == 2


def test_an_order_charged_otherwise_than_it_comes_to_is_mended_or_called_off_by_the_operator(shop: Shop) -> None:
    mended, dropped = shop.buy(skus={TEE: 1}), shop.buy(skus={TEE: 1})
    for refnum in (mended, dropped):
        shop.step("order/update", order=refnum, transactions=[{"external_id": f"ch-{refnum}", "amount": 7.25}])
    assert shop.retailops.pull() == []
    with shop.database.read() as connection:
        reasons = connection.execute(select(held_back.c.reason)).scalars().all()
    assert len(reasons) == 2 and all("order_update" in reason and "order_cancel" in reason for reason in reasons)
    shop.update(mended, {"order_item_id": 9, "sku": MUG, "quantity": 1, "unit_price": 7.25})
    [order] = shop.retailops.pull()
    assert [(line["sku"], line["quantity"]) for line in order["order_items"]] == [(TEE, 1), (MUG, 1)]
    assert shop.retailops.cancel(dropped)["status"] == "success"
    assert money(shop.at_rally(dropped)["refunded"]) == money(shop.at_rally(dropped)["charged"])


def test_a_fraud_review_does_not_take_back_an_order_retailops_has(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    order = shop.buy_and_pull(skus={TEE: 2})
    refnum = order["channel_order_refnum"]
    with caplog.at_level(logging.WARNING):
        assert shop.step("order/update", order=refnum, more=HELD)["answer"]["status"] == "paid"
    assert "fraud review" in caplog.text
    shop.ship(order, 501, TEE=1)
    assert [item["status"] for item in shop.at_rally(refnum)["statuses"]] == ["pending", "paid", "paid"]
    assert [one["channel_order_refnum"] for one in shop.retailops.pull(specific_orders=[{"channel_refnum": refnum}])]


def test_units_that_ship_during_a_fraud_review_make_the_order_paid_for_good(shop: Shop) -> None:
    refnum = shop.buy(skus={TEE: 2})
    [order] = shop.retailops.pull()
    assert shop.step("order/update", order=refnum, more=HELD)["answer"]["status"] == "pending"
    shop.retailops.acknowledge(refnum)
    shop.ship(order, 501, TEE=1)
    shop.step("order/update", order=refnum, more=HELD)
    shop.step("order/update", order=refnum, more=CLEARED)
    assert [item["status"] for item in shop.at_rally(refnum)["statuses"]] == ["pending", "paid", "pending", "paid"]


def test_an_order_released_without_paid_is_told_as_paid_from_its_hand_out_on(open_shop: OPEN) -> None:
    shop = open_shop(rally="release_unpaid_after_minutes = 0.000001")
    shop.buy(skus={TEE: 2}, is_paid=False)
    [order] = shop.retailops.pull()
    shop.retailops.acknowledge(order["channel_order_refnum"])
    shop.ship(order, 501, TEE=1)
    assert [call["body"]["status"] for call in shop.told("order-status-update")] == ["paid"]
    assert shown_status(shop, order["channel_order_refnum"]) == "paid"


def test_hooks_and_webhooks_say_the_same_status_where_the_merchant_has_its_own(open_shop: OPEN) -> None:
    shop = open_shop(rally='cancel_status = "completed"')
    refnum = shop.buy_and_pull(skus={TEE: 1})["channel_order_refnum"]
    shop.retailops.cancel(refnum)
    assert shown_status(shop, refnum) == shop.at_rally(refnum)["status"] == "completed"


def test_what_has_shipped_is_not_called_off_by_a_refund_at_rally(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2})
    refnum = order["channel_order_refnum"]
    shop.ship(order, 501, TEE=1)
    assert shop.step("order/update", order=refnum, status="refunded")["outcome"] == "good"
    assert shop.retailops.pull() == [], "RetailOps has shipped it: a cancellation would be a lie"
    assert codes(shop.give_back(7, 20, refnum), "error") == []
    assert money(shop.at_rally(refnum)["refunded"]) == money(shop.at_rally(refnum)["charged"])


def forget(shop: Shop, refnum: str) -> None:
    """The order's date has passed."""
    with shop.database.write() as connection:
        now = shop.gateway.shop.clock()
        connection.execute(
            update(orders_table).where(orders_table.c.refnum == refnum).values(purge_after=now - timedelta(days=1))
        )
        order_expiry.purge(connection, [(shop.name, refnum)], now)
        assert kept.get(connection, shop.name, refnum) is None


def test_p32_goods_of_a_purged_order_are_still_paid_back_once_and_its_states_told(shop: Shop) -> None:
    order = shop.buy_and_pull(skus={TEE: 2})
    refnum, [line] = order["channel_order_refnum"], order["order_items"]
    shop.ship(order, 501, TEE=1)
    forget(shop, refnum)
    assert codes(shop.ship(order, 502, TEE=1)) == ["ORDER_PAST_DATE"]
    assert shop.at_rally(refnum)["status"] == "completed"
    assert codes(shop.complete(refnum)) == ["ORDER_PAST_DATE"]
    item = {"channel_item_refnum": line["channel_item_refnum"], "sku": TEE, "quantity": 1, "subtotal_amt": 20}
    answer = shop.give_back(7, 22, refnum, items=[item], tax_amt=2)
    assert (codes(answer), len(answer["payment_transactions"])) == ([], 1)
    [refund] = shop.at_rally(refnum)["refunds"]
    assert [(row["type"], money(row["amount"])) for row in refund["refunds"]] == [("line_item", 20), ("tax", 2)]
    assert shop.give_back(7, 22, refnum, items=[item], tax_amt=2) == answer
    left = money(shop.at_rally(refnum)["charged"]) - 22
    assert shop.credit(float(left), order["payment_transactions"][0]["refnum"])["status"] == "success"
    shop.settle()
    assert shop.at_rally(refnum)["status"] == "refunded" and shop.deliveries("owed", "checking", "parked") == []
    assert shop.view("warnings") == []


def test_p9_a_refund_an_operator_has_seen_at_rally_counts_as_paid_with_all_that_follows(
    shop: Shop, operator: Callable[..., Result]
) -> None:
    order = shop.buy_and_pull(skus={TEE: 1})
    refnum = order["channel_order_refnum"]
    whole = money(shop.at_rally(refnum)["charged"])
    shop.fault("reset_after", path="webhooks/order-refund-create")
    assert codes(shop.give_back(7, float(whole), refnum)) == ["REFUND_OWED"]
    shop.settle()
    assert money(shop.at_rally(refnum)["refunded"]) == whole and shop.at_rally(refnum)["status"] == "paid"
    with shop.database.read() as connection:
        number = connection.execute(select(deliveries.c.id).where(deliveries.c.state == "parked")).scalar_one()
    assert "confirm" in operator("show", str(number)).output
    assert operator("confirm").exit_code == 2 and operator("confirm", "9999", "--yes", "--reason", "why").exit_code == 1
    done = operator("confirm", str(number), "--yes", "--refnum", "re_17", "--reason", "seen at Rally", "--json")
    assert done.exit_code == 0 and msgspec.json.decode(done.stdout)["done"][0]["id"] == number, done.output
    shop.settle()
    [entry] = shop.ledger(order=refnum)
    assert (entry.state, entry.refnum) == ("accepted", "re_17")
    assert shop.at_rally(refnum)["status"] == "refunded", "nothing is left of it, so Rally is told"
    [transaction] = shop.give_back(7, float(whole), refnum)["payment_transactions"]
    assert (money(transaction["amount"]), transaction["refnum"]) == (whole, "re_17")
    assert len(shop.at_rally(refnum)["refunds"]) == 1 and shop.deliveries("parked", "owed") == []
    assert operator("confirm", str(number), "--yes", "--reason", "why").exit_code == 1
    assert "seen at Rally" in operator("show", str(number)).output


def test_a_credit_of_unknown_outcome_is_never_sent_again_but_given_free_for_the_next_one(
    shop: Shop, operator: Callable[..., Result]
) -> None:
    order = shop.buy_and_pull(skus={TEE: 1})
    [payment] = order["payment_transactions"]
    shop.fault("reset_before", path="webhooks/order-refund-create")
    assert shop.credit(10, payment["refnum"])["status"] == "timeout"
    shop.settle()
    with shop.database.read() as connection:
        number = connection.execute(select(deliveries.c.id).where(deliveries.c.state == "parked")).scalar_one()
    refused = operator("retry", str(number), "--even-if-done")
    assert refused.exit_code == 1 and "confirm it, or drop it" in refused.output
    assert operator("drop", str(number), "--yes", "--reason", "why").exit_code == 0
    [entry] = shop.ledger()
    with shop.database.write() as connection:
        assert release(connection, entry.id, shop.gateway.shop.clock()) == "given_free"
    eventually(lambda: not may_still_arrive(shop))  # the first attempt, whose connection broke off
    assert shop.credit(10, payment["refnum"])["status"] == "success"
    assert money(shop.at_rally(order["channel_order_refnum"])["refunded"]) == 10


def test_first_pulls_at_once_are_all_answered(shop: Shop) -> None:
    refnum = shop.buy(skus={TEE: 1})
    with ThreadPoolExecutor(6) as pool:
        pulled = list(pool.map(lambda _: shop.retailops.pull(), range(6)))
    assert [[order["channel_order_refnum"] for order in orders] for orders in pulled] == [[refnum]] * 6
