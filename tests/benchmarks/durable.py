"""What durability costs, on SQLite and on PostgreSQL: accepting a push (S4), a small accept (S8), draining (S9)."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import sqlalchemy as sa

from app.gateways.words import Acknowledgement
from app.records.database import Database
from app.records.tables import commands, deliveries
from app.settings import load_database_url
from tests.benchmarks import floors
from tests.benchmarks.bench import KEY, ROOT, Client, gunicorn, inventory, load, median, post_bytes
from tests.postgres import NoPostgres, running_postgres

PUSH = "/api/channel/inventory_push_v1"
PRODUCT = "app:create_app()"
BACKLOG = 100_000

CHANNEL = """
[[channel]]
name = "{name}"
client_id = 1201
channel_id = {number}
auth_keys = ["{key}"]
gateways = ["pipe17"]
[channel.pipe17]
base_url = "{base_url}"
api_key = "{name}"
requests_per_s = 0
parallel_calls = 0
[channel.pipe17.locations]
"Dallas DC" = "00000000000000a1"
"""

Row = tuple[str, float, str]


def databases(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, address) of an empty, migrated database of each kind; PostgreSQL where its server is installed."""
    yield "SQLite", _migrated(f"sqlite:///{folder}/durable.db")
    try:
        with running_postgres(is_durable=True) as server, server.database() as url:
            yield "PostgreSQL", _migrated(url)
    except NoPostgres as reason:
        print(f"    PostgreSQL is left out: {reason}")


def _open(url: str) -> Database:
    return Database(load_database_url({"APP_ENV": "development", "DATABASE_URL": url}))


def _migrated(url: str) -> str:
    database = _open(url)
    database.upgrade()
    database.close()
    return url


def _channels(base_url: str, count: int = 1) -> str:
    keys = [KEY, "key+of+the+benchmark+channel0002"]
    return "".join(
        CHANNEL.format(name=f"bench{number}", number=32 + number, key=keys[number], base_url=base_url)
        for number in range(count)
    )


def _environment(url: str) -> dict[str, str]:
    """A web process that only accepts: nobody delivers, so that the vendor is left out."""
    return {"DATABASE_URL": url, "CHANNELS": _channels("https://pipe17.invalid"), "DELIVERIES": "worker"}


def _varied(body: bytes, number: int) -> bytes:
    """The same body with other quantities, so that every row changes."""
    return body.replace(b'"quantity_available": ', b'"quantity_available": %d' % (1 + number % 9))


def s4(rounds: int, folder: Path) -> Iterator[Row]:
    """A push over HTTP, accepted durably with every row changed, against REF of the same body."""
    for name, url in databases(folder):
        with gunicorn(PRODUCT, folder=folder, environment=_environment(url)) as server:
            for rows in (10_000, 50_000):
                body = inventory(rows, key=KEY)
                client = Client(server.port)
                ours: list[float] = []
                reference: list[float] = []
                for number in range(rounds + 1):
                    raw = post_bytes(PUSH, _varied(body, number))
                    begun = time.perf_counter()
                    assert client.send(raw, is_kept=False) == 200
                    ours.append(time.perf_counter() - begun)
                    begun = time.perf_counter()
                    floors.reference(body)
                    reference.append(time.perf_counter() - begun)
                ours_s, reference_s = median(ours[1:]), median(reference[1:])
                print(f"    {name}, {rows} rows: ours {ours_s * 1000:.0f} ms, REF {reference_s * 1000:.0f} ms")
                yield f"S4 {name} {rows}", ours_s / reference_s, "<= 6"


