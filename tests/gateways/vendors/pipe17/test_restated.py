"""What Pipe17 has of our stock moves by itself, is refused, or has no place yet: what was stated arrives (R13)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from app.domain.stock import StockChange, StockLevel
from app.gateways.vendors.pipe17.stock.ingest import Stock
from app.records import catalogue, catalogue_sync, stock, stock_sync
from app.sandbox.vendors.pipe17 import BASE_PATH, INTEGRATION_ID, INTEGRATION_KEY, LEGACY_KEY
from app.sandbox.vendors.pipe17.samples import DALLAS, RENO
from tests.channels import channel_table
from tests.databases import nothing_written
from tests.gateways.vendors.pipe17.merchant import Merchant
from tests.gateways.vendors.pipe17.stage import connect, level, places, push_stock, request, set_field, stock_of
from tests.retailops import Caller, codes, shipment_of
from tests.sandboxes import Sandbox
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases

POLL_S = 601.0
"""A poll for what Pipe17's people did is due."""


def people(sandbox: Sandbox, method: str, path: str, body: Any) -> Any:
    """What somebody does on Pipe17's pages."""
    reply = requests.request(
        method, f"{sandbox.url}{BASE_PATH}{path}", json=body, headers={"X-Pipe17-Key": LEGACY_KEY}, timeout=5
    )
    assert reply.ok, reply.text
    return reply.json()


def count(sandbox: Sandbox, sku: str, name: str, units: int) -> None:
    """Somebody corrects a figure by hand."""
    body = {"event": "adjust", "sku": sku, "locationId": places(sandbox)[name], "onHand": units}
    people(sandbox, "POST", "/inventory", body)


def in_dallas(units: int) -> StockLevel:
    return level(dallas=(units, units))


def has(sandbox: Sandbox, sku: str, name: str = DALLAS) -> int | None:
    return stock_of(sandbox, sku).get(name, (None, 0))[0]


# Pipe17's copy moves by itself


def test_p33_the_last_unit_can_be_sold_after_a_shipment_that_pipe17_subtracted_by_itself(
    empty: Sandbox, build_app: Callable[..., Any], contract: Any
) -> None:
    empty.tell("settings", {"inventory_engine": True}, "PUT")
    more = f'integration_id = "{INTEGRATION_ID}"'
    retailops = Caller(build_app(channel_table(empty.url, api_key=INTEGRATION_KEY, more=more)), contract)

    def state(units: int, posts: int) -> None:
        detail = {"quantity_type": "internal", "facility_name": DALLAS}
        detail |= {"available_quantity": units, "total_quantity": units}
        retailops.ask(
            "inventory_push",
            inventory_updates=[{"sku": "BOWL", "quantity_available": units, "quantity_detail": [detail]}],
        )
        eventually(lambda: empty.calls("POST /inventory") == posts)

    def is_moved() -> bool:
        with retailops.database.read() as connection:
            [found] = stock.stated(connection, "first", "pipe17", after="", limit=9)
        return found.is_moved

    state(2, 1)
    assert has(empty, "BOWL") == 2 and not is_moved()
    request(empty, [("BOWL", 1)])
    [order] = retailops.pull()
    assert is_moved(), "Pipe17 has committed a unit to the order"
    retailops.acknowledge(order["channel_order_refnum"])
    state(1, 2)
    assert not is_moved()
    assert retailops.pull() == [] and not is_moved()
    answer = retailops.ask(
        "order_shipment_submit",
        channel_order_refnum=order["channel_order_refnum"],
        shipment=shipment_of(order, 501),
        retailops_order_id=1,
    )
    assert codes(answer, "error") == []
    eventually(lambda: has(empty, "BOWL") == 0)
    assert is_moved(), "the shipment was subtracted there"
    state(1, 3)
    assert has(empty, "BOWL") == 1


def test_p33_a_merchant_may_want_only_changes_to_be_sent(
    empty: Sandbox, build_app: Callable[..., Any], contract: Any
) -> None:
    table = channel_table(empty.url, api_key=INTEGRATION_KEY, more=f'integration_id = "{INTEGRATION_ID}"')
    retailops = Caller(build_app(table.replace("gateways =", 'restate = "changed"\ngateways =')), contract)
    detail = {"quantity_type": "internal", "facility_name": DALLAS, "available_quantity": 3, "total_quantity": 3}
    row = {"sku": "BOWL", "quantity_available": 3, "quantity_detail": [detail]}
    retailops.ask("inventory_push", inventory_updates=[row])
    eventually(lambda: has(empty, "BOWL") == 3)
    retailops.ask("inventory_push", inventory_updates=[row])
    retailops.ask("inventory_push", inventory_updates=[row | {"sku": "LAMP"}])
    eventually(lambda: has(empty, "LAMP") == 3)
    assert empty.calls("POST /inventory") == 2


