"""Units sold are not sold again: reserved from the order on, until RetailOps' own figure counts them (R25)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from app.contract.schemas import Contract
from app.records.tables.storefront import reservations as table
from app.storefront import reservations
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, opened
from tests.retailops import codes

GRACE_S = 300.0


@pytest.fixture
def open_shop(build_app: Callable[..., Flask], contract: Contract) -> Iterator[Callable[..., Shop]]:
    with ExitStack() as stack:

        def start() -> Shop:
            shop = stack.enter_context(opened(build_app, contract))
            shop.gateway.orders.reserve_grace_s = GRACE_S
            shop.offer(TEE=10, MUG=10)
            return shop

        yield start


@pytest.fixture
def shop(open_shop: Callable[..., Shop]) -> Shop:
    return open_shop()


def reserved(shop: Shop) -> dict[str, int]:
    with shop.database.read() as connection:
        return reservations.reserved_units(connection, "shop", [TEE, MUG])


def at_rally(shop: Shop) -> dict[str, int]:
    shop.settle()
    return {row["sku"]: row["value"] for row in shop.view("stock")}


def pass_grace(shop: Shop) -> None:
    """The acknowledgements become older than the grace."""
    with shop.database.write() as connection:
        rows = connection.execute(table.select().where(table.c.acknowledged_at.is_not(None))).all()
        for row in rows:
            older = row.acknowledged_at - timedelta(seconds=GRACE_S + 1)
            connection.execute(
                update(table).where(table.c.order_refnum == row.order_refnum).values(acknowledged_at=older)
            )


@pytest.mark.both_databases
def test_units_are_subtracted_from_the_order_on_and_no_push_before_the_acknowledgement_counts(shop: Shop) -> None:
    refnum = shop.buy(skus={TEE: 3})
    assert at_rally(shop) == {TEE: 7, MUG: 10}
    shop.set_stock(TEE=12)
    assert at_rally(shop)[TEE] == 9, "RetailOps does not know of the order yet"
    shop.retailops.pull()
    shop.retailops.acknowledge(refnum)
    shop.set_stock(TEE=11)
    assert at_rally(shop)[TEE] == 8, "a figure so soon after may have been taken before"
    pass_grace(shop)
    shop.set_stock(MUG=9)
    assert reserved(shop) == {TEE: 3}, "that figure was another SKU's"
    shop.set_stock(TEE=11)
    assert (at_rally(shop), reserved(shop)) == ({TEE: 11, MUG: 9}, {})


def test_the_same_figure_again_frees_the_units_and_is_told(shop: Shop) -> None:
    refnum = shop.buy(skus={TEE: 3})
    shop.retailops.pull()
    shop.retailops.acknowledge(refnum)
    pass_grace(shop)
    assert at_rally(shop)[TEE] == 7
    shop.set_stock(TEE=10)
    assert at_rally(shop)[TEE] == 10, "received as many as were sold"


def test_a_second_acknowledgement_does_not_begin_the_grace_anew(shop: Shop) -> None:
    refnum = shop.buy(skus={TEE: 3})
    shop.retailops.pull()
    shop.retailops.acknowledge(refnum)
    pass_grace(shop)
    answer = shop.retailops.ask(
        "order_acknowledge", orders=[{"channel_order_refnum": refnum, "retailops_order_id": 999}]
    )
    assert codes(answer) == ["RETAILOPS_ID_CHANGED"]
    shop.set_stock(TEE=7)
    assert reserved(shop) == {}


@pytest.mark.both_databases
@pytest.mark.parametrize("tells", ["a shipment", "a completion"])
def test_r25_retailops_counts_an_order_that_ships_or_ends_with_no_acknowledgement(shop: Shop, tells: str) -> None:
    refnum = shop.buy(skus={TEE: 3})
    [order] = shop.retailops.pull()
    if tells == "a shipment":
        shop.ship(order, 501, TEE=2)
    else:
        unshipped = [{"sku": TEE, "unshipped_quantity": 3}]
        shop.complete(refnum, unshipped_items=unshipped)
    pass_grace(shop)
    shop.set_stock(TEE=8)
    assert (at_rally(shop)[TEE], reserved(shop)) == (8, {})


def test_more_reserved_than_there_is_leaves_nothing_for_sale(shop: Shop) -> None:
    shop.buy(skus={TEE: 4})
    shop.set_stock(TEE=2)
    assert at_rally(shop)[TEE] == 0
    assert shop.checkout(skus={TEE: 1})["steps"][-1]["error"].startswith("422 out_of_stock")


@pytest.mark.both_databases
@pytest.mark.parametrize("is_acknowledged", [False, True])
def test_a_cancellation_frees_the_units_of_its_order_alone(shop: Shop, is_acknowledged: bool) -> None:
    first, second = shop.buy(skus={TEE: 3, MUG: 1}), shop.buy(skus={TEE: 2})
    shop.retailops.pull()
    if is_acknowledged:
        shop.retailops.acknowledge(first, second)
    assert at_rally(shop) == {TEE: 5, MUG: 9}
    assert shop.retailops.cancel(first)["status"] == "success"
    assert (at_rally(shop), reserved(shop)) == ({TEE: 8, MUG: 10}, {TEE: 2})


@pytest.mark.both_databases
def test_r25_a_cancellation_frees_the_units_only_once_rally_has_accepted_it(shop: Shop) -> None:
    refused, owed = shop.buy(skus={TEE: 3}), shop.buy(skus={MUG: 2})
    shop.retailops.pull()
    shop.retailops.acknowledge(refused, owed)
    shop.fault("status", code=422, path="webhooks/order-status")
    assert shop.retailops.cancel(refused)["status"] == "fail"
    assert (at_rally(shop), reserved(shop)) == ({TEE: 7, MUG: 8}, {TEE: 3, MUG: 2}), "RetailOps will ship it after all"
    assert shop.retailops.cancel(refused)["status"] == "success"
    assert (at_rally(shop), reserved(shop)) == ({TEE: 10, MUG: 8}, {MUG: 2})
    shop.fault("status", code=503, path="webhooks/order-status")
    assert codes(shop.retailops.cancel(owed)) == ["OWED"] and reserved(shop) == {MUG: 2}
    assert (at_rally(shop), reserved(shop)) == ({TEE: 10, MUG: 10}, {}), "accepted in the background"


def test_r25_retailops_counts_an_order_that_it_cancels_with_no_acknowledgement(shop: Shop) -> None:
    refnum = shop.buy(skus={TEE: 3})
    shop.retailops.pull()
    shop.fault("status", code=422, path="webhooks/order-status")
    assert shop.retailops.cancel(refnum)["status"] == "fail"
    pass_grace(shop)
    shop.set_stock(TEE=7)
    assert (at_rally(shop)[TEE], reserved(shop)) == (7, {})


def test_what_the_merchant_called_off_at_rally_is_for_sale_again(shop: Shop) -> None:
    refnum = shop.buy(skus={TEE: 3})
    assert at_rally(shop)[TEE] == 7
    shop.step("order/update", order=refnum, status="refunded")
    assert (at_rally(shop)[TEE], reserved(shop)) == (10, {})


@pytest.mark.both_databases
def test_sales_acknowledgements_pushes_and_cancellations_at_once_lose_no_unit(shop: Shop, seed: int) -> None:
    shop.set_stock(TEE=500, MUG=500)
    sold: list[str] = []
    cancelled: list[str] = []

    def sell(dice: random.Random) -> None:
        sold.append(shop.buy(skus={TEE: dice.randint(1, 3), MUG: 1}))

    def push(dice: random.Random) -> None:
        # The figure stays: only the units of orders change what may be sold.
        assert codes(shop.set_stock(**dict(dice.sample([(TEE, 500), (MUG, 500)], 2)))) == []

    def acknowledge(dice: random.Random) -> None:
        pulled = [order["channel_order_refnum"] for order in shop.retailops.pull()]
        shop.retailops.acknowledge(*dice.sample(pulled, len(pulled)))

    def cancel(dice: random.Random) -> None:
        if sold:
            refnum = dice.choice(sold)
            assert shop.retailops.cancel(refnum)["status"] == "success"
            cancelled.append(refnum)

    def live(number: int) -> None:
        dice = random.Random(seed * 10 + number)
        for _ in range(8):
            dice.choice([sell, sell, push, push, acknowledge, cancel])(dice)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(live, range(4)))
    expected = Counter({TEE: 0, MUG: 0})
    for refnum in set(sold) - set(cancelled):
        for line in shop.at_rally(refnum)["answer"]["line_items"]:
            expected[line["sku"]] += line["quantity"]
    assert Counter(reserved(shop)) == +expected
    assert at_rally(shop) == {sku: 500 - units for sku, units in expected.items()}
