"""How soon a worker of 200 shops sends what one has stated, alone and beside a shop with a long backlog (S20b)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.benchmarks import vendor
from tests.benchmarks.bench import ROOT, Client, gunicorn, inventory, median, post_bytes
from tests.benchmarks.durable import CHANNEL, databases, owe
from tests.benchmarks.rounds import Row

SHOPS = 200
BACKLOG = 20_000
SAMPLES = 15
POLLED_S = 0.5
"""What a worker that looks every half second may take to find something."""

PUSH = "/api/channel/inventory_push_v1"


class Recorder(ThreadingHTTPServer):
    """A quick vendor that notes when each account called first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.called_at_s: dict[str, float] = {}

    def waited_s(self, account: str, since_s: float) -> float:
        """Until the account has called.  Raises TimeoutError."""
        while account not in self.called_at_s:
            if time.monotonic() > since_s + 30:
                raise TimeoutError(f"{account} was never served")
            time.sleep(0.001)
        return self.called_at_s[account] - since_s


class _Handler(BaseHTTPRequestHandler):
    server: Recorder
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.called_at_s.setdefault(self.headers["X-Pipe17-Key"], time.monotonic())
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = vendor.content_for(self.path.encode())
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def _key(number: int) -> str:
    return f"key+of+the+benchmark+channel{number:04d}"


def _environment(url: str, recorder: Recorder, busy_port: int) -> dict[str, str]:
    ports = [busy_port] + [recorder.server_port] * (SHOPS - 1)
    channels = "".join(
        CHANNEL.format(name=f"shop{number}", number=100 + number, key=_key(number), base_url=f"http://127.0.0.1:{port}")
        for number, port in enumerate(ports)
    )
    return {
        "DATABASE_URL": url, "CHANNELS": channels, "DELIVERIES": "worker", "LOG_LEVEL": "WARNING",
        "DATABASE_CONNECTIONS": "24",  # so many that the worker listens
    }  # fmt: skip


@contextmanager
def working(folder: Path, environment: dict[str, str], *command: str) -> Iterator[int]:
    """The process id of a worker, which has begun."""
    command = command or ("-m", "app.cli", "deliveries", "work")
    with open(folder / "worker.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT, env={**os.environ, "APP_ENV": "demo", **environment}, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    try:
        assert process.stdout is not None and process.stdout.readline().startswith(b"Delivering")
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def s20b(folder: Path) -> Iterator[Row]:
    """From the answer to a shop's push to the worker's call at its vendor, alone and beside another shop's backlog.

    The median against the half second between two looks of a worker that nobody wakes.
    """
    for name, [url] in databases(folder):
        with ExitStack() as opened:
            recorder = Recorder()
            opened.callback(recorder.server_close)
            opened.callback(recorder.shutdown)
            threading.Thread(target=recorder.serve_forever, daemon=True).start()
            environment = _environment(url, recorder, opened.enter_context(vendor.running()))
            server = opened.enter_context(gunicorn("app:create_app()", folder=folder, environment=environment))
            opened.enter_context(working(folder, environment))
            time.sleep(2)  # the worker looks around first
            shops = iter(range(1, SHOPS))

            def sample(port: int = server.port, shops: Iterator[int] = shops, recorder: Recorder = recorder) -> float:
                time.sleep(random.uniform(0.1, 0.6))
                number = next(shops)
                body = inventory(1, key=_key(number)).replace(b'"id": 32', f'"id": {100 + number}'.encode())
                assert Client(port).send(post_bytes(PUSH, body), is_kept=False) == 200
                return recorder.waited_s(f"shop{number}", time.monotonic())

            alone = [sample() for _ in range(SAMPLES)]
            owe(url, BACKLOG, ["shop0"])
            time.sleep(2)
            beside = [sample() for _ in range(SAMPLES)]
        for kind, waits_s in (("alone", alone), ("beside a busy shop", beside)):
            print(f"    {name}, {kind}: median {median(waits_s) * 1000:.0f} ms, longest {max(waits_s) * 1000:.0f} ms")
            yield f"S20b {name}, {kind}", median(waits_s) / POLLED_S, "<= 1.0"
