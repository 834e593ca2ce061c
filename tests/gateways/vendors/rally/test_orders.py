"""Orders from Rally: one of each cart, held until paid, growing until then, stock reserved, every sum right."""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.channel.order_json import order_json, unfit
from app.channel.orders import remember
from app.contract.schemas import Contract
from app.domain.stock import StockSent
from app.records import stock_batches
from app.records.cataloguing import Statement
from app.records.database import Database
from app.storefront import order_store as orders
from app.storefront import reservations
from app.storefront.retailops_order import to_order, to_sketch
from tests.gateways.vendors.rally.stage import METHOD, TEXAS, Stage, staged


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    with staged(database) as built:
        yield built


PAID = {"status": "PAID", "payment_method": METHOD}


def bought(stage: Stage, **units: int) -> dict[str, Any]:
    """A cart with an address, as answered."""
    cart = stage.cart(**units)
    answer = stage.call("PUT", f"/carts/{cart['external_id']}", {"shipping_address": TEXAS, "billing_address": TEXAS})
    made: dict[str, Any] = answer.body
    return made


def ordered(stage: Stage, cart: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = stage.order(cart, **more)
    assert answer.status == 200, answer.body
    made: dict[str, Any] = answer.body
    return made


def told(stage: Stage, refnum: str, **body: Any) -> dict[str, Any]:
    answer = stage.call("PUT", f"/orders/{refnum}", body)
    assert answer.status == 200, answer.body
    made: dict[str, Any] = answer.body
    return made


def handed_out(stage: Stage) -> list[str]:
    with stage.database.read() as connection:
        return [order.refnum for order in orders.exportable_since(connection, "first", None, stage.clock(), 100)]


def held(stage: Stage, *skus: str) -> dict[str, int]:
    with stage.database.read() as connection:
        return reservations.reserved_units(connection, "first", skus)


def test_a_whole_checkout_by_the_sandbox_ends_in_a_paid_order_without_a_warning(stage: Stage) -> None:
    stage.step("products/fetch", title="")
    done = stage.checkout(
        skus={"TEE": 2, "HOOD-M": 1}, add_skus={"MUG": 2}, remove_skus={"MUG": 1}, coupon="TEN", offer_skus={"GIFT": 1},
        offer_shipping={"subtotal": 2.0, "tax_amount": 0.17, "total": 2.17}, create_times=2, repeat_paid=2,
        notes="hello",
    )  # fmt: skip
    assert done["outcome"] == "good", done["steps"][-1]
    assert [step["topic"] for step in done["steps"] if step["warnings"]] == [], done["steps"]
    order = done["order"]
    assert (order["status"], order["is_paid"]) == ("paid", True)
    assert order["answer"]["total"] == order["charged"]
    fetched = stage.step("order/fetch")
    assert fetched["outcome"] == "good" and fetched["answer"]["total"] == order["charged"]
    page = stage.step("orders/list", per_page=1)
    assert page["outcome"] == "good" and page["answer"]["total"] == 1
    assert handed_out(stage) == [done["order_id"]]
    document = stage.document(done["order_id"])
    assert unfit(to_order(document, "rally", default_ship_code="STANDARD")) == ""


def test_retailops_gets_every_field_of_the_order(stage: Stage) -> None:
    cart = bought(stage, TEE=3, GIFT=1, EBOOK=1)
    coupon = {"discounts": [{"type": "coupon", "name": "ten"}], "notes": "Ring twice"}
    cart = stage.call("PUT", f"/carts/{cart['external_id']}", coupon).body
    refnum = ordered(
        stage, cart, transactions=[{"external_id": "ch_1", "amount": cart["total"]}],
        device_information={"device_ip_address": "203.0.113.9"}, discounts=cart["discounts"],
        customer={"email": "ana@example.test", "first_name": "Ana", "last_name": "Ruiz", "phone": "+1 555"},
    )["external_id"]  # fmt: skip
    told(stage, refnum, **PAID)
    document = stage.document(refnum)
    order = to_order(document, "rally", default_ship_code="STANDARD")
    assert unfit(order) == ""
    shown = order_json(order)
    assert (shown["channel_order_refnum"], shown["ship_service_code"], shown["cancel"]) == (refnum, "GROUND", False)
    assert shown["currency_code"] == "USD" and shown["ip_address"] == "203.0.113.9"
    assert shown["customer_info"] == {
        "email_address": "ana@example.test",
        "full_name": "Ana Ruiz",
        "phone_number": "+1 555",
    }
    place = shown["shipping_address"]
    assert (place["state_match"], place["country_match"], place["postal_code"]) == ("Texas", "US", "78701")
    assert place["phone_number"] == "+15550100"
    tee, gift, book = shown["order_items"]
    assert (tee["sku"], tee["quantity"], tee["currency_values"]) == (
        "TEE", 3, {"unit_price": 30, "unit_tax": 2.2266, "discount_amt": 9},
    )  # fmt: skip
    assert gift["currency_values"] == {"unit_price": 25, "unit_tax": 0, "discount_amt": 2.5}
    assert (book["item_type"], tee["item_type"]) == ("advisory", "ship")
    assert shown["currency_values"] == {"shipping_amt": 5, "tax_amt": 0, "discount_amt": 0}
    assert shown["payment_transactions"] == [
        {"payment_processing_type": "channel_payment", "transaction_type": "charge", "payment_type": "visa",
         "amount": cart["total"], "refnum": "ch_1"}
    ]  # fmt: skip
    assert {"attribute_type": "text", "handle": "customer_note", "value": "Ring twice"} in shown["attributes"]
    sketch = to_sketch(document, "rally")
    assert [(line.sku, line.quantity) for line in sketch.lines] == [("TEE", 3), ("GIFT", 1), ("EBOOK", 1)]
    assert sketch.payments[0].amount == Decimal(str(cart["total"]))
    assert to_order(document, "rally", default_ship_code="S", is_cancelled=True).is_cancelled
    assert "Ruiz" not in repr(document) and "Ruiz" not in repr(stage.stored(refnum))


def test_p17_an_order_waits_until_it_is_called_paid_with_a_payment_method(stage: Stage) -> None:
    refnum = ordered(stage, bought(stage, TEE=1))["external_id"]
    assert handed_out(stage) == []
    for body in ({"status": "paid"}, {"payment_method": METHOD}, {"status": "completed", "payment_method": METHOD}, {}):
        assert told(stage, refnum, **body)["status"] == "pending"
    assert handed_out(stage) == []
    assert told(stage, refnum, **PAID)["status"] == "paid"
    assert handed_out(stage) == [refnum]
    before = stage.stored(refnum)
    told(stage, refnum, **PAID)
    assert stage.stored(refnum) == before, "said twice changes nothing"


def test_p17_an_order_under_fraud_review_is_held_until_the_review_is_over(stage: Stage) -> None:
    held_at_creation = ordered(stage, bought(stage, TEE=1), fraud_review_transaction={"id": 1})["external_id"]
    later = ordered(stage, bought(stage, TEE=1))["external_id"]
    assert told(stage, held_at_creation, **PAID, fraud_review_transaction={"id": 1})["status"] == "pending"
    assert told(stage, later, **PAID, fraud_review_transaction={"id": 2})["status"] == "pending"
    assert handed_out(stage) == []
    assert told(stage, held_at_creation, fraud_review_transaction={})["status"] == "paid"
    told(stage, later, **PAID, fraud_review_transaction=None)
    assert sorted(handed_out(stage)) == sorted([held_at_creation, later])
    told(stage, later, fraud_review_transaction={"id": 3})
    assert handed_out(stage) == [held_at_creation], "a review that begins late takes it back"


@pytest.mark.parametrize("ends", [True, False])
def test_p37_a_paid_without_mention_of_an_open_review_ends_it_unless_the_merchant_says_otherwise(
    database: Database, ends: bool
) -> None:
    with staged(database, **({} if ends else {"paid_clears_review": False})) as stage:
        refnum = ordered(stage, bought(stage, TEE=1), fraud_review_transaction={"id": 1})["external_id"]
        assert told(stage, refnum, payment_method=METHOD)["status"] == "pending", "only `paid` does"
        assert told(stage, refnum, **PAID)["status"] == ("paid" if ends else "pending")
        assert handed_out(stage) == ([refnum] if ends else [])


def test_an_order_never_called_paid_goes_out_in_time_where_its_money_covers_it(database: Database) -> None:
    with staged(database, release_unpaid_after_minutes=30) as stage:
        cart, poor = bought(stage, TEE=1), bought(stage, TEE=1)
        refnum = ordered(stage, cart, transactions=[{"external_id": "ch_1", "amount": cart["total"]}])["external_id"]
        for status in (422, 200):  # a difference is refused once
            assert stage.order(poor, transactions=[{"external_id": "ch_2", "amount": 1}]).status == status
        short = bought(stage, TEE=1)
        nearly = [{"external_id": "ch_3", "amount": round(short["total"] - 0.01, 2)}]
        a_cent_short = ordered(stage, short, transactions=nearly)["external_id"]
        assert handed_out(stage) == []
        stage.clock.now += timedelta(minutes=31)
        assert sorted(handed_out(stage)) == sorted([refnum, a_cent_short])
        line = {"external_product_id": "MUG", "external_variant_id": "MUG", "quantity": 1, "price": 1}
        shown = told(stage, refnum, line_items=[line])
        assert (shown["status"], len(shown["line_items"])) == ("paid", 1), "RetailOps may have it: it grows no more"


def test_p17_a_repeated_create_opens_a_fraud_review_that_it_did_not_name_before(stage: Stage) -> None:
    cart, review = bought(stage, TEE=1), {"fraud_review_transaction": {"id": 1}}
    refnum = ordered(stage, cart)["external_id"]
    assert told(stage, refnum, **PAID)["status"] == "paid" and handed_out(stage) == [refnum]
    for _ in range(2):
        again = stage.order(cart, **review)
        assert (again.body["external_id"], again.body["status"], handed_out(stage)) == (refnum, "pending", [])
    assert told(stage, refnum, **PAID)["status"] == "paid" and handed_out(stage) == [refnum]
    for body in (review, {}):
        assert stage.order(cart, **body).body["status"] == "paid", "nothing new"
    assert handed_out(stage) == [refnum]
    others = [{"fraud_review_transaction": {"id": number}} for number in (2, 3)]
    for body in others:  # the second changes nothing, for one is open
        assert stage.order(cart, **body).body["status"] == "pending"
    assert told(stage, refnum, **PAID)["status"] == "paid"
    for body in others:
        assert stage.order(cart, **body).body["status"] == "paid", "both were said before"


def test_p19_a_refund_that_is_told_again_word_for_word_is_not_about_money_that_came_since(stage: Stage) -> None:
    cart = bought(stage, TEE=1)
    refnum = ordered(stage, cart, transactions=[{"external_id": "ch_1", "amount": cart["total"]}])["external_id"]
    for number in (2, 3):
        refunded = {"status": "refunded", "notes": f"{number}"}
        for _ in range(2):  # the second time before any money
            told(stage, refnum, **refunded)
        told(stage, refnum, transactions=[{"external_id": f"ch_{number}", "amount": 5}])
        told(stage, refnum, **refunded)
        document = stage.document(refnum)
        assert document.is_refunded_by_merchant(f"ch_{number - 1}")
        assert not document.is_refunded_by_merchant(f"ch_{number}")


@pytest.mark.both_databases
def test_p10_a_cart_made_an_order_twice_or_ten_times_at_once_is_one_order(stage: Stage) -> None:
    cart = bought(stage, TEE=2)
    charged = {"transactions": [{"external_id": "ch_1", "amount": cart["total"]}]}
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(stage.order(cart, **charged))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in answers} == {200}
    assert len({answer.raw for answer in answers}) == 1, "the first answer again"
    refnum = answers[0].body["external_id"]
    assert held(stage, "TEE") == {"TEE": 2}
    assert stage.call("POST", f"/carts/{cart['external_id']}", {}).code == "cart_not_found"
    again = stage.order(cart, transactions=[{"external_id": "ch_2", "amount": 1.5}])
    assert again.body["external_id"] == refnum
    assert [one.external_id for one in stage.document(refnum).transactions] == ["ch_1", "ch_2"]