def s8(rounds: int, seconds: float, folder: Path) -> Iterator[Row]:
    """A durable accept of a 10-row push against the same push as a dry run, and its p99 against its p50;
    then the same accepts beside a backlog of owed calls."""
    kept = inventory(10, key=KEY)
    dry = post_bytes(PUSH, inventory(10))
    choices = [post_bytes(PUSH, _varied(kept, number)) for number in range(1, 9)]
    roll = random.Random(8)
    for name, url in databases(folder):
        with gunicorn(PRODUCT, folder=folder, environment={**_environment(url), "VERIFY_KEY": "on"}) as server:
            durable: list[float] = []
            bare: list[float] = []
            tails: list[float] = []

            def accept(port: int = server.port, tails: list[float] = tails) -> float:
                result = load(port, lambda _: roll.choice(choices), connections=8, duration_s=seconds)
                assert set(result.statuses) == {200}, result.statuses
                tails.append(result.quantile_s(0.99) / result.quantile_s(0.5))
                return result.per_s

            accept()
            tails.clear()
            for _ in range(rounds):
                durable.append(accept())
                result = load(server.port, lambda _: dry, connections=8, duration_s=seconds)
                assert set(result.statuses) == {200}
                bare.append(result.per_s)
            tail = median(tails)
            _owe(url, BACKLOG, ["elsewhere"])
            accept()
            behind = [accept() for _ in range(rounds)]
        print(
            f"    {name}: durable {median(durable):.0f}/s, not kept {median(bare):.0f}/s, "
            f"beside {BACKLOG} owed calls {median(behind):.0f}/s"
        )
        yield f"S8 {name}", median(durable) / median(bare), ">= 0.25"
        yield f"S8 {name} tail", tail, "<= 10"
        yield f"backlog {name}", median(behind) / median(durable), ">= 0.90"


def s9(rounds: int, folder: Path, vendor: Callable[[], AbstractContextManager[int]]) -> Iterator[Row]:
    """A worker draining calls of 20 ms with 16 threads, half of them for each of two accounts, against ideal."""
    count = 1600
    with vendor() as port:
        for name, url in databases(folder):
            rates = []
            for _ in range(rounds):
                _owe(url, count, ["bench0", "bench1"])
                rates.append(_drain(url, port, folder))
            print(f"    {name}: {median(rates):.0f}/s of {16 / 0.02:.0f}/s")
            yield f"S9 {name}", median(rates) / (16 / 0.02), ">= 0.80"


def _owe(url: str, count: int, channels: list[str]) -> None:
    """Owed acknowledgements, each of another order, spread over the channels."""
    database = _open(url)
    now = datetime.now(UTC)
    with database.write() as connection:
        command_id = connection.execute(
            sa.insert(commands).returning(commands.c.id),
            {"channel": channels[0], "callback": "order_acknowledge", "natural_key": str(now), "order_refnum": "x",
             "digest": "x", "events": b"[]", "request_id": "bench", "begun_at": now, "lease_until": now},
        ).scalar_one()  # fmt: skip
    rows = [
        {"channel": channels[number % len(channels)], "gateway": "pipe17", "verb": "acknowledge_order",
         "lane": f"{number:016x}", "command_id": command_id, "about": b"[]", "state": "owed", "next_try_at": now,
         "body": msgspec.json.encode(Acknowledgement(f"{number:016x}")), "request_id": "bench", "created_at": now}
        for number in range(count)
    ]  # fmt: skip
    for start in range(0, count, 5_000):
        with database.write() as connection:
            connection.execute(sa.insert(deliveries), rows[start : start + 5_000])
    database.close()


def _drain(url: str, vendor_port: int, folder: Path) -> float:
    """Deliveries a second, between the first tenth and the last one: the start of the process is not meant."""
    database = _open(url)
    settings = {
        "APP_ENV": "demo", "DATABASE_URL": url, "CHANNELS": _channels(f"http://127.0.0.1:{vendor_port}", 2),
        "DELIVERIES": "worker", "LOG_LEVEL": "WARNING",
    }  # fmt: skip
    query = sa.select(sa.func.count()).where(deliveries.c.state == "owed")

    def left() -> int:
        with database.read() as connection:
            return int(connection.execute(query).scalar_one())

    total = left()
    with open(folder / "worker.log", "ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "deliveries", "work"],
            cwd=ROOT, env={**os.environ, **settings}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        while (at_first := left()) > total * 0.9:
            assert worker.poll() is None
            time.sleep(0.02)
        begun = time.perf_counter()
        while (now := left()) > 16:
            time.sleep(0.05)
        return (at_first - now) / (time.perf_counter() - begun)
    finally:
        worker.terminate()
        worker.wait(30)
        database.close()
