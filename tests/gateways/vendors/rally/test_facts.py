"""What Rally is told of catalogue and stock: only what is new, the newest, and nothing is lost on the way (R13)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from app.contract.schemas import Contract
from app.deadline import Deadline
from app.domain.stock import StockChange, StockLevel
from app.gateways.calls import Call
from app.sandbox.vendors.rally import BASE_PATH
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, opened, record
from tests.retailops import codes
from tests.waiting import eventually


@pytest.fixture
def shop(build_app: Callable[..., Flask], contract: Contract) -> Iterator[Shop]:
    with opened(build_app, contract, has_hooks=False) as built:
        yield built


def hood(*sizes: str, **general: Any) -> Any:
    variants = [
        {
            "feed_data": {"General": {"SKU": f"HOOD-{size}"}, "Options": {"Size": size}},
            "object_data": {"id": 900 + at, "source_type": "sku"},
        }
        for at, size in enumerate(sizes)
    ]
    return record(9, "HOOD", "49.50", variants, **general)


def at_rally(shop: Shop) -> dict[str, int]:
    return {row["sku"]: row["value"] for row in shop.view("stock")}


def products(shop: Shop) -> dict[str, Any]:
    return {item["variants"][0]["external_sku"]: item for item in shop.view("products").values()}


def refuse(shop: Shop, *, after: int = 0, times: int = 1, code: int = 422, path: str = "webhooks") -> None:
    """The calls after the next `after` ones are answered with a status."""
    match = {"method": "POST", "path_prefix": f"{BASE_PATH}/{path}"}
    if after:
        shop.rally.faults.add({"kind": "slow", "delay_s": 0.0, "times": after, "match": match})
    shop.rally.faults.add({"kind": "status", "code": code, "times": times, "match": match})


def test_a_product_is_told_whole_with_its_variants_and_their_stock(shop: Shop) -> None:
    shop.set_stock(**{"HOOD-M": 3, "HOOD-L": 0})
    shop.push([hood("M", "L", Categories=["Tops"])])
    shop.settle()
    [product] = shop.view("products").values()
    assert (product["title"], product["inventory_management"]) == ("Hood", "variant")
    assert [(item["external_sku"], item["inventory_quantity"]) for item in product["variants"]] == [
        ("HOOD-M", 3),
        ("HOOD-L", 0),
    ]
    assert at_rally(shop) == {"HOOD-M": 3, "HOOD-L": 0} and shop.view("warnings") == []


def test_only_what_changed_is_told_and_once(shop: Shop) -> None:
    goods = [record(1, TEE, "20.00"), record(2, MUG, "7.50")]
    shop.push(goods)
    shop.settle()
    shop.forget()
    shop.push(goods)
    shop.settle()
    assert shop.told() == []
    shop.push([record(1, TEE, "21.00"), record(2, MUG, "7.5")])
    shop.settle()
    assert [call["body"]["variants"][0]["prices"][0]["price"] for call in shop.told("product-update")] == [21]


def test_what_is_switched_off_is_deleted_and_comes_back_with_its_stock(shop: Shop) -> None:
    shop.push([record(1, TEE, "20.00")])
    shop.set_stock(TEE=4)
    shop.settle()
    shop.push([record(1, TEE, "20.00", Enabled=False)])
    shop.settle()
    assert products(shop) == {} and len(shop.told("product-delete")) == 1
    shop.set_stock(TEE=9)
    shop.settle()
    shop.push([record(1, TEE, "20.00", Enabled=True)])
    shop.settle()
    assert at_rally(shop) == {TEE: 9} and shop.view("warnings") == []


def test_a_category_is_told_when_it_is_new(shop: Shop) -> None:
    def in_category(number: int, sku: str, *paths: str) -> Any:
        made = record(number, sku, "20.00")
        made["feed_data"]["Categories"] = list(paths)
        return made

    shop.push([in_category(1, TEE, "Shirts"), in_category(2, MUG, "Kitchen", "Shirts")])
    shop.settle()
    assert sorted(shop.view("categories")) == ["Kitchen", "Shirts"]
    shop.push([in_category(1, TEE, "Shirts", "Sale")])
    shop.settle()
    assert sorted(call["body"]["title"] for call in shop.told("category-update")) == ["Kitchen", "Sale", "Shirts"]


def test_p34_a_category_that_rally_refuses_costs_no_product_its_price(shop: Shop) -> None:
    def goods(price: str, category: str = "Sale") -> Any:
        made = record(1, TEE, price)
        made["feed_data"]["Categories"] = ["Shirts", category]
        return made

    shop.fault("status", path="webhooks/category-update", code=422)
    shop.push([goods("20.00")])
    shop.settle()
    assert len(shop.view("categories")) == 1, "the other one is there"
    assert [call["body"]["variants"][0]["prices"][0]["price"] for call in shop.told("product-update")] == [20]
    shop.push([goods("20.00")])
    shop.settle()
    assert sorted(shop.view("categories")) == ["Sale", "Shirts"], "what was refused is owed again when it is stated"
    assert len(shop.told("product-update")) == 1
    shop.fault("status", path="webhooks/product-inventory-update", code=404)
    shop.set_stock(TEE=4)
    shop.settle()
    shop.fault("status", path="webhooks/category-update", code=422)
    shop.push([goods("21.00", "New")])
    shop.settle()
    assert values_told(shop) == [4], "its own SKU was made all the same"


def test_p33_a_product_that_was_deleted_at_rally_is_made_anew_when_it_is_stated_again(shop: Shop) -> None:
    shop.offer(TEE=5, MUG=5)
    shop.forget()
    shop.fault("status", path="webhooks/product-inventory-update", code=404)
    shop.set_stock(TEE=4)
    shop.settle()
    assert shop.told() == []
    assert eventually(lambda: codes(shop.set_stock())) == ["LATE_STOCK_REFUSED"]
    shop.set_stock(TEE=3)
    shop.settle()
    assert values_told(shop) == [3], "the 404 may have been a proxy's, and then Rally sells the product still"
    shop.push([record(100, TEE, "20.00"), record(101, MUG, "20.00")])
    shop.settle()
    [told] = shop.told("product-update")
    assert [(item["external_sku"], item["inventory_quantity"]) for item in told["body"]["variants"]] == [(TEE, 3)]
    shop.set_stock(TEE=2)
    shop.settle()
    assert at_rally(shop)[TEE] == 2 and codes(shop.set_stock(TEE=2)) == []


def test_p33_a_variant_that_rally_does_not_know_costs_the_others_neither_stock_nor_removal(shop: Shop) -> None:
    shop.set_stock(**{"HOOD-M": 3})
    shop.push([hood("M")])
    shop.settle()
    shop.fault("status", path="webhooks/product-update", code=422)
    shop.push([hood("M", "L")])
    shop.settle()
    shop.fault("status", path="webhooks/product-inventory-update", code=404)
    shop.set_stock(**{"HOOD-L": 5})
    shop.settle()
    shop.forget()
    shop.set_stock(**{"HOOD-M": 1})
    shop.settle()
    assert values_told(shop) == [1] and at_rally(shop) == {"HOOD-M": 1}
    shop.fault("status", path="webhooks/product-update", code=422)
    shop.push([hood("M", "L")])
    shop.settle()
    shop.push([hood("M", "L", Enabled=False)])
    shop.settle()
    assert products(shop) == {} and len(shop.told("product-delete")) == 1


def test_p44_what_rally_took_is_known_whether_or_not_the_database_can_note_a_lost_product(shop: Shop) -> None:
    goods = {TEE: 5, MUG: 5, "CAP": 5}
    shop.offer(**goods)
    shop.fault("status", path="webhooks/product-inventory-update", code=404)
    with shop.database.write() as connection:
        connection.exec_driver_sql(
            "create trigger full before update on catalogue_sync begin select raise(abort, 'the disk is full'); end"
        )
    changes = [StockChange(sku, StockLevel(4)) for sku in goods]
    sent = shop.gateway.stock.push(changes, Call(Deadline.in_s(30), "stock", "fact"))
    assert [(one.refusal != "", one.lost_product != "") for one in sent].count((True, True)) == 1
    assert [(one.refusal != "", one.lost_product != "") for one in sent].count((False, False)) == 2


def test_stock_is_absolute_and_zero_is_told(shop: Shop) -> None:
    shop.offer(TEE=5, MUG=5)
    shop.forget()
    shop.set_stock(TEE=0, MUG=6)
    shop.settle()
    assert at_rally(shop) == {TEE: 0, MUG: 6}
    told = [(call["body"]["value"], call["body"]["method"]) for call in shop.told("product-inventory-update")]
    assert sorted(told) == [(0, "absolute"), (6, "absolute")]
    shop.set_stock(TEE=0)
    shop.settle()
    assert len(shop.told("product-inventory-update")) == 2, "it is the same to Rally"


def test_stock_of_an_unknown_sku_is_kept_and_goes_with_its_product(shop: Shop) -> None:
    answer = shop.set_stock(TEE=6)
    assert codes(answer) == ["SKU_UNKNOWN"] and answer["events"][0]["event_type"] == "warning"
    shop.settle()
    assert shop.told() == []
    shop.push([record(1, TEE, "20.00")])
    shop.settle()
    assert at_rally(shop) == {TEE: 6}
    assert codes(shop.set_stock(TEE=7)) == []
    shop.settle()
    assert at_rally(shop) == {TEE: 7} and shop.view("warnings") == []


def test_many_unknown_skus_are_counted_and_hold_nothing_up(shop: Shop) -> None:
    shop.push([record(1, TEE, "20.00")])
    answer = shop.set_stock(**{f"X{number}": 1 for number in range(120)}, TEE=3)
    assert len(answer["events"]) == 21 and "100 further" in answer["events"][-1]["message"]
    shop.settle()
    assert at_rally(shop) == {TEE: 3}


@pytest.mark.parametrize("fault", ["status", "reset_after", "reset_before", "hang"])
def test_p27_while_rally_is_ill_nothing_is_lost_and_the_newest_arrives(shop: Shop, fault: str) -> None:
    shop.offer(TEE=5, MUG=5)
    shop.forget()
    shop.fault(fault, times=2, **({"code": 503} if fault == "status" else {}))
    shop.set_stock(TEE=4, MUG=4)
    shop.set_stock(TEE=5)
    shop.push([record(100, TEE, "25.00")])
    shop.settle()
    assert at_rally(shop) == {TEE: 5, MUG: 4}
    assert products(shop)[TEE]["variants"][0]["prices"][0]["price"] == 25


def test_a_batch_that_breaks_off_is_continued_where_it_stopped(shop: Shop) -> None:
    units = {f"S{number}": number for number in range(6)}
    shop.offer(**units)
    shop.forget()
    refuse(shop, after=2, code=503)
    shop.set_stock(**{sku: count + 10 for sku, count in units.items()})
    shop.settle()
    assert at_rally(shop) == {sku: count + 10 for sku, count in units.items()}
    told = [call["body"]["value"] for call in shop.told("product-inventory-update")]
    assert sorted(told) == [10, 11, 12, 13, 14, 15], "what was told is not told again"


def test_what_rally_refuses_is_late_news_and_holds_nothing_up(shop: Shop) -> None:
    refuse(shop, path="webhooks/product-update")
    shop.push([record(1, TEE, "20.00"), record(2, MUG, "7.50"), record(3, "FREE", None)])
    shop.settle()
    assert len(products(shop)) == 1
    assert eventually(lambda: codes(shop.set_stock())) == ["LATE_PRODUCT_REFUSED", "LATE_PRODUCT_REFUSED"]
    shop.push([record(1, TEE, "20.00", Title="Now better"), record(2, MUG, "7.60"), record(3, "FREE", "3")])
    shop.settle()
    assert set(products(shop)) == {TEE, MUG, "FREE"}


def test_a_product_that_was_told_with_an_unknown_outcome_is_told_again_though_it_went_back(shop: Shop) -> None:
    shop.push([record(1, TEE, "20.00")])
    shop.settle()
    shop.fault("reset_after", path="webhooks/product-update")
    shop.rally.faults.add(
        {"kind": "status", "code": 429, "times": 3, "match": {"path_prefix": f"{BASE_PATH}/webhooks"}}
    )
    shop.push([record(1, TEE, "99.00")])
    shop.push([record(1, TEE, "20.00")])
    shop.settle()
    assert products(shop)[TEE]["variants"][0]["prices"][0]["price"] == 20


def values_told(shop: Shop) -> list[int]:
    return [call["body"]["value"] for call in shop.told("product-inventory-update")]


def test_p33_an_equal_figure_is_sent_once_a_day_and_at_once_after_a_refusal_or_a_lost_answer(shop: Shop) -> None:
    shop.offer(TEE=5)
    shop.set_stock(TEE=5)
    shop.settle()
    shop.forget()
    shop.set_stock(TEE=5)
    shop.settle()
    assert values_told(shop) == [], "Rally was sent it a moment ago"
    with shop.database.write() as connection:
        connection.exec_driver_sql(f"update stock set sent_at = sent_at - {25 * 3_600_000}")
    shop.set_stock(TEE=5)
    shop.settle()
    shop.set_stock(TEE=5)
    shop.settle()
    assert values_told(shop) == [5], "once a day"

    refuse(shop)
    shop.set_stock(TEE=6)
    shop.settle()
    assert at_rally(shop)[TEE] == 5
    shop.set_stock(TEE=6)
    shop.settle()
    assert at_rally(shop)[TEE] == 6, "it was refused"

    shop.forget()
    shop.fault("reset_after")
    shop.set_stock(TEE=7)
    shop.settle()
    assert values_told(shop) == [7, 7], "the answer was lost"
    shop.forget()
    with shop.database.write() as connection:
        connection.exec_driver_sql("update stock set again_at = 1 where again_at is not null")
    shop.settle()
    eventually(lambda: values_told(shop) == [7])
    assert at_rally(shop)[TEE] == 7, "and once more after settle"
