"""No statement reads more and more as the tables grow: each is explained on both databases (P26, P46)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import text

from app.contract.schemas import Contract
from app.domain.events import Event
from app.records import late_events, retention
from app.records.database import Database
from app.records.growing import GROWING, OF_FEW, SMALL
from app.records.pulls import TIRED_AFTER
from app.records.purge import Purge
from app.records.retention import Terms
from app.records.search_filling import SearchFilling
from app.records.tables import metadata
from app.records.tables.orders import IS_TIRED
from app.sandbox.server import serve
from app.sandbox.vendors.rally import serve_rally
from app.storefront import retention as of_shops
from app.storefront.order_queue import OrderQueue
from tests.benchmarks.filling import FIRST_ID, ROWS, Amounts, fill
from tests.benchmarks.pages import places
from tests.channels import OTHER_KEY, channel_table
from tests.console.stage import CHANNEL_TOKEN, TOKEN, parked_call
from tests.databases import open_database
from tests.gateways.vendors.rally.shop import MUG, TEE, Shop, channel_text, record
from tests.records.read_plans import compiled_anew, noting, walks
from tests.retailops import Caller
from tests.sandboxes import Sandbox

OBSERVED = """
[channel.retailrocket]
partner_id = "5a5b5c5d5e5f5a5b5c5d5e5f"
api_key = "key-of-retail-rocket"
shop_url = "https://shop.example"
api_url = "http://127.0.0.1:9/api"
tracking_url = "http://127.0.0.1:9/1.0"
"""

WALKED = {
    "a list's page: so many rows in the order of an index, and no more": {
        ("records/callback_log.py:page", "journal"),
        ("records/delivery_rows.py:page", "deliveries"),
        ("records/hook_log.py:page", "journal"),
        ("records/late_events.py:page", "late_events"),
        ("records/order_list.py:page", "search_keys"),
        ("records/refunds.py:page", "refunds"),
        ("records/sku_stock.py:skus", "stock"),
    },
    "the queue of orders, from which those that RetailOps has are taken": {
        ("storefront/order_queue.py:_taken", "orders"),
    },
    "whether there is any row": {
        ("records/cancelled_at_source.py:standing", "handed_out"),
        ("records/catalogue_rows.py:_is_used", "catalogue"),
        ("records/due_facts.py:due", "catalogue_sync"),
        ("records/due_facts.py:due", "fact_obstacles"),
        ("records/due_facts.py:due_streams", "catalogue_sync"),
        ("records/due_facts.py:due_streams", "fact_obstacles"),
    },
    "so many rows from a key on, each once after a start": {
        ("records/search_filling.py:_piece", "catalogue"),
        ("records/search_filling.py:_piece", "handed_out"),
        ("records/search_filling.py:_piece", "orders"),
        ("records/search_filling.py:_piece", "stock"),
    },
    "what is past its date, which is all of it here": {("records/purge.py:_purge_batch", "call_figures")},
    "products in their order until a page of Rally's is full": {("records/catalogue.py:search", "catalogue")},
    "a page of Rally's with the number of all orders that are kept, counted by an index alone": {
        ("storefront/order_store.py:count", "orders"),
        ("storefront/order_store.py:newest", "orders"),
    },
}
"""Statements, by function and table, that may walk, and why."""

COMPILED_ANEW = {
    "records/order_list.py:one",
    "records/order_list.py:page",
    "records/refunds.py:page",
    "records/search_filling.py:_piece",
    "records/searching.py:requests",
}
"""What a person waits for, or what runs once after a start: SQLite may compile it at each run."""


def test_p26_every_table_says_whether_it_grows() -> None:
    assert GROWING | SMALL.keys() == set(metadata.tables) and GROWING.isdisjoint(SMALL)
    assert set(ROWS) == GROWING
    known = {index.name for table in metadata.tables.values() for index in table.indexes}
    assert known >= OF_FEW
    assert f"times >= {TIRED_AFTER}" in str(IS_TIRED)


@pytest.mark.both_databases
def test_p26_no_statement_of_a_request_or_of_the_background_walks_through_what_grows(
    build_app: Callable[..., Flask], database_url: str, pipe17: Sandbox, contract: Contract
) -> None:
    built: list[Flask] = []
    with serve(lambda environ, start: built[0](environ, start)) as server, serve_rally() as rally:
        observed = channel_table(pipe17.url).replace('gateways = ["pipe17"]', 'gateways = ["pipe17", "retailrocket"]')
        seen = f'console_read_token = "{CHANNEL_TOKEN}"'
        sold = channel_text(rally.url, pair=(1201, 33), key=OTHER_KEY, channel=seen)
        built.append(build_app(observed + OBSERVED + sold, CONSOLE_TOKEN=TOKEN, PUBLIC_URL=server.url))
        retailops = Caller(built[0], contract)
        shop = Shop(Caller(built[0], contract, OTHER_KEY, (1201, 33)), rally, server)
        with noting(retailops.database) as sent:
            _sell(shop)
            _hand_out(retailops)
            _look(built[0], retailops.database)
            _work_in_the_background(retailops.database)
    built[0].extensions["works"].stop()
    database = open_database(database_url)
    _grow(database)
    found = walks(database, sent)
    again = compiled_anew(database, sent) if database.is_sqlite else set()
    database.close()
    allowed = set[tuple[str, str]]().union(*WALKED.values())
    unknown = sorted(walk for walk in found if (walk.function, walk.table) not in allowed)
    assert not unknown, "\n".join(f"{walk.function} {walk.table}: {walk.how}" for walk in unknown)
    assert again <= COMPILED_ANEW, "an index's condition names a column that these compare with a parameter"
    functions = {one.function for one in sent}
    assert {function for function, _ in allowed} <= functions, "what is allowed has to be sent"


def _sell(shop: Shop) -> None:
    """What RetailOps and Rally request of a shop."""
    shop.register_hooks()
    shop.offer(**{TEE: 9, MUG: 9})
    shop.push([record(7, " BLANK ", "20.00")])
    shop.set_stock(**{TEE: 9, MUG: 8, "UNKNOWN": 1, " BLANK ": 2})
    for topic in ("products/fetch", "categories/fetch", "shipping_zones/fetch", "store_information/fetch"):
        shop.step(topic)
    order = shop.buy_and_pull(skus={TEE: 2, MUG: 1})
    refnum = order["channel_order_refnum"]
    shop.update(refnum, *order["order_items"])
    shop.ship(order, 501, **{TEE: 1})
    shop.retailops.ask("order_settle_payment", order={"channel_order_refnum": refnum}, payment={"currency_code": "USD"})
    shop.give_back(77, 1, refnum)
    shop.credit(1, "no such payment ", order["payment_transactions"][0]["refnum"])
    shop.complete(refnum, unshipped_items=[])
    shop.retailops.cancel(shop.buy_and_pull()["channel_order_refnum"])
    shop.step("orders/list")


def _hand_out(retailops: Caller) -> None:
    """The same of a vendor's orders, with news of what came late."""
    with retailops.database.write() as connection:
        event = Event("warning", "LATE_DONE", "it was done")
        late_events.note(
            connection, channel="first", gateway="pipe17", callback="order_cancel", subject="A1", event=event,
            request_id="r", now=retailops.database.now(),
        )  # fmt: skip
    orders = [order for page in retailops.pull_all() for order in page]
    retailops.acknowledge(*(order["channel_order_refnum"] for order in orders))
    retailops.acknowledge("no such order ")
    retailops.ship(orders[0])
    retailops.ask("catalog_get_config")
    retailops.cancel(orders[1]["channel_order_refnum"])
    retailops.ask("order_complete", order={"channel_order_refnum": orders[0]["channel_order_refnum"]})
    retailops.pull()
    parked_call(retailops, "A1")


