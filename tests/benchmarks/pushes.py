"""What a large push costs in process (S3), and how much memory it takes (S5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from app.channel.actions import inventory_push
from app.contract.schemas import load_contract
from tests.benchmarks import floors
from tests.benchmarks.bench import KEY, Client, gunicorn, inventory, load, median, peak_kib, post_bytes
from tests.benchmarks.callbacks import PRODUCT, PUSH, channel
from tests.benchmarks.rounds import Row, interleaved, timed


def s3(rounds: int) -> Iterator[Row]:
    """A 10,000-row push in process: parse, validate, map, levels as bytes, against REF."""
    body = inventory(10_000)
    callback = load_contract().callbacks["inventory_push"]

    def ours() -> None:
        parsed = msgspec.json.decode(body)
        levels = inventory_push.read(parsed, callback.read(parsed))
        assert len(levels.by_sku) == 10_000

    ours_s, reference_s = interleaved(rounds * 3, lambda: timed(ours), lambda: timed(lambda: floors.reference(body)))
    print(f"    ours {ours_s * 1000:.0f} ms, REF {reference_s * 1000:.0f} ms, body {len(body) / 1e6:.1f} MB")
    yield "S3", ours_s / reference_s, "<= 1.5"


def s5(rounds: int, folder: Path) -> Iterator[Row]:
    """Peak memory of the worker above idle for one push, in bodies; the same at 50,000 rows."""
    for rows in (10_000, 50_000):
        body = inventory(rows, key=KEY)
        ratios = []
        for _ in range(rounds):
            with gunicorn(PRODUCT, folder=folder, environment=channel("https://pipe17.invalid")) as server:
                small = post_bytes(PUSH, inventory(10, key=KEY))
                load(server.port, lambda _, raw=small: raw, connections=8, duration_s=0.5)
                [worker] = server.workers()
                idle = peak_kib(worker)
                _send_once(server.port, post_bytes(PUSH, body))
                ratios.append((peak_kib(worker) - idle) * 1024 / len(body))
        yield f"S5 {rows} rows", median(ratios), "<= 5"


def _send_once(port: int, raw: bytes) -> None:
    client = Client(port)
    assert client.send(raw, is_kept=False) == 200