def test_money_is_rounded_half_up_to_cents_where_it_comes_in(stage: Stage) -> None:
    refnum = ordered(stage, bought(stage, TEE=1))["external_id"]
    sums = {"a": 0.125, "b": 19.994999999999997, "c": "0.005", "d": 30.004999}
    told(stage, refnum, transactions=[{"external_id": name, "amount": value} for name, value in sums.items()])
    taken = {one.external_id: one.amount for one in stage.document(refnum).transactions}
    assert taken == {"a": Decimal("0.13"), "b": Decimal("19.99"), "c": Decimal("0.01"), "d": Decimal("30.00")}
    for hostile in ("1e999999999", "-1e999999999", "1e9999"):
        answer = stage.call("PUT", f"/orders/{refnum}", {"transactions": [{"external_id": "e", "amount": hostile}]})
        assert (answer.status, answer.code) == (422, "ppo_add_error")


@pytest.mark.both_databases
def test_the_last_units_are_sold_once_however_many_buy_at_once(stage: Stage) -> None:
    carts = [bought(stage, **{"HOOD-M": 1}) for _ in range(6)]
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda cart=cart: answers.append(stage.order(cart))) for cart in carts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 412, 412, 412]
    refused = next(answer for answer in answers if answer.status == 412)
    assert refused.code == "out_of_stock" and refused.body["meta"][0]["quantity"] == 0
    assert held(stage, "HOOD-M") == {"HOOD-M": 3}


