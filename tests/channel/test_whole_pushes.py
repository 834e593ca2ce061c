"""A push of the catalogue is one statement, whatever the order of its records and however many pieces it is kept in."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from app.channel.actions import catalog_push
from app.contract.schemas import Contract
from app.domain.catalogue import Product
from app.records import catalogue
from tests.channel.product_pushes import Model, changed, record
from tests.gateways.vendors.rally.shop import channel_text
from tests.retailops import Caller, codes


@dataclass
class Books:
    """A channel's catalogue behind the whole server."""

    retailops: Caller

    def push(self, *records: Any) -> list[str]:
        """The codes of the answer's events."""
        return codes(self.retailops.ask("catalog_push", template_output={"data": {"Product": list(records)}}))

    def products(self) -> list[Product]:
        with self.retailops.database.read() as connection:
            return list(catalogue.walk(connection, "shop"))

    def sold(self) -> dict[str, tuple[str, str | None]]:
        """By SKU what can be bought: the object id of its product, and its title."""
        return {
            unit.sku: (product.item.product_id, unit.title)
            for product in self.products()
            for unit in product.units
            if unit.sku and unit.is_enabled is not False
        }


@pytest.fixture
def books(build_app: Callable[..., Flask], contract: Contract) -> Books:
    return Books(Caller(build_app(channel_text("http://127.0.0.1:9"), DELIVERIES="worker"), contract))


# Who has a SKU


def test_p36_a_product_and_its_variant_with_one_sku_are_one_article(books: Books) -> None:
    assert books.push(record(1, SKU="A", Title="Cap", Price="9.00")) == []
    number = books.products()[0].units[0].number
    sized = record(1, record(11, SKU="A", Title="S"), record(12, SKU="A-L", Title="L"), SKU="A")
    for _ in range(2):
        assert books.push(sized) == []
        assert books.sold() == {"A": ("1", "S"), "A-L": ("1", "L")}
    assert {unit.sku: unit.number for unit in books.products()[0].units}["A"] == number
    assert books.push(record(1, SKU="A", Description="by itself")) == [] and books.sold()["A"] == ("1", "S")
    assert books.push(record(11, SKU="A-S")) == [] and books.sold() == {"A-S": ("1", "S"), "A-L": ("1", "L")}
    # The same without object ids, by nesting and by ParentSKU.
    bare = {"feed_data": {"General": {"SKU": "B"}, "V": [{"feed_data": {"General": {"SKU": "B", "Title": "one"}}}]}}
    flat = [record(21, SKU="C", Title="group"), record(22, SKU="C", ParentSKU="C", Title="article")]
    for _ in range(2):
        assert books.push(bare, *flat) == []
        assert {sku: title for sku, (_, title) in books.sold().items() if sku in "BC"} == {"B": "one", "C": "article"}


@pytest.mark.parametrize("chunk", [1, 500], ids=["in pieces", "at once"])
@pytest.mark.both_databases
def test_p36_skus_that_change_hands_in_one_push_are_displaced_by_nobody(
    chunk: int, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_push, "CHUNK", chunk)
    books.push(record(1, SKU="A", Title="one"), record(2, SKU="B", Title="two"), record(3, SKU="C", Title="three"))
    assert books.push(record(1, SKU="B"), record(2, SKU="A")) == []
    assert books.sold() == {"B": ("1", "one"), "A": ("2", "two"), "C": ("3", "three")}
    assert books.push(record(3, SKU="A"), record(2, SKU="B"), record(1, SKU="D"), record(4, SKU="C")) == []
    assert books.sold() == {"A": ("3", "three"), "B": ("2", "two"), "D": ("1", "one"), "C": ("4", None)}


def test_p36_who_lost_its_sku_comes_back_when_it_is_free_and_was_never_switched_off(books: Books) -> None:
    books.push(record(1, SKU="A", Title="one"), record(2, SKU="B", Title="two"))
    assert books.push(record(1, SKU="B")) == ["DUPLICATE_SKU"], "a typing error"
    assert books.sold() == {"B": ("1", "one")}
    assert books.push(record(1, SKU="A")) == []
    assert books.sold() == {"A": ("1", "one"), "B": ("2", "two")}
    assert [product.item.is_enabled for product in books.products()] == [None, None]
    assert books.push(record(3, SKU="B"), record(4, SKU="B")) == ["DUPLICATE_SKU"] * 2
    assert books.push(record(4, SKU="D"), record(3, SKU="E")) == [] and books.sold()["B"] == ("2", "two")


