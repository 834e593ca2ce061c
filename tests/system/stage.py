"""Real processes that can be killed at any moment: the vendor's stand-in, the web server, the delivery worker.

`python -m tests.system.stage ...` is `channel ...` in a hurry (see `hurry`), for workers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import requests
from flask import Flask

from app.contract.schemas import load_contract
from app.records.database import Database
from app.sandbox.vendors.pipe17 import BASE_PATH, INTEGRATION_ID, INTEGRATION_KEY, LEGACY_KEY
from app.sandbox.vendors.retailops import RetailOps
from app.settings import load_database_url
from tests import ROOT
from tests.command_line import without_ours
from tests.real_server import free_port

KEY = "key+of+the+channel+under+fire+01"
CLIENT_ID, CHANNEL_ID = 1201, 32

PATIENCE_S = 1.0
"""What the server waits for one answer of the vendor."""

HURRIED_LEASE_S = 6.0
"""How long a claimed call or stream stays with its claimer in a hurry."""

SETTLE_S = 4.0
"""How long the server lets a create stay unseen; what the vendor does late or shows late stays well below."""

CHANNELS = f"""
[[channel]]
name = "fire"
client_id = {CLIENT_ID}
channel_id = {CHANNEL_ID}
auth_keys = ["{KEY}"]
gateways = ["pipe17"]

