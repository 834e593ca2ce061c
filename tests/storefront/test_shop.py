"""The shop by itself: a cart becomes one order, which grows until it goes to RetailOps; no vendor takes part."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from app.domain.commands import LineChange, OrderChange
from app.domain.orders import HeldBack, Order
from app.records.database import Database
from app.storefront import carts, reservations
from app.storefront.cart_document import new_cart_id
from app.storefront.kept_orders import KeptOrders
from app.storefront.order_source import OrderSource
from app.storefront.refusals import ShopRefused
from app.storefront.requests import StatedLine
from tests.databases import owed_levels
from tests.storefront.stage import Till, wanted

WHOLE = Decimal("37.48")
"""A tee to Austin: 30.00, 8.25 percent tax, 5.00 shipping."""


class Unreadable(Exception):
    """A vendor's own error for a body that cannot be read."""


@pytest.fixture
def till(database: Database) -> Till:
    built = Till(database)
    built.offer(TEE=5, MUG=2)
    return built


def sellable(till: Till) -> dict[str, int]:
    with till.database.read() as connection:
        return reservations.sellable(connection, "first", "acme", {"TEE", "MUG", "NONE"})


def reason_of(error: pytest.ExceptionInfo[ShopRefused]) -> str:
    return error.value.reason


@pytest.mark.both_databases
def test_a_cart_becomes_an_order_that_holds_its_units_and_is_numbered_as_the_shop_numbers(till: Till) -> None:
    cart = till.cart(TEE=2)
    shown = till.buy(cart)
    assert shown.document.refnum.startswith("ACM-") and shown.is_placed and till.woken == [1]
    assert (shown.state, shown.units) == ("pending", {"TEE": 3}), "shown less what this very order holds"
    assert sellable(till) == {"TEE": 3, "MUG": 2, "NONE": 0}
    with till.database.read() as connection:
        assert owed_levels(connection) == 2, "the vendor is sent what is left"
    with pytest.raises(ShopRefused) as refused:
        carts.fetch(till.shop, cart.cart.cart_id, is_offers_only=False)
    assert reason_of(refused) == "cart_not_found"


@pytest.mark.both_databases
def test_p10_one_cart_bought_ten_times_at_once_is_one_order(till: Till) -> None:
    cart = till.cart(TEE=1)
    with ThreadPoolExecutor(10) as threads:
        shown = list(threads.map(lambda _: till.buy(cart, paid=WHOLE), range(10)))
    assert len({order.document.refnum for order in shown}) == 1
    assert {order.document.paid for order in shown} == {WHOLE}
    assert sellable(till)["TEE"] == 4


@pytest.mark.both_databases
def test_the_last_units_are_sold_once(till: Till) -> None:
    till.offer(TEE=3)
    made = [till.cart(TEE=1) for _ in range(6)]

    def buy(at: int) -> str:
        try:
            return till.buy(made[at]).state
        except ShopRefused as refused:
            return refused.reason

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(buy, range(6))) == ["out_of_stock"] * 3 + ["pending"] * 3
    assert sellable(till)["TEE"] == 0


def test_without_a_payment_method_nothing_is_placed_and_the_cart_stays(till: Till) -> None:
    cart = till.cart(TEE=1)
    shown = till.buy(cart, method=None)
    assert (shown.is_placed, shown.document.total, till.stored(shown.document.refnum)) == (False, WHOLE, None)
    assert shown.units == {"TEE": 5}
    assert carts.fetch(till.shop, cart.cart.cart_id, is_offers_only=False).cart.lines


def test_what_cannot_be_read_is_the_vendors_error_and_nothing_is_changed(till: Till) -> None:
    cart = till.cart(TEE=1)

    def unreadable() -> list[StatedLine]:
        raise Unreadable

    with pytest.raises(Unreadable):
        till.buy(cart, read_lines=unreadable)
    assert sellable(till)["TEE"] == 5
    made = till.buy(cart)
    again = till.buy(cart, read_lines=unreadable)
    assert again.document == made.document, "of an order that is placed nothing more has to be read"


def test_p37_a_difference_is_refused_once_and_then_an_order_that_a_person_has_to_see(till: Till) -> None:
    cart = till.cart(TEE=1)
    with pytest.raises(ShopRefused) as refused:
        till.buy(cart, paid=Decimal("1.00"))
    assert reason_of(refused) == "cart_differs"
    till.buy(cart, paid=Decimal("1.00"))
    with till.database.read() as connection:
        assert connection.exec_driver_sql("select reason from held_back").scalars().one().startswith("SUMS_DIFFER")
    other = till.cart(MUG=1)
    with pytest.raises(ShopRefused):
        till.buy(other, read_lines=lambda: [])
    doubted = till.buy(other, read_lines=lambda: [])
    till.tell(doubted.document.refnum, is_called_paid=True)
    [candidate] = OrderSource(till.shop).named([doubted.document.refnum])
    assert isinstance(candidate.order, HeldBack)
    assert candidate.order.reason.startswith("LINES_DIFFER: Acme insists on other lines")


