"""What one merchant's flood costs another (P15): its requests beside the flood against one request of the flood."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path

from app.gateways.vendors.rally.signing import HEADER, sign
from tests.benchmarks import durable
from tests.benchmarks.bench import ROOT, Client, Load, gunicorn, inventory, load, median, post_bytes
from tests.benchmarks.rounds import Row

PUSH = "/api/channel/inventory_push_v1"
KEYS = tuple(f"key+of+the+benchmark+channel000{number}" for number in (1, 2, 3))
FLOOD, QUIET, SECOND = 0, 1, 2

RALLY = """
[channel.rally]
base_url = "https://rally.invalid"
organization_id = "org{number}"
api_key = "rally-key-{number}"
storefront_client_id = "public"
[[channel.rally.shipping]]
id = "standard"
title = "Standard"
price = "5.00"
countries = ["US"]
"""

CHANNEL = """
[[channel]]
name = "bench{number}"
client_id = 1201
channel_id = {channel_id}
auth_keys = ["{key}"]
gateways = ["rally"]
"""


def _channels() -> str:
    return "".join(
        (CHANNEL + RALLY).format(number=number, channel_id=32 + number, key=KEYS[number]) for number in range(len(KEYS))
    )


def _hook(number: int) -> bytes:
    body = b'{"title": "SKU"}'
    whole = post_bytes(f"/rally/merchants/org{number}/products/search", body)
    return whole.replace(b"\r\n\r\n", f"\r\n{HEADER}: {sign(f'rally-key-{number}', body)}\r\n\r\n".encode(), 1)


def _push(number: int, rows: int) -> bytes:
    body = inventory(rows, key=KEYS[number]).replace(b'"id": 32', f'"id": {32 + number}'.encode())
    return post_bytes(PUSH, body)


@contextmanager
def _flooding(port: int, flood: str) -> Iterator[None]:
    """From a process of its own, so that only the server is what both sides share."""
    command = [sys.executable, "-m", "tests.benchmarks.fairness", str(port), flood]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline() == b"flooding\n"
        yield
    finally:
        process.kill()
        process.communicate()


MIXED, LARGE = "mixed", "large"


def _flood(port: int, flood: str) -> None:
    """Send until the process is ended.

    Mixed: twelve connections of hooks, six of small pushes and one of large ones, of one merchant.  Large: eight of
    large pushes of each of two merchants.
    """
    kinds: list[tuple[bytes, int]] = [(_hook(FLOOD), 12), (_push(FLOOD, 10), 6), (_push(FLOOD, 10_000), 1)]
    if flood == LARGE:
        kinds = [(_push(FLOOD, 10_000), 8), (_push(SECOND, 10_000), 8)]
    for raw, connections in kinds:
        send = partial(load, port, lambda _, raw=raw: raw, connections=connections, duration_s=600.0)
        threading.Thread(target=send).start()
    time.sleep(1.0)
    print("flooding", flush=True)


def p15(rounds: int, seconds: float, folder: Path) -> Iterator[Row]:
    """p50 and p99 of one merchant's hooks and pushes beside others' floods, against one 10,000-row push alone.

    SQLite has one writer, and a push is written whole: beside pushes of others one waits for the one under way.
    """
    kinds: dict[str, bytes] = {"hook": _hook(QUIET), "push": _push(QUIET, 10)}
    for name, [url] in durable.databases(folder):
        environment = {
            "DATABASE_URL": url,
            "CHANNELS": _channels(),
            "DELIVERIES": "worker",
            "PUBLIC_URL": "https://x.y",
        }
        quiet: dict[str, list[Load]] = {kind: [] for kind in kinds}
        turns_s: list[float] = []
        floods: dict[str, dict[str, list[Load]]] = {flood: {kind: [] for kind in kinds} for flood in (MIXED, LARGE)}
        with gunicorn("app:create_app()", folder=folder, environment=environment, threads=16) as server:

            def measure(found: dict[str, list[Load]], port: int = server.port) -> None:
                for kind, raw in kinds.items():
                    result = load(port, lambda _, raw=raw: raw, connections=1, duration_s=seconds / 2)
                    assert set(result.statuses) == {200} and not result.failures, (result.statuses, result.failures)
                    found[kind].append(result)

            large, raw_large = Client(server.port), _push(FLOOD, 10_000)
            for _ in range(rounds):
                large.send(raw_large, is_kept=False)  # when it is answered, nothing of the last flood is left
                for _ in range(5):
                    begun_s = time.perf_counter()
                    assert large.send(raw_large, is_kept=False) == 200
                    turns_s.append(time.perf_counter() - begun_s)
                measure(quiet)
                for flood, beside in floods.items():
                    with _flooding(server.port, flood):
                        measure(beside)
        turn_s = median(turns_s)
        print(f"    {name}: one push of 10,000 rows takes {turn_s * 1000:.0f} ms")
        for flood, kind, (share, goal) in product(floods, kinds, ((0.5, "<= 1"), (0.99, "<= 4"))):
            of = _quantiles(share)
            alone, flooded = median(of(quiet[kind])), median(of(floods[flood][kind]))
            label = f"{name} {flood} {kind} p{share * 100:.0f}"
            print(f"    {label}: {alone * 1000:.1f} ms, flooded {flooded * 1000:.1f} ms")
            yield f"P15 {label}", flooded / turn_s, goal


def _quantiles(share: float) -> Callable[[list[Load]], list[float]]:
    return lambda loads: [each.quantile_s(share) for each in loads]


if __name__ == "__main__":
    _flood(int(sys.argv[1]), sys.argv[2])
