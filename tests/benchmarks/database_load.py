"""What a command, a pushed SKU and a pulled order send to PostgreSQL (L1): how far one database carries."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import requests

from app.sandbox.vendors.pipe17 import BASE_PATH, LEGACY_KEY, serve_pipe17
from tests.benchmarks import durable
from tests.benchmarks.bench import KEY, ROOT, envelope, gunicorn, inventory
from tests.benchmarks.rounds import Row
from tests.benchmarks.statements import Counting, Counts, counting_postgres

PAGE, SKUS, PUSHES = 100, 1_000, 4
NEXT_PAGES = 5
"""Pulled in a row, so that what the processes send by themselves meanwhile counts little."""

LOOK_S = 2.0


def l1(folder: Path) -> Iterator[Row]:
    """Statements, transactions and bytes of log that a command, 1,000 SKUs and 100 orders cost on PostgreSQL.

    Two web processes and a worker; what these send at rest is printed, and left out of the others.  The statements of
    each are the ratio.
    """
    shop = serve_pipe17(shipments=(1 + NEXT_PAGES) * PAGE)
    try:
        with counting_postgres() as (server, connection), server.database() as url:
            durable.migrated(url)
            counting = Counting(connection, url.rpartition("/")[2])
            with _processes(url, shop.url + BASE_PATH, folder) as port:
                yield from _rows(_Caller(port), counting)
    finally:
        shop.stop()


class _Caller:
    """RetailOps."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/channel"
        self._session = requests.Session()

    def send(self, callback: str, body: bytes) -> dict[str, Any]:
        answer = self._session.post(f"{self._url}/{callback}_v1", body, timeout=30)
        assert answer.status_code == 200, answer.text[:200]
        found: dict[str, Any] = answer.json()
        return found

    def command(self, callback: str, **fields: Any) -> None:
        answer = self.send(callback, msgspec.json.encode(envelope(KEY, **fields)))
        assert not [event for event in answer["events"] if event["event_type"] == "error"], answer["events"][:1]

    def orders(self, pages: int) -> list[str]:
        """Those of so many pages of a walk."""
        found, token = list[str](), ""
        for _ in range(pages):
            answer = self.send("order_pull", msgspec.json.encode(envelope(KEY, page_token=token)))
            found += [order["channel_order_refnum"] for order in answer["orders"]]
            token = answer["next_page_token"]
        return found


@contextmanager
def _processes(url: str, base_url: str, folder: Path) -> Iterator[int]:
    channels = durable.CHANNEL.format(name=LEGACY_KEY, number=32, key=KEY, base_url=base_url)
    channels = channels.replace(f'name = "{LEGACY_KEY}"', 'name = "bench0"').partition("[channel.pipe17.locations]")[0]
    environment = {
        "APP_ENV": "demo", "DATABASE_URL": url, "CHANNELS": channels, "DELIVERIES": "worker", "LOG_LEVEL": "WARNING",
    }  # fmt: skip
    command = [sys.executable, "-m", "app.cli", "deliveries", "work"]
    with (
        gunicorn("app:create_app()", folder=folder, workers=2, environment=environment) as web,
        open(folder / "worker.log", "ab") as log,
    ):
        worker = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log)
        try:
            yield web.port
        finally:
            worker.terminate()
            worker.wait(30)


def _rows(caller: _Caller, counting: Counting) -> Iterator[Row]:
    caller.send("catalog_get_config", msgspec.json.encode(envelope(KEY)))
    print(f"    at rest, a second: {_at_rest(counting)}")

    def counted(what: str, work: Callable[[], int]) -> Counts:
        """What each of the things that `work` does sends, and what follows from it, without what is sent at rest."""
        begun_s, before = time.monotonic(), counting.now()
        number = work()
        rest = _at_rest(counting)
        each = (counting.now() - before - rest * (time.monotonic() - begun_s)) * (1 / number)
        print(f"    {what}: {each}")
        return each

    orders: list[str] = []

    def pull(pages: int) -> int:
        found = caller.orders(pages)
        orders.extend(found)
        return len(found)

    def for_each(refnums: list[str], send: Callable[[str, int], None]) -> int:
        for number, refnum in enumerate(refnums):
            send(refnum, 550_000 + number)
        return len(refnums)

    def acknowledge(refnum: str, number: int) -> None:
        order = {"channel_order_refnum": refnum, "retailops_order_id": number}
        caller.command("order_acknowledge", orders=[order])

    def cancel(refnum: str, number: int) -> None:
        caller.command("order_cancel", order={"channel_order_refnum": refnum, "retailops_order_id": number})

    versions = itertools.count(1)

    def push() -> int:
        for _ in range(PUSHES):
            caller.send("inventory_push", durable.varied(inventory(SKUS, key=KEY), next(versions)))
        return SKUS * PUSHES

    counted("an order pulled first", lambda: pull(1))
    acknowledged = counted("order_acknowledge", lambda: for_each(orders, acknowledge))
    cancelled = counted("order_cancel", lambda: for_each(orders[: PAGE // 2], cancel))
    pulled_next = counted("an order pulled, next pages", lambda: pull(NEXT_PAGES))
    counted("a new SKU pushed", push)
    pushed = counted("a changed SKU pushed", push)
    yield "L1 order_acknowledge", acknowledged.statements, "<= 25"
    yield "L1 order_cancel", cancelled.statements, "<= 25"
    yield "L1 100 orders pulled", pulled_next.statements * PAGE, "<= 40"
    yield "L1 1,000 SKUs pushed", pushed.statements * SKUS, "<= 1000"


def _at_rest(counting: Counting) -> Counts:
    """What is sent in a second when two looks in a row see about the same: nothing follows any more."""
    looks: list[Counts] = []
    while len(looks) < 12:
        before = counting.now()
        time.sleep(LOOK_S)
        looks.append(counting.now() - before)
        if len(looks) > 1:
            less, more = sorted(look.statements for look in looks[-2:])
            if more - less <= max(8, more / 4):
                break
    return (looks[-1] + looks[-2]) * (1 / (2 * LOOK_S))
