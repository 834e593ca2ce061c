"""The group of all commands: its list, its version, commands that cannot be loaded, and other systems."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from app import cli
from tests import ROOT
from tests.cli.processes import BARE, channel


def test_version_is_that_of_the_distribution(tmp_path: Path) -> None:
    assert channel(tmp_path, "--version").stdout == f"channel, version {version('retailops-channel')}\n"


def test_a_vendor_whose_commands_cannot_be_read_stops_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.OF_VENDORS, "acme", "app.gateways.vendors.acme.commands:commands")
    shown = CliRunner().invoke(cli.cli, ["--help"])
    assert shown.exit_code == 0 and "Cannot be loaded: FileNotFoundError" in shown.output, shown.output
    assert {"verify", "rally"} <= {line.split()[0] for line in shown.output.splitlines() if line.startswith("  ")}
    used = CliRunner().invoke(cli.cli, ["acme"])
    assert used.exit_code == 1 and "Cannot be loaded: ModuleNotFoundError" in used.output, used.output


ELSEWHERE = """
import importlib.abc, os, sys
POSIX = {"fcntl", "grp", "pwd", "resource", "termios"}
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in POSIX:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
for name in POSIX:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())
for name in ("fork", "getuid", "geteuid"):
    delattr(os, name)
from app.cli import main
main()
"""


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("verify", "-base-url", "http://127.0.0.1:9/api/channel", "-actions", "order_cancel"), 1),
        (("send", "order_cancel", "--key", "test", "--to", "http://127.0.0.1:9", "--yes"), 1),
        (("auth-key", "generate"), 0),
        (("auth-key", "show"), 0),
        (("certify", "--help"), 0),
        (("db", "upgrade"), 2),
        (("serve",), 2),
    ],
)
def test_what_needs_no_server_runs_where_python_runs(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    if command == ("auth-key", "show"):
        assert channel(tmp_path, "auth-key", "generate", HOME=str(tmp_path)).returncode == 0
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *command],
        cwd=tmp_path, env={**BARE, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "APP_ENV": "development"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert ("need a POSIX system" in done.stderr) == (command[0] in ("db", "serve"))


def _all(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """A command and those below it, each with its place."""
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _all(below, click.Context(below, context, name, terminal_width=80))


def test_every_list_of_commands_is_read_in_whole_sentences_and_all_but_serve_take_json() -> None:
    found = list(_all(cli.cli, click.Context(cli.cli, info_name="channel", terminal_width=80)))
    lists = [command.get_help(context).partition("Commands:\n")[2] for command, context in found]
    assert len([listed for listed in lists if listed]) > 15
    assert [listed for listed in lists if "..." in listed] == []
    without_json = {
        context.command_path
        for command, context in found
        if not isinstance(command, click.Group) and "as_json" not in {param.name for param in command.params}
    }
    assert without_json == {"channel serve"}


def test_a_command_that_cannot_be_loaded_stops_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "demo", ("app.cli.nowhere:demo", "Play a whole order life."))
    runner = CliRunner()
    overview = runner.invoke(cli.cli, ["--help"])
    assert overview.exit_code == 0
    assert all(name in overview.output for name in cli.COMMANDS)
    broken = runner.invoke(cli.cli, ["demo", "--once"])
    assert (broken.exit_code, broken.exception.__class__) == (1, SystemExit)
    assert "app.cli.nowhere" in broken.stderr
    monkeypatch.setenv("APP_ENV", "development")
    assert runner.invoke(cli.cli, ["settings"]).exit_code == 0
