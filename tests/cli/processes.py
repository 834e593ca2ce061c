"""`channel` and flask in processes of their own, in a folder of their own, which know none of the run's settings."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import requests

from tests import ROOT
from tests.command_line import without_ours
from tests.waiting import eventually

BARE = without_ours()


def channel(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`channel ...` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=folder, env={**BARE, "PYTHONPATH": str(ROOT), **environ}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@contextmanager
def running(folder: Path, *command: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m ...` in the foreground, ended with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=folder, env={**BARE, "PYTHONPATH": str(ROOT), **environ},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()  # SIGINT would be ignored by what a shell has started in the background
        process.communicate(timeout=30)


def first_line(process: subprocess.Popen[str]) -> Any:
    """The JSON that a command begins with."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr.read() if process.stderr else ""
    return msgspec.json.decode(line)


def errors_until(process: subprocess.Popen[str], text: str) -> str:
    """What it has written to stderr since the last look, as soon as the text is there; `communicate` gives the rest."""
    assert process.stderr is not None
    number, found = process.stderr.fileno(), bytearray()

    def is_there() -> bool:
        if select.select([number], [], [], 0)[0]:
            found.extend(os.read(number, 65536))
        return text.encode() in found

    eventually(is_there, found=found.decode)
    return found.decode()


def closed_terminal() -> signal.Signals:
    """What a command gets when its terminal is closed; SIGTERM where these tests run so that they outlive theirs."""
    return signal.SIGTERM if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else signal.SIGHUP


def answered(address: str, wanted: object = None) -> requests.Response:
    """The answer of an address, as soon as there is one, with a body such as is wanted."""
    until = time.monotonic() + 30
    while True:
        try:
            reply = requests.get(address, timeout=2)
            if wanted is None or reply.json() == wanted:
                return reply
        except requests.RequestException:
            pass
        if time.monotonic() > until:
            raise AssertionError(f"{address} gave no such answer in 30 s")
        time.sleep(0.02)