def test_p33_what_people_changed_there_becomes_what_was_stated(empty: Sandbox, merchant: Merchant) -> None:
    merchant.state(BOWL=in_dallas(20))
    count(empty, "BOWL", DALLAS, 26)
    merchant.state(BOWL=in_dallas(20))
    assert has(empty, "BOWL") == 20
    count(empty, "BOWL", DALLAS, 19)
    merchant.state(BOWL=in_dallas(21))
    assert has(empty, "BOWL") == 21


def test_p33_delta_leaves_out_only_what_pipe17_has_as_it_was_sent_last(empty: Sandbox, merchant: Merchant) -> None:
    set_field(empty, "inventory.mode", "delta")
    merchant.state(BOWL=in_dallas(20), LAMP=in_dallas(7))
    posts = empty.calls("POST /inventory")
    merchant.state(BOWL=in_dallas(20), LAMP=in_dallas(7))
    assert empty.calls("POST /inventory") == posts
    count(empty, "BOWL", DALLAS, 26)
    merchant.state(BOWL=in_dallas(20), LAMP=in_dallas(7))
    assert (has(empty, "BOWL"), has(empty, "LAMP"), empty.calls("POST /inventory")) == (20, 7, posts + 2)


def test_p33_an_unlocked_record_that_brought_an_earlier_figure_back_is_sent_by_itself(
    empty: Sandbox, merchant: Merchant
) -> None:
    set_field(empty, "inventory.mode", "delta")
    merchant.state(BOWL=in_dallas(20))
    lock = {"locationId": places(empty)[DALLAS], "inventoryNotTracked": True}
    empty.tell("products/BOWL", lock, "PUT")
    merchant.connect()
    merchant.state(BOWL=in_dallas(20))
    assert "skipped" in merchant.refusal("BOWL")
    count(empty, "BOWL", DALLAS, 33)
    merchant.send(POLL_S)
    assert has(empty, "BOWL") == 33, "it is locked"
    empty.tell("products/BOWL", lock | {"inventoryNotTracked": False}, "PUT")
    merchant.send(POLL_S)
    assert (has(empty, "BOWL"), merchant.refusal("BOWL")) == (20, "")


def test_p33_p44_the_figure_of_an_attempt_that_was_lost_is_sent_once_more_after_settle(
    empty: Sandbox, merchant: Merchant
) -> None:
    empty.fault(kind="reset_after", times=1, match={"method": "POST", "path_prefix": f"{BASE_PATH}/inventory"})
    merchant.state(BOWL=in_dallas(7))
    merchant.send(300)
    assert has(empty, "BOWL") == 7
    count(empty, "BOWL", DALLAS, 5)  # The first call arrives late.
    merchant.send(61)
    assert has(empty, "BOWL") == 7
    posts = empty.calls("POST /inventory")
    merchant.send(999)
    assert empty.calls("POST /inventory") == posts


# What it refused


def make(sandbox: Sandbox, sku: str) -> None:
    people(sandbox, "POST", "/products", {"sku": sku, "name": sku})


@pytest.mark.parametrize("is_restated", [True, False])
def test_p33_stock_of_a_product_that_people_make_later_arrives_with_and_without_a_statement(
    empty: Sandbox, merchant: Merchant, is_restated: bool
) -> None:
    merchant.state(GIZMO=in_dallas(4))
    assert "unknown" in merchant.refusal("GIZMO")
    make(empty, "GIZMO")
    if is_restated:
        merchant.state(GIZMO=in_dallas(4))
    else:
        merchant.send(POLL_S)
    assert (has(empty, "GIZMO"), merchant.refusal("GIZMO")) == (4, "")


def test_p33_stock_of_a_product_that_we_create_arrives_by_itself(empty: Sandbox, merchant: Merchant) -> None:
    set_field(empty, "catalog.create_products", True)
    merchant.state(GIZMO=in_dallas(4))
    assert "unknown" in merchant.refusal("GIZMO")
    merchant.push("GIZMO")
    assert (has(empty, "GIZMO"), merchant.refusal("GIZMO")) == (4, "")


