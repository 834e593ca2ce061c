"""The stage of a chaos run: both vendors behind relays, two workers, and processes that can be stopped and go on."""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

from app.contract.schemas import load_contract
from app.sandbox.vendors.rally import API_KEY, BASE_PATH, ORGANIZATION_ID
from app.sandbox.vendors.retailops import RetailOps
from tests import ROOT
from tests.real_server import free_port
from tests.system.chaos.injuries import Injuries
from tests.system.chaos.overheard import Overheard
from tests.system.relay import Relay
from tests.system.stage import CHANNELS, HURRIED_LEASE_S, PATIENCE_S, Stage

TILL_KEY = "key+of+the+till+under+fire+00001"
TILL_ID = 33
TILL = "till"

TILL_CHANNEL = f"""
[[channel]]
name = "{TILL}"
client_id = 1201
channel_id = {TILL_ID}
auth_keys = ["{TILL_KEY}"]
gateways = ["rally"]

[channel.rally]
base_url = "VENDOR_URL{BASE_PATH}"
api_key = "{API_KEY}"
organization_id = "{ORGANIZATION_ID}"
storefront_client_id = "0b6f1c2e-0000-4000-8000-00000000c0de"
requests_per_s = 0
parallel_calls = 0
patience_s = {PATIENCE_S}
settle_seconds = SETTLE_S
reserve_grace_s = 0

[[channel.rally.shipping]]
id = "standard"
title = "Standard"
price = "5.00"
countries = ["US"]
retailops_code = "GROUND"

[[channel.rally.tax]]
country = "US"
province = "TX"
rate = "0.10"
"""

WORKERS = ("worker", "worker-2")
"""The second one has a clock of its own, and in a mixed run the code of an earlier release."""

WRONG_CLOCK = ROOT / "tests" / "system" / "wrong_clock"
"""A folder whose `sitecustomize` makes the wall clock of a process wrong."""

DAY_S = 86_400

HURRIED_SETTLE_S = 6.0
"""Longer than packets are held, what the vendor does late, and what it shows late."""


def stage_of(folder: Path, url: str, deliveries: str, *, is_hurried: bool = True, vendor_seed: int = 17) -> FullStage:
    """The stage of one run; late packets need a longer `settle` than the kills alone."""
    settle_s = HURRIED_SETTLE_S if is_hurried else 60.0
    return FullStage(folder, url, deliveries, is_hurried, shipments=40, vendor_seed=vendor_seed, settle_s=settle_s)