@pytest.mark.both_databases
def test_p10_ten_updates_at_once_add_the_offer_and_the_money_once(stage: Stage) -> None:
    refnum = ordered(stage, bought(stage, TEE=1))["external_id"]
    offer = {"external_product_id": stage.key("MUG"), "external_variant_id": "", "quantity": 2, "price": 4.5}
    body = {"line_items": [offer], "transactions": [{"external_id": "ch_9", "amount": 9}]}
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(stage.call("PUT", f"/orders/{refnum}", body))) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in answers} == {200}
    document = stage.document(refnum)
    assert [(line.sku, line.quantity) for line in document.lines] == [("TEE", 1), ("MUG", 2)]
    assert (document.paid, held(stage, "MUG")) == (Decimal(9), {"MUG": 2})


def test_offers_after_the_purchase_are_added_at_rallys_price_without_tax_until_it_is_paid(stage: Stage) -> None:
    cart = bought(stage, TEE=1)
    order = ordered(stage, cart)
    refnum = order["external_id"]
    offer = {"external_product_id": stage.key("HOOD-L"), "external_variant_id": stage.key("HOOD-L", is_variant=True),
             "quantity": 2, "price": 19.9}  # fmt: skip
    more = {"new": {"subtotal": 3, "tax_amount": 0.25, "total": 3.25}}
    shown = told(
        stage, refnum, line_items=[offer], shipping_costs=more, transactions=[{"external_id": "c2", "amount": 43.05}]
    )
    added = shown["line_items"][1]
    assert (added["discounted_price"], added["subtotal"], added["tax_amount"], added["external_id"]) == (
        19.9,
        39.8,
        0,
        "li-2",
    )
    assert shown["total"] == round(order["total"] + 43.05, 2)
    assert (shown["shipping_cost"]["subtotal"], shown["tax_amount"]) == (8, round(order["tax_amount"] + 0.25, 2))
    assert held(stage, "HOOD-L") == {"HOOD-L": 2}
    second = {**offer, "quantity": 1}
    told(stage, refnum, line_items=[second], transactions=[{"external_id": "c3", "amount": 19.9}])
    too_many = stage.call("PUT", f"/orders/{refnum}", {"line_items": [second]})
    assert (too_many.status, too_many.code, too_many.body["meta"][0]["quantity"]) == (422, "out_of_stock", 0)
    for bad in ({"quantity": 0}, {"price": -1}, {"quantity": "many"}, {"price": "free"}):
        answer = stage.call("PUT", f"/orders/{refnum}", {"line_items": [{**offer, **bad}]})
        assert (answer.status, answer.code) == (422, "ppo_add_error")
    told(stage, refnum, line_items=[{**offer, "external_variant_id": "MUG", "quantity": 1}], **PAID)
    assert len(stage.document(refnum).lines) == 4, "lines that come with `paid` are added first"
    assert len(told(stage, refnum, line_items=[{**offer, "external_variant_id": "MUG"}])["line_items"]) == 4
    tags = to_order(stage.document(refnum), "rally", default_ship_code="S").tags
    assert tags == ("rally", "post_purchase_offer")


