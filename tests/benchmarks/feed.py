"""`python -m tests.benchmarks.feed [offers]`: what a large feed costs to build in memory, and a 304 to answer."""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psutil

from app.gateways.vendors.retailrocket.feed.builder import FeedBuilder
from app.gateways.vendors.retailrocket.options import RetailRocketOptions
from app.gateways.vendors.retailrocket.store import Store
from app.records import cataloguing, stock, sync_state
from app.records.catalogue_statements import Statement
from app.records.database import Database
from app.records.feeds import FeedStore
from tests.benchmarks.bench import ROOT
from tests.databases import open_database
from tests.real_server import await_port, free_port

OFFERS = 100_000
GOAL_MIB, GOAL_MS = 64.0, 5.0
CHANNELS = """
[[channel]]
name = "shop"
client_id = 1201
channel_id = 32
auth_keys = ["key+of+the+benchmark+channel0001"]
gateways = ["retailrocket"]

[channel.retailrocket]
partner_id = "5a5b5c5d5e5f5a5b5c5d5e5f"
feed_delay_s = 0
shop_url = "https://shop.example"
"""


def fill(database: Database, offers: int) -> None:
    """A catalogue of simple products and of variants, half of them in stock."""
    for first in range(0, offers, 1000):
        statements = []
        for number in range(first, min(first + 1000, offers)):
            fields = {
                "sku": f"SKU-{number:07d}", "title": f"Product number {number}", "price": Decimal("19.90"),
                "description": "A plain description of the kind a shop writes, of one sentence or two. " * 4,
                "url": f"/p/{number}", "images": (f"https://shop.example/i/{number}.jpg",), "vendor": "Example",
                "categories": (f"Top {number % 20}/Sub {number % 400}",), "options": (("Size", str(number % 9)),),
                "currency": "USD",
            }  # fmt: skip
            statements.append(Statement("", fields, 0 if number % 4 and number > first else None))
            if statements[-1].parent is not None:
                statements[-1] = Statement("", fields, len(statements) - 1 - number % 4)
        levels = {f"SKU-{number:07d}": b"[%d,[]]" % (number % 2) for number in range(first, first + 1000)}
        with database.write() as connection:
            cataloguing.accept(connection, "shop", ["retailrocket"], statements, datetime.now(UTC))
            stock.accept(connection, "shop", "retailrocket", levels)


def build(url: str) -> None:
    """In a process of its own, so that nothing but the build is measured."""
    database = Database(url)
    options = RetailRocketOptions(partner_id="p", shop_url="https://shop.example", feed_delay_s=0)
    builder = FeedBuilder(Store(options, database, "shop", lambda: datetime.now(UTC)))
    with database.read():
        pass
    process = psutil.Process()
    idle = process.memory_info().rss
    peak = idle
    is_over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not is_over.wait(0.01):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    assert builder.build_if_due(lambda: False), "nothing was due"
    seconds = time.perf_counter() - began
    is_over.set()
    watcher.join()
    report = builder.feed.report()[0]
    current = builder.feed.current()
    assert current is not None
    above = (peak - idle) / 2**20
    print(f"{report.offers} offers: built in {seconds:.1f} s, {current.size / 2**20:.1f} MiB of text, "
          f"{current.packed_size / 2**20:.1f} MiB packed")  # fmt: skip
    verdict = "ok" if above < GOAL_MIB else "MISSED"
    print(f"memory above idle while building: {above:.1f} MiB (goal {GOAL_MIB:.0f}): {verdict}")
    database.close()


def await_calm(url: str) -> None:
    """Until everything is told and built: a build takes its part of the processor, but not that of a 304."""
    database = Database(url)
    store = FeedStore(database, "shop", "retailrocket")
    give_up_at = time.monotonic() + 300
    while True:
        with database.read() as connection:
            is_owed = bool(sync_state.owed(connection))
        if not (is_owed or store.report()[2]):
            break
        assert time.monotonic() < give_up_at, "the feed is never done"
        time.sleep(1)
    database.close()


def serve(folder: Path, url: str) -> None:
    """A real server; one caller that has the feed already."""
    port = free_port()
    environment = {
        **os.environ, "APP_ENV": "demo", "DATABASE_URL": url, "CHANNELS": CHANNELS, "PORT": str(port),
        "WEB_CONCURRENCY": "1", "LOG_LEVEL": "WARNING",
    }  # fmt: skip
    command = [sys.executable, "-m", "gunicorn", "--config", "python:app.serving", "app:create_app()"]
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        await_port(port, process)
        await_calm(url)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/feeds/retailrocket/shop.xml", headers={"Accept-Encoding": "gzip"})
        reply = connection.getresponse()
        etag, size = reply.headers["ETag"], len(reply.read())
        taken: list[float] = []
        floor: list[float] = []
        for _ in range(2000):  # in turn with an answer that needs nothing, which shows what the machine itself takes
            for path, times in (("/feeds/retailrocket/shop.xml", taken), ("/healthz", floor)):
                began = time.perf_counter()
                connection.request("GET", path, headers={"If-None-Match": etag})
                reply = connection.getresponse()
                reply.read()
                times.append((time.perf_counter() - began) * 1e3)
                assert reply.status == (304 if times is taken else 200)
        connection.close()
    finally:
        process.terminate()
        process.wait(20)
    p99, machine = _p99(taken), _p99(floor)
    verdict = "ok" if p99 < GOAL_MS else "MISSED"
    middle, usual = statistics.median(taken), statistics.median(floor)
    print(f"304 from cache ({size} bytes behind it): median {middle:.2f} ms, p99 {p99:.2f} ms (goal {GOAL_MS:.0f}): "
          f"{verdict}")  # fmt: skip
    print(f"/healthz beside it: median {usual:.2f} ms, p99 {machine:.2f} ms")


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "build":
        build(sys.argv[2])
        return
    offers = int(sys.argv[1]) if len(sys.argv) > 1 else OFFERS
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/feed.db"
        database = open_database(url)
        database.prepare()
        fill(database, offers * 4 // 3)
        database.close()
        subprocess.run([sys.executable, "-m", "tests.benchmarks.feed", "build", url], cwd=ROOT, check=True)
        serve(Path(folder), url)


if __name__ == "__main__":
    main()