# Who belongs to whom


@pytest.mark.parametrize("chunk", [1, 500], ids=["in pieces", "at once"])
def test_p36_chains_of_parent_sku_are_followed_in_any_order_and_take_their_children_along(
    chunk: int, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_push, "CHUNK", chunk)
    assert books.push(record(3, SKU="SIZE", ParentSKU="COLOUR"), record(2, SKU="COLOUR", ParentSKU="SHIRT"),
                      record(1, SKU="SHIRT", Title="Shirt")) == []  # fmt: skip
    assert books.sold() == {"SIZE": ("1", "Shirt")}
    books.push(record(9, SKU="RANGE", ParentSKU="RANGE", Title="Range"))
    assert books.push(record(1, ParentSKU="RANGE")) == [] and books.sold() == {"SIZE": ("9", "Shirt")}
    for nothing in ("", None):
        books.push(record(2, ParentSKU="SHIRT"))
        assert books.push(record(2, ParentSKU=nothing)) == []
        assert books.sold() == {"SIZE": ("2", None), "SHIRT": ("9", "Shirt")}


def test_p36_records_that_belong_to_each_other_are_told_and_nothing_is_lost(books: Books) -> None:
    books.push(record(1, record(11, SKU="A-1"), SKU="A", Title="A"))
    for _ in range(2):
        assert books.push(record(1, ParentSKU="A-1")) == ["PARENT_CYCLE"]
        assert books.sold() == {"A-1": ("1", "A")}, "what held before holds on"
    assert books.push(record(2, SKU="B", ParentSKU="C"), record(3, SKU="C", ParentSKU="B")) == ["PARENT_CYCLE"] * 2
    assert {"B", "C"} < books.sold().keys()
    assert books.push(record(3, ParentSKU="")) == [] and books.sold().keys() == {"A-1", "B"}, "C has B now"


def test_p36_what_has_variants_is_a_group_at_every_depth_and_a_nameless_one_hands_its_own_on(books: Books) -> None:
    def sized(colour: str) -> dict[str, Any]:
        sizes = [record(0, SKU=f"{colour}-{size}") for size in "SM"]
        for size, one in zip("SM", sizes, strict=True):
            one["feed_data"]["Options"] = {"Size": size}
        return {"General": {"Title": colour}, "Options": {"Colour": colour}, "Sizes": sizes}

    red = record(2, SKU="RED")
    red["feed_data"] = sized("red") | {"General": {"SKU": "RED", "Enabled": "no"}}
    nameless = {"feed_data": sized("blue")}
    assert books.push(record(1, red, nameless, SKU="SHIRT", Title="Shirt", Price="5.00")) == []
    (product,) = books.products()
    assert {unit.sku: (unit.title, unit.is_enabled, unit.options) for unit in product.units} == {
        "red-S": ("Shirt", False, (("Colour", "red"), ("Size", "S"))),
        "red-M": ("Shirt", False, (("Colour", "red"), ("Size", "M"))),
        "blue-S": ("blue", None, (("Colour", "blue"), ("Size", "S"))),
        "blue-M": ("blue", None, (("Colour", "blue"), ("Size", "M"))),
    }


# What is known needs no SKU


def test_p34_a_known_object_needs_no_sku_and_an_unknown_one_is_an_error(books: Books) -> None:
    books.push(record(1, SKU="A", Price="5.00"))
    assert books.push(record(1, Price="6.00"), record(2, Price="7.00"), record(1, SKU="", Title="Cap")) == [
        "SKU_MISSING"
    ]
    (product,) = books.products()
    assert (product.own.price, product.own.title, product.own.sku) == (6, "Cap", "A")


# Whole histories against a plain model


@pytest.mark.both_databases
def test_p36_random_pushes_leave_what_a_plain_model_says_in_any_order_and_in_any_pieces(
    books: Books, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    model, pushes = Model(), 0
    for turn in range(1, 60):
        after, records = changed(dice, model, turn)
        if after.has_cycle():
            continue
        model, pushes = after, pushes + 1
        monkeypatch.setattr(catalog_push, "CHUNK", dice.choice([1, 2, 500]))
        books.push(*records)
        assert books.sold() == model.sold(), (seed, turn, records)
    assert pushes > 20
