"""What durability costs, on SQLite and on PostgreSQL: accepting a push (S4), a small accept (S8), draining (S9),
and what a long backlog costs those who have nothing to do with it (B1)."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg
import sqlalchemy as sa

from app.deadline import Deadline
from app.domain.commands import Acknowledgement
from app.records.database import Database
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.orders import handed_out
from app.transport.client import VendorClient
from tests.benchmarks import floors, vendor
from tests.benchmarks.bench import KEY, ROOT, Client, envelope, gunicorn, inventory, load, median, post_bytes
from tests.benchmarks.rounds import Row, Skipped
from tests.databases import driver_url, open_database
from tests.postgres import NoPostgres, running_postgres

PUSH = "/api/channel/inventory_push_v1"
ACKNOWLEDGE = "/api/channel/order_acknowledge_v1"
PRODUCT = "app:create_app()"
IDEAL = 16 / 0.02
"""Calls per second of 16 threads that wait for nothing but a vendor's 20 ms."""
BACKLOG = 100_000
ORDERS = 200_000
"""More than can be acknowledged in the time."""

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


def databases(folder: Path, each: int = 1) -> Iterator[tuple[str, list[str]]]:
    """(name, addresses) of `each` empty, migrated databases of each kind; raises `Skipped` without PostgreSQL."""
    yield "SQLite", [migrated(f"sqlite:///{folder}/durable{number}.db") for number in range(each)]
    try:
        with running_postgres(is_durable=True) as server, ExitStack() as stack:
            yield "PostgreSQL", [migrated(stack.enter_context(server.database())) for _ in range(each)]
    except NoPostgres as reason:
        raise Skipped(f"PostgreSQL: {reason}") from None


def opened(url: str) -> Database:
    return open_database(url)


def migrated(url: str) -> str:
    database = opened(url)
    database.upgrade()
    database.close()
    return url


def channels(base_url: str, count: int = 1) -> str:
    keys = [KEY, "key+of+the+benchmark+channel0002"]
    return "".join(
        CHANNEL.format(name=f"bench{number}", number=32 + number, key=keys[number], base_url=base_url)
        for number in range(count)
    )


def environment(url: str, base_url: str = "https://pipe17.invalid") -> dict[str, str]:
    """A web process that only accepts: nobody delivers in the background, so that the vendor is left out."""
    return {"DATABASE_URL": url, "CHANNELS": channels(base_url), "DELIVERIES": "worker"}


def varied(body: bytes, number: int) -> bytes:
    """The same body with other quantities, so that every row changes."""
    return body.replace(b'"quantity_available": ', b'"quantity_available": %d' % (1 + number % 9))


def s4(rounds: int, folder: Path) -> Iterator[Row]:
    """A push over HTTP, accepted durably with every row changed, against REF of the same body."""
    sizes = (10_000, 50_000)
    bodies = {rows: inventory(rows, key=KEY) for rows in sizes}
    for name, [url] in databases(folder):
        ours: dict[int, list[float]] = {rows: [] for rows in sizes}
        reference: dict[int, list[float]] = {rows: [] for rows in sizes}
        with gunicorn(PRODUCT, folder=folder, environment=environment(url)) as server:
            client = Client(server.port)
            for number in range(2 * rounds + 1):
                for rows, body in bodies.items():
                    raw = post_bytes(PUSH, varied(body, number))
                    begun = time.perf_counter()
                    assert client.send(raw, is_kept=False) == 200
                    ours[rows].append(time.perf_counter() - begun)
                    begun = time.perf_counter()
                    floors.reference(body)
                    reference[rows].append(time.perf_counter() - begun)
        # The first push of all meets an empty table and a server that has done nothing yet.
        taken = {rows: median(ours[rows][1:]) for rows in sizes}
        for rows in sizes:
            reference_s = median(reference[rows][1:])
            print(f"    {name}, {rows} rows: ours {taken[rows] * 1000:.0f} ms, REF {reference_s * 1000:.0f} ms")
            yield f"S4 {name} {rows}", taken[rows] / reference_s, "<= 4"
        yield f"S4 {name} linear", taken[sizes[1]] / taken[sizes[0]] / (sizes[1] / sizes[0]), "<= 1.25"


