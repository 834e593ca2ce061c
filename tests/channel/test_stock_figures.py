"""Stock that is below zero, or that contradicts itself: what counts, what each vendor is sent, and who hears of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from flask import Flask

from app.channel.actions import inventory_push
from app.contract.schemas import Contract
from app.domain import stock_levels
from app.domain.stock import StockLevel
from app.gateways.vendors.retailrocket.offers import Availability
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.records import stock
from app.storefront.reservations import sellable
from tests.channel.stock_pushes import on_hand, own, push
from tests.channels import KEY, PAIR, channel_table
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually

PLACE = "Dallas DC"

SHOP = """
[[channel]]
name = "shop"
client_id = {pair[0]}
channel_id = {pair[1]}
auth_keys = ["{key}"]
gateways = ["retailrocket"]
{more}
[channel.retailrocket]
partner_id = "5a5b5c5d5e5f5a5b5c5d5e5f"
api_url = "http://127.0.0.1:9/api"
"""

Open = Callable[..., Caller]


@pytest.fixture
def open_shop(build_app: Callable[..., Flask], contract: Contract) -> Open:
    """A channel whose vendor is sent one figure a SKU."""

    def start(more: str = "") -> Caller:
        return Caller(build_app(SHOP.format(pair=PAIR, key=KEY, more=more)), contract)

    return start


def detail(available: Any, kind: str = "internal", place: str = PLACE) -> dict[str, Any]:
    name = {"external": "vendor_name", "inflight": "po"}.get(kind, "facility_name")
    return {"quantity_type": kind, name: place, "available_quantity": available, "total_quantity": available}


def row(sku: str, total: Any, *details: dict[str, Any]) -> dict[str, Any]:
    return {"sku": sku, "quantity_available": total, "quantity_detail": list(details)}


def figures(caller: Caller, *skus: str) -> dict[str, int]:
    """What is kept for the vendor that is sent one figure."""
    with caller.database.read() as connection:
        found = stock.levels_of(connection, "shop", "retailrocket", skus)
    return {sku: level.quantity_available for sku, level in found.items()}


# Below zero (R6)


@pytest.mark.both_databases
@pytest.mark.parametrize("spelling", [-2, "-2", -2.0, " -2 "])
def test_r6_stock_below_zero_counts_as_stated_and_is_0_at_a_vendor(spelling: Any, open_shop: Open) -> None:
    shop = open_shop()
    assert codes(shop.ask("inventory_push", inventory_updates=[row("A", 7), row("B", 7)])) == []
    answer = shop.ask("inventory_push", inventory_updates=[{"sku": "A", "quantity_available": spelling}, row("B", 5)])
    assert codes(answer, "warning") == ["NEGATIVE_STOCK"] and codes(answer, "error") == []
    assert answer["events"][0]["associations"] == [{"identifier_type": "sku_number", "identifier": "A"}]
    assert figures(shop, "A", "B") == {"A": -2, "B": 5}, "the old positive figure must not go on selling"
    with shop.database.read() as connection:
        levels = stock.levels_of(connection, "shop", "retailrocket", ["A"])
    store = RetailRocketOptions(partner_id="p", stock_ids={PLACE: "north"})
    assert Availability(RetailRocketOptions(partner_id="p")).of(levels["A"], 0) == {"": False}
    assert Availability(store).of(levels["A"], 0) == {"north": False}


def test_r6_rows_below_zero_beside_good_ones_are_added_up_and_each_place_is_sent_0_at_least(
    retailops: Caller, pipe17: Sandbox
) -> None:
    sku = str(pipe17.state()["inventory"][0]["sku"])
    push(retailops, sku=sku, quantity_available=7, quantity_detail=[own(7, 7)])
    eventually(lambda: on_hand(pipe17, sku) == 7)
    rows = [own(5, 5), own(-2, -2)]
    answer = retailops.ask("inventory_push", inventory_updates=[
        {"sku": sku, "quantity_available": 3, "quantity_detail": rows}])  # fmt: skip
    assert codes(answer) == ["NEGATIVE_STOCK"]
    eventually(lambda: on_hand(pipe17, sku) == 3)
    answer = retailops.ask("inventory_push", inventory_updates=[
        {"sku": sku, "quantity_available": -4, "quantity_detail": [own(-4, None)]}])  # fmt: skip
    assert codes(answer) == ["NEGATIVE_STOCK"]
    eventually(lambda: on_hand(pipe17, sku) == 0)


def test_r6_below_zero_is_named_twenty_times_and_counted_beyond(open_shop: Open) -> None:
    answer = open_shop().ask("inventory_push", inventory_updates=[row(f"S{n}", -1) for n in range(30)])
    assert codes(answer) == ["NEGATIVE_STOCK"] * 21 and answer["events"][-1]["message"].startswith("10 further")


def test_r6_what_may_be_sold_and_what_lies_on_a_shelf_is_never_below_zero(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(500):
        total, unavailable = dice.randint(-9, 9), dice.randint(-9, 9)
        at_hand, held = stock_levels.on_shelf(total, unavailable)
        assert at_hand >= 0 and held >= 0 and at_hand - held == max(total - unavailable, 0)
        assert stock_levels.sellable(total, unavailable) == max(total - unavailable, 0)


# Contradicting itself (A total that is not the sum of its sources)

CAPTURED = [
    row("ONE", 16, detail(16)),
    row("TWO", 17, detail(1)),
    row("THREE", 30, detail(13)),
    row("FOUR", 30),
    row("FIVE", 30),
    row("SIX", 31, detail(1)),
]
"""As RetailOps was seen to send it: a total that runs on from SKU to SKU."""

RIGHT = {"ONE": 16, "TWO": 1, "THREE": 13, "FOUR": 0, "FIVE": 0, "SIX": 1}


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("stock_from", "figure", "counts"),
    [
        ("", RIGHT, "the lower of the two counts until stock_from is set"),
        ("details", RIGHT, "the sum counts"),
        ("top", {item["sku"]: item["quantity_available"] for item in CAPTURED}, "quantity_available counts"),
    ],
)
def test_p36_where_total_and_sources_disagree_the_setting_says_what_counts(
    stock_from: str, figure: dict[str, int], counts: str, open_shop: Open
) -> None:
    shop = open_shop(f'stock_from = "{stock_from}"' if stock_from else "")
    answer = shop.ask("inventory_push", inventory_updates=CAPTURED)
    assert codes(answer) == ["STOCK_DISAGREES"], "one warning a push"
    event = answer["events"][0]
    assert event["event_type"] == "warning" and "5 of the SKUs" in event["message"] and counts in event["message"]
    assert event["associations"] == [{"identifier_type": "sku_number", "identifier": "TWO"}]
    assert figures(shop, *figure) == figure


@pytest.mark.parametrize("stock_from", ["", "top", "details"])
def test_p36_what_agrees_with_itself_is_no_news_and_stays(stock_from: str, open_shop: Open) -> None:
    shop = open_shop(f'stock_from = "{stock_from}"' if stock_from else "")
    agreeing = [
        row("OWN", 5, detail(3), detail(2, place="Reno")),
        row("ALL", 8, detail(5), detail(3, "external", "Vendor"), detail(40, "inflight", "PO-1")),
        row("NONE", 0),
        {"sku": "ABSENT", "quantity_available": None, "quantity_detail": [detail(4)]},
    ]
    assert codes(shop.ask("inventory_push", inventory_updates=agreeing)) == []
    assert figures(shop, "OWN", "ALL", "NONE", "ABSENT") == {"OWN": 5, "ALL": 8, "NONE": 0, "ABSENT": 4}
    bare = [{"sku": "BARE", "quantity_available": 6}, {"sku": "NULL", "quantity_available": 6, "quantity_detail": None}]
    assert codes(shop.ask("inventory_push", inventory_updates=bare)) == []
    assert figures(shop, "BARE", "NULL") == {"BARE": 6, "NULL": 6}, "where no row names its sources nothing disagrees"


def test_units_of_other_vendors_count_unless_the_merchant_says_no(open_shop: Open) -> None:
    pushed = [row("ALL", 8, detail(5), detail(3, "external", "Vendor"))]
    shop = open_shop("count_external_stock = false")
    assert codes(shop.ask("inventory_push", inventory_updates=pushed)) == ["STOCK_DISAGREES"]
    assert figures(shop, "ALL") == {"ALL": 5}


def test_a_sku_named_twice_counts_by_its_last_row_alone(open_shop: Open) -> None:
    shop = open_shop()
    answer = shop.ask("inventory_push", inventory_updates=[row("A", 9, detail(-4)), row("A", 3, detail(3))])
    assert codes(answer) == ["DUPLICATE_SKU"] and figures(shop, "A") == {"A": 3}


@pytest.mark.parametrize("stock_from", ["", "top"])
def test_p36_a_vendor_told_by_location_gets_the_details_and_nobody_is_asked_which_figure_counts(
    stock_from: str, build_app: Callable[..., Flask], contract: Contract, pipe17: Sandbox
) -> None:
    setting = f'\nstock_from = "{stock_from}"' if stock_from else ""
    text = channel_table(pipe17.url).replace('gateways = ["pipe17"]', f'gateways = ["pipe17"]{setting}')
    caller = Caller(build_app(text), contract)
    skus = list(dict.fromkeys(str(item["sku"]) for item in pipe17.state()["inventory"]))[:2]
    pushed = [row(sku, 7, detail(7)) for sku in skus]
    assert codes(caller.ask("inventory_push", inventory_updates=pushed)) == []
    eventually(lambda: [on_hand(pipe17, sku) for sku in skus] == [7, 7])
    answer = caller.ask("inventory_push", inventory_updates=[row(skus[0], 30, detail(4)), row(skus[1], 30)])
    assert codes(answer) == []
    eventually(lambda: [on_hand(pipe17, sku) for sku in skus] == [4, 0])


def test_p36_every_kept_level_is_what_a_slower_reader_makes_of_its_row(seed: int, contract: Contract) -> None:
    """The reader works on bytes, for it runs ten thousand times a request; here it is checked against plain words."""
    dice = random.Random(seed)
    for _ in range(200):
        rows = []
        for number in range(dice.randint(1, 6)):
            kinds = dice.choices(["internal", "", "external", "inflight", None], k=dice.randint(0, 3))
            details = [detail(dice.randint(-3, 6), kind or "") for kind in kinds]
            agreeing = sum(item["available_quantity"] for item in details if item["quantity_type"] != "inflight")
            total = dice.choice([agreeing, agreeing, dice.randint(-3, 9), None])
            rows.append(row(f"S{number}", total, *details))
        reading = contract.callbacks["inventory_push"].read(
            {"client_id": 1, "channel_info": {"id": 1}, "inventory_updates": rows}
        )
        levels = inventory_push.read({"inventory_updates": rows}, reading)
        names_sources = any(item["quantity_detail"] for item in rows)
        channel: Any = type("Set", (), {"stock_from": dice.choice(["", "top", "details"]),
                                        "count_external_stock": dice.random() < 0.7})  # fmt: skip
        inventory_push._settle(levels, channel)
        for item in rows:
            kept = msgspec.json.decode(levels.by_sku[item["sku"]], type=StockLevel)
            by_kind = {"own": 0, "external": 0}
            for part in item["quantity_detail"]:
                if part["quantity_type"] != "inflight":
                    by_kind["external" if part["quantity_type"] == "external" else "own"] += part["available_quantity"]
            added = by_kind["own"] + (by_kind["external"] if channel.count_external_stock else 0)
            total = item["quantity_available"]
            if total is None:
                expected = added
            elif not names_sources:
                expected = 0 if channel.stock_from == "details" else total
            elif not channel.stock_from and item["quantity_detail"] and total == by_kind["own"]:
                expected = total
            else:
                expected = stock_levels.counted(total, added, channel.stock_from)
            assert kept.quantity_available == expected, (item, channel.stock_from)
            assert len(kept.details) == len(item["quantity_detail"])


@pytest.mark.both_databases
def test_rally_sells_what_counts_less_what_orders_hold(open_shop: Open) -> None:
    shop = open_shop()
    with shop.database.write() as connection:
        levels = {"A": msgspec.json.encode(StockLevel(-3)), "B": msgspec.json.encode(StockLevel(4))}
        stock.accept(connection, "shop", "rally", levels)
    with shop.database.read() as connection:
        assert sellable(connection, "shop", "rally", {"A", "B", "C"}) == {"A": 0, "B": 4, "C": 0}


def test_p34_a_source_that_cannot_be_read_costs_itself_and_no_other_source_of_its_sku(open_shop: Open) -> None:
    shop = open_shop()
    unreadable = {**detail(0, place="Reno"), "available_quantity": "many"}
    pushed = [row("A", 7, detail(4), unreadable, detail(3, place="Austin")), row("B", 5, detail(5))]
    answer = shop.ask("inventory_push", inventory_updates=pushed)
    assert (
        len(codes(answer, "error")) == 1 and "/quantity_detail/1/available_quantity" in answer["events"][0]["message"]
    )
    assert figures(shop, "A", "B") == {"A": 7, "B": 5}
