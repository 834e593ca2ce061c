"""The tools of the benchmarks: bodies, servers in processes of their own, and a client that costs little."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.real_server import await_port, free_port

ROOT = Path(__file__).resolve().parents[2]
KEY = "key+of+the+benchmark+channel0001"


def inventory(rows: int, *, key: str = "RETAILOPS_SDK", first: int = 0) -> bytes:
    """An inventory_push of `rows` SKUs with two sources each, about 500 bytes a row."""
    updates = [
        {
            "sku": f"SKU-{first + number:07d}",
            "quantity_available": number % 90,
            "quantity_detail": [
                {
                    "quantity_type": "internal",
                    "estimated_availability_date": "2026-01-01T00:00:00Z",
                    "available_quantity": number % 60,
                    "total_quantity": number % 60 + 3,
                    "vendor_name": "",
                    "po": "",
                    "po_destination": "",
                    "facility_name": "Dallas DC",
                },
                {
                    "quantity_type": "external",
                    "estimated_availability_date": "2026-01-05T00:00:00Z",
                    "available_quantity": number % 30,
                    "total_quantity": number % 30,
                    "vendor_name": "Example Vendor",
                    "po": "",
                    "po_destination": "",
                    "facility_name": "",
                },
            ],
        }
        for number in range(rows)
    ]
    return json.dumps(envelope(key, inventory_updates=updates)).encode()


def envelope(key: str, **fields: Any) -> dict[str, Any]:
    return {
        "integration_auth_token": key,
        "action": "SDK.inventory.invpush_transmit",
        "version": 1,
        "client_id": 1201,
        "channel_info": {"id": 32},
        **fields,
    }


@dataclass
class Server:
    """A gunicorn of its own."""

    process: subprocess.Popen[bytes]
    port: int

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        listing = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=True
        )
        return [int(line) for line in listing.stdout.split()]


@contextmanager
def gunicorn(
    application: str,
    *,
    folder: Path,
    workers: int = 1,
    threads: int = 8,
    environment: dict[str, str] | None = None,
    worker_class: str = "",
) -> Iterator[Server]:
    """Serve `module:callable` with the product's settings; ready when the block begins.

    `worker_class` is another than the product's, for floors that our own worker shall be measured against.
    """
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "python:app.serving", "--bind", f"127.0.0.1:{port}"]
    command += ["--workers", str(workers), "--threads", str(threads)]
    command += ["--worker-class", worker_class] if worker_class else []
    settings = {"APP_ENV": "demo", "DATABASE_URL": f"sqlite:///{folder}/bench.db", "CHANNELS": "# none"}
    with open(folder / "gunicorn.log", "ab") as log:
        process = subprocess.Popen(
            [*command, application],
            cwd=ROOT,
            env={**os.environ, **settings, **(environment or {})},
            stdout=log,
            stderr=log,
        )
    try:
        await_port(port, process)
        yield Server(process, port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def post_bytes(path: str, body: bytes, *, is_kept: bool = True) -> bytes:
    """A whole request, made once."""
    kept = "" if is_kept else "Connection: close\r\n"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{kept}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class Load:
    """What a run of requests came to."""

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    failures: int = 0
    elapsed_s: float = 0.0

    @property
    def per_s(self) -> float:
        return len(self.seconds) / self.elapsed_s

    def quantile_s(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def load(
    port: int, requests: Callable[[int], bytes], *, connections: int, duration_s: float, is_kept: bool = True
) -> Load:
    """Send requests over some connections, one at a time on each, for a while, one at least."""
    result = Load()
    lock = threading.Lock()
    stop_at = time.monotonic() + duration_s

    def run(number: int) -> None:
        seconds: list[float] = []
        statuses: dict[int, int] = {}
        failures = 0
        client = Client(port)
        count = 0
        while not count or time.monotonic() < stop_at:
            raw = requests(number * 1_000_000 + count)
            count += 1
            begun = time.perf_counter()
            try:
                status = client.send(raw, is_kept=is_kept)
            except OSError:
                failures += 1
                continue
            seconds.append(time.perf_counter() - begun)
            statuses[status] = statuses.get(status, 0) + 1
        client.close()
        with lock:
            result.seconds += seconds
            result.failures += failures
            for status, times in statuses.items():
                result.statuses[status] = result.statuses.get(status, 0) + times

    threads = [threading.Thread(target=run, args=(number,)) for number in range(connections)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.elapsed_s = time.monotonic() - begun
    return result


class Client:
    """The least of an HTTP client: sends bytes, reads one answer with a Content-Length."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def send(self, raw: bytes, *, is_kept: bool) -> int:
        try:
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), 30)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(raw)
            received = b""
            while b"\r\n\r\n" not in received:
                received += self._more()
            head, _, rest = received.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            missing = length - len(rest)
            while missing > 0:
                missing -= len(self._more())
        except OSError:
            self.close()
            raise
        if not is_kept or b"connection: close" in head.lower():
            self.close()
        return int(head[9:12])

    def _more(self) -> bytes:
        assert self._socket is not None
        piece = self._socket.recv(65536)
        if not piece:
            raise ConnectionResetError("closed before the answer was whole")
        return piece

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def peak_kib(pid: int, name: str = "VmHWM") -> int:
    """A figure of /proc/<pid>/status in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise LookupError(name)


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="channel-bench-") as folder:
        yield Path(folder)


def median(values: list[float]) -> float:
    return statistics.median(values)
