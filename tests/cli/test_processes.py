"""The commands that run for long end calmly on a signal, and the database is upgraded without any channel."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from tests.command_line import without_ours

ROOT = Path(__file__).resolve().parents[2]
CANARY = "cAnArY0123456789"


def environment(**more: str) -> dict[str, str]:
    inherited = without_ours()
    return {**inherited, "PYTHONPATH": str(ROOT), **more}


def run(folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *args],
        cwd=folder, env=environment(**env), capture_output=True, text=True, timeout=30,
    )  # fmt: skip


@contextmanager
def running(folder: Path, *args: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """A command in the foreground, and the JSON line it begins with."""
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli", *args, "--json"],
        cwd=folder, env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            yield process, msgspec.json.decode(line)
        finally:
            process.kill()


def test_db_upgrade_needs_only_the_database_and_names_what_it_ran(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/records/channel.db"
    first = run(tmp_path, "db", "upgrade", DATABASE_URL=address)
    assert first.returncode == 0, first.stderr
    assert "ran migration 0100" in first.stdout
    again = run(tmp_path, "db", "upgrade", "--json", DATABASE_URL=address)
    assert msgspec.json.decode(again.stdout) == {"migrations": []}


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("", 2),
        ("mysql://u:{canary}@h/x", 2),
        ("postgres://u:{canary}@h:port/x", 2),
        ("postgres://u:{canary}@127.0.0.1:1/x", 1),  # nobody listens there
        ("sqlite:////dev/null/x", 2),
    ],
)
def test_db_upgrade_says_what_is_wrong_without_the_password(tmp_path: Path, address: str, status: int) -> None:
    done = run(tmp_path, "db", "upgrade", DATABASE_URL=address.format(canary=CANARY))
    assert done.returncode == status
    assert "DATABASE_URL" in done.stderr or "/dev/null" in done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert status == 2 or "nobody listens at its address" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_sandbox_tells_address_and_keys_serves_and_ends_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, "sandbox", "pipe17", "--port", "0", "--shipments", "30") as (process, shown):
        (pipe17,) = shown["sandboxes"]
        account = next(account for account in pipe17["accounts"] if account["integration_id"])
        reply = requests.get(f"{pipe17['base_url']}/shipments", headers={"X-Pipe17-Key": account["key"]}, timeout=5)
        assert reply.status_code == 200
        assert len(reply.json()["shipments"]) >= 30
        process.send_signal(number)
        assert process.wait(5) == 0


def test_p21_the_worker_ends_on_sigterm_with_exit_0(tmp_path: Path) -> None:
    env = {"APP_ENV": "development", "DATABASE_URL": f"sqlite:///{tmp_path}/channel.db"}
    with running(tmp_path, "deliveries", "work", **env) as (process, shown):
        assert shown == {"working": True, "channels": [], "threads": 16}
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(18) == 0
        assert time.monotonic() - begun < 5


def test_the_list_of_commands_is_read_in_whole_sentences(tmp_path: Path) -> None:
    listed = run(tmp_path, "--help", COLUMNS="80").stdout.partition("Commands:\n")[2]
    assert listed.count("\n") > 10
    assert "..." not in listed
