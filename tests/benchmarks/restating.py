"""A merchant who states 100,000 SKUs every hour at a vendor that cannot take them all in that time (R13).

The clock is a fake one: a call takes as long as the vendor's rate says, and only our own work is measured.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from sqlalchemy import func, select, text

from app.domain.stock import StockDetail, StockLevel, StockSent
from app.records import stock, stock_batches
from app.records.database import Database
from app.records.tables.stock import stock as stock_table
from tests.benchmarks.bench import median
from tests.benchmarks.durable import databases
from tests.databases import open_database, owed_levels

SKUS = 100_000
PUSH = 10_000
HOURS = 3
CALLS_PER_S = 5.0
SKUS_PER_CALL = 3
BATCH = 500
CHANGED = 2_000
STREAM = ("bench", "pipe17")
Row = tuple[str, float, str]


def r13(folder: Path) -> Iterator[Row]:
    """100,000 SKUs stated every hour at a vendor that takes 54,000: changed ones first, no tail, nothing grows."""
    for name, [url] in databases(folder):
        yield from _run(name, url)


def _run(name: str, url: str) -> Iterator[Row]:
    database = open_database(url)
    roll = random.Random(13)
    names = [f"SKU-{number:06d}" for number in range(SKUS)]
    units = dict.fromkeys(names, 1)
    now = datetime(2026, 2, 3, 12, tzinfo=UTC)
    sent_at: dict[str, datetime] = {}
    batch_s = BATCH / SKUS_PER_CALL / CALLS_PER_S
    changed_s: list[float] = []
    oldest_s: list[float] = []
    claims_ms: list[float] = []
    sizes: list[float] = []
    number = 0
    for hour in range(HOURS):
        stated_at = now
        changed = set(roll.sample(names, CHANGED)) if hour else set()
        units |= {sku: units[sku] + 1 for sku in changed}
        _state(database, units, now)
        left = set(changed)
        hour_ms: list[float] = []
        while now < stated_at + timedelta(hours=1):
            begun = time.perf_counter()
            number += 1
            with database.write() as connection:
                batch = stock_batches.claim(connection, *STREAM, token=str(number), limit=BATCH, now=now, lease_s=3600)
            now += timedelta(seconds=batch_s)
            if batch is None:
                continue
            with database.write() as connection:
                told = [StockSent(change.sku, b"{}") for change in batch.changes]
                assert stock_batches.record(connection, batch, told, now=now)
            hour_ms.append((time.perf_counter() - begun) * 1000)
            sent_at |= dict.fromkeys((change.sku for change in batch.changes), now)
            if left:
                left -= {change.sku for change in batch.changes}
                # In the second hour those that were never sent in the first one come before what changed.
                if not left and hour >= 2:
                    changed_s.append((now - stated_at).total_seconds())
        claims_ms.append(median(hour_ms))
        if hour >= 2:
            oldest_s.append((now - min(sent_at.values())).total_seconds())
        sizes.append(_bytes(database))
    with database.read() as connection:
        rows = connection.execute(select(func.count()).select_from(stock_table)).scalar_one()
        owed = owed_levels(connection)
    database.close()
    per_s = CALLS_PER_S * SKUS_PER_CALL
    # All of them once is the shortest round there is; changed ones take their share of it.
    round_s = (SKUS / per_s) * (1 + CHANGED / (3600 * per_s - CHANGED))
    print(
        f"    {name}: {SKUS} SKUs an hour, {per_s:.0f} a second; the last of {CHANGED} changed after "
        f"{max(changed_s):.0f} s, oldest figure {max(oldest_s):.0f} s (a round takes {round_s:.0f} s), "
        f"{rows} rows, {owed} owed, {sizes[-1] / 2**20:.0f} MiB; a batch of {BATCH} costs {claims_ms[-1]:.1f} ms"
    )
    assert len(sent_at) == rows == SKUS and len(changed_s) == HOURS - 2
    yield f"R13 {name} changed", max(changed_s) / (CHANGED / per_s), "<= 1.3"
    yield f"R13 {name} oldest", max(oldest_s) / (round_s + 3600), "<= 1.0"
    yield f"R13 {name} owed", owed / SKUS, "<= 1.0"
    yield f"R13 {name} size", sizes[-1] / sizes[1], "<= 1.5"
    yield f"R13 {name} batch", claims_ms[-1] / claims_ms[1], "<= 1.5"


def _state(database: Database, units: dict[str, int], now: datetime) -> None:
    levels = {
        sku: msgspec.json.encode(StockLevel(count, (StockDetail("internal", "Dallas DC", count, count),)))
        for sku, count in units.items()
    }
    names = list(levels)
    for at in range(0, len(names), PUSH):
        with database.write() as connection:
            stock.accept(connection, *STREAM, {sku: levels[sku] for sku in names[at : at + PUSH]}, now=now)


def _bytes(database: Database) -> float:
    """What the table takes, with its indexes; of SQLite the whole file."""
    with database.read() as connection:
        if database.is_sqlite:
            pages = text("select page_count * page_size from pragma_page_count, pragma_page_size")
            return float(connection.execute(pages).scalar_one())
        return float(connection.execute(text("select pg_total_relation_size('stock')")).scalar_one())
