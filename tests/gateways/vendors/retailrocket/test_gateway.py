"""Goods and purchases told to Retail Rocket, and that no illness of it is felt by anybody else."""

from __future__ import annotations

import json
import logging
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import update

from app import gateways, settings
from app.cli import cli
from app.contract.schemas import Contract
from app.deadline import Deadline
from app.domain.orders import Address, Attribute, Order, OrderLine
from app.domain.purchases import Purchase, PurchaseLine
from app.errors import GatewayError, Refused, SettingsFault, Unavailable
from app.gateways import VENDORS
from app.gateways.calls import Call
from app.gateways.vendors.retailrocket.api import content_hash
from app.operations import acts
from app.operations.operators import operator
from app.records import due_facts, stock, sync_state
from app.records.cataloguing import Statement
from app.records.database import Database
from app.records.tables.orders import handed_out
from app.sandbox.server import RunningServer, serve
from app.sandbox.vendors.retailrocket import API_KEY, API_PATH, CDN_PATH, PARTNER_ID, TRACKING_PATH
from app.sandbox.vendors.retailrocket.products import content_hash as vendors_hash
from tests.channel.money_gateway import Till, serve_till
from tests.channels import KEY, PAIR
from tests.databases import migrate
from tests.gateways.vendors.retailrocket.stage import PATHS, Desk, item, record
from tests.passing_time import PassingTime
from tests.retailops import Caller, codes, shipment_of
from tests.sandboxes import Sandbox
from tests.waiting import eventually

CHANNEL = """
[[channel]]
name = "shop"
client_id = {pair[0]}
channel_id = {pair[1]}
auth_keys = ["{key}"]
gateways = ["till", "retailrocket"]

[channel.till]
base_url = "{till}/till"

[channel.retailrocket]
partner_id = "{partner}"
api_key = "{api_key}"
tracking_url = "{url}{tracking}"
api_url = "{url}{api}"
cdn_url = "{url}{cdn}"
currency = "USD"
shop_url = "https://shop.example"
requests_per_s = 0
products_per_s = 0
feed_delay_s = 0
{more}
"""

SERVER = 'order_source = "server"\n'


class Shop:
    """RetailOps before a channel whose orders come from a till and are observed by Retail Rocket."""

    def __init__(self, till: Till, caller: Caller, rocket: Sandbox, channels: str) -> None:
        self.channels = channels
        self.till = till
        self.caller = caller
        self.rocket = rocket

    def push(self, *skus: str, **fields: Any) -> None:
        records = [record(sku, **fields) for sku in skus]
        assert self.caller.ask("catalog_push", template_output={"data": {"products": records}})["events"] == []

    def stock(self, **levels: int) -> None:
        rows = [{"sku": sku, "quantity_available": units, "quantity_detail": []} for sku, units in levels.items()]
        assert self.caller.ask("inventory_push", inventory_updates=rows)["events"] == []

    def sell(self, refnum: str, **how: Any) -> dict[str, Any]:
        """An order, handed out and acknowledged."""
        self.till.sell(refnum, **how)
        order = next(item for item in self.caller.pull() if item["channel_order_refnum"] == refnum)
        assert codes(self.caller.acknowledge(refnum)) == []
        return order

    def purchases(self, refnum: str) -> list[dict[str, Any]]:
        return [item for item in self.rocket.state()["purchases"] if item["transaction"] == refnum]

    def deliveries(self, verb: str = "report_purchase") -> list[Any]:
        with self.caller.database.read() as connection:
            rows = connection.exec_driver_sql("select * from deliveries order by id").all()
        return [row for row in rows if row.verb == verb and row.channel == "shop"]

    def has_nothing_owed(self) -> bool:
        with self.caller.database.read() as connection:
            due = due_facts.due(connection, "shop", "retailrocket", datetime.now(UTC))
        return not (due.catalogue or due.stock)

    def products(self) -> dict[str, dict[str, Any]]:
        return {item["name"]: item for item in self.rocket.state()["products"].values()}


@pytest.fixture
def open_shop(
    build_app: Callable[..., Flask], contract: Contract, rocket: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Shop]]:
    monkeypatch.setitem(gateways.REGISTRY, "till", "tests.channel.money_gateway")
    servers: list[RunningServer] = []

    def start(more: str = "", *, is_observed: bool = True) -> Shop:
        till = Till()
        servers.append(serve_till(till))
        text = CHANNEL.format(
            pair=PAIR, key=KEY, till=servers[-1].url, url=rocket.url, partner=PARTNER_ID, api_key=API_KEY,
            tracking=TRACKING_PATH, api=API_PATH, cdn=CDN_PATH, more=more,
        )  # fmt: skip
        if not is_observed:
            text = text[: text.index("[channel.retailrocket]")].replace(', "retailrocket"', "")
            text = text.replace('name = "shop"', 'name = "alone"')
        return Shop(till, Caller(build_app(text + PATHS), contract), rocket, text + PATHS)

    yield start
    for server in servers:
        server.stop()


