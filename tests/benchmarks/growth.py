"""S18: what requests cost after 200,000 orders and 1,000,000 journal lines, against after hardly any."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from flask import Flask

from app import create_app, settings
from app.contract.schemas import load_contract
from app.gateways import VENDORS
from app.sandbox.server import serve
from app.sandbox.vendors.pipe17 import BASE_PATH, LEGACY_KEY, serve_pipe17
from app.sandbox.vendors.rally import serve_rally
from app.storefront.order_document import read_document, write_document
from tests.benchmarks.bench import KEY
from tests.benchmarks.durable import CHANNEL, analyze, databases
from tests.benchmarks.filling import Amounts, fill
from tests.benchmarks.pulls import Prefetched, candidates
from tests.benchmarks.rounds import Row
from tests.databases import open_database
from tests.gateways.vendors.rally.shop import TEE, Shop, channel_text, record
from tests.retailops import Caller

SHOP_KEY = "key+of+the+benchmark+channel0002"
SHOP_PAIR = (1201, 33)
TOKEN = "token-of-the-benchmark-01"
GOAL = "<= 1.5"

LARGE = Amounts(lines=1_000_000, calls=100_000, orders=200_000)
SMALL = Amounts(lines=1_000, calls=100, orders=2_000)
"""One of twenty orders waits for its acknowledgement: 10,000 and 100."""

OF_VENDOR = ("journal", "commands", "deliveries", "handed_out", "payments", "search_keys")
OF_SHOP = ("handed_out", "orders")

FIND = ("ORDER-1990", "8001990", "request-30", "1Z0000001990", "no-such-number")


@dataclass
class Side:
    """A server in this process, on a database with few or many rows; `seconds` are those of each request."""

    app: Flask
    shop: Shop
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.vendor = Caller(self.app, load_contract(), KEY)
        gateways = self.app.extensions["works"].gateways
        source = gateways[("bench0", "pipe17")]
        gateways[("bench0", "pipe17")] = replace(source, orders=Prefetched(source.orders, [candidates(source.orders)]))
        self.orders = [order["channel_order_refnum"] for order in self.vendor.pull()]

    def measure(self, number: int) -> None:
        """One request of each kind."""
        self._timed("order_pull, Pipe17", lambda: self.vendor.pull(), 100)
        self._timed("order_pull, Rally", lambda: self.shop.retailops.pull(), 100)
        for query in FIND:
            self._timed("find", partial(self._page, f"find?q={query}"))
        acknowledged, cancelled = self.orders[2 * number], self.orders[2 * number + 1]
        self._timed("order_acknowledge", lambda: self.vendor.acknowledge(acknowledged))
        self._timed("order_cancel", lambda: self.vendor.cancel(cancelled))
        assert self.shop.checkout()["outcome"] == "good"  # `served` takes the time of its hook

    def _page(self, place: str) -> list[Any]:
        reply = self.app.test_client().get(f"/console/{place}", headers={"Authorization": f"Bearer {TOKEN}"})
        assert reply.status_code in (200, 303), reply.status_code
        return []

    def _timed(self, name: str, work: Callable[[], Any], count: int | None = None) -> None:
        begun_s = time.perf_counter()
        answered = work()
        self.took(name, time.perf_counter() - begun_s)
        assert count is None or len(answered) == count, (name, len(answered))

    def took(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(name, []).append(seconds)

    def quick_s(self, name: str) -> float:
        """The lower quartile, for the machine does other things, too; the first times are left out."""
        taken = sorted(self.seconds[name][len(FIND) if name == "find" else 1 :])
        return taken[len(taken) // 4]


def s18(rounds: int, scale: float, folder: Path) -> Iterator[Row]:
    """order_pull of two sources, find, a hook and two commands, each on the large database and on the small in turn.

    `scale` is the share of the large one's rows that is filled in.
    """
    lines, calls, orders = (int(amount * scale) for amount in (LARGE.lines, LARGE.calls, LARGE.orders))
    large = replace(LARGE, lines=lines, calls=calls, orders=orders)
    vendor = serve_pipe17(shipments=400)
    try:
        for name, urls in databases(folder, 2):
            with _side(urls[0], vendor.url, SMALL) as few, _side(urls[1], vendor.url, large) as many:
                vendor_state = (few, many)
                for number in range(8 * max(rounds, 1) + 1):
                    for side in vendor_state if number % 2 else reversed(vendor_state):
                        side.measure(number)
            for what in few.seconds:
                found, reference = many.quick_s(what), few.quick_s(what)
                print(f"    {name}, {what}: {1000 * found:.1f} ms, with few rows {1000 * reference:.1f} ms")
                yield f"S18 {name} {what}", found / reference, GOAL
    finally:
        vendor.stop()


@contextmanager
def _side(url: str, vendor_url: str, amounts: Amounts) -> Iterator[Side]:
    """A server on this database, filled, with a shop at a sandbox of Rally's of its own."""
    apps: list[Flask] = []
    sides: list[Side] = []

    def served(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        begun_s = time.perf_counter()
        body = apps[0](environ, start)
        if sides and (environ["REQUEST_METHOD"], environ["PATH_INFO"].rpartition("/")[2]) == ("POST", "orders"):
            sides[0].took("Rally order/create", time.perf_counter() - begun_s)
        return body

    with serve(served) as server, serve_rally() as rally:
        vendor = CHANNEL.format(name=LEGACY_KEY, number=32, key=KEY, base_url=vendor_url + BASE_PATH)
        vendor = vendor.replace(f'name = "{LEGACY_KEY}"', 'name = "bench0"').partition("[channel.pipe17.locations]")[0]
        channels = vendor + channel_text(rally.url, pair=SHOP_PAIR, key=SHOP_KEY)
        environ = {
            "APP_ENV": "development", "DATABASE_URL": url, "CHANNELS": channels, "DELIVERIES": "worker",
            "CONSOLE_TOKEN": TOKEN, "PUBLIC_URL": server.url, "LOG_LEVEL": "ERROR",
        }  # fmt: skip
        apps.append(create_app(settings.load(environ, vendors=VENDORS)))
        shop = Shop(Caller(apps[0], load_contract(), SHOP_KEY, SHOP_PAIR), rally, server)
        try:
            shop.register_hooks()
            shop.push([record(100, TEE, "20.00")])
            shop.set_stock(**{TEE: 100_000})
            shop.step("products/fetch")
            _fill(url, amounts, shop.buy(skus={TEE: 1}))
            sides.append(Side(apps[0], shop))
            yield sides[0]
        finally:
            apps[0].extensions["works"].stop()


def _fill(url: str, amounts: Amounts, bought: str) -> None:
    """The vendor's orders, and the shop's, those that wait with the document of one that was bought."""
    database = open_database(url)
    fill(database, amounts, OF_VENDOR)
    with database.read() as connection:
        kept = connection.exec_driver_sql(f"select body from orders where refnum = '{bought}'").scalar_one()
    document = read_document(kept)

    def body(number: int) -> bytes:
        names = {"refnum": f"ORDER-{number}", "number": str(number), "cart_id": f"cart-{number}"}
        return b"{}" if number % 20 else write_document(msgspec.structs.replace(document, **names))

    fill(database, replace(amounts, channel="shop", gateway="rally", body=body), OF_SHOP)
    analyze(database)
    database.close()