def test_p33_a_refused_product_that_people_make_later_is_told_by_itself(empty: Sandbox, merchant: Merchant) -> None:
    merchant.push("GIZMO")
    with merchant.database.read() as connection:
        [key] = catalogue.roots_after(connection, "first", "", 9)
        assert catalogue_sync.refusals(connection, "first", "pipe17", [key])
    make(empty, "GIZMO")
    merchant.send(POLL_S)
    with merchant.database.read() as connection:
        assert catalogue_sync.refusals(connection, "first", "pipe17", [key]) == {}
    [product] = [item for item in empty.state()["products"] if item["sku"] == "GIZMO"]
    [own] = [row for row in product["published"] if row["integrationId"] == INTEGRATION_ID]
    assert own["status"] == "published"


@pytest.mark.parametrize("is_restated", [True, False])
def test_p33_stock_of_a_facility_whose_location_is_made_later_arrives_with_and_without_a_statement(
    empty: Sandbox, merchant: Merchant, is_restated: bool
) -> None:
    merchant.state(BOWL=level(dallas=(3, 3), moon=(5, 5)))
    assert "Moon DC" in merchant.refusal("BOWL") and has(empty, "BOWL") == 3
    body = {"name": "Moon DC", "address": {"city": "Ohio", "country": "US"}, "status": "active"}
    people(empty, "POST", "/locations", body | {"fulfillmentIntegrationId": INTEGRATION_ID})
    if is_restated:
        merchant.state(BOWL=level(dallas=(3, 3), moon=(5, 5)))
    else:
        merchant.send(POLL_S)
    assert (has(empty, "BOWL", "Moon DC"), merchant.refusal("BOWL")) == (5, "")


@pytest.mark.parametrize("is_lost", [False, True])
def test_p33_a_place_keeps_its_figure_while_its_facility_is_stated_and_has_no_location(
    empty: Sandbox, merchant: Merchant, is_lost: bool
) -> None:
    levels = {"BOWL": level(dallas=(10, 10), reno=(4, 4)), "LAMP": level(dallas=(2, 2))}
    merchant.state(**levels)
    if is_lost:
        empty.fault(kind="reset_after", times=1, match={"method": "POST", "path_prefix": f"{BASE_PATH}/inventory"})
        merchant.state(**levels)
    # A name that two locations have stands for none of them.
    body = {"name": DALLAS, "address": {"city": "Ohio", "country": "US"}, "status": "active"}
    people(empty, "POST", "/locations", body | {"fulfillmentIntegrationId": INTEGRATION_ID})
    merchant.accept(BOWL=level(dallas=(9, 9)), LAMP=level(moon=(1, 1)))
    merchant.send_anew()
    assert DALLAS in merchant.refusal("BOWL") and "Moon DC" in merchant.refusal("LAMP")
    assert (has(empty, "BOWL"), has(empty, "BOWL", RENO)) == (10, 0)
    assert has(empty, "LAMP") == 0, "its facility is no longer mentioned, whatever others have no location"


@pytest.mark.parametrize("is_by_record", [True, False])
def test_p33_what_people_unlock_is_sent_by_itself(empty: Sandbox, merchant: Merchant, is_by_record: bool) -> None:
    where = {"locationId": places(empty)[DALLAS]} if is_by_record else {}
    empty.tell("products/BOWL", {"inventoryNotTracked": True, **where}, "PUT")
    merchant.state(BOWL=level(dallas=(3, 3), reno=(4, 4)))
    assert "skipped" in merchant.refusal("BOWL") and has(empty, "BOWL") != 3
    empty.tell("products/BOWL", {"inventoryNotTracked": False, **where}, "PUT")
    merchant.send(POLL_S)
    assert (has(empty, "BOWL"), has(empty, "BOWL", RENO), merchant.refusal("BOWL")) == (3, 4, "")


def test_p33_p14_many_refused_skus_cost_a_poll_two_lists_and_no_figure(empty: Sandbox, merchant: Merchant) -> None:
    merchant.state(**{f"GONE{number:04d}": level(dallas=(1, 1), moon=(1, 1)) for number in range(600)})
    before = dict(empty.state()["calls"])
    merchant.send(POLL_S)
    merchant.send(POLL_S)
    after = {name: calls - before.get(name, 0) for name, calls in empty.state()["calls"].items()}
    made = {name: calls for name, calls in after.items() if calls and "integrations" not in name}
    assert made == {"GET /products": 2, "GET /locations": 2}, "one page of changed products, one of locations"


# Two products of one SKU


def alias(sandbox: Sandbox, sku: str, channel_sku: str) -> None:
    row = {"integrationId": INTEGRATION_ID, "status": "published", "sku": channel_sku}
    sandbox.tell(f"products/{sku}", {"published": row}, "PUT")


