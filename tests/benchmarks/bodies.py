"""What large bodies cost a process: bombs (D6), dear ones (D6b), and hundreds of pushes at a time (S5b)."""

from __future__ import annotations

import gzip
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks import durable
from tests.benchmarks.bench import KEY, Client, Server, envelope, gunicorn, inventory, load, peak_kib, post_bytes
from tests.benchmarks.callbacks import PRODUCT, PUSH, channel
from tests.benchmarks.rounds import Row

MAX_BODY = 32 * 1024 * 1024
MIB = 1024 * 1024

PUSHES, FIRST, AT_A_TIME = 300, 20, 8

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


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


def d6(folder: Path) -> Iterator[Row]:
    """Growth of a worker under 48 bombs of a stranger, and under 48 of a channel, in bodies of the largest size."""
    small = post_bytes(PUSH, inventory(10, key=KEY))
    for who, key, status in (("stranger", "wrong", 401), ("channel", KEY, 413)):
        with gunicorn(PRODUCT, folder=folder, threads=16, environment=channel("https://pipe17.invalid")) as server:
            load(server.port, lambda _: small, connections=8, duration_s=1)
            [worker] = server.workers()
            before = peak_kib(worker)
            found = statuses(server.port, [packed_post(bomb(key))] * 48, 16)
            assert found == {status: 48}, found
            peak, after = peak_kib(worker) - before, peak_kib(worker, "VmRSS") - before
        print(f"    {who}: {peak / 1024:.0f} MiB more at most, {after / 1024:.0f} MiB afterwards")
        yield f"D6 {who}", peak * 1024 / MAX_BODY, "<= 1.0" if who == "stranger" else "<= 2.5"


def _filled(element: Callable[[int], str], begin: str = '"inventory_updates":[', end: str = "]}") -> bytes:
    """A body of the largest size whose list, object or text has as many of these elements as it takes."""
    head = f'{{"integration_auth_token":"{KEY}","client_id":1201,"channel_info":{{"id":32}},"action":"x",{begin}'
    parts = [head]
    left = MAX_BODY - len(head) - len(end)
    for number in itertools.count():
        part = f"{',' if number else ''}{element(number)}"
        left -= len(part)
        if left < 0:
            break
        parts.append(part)
    return "".join([*parts, end]).encode()


def _rows(count: int) -> bytes:
    rows = [{"sku": f"SKU-{number:07d}", "quantity_available": number % 90} for number in range(count)]
    return json.dumps(envelope(KEY, inventory_updates=rows)).encode()


DEAR: dict[str, Callable[[], bytes]] = {
    "rows of usual size": lambda: inventory(50_000, key=KEY),
    "shortest rows": lambda: _filled(lambda n: f'{{"sku":"S{n}","quantity_available":1}}'),
    "200,000 rows": lambda: _rows(200_000),
    "names of pairs": lambda: _filled(lambda n: f'"\\ud83d\\ude{n % 128:02x}{n:x}":1', "", "}"),
    "names": lambda: _filled(lambda n: f'"k{n:07d}":1', "", "}"),
    "names in one row": lambda: _filled(
        lambda n: f'"k{n:07d}":1', '"inventory_updates":[{"sku":"A","quantity_available":1,"x":{', "}}]}"
    ),
    "names in many rows": lambda: _filled(
        lambda n: (
            f'{{"sku":"{n}","quantity_available":1,{",".join(f"{chr(34)}{n}-{k}{chr(34)}:1" for k in range(16))}}}'
        )
    ),
    "half pairs": lambda: _filled(lambda n: f'{{"sku":"A{n % 100_000}","quantity_available":1,"x":"{chr(92)}ud83d"}}'),
    "half pairs as names": lambda: _filled(lambda n: f'"\\ud83d{n:08x}":1', "", "}"),
    "half a pair at the end": lambda: _filled(
        lambda n: "1.2345678901234,2.2345678901234", '"x":[', f'],"y":"{chr(92)}ud83d"}}'
    ),
    "no number at the end": lambda: _filled(lambda n: "1.2345678901234,2.2345678901234", '"x":[', '],"y":NaN}'),
    "no number in each row": lambda: _filled(lambda n: f'{{"sku":"A{n}","quantity_available":NaN}}'),
    "deep": lambda: _filled(lambda n: "[" * 900 + "]" * 900 + " " * 9000),
    "deepest": lambda: _filled(lambda n: "[" * 100_000),
    "long numbers": lambda: _filled(lambda n: "1" * 4000),
    "longer numbers": lambda: _filled(lambda n: "1" * 9000, '"x":['),
    "floats": lambda: _filled(lambda n: f"1.2345678{n % 100:02d}", '"x":['),
    "floats as rows": lambda: _filled(lambda n: f"1.2345678{n % 100:02d}"),
    "small arrays": lambda: _filled(lambda n: "[[1]]" + " " * 12),
    "small objects": lambda: _filled(lambda n: '{"a":[1]}' + " " * 15),
    "many small objects": lambda: _filled(lambda n: '{"a":[1]}'),
    "bad rows": lambda: _filled(lambda n: f'{{"sku":{{}},"quantity_available":"x{n}"}}'),
    "pairs in texts": lambda: _filled(lambda n: '"' + "\\ud83d\\ude00" * 100 + '"', '"x":['),
    "backslashes": lambda: _filled(lambda n: '"' + "\\\\" * 30_000 + '"', '"x":['),
    "blanks": lambda: _filled(lambda n: " " * 1_000_000 + "1", '"x":['),
    "records": lambda: _filled(lambda n: f'{{"feed_data":{{"SKU":"S{n}"}}}}', '"template_output":{"Product":[', "]}}"),
}
"""Bodies that hold the key and are as large as may be, of much that takes long to read."""


def dear(folder: Path) -> Iterator[Row]:
    """How long `GET /healthz` waits at most while one such body is answered, and how long its own answer takes."""
    environment = {**channel("https://pipe17.invalid"), "DELIVERIES": "worker"}
    with gunicorn(PRODUCT, folder=folder, environment=environment) as server:
        for name in DEAR:
            callback = "catalog_push" if name == "records" else "inventory_push"
            raw = post_bytes(f"/api/channel/{callback}_v1", DEAR[name](), is_kept=False)
            waits: list[float] = []
            is_over = threading.Event()

            def look(waits: list[float] = waits, is_over: threading.Event = is_over) -> None:
                client = Client(server.port)
                while not is_over.wait(0.01):
                    begun = time.perf_counter()
                    assert client.send(HEALTH, is_kept=True) == 200
                    waits.append(time.perf_counter() - begun)
                client.close()

            looking = threading.Thread(target=look)
            looking.start()
            begun = time.perf_counter()
            status = Client(server.port).send(raw, is_kept=False)
            took_s = time.perf_counter() - begun
            is_over.set()
            looking.join()
            print(f"    {name:24} {len(raw) / 1e6:5.1f} MB: {status} after {took_s:5.2f} s, others {max(waits):5.2f} s")
            yield f"D6b {name}", max(max(waits), took_s / 10), "<= 1.0"


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