def s8(rounds: int, seconds: float, folder: Path) -> Iterator[Row]:
    """A durable accept of a 10-row push against the same push as a dry run, and its p99 against its p50."""
    kept = inventory(10, key=KEY)
    dry = post_bytes(PUSH, inventory(10))
    choices = [post_bytes(PUSH, varied(kept, number)) for number in range(1, 9)]
    roll = random.Random(8)
    for name, [url] in databases(folder):
        with gunicorn(PRODUCT, folder=folder, environment={**environment(url), "VERIFY_KEY": "on"}) as server:
            durable: list[float] = []
            bare: list[float] = []
            tails: list[float] = []
            load(server.port, lambda _: roll.choice(choices), connections=8, duration_s=1)
            for _ in range(rounds):
                result = load(server.port, lambda _: roll.choice(choices), connections=8, duration_s=seconds)
                assert set(result.statuses) == {200}, result.statuses
                durable.append(result.per_s)
                tails.append(result.quantile_s(0.99) / result.quantile_s(0.5))
                result = load(server.port, lambda _: dry, connections=8, duration_s=seconds)
                assert set(result.statuses) == {200}
                bare.append(result.per_s)
        print(f"    {name}: durable {median(durable):.0f}/s, not kept {median(bare):.0f}/s")
        yield f"S8 {name}", median(durable) / median(bare), ">= 0.40"
        yield f"S8 {name} tail", median(tails), "<= 5"


def b1(rounds: int, seconds: float, folder: Path) -> Iterator[Row]:
    """Callbacks per second beside a backlog of the same account, against the same without one.

    A push of 10 rows, and an acknowledgement, which owes a call and makes it at once; the vendor takes no time.
    """
    numbers = itertools.count(1)
    push = inventory(10, key=KEY)

    def acknowledgement() -> bytes:
        orders = [{"channel_order_refnum": refnum(next(numbers)), "retailops_order_id": 1}]
        return post_bytes(ACKNOWLEDGE, msgspec.json.encode(envelope(KEY, orders=orders)))

    callbacks = {"push": lambda: post_bytes(PUSH, varied(push, next(numbers))), "acknowledge": acknowledgement}
    with vendor.running(0.0) as vendor_port:
        for name, [free, laden] in databases(folder, 2):
            owe(laden, BACKLOG, ["bench0"])
            for url in (free, laden):
                hand_out(url, "bench0")
            rates: dict[tuple[str, str], list[float]] = {(url, kind): [] for url in (free, laden) for kind in callbacks}
            with ExitStack() as running:
                ports = {}
                for url in (free, laden):
                    chosen = environment(url, f"http://127.0.0.1:{vendor_port}")
                    ports[url] = running.enter_context(gunicorn(PRODUCT, folder=folder, environment=chosen)).port
                # Taken in turn and shortly after one another, both sides meet the same noise.
                for number, kind in itertools.product(range(4 * rounds + 1), callbacks):
                    request = callbacks[kind]
                    for url in (free, laden) if number % 2 else (laden, free):
                        result = load(ports[url], lambda _, make=request: make(), connections=4, duration_s=seconds / 3)
                        assert set(result.statuses) == {200} and not result.failures, result.statuses
                        rates[(url, kind)].append(result.per_s)
            for kind in callbacks:
                without, beside = (rates[(url, kind)][1:] for url in (free, laden))
                print(
                    f"    {name}, {kind}: {median(without):.0f}/s, beside {BACKLOG} owed calls {median(beside):.0f}/s"
                )
                ratios = [with_it / without_it for with_it, without_it in zip(beside, without, strict=True)]
                yield f"B1 {name} {kind}", median(ratios), ">= 0.90"
            assert next(numbers) < ORDERS, "what is not known is not acknowledged: hand out more"


def refnum(number: int) -> str:
    return f"{16**15 + number:016x}"


