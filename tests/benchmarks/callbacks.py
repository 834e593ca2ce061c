"""What a small callback costs (S1, S2), with a vendor's call in it (S6), beside large ones (S10), at a reload (S11)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.benchmarks import floors, vendor
from tests.benchmarks.bench import KEY, ROOT, Load, envelope, gunicorn, inventory, load, median, post_bytes
from tests.benchmarks.rounds import Row, interleaved, timed
from tests.real_server import await_port, free_port

PUSH = "/api/channel/inventory_push_v1"
PRODUCT = "app:create_app()"
IDEAL_16 = 16 / 0.02
"""Requests per second of 16 connections that wait for nothing but a vendor's 20 ms."""
S6_THREADS = 24
"""Of each process: three quarters may wait for one account (R14), so that either takes all 16 connections."""


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


def steady(port: int, raw: bytes, seconds: float, connections: int = 8) -> float:
    """Requests per second; every answer must be a 200."""
    result = load(port, lambda _: raw, connections=connections, duration_s=seconds)
    assert set(result.statuses) == {200} and not result.failures, (result.statuses, result.failures)
    return result.per_s


def s1_s2(rounds: int, seconds: float, folder: Path) -> Iterator[Row]:
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
            rounds,
            *(lambda server=server: steady(server.port, raw, seconds) for server in (ours, same, bare)),
        )
    print(f"    ours {rates[0]:.0f}/s, parse and validate {rates[1]:.0f}/s, trivial {rates[2]:.0f}/s")
    yield "S1", rates[0] / rates[1], ">= 0.70"
    yield "S2", rates[0] / rates[2], ">= 0.55"


def s6(rounds: int, seconds: float, folder: Path) -> Iterator[Row]:
    """A callback with one 20 ms vendor call (order_pull, nothing to hand out), 16 connections, against ideal."""
    raw = post_bytes("/api/channel/order_pull_v1", msgspec.json.encode(envelope(KEY)))
    with (
        vendor.running() as vendor_port,
        gunicorn(
            PRODUCT,
            folder=folder,
            workers=2,
            threads=S6_THREADS,
            environment={**channel(f"http://127.0.0.1:{vendor_port}"), "WEB_THREADS": str(S6_THREADS)},
        ) as server,
    ):
        steady(server.port, raw, 1, 16)
        [rate] = interleaved(rounds, lambda: steady(server.port, raw, seconds, 16))
    print(f"    {rate:.0f}/s of {IDEAL_16:.0f}/s")
    yield "S6", rate / IDEAL_16, ">= 0.70"


def s10(rounds: int, seconds: float, folder: Path) -> Iterator[Row]:
    """p99 of a small callback beside a stream of 10,000-row pushes, against REF of one such push."""
    body = inventory(10_000, key=KEY)
    large = post_bytes(PUSH, body)
    small = post_bytes("/api/channel/catalog_get_config_v1", msgspec.json.encode(envelope(KEY)))
    ratios = []
    with gunicorn(
        PRODUCT, folder=folder, workers=2, threads=8, environment=channel("https://pipe17.invalid")
    ) as server:
        for _ in range(rounds):
            reference_s = median([timed(lambda: floors.reference(body)) for _ in range(5)])
            stream = threading.Thread(
                target=lambda: load(server.port, lambda _: large, connections=1, duration_s=seconds + 1)
            )
            stream.start()
            time.sleep(0.5)
            beside = load(server.port, lambda _: _paced(small), connections=4, duration_s=seconds)
            stream.join()
            ratios.append(beside.quantile_s(0.99) / reference_s)
            print(
                f"    p50 {beside.quantile_s(0.5) * 1000:.1f} ms, p99 {beside.quantile_s(0.99) * 1000:.1f} ms, "
                f"REF {reference_s * 1000:.0f} ms"
            )
    yield "S10", median(ratios), "<= 0.5"


def _paced(raw: bytes) -> bytes:
    """RetailOps does not hammer: about 200 small callbacks a second over four connections."""
    time.sleep(0.02)
    return raw


def s11(seconds: float, folder: Path) -> Iterator[Row]:
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
            target=lambda: found.append(load(port, lambda _: raw, connections=8, duration_s=3 * seconds, is_kept=False))
        )
        traffic.start()
        for _ in range(3):
            time.sleep(seconds * 0.7)
            process.send_signal(signal.SIGHUP)
        traffic.join()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    [result] = found
    lost = result.failures + sum(times for status, times in result.statuses.items() if status != 200)
    print(f"    {len(result.seconds)} requests over 3 reloads, statuses {result.statuses}")
    yield "S11", float(lost), "== 0"
