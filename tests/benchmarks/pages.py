"""P40: how long the console's pages take with a million journal lines, and what they take from callbacks."""

from __future__ import annotations

import http.client
import itertools
import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Table, insert

from app.console.rendering import NAVIGATION
from app.records.call_figures import DAY_S, FIVE_MINUTES_S, HOUR_S, begin_of
from app.records.database import Database
from app.records.search_keys import folded
from app.records.statements import chunked
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.figures import call_figures, pending_figures
from app.records.tables.money import payments, refunds
from app.records.tables.operations import journal, search_keys
from app.records.tables.orders import handed_out
from app.settings import load_database_url
from tests.benchmarks.bench import KEY, Load, gunicorn, inventory, load, median, post_bytes
from tests.benchmarks.durable import PRODUCT, PUSH, Row, analyze, databases, environment, varied

LINES, CALLS, ORDERS, SKUS = 1_000_000, 100_000, 20_000, 10_000
GOAL_S = 0.3
TOKEN = "token-of-the-benchmark-01"
TIMES = 20
"""Requests of each page at least; p95 is the second slowest of them."""
PAIRS = 10
"""Loads with and without pages beside them, in turn."""
PAGE_EVERY_S = 1.0

CALLBACKS = ("order_pull", "inventory_push", "order_acknowledge", "order_shipment_submit", "catalog_push")


def places(orders: int, calls: int, lines: int) -> list[str]:
    """Every page, and the restrictions of lists that find little or nothing; counts are of what was filled in."""
    named = (
        "callbacks?callback=catalog_push", "callbacks?outcome=NOSUCH", "callbacks?status=5", "callbacks?slow=5000",
        "callbacks?order=ORDER-7", f"callbacks/{lines * 9 // 10 + 1}", "hooks?refused=yes", "hooks?vendor=rally",
        "deliveries?state=all", "deliveries?state=refused", "deliveries?order=ORDER-7", f"deliveries/{calls - 50}",
        "deliveries/many/drop?state=parked", "orders/bench0/ORDER-7", f"orders/bench0/ORDER-{orders - 1}",
        "orders?state=cancelled", "orders?state=waiting", "orders?state=acknowledged", "refunds/7",
        "refunds?doubt=yes", "refunds?order=ORDER-7", "refunds?state=refused", "stock?sku=sku-00000",
        "stock/bench0/SKU-0000007", "health?window=1h", "health?window=7d", "health?window=90d", "late",
        "find?q=ORDER-7", "find?q=request-300000", "find?q=8000007",
    )  # fmt: skip
    return [*(place for group in NAVIGATION for _, place in group), *named]


def p40(rounds: int, seconds: float, scale: float, folder: Path) -> Iterator[Row]:
    """p95 of the slowest page with 1,000,000 journal lines against 300 ms, and callbacks beside a page a second.

    `scale` is the share of the rows that is filled in.
    """
    lines, calls, orders, skus = (int(number * scale) for number in (LINES, CALLS, ORDERS, SKUS))
    for name, [url] in databases(folder):
        database = Database(load_database_url({"APP_ENV": "development", "DATABASE_URL": url}))
        _fill(database, lines, calls, orders)
        with gunicorn(
            PRODUCT, folder=folder, environment={**environment(url), "CONSOLE_TOKEN": TOKEN, "WEB_CONCURRENCY": "1"}
        ) as server:
            pushed = load(server.port, lambda _: _stock(skus), connections=1, duration_s=0.01)
            assert set(pushed.statuses) == {200}, pushed.statuses
            analyze(database)
            database.close()
            every = places(orders, calls, lines)
            taken = {place: _p95(server.port, place, max(TIMES, rounds)) for place in every}
            print(f"    {name}: a CSV file of {orders} orders {_get(server.port, 'orders.csv'):.1f} s")
            slowest = sorted(taken.items(), key=lambda item: -item[1])
            print(f"    {name}: " + ", ".join(f"{place or 'overview'} {s * 1000:.0f} ms" for place, s in slowest[:4]))
            yield f"P40 {name}", slowest[0][1] / GOAL_S, "<= 1.0"
            yield f"P40 {name} beside", _beside(server.port, every, seconds), ">= 0.95"


