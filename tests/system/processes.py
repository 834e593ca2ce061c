"""Real web servers and delivery workers on one database."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from app.contract.schemas import Contract
from app.sandbox.vendors.retailops import RetailOps
from tests import ROOT
from tests.channels import KEY, PAIR
from tests.command_line import without_ours
from tests.real_server import free_port
from tests.waiting import eventually


class Processes:
    """Real web servers and delivery workers; whatever still runs ends with the test."""

    def __init__(self, folder: Path, database_url: str, channels: str, root: Path = ROOT, **environment: str) -> None:
        self._folder = folder
        self._root = root
        self._running: list[subprocess.Popen[bytes]] = []
        inherited = without_ours()
        self._environment = {
            **inherited, "PYTHONPATH": str(root), "APP_ENV": "production", "DATABASE_URL": database_url,
            "CHANNELS": channels, "DELIVERIES": "worker", "WEB_CONCURRENCY": "1", "WEB_THREADS": "12", **environment,
        }  # fmt: skip

    def web(self, **environment: str) -> tuple[subprocess.Popen[bytes], str]:
        """A gunicorn that is ready, and its address."""
        process, address = self.web_at_once(**environment)
        eventually(lambda: self._is_ready(process, f"{address}/readyz"), 120)
        return process, address

    def web_at_once(self, **environment: str) -> tuple[subprocess.Popen[bytes], str]:
        """A gunicorn that has just been started, and its address."""
        port = free_port()
        command = ["gunicorn", "--config", "python:app.serving", "--bind", f"127.0.0.1:{port}", "app:create_app()"]
        return self.start(command, PORT=str(port), **environment), f"http://127.0.0.1:{port}"

    def worker(self) -> subprocess.Popen[bytes]:
        """A `channel deliveries work`."""
        return self.start(["app.cli", "deliveries", "work"])

    def environment(self) -> dict[str, str]:
        """What they run in, for a command beside them."""
        return dict(self._environment)

    def log(self) -> str:
        return (self._folder / "processes.log").read_text(errors="replace")

    def stop(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()

    def start(self, command: list[str], **environment: str) -> subprocess.Popen[bytes]:
        with open(self._folder / "processes.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self._root, env={**self._environment, **environment}, stdout=log, stderr=log,
            )  # fmt: skip
        self._running.append(process)
        return process

    def _is_ready(self, process: subprocess.Popen[bytes], url: str) -> bool:
        assert process.poll() is None, self.log()[-3000:]
        with suppress(requests.RequestException):
            return requests.get(url, timeout=2).status_code == 200
        return False


def caller(url: str, contract: Contract) -> RetailOps:
    return RetailOps(f"{url}/api/channel", KEY, *PAIR, contract)


def in_parallel(*works: Callable[[], Any]) -> list[Any]:
    results: list[Any] = [None] * len(works)

    def do(number: int, work: Callable[[], Any]) -> None:
        results[number] = work()

    threads = [threading.Thread(target=do, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
