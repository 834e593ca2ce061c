"""Carts: prices of the catalogue, shipping, taxes and coupons of the settings, one rounding rule, stock, expiry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.records.cataloguing import Statement
from app.records.database import Database
from app.records.retention import Terms
from app.storefront.retention import CLOCKS
from tests.gateways.vendors.rally.stage import TEXAS, Stage, staged


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    with staged(database) as built:
        yield built


def update(stage: Stage, cart: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = stage.call("PUT", f"/carts/{cart['external_id']}", body)
    assert answer.status == 200, answer.body
    made: dict[str, Any] = answer.body
    return made


def test_a_cart_is_priced_by_the_catalogue_whatever_price_is_sent(stage: Stage) -> None:
    lines = [{"external_product_id": stage.key("MUG"), "external_variant_id": "", "quantity": 2, "price": 0.01}]
    cart = stage.call("POST", "/carts", {"line_items": lines}).body
    (line,) = cart["line_items"]
    assert (line["price"], line["discounted_price"], line["subtotal"]) == (9.99, 7.49, 14.98)
    assert (cart["total"], cart["shipping_lines"], cart["selected_shipping_line_external_id"]) == (14.98, [], None)
    assert line["sku"] == "MUG" and line["inventory_quantity"] == 10
    unpriced = [{name: value for name, value in lines[0].items() if name != "price"}]
    added = stage.call("POST", f"/carts/{cart['external_id']}/add", {"line_items": unpriced}).body
    assert [item["quantity"] for item in added["line_items"]] == [4]


def test_shipping_and_tax_follow_the_address_by_code_or_by_name(stage: Stage) -> None:
    cart = stage.cart(TEE=2)
    for province in ("TX", "Texas", "texas", "US-TX"):
        cart = update(stage, cart, customer={"shipping_address": {**TEXAS, "province": province}})
        assert [line["external_id"] for line in cart["shipping_lines"]] == ["standard", "express"]
        assert cart["selected_shipping_line_external_id"] == "standard", "the cheapest unless one is chosen"
        assert (cart["shipping_total"], cart["taxes"][0]["tax_amount"], cart["total"]) == (5, 4.95, 69.95)
    cart = update(stage, cart, selected_shipping_line_external_id="express")
    assert cart["total"] == 79.95
    cart = update(stage, cart, shipping_address={**TEXAS, "province": "CA"})
    assert (cart["selected_shipping_line_external_id"], cart["total"]) == ("standard", 65), "express does not go there"
    british = {**TEXAS, "country_code": "CA", "province": "BC", "zip": "V5K 0A1"}
    cart = update(stage, cart, shipping_address=british)
    assert [(row["title"], row["tax_amount"]) for row in cart["taxes"]] == [("GST", 3.25), ("PST", 4.2)]
    assert (cart["shipping_lines"][0]["tax_amount"], cart["shipping_lines"][0]["total"], cart["total"]) == (
        0.25,
        5.25,
        72.45,
    )
    assert update(stage, cart, shipping_address={**british, "province": ""})["shipping_lines"] == []
    assert update(stage, cart, shipping_address={**TEXAS, "country_code": "DE"})["shipping_lines"] == []


def test_p37_units_of_a_line_removed_in_two_entries_add_up(stage: Stage) -> None:
    cart = stage.cart(TEE=3, MUG=1)
    line = cart["line_items"][0]["external_id"]
    twice = {"line_items": [{"external_id": line, "quantity": 1}] * 2}
    left = stage.call("POST", f"/carts/{cart['external_id']}/remove", twice).body
    assert [(item["sku"], item["quantity"]) for item in left["line_items"]] == [("TEE", 1), ("MUG", 1)]


def test_p37_coupons_cost_the_same_in_whatever_order_they_are_named(stage: Stage) -> None:
    ten, five = {"type": "coupon", "name": "TEN"}, {"type": "coupon", "name": "FIVER"}
    cart = update(stage, stage.cart(TEE=2), shipping_address=TEXAS, billing_address=TEXAS, discounts=[ten, five])
    assert [row["amount"] for row in cart["discounts"]] == [6, 5]
    assert update(stage, cart, discounts=[five, ten])["total"] == cart["total"]
    charge = {"external_id": "ch_1", "amount": cart["total"]}
    assert stage.order(cart, discounts=[five, ten], transactions=[charge]).status == 200
    other = update(stage, stage.cart(TEE=2), discounts=[five])
    assert [row["name"] for row in update(stage, other, discounts=[ten, five])["discounts"]] == ["FIVER", "TEN"]
    assert [row["name"] for row in update(stage, other, discounts=[ten])["discounts"]] == ["TEN"]


def test_p37_an_address_that_is_said_to_be_that_of_shipping_goes_along_with_it(stage: Stage) -> None:
    cart = stage.cart(TEE=1)

    def cities(**customer: Any) -> tuple[str, str, bool]:
        shopper = update(stage, cart, customer=customer)["customer"]
        both = shopper["billing_address"]["city"], shopper["shipping_address"]["city"]
        return *both, shopper["is_billing_equal_shipping"]

    def place(city: str) -> dict[str, str]:
        return {**TEXAS, "city": city}

    assert cities(shipping_address=place("A"), billing_address=place("B")) == ("B", "A", False)
    assert cities(shipping_address=place("C")) == ("B", "C", False)
    assert cities(is_billing_equal_shipping=True) == ("C", "C", True)
    assert cities(shipping_address=place("D")) == ("D", "D", True), "as the cart was answered"
    assert cities(shipping_address=place("E"), is_billing_equal_shipping=False) == ("D", "E", False)
    assert cities(billing_address=place("F")) == ("F", "E", False)


def test_coupons_are_the_whole_wanted_state(stage: Stage) -> None:
    cart = update(stage, stage.cart(TEE=1, MUG=1), shipping_address=TEXAS)
    before = cart["total"]
    ten = update(stage, cart, discounts=[{"type": "coupon", "name": "ten"}, {"type": "promotion", "name": "x"}])
    assert [(row["name"], row["subtype"], row["amount"]) for row in ten["discounts"]] == [("TEN", "total_price", 3.75)]
    assert sum(Decimal(str(line["discount_amount"])) for line in ten["line_items"]) == Decimal("3.75")
    assert update(stage, ten, notes="hi")["discounts"] == ten["discounts"], (
        "a body without discounts says nothing of them"
    )
    free = update(stage, ten, discounts=[{"type": "coupon", "name": "SHIPFREE"}])
    assert [(row["subtype"], row["amount"]) for row in free["discounts"]] == [("free_shipping", 5)]
    assert free["total"] == round(before - 5, 2)
    for code in ("FIVER", "NONSENSE"):  # the first needs 50
        answer = stage.call("PUT", f"/carts/{cart['external_id']}", {"discounts": [{"type": "coupon", "name": code}]})
        assert (answer.status, answer.code) == (422, "invalid_discount_code") and answer.is_signed
    assert update(stage, free)["discounts"] == free["discounts"], "what was refused changed nothing"
    assert update(stage, free, discounts=[])["total"] == before


def test_goods_worth_enough_are_shipped_free(stage: Stage) -> None:
    cart = update(stage, stage.cart(TEE=7), shipping_address=TEXAS)
    assert [(line["external_id"], line["subtotal"]) for line in cart["shipping_lines"]] == [
        ("standard", 0),
        ("express", 15),
    ]
    ten = update(stage, cart, discounts=[{"type": "coupon", "name": "TEN"}])
    assert ten["shipping_lines"][0]["subtotal"] == 5, "189 after the discount"


def test_more_than_there_is_cannot_be_had_and_the_answer_says_how_much_is_left(stage: Stage) -> None:
    hood, key = stage.key("HOOD-M"), stage.key("HOOD-M", is_variant=True)
    line = {"external_product_id": hood, "external_variant_id": key, "quantity": 4}
    refused = stage.call("POST", "/carts", {"line_items": [line, {"external_product_id": "gone", "quantity": 1}]})
    assert (refused.status, refused.code, refused.is_signed) == (422, "out_of_stock", True)
    assert refused.body["meta"] == [
        {"product_id": hood, "variant_id": key, "quantity": 3},
        {"product_id": "gone", "variant_id": "", "quantity": 0},
    ]
    cart = stage.call("POST", "/carts", {"line_items": [{**line, "quantity": 2}]}).body
    add = stage.call("POST", f"/carts/{cart['external_id']}/add", {"line_items": [{**line, "quantity": 2}]})
    assert add.body["meta"] == [{"product_id": hood, "variant_id": key, "quantity": 1}]
    more = {"line_items": [{"external_id": cart["line_items"][0]["external_id"], "quantity": 4}]}
    assert stage.call("PUT", f"/carts/{cart['external_id']}", more).code == "out_of_stock"
    stage.set_stock(**{"HOOD-M": 0})
    fetched = stage.call("POST", f"/carts/{cart['external_id']}", {}).body
    assert [(item["quantity"], item["inventory_quantity"]) for item in fetched["line_items"]] == [(2, 0)]
    assert update(stage, cart, customer={"email": "a@example.test"})["line_items"][0]["quantity"] == 2
    for sku in ("OFF", "NOPRICE", "HOOD"):  # off, unpriced, and a product without naming its variant
        body = {"line_items": [{"external_product_id": sku, "external_variant_id": sku, "quantity": 1}]}
        assert stage.call("POST", "/carts", body).code == "out_of_stock", sku


def test_units_can_be_changed_and_taken_out(stage: Stage) -> None:
    cart = stage.cart(TEE=2, MUG=1)
    tee, mug = (line["external_id"] for line in cart["line_items"])
    cart = update(
        stage, cart, line_items=[{"external_id": tee, "quantity": 5}, {"external_id": "li-99", "quantity": 5}]
    )
    assert [line["quantity"] for line in cart["line_items"]] == [5, 1]
    body = {"line_items": [{"external_id": tee, "quantity": 1}, {"external_id": mug, "quantity": 1}]}
    left = stage.call("POST", f"/carts/{cart['external_id']}/remove", body).body
    assert [(line["sku"], line["quantity"]) for line in left["line_items"]] == [("TEE", 4)]
    empty = stage.call(
        "POST", f"/carts/{cart['external_id']}/remove", {"line_items": [{"external_id": tee, "quantity": 9}]}
    )
    assert (empty.status, empty.body["line_items"], empty.body["total"]) == (200, [], 0)


def test_a_cart_with_nothing_to_ship_is_for_offers_only(stage: Stage) -> None:
    line = {"external_product_id": "EBOOK", "external_variant_id": "", "quantity": 1}
    answer = stage.call("POST", "/carts", {"line_items": [line]})
    assert (answer.status, answer.code, answer.is_signed) == (422, "cart_contains_only_digital_items", True)
    offers = {"X-Rally-Offers-Only": "1"}
    cart = stage.call("POST", "/carts", {"line_items": [line]}, headers=offers)
    assert cart.status == 200
    place = f"/carts/{cart.body['external_id']}"
    assert stage.call("POST", place, {}).code == "cart_contains_only_digital_items"
    assert stage.call("POST", place, {}, headers=offers).status == 200
    mixed = stage.cart(EBOOK=1, TEE=1)
    take = {"line_items": [{"external_id": mixed["line_items"][1]["external_id"], "quantity": 1}]}
    assert stage.call("POST", f"/carts/{mixed['external_id']}/remove", take).code == "cart_contains_only_digital_items"
    assert len(stage.call("POST", f"/carts/{mixed['external_id']}", {}).body["line_items"]) == 2, "nothing was changed"


def test_a_cart_shows_the_prices_of_now(stage: Stage) -> None:
    cart = stage.cart(TEE=1)
    stage.set_goods(Statement("", {"sku": "TEE", "price": Decimal("33.10")}))
    assert stage.call("POST", f"/carts/{cart['external_id']}", {}).body["total"] == 33.1


@pytest.mark.parametrize(("settings", "price"), [({}, 5), ({"trust_added_price": False}, 7.49)])
def test_an_order_bump_costs_what_rally_says_unless_the_merchant_does_not_trust_it(
    database: Database, settings: dict[str, Any], price: float
) -> None:
    bump = [{"external_product_id": "MUG", "external_variant_id": "MUG", "quantity": 1, "price": 5}]
    with staged(database, **settings) as stage:
        cart = stage.cart(TEE=1)
        added = stage.call("POST", f"/carts/{cart['external_id']}/add", {"line_items": bump}).body
        assert [line["discounted_price"] for line in added["line_items"]] == [30, price]
        again = stage.call("POST", f"/carts/{cart['external_id']}", {}).body
        assert [line["discounted_price"] for line in again["line_items"]] == [30, price], "fetching it changes no price"


BUMP = {"external_product_id": "MUG", "external_variant_id": "MUG", "quantity": 2, "price": 5}


@pytest.mark.parametrize("code", ["TEN", "FIVER"])
def test_p19_a_line_at_rallys_own_price_takes_no_discount_in_whatever_order_things_happen(
    stage: Stage, code: str
) -> None:
    coupon = {"discounts": [{"type": "coupon", "name": code}]}
    for before in (True, False):
        cart = update(stage, stage.cart(TEE=2, MUG=1), shipping_address=TEXAS)
        cart = update(stage, cart, **coupon) if before else cart
        cart = stage.call("POST", f"/carts/{cart['external_id']}/add", {"line_items": [BUMP]}).body
        cart = update(stage, cart, **coupon)
        tee, mug, bump = cart["line_items"]
        assert (bump["discounted_price"], bump["discount_amount"], bump["subtotal"]) == (5, 0, 10)
        off = Decimal(str(tee["discount_amount"])) + Decimal(str(mug["discount_amount"]))
        assert off == Decimal("6.75" if code == "TEN" else "5.00"), "goods at the catalogue's price bear all of it"
        assert [row["amount"] for row in cart["discounts"]] == [float(off)]
        made = stage.order(cart, discounts=cart["discounts"])
        assert [line["discount_amount"] for line in made.body["line_items"]][2] == 0
        assert made.body["total"] == cart["total"]


def test_p19_a_coupon_needs_goods_at_the_catalogues_price_and_free_shipping_does_not(stage: Stage) -> None:
    cart = update(stage, stage.cart(TEE=1), shipping_address=TEXAS)
    place, [tee] = f"/carts/{cart['external_id']}", cart["line_items"]
    stage.call("POST", f"{place}/add", {"line_items": [BUMP]})
    stage.call("POST", f"{place}/remove", {"line_items": [{"external_id": tee["external_id"], "quantity": 1}]})
    for code, status in (("TEN", 422), ("SHIPFREE", 200)):
        assert stage.call("PUT", place, {"discounts": [{"type": "coupon", "name": code}]}).status == status
    many = {"line_items": [{**BUMP, "quantity": 8, "price": 25}]}
    stage.call("POST", f"{place}/add", many)
    shipped = update(stage, cart)["shipping_lines"]
    assert shipped[0]["subtotal"] == 0, "what the shopper spends counts for free shipping, at whatever price"


def test_p34_a_price_that_decides_nothing_never_refuses_and_one_that_decides_is_not_guessed(stage: Stage) -> None:
    for stated in ("free", [], {"a": 1}, True, "1e999", -3):
        line = {"external_product_id": "MUG", "external_variant_id": "MUG", "quantity": 1, "price": stated}
        cart = stage.call("POST", "/carts", {"line_items": [line]})
        assert cart.status == 200 and cart.body["line_items"][0]["discounted_price"] == 7.49, stated
        place, [own] = f"/carts/{cart.body['external_id']}", cart.body["line_items"]
        changed = {"line_items": [{"external_id": own["external_id"], "quantity": 2, "price": stated}]}
        assert stage.call("PUT", place, changed).status == 200
        added = stage.call("POST", f"{place}/add", {"line_items": [line]})
        assert added.status == (200 if stated == -3 else 422)
        assert stage.call("POST", f"{place}/remove", changed).status == 200


def test_p35_a_sku_with_a_blank_at_an_end_is_bought_by_its_very_name(stage: Stage) -> None:
    stage.set_goods(Statement("", {"sku": "SPOON ", "price": Decimal(3)}), Statement("", {"sku": "SPOON"}))
    stage.set_stock(**{"SPOON ": 5})
    line = {"external_product_id": "SPOON ", "external_variant_id": "SPOON ", "quantity": 1}
    cart = stage.call("POST", "/carts", {"line_items": [line]})
    assert cart.status == 200 and cart.body["line_items"][0]["sku"] == "SPOON "
    assert stage.call("POST", "/carts", {"line_items": [{**line, "external_variant_id": "SPOON"}]}).status == 422
    [found] = stage.call("POST", "/products/search", {"product_id": "SPOON "}).body
    assert found["variants"][0]["external_sku"] == "SPOON "
    update(stage, cart.body, shipping_address=TEXAS)
    assert stage.order(stage.call("POST", f"/carts/{cart.body['external_id']}", {}).body).status == 200


def test_p32_a_cart_is_forgotten_30_days_after_its_last_change(stage: Stage) -> None:
    first, second = stage.cart(TEE=1), stage.cart(TEE=1)
    stage.clock.now += timedelta(days=29)
    update(stage, second, notes="still here")
    stage.clock.now += timedelta(days=2)
    gone = stage.call("POST", f"/carts/{first['external_id']}", {})
    assert (gone.status, gone.code) == (422, "cart_not_found")
    clock = next(clock for clock in CLOCKS if clock.table == "carts")
    with stage.database.write() as connection:
        rows = connection.execute(clock.expired(stage.clock.now, Terms())).all()
        clock.purge(connection, rows, stage.clock.now, Terms())
        assert [row.cart_id for row in rows] == [first["external_id"]]
    assert stage.call("POST", f"/carts/{second['external_id']}", {}).status == 200


def test_unknown_carts_are_not_found(stage: Stage) -> None:
    for place in ("/carts/cart-0", "/carts/%00", "/carts/" + "x" * 300, "/carts/%2e%2e"):
        assert stage.call("POST", place, {}).code == "cart_not_found"


def test_a_product_that_left_the_catalogue_stays_in_the_cart_and_cannot_be_bought(stage: Stage) -> None:
    cart = update(stage, stage.cart(TEE=1), shipping_address=TEXAS)
    stage.set_goods(Statement("", {"sku": "TEE", "is_enabled": False}))
    shown = stage.call("POST", f"/carts/{cart['external_id']}", {}).body
    assert [(line["discounted_price"], line["inventory_quantity"]) for line in shown["line_items"]] == [(30, 0)]
    refused = stage.order(shown)
    assert (refused.status, refused.code) == (412, "out_of_stock")