@dataclass
class FullStage(Stage):
    """Pipe17's channel is `fire`, Rally's is `till`; the server reaches both vendors through a relay."""

    rally_port: int = field(default_factory=free_port)
    old_release: Path | None = None
    """A folder with the code of an earlier release, which the second worker then runs."""
    injuries: Injuries = field(default_factory=Injuries)

    def __post_init__(self) -> None:
        self.refused_creates: set[tuple[str, str]] = set()
        self.refunds_sent = Overheard("webhooks/order-refund-create", self.process_of_port)
        self.relays = {"pipe17": Relay(self.vendor_port), "rally": Relay(self.rally_port, self.refunds_sent.tap)}

    @property
    def rally_url(self) -> str:
        return f"http://127.0.0.1:{self.rally_port}"

    @property
    def clock_file(self) -> Path:
        """Holds the seconds by which the second worker's wall clock is off."""
        return self.folder / "clock"

    @property
    def stop_order(self) -> Path:
        """While this file is there the next process that sends something stops itself."""
        return self.folder / "stop-order"

    def channels(self) -> str:
        ours, tills = (f"http://127.0.0.1:{self.relays[name].port}" for name in ("pipe17", "rally"))
        both = CHANNELS.replace("VENDOR_URL", ours) + TILL_CHANNEL.replace("VENDOR_URL", tills)
        return both.replace("SETTLE_S", f"{self.settle_s}")

    def _channels_of_old_release(self) -> str:
        """The same, without what the earlier release does not know and would refuse."""
        assert self.old_release is not None
        ours, till, tills = self.channels().partition(TILL_CHANNEL.partition("\n[channel.rally]")[0])
        options = (self.old_release / "app").rglob("rally/options.py")
        if not any("settle_seconds" in file.read_text() for file in options):
            tills = tills.replace(f"settle_seconds = {self.settle_s}\n", "")
        return ours + till + tills

    def till(self) -> RetailOps:
        """RetailOps as it calls the channel of Rally, for one thread."""
        return RetailOps(f"{self.server_url}/api/channel", TILL_KEY, 1201, TILL_ID, load_contract())

    @property
    def worker_names(self) -> tuple[str, ...]:
        """Where the web processes deliver, one worker does so beside them."""
        return WORKERS if self.deliveries == "worker" else WORKERS[1:]

    @property
    def names_of_ours(self) -> tuple[str, ...]:
        """Not the second worker where that is an earlier release, whose faults are mended already."""
        return ("server", *(WORKERS[:1] if self.old_release else WORKERS))

    @property
    def lease_s(self) -> float:
        """How long what a process has claimed stays with it."""
        return HURRIED_LEASE_S if self.is_hurried else 30.0

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"STOP_ORDER_FILE": str(self.stop_order)}

    # Starting

    def start(self) -> None:
        """Everything at once that can be: half of the time would else be spent on waiting for one start."""
        begun = (self.start_pipe17, self.start_rally, self.prepare_database)
        with ThreadPoolExecutor(len(begun)) as starters:
            for starting in [starters.submit(start) for start in begun]:
                starting.result()
        self.start_server()
        self.start_worker()
        self.await_ready()

    def start_pipe17(self) -> None:
        super().start_vendor()

    def start_rally(self) -> None:
        command = [sys.executable, "-m", "app.cli", "sandbox", "rally", "--port", str(self.rally_port)]
        self._start("rally", [*command, "--state", str(self.folder / "rally.json")])
        self._await("rally", f"{self.rally_url}/sandbox/settings")

    def start_worker(self) -> None:
        for name in self.worker_names:
            if not self.is_running(name):
                self.kill(name)
                self._start_worker(name)

    def _start_worker(self, name: str) -> None:
        module = "tests.system.stage" if self.is_hurried else "app.cli"
        command = [sys.executable, "-m", module, "deliveries", "work"]
        is_second = name == WORKERS[1]
        folder = self.old_release if is_second and self.old_release else ROOT
        own = {"PYTHONPATH": str(WRONG_CLOCK), "CLOCK_OFFSET_FILE": str(self.clock_file)} if is_second else {}
        if folder != ROOT:
            own["CHANNELS"] = self._channels_of_old_release()
        self._start(name, command, folder=folder, **own)

    def revive(self) -> None:
        super().revive()
        self.start_worker()

    def register_hooks(self) -> None:
        """Tell Rally where this server is."""
        self.channel("rally", "hooks", "register", "--channel", TILL)

    # Hurting

    def kill(self, name: str) -> bool:
        if name in ("server", *WORKERS):
            for process in self.family(name):
                self.injuries.begin("killed", process.pid).ended_at = time.monotonic()
        return super().kill(name)

    def kill_one_web_process(self, choice: int) -> bool:
        children = self.family("server")[1:]
        with suppress(psutil.NoSuchProcess, IndexError):
            chosen = children[choice % max(len(children), 1)]
            self.injuries.begin("killed", chosen.pid).ended_at = time.monotonic()
            chosen.kill()
            return True
        return False

    def family(self, name: str) -> list[psutil.Process]:
        """The process of this name and its children; for the server gunicorn's own comes first."""
        popen = self._processes.get(name)
        if popen is None:
            return []
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(popen.pid)
            return [first, *first.children()]
        return []

    def movers(self) -> list[psutil.Process]:
        """Every process that serves or delivers: web processes and workers."""
        return [*self.family("server")[1:], *(process for name in WORKERS for process in self.family(name))]

    def process_of_port(self, port: int) -> int | None:
        """Which of our processes has this local port."""
        for process in self.movers():
            with suppress(psutil.Error):
                if any(item.laddr and item.laddr.port == port for item in process.net_connections(kind="tcp4")):
                    return int(process.pid)
        return None

    def stand_still(self, process: psutil.Process, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so many seconds."""
        # Whoever stops while it writes to SQLite's file keeps all others from it.
        held = self.injuries.begin("database lost") if self.database_url.startswith("sqlite") else None
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGSTOP)
        self._go_on_after(process, seconds)
        if held:
            held.ended_at = time.monotonic()

    def stand_still_at_send(self, seconds: float, patience_s: float = 4.0) -> None:
        """The first process that sends something now stops before its first byte, and goes on after so many seconds."""
        self.stop_order.touch()
        give_up_at = time.monotonic() + patience_s
        while time.monotonic() < give_up_at:
            for process in self.movers():
                with suppress(psutil.NoSuchProcess):
                    if process.status() == psutil.STATUS_STOPPED:
                        self._go_on_after(process, seconds)
                        return
            time.sleep(0.02)
        self.stop_order.unlink(missing_ok=True)

    def _go_on_after(self, process: psutil.Process, seconds: float) -> None:
        injury = self.injuries.begin("stopped", process.pid)
        time.sleep(seconds)
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        injury.ended_at = time.monotonic()

    def set_clock(self, wrong_s: int) -> None:
        """By how much the second worker's wall clock is wrong from now on."""
        beside = self.clock_file.with_suffix(".new")
        beside.write_text(str(wrong_s))
        os.replace(beside, self.clock_file)

    def stop(self) -> None:
        super().stop()
        for relay in self.relays.values():
            relay.close()

    # What can be seen and set at Rally

    def at_rally(self, method: str, path: str, body: Any = None, patience_s: float = 60.0) -> Any:
        """Its control API."""
        reply = requests.request(method, f"{self.rally_url}/sandbox/{path}", json=body, timeout=patience_s)
        assert reply.status_code < 300, (path, reply.status_code, reply.text)
        return reply.json()

    def note_refused_creates(self) -> None:
        """Keep what Pipe17 refused because it had it: nothing may be sent twice on a mere guess."""
        for call in self.vendor()["recent_calls"]:
            if call["method"] == "POST" and call["status"] == 409:
                self.refused_creates.add((call["at"], call["request_id"]))

    def heal_vendor(self) -> None:
        super().heal_vendor()
        self.at_rally("DELETE", "faults")
