"""The operator's command line beside a running server."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from app import cli
from app.settings import ENVIRONMENT_HELP


class CommandLine:
    """`channel ...` on one database, with the channels of one text."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, database_url: str, channels: str) -> None:
        for name in (*ENVIRONMENT_HELP, "DYNO"):
            monkeypatch.delenv(name, raising=False)
        self.environment = {"APP_ENV": "development", "DATABASE_URL": database_url, "CHANNELS": channels}

    def __call__(self, *args: str, **options: Any) -> Result:
        result = CliRunner().invoke(cli.cli, list(args), env=self.environment, **options)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def json(self, *args: str, exit_code: int = 0) -> Any:
        result = self(*args, "--json")
        assert result.exit_code == exit_code, result.output
        return msgspec.json.decode(result.stdout)
