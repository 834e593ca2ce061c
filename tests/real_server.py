"""The real server in a process of its own, as the process file starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests import ROOT

_PORTS = range(10_000, 32_000)
"""None of these does Linux choose by itself, neither for a connection nor for a server that asks for any port: what
this process takes stays free until its own server listens there."""

_numbers = count(os.getpid() * 97)  # processes of tests that run at once begin far from each other


def free_port() -> int:
    """A port of loopback where nobody listens; this process is given it once."""
    while True:
        port = _PORTS[next(_numbers) % len(_PORTS)]
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until any HTTP answer comes."""
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            raise RuntimeError("the server ended at once")
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as probe:
                probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if probe.recv(10):
                    return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("the server never answered")


@dataclass
class RealServer:
    """One that runs; `log` is what it writes."""

    url: str
    port: int
    log: Path


@contextmanager
def real_server(folder: Path, channels: str, **environment: str) -> Iterator[RealServer]:
    """A gunicorn of one worker with an SQLite file in the folder; ready when the block begins, ended at its end."""
    port = free_port()
    settings = {
        "APP_ENV": "development",
        "CHANNELS": channels,
        "DATABASE_URL": f"sqlite:///{folder}/channel.db",
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        **environment,
    }
    log_path = folder / "server.log"
    with open(log_path, "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--config", "python:app.serving", "app:create_app()"],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
        )
    try:
        await_port(port, process)
        yield RealServer(f"http://127.0.0.1:{port}", port, log_path)
    finally:
        process.send_signal(signal.SIGTERM)
        ended = process.wait(25)
    assert ended == 0, log_path.read_text(errors="replace")[-2000:]