def test_p19_what_is_added_after_the_invoice_is_passed_over_and_its_money_kept(stage: Stage) -> None:
    offer = {"external_product_id": stage.key("MUG"), "external_variant_id": "", "quantity": 1, "price": 4.5}

    def add(refnum: str, charge: str) -> int:
        money = {"transactions": [{"external_id": charge, "amount": 4.5}]} if charge else {}
        return len(told(stage, refnum, line_items=[offer], **money)["line_items"])

    held_after_paid, paid = (ordered(stage, bought(stage, TEE=1))["external_id"] for _ in range(2))
    for refnum in (held_after_paid, paid):
        told(stage, refnum, **PAID)
    told(stage, held_after_paid, fraud_review_transaction={"id": 1})
    assert (add(held_after_paid, ""), add(paid, "")) == (2, 1), "under review it is not invoiced"
    place = stage.stored(paid).exportable_at
    stage.clock.now += timedelta(seconds=5)
    assert (add(paid, "ch_2"), add(paid, "ch_2")) == (1, 1)
    assert held(stage, "MUG") == {"MUG": 1} and [one.external_id for one in stage.document(paid).transactions] == [
        "ch_2"
    ]
    assert stage.stored(paid).exportable_at == stage.clock.now != place, "a pull under way leaves it for the next"
    for refnum in (held_after_paid, paid):
        sketch = to_sketch(stage.document(refnum), "rally")
        with stage.database.write() as connection:
            remember(connection, "first", sketch)
        place, before = stage.stored(refnum).exportable_at, len(stage.document(refnum).lines)
        stage.clock.now += timedelta(seconds=5)
        assert add(refnum, "ch_4") == before, "RetailOps may have it, though a review is open"
        assert stage.document(refnum).transactions[-1].external_id == "ch_4"
        assert stage.stored(refnum).exportable_at == place


