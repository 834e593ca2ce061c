"""What RetailOps stated, beside what Pipe17 holds: every difference is found, and nothing is written unasked (P33)."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from app import terminal
from app.clock import utc_now
from app.domain.catalogue import ProductChange
from app.domain.comparisons import OrderThere, ProductDifference, StockCompared, StockDifference
from app.domain.stock import StockChange
from app.gateways.calls import Call
from app.gateways.holdings import Holdings, Page
from app.operations.reconcile import Reconciliation
from app.records import operations, stock, stock_sync
from app.records.database import Database
from app.records.tables.orders import handed_out
from app.records.tables.stock import stock as stock_table
from app.sandbox.vendors.pipe17 import INTEGRATION_ID, INTEGRATION_KEY
from app.sandbox.vendors.pipe17.samples import DALLAS, RENO
from tests.operations.reconcile_shop import Shop, row_of
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases

FIRST = ("MUG-RED", "BOWL", "LAMP")


def kinds(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(item["kind"], item["subject"], item["place"]) for item in found["differences"]]


def test_p33_what_people_changed_there_is_shown_with_both_figures_sent_and_gone_afterwards(shop: Shop) -> None:
    pulled = shop.retailops.pull()
    shop.retailops.acknowledge(*[order["channel_order_refnum"] for order in pulled])
    shop.state(**{"MUG-RED": (5, 2), "BOWL": (3, 1), "LAMP": (4, 0)})
    assert shop.reconcile(exit_code=0)["differences"] == []

    shop.count("MUG-RED", DALLAS, 9)
    shop.delete("LAMP", DALLAS)
    cancelled = pulled[0]["channel_order_refnum"]
    shop.pipe17.tell(f"shipments/{cancelled}/cancel", {})
    writes = shop.writes()
    found = shop.reconcile(exit_code=1)
    assert kinds(found) == [
        ("stock_missing", "LAMP", DALLAS),
        ("stock_differs", "MUG-RED", DALLAS),
        ("order_open_here", cancelled, ""),
    ]
    lamp, mug, order = found["differences"]
    assert (lamp["ours"]["on_hand"], lamp["theirs"]) == (4, None)
    assert (mug["ours"]["on_hand"], mug["theirs"]["on_hand"]) == (5, 9)
    assert (order["ours"], order["theirs"]) == ("open", "canceledRestock")
    assert mug["stated_at"] and mug["sent_at"] >= mug["stated_at"] and order["stated_at"]
    assert shop.writes() == writes and not shop.is_pending(), "it only reads"
    with shop.retailops.database.read() as connection:
        assert operations.listing(connection) == []
    shown = shop.channel("reconcile", "first").stdout
    assert "MUG-RED" in shown and "no record" in shown and cancelled in shown and "3 differences" in shown

    sent = shop.reconcile("--send", "--yes", "--reason", "counted by hand", exit_code=1)["sent"]
    assert sorted(sent["stock"]["pending"]) == ["LAMP", "MUG-RED"]
    eventually(lambda: shop.held("MUG-RED") == (5, 2) and shop.held("LAMP") == (4, 0) and not shop.is_pending())
    with shop.retailops.database.read() as connection:
        [operation] = operations.listing(connection)
    assert (operation.act, operation.reason, operation.count) == ("reconcile.send", "counted by hand", 2)
    assert [target.id for target in operation.targets] == ["LAMP", "MUG-RED"]

    assert cancelled in [order["channel_order_refnum"] for order in shop.retailops.pull() if order.get("cancel")]
    shop.retailops.acknowledge(cancelled)
    assert shop.reconcile(exit_code=0)["differences"] == []


def test_p33_a_figure_that_something_known_here_has_moved_is_left_unless_it_is_wanted(shop: Shop) -> None:
    shop.state(BOWL=(3, 1))
    shop.count("BOWL", DALLAS, 2)
    with shop.retailops.database.write() as connection:
        stock_sync.note_moved(connection, "first", ["BOWL"], utc_now() + timedelta(seconds=1))
    found = shop.reconcile("--send", "--yes", exit_code=1)
    assert [item["note"] for item in found["differences"]] == ["moved"]
    assert (found["sent"]["stock"]["pending"], found["sent"]["stock"]["moved"]) == ([], ["BOWL"])
    assert "--even-if-moved" in shop.channel("stock", "send", "first", "BOWL", "--yes").stderr
    found = shop.reconcile("--send", "--yes", "--even-if-moved", exit_code=1)
    assert found["sent"]["stock"]["pending"] == ["BOWL"]
    eventually(lambda: shop.held("BOWL") == (3, 1))
    assert shop.channel.json("operations", "list")["operations"][0]["detail"] == "--even-if-moved"


def test_p33_units_of_skus_that_were_never_stated_are_counted_only(shop: Shop) -> None:
    shop.state(BOWL=(3, 1))
    before = shop.reconcile(exit_code=0)["unstated_skus"]
    shop.pipe17.tell("products", {"count": 2, "prefix": "STRANGER-"})
    shop.count("STRANGER-00001", DALLAS, 7)
    shop.count("STRANGER-00001", RENO, 7)
    shop.count("STRANGER-00002", RENO, 0)
    found = shop.reconcile(exit_code=0)
    assert (found["unstated_skus"], found["differences"]) == (before + 1, [])


def test_p33_a_product_that_differs_is_shown_by_field_and_sent_again(shop: Shop) -> None:
    records = [
        {"feed_data": {"General": {"SKU": sku}}, "object_data": {"id": number, "source_type": "Product"}}
        for number, sku in ((500, "BULB"), (501, "JAM"))
    ]
    shop.retailops.ask("catalog_push", template_output={"data": {"Product": records}})

    def row(sku: str) -> dict[str, Any]:
        product = next(item for item in shop.pipe17.state()["products"] if item["sku"] == sku)
        rows = [item for item in product["published"] if item["integrationId"] == INTEGRATION_ID]
        return rows[0] if rows else {}

    eventually(lambda: row("BULB").get("status") == row("JAM").get("status") == "published")
    assert shop.reconcile(exit_code=0)["compared"]["products"] == 2
    shop.pipe17.tell("products/BULB", {"published": {"integrationId": INTEGRATION_ID, "extProductId": "9"}}, "PUT")
    [found] = shop.reconcile(exit_code=1)["differences"]
    assert (found["kind"], found["subject"], found["field"]) == ("product_differs", "BULB", "extProductId")
    assert (found["ours"], found["theirs"]) == ("500", "9") and found["stated_at"]
    sent = shop.reconcile("--send", "--yes", exit_code=1)["sent"]
    assert sent["catalogue"]["pending"] == ["BULB"]
    eventually(lambda: row("BULB")["extProductId"] == "500")
    eventually(lambda: shop.channel("reconcile", "first").exit_code == 0)


def test_p33_an_order_that_pipe17_still_waits_for_and_retailops_has_closed_is_shown(shop: Shop) -> None:
    pulled = shop.retailops.pull()
    refnum = pulled[0]["channel_order_refnum"]
    shop.retailops.acknowledge(refnum)
    with shop.retailops.database.write() as connection:
        connection.execute(update(handed_out).where(handed_out.c.refnum == refnum).values(state="completed"))
    [found] = shop.reconcile(exit_code=1)["differences"]
    assert (found["kind"], found["subject"]) == ("order_open_there", refnum)
    assert (found["ours"], found["theirs"]) == ("completed", "sentToFulfillment")


def test_p33_an_order_that_was_shipped_whole_is_no_difference(shop: Shop) -> None:
    order = shop.retailops.pull()[0]
    shop.retailops.acknowledge(order["channel_order_refnum"])
    shop.retailops.ship(order)
    assert shop.pipe17.shipment(order["channel_order_refnum"])["status"] == "fulfilled"
    assert shop.reconcile(exit_code=0)["compared"]["orders"] >= 1


def test_a_vendor_that_fails_for_a_moment_is_asked_again_and_one_that_stays_away_is_said(shop: Shop) -> None:
    shop.state(BOWL=(3, 1))
    shop.pipe17.fault(kind="status", code=503, times=2, match={"method": "GET", "path_prefix": "/api/v3/inventory"})
    assert shop.reconcile(exit_code=0)["failure"] == ""
    shop.pipe17.tell("keys", {"key": INTEGRATION_KEY, "integration": INTEGRATION_ID, "methods": {}}, "PUT")
    gone = shop.channel("reconcile", "first")
    assert gone.exit_code == 1 and "pipe17" in gone.stderr and "no difference" in gone.stdout


def test_a_vendor_that_cannot_be_read_is_named_and_alone_is_no_success(
    shop: Shop,
) -> None:
    table = shop.channel.environment["CHANNELS"].replace('["pipe17"]', '["pipe17", "retailrocket"]')
    store = '\n[channel.retailrocket]\npartner_id = "5a5b5c5d5e5f5a5b5c5d5e5f"\nshop_url = "https://shop.example"\n'
    shop.channel.environment["CHANNELS"] = table + store
    both = shop.channel("reconcile", "first")
    assert both.exit_code == 0 and "retailrocket: it shows nothing of what it holds" in both.stderr, both.output
    assert shop.channel("reconcile", "first", "--gateway", "retailrocket").exit_code == 2
    assert shop.channel("reconcile", "nowhere").exit_code == 2
    assert shop.channel("reconcile", "first", "--gateway", "rally").exit_code == 2
    assert shop.channel("reconcile", "first", "--send", "--json").exit_code == 2


class Shelf(Holdings):
    """A vendor of one SKU that sells a unit, and is sent the next figure, just while it is read."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.figures = [4, 5]

    def why_not(self, what: str, call: Call) -> str:
        return "" if what == "stock" else "this shelf holds stock only"

    def compare_stock(self, changes: Sequence[StockChange], call: Call) -> StockCompared:
        [change] = changes
        theirs, ours = self.figures.pop(0), change.level.quantity_available
        with self.database.write() as connection:
            stock.accept(connection, "first", "pipe17", {"A": b"[5, []]"})
            connection.execute(update(stock_table).values(sent_seq=stock_table.c.seq))
        differs = StockDifference("A", "", {"on_hand": ours}, {"on_hand": theirs})
        return StockCompared((differs,) if ours != theirs else (), ("A",))

    def stock_page(self, at: int, call: Call) -> Page[str]:
        return Page(("A",), None)

    def compare_products(self, changes: Sequence[ProductChange], call: Call) -> tuple[ProductDifference, ...]:
        return ()

    def open_orders(self, at: int, call: Call) -> Page[OrderThere]:
        return Page((), None)

    def orders(self, refnums: Collection[str], call: Call) -> Mapping[str, OrderThere]:
        return {}