def test_p33_of_two_products_with_one_sku_the_very_sku_has_the_figure_and_the_other_none(
    empty: Sandbox, merchant: Merchant
) -> None:
    alias(empty, "LAMP", "BOWL")
    merchant.state(BOWL=in_dallas(6))
    assert (has(empty, "BOWL"), has(empty, "LAMP"), has(empty, "LAMP", RENO)) == (6, 0, 0)
    [sentence] = merchant.attention()
    assert "BOWL" in sentence and "LAMP" in sentence
    alias(empty, "LAMP", "")
    merchant.connect()
    merchant.state(BOWL=in_dallas(6))
    assert merchant.attention() == []


def test_p33_without_the_very_sku_the_oldest_product_has_the_figure(empty: Sandbox, merchant: Merchant) -> None:
    for sku in ("NEWER", "NEWEST"):
        make(empty, sku)
        alias(empty, sku, "RO-SOCK")
    merchant.state(RO_SOCK=in_dallas(6))
    assert (has(empty, "NEWER"), has(empty, "NEWEST")) == (6, 0)


def test_p33_alias_stock_all_gives_every_product_the_figure(empty: Sandbox) -> None:
    alias(empty, "LAMP", "BOWL")
    push_stock(connect(empty, alias_stock="all"), StockChange("BOWL", in_dallas(6)))
    assert (has(empty, "BOWL"), has(empty, "LAMP")) == (6, 6)


def test_p33_a_product_found_to_have_the_same_sku_after_the_stock_was_sent_gets_none_by_itself(
    empty: Sandbox, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gateways.vendors.pipe17.products.channel_skus.WALK_PAGE", 3)
    monkeypatch.setattr("app.gateways.vendors.pipe17.products.channel_skus.LOOK_PAGES", 1)
    alias(empty, "LAMP", "BOWL")
    count(empty, "LAMP", DALLAS, 9)
    merchant.push("JAM")
    merchant.state(BOWL=in_dallas(6))
    assert (has(empty, "BOWL"), has(empty, "LAMP")) == (6, 9), "not all products are searched yet"
    for _ in range(20):
        merchant.state(JAM=in_dallas(1))
    merchant.send(POLL_S)
    assert (has(empty, "BOWL"), has(empty, "LAMP")) == (6, 0)


# What has been moved


def test_p33_a_figure_that_moved_is_not_said_again_by_ourselves_but_named_to_the_operator(
    empty: Sandbox, merchant: Merchant
) -> None:
    merchant.state(BOWL=in_dallas(6), LAMP=in_dallas(2))
    with merchant.database.write() as connection:
        stock_sync.note_moved(connection, "first", ["BOWL"], merchant.now)
        found = stock_sync.send_again(
            connection, "first", "pipe17", None, even_if_moved=False, is_dry_run=False, now=merchant.now
        )
    assert (found.owed, found.moved) == (("LAMP",), ("BOWL",))
    count(empty, "BOWL", DALLAS, 5)
    count(empty, "LAMP", DALLAS, 5)
    merchant.send(1)
    assert (has(empty, "BOWL"), has(empty, "LAMP")) == (5, 2)
    [sentence] = merchant.attention()
    assert sentence.startswith("STOCK_STALE") and "BOWL" in sentence
    merchant.state(BOWL=in_dallas(5))
    assert has(empty, "BOWL") == 5 and merchant.attention() == []


def test_p44_stock_that_was_accepted_while_the_database_is_away_is_not_sent_again(
    empty: Sandbox, merchant: Merchant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It was sold there meanwhile, perhaps: what is known to have arrived is not said again by ourselves."""
    merchant.state(BOWL=in_dallas(1))
    told = empty.calls("POST /inventory")
    monkeypatch.setattr("app.records.transactions.LOCK_S", 0.2)  # else SQLite waits for it as long as a request may
    is_told, may_be_recorded, push = threading.Event(), threading.Event(), Stock.push

    def push_and_wait(*given: Any) -> Any:
        found = push(*given)
        is_told.set()
        assert may_be_recorded.wait(30)
        return found

    monkeypatch.setattr(Stock, "push", push_and_wait)
    with ThreadPoolExecutor(1) as sender:
        sending = sender.submit(lambda: merchant.state(BOWL=in_dallas(5)))
        assert is_told.wait(30)
        with nothing_written(merchant.database):
            may_be_recorded.set()
            eventually(lambda: "the database failed" in caplog.text)
        sending.result()
    assert has(empty, "BOWL") == 5
    merchant.send(later_s=120)
    assert empty.calls("POST /inventory") == told + 1
