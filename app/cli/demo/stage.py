"""The processes of the demo: the vendors' sandboxes, the channel server under gunicorn, and RetailOps calling it."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from string import Template
from typing import Any

import click
from dotenv import dotenv_values

from app.cli.demo.interruptions import undisturbed
from app.cli.init import channels_text, variables_text
from app.cli.sandbox import FIRST_PORT
from app.cli.server_process import CHANNEL_SERVER, ServerProcess
from app.contract.schemas import load_contract
from app.sandbox import vendors
from app.sandbox.vendors.retailops import RetailOps
from app.settings import ENVIRONMENT_HELP

ROOT = Path(__file__).resolve().parents[3]

COMMAND_S = 60.0
"""How long a `channel` command beside the server may take."""


class Stage:
    """Starts and ends the processes, which are configured as `channel init` does it for the vendors' stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server_port = _free_port()
        self.server_url = f"http://127.0.0.1:{self.server_port}"
        self.console_token = secrets.token_urlsafe(24)
        """Opens the operator's pages of this demo alone."""
        self.database_url = f"sqlite:///{folder / 'channel.db'}"
        self._ports: dict[str, int] = {}
        self._processes: dict[str, ServerProcess] = {}
        self._callers: list[RetailOps] = []
        self._variables: dict[str, str] = {}
        self._channels = ""

    def channel(self, vendor: str) -> dict[str, Any]:
        """The [[channel]] of a vendor, its variables filled in."""
        channels = tomllib.loads(Template(self._channels).substitute(self._variables))["channel"]
        return next(channel for channel in channels if vendor in channel["gateways"])

    def retailops(self, vendor: str) -> RetailOps:
        """RetailOps as the caller of a vendor's channel."""
        channel = self.channel(vendor)
        key, pair = channel["auth_keys"][0], (channel["client_id"], channel["channel_id"])
        self._callers.append(RetailOps(f"{self.server_url}/api/channel", key, *pair, load_contract()))
        return self._callers[-1]

    def sandbox_url(self, vendor: str) -> str:
        """Where the vendor's stand-in listens; the same after a restart."""
        return f"http://127.0.0.1:{self._ports.setdefault(vendor, _free_port())}"

    def start_sandbox(self, vendor: str) -> None:
        """Raises `ClickException` when it does not start."""
        address = self.sandbox_url(vendor)
        command = ("app.cli", "sandbox", vendor, "--port", str(self._ports[vendor]))
        self._start(vendor, f"{address}/sandbox/state", *command, "--state", str(self.folder / f"{vendor}.json"))

    def kill_sandbox(self, vendor: str) -> None:
        """The vendor is gone from one moment to the next; its state stays in its file."""
        self._processes[vendor].kill()

    def start_server(self, tables: Mapping[str, str]) -> None:
        """Serve the vendors' channels; `tables` are further settings of each.  Raises `ClickException`."""
        names = list(tables)
        ports = {FIRST_PORT + vendors.vendor(name).port_offset: self._ports[name] for name in names}
        self._channels = channels_text(names, ports)
        for name, settings in tables.items():
            self._channels = self._channels.replace(f"[channel.{name}]\n", f"[channel.{name}]{settings}", 1)
        written = dotenv_values(stream=StringIO(variables_text(names)))
        self._variables = {name: value for name, value in written.items() if value} | {
            "APP_ENV": "demo",
            "CONSOLE_TOKEN": self.console_token,
            "PORT": str(self.server_port),
            "PUBLIC_URL": self.server_url,
            "DATABASE_URL": self.database_url,
        }
        # So `channel` commands in that folder find them, and people can look into the demo.
        (self.folder / "channels.toml").write_text(self._channels, encoding="utf-8")
        lines = [f"{name}='{value}'\n" for name, value in self._variables.items()]
        (self.folder / ".env").write_text("".join(lines), encoding="utf-8")
        self._start("server", f"{self.server_url}/readyz", *CHANNEL_SERVER, **self._configuration())

    def _configuration(self) -> dict[str, str]:
        return {**self._variables, "CHANNELS": self._channels}

    def run(self, *arguments: str) -> str:
        """Run a `channel` command beside the server, as an operator would; its output.

        Raises `RuntimeError` when it fails or takes longer than `COMMAND_S`.
        """
        try:
            done = subprocess.run(
                [sys.executable, "-m", "app.cli", *arguments], cwd=ROOT, env={**_inherited(), **self._configuration()},
                capture_output=True, text=True, timeout=COMMAND_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"`channel {' '.join(arguments)}` did not end within {COMMAND_S:g} s") from error
        if done.returncode:
            raise RuntimeError(f"`channel {' '.join(arguments)}` ended with {done.returncode}: {done.stderr[-300:]}")
        return done.stdout

    def _start(self, name: str, address: str, *command: str, **configuration: str) -> None:
        """Start a process and wait until the address answers.  Raises `ClickException` when it does not."""
        log = self.folder / f"{name}.log"
        environ = {**_inherited(), **configuration}
        with undisturbed():  # What is started is noted, and so ended.
            self._processes[name] = ServerProcess(*command, environ=environ, folder=ROOT, log=log)
        if not self._processes[name].answers(address):
            raise click.ClickException(f"{name} did not start; its log is {log}")

    def stop(self) -> None:
        """End everything, the server first, so that nothing calls into the dark."""
        for caller in self._callers:
            caller.close()
        for name in sorted(self._processes, key=lambda name: name != "server"):
            self._processes[name].terminate()
        for process in self._processes.values():
            process.wait(20)

    def is_up(self) -> bool:
        """True while the server runs."""
        return self._processes["server"].is_running()

    def last_lines(self) -> Iterator[tuple[str, list[str]]]:
        """The end of every log, by process."""
        for path in sorted(self.folder.glob("*.log")):
            yield path.stem, path.read_text(errors="replace").splitlines()[-15:]


def _inherited() -> dict[str, str]:
    """The environment less our own settings: a demo must not meet anybody's real configuration."""
    return {name: value for name, value in os.environ.items() if name not in ENVIRONMENT_HELP and name != "DYNO"}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def staged() -> Iterator[Stage]:
    """A stage in a folder of its own, both gone at the end."""
    folder = tempfile.TemporaryDirectory(prefix="channel-demo-")
    stage = Stage(Path(folder.name))
    try:
        yield stage
    finally:
        with undisturbed(), folder:
            stage.stop()