@pytest.mark.both_databases
def test_p17_an_order_grows_until_it_is_called_paid_and_keeps_money_that_comes_later(till: Till) -> None:
    refnum = till.buy(till.cart(TEE=1), paid=WHOLE).document.refnum
    source = OrderSource(till.shop)
    assert source.named([refnum]) == [] and source.sketch(refnum) is None
    grown = till.tell(refnum, *wanted(Decimal(10), MUG=1), paid=Decimal(10))
    again = till.tell(refnum, *wanted(Decimal(10), MUG=1), paid=Decimal(10))
    assert [line.sku for line in grown.document.lines] == [line.sku for line in again.document.lines] == ["TEE", "MUG"]
    assert sellable(till) == {"TEE": 4, "MUG": 1, "NONE": 0}
    with pytest.raises(ShopRefused) as refused:
        till.tell(refnum, *wanted(Decimal(10), MUG=2), paid=Decimal(10), charged=[])
    assert reason_of(refused) == "out_of_stock"
    assert till.tell(refnum, is_called_paid=True).state == "paid"
    late = till.tell(refnum, *wanted(Decimal(1), MUG=1), paid=Decimal(1), charged=[])
    assert len(late.document.lines) == 2
    [chunk] = list(source.chunks(None, int(till.clock().timestamp() * 1000)))
    [order] = [candidate.order for candidate in chunk]
    assert isinstance(order, Order)
    assert (order.tags, order.attributes[0].handle) == (("acme", "post_purchase_offer"), "acme_cart")
    assert [payment.payment_type for payment in order.payments] == ["visa", "visa"]


def test_an_order_called_refunded_is_called_off_and_frees_its_units(till: Till) -> None:
    refnum = till.buy(till.cart(TEE=2)).document.refnum
    assert till.tell(refnum, is_called_refunded=True).state == "refunded"
    assert sellable(till)["TEE"] == 5
    now_ms = int(till.clock().timestamp() * 1000)
    assert OrderSource(till.shop).called_off(None, now_ms).refnums == (refnum,)


def test_lines_changed_by_retailops_say_what_the_vendor_cannot_do(till: Till) -> None:
    refnum = till.buy(till.cart(TEE=1), paid=WHOLE).document.refnum
    line = LineChange("new-1", "MUG", 1, Decimal(-1))
    more = LineChange("new-2", "MUG", 1, Decimal(4))
    with till.database.write() as connection:
        outcome = KeptOrders(till.shop).change_lines(connection, OrderChange(refnum, (line, more)))
    said = {event.code: event.message for event in outcome.events}
    assert set(said) == {"PRICE_BELOW_ZERO", "NOT_COVERED"}
    assert "which Acme refuses" in said["PRICE_BELOW_ZERO"] and "Acme cannot charge" in said["NOT_COVERED"]


@pytest.mark.both_databases
@pytest.mark.parametrize("is_repeated", [False, True], ids=["update", "create"])
def test_p32_news_of_an_order_that_is_over_keep_nobodys_data_longer(till: Till, is_repeated: bool) -> None:
    cart = till.cart(TEE=1)
    refnum = till.buy(cart).document.refnum

    def dated_after(days: int, key: str) -> datetime:
        """The order's date once money has come so many days later."""
        till.clock.now += timedelta(days=days)
        shown = till.buy(cart, paid=WHOLE, key=key) if is_repeated else till.tell(refnum, paid=WHOLE, key=key)
        assert key in [transaction.external_id for transaction in shown.document.transactions]
        stored = till.stored(refnum)
        assert stored is not None
        return stored.purge_after

    assert dated_after(170, "t-1") == till.clock.now + timedelta(days=180), "an open order is kept"
    KeptOrders(till.shop).in_state(refnum, "completed")
    assert dated_after(170, "t-2") == till.clock.now + timedelta(days=10)
    till.tell(refnum, is_called_refunded=True)
    assert dated_after(170, "t-3") == till.clock.now + timedelta(days=10), "a full refund begins it once more"


def test_p32_carts_and_orders_past_their_date_are_not_there(till: Till) -> None:
    cart = till.cart(TEE=1)
    till.clock.now += timedelta(days=30, seconds=1)
    with pytest.raises(ShopRefused) as refused:
        till.buy(cart)
    assert reason_of(refused) == "cart_not_found"
    with pytest.raises(ShopRefused) as unknown:
        till.tell("ACM-none")
    assert reason_of(unknown) == "order_not_found"


def test_nobody_can_guess_a_carts_id() -> None:
    names = {new_cart_id() for _ in range(100)}
    assert len(names) == 100 and all(re.fullmatch(r"cart-[0-9a-f]{32,}", name) for name in names)
