"""A server as a process of its own: started, waited for until it answers, and ended."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path

import requests

from app.transport import straight

START_S = 30.0
"""How long a server may take to answer for the first time."""

PR_SET_PDEATHSIG = 1
"""Of `prctl`: the signal a process gets when its parent ends."""

CHANNEL_SERVER = ("gunicorn", "--config", "python:app.serving", "app:create_app()")
"""The module and its arguments that serve the channels, as on a host."""


class ServerProcess:
    """`python -m MODULE ...`, which runs from now on.

    `environ` is its whole environment and `folder` the one it runs in (default: ours); `log` is the file that
    takes what it prints (default: it prints where we do).  With `own_session` no Ctrl-C and no closed terminal
    reaches it but through us, so that what it does then is not begun twice; on Linux it is asked to end, too, once
    the thread that started it is gone, also by kill -9.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
        log: Path | None = None,
        own_session: bool = False,
    ) -> None:
        with open(log, "ab") if log else nullcontext() as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=folder, env=environ, stdout=output, stderr=output, start_new_session=own_session,
                preexec_fn=_bound_to_us() if own_session else None,
            )  # fmt: skip

    def is_running(self) -> bool:
        return self._process.poll() is None

    def answers(self, url: str, stopping: threading.Event | None = None) -> bool:
        """Wait until the address answers 200.

        False when the process ends before, takes longer than `START_S`, or `stopping` is set.
        """
        stopping = stopping or threading.Event()
        until = time.monotonic() + START_S
        while self.is_running() and time.monotonic() < until and not stopping.is_set():
            with suppress(requests.RequestException):
                if straight.request("GET", url, timeout=2).status_code == 200:
                    return True
            stopping.wait(0.05)
        return False

    def terminate(self) -> None:
        """Ask it to finish what it has begun, and to end then."""
        if self.is_running():
            self._process.terminate()

    def wait(self, patience_s: float | None = None) -> None:
        """Wait until it has ended; after so many seconds it is killed."""
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def stop(self) -> None:
        """Let it finish what it has begun, however long that takes."""
        self.terminate()
        self.wait()

    def kill(self) -> None:
        """End it from one moment to the next."""
        self._process.kill()
        self._process.wait()


def _bound_to_us() -> Callable[[], object] | None:
    """What a child does before its program begins, so that it ends with us; None where there is no such thing."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
