"""What a server that has nothing to do costs with 200 channels, against the same with one (S20).

`python -m tests.benchmarks.idle work` is the worker process, and `tests.benchmarks.idle:create_app()` the web one:
both are the product's, with their statements counted.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine, event

from tests.benchmarks.bench import gunicorn
from tests.benchmarks.busy_shop import working
from tests.benchmarks.durable import databases
from tests.benchmarks.fairness import RALLY
from tests.benchmarks.rounds import Row

MANY = 200
SETTLED_S = 18.0
"""How long a server has been up before it is measured: what a start brings along is over by then."""
MEASURED_S = 15.0
COUNTS = "BENCHMARK_COUNTS"
"""The variable that names the folder where each process counts its statements."""

_NUMBER = struct.Struct("q")

CHANNEL = """
[[channel]]
name = "shop{number}"
client_id = 1201
channel_id = {channel_id}
auth_keys = ["key+of+the+benchmark+channel{number:04d}"]
gateways = [{gateways}]
"""
GATEWAYS = {
    "rally": RALLY,
    "pipe17": """
[channel.pipe17]
base_url = "https://pipe17.invalid"
api_key = "pipe17-key-{number}"
[channel.pipe17.locations]
"Dallas DC" = "{number:016x}"
""",
    "retailrocket": """
[channel.retailrocket]
partner_id = "{number:024x}"
api_key = "rocket-key-{number}"
shop_name = "Shop {number}"
shop_url = "https://shop{number}.invalid"
{mode}
""",
}


def channels(count: int) -> str:
    """So many shops: a third each with Rally, with Pipe17, and with Pipe17 and Retail Rocket, fed or called."""
    found = []
    for number in range(count):
        tokens = (("pipe17", "retailrocket"), ("rally",), ("pipe17",))[number % 3]
        text = CHANNEL + "".join(GATEWAYS[token] for token in tokens)
        named = ", ".join(f'"{token}"' for token in tokens)
        mode = 'mode = "product_api"' if number % 2 else ""
        found.append(text.format(number=number, channel_id=100 + number, gateways=named, mode=mode))
    return "".join(found)


def count_statements() -> None:
    """From now on this process counts its statements, and the transactions they run in, in a file of its own."""
    path = Path(os.environ[COUNTS]) / str(os.getpid())
    path.write_bytes(bytes(_NUMBER.size))
    with open(path, "r+b") as file:
        counted = mmap.mmap(file.fileno(), _NUMBER.size)

    def count(*_: Any) -> None:
        _NUMBER.pack_into(counted, 0, _NUMBER.unpack_from(counted, 0)[0] + 1)

    # A transaction stands for the statement that looks which migration has run, which is sent past the engine.
    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "begin", count)


def create_app() -> Flask:
    """The product, counted."""
    count_statements()
    from app import create_app as of_the_product

    return of_the_product()


@dataclass
class Figures:
    """Of one server: CPU of each process as a share of a core, their threads, and statements of all a second."""

    start_s: float
    shares: dict[str, float] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)
    statements_per_s: float = 0.0

    def __str__(self) -> str:
        each = [f"{name} {share:.2%} of a core, {self.threads[name]} threads" for name, share in self.shares.items()]
        return f"start {self.start_s:.1f} s, {'; '.join(each)}; {self.statements_per_s:.1f} statements/s"


class Running:
    """A server of one or two processes, and gunicorn's own, that nobody calls."""

    def __init__(self, opened: ExitStack, folder: Path, url: str, count: int, *, has_worker: bool) -> None:
        self._counts = folder / "counts"
        self._counts.mkdir(parents=True)
        environment = {
            "DATABASE_URL": url, "CHANNELS": channels(count), "PUBLIC_URL": "https://channel.invalid",
            "DELIVERIES": "worker" if has_worker else "inline", COUNTS: str(self._counts),
            "DATABASE_CONNECTIONS": "24",  # so many that a worker listens
        }  # fmt: skip
        begun = time.monotonic()
        server = opened.enter_context(
            gunicorn("tests.benchmarks.idle:create_app()", folder=folder, environment=environment)
        )
        self.figures = Figures(time.monotonic() - begun)
        [web] = server.workers()
        self._processes = {"gunicorn": server.process.pid, "web": web}
        if has_worker:
            self._processes["worker"] = opened.enter_context(
                working(folder, environment, "-m", "tests.benchmarks.idle", "work")
            )

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Inside the block the time passes that is measured."""
        cpu_s = {name: _cpu_s(pid) for name, pid in self._processes.items()}
        statements, begun = self._statements(), time.monotonic()
        yield
        elapsed_s = time.monotonic() - begun
        self.figures.shares = {name: (_cpu_s(pid) - cpu_s[name]) / elapsed_s for name, pid in self._processes.items()}
        self.figures.threads = {name: _threads(pid) for name, pid in self._processes.items()}
        self.figures.statements_per_s = (self._statements() - statements) / elapsed_s

    def _statements(self) -> int:
        return sum(_NUMBER.unpack(path.read_bytes())[0] for path in self._counts.iterdir())


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def s20(folder: Path) -> Iterator[Row]:
    """An idle server with 200 channels against one with a single channel; both databases, inline and with a worker.

    All servers of a database run at the same time, for idle ones do not disturb each other.
    """
    for name, urls in databases(folder, 4):
        kinds = [(count, has_worker) for count in (1, MANY) for has_worker in (False, True)]
        with ExitStack() as opened:
            servers = {}
            for (count, has_worker), url in zip(kinds, urls, strict=True):
                own = folder / f"{name}-{count}-{has_worker}"
                servers[count, has_worker] = Running(opened, own, url, count, has_worker=has_worker)
            time.sleep(SETTLED_S)
            with ExitStack() as measuring:
                for server in servers.values():
                    measuring.enter_context(server.measured())
                time.sleep(MEASURED_S)
        for has_worker in (False, True):
            few, many = servers[1, has_worker].figures, servers[MANY, has_worker].figures
            kind = f"{name}, {'worker' if has_worker else 'inline'}"
            print(f"    {kind}, 1 channel: {few}\n    {kind}, {MANY} channels: {many}")
            threads = max(many.threads[process] / few.threads[process] for process in many.threads)
            yield f"S20 {kind}: CPU in 2 %", max(many.shares.values()) / 0.02, "<= 1.0"
            yield f"S20 {kind}: threads", threads, "<= 1.5"
            yield f"S20 {kind}: statements", many.statements_per_s / few.statements_per_s, "<= 3.0"
            yield f"S20 {kind}: start in 3 s", many.start_s / 3.0, "<= 1.0"


if __name__ == "__main__":
    count_statements()
    from app.cli import main

    sys.argv[1:] = ["deliveries", "work"]
    main()
