"""P40: how long the console's pages take with a million journal lines, against the 300 ms they may take."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import insert

from app import create_app, settings
from app.console.rendering import NAVIGATION
from app.gateways import VENDORS
from app.records.database import Database
from app.records.statements import chunked
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.operations import journal
from tests.benchmarks.bench import KEY, median
from tests.benchmarks.durable import CHANNEL, Row, databases

LINES, CALLS, ORDERS = 1_000_000, 100_000, 50_000
GOAL_S = 0.3
TOKEN = "token-of-the-benchmark-01"

FILTERED = (
    "callbacks?callback=catalog_push", "callbacks?outcome=NOSUCH", "callbacks?status=5", "callbacks?slow=5000",
    "callbacks?order=ORDER-7", "callbacks/900001", "hooks?refused=yes", "deliveries?state=all",
    "deliveries?state=refused", "deliveries/99950", "deliveries/many/drop?state=parked", "orders/bench0/ORDER-7",
    "orders.csv", "health?window=90d", "late", "find?q=ORDER-7", "find?q=request-300000",
)  # fmt: skip


def p40(rounds: int, folder: Path) -> Iterator[Row]:
    """The slowest page of all, each page taken as the median of its rounds."""
    channel = CHANNEL.format(name="bench0", number=32, key=KEY, base_url="http://127.0.0.1:9/api/v3")
    for name, [url] in databases(folder):
        environ = {
            "APP_ENV": "development", "DATABASE_URL": url, "CHANNELS": channel, "CONSOLE_TOKEN": TOKEN,
            "DELIVERIES": "worker",
        }  # fmt: skip
        app = create_app(settings.load(environ, vendors=VENDORS))
        _fill(app.extensions["works"].database)
        places = [*(place for group in NAVIGATION for _, place in group), *FILTERED]
        taken = {place: median([_timed(app, place) for _ in range(max(rounds, 3))]) for place in places}
        app.extensions["works"].stop()
        slowest = sorted(taken.items(), key=lambda item: -item[1])
        print(f"    {name}: " + ", ".join(f"{place or 'overview'} {s * 1000:.0f} ms" for place, s in slowest[:4]))
        yield f"P40 {name}", slowest[0][1] / GOAL_S, "<= 1.0"


def _timed(app: Flask, place: str) -> float:
    begun_s = time.perf_counter()
    reply = app.test_client().get(f"/console/{place}", headers={"Authorization": f"Bearer {TOKEN}"})
    assert reply.status_code in (200, 303), (place, reply.status_code)
    reply.close()
    return time.perf_counter() - begun_s


def _fill(database: Database) -> None:
    now, draw = database.now(), random.Random(1)
    for numbers in chunked(range(LINES), 20_000):
        with database.write(is_durable=False) as connection:
            connection.execute(insert(journal), [_line(number, now, draw) for number in numbers])
    for numbers in chunked(range(CALLS), 20_000):
        with database.write(is_durable=False) as connection:
            connection.execute(insert(commands), [_command(number, now) for number in numbers])
            connection.execute(insert(deliveries), [_delivery(number, now) for number in numbers])


def _line(number: int, now: datetime, draw: random.Random) -> dict[str, Any]:
    kind = (
        "callback",
        "callback",
        "callback",
        "callback",
        "callback",
        "callback",
        "vendor",
        "vendor",
        "vendor",
        "hook",
    )
    callbacks = ("order_pull", "inventory_push", "order_acknowledge", "order_shipment_submit", "catalog_push")
    named = {"callback": callbacks[number % 5], "vendor": "pipe17 GET /orders", "hook": "pipe17 shipment"}
    return {
        "at": now - timedelta(seconds=7 * (LINES - number)), "kind": kind[number % 10], "channel": "bench0",
        "name": named[kind[number % 10]], "order_refnum": f"ORDER-{number % ORDERS}" if number % 3 == 0 else "",
        "status": 200 if number % 500 else 503, "outcome": "success" if number % 50 else "OWED",
        "duration_ms": draw.randint(1, 400), "request_id": f"request-{number // 3}",
    }  # fmt: skip


def _command(number: int, now: datetime) -> dict[str, Any]:
    at = now - timedelta(minutes=CALLS - number)
    return {
        "id": number + 1, "channel": "bench0", "callback": "order_shipment_submit", "natural_key": str(number),
        "order_refnum": f"ORDER-{number % ORDERS}", "digest": "", "events": b"[]", "request_id": f"request-{number}",
        "begun_at": at, "lease_until": at, "finished_at": at,
    }  # fmt: skip


def _delivery(number: int, now: datetime) -> dict[str, Any]:
    at = now - timedelta(minutes=CALLS - number)
    return {
        "channel": "bench0", "gateway": "pipe17", "verb": "submit_shipment", "lane": f"ORDER-{number % ORDERS}",
        "command_id": number + 1, "about": b"[]", "state": "delivered" if number < CALLS - 100 else "parked",
        "next_try_at": at, "request_id": f"request-{number}", "created_at": at, "attempts": 1,
    }  # fmt: skip