def test_an_order_that_is_not_the_cart_is_refused_as_the_contract_says(stage: Stage) -> None:
    cart = bought(stage, TEE=2, MUG=1)
    lines = cart["line_items"]
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"line_items": lines[:1]}, 422, "cart_has_been_updated"),
        ({"line_items": [{**lines[0], "quantity": 3}, lines[1]]}, 422, "cart_has_been_updated"),
        ({"line_items": None}, 422, "cart_has_been_updated"),
        ({"shipping_address": {**TEXAS, "province": ""}}, 422, "cart_has_been_updated"),
        ({"selected_shipping_line_external_id": "drone"}, 422, "cart_has_been_updated"),
        ({"shipping_address": {**TEXAS, "country_code": "DE"}}, 412, "unknown"),
        ({"discounts": [{"type": "coupon", "name": "NO"}]}, 422, "invalid_discount_code"),
        ({"transactions": [{"external_id": "x"}]}, 412, "unknown"),
        ({"cart": {"external_id": "cart-0"}}, 422, "cart_not_found"),
        ({"cart": None}, 422, "cart_not_found"),
    ]
    for change, status, code in cases:
        answer = stage.order(cart, **change)
        assert (answer.status, answer.code, answer.is_signed) == (status, code, True), change
    assert held(stage, "TEE", "MUG") == {} and stage.call("POST", f"/carts/{cart['external_id']}", {}).status == 200
    stage.set_stock(TEE=1)
    short = stage.order(cart)
    assert (short.status, short.code) == (412, "out_of_stock")
    assert short.body["meta"] == [{"product_id": stage.key("TEE"), "variant_id": stage.key("TEE"), "quantity": 1}]
    for place in ("/orders/RLY-NONE", "/orders/x%00"):
        for method in ("GET", "PUT"):
            answer = stage.call(method, place, None if method == "GET" else {})
            assert (answer.status, answer.code, answer.is_signed) == (404, "order_not_found", True)


