"""What a second web process and a second worker add on one PostgreSQL (S19)."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import psycopg

from tests.benchmarks import durable, vendor
from tests.benchmarks.bench import KEY, ROOT, envelope, gunicorn, load, median, post_bytes
from tests.benchmarks.rounds import Row
from tests.benchmarks.statements import NOT_OURS, Counting, Counts, counting_postgres

VENDOR_S = 0.2
WEB_THREADS = 8
_DELIVERED = f"""
select count(*) from deliveries where request_id = 'bench' and state = 'delivered' {NOT_OURS}
"""
BACKLOG = 6_000
"""More owed calls than two workers make in all rounds."""


def s19(rounds: int, seconds: float, folder: Path) -> Iterator[Row]:
    """Commands a second of two web processes and two workers on one PostgreSQL, against one of each.

    The vendor takes 200 ms.  A command is an acknowledgement that a web process answers after its call, or an owed one
    that a worker delivers; both happen at once, for as long as the web processes are kept busy.
    """
    rates: dict[int, list[float]] = {1: [], 2: []}
    sent: dict[int, Counts] = {}
    numbers = itertools.count(1)
    with counting_postgres() as (server, connection), vendor.running(VENDOR_S) as port, ExitStack() as stack:
        urls = {each: stack.enter_context(server.database()) for each in rates}
        for url in urls.values():
            durable.migrated(url)
            durable.owe(url, BACKLOG, ["bench0"])
            durable.hand_out(url, "bench0")
        for _ in range(min(rounds, 3)):
            for each, url in urls.items():
                counting = Counting(connection, url.rpartition("/")[2])
                with _processes(each, url, port, folder) as web_port:
                    per_s, counts = _commands(web_port, each, url, counting, numbers, 1.5 * seconds)
                rates[each].append(per_s)
                sent[each] = counts
    for each, found in rates.items():
        print(f"    {each} of each: {median(found):.0f} commands/s, for a command {sent[each]}")
    yield "S19", median(rates[2]) / median(rates[1]) / 2, ">= 0.85"


@contextmanager
def _processes(each: int, url: str, vendor_port: int, folder: Path) -> Iterator[int]:
    """The port of so many web processes, beside as many workers that have begun to deliver."""
    environment = {
        **durable.environment(url, f"http://127.0.0.1:{vendor_port}"),
        "DATABASE_CONNECTIONS": "60", "DATABASE_PROCESSES": "6", "LOG_LEVEL": "WARNING",
    }  # fmt: skip
    command = [sys.executable, "-m", "app.cli", "deliveries", "work"]
    with (
        open(folder / "worker.log", "ab") as log,
        gunicorn("app:create_app()", folder=folder, workers=each, threads=WEB_THREADS, environment=environment) as web,
    ):
        before = _delivered(url)
        workers = [
            subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, "APP_ENV": "demo", **environment}, stdout=log, stderr=log
            )
            for _ in range(each)
        ]
        try:
            while _delivered(url) < before + 20 * each:
                assert all(worker.poll() is None for worker in workers)
                time.sleep(0.1)
            yield web.port
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait(30)


def _commands(
    port: int, each: int, url: str, counting: Counting, numbers: Iterator[int], seconds: float
) -> tuple[float, Counts]:
    """Commands a second, answered and delivered, and what one of them sends to the database."""

    def acknowledgement(_: int) -> bytes:
        orders = [{"channel_order_refnum": durable.refnum(next(numbers)), "retailops_order_id": 1}]
        body = msgspec.json.encode(envelope(KEY, orders=orders))
        return post_bytes("/api/channel/order_acknowledge_v1", body, is_kept=False)

    delivered, before = _delivered(url), counting.now()
    # Thrice as many clients as threads, so that every process has one waiting however they are spread.
    found = load(port, acknowledgement, connections=3 * WEB_THREADS * each, duration_s=seconds, is_kept=False)
    counts, delivered = counting.now() - before, _delivered(url) - delivered
    assert set(found.statuses) == {200} and not found.failures, (found.statuses, found.failures)
    commands = len(found.seconds) + delivered
    return commands / found.elapsed_s, counts * (1 / commands)


def _delivered(url: str) -> int:
    """How many of the calls that were owed at first are delivered; one that was refused, parked or dropped is none."""
    with psycopg.connect(url) as connection:
        row = connection.execute(_DELIVERED).fetchone()
    assert row is not None
    return int(row[0])
