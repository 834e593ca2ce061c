"""`python -m tests.benchmarks [S1 S3 ...] [--rounds 3] [--seconds 3]`: each figure as a ratio, with its goal."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from app.channel.actions import inventory_push
from app.contract.schemas import load_contract
from app.deadline import Deadline
from app.transport.client import VendorClient
from tests.benchmarks import bodies, catalogue, durable, fairness, floors, pages, pulls, restating, slow_clients
from tests.benchmarks.bench import (
    KEY,
    ROOT,
    Client,
    Load,
    Server,
    await_port,
    envelope,
    free_port,
    gunicorn,
    inventory,
    load,
    median,
    peak_kib,
    post_bytes,
    scratch,
)

PUSH = "/api/channel/inventory_push_v1"
PRODUCT = "app:create_app()"
IDEAL_16 = 16 / 0.02
"""Requests per second of 16 connections that wait for nothing but a vendor's 20 ms."""


class Options(argparse.Namespace):
    """What the command line gives."""

    names: list[str]
    rounds: int
    seconds: float
    scale: float


def interleaved(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """The median of each measure, all of them taken in turn in every round."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for number, measure in enumerate(measures):
            taken[number].append(measure())
    return [median(values) for values in taken]


def timed(work: Callable[[], Any]) -> float:
    """Seconds of one call, with the garbage of the last one out of the way."""
    gc.collect()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def steady(port: int, raw: bytes, seconds: float, connections: int = 8) -> float:
    """Requests per second; every answer must be a 200."""
    result = load(port, lambda _: raw, connections=connections, duration_s=seconds)
    assert set(result.statuses) == {200} and not result.failures, (result.statuses, result.failures)
    return result.per_s


def s1_s2(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """A validated 10-row callback against bare WSGI under gunicorn's own gthread: as much work (S1), or none (S2)."""
    raw = post_bytes(PUSH, inventory(10))
    with (
        gunicorn(PRODUCT, folder=folder) as ours,
        gunicorn("tests.benchmarks.floors:parse_and_validate", folder=folder, worker_class="gthread") as same,
        gunicorn("tests.benchmarks.floors:trivial", folder=folder, worker_class="gthread") as bare,
    ):
        for server in (ours, same, bare):
            steady(server.port, raw, 1)
        rates = interleaved(
            options.rounds,
            *(lambda server=server: steady(server.port, raw, options.seconds) for server in (ours, same, bare)),
        )
    print(f"    ours {rates[0]:.0f}/s, parse and validate {rates[1]:.0f}/s, trivial {rates[2]:.0f}/s")
    yield "S1", rates[0] / rates[1], ">= 0.70"
    yield "S2", rates[0] / rates[2], ">= 0.55"


def s3(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """A 10,000-row push in process: parse, validate, map, levels as bytes, against REF."""
    body = inventory(10_000)
    callback = load_contract().callbacks["inventory_push"]

    def ours() -> None:
        parsed = msgspec.json.decode(body)
        levels = inventory_push.read(parsed, callback.read(parsed))
        assert len(levels.by_sku) == 10_000

    ours_s, reference_s = interleaved(
        options.rounds * 3, lambda: timed(ours), lambda: timed(lambda: floors.reference(body))
    )
    print(f"    ours {ours_s * 1000:.0f} ms, REF {reference_s * 1000:.0f} ms, body {len(body) / 1e6:.1f} MB")
    yield "S3", ours_s / reference_s, "<= 2.0"


def s4(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """A 10,000-row push over HTTP, accepted durably, against REF; the same at 50,000 rows; both databases."""
    yield from durable.s4(options.rounds, folder)


def s5(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """Peak memory of the worker above idle for one push, in bodies; the same at 50,000 rows."""
    for rows in (10_000, 50_000):
        body = inventory(rows, key=KEY)
        ratios = []
        for _ in range(options.rounds):
            with gunicorn(PRODUCT, folder=folder, environment=channel("https://pipe17.invalid")) as server:
                small = post_bytes(PUSH, inventory(10, key=KEY))
                load(server.port, lambda _, raw=small: raw, connections=8, duration_s=0.5)
                [worker] = server.workers()
                idle = peak_kib(worker)
                _send_once(server.port, post_bytes(PUSH, body))
                ratios.append((peak_kib(worker) - idle) * 1024 / len(body))
        yield f"S5 {rows} rows", median(ratios), "<= 6"


def s5b(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """A worker's growth over 300 pushes of 10,000 rows, 8 at a time, after the first 20, in 15 MiB; both databases."""
    yield from bodies.s5b(folder)


def d6(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """A worker's growth under 48 bombs, of strangers and of a channel, in bodies of the largest size."""
    yield from bodies.d6(folder, channel("https://pipe17.invalid"))


def d6b(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """What `GET /healthz` waits beside a body of the largest size that takes long to read, and that body's answer.

    The larger of the wait against 1 s and the answer against 10 s.
    """
    yield from bodies.dear(folder, {**channel("https://pipe17.invalid"), "DELIVERIES": "worker"})


def _send_once(port: int, raw: bytes) -> None:
    client = Client(port)
    assert client.send(raw, is_kept=False) == 200


def channel(base_url: str) -> dict[str, str]:
    return {
        "CHANNELS": f"""
[[channel]]
name = "bench"
client_id = 1201
channel_id = 32
auth_keys = ["{KEY}"]
gateways = ["pipe17"]
[channel.pipe17]
base_url = "{base_url}"
api_key = "bench"
requests_per_s = 0
parallel_calls = 0
[channel.pipe17.locations]
"Dallas DC" = "00000000000000a1"
"""
    }


@contextmanager
def vendor(delay_s: float = 0.02) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.vendor", str(port), str(delay_s)], cwd=ROOT)
    try:
        await_port(port, process)
        yield port
    finally:
        process.kill()
        process.wait()


def s6(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """A callback with one 20 ms vendor call (order_pull, nothing to hand out), 16 connections, against ideal."""
    raw = post_bytes("/api/channel/order_pull_v1", msgspec.json.encode(envelope(KEY)))
    with (
        vendor() as vendor_port,
        gunicorn(
            PRODUCT,
            folder=folder,
            workers=2,
            threads=16,
            environment={**channel(f"http://127.0.0.1:{vendor_port}"), "WEB_THREADS": "64"},
        ) as server,
    ):
        steady(server.port, raw, 1, 16)
        [rate] = interleaved(options.rounds, lambda: steady(server.port, raw, options.seconds, 16))
    print(f"    {rate:.0f}/s of {IDEAL_16:.0f}/s")
    yield "S6", rate / IDEAL_16, ">= 0.70"


def s7(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """1,000 vendor POSTs through the client from one process, 16 threads, 20 ms each, against ideal."""
    body = b'{"status":"sentToFulfillment"}'
    with vendor() as vendor_port:
        client = VendorClient("bench", f"http://127.0.0.1:{vendor_port}", headers={"X-Key": "k"}, patience_s=5)

        def thousand() -> None:
            left = iter(range(1000))

            def run() -> None:
                for _ in left:
                    reply = client.call("POST", "/things", json_body=body, deadline=Deadline.in_s(10), kind="command")
                    assert reply.status == 200

            threads = [threading.Thread(target=run) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        timed(thousand)
        [taken] = interleaved(options.rounds, lambda: timed(thousand))
    ideal = 1000 / 16 * 0.02
    print(f"    {taken:.2f} s, ideal {ideal:.2f} s")
    yield "S7", taken / ideal, "<= 1.4"


def s8(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """A durable accept against the same callback kept nowhere, and its tail."""
    yield from durable.s8(options.rounds, options.seconds, folder)


def b1(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """Callbacks beside 100,000 owed calls of the same account, against the same without them; both databases."""
    yield from durable.b1(options.rounds, options.seconds, folder, vendor)


def c1(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """A catalogue of 10,000 products with 3 variants, kept: records a second, growth, memory, another's waits."""
    yield from catalogue.c1(options.rounds, folder)


def s9(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """Draining owed calls of 20 ms with 16 threads, against ideal; both databases."""
    yield from durable.s9(options.rounds, folder, vendor)


def s10(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """p99 of a small callback beside a stream of 10,000-row pushes, against REF of one such push."""
    body = inventory(10_000, key=KEY)
    large = post_bytes(PUSH, body)
    small = post_bytes("/api/channel/catalog_get_config_v1", msgspec.json.encode(envelope(KEY)))
    ratios = []
    with gunicorn(
        PRODUCT, folder=folder, workers=2, threads=8, environment=channel("https://pipe17.invalid")
    ) as server:
        for _ in range(options.rounds):
            reference_s = median([timed(lambda: floors.reference(body)) for _ in range(5)])
            stream = threading.Thread(
                target=lambda: load(server.port, lambda _: large, connections=1, duration_s=options.seconds + 1)
            )
            stream.start()
            time.sleep(0.5)
            beside = load(server.port, lambda _: _paced(small), connections=4, duration_s=options.seconds)
            stream.join()
            ratios.append(beside.quantile_s(0.99) / reference_s)
            print(
                f"    p50 {beside.quantile_s(0.5) * 1000:.1f} ms, p99 {beside.quantile_s(0.99) * 1000:.1f} ms, "
                f"REF {reference_s * 1000:.0f} ms"
            )
    yield "S10", median(ratios), "<= 1.5"


def _paced(raw: bytes) -> bytes:
    """RetailOps does not hammer: about 200 small callbacks a second over four connections."""
    time.sleep(0.02)
    return raw


def s11(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """Requests lost over reloads under load, with production's keep-alive of 0."""
    raw = post_bytes(PUSH, inventory(10), is_kept=False)
    port = free_port()
    environment = {
        "APP_ENV": "production",
        "VERIFY_KEY": "on",
        "PORT": str(port),
        "DATABASE_URL": f"sqlite:///{folder}/reload.db",
        "CHANNELS": "# none",
    }
    with open(folder / "reload.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--config", "python:app.serving", PRODUCT],
            cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        await_port(port, process)
        found: list[Load] = []
        traffic = threading.Thread(
            target=lambda: found.append(
                load(port, lambda _: raw, connections=8, duration_s=3 * options.seconds, is_kept=False)
            )
        )
        traffic.start()
        for _ in range(3):
            time.sleep(options.seconds * 0.7)
            process.send_signal(signal.SIGHUP)
        traffic.join()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    [result] = found
    lost = result.failures + sum(times for status, times in result.statuses.items() if status != 200)
    print(f"    {len(result.seconds)} requests over 3 reloads, statuses {result.statuses}")
    yield "S11", float(lost), "== 0"


def s12(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """Start to first answer, and a worker's memory, against a Flask application with the five packages."""

    def start(application: str) -> tuple[float, int]:
        begun = time.perf_counter()
        with gunicorn(application, folder=folder) as server:
            taken = time.perf_counter() - begun
            return taken, _worker_kib(server)

    start(PRODUCT)
    seconds: list[list[float]] = [[], []]
    memory: list[list[float]] = [[], []]
    for _ in range(max(options.rounds, 3)):
        for side, application in enumerate((PRODUCT, "tests.benchmarks.floors:five_packages()")):
            taken, kib = start(application)
            seconds[side].append(taken)
            memory[side].append(kib)
    ours_s, floor_s = median(seconds[0]), median(seconds[1])
    ours_kib, floor_kib = median(memory[0]), median(memory[1])
    print(f"    start {ours_s:.2f} s / {floor_s:.2f} s, worker {ours_kib / 1024:.0f} / {floor_kib / 1024:.0f} MiB")
    yield "S12 start", ours_s / floor_s, "<= 2.0"
    yield "S12 memory", ours_kib / floor_kib, "<= 1.6"


def s13(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """CPU of order_pull for a page of 100 orders, vendor excluded, against encoding and validating the answer once."""
    yield from pulls.s13(options.rounds, folder)


def d5(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """p50 of others beside 300 clients that send or read a byte a second, against max(2 x quiet, quiet + 10 ms)."""
    yield from slow_clients.d5(max(options.rounds, 3), options.seconds, folder)


def r13(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """100,000 SKUs stated every hour at a vendor that takes 54,000: changed ones first, no tail, nothing grows."""
    yield from restating.r13(folder)


def p15(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """One merchant's hooks and pushes beside another's flood and two others' large pushes, against when quiet."""
    yield from fairness.p15(options.rounds, options.seconds, folder)


def p40(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """p95 of the slowest page with 1,000,000 journal lines against 300 ms, and callbacks beside a page a second."""
    yield from pages.p40(options.rounds, options.seconds, options.scale, folder)


def v1(options: Options, folder: Path) -> Iterator[tuple[str, float, str]]:
    """`channel verify` against the product, as a whole process, against the 3 s it may take."""
    taken = []
    with gunicorn(PRODUCT, folder=folder, environment={"VERIFY_KEY": "on"}) as server:
        base_url = f"http://127.0.0.1:{server.port}/api/channel"
        for _ in range(options.rounds):
            begun = time.perf_counter()
            command = [sys.executable, "-m", "app.cli", "verify", "-base-url", base_url]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
            taken.append(time.perf_counter() - begun)
    print(f"    {median(taken):.2f} s")
    yield "V1", median(taken) / 3.0, "<= 1.0"


def _worker_kib(server: Server) -> int:
    return max(peak_kib(worker, "VmRSS") for worker in server.workers())


BENCHMARKS: dict[str, Callable[[Options, Path], Iterator[tuple[str, float, str]]]] = {
    "S1": s1_s2, "S3": s3, "S4": s4, "S5": s5, "S5b": s5b, "S6": s6, "S7": s7, "S8": s8, "S9": s9, "S10": s10,
    "S11": s11, "S12": s12, "S13": s13, "B1": b1, "C1": c1, "D5": d5, "D6": d6, "D6b": d6b, "P15": p15, "P40": p40,
    "R13": r13, "V1": v1,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help="S1 (with S2) ... S13, S5b, B1, C1, D5, D6, D6b, P15, P40, R13, V1; none: all"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows of P40, to try it out")
    options = parser.parse_args(namespace=Options())
    rows = []
    for name, benchmark in BENCHMARKS.items():
        if options.names and name not in {"S1" if wanted == "S2" else wanted for wanted in options.names}:
            continue
        print(f"{name}: {benchmark.__doc__}", flush=True)
        with scratch() as folder:
            for row in benchmark(options, folder):
                rows.append(row)
                print(f"    {row[0]}: ratio {row[1]:.2f}, goal {row[2]}", flush=True)
    print()
    for label, ratio, goal in rows:
        sign, bound = goal.split()
        is_met = {">=": ratio >= float(bound), "<=": ratio <= float(bound), "==": ratio == float(bound)}[sign]
        print(f"{label:16} {ratio:8.2f}   goal {goal:8} {'met' if is_met else 'NOT MET'}")


if __name__ == "__main__":
    main()
