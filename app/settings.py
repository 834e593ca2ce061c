"""The only reader of the environment, which says where channels.toml is too: everything is checked once, at start.

`load()` either returns a frozen `Settings` or raises `SettingsFault` with *all* faults found, each
naming the variable or the place in the file and the rule, never a value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.channel_settings import Channel, Vendors
from app.channels_file import read_channels
from app.errors import SettingsFault
from app.options import Explained

SHORTEST_TOKEN = 24
"""Characters of a token that opens the console."""

ENVIRONMENTS = ("production", "development", "demo")


@dataclass(frozen=True)
class Settings:
    """The whole configuration of one process."""

    app_env: str = "production"
    public_url: str = ""
    database_url: str = field(default="sqlite:///instance/channel.db", repr=False)
    channels: tuple[Channel, ...] = ()
    port: int = 5000
    verify_key: bool = False
    max_body: int = 32 * 1024 * 1024
    console_token: str = field(default="", repr=False)
    console_read_token: str = field(default="", repr=False)
    docs: bool = True
    deliveries: str = "inline"
    log_level: str = "INFO"
    journal_days: int = 90
    web_concurrency: int = 2
    web_threads: int = 16
    database_connections: int = 18
    database_processes: int = 4
    """How many share those connections."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The name that people see of each key of records that is another one."""

    @property
    def connections_each(self) -> int:
        """How many connections to PostgreSQL each process may have open: its part of all, at least 2."""
        return max(2, self.database_connections // self.database_processes)

    def secrets(self) -> list[str]:
        """Every secret this process knows, so that its log can keep them out."""
        found = [self.console_token, self.console_read_token, make_url(self.database_url).password or ""]
        for channel in self.channels:
            found.extend([*channel.auth_keys, channel.console_read_token])
            for options in channel.vendors.values():
                found.extend(getattr(options, item.name) for item in fields(options) if item.metadata.get("secret"))
        return found


ENVIRONMENT_HELP = {
    "APP_ENV": "production (default; development under `flask run` and `channel serve`), development or demo.",
    "PUBLIC_URL": "Where others reach this server, with https:// and no path.",
    "DATABASE_URL": "SQLite or PostgreSQL address; production needs it set. Default sqlite:///instance/channel.db.",
    "DATABASE_CONNECTIONS": "Connections to PostgreSQL of all processes together, at least 2; leave two of those the "
    "server allows for commands and backups. Default 18.",
    "DATABASE_PROCESSES": "Processes that share them, at least 1. Default: twice the web and worker processes, for a "
    "rolling release runs old and new ones side by side; set it where there is more than one worker or machine.",
    "CHANNELS_FILE": "Path of channels.toml. Default: channels.toml beside the process.",
    "CHANNELS": "The text of channels.toml itself; wins over CHANNELS_FILE.",
    "PORT": "Port to listen on. Default 5000.",
    "VERIFY_KEY": "on or off: accept the SDK's public test key as a dry run. Default on outside production.",
    "MAX_BODY": "Largest request body in bytes, counted after inflating. Default 33554432. A body above 1 MiB "
    "may hold one JSON value for each 11 bytes of this.",
    "CONSOLE_TOKEN": "Secret for /metrics and the operator's pages, at least 24 characters; without it they do not "
    "exist.",
    "CONSOLE_READ_TOKEN": "Another one that shows the same and carries out no act.",
    "DOCS": "on (default) or off: the documentation at /docs, which is public and holds nothing of this installation.",
    "DELIVERIES": "inline (default): the web process delivers; worker: only `channel deliveries work` does.",
    "LOG_LEVEL": "DEBUG, INFO (default), WARNING or ERROR.",
    "JOURNAL_DAYS": "How many days the journal and dismissed late news are kept. Default 90.",
    "WEB_CONCURRENCY": "Web worker processes, at least 1. Default 2.",
    "WEB_THREADS": "Threads in each web process, at least 2. Default 16.",
}

SECRET_VARIABLES = frozenset({"DATABASE_URL", "CHANNELS", "CONSOLE_TOKEN", "CONSOLE_READ_TOKEN"})
"""Variables that are, or may hold, a secret; they are shown only as set or not set."""


def explain_environment(environ: Mapping[str, str] | None = None) -> list[Explained]:
    """Every variable with its meaning and the value that holds; an empty `environ` gives the defaults."""
    env = os.environ if environ is None else environ
    defaults = {item.name.upper(): str(item.default) for item in fields(Settings)}
    defaults["DOCS"] = "on"
    defaults["CHANNELS_FILE"] = "channels.toml"
    defaults["DATABASE_PROCESSES"] = "twice the web and worker processes"
    defaults["VERIFY_KEY"] = "off" if env.get("APP_ENV", _usual_environment(env)) == "production" else "on"
    shown = []
    for name, meaning in ENVIRONMENT_HELP.items():
        given = env.get(name)
        if name in SECRET_VARIABLES:
            given = "set" if given else "not set"
        shown.append(Explained(name, meaning, given or defaults[name]))
    return shown


def load_database_url(environ: Mapping[str, str] | None = None) -> str:
    """Where the database is, for commands that need no channel.  Raises `SettingsFault`."""
    env = os.environ if environ is None else environ
    faults: list[str] = []
    app_env = _one_of(env, "APP_ENV", ENVIRONMENTS, _usual_environment(env), faults)
    is_production = app_env == "production" and not faults
    address = _database_url(env, is_production, faults)
    if faults:
        raise SettingsFault(faults)
    return address


def load(environ: Mapping[str, str] | None = None, *, vendors: Vendors) -> Settings:
    """Read the environment (the process's own unless given) and channels.toml, whose gateways are among `vendors`.

    Raises `SettingsFault` with every fault found.
    """
    env = os.environ if environ is None else environ
    faults: list[str] = []
    app_env = _one_of(env, "APP_ENV", ENVIRONMENTS, _usual_environment(env), faults)
    is_production = app_env == "production" and not faults
    deliveries = _one_of(env, "DELIVERIES", ("inline", "worker"), "inline", faults)
    web_concurrency = _whole(env, "WEB_CONCURRENCY", 2, 1, 64, faults)
    processes = web_concurrency + (deliveries == "worker")
    settings = Settings(
        app_env=app_env,
        public_url=_public_url(env, faults),
        database_url=_database_url(env, is_production, faults),
        channels=_channels(env, is_production, vendors, faults),
        port=_whole(env, "PORT", 5000, 1, 65535, faults),
        verify_key=_one_of(env, "VERIFY_KEY", ("on", "off"), "off" if is_production else "on", faults) == "on",
        max_body=_whole(env, "MAX_BODY", 32 * 1024 * 1024, 1024, 1024**3, faults),
        console_token=env.get("CONSOLE_TOKEN", ""),
        console_read_token=env.get("CONSOLE_READ_TOKEN", ""),
        docs=_one_of(env, "DOCS", ("on", "off"), "on", faults) == "on",
        deliveries=deliveries,
        log_level=_one_of(env, "LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", faults),
        journal_days=_whole(env, "JOURNAL_DAYS", 90, 1, 3650, faults),
        web_concurrency=web_concurrency,
        web_threads=_whole(env, "WEB_THREADS", 16, 2, 256, faults),
        database_connections=_whole(env, "DATABASE_CONNECTIONS", 18, 2, 10_000, faults),
        database_processes=_whole(env, "DATABASE_PROCESSES", 2 * processes, 1, 1_000, faults),
    )
    faults.extend(_token_faults(settings))
    if faults:
        raise SettingsFault(faults)
    return settings


def _token_faults(settings: Settings) -> list[str]:
    """Tokens that could be guessed, or that would not say who came in."""
    owners = {settings.console_token: "CONSOLE_TOKEN"}
    tokens = {"CONSOLE_READ_TOKEN": settings.console_read_token}
    tokens |= {
        f"channel '{channel.name}'.console_read_token": channel.console_read_token for channel in settings.channels
    }
    faults: list[str] = []
    for place, token in {"CONSOLE_TOKEN": settings.console_token, **tokens}.items():
        if token and (len(token) < SHORTEST_TOKEN or not re.fullmatch(r"[\x21-\x7e]+", token)):
            faults.append(f"{place}: must have at least {SHORTEST_TOKEN} characters, printable ASCII without blanks")
    for place, token in tokens.items():
        if token and not settings.console_token:
            faults.append(f"{place}: is of no use without CONSOLE_TOKEN, for then there is no console")
        elif token and (owner := owners.setdefault(token, place)) != place:
            faults.append(f"{place}: must not be the same as {owner}")
    return faults


def is_mounted() -> bool:
    """True when `SCRIPT_NAME` says, as gunicorn understands it, below which address this server stands."""
    return bool(os.environ.get("SCRIPT_NAME"))


def runs_under_flask(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this is flask's own server for development, `flask --app app run`, which no host runs."""
    env = os.environ if environ is None else environ
    return env.get("FLASK_RUN_FROM_CLI") == "true"


def _usual_environment(env: Mapping[str, str]) -> str:
    return "development" if runs_under_flask(env) else "production"


def _one_of(env: Mapping[str, str], name: str, words: tuple[str, ...], default: str, faults: list[str]) -> str:
    value = env.get(name, default)
    if value not in words:
        faults.append(f"{name}: must be one of {', '.join(words)}")
        return default
    return value


def _whole(env: Mapping[str, str], name: str, default: int, low: int, high: int, faults: list[str]) -> int:
    value = env.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,12}", value) or not low <= int(value) <= high:
        faults.append(f"{name}: must be a whole number from {low} to {high}")
        return default
    return int(value)


def _public_url(env: Mapping[str, str], faults: list[str]) -> str:
    value = env.get("PUBLIC_URL", "").rstrip("/")
    if value and not _is_origin(value):
        faults.append("PUBLIC_URL: must be http(s)://host[:port] without path, user or password")
    return value


def _is_origin(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    is_web = parts.scheme in ("http", "https") and bool(host) and parts.username is None
    return is_web and not re.search(r"[\s\\?#]", address) and not parts.path


def _database_url(env: Mapping[str, str], is_production: bool, faults: list[str]) -> str:
    value = env.get("DATABASE_URL", "")
    if not value:
        if is_production:
            faults.append("DATABASE_URL: production needs it set explicitly; see /docs/howto/anywhere")
        value = "sqlite:///instance/channel.db"
    # Heroku hands out the historical scheme; SQLAlchemy wants the dialect and the driver.
    value = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", value)
    if not value.startswith(("sqlite:///", "postgresql+psycopg://")):
        faults.append("DATABASE_URL: must begin with sqlite:///, postgres:// or postgresql://")
    try:
        address = make_url(value)
    except (ArgumentError, ValueError):
        faults.append("DATABASE_URL: cannot be read as a database address")
    else:
        if value.startswith("sqlite:") and _is_in_memory(address):
            faults.append("DATABASE_URL: must name a file; in memory every connection would have its own database")
    if value.startswith("sqlite:") and env.get("DYNO"):
        faults.append("DATABASE_URL: a dyno's disk vanishes at every restart, so SQLite cannot be used there")
    return value


def _is_in_memory(address: URL) -> bool:
    path = address.database or ""
    return not path or ":memory:" in path or "memory" in address.query.get("mode", "")


def channels_file(environ: Mapping[str, str] | None = None) -> Path:
    """Where the channels are read from, unless the variable CHANNELS holds their text."""
    env = os.environ if environ is None else environ
    return Path(env.get("CHANNELS_FILE") or "channels.toml")


def _channels(env: Mapping[str, str], is_production: bool, vendors: Vendors, faults: list[str]) -> tuple[Channel, ...]:
    place, text = _channels_text(env, is_production, faults)
    return () if text is None else read_channels(text, place, env, vendors, faults)


def _channels_text(env: Mapping[str, str], is_production: bool, faults: list[str]) -> tuple[str, str | None]:
    if env.get("CHANNELS"):
        return "CHANNELS", env["CHANNELS"]
    path = channels_file(env)
    try:
        return path.name, path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if is_production or env.get("CHANNELS_FILE"):
            faults.append(f"{path}: no such file; set CHANNELS_FILE or CHANNELS")
    except UnicodeDecodeError:
        faults.append(f"{path}: is no text in UTF-8")
    except OSError as error:
        faults.append(f"{path}: cannot be read: {error.strerror}")
    return path.name, None
