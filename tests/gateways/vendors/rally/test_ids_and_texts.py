"""What Rally names and writes arrives whole: ids byte for byte, texts without a cut (P34, P35)."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.contract.schemas import Contract
from app.deadline import Deadline
from app.domain.findings import Finding
from app.gateways.calls import Call
from app.gateways.vendors.rally.inbound.hook_money import transactions
from app.gateways.vendors.rally.inbound.hook_requests import read_body
from app.records.tables.gateways import inbound_requests
from app.records.tables.operations import journal
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, money, opened, record
from tests.retailops import codes

OPEN = Callable[..., Shop]


@pytest.fixture
def open_shop(build_app: Callable[..., Flask], contract: Contract) -> Iterator[OPEN]:
    with ExitStack() as stack:

        def start(**how: Any) -> Shop:
            shop = stack.enter_context(opened(build_app, contract, **how))
            shop.offer(TEE=50, MUG=50)
            return shop

        yield start


@pytest.fixture
def shop(open_shop: OPEN) -> Shop:
    return open_shop()


IDS = (" ch 1", "ch 1 ", "ch 1", "CH 1", "ch\u00a01", "ché", "che\u0301", "x" * 255, "0017", "17")


@pytest.mark.both_databases
def test_p35_ids_of_transactions_come_back_byte_for_byte_and_none_is_taken_for_another(shop: Shop) -> None:
    parts = [{"external_id": name, "amount": 1} for name in IDS]
    rest = {"external_id": "rest", "amount": TOTAL - len(IDS)}
    order = shop.buy_and_pull(skus={TEE: 1}, transactions=[*parts, rest])
    assert [item["refnum"] for item in order["payment_transactions"]] == [*IDS, "rest"]
    for name in IDS:
        assert shop.credit(1, name)["status"] == "success", name
    assert money(shop.at_rally(order["channel_order_refnum"])["refunded"]) == len(IDS)
    # Each from its own payment, of which nothing is left then.
    assert all(shop.credit(2, name)["status"] == "decline" for name in IDS)


def test_p35_a_credit_finds_the_payment_of_a_trimmed_number_and_no_unknown_number_makes_it_another(shop: Shop) -> None:
    parts = [{"external_id": "tx 9 ", "amount": TOTAL}]
    refnum = shop.buy_and_pull(skus={TEE: 1}, transactions=parts)["channel_order_refnum"]
    paid = shop.credit(3, "tx 9")
    assert (paid["status"], paid["amount"]) == ("success", 3)
    for parents in (("tx 9 ",), ("nobody", "tx 9"), (" tx 9", "tx 9 ")):
        again = shop.credit(3, *parents)
        assert (again["status"], again["message"]) == ("success", f"same as {paid['refnum']}, nothing paid again")
    assert money(shop.at_rally(refnum)["refunded"]) == 3


TOTAL = 27
"""One tee, its tax, and shipping."""


@pytest.mark.both_databases
def test_p35_a_sku_keeps_its_blanks_from_the_catalogue_to_the_order(shop: Shop) -> None:
    goods = ("SPOON ", " FORK", "FORK", "KNIFE")
    shop.push([record(at, sku, "20.00") for at, sku in enumerate(goods, 200)])
    stated = {"SPOON ": 5, " FORK": 3, "FORK": 4, "KNIFE ": 7, "OTHER ": 1}
    answer = shop.set_stock(**stated)
    assert [event["associations"][0]["identifier"] for event in answer["events"]] == ["OTHER "]
    shop.settle()
    held = {row["sku"]: row["value"] for row in shop.view("stock") if row["sku"] in goods}
    assert held == {"SPOON ": 5, " FORK": 3, "FORK": 4, "KNIFE": 7}
    order = shop.buy_and_pull(skus={"SPOON ": 2})
    refnum = order["channel_order_refnum"]
    assert [line["sku"] for line in order["order_items"]] == ["SPOON "]
    # Some of RetailOps' systems drop the blank.
    assert shop.complete(refnum, unshipped_items=[{"sku": "SPOON", "unshipped_quantity": 2}])["status"] == "success"
    assert shop.set_stock(SPOON=9)["events"] == []
    shop.settle()
    assert {row["sku"]: row["value"] for row in shop.view("stock")}["SPOON "] == 9


@pytest.mark.both_databases
def test_p37_money_under_an_id_that_cannot_be_a_key_is_never_lost(shop: Shop) -> None:
    for at, odd in enumerate(("y" * 256, "z" * 5000, "a\x00b", "   ", "")):
        second = f"{odd}2" if odd.strip() else odd
        charged = [{"external_id": odd, "amount": TOTAL - 1}, {"external_id": second, "amount": 1}]
        order = shop.buy_and_pull(skus={TEE: 1}, transactions=charged)
        refnums = [item["refnum"] for item in order["payment_transactions"]]
        assert [item["amount"] for item in order["payment_transactions"]] == [TOTAL - 1, 1]
        assert len(set(refnums)) == 2 and all(name.startswith("tx-") for name in refnums)
        refnum = order["channel_order_refnum"]
        shop.step("order/update", order=refnum, transactions=charged)
        assert codes(shop.give_back(7 + at, 1, refnum), "error") == []
        assert len(shop.at_rally(refnum)["refunds"]) == 1 and money(shop.at_rally(refnum)["refunded"]) == 1


def test_p37_half_a_character_in_an_id_makes_no_two_charges_one() -> None:
    raw = rb'{"transactions":[{"external_id":"a\ud83d","amount":1},{"external_id":"a\ud83e","amount":2}]}'
    first, second = transactions(read_body(raw))
    assert first.external_id != second.external_id and (first.amount, second.amount) == (1, 2)


def test_p35_the_customers_and_the_addresss_id_come_back_as_they_came(shop: Shop) -> None:
    for name in (" c 1", "c 1 ", "C\u00a01", "x" * 255):
        step = shop.step("cart/create", skus={TEE: 1})
        cart = step["answer"]["external_id"]
        changed = shop.step("cart/update", cart=cart, customer={"external_id": name}, address={"external_id": name})
        customer = changed["answer"]["customer"]
        assert (customer["external_id"], customer["shipping_address"]["external_id"]) == (name, name)


def test_p34_a_note_of_any_length_reaches_retailops_whole(shop: Shop, seed: int) -> None:
    chance = random.Random(seed)
    for length in (0, 1, 2, 99, 100, 101, 102, 199, 200, 201, 350, 5000):
        note = "".join(chance.choices(string.ascii_letters + "éß語", k=length))
        note = "".join(" " if 0 < at < length - 1 and chance.random() < 0.1 else sign for at, sign in enumerate(note))
        order = shop.buy_and_pull(skus={TEE: 1}, notes=note)
        parts = {
            row["handle"]: row["value"] for row in order["attributes"] if row["handle"].startswith("customer_note")
        }
        assert list(parts) == ["customer_note", *(f"customer_note_{at}" for at in range(2, 200))][: len(parts)]
        assert "".join(parts.values()) == (f"customer_note: {note}" if length == 1 else note)


def checked(shop: Shop, name: str) -> Finding | None:
    shop.retailops.app.extensions["works"].journal.flush()
    health = shop.gateway.check(Call(Deadline.in_s(10), "check", "question"))
    return next((item for item in health.findings if item.name == name), None)


@pytest.mark.both_databases
def test_p37_a_check_says_why_hooks_were_refused_in_the_last_hour(shop: Shop) -> None:
    found = checked(shop, "requests")
    assert found is not None and found.state == "ok", found
    assert shop.buy(skus={TEE: 1})
    shop.step("cart/create", skus={TEE: 999})
    found = checked(shop, "requests")
    assert found is not None and found.state == "note", "a shopper wanted too much"
    assert "1x cart/create: 422 out_of_stock" in found.sentence
    far = {"country_code": "DE", "province": None}
    for _ in range(3):
        shop.step("store_information/fetch", sign="wrong")
    assert shop.checkout(skus={TEE: 1}, address=far)["outcome"] == "refused"
    found = checked(shop, "requests")
    assert found is not None and found.state == "attention"
    assert "3x store_information/fetch: 406 platform_unavailable" in found.sentence
    assert "order/create: 412 unknown: nothing is shipped to this address" in found.sentence
    with shop.database.write() as connection:
        rows = connection.execute(select(inbound_requests)).all()
        assert 5 <= len(rows) <= 30, "counted, not listed"
        connection.exec_driver_sql("update inbound_requests set at = at - 7200000")
    found = checked(shop, "requests")
    assert found is not None and found.sentence == "none of 0 hooks of the last hour was refused"


def test_p37_a_check_names_tables_that_stop_every_checkout(open_shop: OPEN) -> None:
    shop = open_shop(
        rally='\n[[channel.rally.shipping]]\nid = "p"\ntitle = "P"\nprice = "1"\ncountries = ["SG"]\nprovinces = ["X"]'
    )
    found = checked(shop, "shipping")
    assert found is not None and (found.state, "SG" in found.sentence) == ("attention", True)
    assert checked(shop, "tax") is None
    assert checked(shop, "prices") is None and checked(shop, "goods") is None
    shop.push([record(100, TEE, "20.00", Currency="EUR")])
    assert checked(shop, "prices") is None, "a mug can be bought"
    shop.push([record(101, MUG, "20.00", Currency="chf")])
    found = checked(shop, "prices")
    assert found is not None and found.state == "attention"
    assert "all 2 prices of the catalogue are in CHF, EUR and none is in USD" in found.sentence


MISSPELT = """
max_hook_body = 2048