def test_what_the_shopper_was_shown_is_what_the_order_costs_though_the_catalogue_changed(stage: Stage) -> None:
    cart = bought(stage, TEE=1)
    stage.set_goods(Statement("", {"sku": "TEE", "price": Decimal("99")}))
    assert ordered(stage, cart)["total"] == cart["total"]


def test_an_order_holds_its_units_and_rally_is_owed_the_stock_that_is_left(stage: Stage) -> None:
    with stage.database.write() as connection:
        batch = stock_batches.claim(connection, "first", "rally", token="t", limit=99, now=stage.clock(), lease_s=1)
        assert batch is not None
        assert stock_batches.record(connection, batch, [StockSent(change.sku, b"1") for change in batch.changes])
    woken = len(stage.woken)
    refnum = ordered(stage, bought(stage, TEE=2))["external_id"]
    assert len(stage.woken) > woken
    with stage.database.write() as connection:
        batch = stock_batches.claim(connection, "first", "rally", token="t", limit=99, now=stage.clock(), lease_s=1)
    assert batch is not None and [change.sku for change in batch.changes] == ["TEE"]
    (tee,) = stage.call("POST", "/products/search", {"product_id": "TEE"}).body
    assert tee["inventory_quantity"] == 18
    told(stage, refnum, status="Refunded")
    assert held(stage, "TEE") == {}
    (tee,) = stage.call("POST", "/products/search", {"product_id": "TEE"}).body
    assert tee["inventory_quantity"] == 20


def test_an_order_refunded_at_rally_is_flagged_as_called_off(stage: Stage) -> None:
    unpaid = ordered(stage, bought(stage, TEE=1))["external_id"]
    paid = ordered(stage, bought(stage, TEE=1))["external_id"]
    told(stage, paid, **PAID)
    for refnum in (unpaid, paid):
        assert told(stage, refnum, status="refunded")["status"] == "refunded"
        stored = stage.stored(refnum)
        assert (stored.state, stored.cancelled_at) == ("refunded", stage.clock.now)
    assert handed_out(stage) == [paid], "RetailOps may have seen it; the other it never will"
    with stage.database.read() as connection:
        assert sorted(orders.called_off(connection, "first", None, stage.clock())) == sorted([unpaid, paid])
    told(stage, paid, **PAID)
    assert stage.stored(paid).state == "refunded", "it does not come back"


def test_orders_are_listed_newest_first(stage: Stage) -> None:
    made = []
    for _ in range(3):
        made.append(ordered(stage, bought(stage, MUG=1))["external_id"])
        stage.clock.now += timedelta(seconds=5)
    query = '{"per_page":"2","current_page":"1"}'
    page = stage.call("GET", "/orders?per_page=2&current_page=1", message=query.encode()).body
    assert (page["total"], [row["id"] for row in page["data"]]) == (3, made[:0:-1])
    assert page["data"][0]["products"] == [{"id": stage.key("MUG"), "name": "Mug"}]
    assert isinstance(page["data"][0]["created_at"], int)


def test_p20_nothing_of_the_shopper_is_ever_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        cart = bought(stage, TEE=1)
        charged = {"transactions": [{"external_id": "ch", "amount": 1}], "notes": "c4n4ry"}
        assert stage.order(cart, **charged).code == "cart_has_been_updated"
        order = ordered(stage, cart, **charged)
        told(stage, order["external_id"], transactions=[{"external_id": "ch", "amount": 2}])
        stage.order(cart, line_items="c4n4ry")
    said = caplog.text
    assert "another amount" in said
    assert not [word for word in ("ana@", "Ruiz", "Elm", "78701", "c4n4ry", "4242") if word in said]


