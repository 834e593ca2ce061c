"""Shoppers of every country: no field is requested that the country or our tables do not have (P34, P37)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from app.contract.schemas import Contract
from app.errors import SettingsFault
from app.gateways.vendors.rally.options import RallyOptions
from app.options import read_table
from app.records.database import Database
from tests.gateways.vendors.rally.shop import TEE, channel_text, opened
from tests.gateways.vendors.rally.stage import TABLE, TEXAS, Stage, options_of, staged

WORLD = ["HK", "AE", "QA", "IE", "PA", "SG", "AT", "AU", "GB", "US", "CA"]
SHIPPING = [
    {"id": "world", "title": "World", "price": "9", "countries": [code for code in WORLD if code not in ("AT", "AU")]},
    {"id": "austria", "title": "Austria", "price": "3", "countries": ["aut"]},
    {"id": "australia", "title": "Australia", "price": "30", "countries": ["aus"]},
    {"id": "texas", "title": "Texas", "price": "1", "countries": ["USA", "sgp"], "provinces": ["TX"]},
]
TAXES = [{"country": "aut", "rate": "0.2"}, {"country": "US", "province": "TX", "rate": "0.0825"}]
BARE = {"first_name": "Ana", "last_name": "Ruiz", "address1": "1 Elm St"}


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    with staged(database, shipping=SHIPPING, tax=TAXES) as built:
        yield built


def at(stage: Stage, address: dict[str, Any]) -> dict[str, Any]:
    """A cart with one tee at this address, as answered."""
    cart = stage.cart(TEE=1)
    answer = stage.call("PUT", f"/carts/{cart['external_id']}", {"shipping_address": address})
    assert answer.status == 200, answer.body
    made: dict[str, Any] = answer.body
    return made


def test_p34_a_shopper_without_postcode_city_and_province_can_buy(stage: Stage) -> None:
    for country in ("HK", "AE", "QA", "IE", "PA", "SG", "GB", "CA"):
        for missing in ({}, *(dict.fromkeys(("zip", "city", "province"), nothing) for nothing in (None, "", "  "))):
            address = {**BARE, **missing, "country_code": country}
            cart = at(stage, address)
            assert [line["external_id"] for line in cart["shipping_lines"]] == ["world"], address
        made = stage.order(
            cart, shipping_address=address, billing_address=address,
            transactions=[{"external_id": "ch_1", "amount": cart["total"]}],
        )  # fmt: skip
        assert made.status == 200, made.body
        assert made.body["total"] == cart["total"] == 39


def test_p34_a_province_is_requested_only_where_a_table_goes_by_it_and_the_country_has_it(stage: Stage) -> None:
    american = {**BARE, "country_code": "US"}
    cart = at(stage, american)
    assert cart["shipping_lines"] == []
    refused = stage.order(cart, shipping_address=american, billing_address=american)
    assert (refused.status, refused.code) == (422, "cart_has_been_updated")
    assert at(stage, {**american, "province": "tx"})["taxes"][0]["tax_amount"] == 2.48
    assert [line["external_id"] for line in at(stage, {**BARE, "country_code": "SG"})["shipping_lines"]] == ["world"]


def test_p34_a_country_code_is_translated_and_never_cut(stage: Stage) -> None:
    for code, total in (("AUT", 39), ("aut", 39), ("At", 39), ("AUS", 60), ("AU", 60)):
        cart = at(stage, {**BARE, "country_code": code})
        assert cart["total"] == total
        shown = cart["customer"]["shipping_address"]
        assert shown["country_code"] == ("AT" if total == 39 else "AU")


def test_p34_an_unknown_country_code_is_unknown_and_nothing_of_it_is_lost(stage: Stage) -> None:
    for code in ("AUX", "XX", "AT1", "Austria", "A", 7):
        cart = at(stage, {**BARE, "country_code": code})
        assert cart["shipping_lines"] == []
        shown = cart["customer"]["shipping_address"]
        assert (shown["country_code"], shown["country"]) == (None, str(code))
        named = at(stage, {**BARE, "country_code": code, "country": "Atlantis"})
        assert named["customer"]["shipping_address"]["country"] == "Atlantis"
        refused = stage.order(cart, shipping_address={**BARE, "country_code": code}, billing_address=None)
        assert (refused.status, refused.code) == (422, "cart_has_been_updated")


def test_p34_tables_read_countries_as_hooks_do_and_an_unknown_one_is_a_fault(build_app: Callable[..., Flask]) -> None:
    options = options_of(shipping=SHIPPING, tax=TAXES, store_country="aut")
    assert options.shipping[1].countries == ["AT"] and options.shipping[3].countries == ["US", "SG"]
    assert (options.tax[0].country, options.store_country) == ("AT", "AT")
    for more, place in (
        ('[[channel.rally.tax]]\ncountry = "AUX"\nrate = "0.1"', r"tax\.1\.country"),
        ('[[channel.rally.shipping]]\nid = "a"\ntitle = "A"\nprice = "1"\ncountries = ["Utopia"]', "countries"),
    ):
        with pytest.raises(SettingsFault, match=place):
            build_app(channel_text("http://127.0.0.1:9") + more)
    faults: list[str] = []
    assert read_table(RallyOptions, {**TABLE, "store_country": "XX"}, "channel.rally", faults) is None
    assert faults == ["channel.rally.store_country: must be an ISO 3166 code such as US"]


@pytest.mark.both_databases
def test_p37_an_order_without_postcode_and_province_reaches_retailops(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    world = '\n[[channel.rally.shipping]]\nid = "w"\ntitle = "W"\nprice = "7"\ncountries = ["hkg", "QA", "IRL"]\n'
    with opened(build_app, contract, rally=world) as shop:
        shop.offer(TEE=9)
        for code, country in (("HKG", "HK"), ("qa", "QA"), ("IE", "IE")):
            address = {"country_code": code, "country": None, "zip": None, "province": None, "city": None}
            order = shop.buy_and_pull(skus={TEE: 1}, address=address)
            place = order["shipping_address"]
            assert (place["country_match"], place["postal_code"], place["state_match"]) == (country, "", "")
        assert shop.view("warnings") == []


def test_p34_every_text_of_an_address_arrives_whole_or_is_refused_before_it_is_paid(stage: Stage) -> None:
    for length in (255, 1000, 1001, 10_000):
        address = {**TEXAS, "company": "c" * length, "address2": "é" * length}
        cart = at(stage, address)
        made = stage.order(cart, shipping_address=address, billing_address=address)
        kept = stage.document(made.body["external_id"]).shipping_address
        assert kept is not None and (kept.company, kept.address2) == ("c" * length, "é" * length)
    cart = stage.cart(TEE=1)
    for body in (
        {"shipping_address": {**TEXAS, "company": "c" * 10_001}},
        {"customer": {"last_name": "n" * 10_001}},
        {"notes": "n" * 50_000},
    ):
        refused = stage.call("PUT", f"/carts/{cart['external_id']}", body)
        assert (refused.status, refused.code) == (422, "cart_has_been_updated")
    made = stage.order(at(stage, TEXAS), notes="n" * 50_000)
    assert stage.document(made.body["external_id"]).notes == "n" * 50_000, "what is paid is taken, whatever is written"


def test_p34_half_a_character_costs_its_text_alone(stage: Stage) -> None:
    cart = stage.cart(TEE=1)
    raw = (
        rb'{"customer":{"email":"a@b.test","first_name":"An\ud83d","last_name":"\ude00\ud83d\ude00"},'
        rb'"notes":"a\\ud83d \u0000","shipping_address":{"country_code":"QA","city":"\ud83dx\ude00"}}'
    )
    answer = stage.call("PUT", f"/carts/{cart['external_id']}", raw)
    assert answer.status == 200, answer.body
    customer = answer.body["customer"]
    assert (customer["first_name"], customer["last_name"]) == ("An\ufffd", "\ufffd\U0001f600")
    assert answer.body["notes"] == "a\\ud83d \ufffd" and customer["email"] == "a@b.test"
    assert customer["shipping_address"]["city"] == "\ufffdx\ufffd" and answer.body["shipping_lines"]
