"""The same callback by another stack, so that a stranger can compare: FastAPI under uvicorn (S1b)."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil

from tests.benchmarks.bench import ROOT, gunicorn, inventory, load, median, post_bytes
from tests.benchmarks.callbacks import PRODUCT, PUSH
from tests.benchmarks.rounds import Row, Skipped
from tests.real_server import await_port, free_port

PROCESSES = 2


def s1b(rounds: int, seconds: float, folder: Path) -> Iterator[Row]:
    """The 10-row callback of S1 against FastAPI, pydantic and uvicorn (uvloop, httptools), two processes each.

    A pair of rounds begins with the one side and the next with the other.  The CPU of a request in the processes of
    each side is compared too: it depends less on what the machine does besides.
    """
    if missing := [name for name in ("fastapi", "uvicorn", "uvloop", "httptools", "orjson") if not find_spec(name)]:
        raise Skipped(f"{', '.join(missing)} not installed: pip install '.[benchmark]'")
    raw = post_bytes(PUSH, inventory(10))
    with gunicorn(PRODUCT, folder=folder, workers=PROCESSES) as ours, _uvicorn(folder) as (peer, peer_port):
        sides = {"ours": (ours.process, ours.port), "FastAPI": (peer, peer_port)}
        rates: dict[str, list[float]] = {name: [] for name in sides}
        cpu_ms: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(rounds + 1):
            for name, (process, port) in sorted(sides.items(), reverse=bool(number % 2)):
                before_s = _cpu_s(process.pid)
                found = load(port, lambda _: raw, connections=8, duration_s=seconds if number else 1.0)
                assert set(found.statuses) == {200} and not found.failures, (found.statuses, found.failures)
                if number:
                    rates[name].append(found.per_s)
                    cpu_ms[name].append((_cpu_s(process.pid) - before_s) * 1000 / len(found.seconds))
    for name in sides:
        print(f"    {name}: {median(rates[name]):.0f}/s, {median(cpu_ms[name]):.3f} ms of CPU a request")
    pairs = list(zip(rates["ours"], rates["FastAPI"], strict=True))
    yield "S1b", median([ours_per_s / peer_per_s for ours_per_s, peer_per_s in pairs]), ">= 1.0"
    # Beside other work the client and the machine decide, and the ratio goes to 1 whoever is quicker; this does not.
    yield "S1b CPU", median(cpu_ms["FastAPI"]) / median(cpu_ms["ours"]), ">= 1.0"


@contextmanager
def _uvicorn(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.benchmarks.fastapi_app:app", "--port", str(port)]
    command += ["--workers", str(PROCESSES), "--loop", "uvloop", "--http", "httptools"]
    command += ["--no-access-log", "--log-level", "warning"]
    with open(folder / "uvicorn.log", "ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        await_port(port, process)
        yield process, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children so far."""
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))