# Purchases


@pytest.mark.both_databases
def test_an_acknowledged_order_is_reported_once_with_its_own_time_and_prices(
    open_shop: Callable[..., Shop], time_passes: PassingTime
) -> None:
    shop = open_shop(SERVER)
    shop.push("MUG", "TEA")
    shop.sell("WEB-1")
    found = eventually(lambda: len(shop.purchases("WEB-1")) == 2 and shop.purchases("WEB-1"))
    assert [(item["price"], item["quantity"], item["times"]) for item in found] == [(12.5, 2, 1), (12.5, 2, 1)]
    assert {item["timestamp"] for item in found} == {"2026-02-03T04:05:06+00:00"}
    events = shop.rocket.state()["events"]
    assert [event["kind"] for event in events] == ["setContact", "order", "order"]
    assert len({event["body"]["sessionExternalId"] for event in events}) == 1
    shop.caller.acknowledge("WEB-1")
    shop.caller.pull(specific_orders=[{"channel_refnum": "WEB-1"}])
    time_passes(shop.caller.app, 1.5)
    assert {item["times"] for item in shop.purchases("WEB-1")} == {1} and len(shop.deliveries()) == 1


def test_nothing_is_reported_while_the_site_reports(open_shop: Callable[..., Shop], time_passes: PassingTime) -> None:
    shop = open_shop()
    shop.push("MUG", "TEA")
    shop.sell("WEB-1")
    time_passes(shop.caller.app, 1.5)
    assert shop.rocket.state()["events"] == [] and shop.deliveries() == []


def test_at_completion_what_never_ships_is_not_reported_and_a_cancelled_order_is_not_either(
    open_shop: Callable[..., Shop], time_passes: PassingTime
) -> None:
    shop = open_shop(SERVER + 'when = "completion"')
    shop.push("MUG", "TEA")
    order = shop.sell("WEB-1")
    shop.sell("WEB-2")
    shop.caller.cancel("WEB-2")
    unshipped = [
        {"channel_item_refnum": "2", "sku": "TEA", "unshipped_quantity": 2, "effective_unit_price": 12.5,
         "effective_extended_price": 25.0}
    ]  # fmt: skip
    sent = shipment_of({**order, "order_items": order["order_items"][:1]}, 501)
    time_passes(shop.caller.app, 1.2)
    assert shop.purchases("WEB-1") == []
    completed = {"channel_order_refnum": "WEB-1", "shipments": [sent], "unshipped_items": unshipped}
    shop.caller.ask("order_complete", order=completed)
    found = eventually(lambda: shop.purchases("WEB-1"))
    assert [item["quantity"] for item in found] == [2]
    assert shop.purchases("WEB-2") == []
    with shop.caller.database.read() as connection:
        assert connection.exec_driver_sql("select count(*) from pending_reports").scalar() == 0


def test_p32_of_an_erased_order_that_its_source_still_gives_no_report_is_kept_again(
    open_shop: Callable[..., Shop],
) -> None:
    shop = open_shop(SERVER + 'when = "completion"')
    shop.sell("WEB-1")
    database, ada = shop.caller.database, operator("Ada", "the shopper requested it")
    assert acts.erase(database, ada, "shop", "WEB-1", database.now()) == {"pending_reports": 1}
    [order] = shop.caller.pull(specific_orders=[{"channel_refnum": "WEB-1"}])
    assert order["channel_order_refnum"] == "WEB-1"
    with database.read() as connection:
        assert connection.exec_driver_sql("select count(*) from pending_reports").scalar() == 0


@pytest.mark.parametrize("fault", ["reset_after", "hang"])
def test_p9_a_report_whose_outcome_is_unknown_is_kept_for_the_operator_and_counted_once(
    fault: str, open_shop: Callable[..., Shop], time_passes: PassingTime
) -> None:
    shop = open_shop(SERVER + "batch_call_s = 0.5")
    shop.push("MUG", "TEA")
    shop.rocket.fault(kind=fault, works=True, match={"path_prefix": TRACKING_PATH})
    shop.sell("WEB-1")
    parked = eventually(lambda: [row for row in shop.deliveries() if row.state == "parked"])
    assert len(parked) == 1
    shop.rocket.heal()
    time_passes(shop.caller.app, 1.0)
    assert {item["times"] for item in shop.purchases("WEB-1")} <= {1}
    # The order's own way goes on, and RetailOps hears nothing of it.
    order = shop.caller.pull(specific_orders=[{"channel_refnum": "WEB-1"}])[0]
    assert codes(shop.caller.ship(order)) == []
    assert all("LATE" not in code for code in codes(shop.caller.ask("order_acknowledge", orders=[])))