def _look(app: Flask, database: Database) -> None:
    """Every page, for an operator and for who sees one channel, and the figures."""
    browser = app.test_client()
    with database.read() as connection:
        one = connection.exec_driver_sql("select id from deliveries order by id limit 1").scalar()
    for token in (TOKEN, CHANNEL_TOKEN):
        named = (f"deliveries/{one}", "orders/first/A1", "find?q=REQUEST-OF-A", "orders.csv")
        for place in (*places(1, 1, 1, "shop"), *named):
            reply = browser.get(f"/console/{place}", headers={"Authorization": f"Bearer {token}"})
            assert reply.status_code in (200, 303, 403, 404), (place, reply.status_code)
            reply.get_data()
    assert browser.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def _work_in_the_background(database: Database) -> None:
    """What the server's own thread does some time after its start, and what it purges."""
    filling = SearchFilling(database, database.clock, {"shop"})
    while filling.turn():
        pass
    OrderQueue(database, database.clock).turn()
    late = database.now() + timedelta(days=400)
    purge = Purge(database, Terms(), lambda: late, clocks=(*retention.CLOCKS, *of_shops.CLOCKS))
    while purge.turn():
        pass


def _grow(database: Database) -> None:
    """PostgreSQL plans by what is there; SQLite by figures that the migrations leave (`records.growing`)."""
    if database.is_sqlite:
        return
    for number, (channel, gateway) in enumerate((("first", "pipe17"), ("shop", "rally")), 1):
        fill(database, Amounts(3000, 2000, 1000, channel, gateway, skus=1000, parked=2, first_id=number * FIRST_ID))
    with database.write() as connection:
        connection.execute(text("analyze"))
        connection.execute(text("update pg_class set reltuples = reltuples * 1000 where relkind in ('r', 'i')"))