def _p95(port: int, place: str, times: int) -> float:
    measured = Load([_get(port, place) for _ in range(times)])
    return measured.quantile_s(0.95)


def _get(port: int, place: str) -> float:
    """Seconds of a page, from the connection to its last byte."""
    begun_s = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", f"/console/{place}", headers={"Authorization": f"Bearer {TOKEN}"})
    reply = connection.getresponse()
    reply.read()
    connection.close()
    assert reply.status in (200, 303), (place, reply.status)
    return time.perf_counter() - begun_s


def _stock(skus: int) -> bytes:
    return post_bytes(PUSH, inventory(skus, key=KEY), is_kept=False)


def _beside(port: int, every: list[str], seconds: float) -> float:
    """Callbacks a second beside a page a second, against those without: the median of pairs taken in turn."""
    push, numbers, pages = inventory(10, key=KEY), itertools.count(1), itertools.cycle(every)

    def rate() -> float:
        result = load(port, lambda _: post_bytes(PUSH, varied(push, next(numbers))), connections=4, duration_s=seconds)
        assert set(result.statuses) == {200}, result.statuses
        return result.per_s

    rate()
    ratios, alone_per_s = [], []
    for number in range(PAIRS):
        rates: dict[bool, float] = {}
        for is_beside in (True, False) if number % 2 else (False, True):
            if is_beside:
                with _reading(port, pages):
                    rates[True] = rate()
            else:
                rates[False] = rate()
        ratios.append(rates[True] / rates[False])
        alone_per_s.append(rates[False])
    print(
        f"    callbacks without pages {median(alone_per_s):.0f}/s; with, of that: {min(ratios):.2f}..{max(ratios):.2f}"
    )
    return median(ratios)


@contextmanager
def _reading(port: int, pages: Iterator[str]) -> Iterator[None]:
    """Somebody opens a page a second."""
    over, faults = threading.Event(), list[BaseException]()

    def read() -> None:
        try:
            while True:
                _get(port, next(pages))
                if over.wait(PAGE_EVERY_S):
                    return
        except BaseException as fault:
            faults.append(fault)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        over.set()
        reader.join()
    assert faults == [], faults


def _fill(database: Database, lines: int, calls: int, orders: int) -> None:
    now, draw = database.now(), random.Random(1)
    _insert(database, journal, (_line(number, lines, orders, now, draw) for number in range(lines)))
    _insert(database, commands, (_command(number, calls, orders, now) for number in range(calls)))
    _insert(database, deliveries, (_delivery(number, calls, orders, now) for number in range(calls)))
    _insert(database, handed_out, (_order(number, now) for number in range(orders)))
    _insert(database, payments, (_payment(number) for number in range(orders)))
    _insert(database, refunds, (_refund(number, orders, now) for number in range(orders)))
    _insert(database, search_keys, (key for number in range(orders) for key in _keys(number, orders, now)))
    _insert(database, call_figures, _figures(now))
    _insert(database, pending_figures, _pending(now))