def hand_out(url: str, channel: str) -> None:
    database = opened(url)
    rows = [{"channel": channel, "refnum": refnum(number), "lines": b"[]"} for number in range(ORDERS)]
    with database.write() as connection:
        connection.execute(sa.insert(handed_out), rows)
    analyze(database)
    database.close()


def analyze(database: Database) -> None:
    """And vacuum: else PostgreSQL would do both by itself, in the middle of the measurement."""
    if not database.is_sqlite:
        with psycopg.connect(driver_url(database), autocommit=True) as connection:
            connection.execute("vacuum analyze")


def s9(rounds: int, folder: Path) -> Iterator[Row]:
    """A worker draining calls of 20 ms with 16 threads, half of them for each of two accounts, against ideal.

    What 16 threads reach that only make the calls is printed beside it: more than that nobody can drain.
    """
    owed = 3200
    with vendor.running() as port:
        for name, [url] in databases(folder):
            drained, bare = [], []
            for _ in range(2 * rounds - 1):
                bare.append(calls_alone(port, 2000) / IDEAL)
                owe(url, owed, ["bench0", "bench1"])
                drained.append(_drain(url, port, folder) / IDEAL)
            print(f"    {name}: {_listed(drained)}; the calls alone {_listed(bare)}")
            yield f"S9 {name}", median(drained), ">= 0.85"


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def calls_alone(vendor_port: int, number: int, at_once: int = 16) -> float:
    """Calls a second of so many threads that make them through the client and do nothing else."""
    client = VendorClient("bench", f"http://127.0.0.1:{vendor_port}", headers={"X-Key": "k"}, patience_s=5)
    left = iter(range(number))

    def run() -> None:
        for _ in left:
            client.call("GET", "/shipments/0000000000000001", deadline=Deadline.in_s(10), kind="command")

    threads = [threading.Thread(target=run) for _ in range(at_once)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    return number / (time.perf_counter() - begun)


def owe(url: str, number_owed: int, channels: list[str]) -> None:
    """Owed acknowledgements, each of another order, spread over the channels."""
    database = opened(url)
    now = datetime.now(UTC)
    for start in range(0, number_owed, 5_000):
        refnums = [f"{number:016x}" for number in range(start, min(start + 5_000, number_owed))]
        with database.write() as connection:
            bound = connection.execute(
                sa.insert(commands).returning(commands.c.id),
                [{"channel": channels[0], "callback": "order_acknowledge", "natural_key": f"{refnum} {now}",
                  "order_refnum": refnum, "digest": "x", "events": b"[]", "request_id": "bench", "begun_at": now,
                  "lease_until": now, "finished_at": now} for refnum in refnums],
            ).scalars()  # fmt: skip
            owed = zip(refnums, bound, itertools.cycle(channels), strict=False)
            connection.execute(
                sa.insert(deliveries),
                [{"channel": channel, "gateway": "pipe17", "verb": "acknowledge_order", "lane": refnum,
                  "command_id": command_id, "about": b"[]", "state": "owed", "next_try_at": now,
                  "body": msgspec.json.encode(Acknowledgement(refnum)), "request_id": "bench", "created_at": now}
                 for refnum, command_id, channel in owed],
            )  # fmt: skip
    analyze(database)
    database.close()


def _drain(url: str, vendor_port: int, folder: Path) -> float:
    """Deliveries a second, between the first tenth and the last one: the start of the process is not meant."""
    database = opened(url)
    settings = {
        "APP_ENV": "demo", "DATABASE_URL": url, "CHANNELS": channels(f"http://127.0.0.1:{vendor_port}", 2),
        "DELIVERIES": "worker", "LOG_LEVEL": "WARNING",
    }  # fmt: skip
    # Written out as the index of what is due has it: reading the whole table would cost the worker its CPU.
    query = sa.text("select count(*) from deliveries where state in ('owed', 'checking')")

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
            time.sleep(0.1)
        return (at_first - now) / (time.perf_counter() - begun)
    finally:
        worker.terminate()
        worker.wait(30)
        database.close()
