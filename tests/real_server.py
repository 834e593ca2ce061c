"""The real server in a process of its own, as the process file starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import ROOT


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


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