[[channel.rally.shipping]]
id = "far"
title = "Far"
price = "1"
countries = ["US", "CA"]
provinces = ["Ontario", "Texass"]

[[channel.rally.tax]]
country = "CA"
province = "Ontari"
rate = "0.1"
"""


def test_p37_a_check_names_settings_that_refuse_orders_or_match_nobody(open_shop: OPEN) -> None:
    shop = open_shop(rally=MISSPELT)
    for name, said in (
        ("max_hook_body", "2048 bytes"),
        ("shipping provinces", "'far' goes to Texass,"),
        ("tax provinces", "Ontari (CA)"),
    ):
        found = checked(shop, name)
        assert found is not None and found.state == "attention" and said in found.sentence, found


def test_p37_a_check_says_why_nothing_of_the_catalogue_can_be_bought(open_shop: OPEN) -> None:
    shop = open_shop(channel='[channel.catalog]\nprice = "General.Cost"\nenabled = "General.Shown"')
    found = checked(shop, "goods")
    assert found is not None and found.state == "attention"
    assert "of all 2 articles of the catalogue none can be bought: 2 without a price (`price` of" in found.sentence
    shop.push([record(100, TEE, None, Cost="20.00"), record(101, MUG, None, Cost="5", Shown="no")])
    assert checked(shop, "goods") is None, "a tee can be bought"
    shop.push([record(100, TEE, None, Cost="20.00", Shown="no")])
    found = checked(shop, "goods")
    assert found is not None and "2 switched off by RetailOps" in found.sentence


def test_a_price_of_cart_create_that_is_not_taken_stands_in_the_journal(shop: Shop) -> None:
    def noted() -> list[tuple[str, str]]:
        shop.retailops.app.extensions["works"].journal.flush()
        with shop.database.read() as connection:
            rows = connection.execute(select(journal).where(journal.c.kind == "hook").order_by(journal.c.id)).all()
        return [(row.name, row.outcome) for row in rows if row.outcome != "success"]

    tee = {"external_product_id": TEE, "external_variant_id": TEE, "quantity": 1}
    assert shop.step("cart/create", line_items=[{**tee, "price": 20}])["outcome"] == "good"
    assert shop.step("cart/create", line_items=[tee])["outcome"] == "good"
    assert noted() == [], "the catalogue's price is the catalogue's price"
    step = shop.step("cart/create", line_items=[{**tee, "price": 0.01}])
    assert step["answer"]["line_items"][0]["discounted_price"] == 20
    assert noted() == [("rally cart/create", "PRICE_NOT_TAKEN")]
    added = shop.step(
        "cart/add", line_items=[{"external_product_id": MUG, "external_variant_id": MUG, "quantity": 1, "price": 1}]
    )
    assert added["warnings"] == [] and added["answer"]["line_items"][1]["discounted_price"] == 1
    assert len(noted()) == 1


def test_a_merchant_may_trust_the_price_of_cart_create(open_shop: OPEN) -> None:
    shop = open_shop(rally="trust_created_price = true")
    tee = {"external_product_id": TEE, "external_variant_id": TEE, "quantity": 1, "price": 11}
    [line] = shop.step("cart/create", line_items=[tee])["answer"]["line_items"]
    assert (line["price"], line["discounted_price"]) == (20, 11)