def _insert(database: Database, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    for some in chunked(list(rows), 20_000):
        with database.write(is_durable=False) as connection:
            connection.execute(insert(table), some)


def _line(number: int, lines: int, orders: int, now: datetime, draw: random.Random) -> dict[str, Any]:
    kind = (*["callback"] * 6, *["vendor"] * 3, "hook")[number % 10]
    named = {"callback": CALLBACKS[number % 5], "vendor": "pipe17 GET /orders", "hook": "pipe17 shipment"}
    return {
        "at": now - timedelta(seconds=7 * (lines - number)), "kind": kind, "channel": "bench0", "name": named[kind],
        "order_refnum": f"ORDER-{number % orders}" if number % 3 == 0 else "",
        "status": 200 if number % 500 else 503, "outcome": "success" if number % 50 else "OWED",
        "duration_ms": draw.randint(1, 400), "request_id": f"request-{number // 3}",
    }  # fmt: skip


def _command(number: int, calls: int, orders: int, now: datetime) -> dict[str, Any]:
    at = now - timedelta(minutes=calls - number)
    return {
        "id": number + 1, "channel": "bench0", "callback": "order_shipment_submit", "natural_key": str(number),
        "order_refnum": f"ORDER-{number % orders}", "digest": "", "events": b"[]", "request_id": f"request-{number}",
        "begun_at": at, "lease_until": at, "finished_at": at,
    }  # fmt: skip


def _delivery(number: int, calls: int, orders: int, now: datetime) -> dict[str, Any]:
    at = now - timedelta(minutes=calls - number)
    return {
        "channel": "bench0", "gateway": "pipe17", "verb": "submit_shipment", "lane": f"ORDER-{number % orders}",
        "command_id": number + 1, "about": b"[]", "state": "delivered" if number < calls - 100 else "parked",
        "next_try_at": at, "request_id": f"request-{number}", "created_at": at, "attempts": 1,
    }  # fmt: skip


def _order(number: int, now: datetime) -> dict[str, Any]:
    return {
        "channel": "bench0", "refnum": f"ORDER-{number}", "lines": b"[]", "times": 1, "last_handed_at": now,
        "acknowledged_at": now if number % 20 else None, "state": "open" if number % 4 else "completed",
        "retailops_order_id": str(8_000_000 + number) if number % 20 else "",
    }  # fmt: skip


def _payment(number: int) -> dict[str, Any]:
    return {
        "channel": "bench0", "order_refnum": f"ORDER-{number}", "refnum": f"pay-{number}", "position": 0,
        "currency_code": "USD", "kind": "charge", "processing_type": "channel_payment", "payment_type": "card",
        "amount": Decimal("40.00"),
    }  # fmt: skip


def _refund(number: int, orders: int, now: datetime) -> dict[str, Any]:
    return {
        "channel": "bench0", "key": f"refund-{number}", "order_refnum": f"ORDER-{number}",
        "payment_refnum": f"pay-{number}", "callback": "order_returned", "natural_key": f"return-{number}",
        "amount": Decimal("12.50"), "currency_code": "USD", "lines": b"[]",
        "state": "accepted" if number % 100 else "parked", "created_at": now - timedelta(minutes=orders - number),
    }  # fmt: skip


def _keys(number: int, orders: int, now: datetime) -> Iterator[dict[str, Any]]:
    numbers = {"order": f"ORDER-{number}", "retailops_order": str(8_000_000 + number), "tracking": f"1Z{number:010d}"}
    for kind, written in numbers.items():
        yield {
            "channel": "bench0", "order_refnum": f"ORDER-{number}", "kind": kind, "object": written,
            "folded_key": folded(written), "at": now - timedelta(minutes=orders - number),
        }  # fmt: skip


def _figures(now: datetime) -> Iterator[dict[str, Any]]:
    """Counts for as long as each length of span is kept, of callbacks and of a vendor's calls."""
    named = [("callback", name) for name in CALLBACKS] + [("vendor", "pipe17")]
    for span_s, days in ((FIVE_MINUTES_S, 2), (HOUR_S, 90), (DAY_S, 90)):
        last = begin_of(now, span_s)
        for back, (kind, name) in itertools.product(range(days * DAY_S // span_s), named):
            for outcome in ("success", "failed"):
                yield {
                    "span_s": span_s, "at": last - timedelta(seconds=span_s * back), "kind": kind,
                    "channel": "bench0", "name": name, "outcome": outcome, "count": 9, "took_3": 5, "took_6": 4,
                }  # fmt: skip


def _pending(now: datetime) -> Iterator[dict[str, Any]]:
    last = begin_of(now, FIVE_MINUTES_S)
    for back in range(90 * DAY_S // FIVE_MINUTES_S):
        at = last - timedelta(seconds=FIVE_MINUTES_S * back)
        yield {
            "at": at, "channel": "bench0", "gateway": "pipe17", "owed": 3, "parked": 1, "oldest_s": 60 + back % 900,
            "facts": 2,
        }  # fmt: skip
