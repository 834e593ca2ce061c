"""What clients that send or read next to nothing cost the others (D5, P46)."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.bench import gunicorn, inventory, load, median, post_bytes
from tests.benchmarks.rounds import Row

PRODUCT = "app:create_app()"
PUSH = "/api/channel/inventory_push_v1"
CLIENTS = 300


class Slow:
    """One slow client: says so much at once, then a byte a second, and never reads; comes again when cut off."""

    def __init__(self, port: int, begin: bytes, drips: bytes) -> None:
        self._port = port
        self._begin = begin
        self._drips = drips
        self._said = 0
        self._line: socket.socket | None = None

    def live_a_second(self) -> None:
        with contextlib.suppress(OSError):
            if self._line is None:
                self._line = socket.socket()
                self._line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                self._line.settimeout(5)
                self._line.connect(("127.0.0.1", self._port))
                self._line.sendall(self._begin)
                self._said = 0
            elif self._said < len(self._drips):
                self._line.sendall(self._drips[self._said : self._said + 1])
                self._said += 1
            return
        self.end()

    def end(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


@contextmanager
def crowd(port: int, count: int = CLIENTS) -> Iterator[None]:
    """So many slow clients of four kinds: heads and bodies of a byte a second, silent ones, and ones that only ask."""
    whole = post_bytes(PUSH, inventory(10))
    head, _, body = whole.partition(b"\r\n\r\n")
    asks = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 4
    kinds = [(b"", head), (head + b"\r\n\r\n", body), (b"", b""), (asks, b"")]
    clients = [Slow(port, *kinds[number % len(kinds)]) for number in range(count)]
    for client in clients:
        client.live_a_second()
    is_over = threading.Event()

    def live() -> None:
        while not is_over.wait(1):
            for client in clients:
                client.live_a_second()

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        for client in clients:
            client.end()


def d5(rounds: int, seconds: float, folder: Path) -> Iterator[Row]:
    """p50 of others beside 300 clients that send or read a byte a second, against max(2 x quiet, quiet + 10 ms)."""
    raw = post_bytes(PUSH, inventory(10))

    def p50_s() -> float:
        found = load(server.port, lambda _: raw, connections=2, duration_s=seconds)
        assert set(found.statuses) == {200} and not found.failures, (found.statuses, found.failures)
        return found.quantile_s(0.5)

    def crowded_s() -> float:
        with crowd(server.port):
            return p50_s()

    with gunicorn(PRODUCT, folder=folder) as server:
        p50_s()
        taken: list[list[float]] = [[], []]
        measures: list[Callable[[], float]] = [p50_s, crowded_s]
        for _ in range(max(rounds, 3)):
            for number, measure in enumerate(measures):
                taken[number].append(measure())
    quiet, crowded = map(median, taken)
    print(f"    p50 {quiet * 1000:.1f} ms quiet, {crowded * 1000:.1f} ms beside {CLIENTS} slow clients")
    yield "D5", crowded / max(2 * quiet, quiet + 0.010), "<= 1.0"
