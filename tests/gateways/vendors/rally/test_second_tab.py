"""`order/create` against a cart that another tab has changed, or money that does not come to it (P10, P37)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.channel.order_json import unfit
from app.contract.schemas import Contract
from app.deadline import Deadline
from app.domain.commands import Cancellation
from app.gateways.calls import Call
from app.records.catalogue_statements import Statement
from app.records.database import Database
from app.records.tables.orders import held_back
from app.storefront import order_store as orders
from app.storefront.retailops_order import to_order
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, money, opened
from tests.gateways.vendors.rally.stage import TEXAS, Stage, staged
from tests.retailops import codes


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    with staged(database) as built:
        yield built


def bought(stage: Stage, **units: int) -> dict[str, Any]:
    cart = stage.cart(**units)
    answer = stage.call("PUT", f"/carts/{cart['external_id']}", {"shipping_address": TEXAS, "billing_address": TEXAS})
    made: dict[str, Any] = answer.body
    return made


def changed(stage: Stage, cart: dict[str, Any], add: str, units: int = 1) -> dict[str, Any]:
    """The second tab takes the first line out and puts another in."""
    place = f"/carts/{cart['external_id']}"
    line = cart["line_items"][0]
    gone = {"external_id": line["external_id"], "quantity": line["quantity"]}
    wanted = {"external_product_id": stage.key(add), "external_variant_id": stage.key(add, is_variant=True)}
    stage.call("POST", f"{place}/add", {"line_items": [{**wanted, "quantity": units}]})
    answer = stage.call("POST", f"{place}/remove", {"line_items": [gone]})
    assert answer.status == 200, answer.body
    made: dict[str, Any] = answer.body
    return made


def charge(amount: float, **more: Any) -> dict[str, Any]:
    return {"transactions": [{"external_id": "ch_1", "amount": amount, **more}]}


def held(stage: Stage) -> dict[str, str]:
    with stage.database.read() as connection:
        return {row.refnum: row.reason for row in connection.execute(select(held_back))}


def exists(stage: Stage, cart: dict[str, Any]) -> bool:
    with stage.database.read() as connection:
        return orders.of_cart(connection, "first", cart["external_id"]) is not None


STALE = ("external_id", "external_product_id", "external_variant_id", "sku")


def test_p37_lines_of_another_tab_are_refused_whatever_names_them(stage: Stage) -> None:
    stage.set_stock(**{"HOOD-M": 99})
    for named in (*((name,) for name in STALE), STALE):
        before = bought(stage, TEE=2)
        now = changed(stage, before, "HOOD-M", 2)
        stale = [{**{name: row[name] for name in named}, "quantity": 2} for row in before["line_items"]]
        refused = stage.order(before, line_items=stale)
        assert (refused.status, refused.code, refused.is_signed) == (422, "cart_has_been_updated", True), named
        assert not exists(stage, before)
        fresh = [{**{name: row[name] for name in named}, "quantity": 2} for row in now["line_items"]]
        made = stage.order(now, line_items=fresh)
        assert made.status == 200 and [line["sku"] for line in made.body["line_items"]] == ["HOOD-M"]
        assert held(stage) == {}
        assert stage.order(before, line_items=stale).body == made.body, "what is an order already answers that order"


def test_p37_units_that_moved_between_lines_are_refused(stage: Stage) -> None:
    cart = bought(stage, TEE=2, MUG=1)
    tee, mug = cart["line_items"]
    swapped = [{**tee, "quantity": 1}, {**mug, "quantity": 2}]
    assert stage.order(cart, line_items=swapped).code == "cart_has_been_updated"
    assert stage.order(cart, line_items=[tee, tee]).code == "cart_has_been_updated"
    other_size = bought(stage, **{"HOOD-M": 1})
    [line] = other_size["line_items"]
    large = {**line, "external_variant_id": stage.key("HOOD-L", is_variant=True), "sku": "HOOD-L"}
    assert stage.order(other_size, line_items=[large]).code == "cart_has_been_updated"
    reordered = stage.order(cart, line_items=[mug, {"sku": "TEE", "quantity": 2, "price": "whatever"}])
    assert reordered.status == 200, "in another order and named by its SKU it is the same"


def test_p37_goods_that_got_another_sku_since_the_cart_was_shown_are_refused_once(stage: Stage) -> None:
    """Else units of one SKU would be counted and those of the other sold (R25)."""
    stage.set_goods(Statement("product:1", {"sku": "OLD", "price": Decimal(30)}))
    stage.set_stock(OLD=2, NEW=9)
    shown, kept = bought(stage, OLD=2), bought(stage, OLD=1)
    stage.set_goods(Statement("product:1", {"sku": "NEW"}))
    refused = stage.order(shown)
    assert (refused.status, refused.code) == (422, "cart_has_been_updated")
    fresh = stage.call("POST", f"/carts/{shown['external_id']}").body
    assert [line["sku"] for line in fresh["line_items"]] == ["NEW"]
    made = stage.order(fresh)
    assert made.status == 200 and [line["sku"] for line in made.body["line_items"]] == ["NEW"] and held(stage) == {}
    assert stage.order(kept).code == "cart_has_been_updated"
    insisted = stage.order(kept).body["external_id"]
    assert held(stage)[insisted].startswith("LINES_DIFFER"), "the shopper has paid: a person looks at it"


@pytest.mark.both_databases
def test_p10_the_same_lines_again_for_the_same_state_of_the_cart_are_an_order_that_a_person_has_to_see(
    stage: Stage,
) -> None:
    before = bought(stage, TEE=1)
    now = changed(stage, before, "MUG")
    money_of_first = charge(before["total"])
    assert stage.order(before, **money_of_first).code == "cart_has_been_updated"
    now = changed(stage, now, "GIFT")
    assert stage.order(before, **money_of_first).code == "cart_has_been_updated", "another state of the cart"
    assert stage.order(before, line_items=now["line_items"] * 2).code == "cart_has_been_updated"
    made = stage.order(before, **money_of_first)
    assert made.status == 200 and [line["sku"] for line in made.body["line_items"]] == ["GIFT"]
    refnum = made.body["external_id"]
    assert list(held(stage)) == [refnum] and held(stage)[refnum].startswith("LINES_DIFFER")
    assert stage.document(refnum).paid == stage.document(refnum).transactions[0].amount
    assert stage.order(before, **money_of_first).body == made.body


def test_p37_the_lines_of_now_with_the_money_of_before_are_refused_no_second_time(stage: Stage) -> None:
    before = bought(stage, TEE=1)
    now = changed(stage, before, "MUG")
    assert stage.order(before, **charge(before["total"])).code == "cart_has_been_updated"
    made = stage.order(now, **charge(before["total"]))
    assert made.status == 200 and held(stage)[made.body["external_id"]].startswith("SUMS_DIFFER")


def test_p37_a_charge_that_is_not_the_carts_total_is_refused_once_and_then_held_back(stage: Stage) -> None:
    for off in (0.03, -0.03, 5, -29):
        cart = bought(stage, TEE=1, MUG=1)
        differing = charge(round(cart["total"] + off, 2))
        refused = stage.order(cart, **differing)
        assert (refused.status, refused.code) == (422, "cart_has_been_updated") and not exists(stage, cart)
        made = stage.order(cart, **differing)
        assert made.status == 200, "the shopper has paid"
        refnum = made.body["external_id"]
        assert held(stage)[refnum].startswith("SUMS_DIFFER")
        assert unfit(to_order(stage.document(refnum), "rally", default_ship_code="S")).startswith("SUMS_DIFFER")


def test_p19_a_minor_unit_a_line_is_no_difference(stage: Stage) -> None:
    for off in (0, 0.02, -0.02):
        cart = bought(stage, TEE=1, MUG=1)
        rest = round(cart["total"] - 10 + off, 2)
        parts = [{"external_id": "a", "amount": 10}, {"external_id": "b", "amount": rest}]
        assert stage.order(cart, transactions=parts).status == 200 and held(stage) == {}


def test_p37_a_charge_of_another_kind_or_of_a_part_is_taken_at_once_and_held_back(stage: Stage) -> None:
    for make in (
        lambda total: charge(total + 20, type="authorization"),
        lambda total: charge(total - 25, payment_method_name="gift_card"),
        lambda total: charge(total + 3, tip=3),
        lambda total: {**charge(total - 25), "gift_cards": [{"code": "x", "amount": 25}]},
        lambda total: {"transactions": [{"external_id": "a", "amount": total}, {"external_id": "b", "amount": 4}]},
        lambda total: {"transactions": [{"external_id": "a", "amount": total}, {"external_id": "b", "amount": total}]},
    ):
        cart = bought(stage, TEE=1)
        stated = make(cart["total"])
        made = stage.order(cart, **stated)
        assert made.status == 200, stated
        refnum = made.body["external_id"]
        assert held(stage)[refnum].startswith("SUMS_DIFFER")
        with stage.database.read() as connection:
            stored = orders.get(connection, "first", refnum)
        assert stored is not None and stored.paid_at is not None, "whoever has given money is not forgotten (R28)"


def test_p37_nobody_has_to_look_at_a_doubtful_order_that_was_called_off_at_rally(stage: Stage) -> None:
    cart = bought(stage, TEE=1)
    for status in (422, 200):
        made = stage.order(cart, **charge(5))
        assert made.status == status
    refnum = made.body["external_id"]
    assert list(held(stage)) == [refnum]
    assert stage.call("PUT", f"/orders/{refnum}", {"status": "refunded"}).status == 200
    assert held(stage) == {}


@pytest.mark.both_databases
def test_p10_ten_at_once_with_a_difference_make_one_order(stage: Stage) -> None:
    cart = bought(stage, TEE=1)
    answers: list[Any] = []
    wrong = charge(cart["total"] + 9)
    threads = [threading.Thread(target=lambda: answers.append(stage.order(cart, **wrong))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [*[200] * 9, 422]
    assert len({answer.body["external_id"] for answer in answers if answer.status == 200}) == 1
    assert len(held(stage)) == 1


def test_p37_without_a_payment_method_nothing_is_placed_and_the_answer_has_no_ids(stage: Stage) -> None:
    cart = bought(stage, TEE=1)
    for missing in (None, {}, [], " "):
        shown = stage.order(cart, payment_method=missing, transactions=None)
        assert shown.status == 200
        assert not {"external_id", "external_number", "payment_created"} & set(shown.body)
        assert (shown.body["total"], shown.body["status"]) == (cart["total"], "pending")
    for unreadable in (5, ["credit_card"], True):
        answer = stage.order(cart, payment_method=unreadable)
        assert (answer.status, answer.code) == (412, "unknown"), "what was paid is not taken for what was not"
    assert not exists(stage, cart)
    placed = stage.order(cart, payment_method="credit_card")
    assert placed.status == 200 and placed.body["external_id"], "its code alone, as in Rally's own snapshots"


@pytest.fixture
def shop(build_app: Callable[..., Flask], contract: Contract) -> Iterator[Shop]:
    with ExitStack() as stack:
        built = stack.enter_context(opened(build_app, contract))
        built.offer(TEE=50, MUG=50)
        yield built


@pytest.mark.both_databases
def test_p37_a_doubtful_order_is_never_lost_and_goes_out_when_a_person_has_looked(shop: Shop) -> None:
    """The sandbox plays two tabs: one buys what the other has changed."""
    cart = shop.step("cart/create", skus={TEE: 1})["answer"]["external_id"]
    shop.step("cart/update", cart=cart)
    shop.step(
        "cart/add", cart=cart, line_items=[{"external_product_id": MUG, "external_variant_id": MUG, "quantity": 1}]
    )
    first = shop.step("order/create", cart=cart, shows_earlier_lines=True)
    assert (first["outcome"], first["status"]) == ("refused", 422)
    again = shop.step("order/create", cart=cart, shows_earlier_lines=True)
    assert again["outcome"] == "good"
    refnum = again["answer"]["external_id"]
    shop.step("order/update", order=refnum, status="paid")
    assert shop.retailops.pull() == []
    with shop.database.read() as connection:
        [reason] = connection.execute(select(held_back.c.reason)).scalars()
    assert "order_update" in reason and "order_cancel" in reason
    lines = [
        {"order_item_id": at, "channel_item_refnum": f"li-{at}", "sku": sku, "quantity": 1}
        for at, sku in enumerate((TEE, MUG), 1)
    ]
    assert codes(shop.update(refnum, *lines), "error") == []
    [order] = shop.retailops.pull()
    assert [line["sku"] for line in order["order_items"]] == [TEE, MUG]
    with shop.database.read() as connection:
        assert connection.execute(select(held_back)).all() == []


def test_p37_a_doubtful_order_can_be_given_back(shop: Shop) -> None:
    cart = shop.step("cart/create", skus={TEE: 1})["answer"]["external_id"]
    shop.step("cart/update", cart=cart)
    for outcome in ("refused", "good"):
        step = shop.step("order/create", cart=cart, transactions=[{"external_id": "ch_7", "amount": 90}])
        assert step["outcome"] == outcome
    refnum = step["answer"]["external_id"]
    shop.step("order/update", order=refnum, status="paid")
    assert shop.retailops.pull() == []
    assert shop.retailops.cancel(refnum)["status"] == "success"
    shop.settle()
    assert money(shop.at_rally(refnum)["refunded"]) == 90


def test_the_sandbox_takes_an_answer_without_ids_where_nothing_is_placed(shop: Shop) -> None:
    cart = shop.step("cart/create", skus={TEE: 1})["answer"]["external_id"]
    shop.step("cart/update", cart=cart)
    step = shop.step("order/create", cart=cart, names_payment=False)
    assert (step["outcome"], step["warnings"]) == ("good", []) and shop.view("orders") == {}


def test_a_cancelled_order_that_was_never_paid_sends_only_itself(shop: Shop) -> None:
    paid, unpaid = shop.buy(skus={TEE: 1}), shop.buy(skus={TEE: 1}, is_paid=False, transactions=[])
    shop.forget()
    for refnum in (unpaid, paid):
        shop.gateway.commands.cancel_order(Cancellation(refnum, is_decided=True), Call(Deadline.in_s(9), "", "command"))
    told = [call for call in shop.told("update") if "/order" in call["path"]]
    assert [(call["path"], call["body"]["external_id"], call["body"]["status"]) for call in told] == [
        ("webhooks/order-update", unpaid, "refunded"),
        ("webhooks/order-status-update", paid, "refunded"),
    ]
