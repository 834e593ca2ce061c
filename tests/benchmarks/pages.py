"""P40: how long the console's pages take with a million journal lines, and what they take from callbacks."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.console.rendering import NAVIGATION
from tests.benchmarks.bench import KEY, Load, gunicorn, inventory, load, median, post_bytes
from tests.benchmarks.durable import PRODUCT, PUSH, analyze, databases, environment, varied
from tests.benchmarks.filling import FIRST_ID, Amounts, fill
from tests.benchmarks.rounds import Row
from tests.databases import open_database

LINES, CALLS, ORDERS, SKUS = 1_000_000, 100_000, 20_000, 10_000
GOAL_S = 0.3
TOKEN = "token-of-the-benchmark-01"
TIMES = 20
"""Requests of each page at least; p95 is the second slowest of them."""
PAIRS = 10
"""Loads with and without pages beside them, in turn."""
PAGE_EVERY_S = 1.0

SHOWN = (
    "journal", "commands", "deliveries", "handed_out", "payments", "refunds", "search_keys", "call_figures",
    "pending_figures",
)  # fmt: skip
"""The tables that are filled in."""


def places(orders: int, calls: int, lines: int, channel: str = "bench0") -> list[str]:
    """Every page, and the restrictions of lists that find little or nothing; counts are of what was filled in."""
    named = (
        "callbacks?callback=catalog_push", "callbacks?outcome=NOSUCH", "callbacks?status=5", "callbacks?slow=5000",
        "callbacks?order=ORDER-7", f"callbacks/{lines * 9 // 10 + 1}", "hooks?refused=yes", "hooks?vendor=rally",
        "deliveries?state=all", "deliveries?state=refused", "deliveries?order=ORDER-7",
        f"deliveries/{FIRST_ID + calls - 50}",
        "deliveries/many/drop?state=parked", f"orders/{channel}/ORDER-7", f"orders/{channel}/ORDER-{orders - 1}",
        "orders?state=cancelled", "orders?state=waiting", "orders?state=acknowledged", "refunds/7",
        "refunds?doubt=yes", "refunds?order=ORDER-7", "refunds?state=refused", "stock?sku=sku-00000",
        f"stock/{channel}/SKU-0000007", "health?window=1h", "health?window=7d", "health?window=90d", "late",
        "find?q=ORDER-7", "find?q=request-300000", "find?q=8000007",
    )  # fmt: skip
    return [*(place for group in NAVIGATION for _, place in group), *named]


def p40(rounds: int, seconds: float, scale: float, folder: Path) -> Iterator[Row]:
    """p95 of the slowest page with 1,000,000 journal lines against 300 ms, and callbacks beside a page a second.

    `scale` is the share of the rows that is filled in.
    """
    lines, calls, orders, skus = (int(number * scale) for number in (LINES, CALLS, ORDERS, SKUS))
    for name, [url] in databases(folder):
        database = open_database(url)
        fill(database, Amounts(lines, calls, orders), SHOWN)
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