[channel.pipe17]
base_url = "VENDOR_URL{BASE_PATH}"
api_key = "{INTEGRATION_KEY}"
integration_id = "{INTEGRATION_ID}"
requests_per_s = 0
parallel_calls = 0
patience_s = {PATIENCE_S}
settle_seconds = SETTLE_S
"""


def hurry() -> None:
    """Leases, budgets and pauses of seconds instead of minutes, so that a run sees many of them end.

    Their order is kept: an attempt ends well before its lease does.  A name that is gone is an error.
    """
    from app import composition
    from app.channel import command_transactions
    from app.deliveries import dispatcher, sync, transitions
    from app.transport import breaker, retries

    own_next_try_s = retries.next_try_s

    def soon(attempt: int, retry_after_s: float | None, roll: float) -> float:
        return min(own_next_try_s(attempt, retry_after_s, roll), 1.5)

    for module, name, value in (
        (composition, "BUDGET_S", 4.0),
        (command_transactions, "BUDGET_S", 4.0),
        (command_transactions, "PATIENCE_MARGIN_S", 2.0),
        (command_transactions, "TWIN_WAIT_S", 1.0),
        (command_transactions, "RECORDING_S", 2.0),
        (dispatcher, "ATTEMPT_S", 3.5),
        (dispatcher, "LEASE_S", HURRIED_LEASE_S),
        (sync, "ATTEMPT_S", 3.5),
        (sync, "LEASE_S", HURRIED_LEASE_S),
        (sync, "next_try_s", soon),
        (transitions, "next_try_s", soon),
    ):
        if not hasattr(module, name):
            raise AttributeError(f"{module.__name__} has no {name} any more; correct hurry()")
        setattr(module, name, value)
    breaker.BreakerRules.__init__.__defaults__ = (5, 0.5, 2.0, 4.0)  # type: ignore[misc]


def create_hurried_app() -> Flask:
    """What gunicorn serves in a hurry."""
    from app import create_app

    hurry()
    _stop_when_told()
    return create_app()


def _stop_when_told() -> None:
    """Where STOP_ORDER_FILE names a file: see `stands_still.stop_when_told`."""
    if order := os.environ.get("STOP_ORDER_FILE"):
        from tests.system.stands_still import stop_when_told

        stop_when_told(Path(order))


@dataclass
class Stage:
    """The processes of a run.  Each is the leader of its own group, so that a kill takes its children along."""

    folder: Path
    database_url: str
    deliveries: str = "inline"
    is_hurried: bool = True
    shipments: int = 12
    vendor_seed: int = 17
    settle_s: float = SETTLE_S
    vendor_port: int = field(default_factory=free_port)
    port: int = field(default_factory=free_port)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def vendor_url(self) -> str:
        return f"http://127.0.0.1:{self.vendor_port}"

    @property
    def server_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def names_of_ours(self) -> tuple[str, ...]:
        """The processes that run the code under test."""
        return ("server", "worker")

    def retailops(self) -> RetailOps:
        """A caller of its own, for one thread."""
        return RetailOps(f"{self.server_url}/api/channel", KEY, CLIENT_ID, CHANNEL_ID, load_contract())

    # Starting

    def start(self) -> None:
        self.start_vendor()
        self.prepare_database()
        self.start_server()
        self.start_worker()
        self.await_ready()

    def start_vendor(self) -> None:
        command = [sys.executable, "-m", "app.cli", "sandbox", "pipe17", "--port", str(self.vendor_port)]
        kept = ["--state", str(self.folder / "pipe17.json")]
        drawn = ["--shipments", str(self.shipments), "--seed", str(self.vendor_seed)]
        self._start("vendor", [*command, *kept, *drawn])
        self._await("vendor", f"{self.vendor_url}/sandbox/settings")

    def prepare_database(self) -> None:
        """As `channel db upgrade` does, without a process of its own."""
        database = Database(load_database_url({"APP_ENV": "demo", "DATABASE_URL": self.database_url}))
        database.upgrade()
        database.close()

    def channel(self, *args: str) -> str:
        """`channel ...` beside the server; what it printed."""
        command = [sys.executable, "-m", "app.cli", *args]
        done = subprocess.run(command, cwd=ROOT, env=self._environment(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start_server(self) -> None:
        factory = "tests.system.stage:create_hurried_app()" if self.is_hurried else "app:create_app()"
        self._start("server", [sys.executable, "-m", "gunicorn", "--config", "python:app.serving", factory])

    def start_worker(self) -> None:
        """The delivery worker, where the web processes do not deliver."""
        if self.deliveries == "worker":
            module = "tests.system.stage" if self.is_hurried else "app.cli"
            self._start("worker", [sys.executable, "-m", module, "deliveries", "work"])

    def await_ready(self) -> None:
        self._await("server", f"{self.server_url}/readyz")

    def _start(self, name: str, command: list[str], *, folder: Path = ROOT, **more: str) -> None:
        """`folder` holds the code that is run; `more` are further variables of the environment."""
        environment = {**self._environment(), **more}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (more.get("PYTHONPATH"), str(folder))))
        with open(self.folder / f"{name}.log", "ab") as log:
            self._processes[name] = subprocess.Popen(
                command, cwd=folder, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def channels(self) -> str:
        """What stands in channels.toml."""
        return CHANNELS.replace("VENDOR_URL", self.vendor_url).replace("SETTLE_S", f"{self.settle_s}")

    def _environment(self) -> dict[str, str]:
        inherited = without_ours()
        own = {
            "APP_ENV": "demo",
            "CHANNELS": self.channels(),
            "DATABASE_URL": self.database_url,
            "DELIVERIES": self.deliveries,
            "PORT": str(self.port),
            "PUBLIC_URL": self.server_url,
            "WEB_CONCURRENCY": "2",
            "WEB_THREADS": "16",
        }
        return inherited | own

    def _await(self, name: str, url: str, patience_s: float = 60.0) -> None:
        give_up_at = time.monotonic() + patience_s
        while time.monotonic() < give_up_at:
            code = self._processes[name].poll()
            assert code is None, f"the {name} ended with {code}: {self.log_tail(name)}"
            with suppress(requests.RequestException):
                if requests.get(url, timeout=2).status_code == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(f"the {name} did not start: {self.log_tail(name)}")

    # Killing

    def kill(self, name: str) -> bool:
        """SIGKILL a process and all its children at once; False when it is not running."""
        process = self._processes.pop(name, None)
        if process is None:
            return False
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True

    def kill_one_web_process(self, choice: int) -> bool:
        """SIGKILL one of gunicorn's workers; gunicorn itself lives on and forks another."""
        master = self._processes.get("server")
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(master.pid).children() if master else []
            if children:
                children[choice % len(children)].kill()
                return True
        return False

    def revive(self) -> None:
        """Start again whatever has ended, as a platform would."""
        for name, start in (("server", self.start_server), ("worker", self.start_worker)):
            if not self.is_running(name):
                self.kill(name)
                start()

    def is_running(self, name: str) -> bool:
        """True for a process that has not ended, whether it moves or is stopped."""
        process = self._processes.get(name)
        return process is not None and process.poll() is None

    def stop(self) -> None:
        """End everything, politely first."""
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for name in list(self._processes):
            with suppress(subprocess.TimeoutExpired):
                self._processes[name].wait(20)
            self.kill(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What can be seen and set at the vendor

    def vendor(self) -> dict[str, Any]:
        """All the vendor holds."""
        held: dict[str, Any] = requests.get(f"{self.vendor_url}/sandbox/state", timeout=20).json()
        return held

    def tell_vendor(self, path: str, body: dict[str, Any], method: str = "POST") -> None:
        reply = requests.request(method, f"{self.vendor_url}/sandbox/{path}", json=body, timeout=20)
        assert reply.status_code < 300, (path, reply.status_code, reply.text)

    def heal_vendor(self) -> None:
        assert requests.delete(f"{self.vendor_url}/sandbox/faults", timeout=20).status_code < 300

    def add_products(self, skus: list[str]) -> None:
        """Goods of the callers' own, whose stock nobody else states."""
        reply = requests.post(
            f"{self.vendor_url}{BASE_PATH}/products",
            json=[{"sku": sku, "name": sku, "status": "active", "types": ["simple"]} for sku in skus],
            headers={"X-Pipe17-Key": LEGACY_KEY},
            timeout=20,
        )
        assert reply.status_code == 200 and "failed" not in reply.text, reply.text

    # What the processes said

    def log_text(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def log_tail(self, name: str) -> str:
        return "\n".join(self.log_text(name).splitlines()[-15:])


if __name__ == "__main__":
    from app.cli import main

    hurry()
    _stop_when_told()
    main()
