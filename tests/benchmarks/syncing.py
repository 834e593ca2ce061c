"""How fast a changed catalogue and its stock reach Rally: without a cap, 8 calls at a time, and at the default rate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from app.records.database import Database
from app.records.tables.catalogue import catalogue_sync
from tests.benchmarks import vendor
from tests.benchmarks.bench import KEY, ROOT, Client, envelope, gunicorn, median, post_bytes
from tests.benchmarks.durable import calls_alone, databases
from tests.benchmarks.rounds import Row
from tests.databases import open_database

PRODUCTS = 10_000
"""Changed products, and as many changed SKUs."""
VENDOR_S = 0.02
AT_ONCE = 8
IDEAL = AT_ONCE / VENDOR_S
"""Calls a second of so many at a time that wait for nothing but the vendor."""
DEFAULT_PER_S = 5.0
PACED = 1_000
PACED_S = 45.0
"""How many products and SKUs change at the default rate, and how long it is watched: 10,000 would take 67 minutes."""

CHANNEL = """
[[channel]]
name = "bench"
client_id = 1201
channel_id = 32
auth_keys = ["{key}"]
gateways = ["rally"]
[channel.rally]
base_url = "http://127.0.0.1:{port}/"
api_key = "benchmark"
organization_id = "bench"
{limits}
"""


@dataclass(frozen=True)
class Seen:
    """How many calls the vendor had answered, and when."""

    calls: int
    at_s: float

    def per_s_until(self, later: Seen) -> float:
        """Calls a second between two moments."""
        return (later.calls - self.calls) / (later.at_s - self.at_s)


def s14(rounds: int, scale: float, folder: Path) -> Iterator[Row]:
    """10,000 changed products and as many SKUs to Rally, 8 calls at a time, against ideal; the default rate.

    What 8 threads reach that only make the calls is printed beside it.  `scale`: the share of the 10,000 that changes.
    """
    count = max(100, int(PRODUCTS * scale))
    for name, urls in databases(folder, rounds + 1):
        alone, rates = [], []
        for url in urls[:-1]:
            with vendor.running(VENDOR_S) as port, _owing(url, port, count, folder) as database:
                alone.append(calls_alone(port, 1_000, AT_ONCE) / IDEAL)
                rates.append(_at_once(url, port, count, database, folder) / IDEAL)
        shown = "; the calls alone ".join(", ".join(f"{rate:.2f}" for rate in each) for each in (rates, alone))
        print(f"    {name}, {count} products and SKUs: {shown}")
        yield f"S14 {name}", median(rates), ">= 0.70"
        with vendor.running(VENDOR_S) as port, _owing(urls[-1], port, PACED, folder):
            per_s = _paced(urls[-1], port, folder)
        print(f"    {name}: {per_s:.2f} calls/s of {DEFAULT_PER_S:g}, in {PACED_S:.0f} s of {PACED} products and SKUs")
        yield f"S14 {name} rate", per_s / DEFAULT_PER_S, ">= 0.95"


def _at_once(url: str, port: int, count: int, database: Database, folder: Path) -> float:
    """Calls a second between the first tenth and the last one; each fact is sent once."""
    before = _seen(port).calls
    with _worker(url, port, f"requests_per_s = 0\nparallel_calls = {AT_ONCE}", folder):
        begun = _await_calls(port, before + count // 5)
        ended = _await_calls(port, before + 2 * count - count // 5)
        _await(lambda: _owed(database) == 0)
    calls = _seen(port).calls - before
    assert calls == 2 * count, f"{calls} calls for {2 * count} facts"
    return begun.per_s_until(ended)


def _paced(url: str, port: int, folder: Path) -> float:
    """Calls a second at the default rate, kept from growing so that what is measured against stands still."""
    with _worker(url, port, f"rate_max = {DEFAULT_PER_S:g}", folder):
        begun = _await_calls(port, _seen(port).calls + 25)
        time.sleep(PACED_S)
        return begun.per_s_until(_await_calls(port, _seen(port).calls + 1))


@contextmanager
def _owing(url: str, port: int, count: int, folder: Path) -> Iterator[Database]:
    """The products are at the vendor; then all of them and the stock of all change while nobody sends anything."""
    database = open_database(url)
    environment = {**_environment(url, port), "DELIVERIES": "worker"}
    with gunicorn("app:create_app()", folder=folder, environment=environment) as server:
        client = Client(server.port)

        def post(callback: str, body: bytes) -> None:
            assert client.send(post_bytes(f"/api/channel/{callback}_v1", body), is_kept=False) == 200

        post("catalog_push", _products(count, 10))
        with database.write() as connection:
            known = catalogue_sync.c
            connection.execute(
                sa.update(catalogue_sync).values(
                    sent=b'{"digest":"earlier"}', sent_seq=known.seq, sent_at=database.clock(), is_changed=False
                )
            )
        post("catalog_push", _products(count, 11))
        post("inventory_push", _levels(count))
    if not database.is_sqlite:
        with database.write() as connection:
            connection.execute(sa.text("analyze"))
    assert _owed(database) == 2 * count
    try:
        yield database
    finally:
        database.close()


def _products(count: int, price: int) -> bytes:
    records = [
        {
            "feed_data": {
                "General": {
                    "SKU": f"P-{number:06d}", "Title": f"Shirt number {number}", "Price": f"{price}.50",
                    "Description": "A shirt of fine cotton, woven in the valley and sewn by hand. " * 4,
                },
                "Images": [f"https://images.example.test/{number}-{at}.jpg" for at in range(3)],
            },
            "object_data": {"id": number, "source_type": "product"},
        }
        for number in range(1, count + 1)
    ]  # fmt: skip
    return json.dumps(envelope(KEY, template_output={"data": {"Product": records}})).encode()


def _levels(count: int) -> bytes:
    rows = [{"sku": f"P-{number:06d}", "quantity_available": 1 + number % 90} for number in range(1, count + 1)]
    return json.dumps(envelope(KEY, inventory_updates=rows)).encode()


def _environment(url: str, port: int, limits: str = "") -> dict[str, str]:
    channels = CHANNEL.format(key=KEY, port=port, limits=limits)
    return {"APP_ENV": "demo", "DATABASE_URL": url, "CHANNELS": channels, "LOG_LEVEL": "WARNING"}


@contextmanager
def _worker(url: str, port: int, limits: str, folder: Path) -> Iterator[None]:
    """`channel deliveries work`."""
    with open(folder / "worker.log", "ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "deliveries", "work"],
            cwd=ROOT, env={**os.environ, **_environment(url, port, limits), "DELIVERIES": "worker"},
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield
        assert worker.poll() is None, (folder / "worker.log").read_text()
    finally:
        worker.terminate()
        worker.wait(30)


def _owed(database: Database) -> int:
    query = "select (select count(*) from {0} where seq > sent_seq) + (select count(*) from {1} where seq > sent_seq)"
    with database.read() as connection:
        return int(connection.execute(sa.text(query.format("stock", "catalogue_sync"))).scalar_one())


def _await(is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 300
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


def _await_calls(port: int, count: int) -> Seen:
    """The first moment at which the vendor has had so many calls."""
    while (seen := _seen(port)).calls < count:
        time.sleep(0.01)
    return seen


def _seen(port: int) -> Seen:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/answered", timeout=10) as reply:
        return Seen(int(reply.read()), time.monotonic())
