"""What starting costs: the server (S12), and a whole `channel verify` (V1)."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.bench import ROOT, Server, gunicorn, median, peak_kib
from tests.benchmarks.callbacks import PRODUCT
from tests.benchmarks.rounds import Row


def s12(rounds: int, folder: Path) -> Iterator[Row]:
    """Start to first answer, and a worker's memory, against a Flask application with the five packages."""

    def start(application: str) -> tuple[float, int]:
        begun = time.perf_counter()
        with gunicorn(application, folder=folder) as server:
            taken = time.perf_counter() - begun
            return taken, _worker_kib(server)

    start(PRODUCT)
    seconds: list[list[float]] = [[], []]
    memory: list[list[float]] = [[], []]
    for _ in range(max(rounds, 3)):
        for side, application in enumerate((PRODUCT, "tests.benchmarks.floors:five_packages()")):
            taken, kib = start(application)
            seconds[side].append(taken)
            memory[side].append(kib)
    ours_s, floor_s = median(seconds[0]), median(seconds[1])
    ours_kib, floor_kib = median(memory[0]), median(memory[1])
    print(f"    start {ours_s:.2f} s / {floor_s:.2f} s, worker {ours_kib / 1024:.0f} / {floor_kib / 1024:.0f} MiB")
    yield "S12 start", ours_s / floor_s, "<= 1.2"
    yield "S12 memory", ours_kib / floor_kib, "<= 1.2"


def _worker_kib(server: Server) -> int:
    return max(peak_kib(worker, "VmRSS") for worker in server.workers())


def v1(rounds: int, folder: Path) -> Iterator[Row]:
    """`channel verify` against the product, as a whole process, against the 3 s it may take."""
    taken = []
    with gunicorn(PRODUCT, folder=folder, environment={"VERIFY_KEY": "on"}) as server:
        base_url = f"http://127.0.0.1:{server.port}/api/channel"
        for _ in range(rounds):
            begun = time.perf_counter()
            command = [sys.executable, "-m", "app.cli", "verify", "-base-url", base_url]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
            taken.append(time.perf_counter() - begun)
    print(f"    {median(taken):.2f} s")
    yield "V1", median(taken) / 3.0, "<= 1.0"
