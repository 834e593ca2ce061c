"""What large bodies cost a process: bombs of strangers and of channels (D6), and hundreds of pushes at a time (S5b)."""

from __future__ import annotations

import gzip
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import durable
from tests.benchmarks.bench import KEY, Client, Server, gunicorn, inventory, load, peak_kib, post_bytes

PUSH = "/api/channel/inventory_push_v1"
PRODUCT = "app:create_app()"

MAX_BODY = 32 * 1024 * 1024
MIB = 1024 * 1024

PUSHES, FIRST, AT_A_TIME = 300, 20, 8

Row = tuple[str, float, str]


def bomb(key: str, element: bytes = b"{}", size: int = MAX_BODY - 1024) -> bytes:
    """A body that is nearly as large as it may be, filled with one element, packed to a thousandth."""
    head = b'{"integration_auth_token":"%s","client_id":1201,"channel_info":{"id":32},"inventory_updates":[%s'
    head %= key.encode(), element
    return gzip.compress(head + (b"," + element) * ((size - len(head)) // (len(element) + 1)) + b"]}", 6)


def packed_post(packed: bytes) -> bytes:
    """The request for it."""
    return post_bytes(PUSH, packed).replace(b"\r\n", b"\r\nContent-Encoding: gzip\r\n", 1)


def statuses(port: int, requests: list[bytes], at_a_time: int) -> dict[int, int]:
    """How often each status came."""
    found: dict[int, int] = {}
    left = iter(requests)
    lock = threading.Lock()

    def run() -> None:
        client = Client(port)
        while True:
            with lock:
                raw = next(left, None)
            if raw is None:
                break
            status = client.send(raw, is_kept=True)
            with lock:
                found[status] = found.get(status, 0) + 1
        client.close()

    threads = [threading.Thread(target=run) for _ in range(at_a_time)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def d6(folder: Path, environment: dict[str, str]) -> Iterator[Row]:
    """Growth of a worker under 48 bombs of a stranger, and under 48 of a channel, in bodies of the largest size."""
    small = post_bytes(PUSH, inventory(10, key=KEY))
    for who, key, status in (("stranger", "wrong", 401), ("channel", KEY, 413)):
        with gunicorn(PRODUCT, folder=folder, threads=16, environment=environment) as server:
            load(server.port, lambda _: small, connections=8, duration_s=1)
            [worker] = server.workers()
            before = peak_kib(worker)
            found = statuses(server.port, [packed_post(bomb(key))] * 48, 16)
            assert found == {status: 48}, found
            peak, after = peak_kib(worker) - before, peak_kib(worker, "VmRSS") - before
        print(f"    {who}: {peak / 1024:.0f} MiB more at most, {after / 1024:.0f} MiB afterwards")
        yield f"D6 {who}", peak * 1024 / MAX_BODY, "<= 1.0" if who == "stranger" else "<= 2.5"


def s5b(folder: Path) -> Iterator[Row]:
    """Growth of a worker over 300 pushes of 10,000 rows, 8 at a time, after the first 20; both databases."""
    for name, [url] in durable.databases(folder):
        environment = {**durable.environment(url), "DELIVERIES": "inline"}
        with gunicorn(PRODUCT, folder=folder, environment=environment) as server:
            first = _pushed(server, range(FIRST))
            last = _pushed(server, range(FIRST, PUSHES))
        print(f"    {name}: {first / 1024:.0f} MiB after {FIRST} pushes, {last / 1024:.0f} MiB after {PUSHES}")
        yield f"S5b {name}", (last - first) / 1024 / 15, "<= 1.0"


def _pushed(server: Server, numbers: range) -> int:
    """KiB of the worker when these are answered; what comes too early for a server this slow is sent again."""
    body = inventory(10_000, key=KEY)
    left = itertools.chain(numbers)
    lock = threading.Lock()

    def run() -> None:
        client = Client(server.port)
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                break
            raw = post_bytes(PUSH, durable.varied(body, number))
            while (status := client.send(raw, is_kept=True)) == 503:
                pass
            assert status == 200
        client.close()

    threads = [threading.Thread(target=run) for _ in range(AT_A_TIME)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [worker] = server.workers()
    return peak_kib(worker, "VmRSS")