def test_p33_what_was_stated_and_sent_while_the_vendor_was_read_is_no_difference(shop: Shop) -> None:
    database = shop.retailops.database
    with database.write() as connection:
        stock.accept(connection, "first", "pipe17", {"A": b"[3, []]"})
        connection.execute(update(stock_table).values(sent_seq=stock_table.c.seq))
    gateway = shop.retailops.app.extensions["works"].gateways["first", "pipe17"]
    shelf = Shelf(database)
    result = Reconciliation(database, "first", gateway, shelf).run()
    assert (result.differences, result.compared, result.unstated) == ([], {"stock": 1}, 0)
    assert shelf.figures == [] and set(result.left_out) == {"products", "orders"}


def test_a_table_fits_a_terminal_of_80_columns(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "A-VERY-LONG-SKU-WITH-MANY-PARTS-AND-THEN-SOME"
    levels = {long: msgspec.json.encode([5, [["internal", DALLAS, 5, 5]]])}
    with shop.retailops.database.write() as connection:
        stock.accept(connection, "first", "pipe17", levels)
        connection.execute(update(stock_table).values(sent_seq=stock_table.c.seq))
    monkeypatch.setattr(terminal, "PIPED_WIDTH", 80)
    assert shop.channel("stock", "send", "first", long, "--yes", "--reason", "why " * 30).exit_code == 0
    for command in (["reconcile", "first"], ["operations", "list"], ["deliveries", "list"], ["refunds", "list"]):
        lines = shop.channel(*command).stdout.splitlines()
        tables_only = [line for line in lines if "  " in line]
        assert all(len(line) <= 80 for line in tables_only), lines
    assert "A-VERY-LO…-THEN-SOME" in shop.channel("reconcile", "first").stdout


def test_p14_a_whole_stock_is_compared_in_few_calls_and_within_the_rate(shop: Shop) -> None:
    """10,000 SKUs at three locations are some 250 calls; the size is for whoever wants to see that."""
    count = int(os.environ.get("RECONCILE_SKUS", "200"))
    third = {"name": "Third DC", "address": {"country": "US"}, "fulfillmentIntegrationId": INTEGRATION_ID}
    shop.as_people("POST", "/locations", third)
    skus = shop.pipe17.tell("products", {"count": count})["skus"]
    places = {item["name"]: item["locationId"] for item in shop.pipe17.state()["locations"]}
    names = (DALLAS, RENO, "Third DC")
    shelves = [
        {"event": "adjust", "sku": sku, "locationId": places[name], "onHand": 2} for sku in skus for name in names
    ]
    for at in range(0, len(shelves), 500):
        shop.as_people("POST", "/inventory", shelves[at : at + 500])
    level = msgspec.json.encode([6, [["internal", name, 2, 2] for name in names]])
    with shop.retailops.database.write() as connection:
        stock.accept(connection, "first", "pipe17", dict.fromkeys(skus, level))
        connection.execute(update(stock_table).values(sent_seq=stock_table.c.seq))
    rate = 10
    channels = shop.channel.environment["CHANNELS"]
    shop.channel.environment["CHANNELS"] = channels.replace("requests_per_s = 0", f"requests_per_s = {rate}")
    before = shop.pipe17.state()["calls"]
    began = len(shop.pipe17.state()["recent_calls"])
    assert shop.reconcile(exit_code=0)["compared"]["stock"] == count
    after = shop.pipe17.state()
    calls = {name: total - before.get(name, 0) for name, total in after["calls"].items()}
    # A page of each for a hundred SKUs, a walk in pages of 500, and a few calls whatever the number of SKUs is.
    assert calls["GET /inventory"] <= count * 16 // 1000 + 4 and calls["GET /products"] <= count * 12 // 1000 + 4
    at = [datetime.fromisoformat(call["at"]).timestamp() for call in after["recent_calls"][began:]]
    assert all(len([other for other in at if first <= other < first + 2]) <= 3 * rate for first in at)
    assert {call["status"] for call in after["recent_calls"][began:]} == {200}


def test_p33_products_that_carry_one_sku_are_compared_each_with_its_own_figure(shop: Shop) -> None:
    """MUG-BLUE and BOWL both carry RO-MUG-BLUE: the units may be sold once only, so the other one has none."""
    carried = {"integrationId": INTEGRATION_ID, "sku": "RO-MUG-BLUE", "status": "published"}
    shop.pipe17.tell("products/BOWL", {"published": carried}, "PUT")
    rows = [row_of("RO-MUG-BLUE", 3, 1)]
    shop.retailops.ask("inventory_push", inventory_updates=rows)
    eventually(lambda: shop.held("MUG-BLUE") == (3, 1) and shop.held("BOWL")[0] == 0 and not shop.is_pending())
    assert shop.reconcile(exit_code=0)["differences"] == []
    shop.count("BOWL", DALLAS, 5)
    [found] = shop.reconcile("--send", "--yes", exit_code=1)["differences"]
    assert (found["subject"], found["vendor_sku"]) == ("RO-MUG-BLUE", "BOWL")
    assert (found["ours"]["on_hand"], found["theirs"]["on_hand"]) == (0, 5)
    eventually(lambda: shop.held("BOWL")[0] == 0)
