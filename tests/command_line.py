"""The command line as tests use it: in the test's own process, or in one that knows none of the run's settings."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from app import cli
from app.settings import ENVIRONMENT_HELP

OURS = (*ENVIRONMENT_HELP, "DYNO")
"""The variables that a server or a command reads."""


def unset_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing that this machine sets for a server of its own decide a test."""
    for name in OURS:
        monkeypatch.delenv(name, raising=False)


def without_ours() -> dict[str, str]:
    """The environment of a process that is to know only what it is given besides."""
    return {name: value for name, value in os.environ.items() if name not in OURS}


class CommandLine:
    """`channel ...` on one database, with the channels of one text."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, database_url: str, channels: str) -> None:
        unset_ours(monkeypatch)
        self.environment = {"APP_ENV": "development", "DATABASE_URL": database_url, "CHANNELS": channels}

    def __call__(self, *args: str, **options: Any) -> Result:
        result = CliRunner().invoke(cli.cli, list(args), env=self.environment, **options)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def json(self, *args: str, exit_code: int = 0) -> Any:
        result = self(*args, "--json")
        assert result.exit_code == exit_code, result.output
        return msgspec.json.decode(result.stdout)
