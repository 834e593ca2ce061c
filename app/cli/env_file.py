"""The environment of a command: that of its process, and what `.env` of its folder adds, which gunicorn never reads."""

from __future__ import annotations

import os
from pathlib import Path

from dotenv import dotenv_values

from app.errors import SettingsFault

ENV_FILE = Path(".env")

_from_file: set[str] = set()


def read_env_file() -> None:
    """Set the variables that `.env` names and the environment lacks; what the environment has stays.

    Read again, what came from the file before is replaced.  Raises `SettingsFault` when it cannot be read.
    """
    try:
        values = dotenv_values(ENV_FILE, interpolate=False, encoding="utf-8-sig") if ENV_FILE.exists() else {}
    except UnicodeDecodeError as error:
        raise SettingsFault([f"{ENV_FILE}: is no text in UTF-8"]) from error
    except OSError as error:
        raise SettingsFault([f"{ENV_FILE}: cannot be read: {error.strerror}"]) from error
    for name in _from_file:
        os.environ.pop(name, None)
    _from_file.clear()
    for name, value in values.items():
        if value is not None and name not in os.environ:
            os.environ[name] = value
            _from_file.add(name)


def set_variable(name: str, value: str, *, overrides: bool = False) -> None:
    """A variable for this process and those it starts; only where it is not set, unless it overrides."""
    if overrides or name not in os.environ:
        os.environ[name] = value
        _from_file.discard(name)
