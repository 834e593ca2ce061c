"""What a catalogue costs to keep: records a second, growth with size, memory, and what others wait meanwhile (C1)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.benchmarks.bench import KEY, Client, envelope, gunicorn, median, peak_kib, post_bytes
from tests.benchmarks.durable import databases

PRODUCT = "app:create_app()"
PUSH = "/api/channel/catalog_push_v1"
OTHER_KEY = "key+of+the+benchmark+channel0002"
VARIANTS = 3

CHANNEL = """
[[channel]]
name = "{name}"
client_id = 1201
channel_id = {number}
auth_keys = ["{key}"]
gateways = ["rally"]
[channel.rally]
base_url = "http://127.0.0.1:9/{name}/"
api_key = "benchmark-{name}"
organization_id = "{name}"
"""
CHANNELS = CHANNEL.format(name="large", number=32, key=KEY) + CHANNEL.format(name="small", number=33, key=OTHER_KEY)

Row = tuple[str, float, str]


def products(count: int, price: int) -> bytes:
    """A catalog_push of products with three variants each, as a feed template puts them out."""
    records = [
        {
            "feed_data": {
                "General": {
                    "SKU": f"P-{number:06d}",
                    "Title": f"Shirt number {number}",
                    "Description": "A shirt of fine cotton, woven in the valley and sewn by hand. " * 4,
                    "Price": f"{price}.50",
                },
                "Categories": ["Shirts", f"Season {number % 12}"],
                "Images": [f"https://images.example.test/{number}-{at}.jpg" for at in range(3)],
                "Variants": [
                    {
                        "feed_data": {
                            "General": {"SKU": f"P-{number:06d}-{size}", "Title": f"{size}, {price}"},
                            "Options": {"Size": size},
                        },
                        "object_data": {"id": number * 10 + at + 1, "source_type": "sku"},
                    }
                    for at, size in enumerate("SML")
                ],
            },
            "object_data": {"id": number * 10, "source_type": "product"},
        }
        for number in range(1, count + 1)
    ]
    return json.dumps(envelope(KEY, template_output={"data": {"Product": records}})).encode()


def c1(rounds: int, folder: Path) -> Iterator[Row]:
    """10,000 products with 3 variants, changed: records a second, growth against a quarter, memory, others' waits."""
    sizes = (2_500, 10_000)
    for name, [url] in databases(folder):
        taken: dict[int, list[float]] = {size: [] for size in sizes}
        beside: list[float] = []
        environment = {"DATABASE_URL": url, "CHANNELS": CHANNELS, "DELIVERIES": "worker"}
        with gunicorn(PRODUCT, folder=folder, environment=environment) as server:
            client = Client(server.port)
            [worker] = server.workers()
            idle_kib, grown = peak_kib(worker), 0.0
            for number in range(rounds + 1):
                for size in sizes:
                    body = products(size, number + 1)
                    raw = post_bytes(PUSH, body)
                    with _bystander(server.port) as waits:
                        begun = time.perf_counter()
                        assert client.send(raw, is_kept=False) == 200
                        taken[size].append(time.perf_counter() - begun)
                    beside += waits
                    grown = (peak_kib(worker) - idle_kib) * 1024 / len(body)
        # The first pushes make the rows; the later ones change every one of them.
        per_s = {size: size * (1 + VARIANTS) / median(taken[size][1:]) for size in sizes}
        first_per_s = (sizes[-1] - sizes[0]) * (1 + VARIANTS) / taken[sizes[-1]][0]
        print(
            f"    {name}: {per_s[sizes[-1]]:.0f} records/s, new ones {first_per_s:.0f}; another merchant's pushes "
            f"meanwhile: median {median(beside) * 1000:.0f} ms, worst of {len(beside)} {max(beside) * 1000:.0f} ms"
        )
        yield f"C1 {name}", min(per_s[sizes[-1]], first_per_s), ">= 2000"
        yield f"C1 {name} growth", per_s[sizes[0]] / per_s[sizes[-1]], "<= 1.25"
        yield f"C1 {name} memory", grown, "<= 9"
        yield f"C1 {name} waits", max(beside), "<= 1"


@contextmanager
def _bystander(port: int) -> Iterator[list[float]]:
    """Another merchant's small pushes while the block runs; the seconds each took."""
    rows = [{"sku": "TEE", "quantity_available": 5}]
    body = envelope(OTHER_KEY, inventory_updates=rows) | {"channel_info": {"id": 33}}
    raw = post_bytes("/api/channel/inventory_push_v1", msgspec.json.encode(body))
    ended = threading.Event()
    waits: list[float] = []

    def run() -> None:
        client = Client(port)
        while not ended.is_set():
            begun = time.perf_counter()
            assert client.send(raw, is_kept=True) == 200
            waits.append(time.perf_counter() - begun)
            time.sleep(0.02)
        client.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield waits
    finally:
        ended.set()
        thread.join()