def test_reports_of_one_shopper_follow_one_another_and_survive_an_illness(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(SERVER)
    shop.push("MUG", "TEA")
    shop.rocket.fault(kind="status", code=429, match={"path_prefix": TRACKING_PATH})
    for number in range(3):
        shop.sell(f"WEB-{number}")
    eventually(lambda: [row for row in shop.deliveries() if row.last_code == "THROTTLED"])
    shop.rocket.heal()
    eventually(lambda: all(shop.purchases(f"WEB-{number}") for number in range(3)))
    assert {item["times"] for item in shop.rocket.state()["purchases"]} == {1}
    assert shop.rocket.state()["warnings"] == []


def test_an_order_called_off_at_its_source_is_no_purchase_though_retailops_acknowledges_that(
    open_shop: Callable[..., Shop],
) -> None:
    shop = open_shop(SERVER)
    shop.push("MUG", "TEA")
    shop.till.sell("WEB-1")
    shop.caller.pull()
    for _ in range(2):  # the first acknowledgement may be one of the order itself, come late
        with shop.caller.database.write() as connection:  # as `order_pull` keeps it once it has told of that (R18)
            connection.execute(update(handed_out).values(source_cancelled_at=datetime.now(UTC), cancellation_times=1))
        shop.caller.acknowledge("WEB-1")

    def is_forgotten() -> bool:
        with shop.caller.database.read() as connection:
            return connection.exec_driver_sql("select count(*) from pending_reports").scalar() == 0

    eventually(is_forgotten, 60)  # after a look that took long the next one comes late
    assert shop.deliveries() == [] and shop.rocket.state()["events"] == []


def test_the_operator_can_send_a_refused_report_again(
    open_shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    shop = open_shop(SERVER)
    shop.push("MUG", "TEA")
    shop.rocket.fault(kind="status", code=400, times=1, match={"path_prefix": TRACKING_PATH})
    shop.sell("WEB-1")
    (parked,) = eventually(lambda: [row for row in shop.deliveries() if row.state == "parked"])
    for name, value in {"APP_ENV": "development", "DATABASE_URL": database_url, "CHANNELS": shop.channels}.items():
        monkeypatch.setenv(name, value)
    said = CliRunner().invoke(cli, ["deliveries", "retry", str(parked.id)])
    assert said.exit_code == 0, said.output
    eventually(lambda: [item["times"] for item in shop.purchases("WEB-1")] == [1, 1])


# By itself, with the records but without the server


def order(**fields: Any) -> Order:
    lines = (
        OrderLine("1", "MUG", 2, unit_price=Decimal("10.00"), discount=Decimal("4.00")),
        OrderLine("2", "TEA", 1, unit_price=Decimal("14.00")),
        OrderLine("3", "MUG", 1, unit_price=Decimal("10.00")),
    )
    known: dict[str, Any] = {
        "refnum": "WEB-9",
        "created_at": datetime(2026, 3, 4, 10, 15, tzinfo=UTC),
        "currency_code": "USD",
        "ship_service_code": "GROUND",
        "shipping_address": Address(),
        "lines": lines,
        "email": "Pat@Customer.example",
    }
    return Order(**{**known, **fields})


def test_prices_are_after_every_discount_and_lines_of_one_product_are_one_event(
    database: Database, rocket: Sandbox
) -> None:
    desk = Desk(database, rocket)
    desk.keep("MUG", "TEA")
    purchase = desk.gateway.observer.purchase_of(order(discount_amount=Decimal("4.00")))
    assert purchase is not None
    assert [line.unit_price for line in purchase.lines] == [Decimal("7.2000"), Decimal("12.6000"), Decimal("9.0000")]
    desk.report(purchase)
    found = {item["productId"]: (item["quantity"], item["price"]) for item in rocket.state()["purchases"]}
    assert {(3, 7.8), (1, 12.6)} == set(found.values())  # 2 x 7.20 and 1 x 9.00 are 23.40
    assert rocket.state()["events"][0]["body"].get("email") is None
    desk.report(purchase)
    assert {item["times"] for item in rocket.state()["purchases"]} == {1}, "the ledger knows them"


def test_amounts_are_written_as_digits(database: Database, rocket: Sandbox) -> None:
    bodies: list[bytes] = []

    def listen(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        bodies.append(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        start("200 OK", [("Content-Type", "application/json")])
        return [b"{}"]

    with serve(listen) as server:
        desk = Desk(database, rocket, tracking_url=server.url)
        desk.keep("MUG")
        at = datetime.now(UTC)
        desk.report(Purchase("WEB-1", "ab" * 16, at, "USD", (PurchaseLine("1", "MUG", 1, Decimal("1250.0000")),)))
    assert b'"price":1250,' in bodies[0]


def test_a_shopper_is_a_keyed_hash_and_an_address_is_kept_only_with_consent(
    database: Database, rocket: Sandbox
) -> None:
    desk = Desk(database, rocket)
    first, same, other = (
        desk.gateway.observer.purchase_of(order(email=email))
        for email in ("pat@customer.example", " PAT@customer.example", "q@x.y")
    )
    assert first and same and other and first.shopper == same.shopper != other.shopper
    assert len(first.shopper) == 32 and first.shopper.isalnum() and first.email == ""
    keyed = Desk(database, rocket, identity_key="another").gateway.observer.purchase_of(
        order(email="pat@customer.example")
    )
    assert keyed and keyed.shopper != first.shopper
    consenting = Desk(database, rocket, consent=True, session_attribute="rr").gateway
    session = Attribute("rr", "8f0c2b7a4d1e4f65a90b3c7d2e1f6a58")
    seen = consenting.observer.purchase_of(order(attributes=(session,)))
    assert seen and (seen.email, seen.session) == ("pat@customer.example", session.value)
    unfit = consenting.observer.purchase_of(order(attributes=(Attribute("rr", "not a session"),)))
    assert unfit and unfit.session == ""
    assert consenting.observer.purchase_of(order(currency_code="EUR")) is None, "currencies are never mixed"


def test_the_csv_upload_carries_consenting_shoppers_only(database: Database, rocket: Sandbox) -> None:
    desk = Desk(database, rocket, consent=True, purchase_route="csv")
    desk.keep("MUG", "TEA")
    for refnum, email in (("WEB-1", "pat@customer.example"), ("WEB-2", ""), ('WEB"3,', "q@x.example")):
        purchase = desk.gateway.observer.purchase_of(order(refnum=refnum, email=email))
        assert purchase is not None
        desk.report(purchase)
        desk.report(purchase)
    rows = rocket.state()["csv_orders"]
    assert [row["transaction"] for row in rows] == ["WEB-1", "WEB-1", 'WEB"3,', 'WEB"3,']
    assert rows[0]["date"] == "2026-03-04 10:15:00 +00" and set(rocket.state()["subscribers"]) == {
        "pat@customer.example", "q@x.example",
    }  # fmt: skip


def test_with_once_a_report_of_unknown_outcome_is_sent_one_more_time_and_then_held(
    database: Database, rocket: Sandbox
) -> None:
    desk = Desk(database, rocket, purchase_repeat="once")
    desk.keep("MUG", "TEA")
    purchase = desk.gateway.observer.purchase_of(order())
    assert purchase is not None
    rocket.fault(kind="reset_before", match={"path_prefix": TRACKING_PATH}, times=2)
    with pytest.raises(Unavailable):
        desk.report(purchase)
    with pytest.raises(Refused) as caught:
        desk.report(purchase)
    assert caught.value.code == "OUTCOME_UNKNOWN"
    desk.report(purchase)  # the operator's word
    assert {item["times"] for item in rocket.state()["purchases"]} == {1}


def test_what_was_surely_not_done_raises_no_doubt(database: Database, rocket: Sandbox) -> None:
    desk = Desk(database, rocket, purchase_repeat="once")
    desk.keep("MUG")
    purchase = Purchase("WEB-1", "ab" * 16, datetime.now(UTC), "USD", (PurchaseLine("1", "MUG", 1, Decimal(5)),))
    rocket.fault(kind="status", code=429, match={"path_prefix": TRACKING_PATH}, times=4)
    for _ in range(4):
        with pytest.raises(Unavailable):
            desk.report(purchase)
    desk.report(purchase)
    assert len(rocket.state()["purchases"]) == 1


def test_a_large_order_goes_in_several_batches_and_only_the_rest_is_sent_again(
    database: Database, rocket: Sandbox
) -> None:
    desk = Desk(database, rocket)
    skus = [f"S{number}" for number in range(250)]
    desk.keep(*skus)
    lines = tuple(PurchaseLine(sku, sku, 1, Decimal(5)) for sku in (*skus, "UNKNOWN"))
    purchase = Purchase("WEB-1", "ab" * 16, datetime.now(UTC), "USD", lines)
    rocket.fault(kind="slow", delay_s=0.0, times=1, match={"path_prefix": TRACKING_PATH})
    rocket.fault(kind="status", code=429, times=1, match={"path_prefix": TRACKING_PATH})
    with pytest.raises(GatewayError):
        desk.report(purchase)
    assert len(rocket.state()["purchases"]) == 99
    desk.report(purchase)
    assert len(rocket.state()["purchases"]) == 250 and {item["times"] for item in rocket.state()["purchases"]} == {1}


# Product API mode


def test_products_are_sent_whole_and_again_only_when_something_of_them_changed(
    open_shop: Callable[..., Shop], time_passes: PassingTime
) -> None:
    shop = open_shop('mode = "product_api"')
    shop.push("MUG", "TEA", Categories=["A/B", "A", "C"], Vendor="Potter", Sale="9.99")
    shop.push("SHIRT-M", Parent="SHIRT", Options={"Size": "M"})
    shop.push("SHIRT")
    shop.stock(MUG=3, **{"SHIRT-M": 1})
    eventually(lambda: shop.products().get("Title of MUG", {}).get("isAvailable"))
    mug = shop.products()["Title of MUG"]
    assert (mug["price"], mug["oldPrice"], mug["vendor"], mug["categories"]) == (9.99, 12.5, "Potter", ["A/B", "C"])
    eventually(lambda: shop.products().get("Title of SHIRT-M", {}).get("isAvailable"))
    assert shop.products()["Title of SHIRT-M"]["groupId"] and not shop.products()["Title of TEA"]["isAvailable"]
    assert shop.rocket.state()["warnings"] == [], "each contentHash matches"
    eventually(shop.has_nothing_owed)
    calls = len(shop.rocket.state()["calls"])
    shop.push("MUG", "TEA", Categories=["A/B", "A", "C"], Vendor="Potter", Sale="9.99")
    shop.stock(MUG=2)  # fewer, and still there
    time_passes(shop.caller.app, 1.2)
    assert len(shop.rocket.state()["calls"]) == calls
    shop.stock(MUG=0)
    eventually(lambda: not shop.products()["Title of MUG"]["isAvailable"])
    assert len(shop.rocket.state()["calls"]) == calls + 1
    shop.push("MUG", Enabled="false")
    shop.stock(MUG=5)
    time_passes(shop.caller.app, 1.2)
    assert not shop.products()["Title of MUG"]["isAvailable"], "what is switched off cannot be had"


@pytest.mark.parametrize("before", ["a feed", "another gateway alone"])
def test_r13_a_store_that_is_told_products_from_now_on_is_owed_those_it_has_once(
    before: str, database: Database, rocket: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.records.full_resync.PAGE", 2)
    goods = [Statement("", item(sku)) for sku in ("MUG", "TEA", "CUP", "JAR", "POT")]
    feed = Desk(database, rocket, feed_delay_s=0.0)
    feed.state(*goods, hearing=["retailrocket"] if before == "a feed" else [])
    if before == "a feed":
        assert feed.tell() == set()
    desk = Desk(database, rocket, mode="product_api")
    assert len(desk.tell()) == 5
    desk.state(*goods)
    assert desk.tell() == set()
    Desk(database, rocket, mode="product_api").gateway.background(lambda: False)
    with database.read() as connection:
        assert not due_facts.due(connection, "shop", "retailrocket", datetime.now(UTC)).catalogue, (
            "a restart owes nothing"
        )


def test_r13_a_store_that_had_a_feed_for_a_while_is_told_all_again(database: Database, rocket: Sandbox) -> None:
    desk = Desk(database, rocket, mode="product_api")
    desk.keep("MUG", "TEA")
    assert len(desk.tell()) == 2
    assert Desk(database, rocket, feed_delay_s=600.0).tell() == set()
    assert len(Desk(database, rocket, mode="product_api").tell()) == 2


def test_r13_after_a_change_of_settings_what_says_something_else_is_told_again(
    database: Database, rocket: Sandbox
) -> None:
    desk = Desk(database, rocket, mode="product_api", shop_url="https://shop.example")
    desk.state(Statement("", item("FAR")), Statement("", item("NEAR", url="/near")))
    level = b'[2,[["internal","Dallas",0,0],["internal","Reno",2,2]]]'
    with database.write() as connection:
        stock.accept(connection, "shop", "retailrocket", {"FAR": level, "NEAR": level})
    near, far = desk.number("NEAR"), desk.number("FAR")
    assert desk.tell() == {near, far}
    moved: dict[str, Any] = {"mode": "product_api", "shop_url": "https://moved.example"}
    assert Desk(database, rocket, **moved).tell() == {near}, "the address of the other is whole"

    def stocks() -> dict[str, bool]:
        found = rocket.state()["products"][str(far)]["stocks"]
        return {name: held["available"] for name, held in found.items()}

    assert Desk(database, rocket, **moved, stock_ids={"Dallas": "north", "Reno": "west"}).tell() == {near, far}
    assert stocks() == {"north": False, "west": True}
    assert Desk(database, rocket, **moved, stock_ids={"Dallas": "north"}).tell() == {near, far}
    assert stocks() == {"north": False, "west": False}, "a stock the store has no more has nothing"


def test_a_sku_keeps_its_number_when_another_record_takes_it_and_a_number_that_is_left_is_gone(
    database: Database, rocket: Sandbox
) -> None:
    desk = Desk(database, rocket, mode="product_api", available_when_unstated=True)
    desk.state(Statement("product:12", item("CAP")))
    cap = desk.number("CAP")
    assert desk.tell() == {cap}
    desk.state(Statement("product:77", item("CAP", title="Cap of another record")))
    assert desk.tell() == {cap} and desk.there() == {cap: True}
    assert rocket.state()["products"][str(cap)]["name"] == "Cap of another record"
    desk.state(Statement("product:77", item("CAP-2")))
    desk.tell()
    assert desk.there() == {cap: True, desk.number("CAP-2"): True}, "who had it comes back by itself"
    desk.state(Statement("product:12", item("CAP-2")))
    desk.tell()
    assert desk.there() == {cap: False, desk.number("CAP-2"): True}
    desk.state(Statement("product:78", item("CAP")))
    assert desk.tell() == {cap} and desk.there()[cap]


def test_a_number_that_a_variant_left_is_gone_in_its_group(database: Database, rocket: Sandbox) -> None:
    desk = Desk(database, rocket, mode="product_api", available_when_unstated=True)
    shirt = Statement("product:1", item("SHIRT"))
    desk.state(shirt, Statement("product:2", item("SHIRT-S"), 0), Statement("product:3", item("SHIRT-M"), 0))
    desk.tell()
    small, medium = desk.number("SHIRT-S"), desk.number("SHIRT-M")
    desk.state(shirt, Statement("product:2", item("SHIRT-XS"), 0))
    desk.tell()
    assert desk.there() == {small: False, medium: True, desk.number("SHIRT-XS"): True}
    assert len({held["groupId"] for held in rocket.state()["products"].values()}) == 1


def test_regional_stocks_are_one_call_each(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop('mode = "product_api"\n[channel.retailrocket.stock_ids]\nDallas = "north"\nReno = "west"')
    shop.push("MUG")
    detail = [{"quantity_type": "internal", "facility_name": "Reno", "available_quantity": 2, "total_quantity": 2}]
    rows = [{"sku": "MUG", "quantity_available": 2, "quantity_detail": detail}]
    shop.caller.ask("inventory_push", inventory_updates=rows)

    def stocks() -> dict[str, bool]:
        found = shop.products().get("Title of MUG", {}).get("stocks", {})
        return {name: stock["available"] for name, stock in found.items()}

    eventually(lambda: stocks() == {"north": False, "west": True})


def test_a_product_that_lacks_something_is_for_the_operator_and_holds_up_no_other(
    open_shop: Callable[..., Shop],
) -> None:
    shop = open_shop('mode = "product_api"')
    shop.push("BAD", Images=[])
    shop.push("GOOD")
    eventually(lambda: "Title of GOOD" in shop.products())

    def refusals() -> list[str]:
        with shop.caller.database.read() as connection:
            return sorted(connection.exec_driver_sql("select refusal from catalogue_sync").scalars())

    eventually(lambda: refusals() == ["", "without picture"])
    assert codes(shop.caller.ask("inventory_push", inventory_updates=[])) == [], "RetailOps hears nothing of it (R17)"


@pytest.mark.parametrize("body", ["{}", '{"name":"Hose \\"20\\" é 😀"}', "\n\t\u2028/"])
def test_the_content_hash_is_the_one_the_vendor_computes(body: str) -> None:
    assert content_hash(body) == vendors_hash(body)
    assert content_hash("") == 34 * 31 + 34


# The feed


def test_what_we_serve_is_what_the_vendor_imports_and_nothing_is_skipped(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop()
    shop.push("MUG", "TEA")
    shop.push("SHIRT")
    shop.push("SHIRT-M", "SHIRT-L", Parent="SHIRT", Description="a < b & \x0b c")
    shop.push("POOR", Images=[])
    shop.stock(TEA=1, **{"SHIRT-L": 2})
    with serve(shop.caller.app.wsgi_app) as server:
        shop.rocket.tell("settings", {"feed_url": f"{server.url}/feeds/retailrocket/shop.xml"}, "PUT")

        def there() -> dict[str, bool]:
            assert shop.rocket.tell("poll", {})["status"] in (200, 304, 503)
            return {name: item["isAvailable"] for name, item in shop.products().items()}

        own = {"Title of MUG": False, "Title of TEA": True, "Title of SHIRT-M": False, "Title of SHIRT-L": True}
        # A shirt that was listed before it had sizes may still stand there, as gone.
        eventually(lambda: own.items() <= there().items())
        assert shop.rocket.state()["skipped"] == [] and shop.rocket.tell("poll", {})["status"] == 304
        assert shop.products()["Title of TEA"]["categories"] == ["Garden/Hoses"]


def test_the_operator_reads_what_the_feed_leaves_out(
    open_shop: Callable[..., Shop], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    shop = open_shop()
    shop.push("MUG")
    shop.push("POOR", Images=[])
    feed = shop.caller.app.extensions["works"].gateways[("shop", "retailrocket")].feed
    eventually(lambda: feed.report()[0].offers == 1 and feed.report()[0].left_out_count == 1)
    text = CHANNEL.format(
        pair=PAIR, key=KEY, till="", url=shop.rocket.url, partner=PARTNER_ID, api_key=API_KEY,
        tracking=TRACKING_PATH, api=API_PATH, cdn=CDN_PATH, more="",
    ).replace('"till", ', "").replace('[channel.till]\nbase_url = "/till"\n', "")  # fmt: skip
    for name, value in {"APP_ENV": "development", "DATABASE_URL": database_url, "CHANNELS": text}.items():
        monkeypatch.setenv(name, value)
    shown = CliRunner().invoke(cli, ["retailrocket", "feed", "--json"])
    assert shown.exit_code == 1
    (found,) = json.loads(shown.output)
    assert found["offers"] == 1 and found["left_out"] == [
        {"sku": "POOR", "product_id": "", "reason": "without picture"}
    ]
    assert "without picture" in CliRunner().invoke(cli, ["retailrocket", "feed", "shop"]).output
    assert CliRunner().invoke(cli, ["retailrocket", "feed", "other"]).exit_code == 2


def test_the_operator_reads_the_number_of_every_sku_and_what_the_product_api_was_not_given(
    open_shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setattr("app.gateways.vendors.retailrocket.commands.PAGE", 2)
    shop = open_shop('mode = "product_api"')
    shop.push("MUG", "SHIRT")
    shop.push("SHIRT-M", "SHIRT-L", Parent="SHIRT")
    free = {"products": [record("SHIRT-L", Parent="SHIRT", Price="0")]}
    assert codes(shop.caller.ask("catalog_push", template_output={"data": free}), "warning") == ["PRICE_ZERO"]
    shop.push("POOR", Images=[])
    for name, value in {"APP_ENV": "development", "DATABASE_URL": database_url, "CHANNELS": shop.channels}.items():
        monkeypatch.setenv(name, value)

    def listed(*how: str) -> list[dict[str, Any]]:
        shown = CliRunner().invoke(cli, ["retailrocket", "products", "--json", *how])
        found = json.loads(shown.output)
        assert shown.exit_code == (1 if "--refused" in how and found else 0) and shown.output.count("\n") == 1
        return sorted(found, key=lambda unit: str(unit["sku"]))

    refused = {"POOR": "without picture", "SHIRT-L": "its price is 0, which is no price: nothing is sold for nothing"}
    eventually(lambda: {unit["sku"]: unit["refusal"] for unit in listed("--refused")} == refused)
    mug, poor, large, medium = listed("--channel", "shop")
    assert mug["address"] == "https://shop.example/p/MUG" and mug["group"] is None
    assert large["group"] == medium["group"] not in (None, large["number"], medium["number"])
    eventually(lambda: shop.products()["Title of SHIRT-M"]["groupId"] == medium["group"])
    assert shop.products()["Title of MUG"]["id"] == mug["number"]
    lines = CliRunner().invoke(cli, ["retailrocket", "products"]).output.splitlines()
    assert f"shop\tPOOR\t{poor['number']}\t\thttps://shop.example/p/POOR\twithout picture" in lines
    assert CliRunner().invoke(cli, ["retailrocket", "products", "--channel", "other"]).exit_code == 2
    health = (
        shop.caller.app.extensions["works"]
        .gateways[("shop", "retailrocket")]
        .check(Call(Deadline.in_s(2), "r", "question"))
    )
    assert "2 products" in next(finding.sentence for finding in health.findings if finding.name == "refused")


# Never in the way


@pytest.mark.postgresql
def test_p26_a_push_of_goods_and_one_of_stock_never_wait_for_each_other(
    build_app: Callable[..., Flask], contract: Contract, postgres_url: str
) -> None:
    nowhere = "http://127.0.0.1:9"
    text = CHANNEL.format(
        pair=PAIR, key=KEY, till=nowhere, url=nowhere, partner=PARTNER_ID, api_key=API_KEY,
        tracking=TRACKING_PATH, api=API_PATH, cdn=CDN_PATH, more="",
    )  # fmt: skip
    own = f'[channel.pipe17]\nbase_url = "{nowhere}"\napi_key = "k"'
    text = text.replace('"till", "retailrocket"', '"retailrocket", "pipe17"')
    text = text.replace(f'[channel.till]\nbase_url = "{nowhere}/till"', own)
    migrate(postgres_url)
    caller = Caller(build_app(text + PATHS, DATABASE_URL=postgres_url), contract)
    rows = [{"sku": "MUG", "quantity_available": 1, "quantity_detail": []}]
    with ThreadPoolExecutor(1) as other:
        with caller.database.write() as connection:
            # What a push of products does, with a push of stock between its two counters.
            sync_state.next_seq(connection, "shop", "pipe17")
            answer = other.submit(caller.ask, "inventory_push", inventory_updates=rows)
            time.sleep(0.5)
            sync_state.next_seq(connection, "shop", "retailrocket")
        assert "events" in answer.result(10)


def _timed(shop: Shop, times: int, prefix: str) -> Iterator[float]:
    """The seconds that three callbacks about one order take, order by order."""
    for number in range(times):
        shop.till.sell(f"{prefix}-{number}")
    orders = {item["channel_order_refnum"]: item for item in shop.caller.pull()}
    for number in range(times):
        refnum = f"{prefix}-{number}"
        began = time.perf_counter()
        shop.caller.acknowledge(refnum)
        shop.caller.ship(orders[refnum], 500 + number)
        shop.stock(MUG=number % 2, TEA=1)
        yield time.perf_counter() - began


def test_p16_a_hanging_retail_rocket_fails_no_callback_and_adds_nothing_to_one(
    open_shop: Callable[..., Shop], rocket: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = open_shop(is_observed=False)
    observed = open_shop(SERVER + 'mode = "product_api"')
    rocket.fault(kind="hang")
    observed.push("MUG", "TEA")
    without: list[float] = []
    ill: list[float] = []
    for series in range(6):  # in turn, because other work on the machine comes and goes
        both = zip(_timed(alone, 6, f"ALONE-{series}"), _timed(observed, 6, f"ILL-{series}"), strict=True)
        for without_s, ill_s in both:
            without.append(without_s)
            ill.append(ill_s)
    with capsys.disabled():
        print(f"\nthree callbacks without Retail Rocket {statistics.median(without) * 1e3:.1f} ms, while it hangs "
              f"{statistics.median(ill) * 1e3:.1f} ms")  # fmt: skip
    assert statistics.median(ill) < 1.5 * statistics.median(without) + 0.01
    assert {row.state for row in observed.deliveries("acknowledge_order")} == {"delivered"}, "the till is not held up"


def test_p16_observers_take_no_thread_from_the_deliveries_of_orders(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(SERVER + "batch_call_s = 5")
    shop.push("MUG", "TEA")
    shop.rocket.fault(kind="hang")
    for number in range(6):
        shop.sell(f"WEB-{number}")
    works = shop.caller.app.extensions["works"]
    slots = works.dispatcher._slots
    eventually(lambda: slots._inside[("shop", "retailrocket")] == 1)
    budget = slots.budget([("shop", "retailrocket"), ("shop", "till")])
    assert budget.of(("shop", "till")) == (works.dispatcher._threads // 2, 0)
    assert budget.streams == [("shop", "till")]


def test_p20_neither_the_key_nor_a_shopper_is_in_a_log_the_journal_or_an_error(
    open_shop: Callable[..., Shop], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        shop = open_shop(SERVER + 'consent = true\nbatch_call_s = 0.4\nmode = "product_api"')
        shop.push("MUG", "TEA")
        for number, fault in enumerate(("status", "hang", "html", "reset_after", "redirect")):
            shop.rocket.fault(kind=fault, code=500, location="/elsewhere", times=1)
            shop.sell(f"WEB-{number}")
            eventually(lambda: shop.rocket.server.faults.as_json() == [])
        eventually(lambda: len(shop.deliveries()) == 5)
        eventually(lambda: all(row.state in ("parked", "delivered") for row in shop.deliveries()))
        works = shop.caller.app.extensions["works"]
        gateway = works.gateways[("shop", "retailrocket")]
        shown = [repr(gateway), repr(vars(gateway)), repr(gateway.api), repr(vars(gateway.api))]
        shown.append(repr(gateway.check(Call(Deadline.in_s(2), "r", "question"))))
        works.journal.flush()
    with shop.caller.database.read() as connection:
        for table in ("journal", "late_events", "deliveries", "commands", "sync_states", "reported_lines", "feeds"):
            shown += [repr(tuple(row)) for row in connection.exec_driver_sql(f"select * from {table}")]
    everything = "\n".join([*shown, caplog.text])
    assert "retailrocket" in everything and API_KEY not in everything


def test_p23_settings_that_could_do_harm_are_faults(rocket: Sandbox) -> None:
    def faults(more: str) -> str:
        text = CHANNEL.replace("products_per_s = 0\n", "").format(
            pair=PAIR, key=KEY, till="", url=rocket.url, partner=PARTNER_ID, api_key="", tracking=TRACKING_PATH,
            api=API_PATH, cdn=CDN_PATH, more=more,
        ).replace('"till", ', "").replace('[channel.till]\nbase_url = "/till"\n', "")  # fmt: skip
        with pytest.raises(SettingsFault) as caught:
            settings.load({"APP_ENV": "development", "CHANNELS": text}, vendors=VENDORS)
        return str(caught.value)

    assert "api_key is needed" in faults(SERVER)
    assert "needs consent" in faults('purchase_route = "csv"')
    assert "single_call_s" in faults("single_call_s = 60")
    assert "products_per_s is too low" in faults("products_per_s = 0.1").replace("requests", "")
    assert "products_rate_max is below products_per_s" in faults("products_per_s = 20\nproducts_rate_max = 10")
    stock_ids = 'products_per_s = 20\nproducts_rate_max = 10\nstock_ids = {"Dallas" = "1", "DALLAS" = %s, "Reno" = "3"}'
    assert "stock_ids: one facility" in faults(stock_ids % '"2"')
    assert "stock_ids" not in faults(stock_ids % '"1"'), "they say the same"
    assert json.dumps(API_KEY) not in faults(SERVER)