def test_p18_whatever_is_bought_the_sums_are_right(stage: Stage, seed: int) -> None:
    chance = random.Random(seed)
    stage.set_stock(TEE=9999, MUG=9999, GIFT=9999, EBOOK=9999)
    for at in range(15):
        cart = bought(stage, TEE=chance.randint(1, 9), MUG=chance.randint(1, 30), GIFT=chance.randint(1, 3))
        codes = chance.sample(["TEN", "FIVER", "SHIPFREE"], chance.randint(0, 2))
        change = {"discounts": [{"type": "coupon", "name": code} for code in codes]}
        answer = stage.call("PUT", f"/carts/{cart['external_id']}", change)
        cart = answer.body if answer.status == 200 else cart
        charged = [{"external_id": f"a{at}", "amount": cart["total"]}]
        order = ordered(stage, cart, transactions=charged)
        assert order["total"] == cart["total"]
        price, units = chance.randrange(1, 5000) / 100, chance.randint(1, 4)
        offer = {"external_product_id": "EBOOK", "external_variant_id": "", "quantity": units, "price": price}
        extra = {"external_id": f"b{at}", "amount": round(price * units, 2)}
        told(stage, order["external_id"], line_items=[offer], transactions=[*charged, extra], **PAID)
        document = stage.document(order["external_id"])
        assert document.total == document.paid
        sent = to_order(document, "rally", default_ship_code="S")
        assert unfit(sent) == ""
        shown = order_json(sent)
        whole = sum((row_sum(item) for item in shown["order_items"]), Decimal(0))
        of_order = {name: Decimal(str(amount)) for name, amount in shown["currency_values"].items()}
        whole += of_order["shipping_amt"] + of_order["tax_amt"] - of_order["discount_amt"]
        paid = sum(Decimal(str(item["amount"])) for item in shown["payment_transactions"])
        assert abs(whole - paid) < Decimal("0.01"), json.dumps(shown)


def test_p37_whatever_a_shopper_writes_what_was_taken_can_be_handed_out(
    stage: Stage, contract: Contract, seed: int
) -> None:
    chance = random.Random(seed)
    pieces = [
        "",
        "x",
        " ",
        "\t",
        "\u00a0",
        "\x00",
        "é",
        "語",
        "e\u0301",
        "\U0001f468\u200d\U0001f469",
        "\u202e",
        '"<&',
        "\n",
    ]

    def odd(most: int = 400) -> str:
        return "".join(chance.choices(pieces, k=chance.randint(0, 6))) * chance.randint(1, most // 6)

    stage.set_stock(TEE=9999)
    pull, taken = contract.callbacks["order_pull"], 0
    for at in range(40):
        country = chance.choice(["US", "usa", "CA", "can"])
        address = {
            name: odd() for name in ("first_name", "last_name", "company", "address1", "address2", "city", "zip")
        }
        address |= {"country_code": country, "province": "TX" if country.lower().startswith("us") else "BC"}
        cart = stage.cart(TEE=chance.randint(1, 5))
        place = f"/carts/{cart['external_id']}"
        change = {"shipping_address": address, "billing_address": chance.choice([address, None]), "notes": odd(2000),
                  "customer": {"email": odd(), "first_name": odd(), "external_id": odd()}}  # fmt: skip
        cart = stage.call("PUT", place, change).body
        paid = [{"external_id": odd(900) or None, "amount": 1}, {"external_id": f"{at}", "amount": cart["total"] - 1}]
        made = stage.order(
            cart, transactions=paid, **change, device_information={"device_ip_address": odd()}, meta={odd(): odd()},
            payment_method={name: odd() for name in METHOD} | {"payment_method_name": "x"},
        )  # fmt: skip
        if made.status != 200:
            continue
        taken += 1
        told(stage, made.body["external_id"], **PAID)
        order = to_order(stage.document(made.body["external_id"]), "rally", default_ship_code="S")
        assert unfit(order) == ""
        assert pull.check_answer({"next_page_token": "", "orders": [order_json(order)]}) == ()
        sketch = to_sketch(stage.document(made.body["external_id"]), "rally")
        with stage.database.write() as connection:
            remember(connection, "first", sketch)
    assert taken > 30


def row_sum(item: dict[str, Any]) -> Decimal:
    """What RetailOps makes of a line."""
    amounts = {name: Decimal(str(amount)) for name, amount in item["currency_values"].items()}
    return item["quantity"] * (amounts["unit_price"] + amounts["unit_tax"]) - amounts["discount_amt"]
