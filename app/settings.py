"""The only reader of the environment and of channels.toml: everything is checked here, once, at start.

`load()` either returns a frozen `Settings` or raises `SettingsFault` with *all* faults found, each
naming the variable or the place in the file and the rule, never a value.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import marshmallow.fields as mf
import marshmallow.validate as mv
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.domain.spellings import NOT_SOLD
from app.domain.stock_levels import StockFrom
from app.errors import SettingsFault
from app.options import Explained, OneOrMore, option, read_table, switch

TEST_KEY = "RETAILOPS_SDK"
"""The SDK verifier's public test key (R2)."""

SHORTEST_TOKEN = 24
"""Characters of a token that opens the console."""

SHORTEST_KEY, LONGEST_KEY = 8, 256
"""Characters.  Shorter keys could be guessed, and could not be kept out of the log without hiding ordinary words."""

FIXTURE_PAIRS = frozenset({(497, 21), (0, 0)})
"""(client_id, channel id) of the SDK's fixtures, which certification sends with the production key (R4)."""

ENVIRONMENTS = ("production", "development", "demo")

CATALOG_PATHS = (
    "sku", "parent_sku", "title", "description", "vendor", "price", "sale_price", "currency", "images", "url",
    "categories", "options", "requires_shipping", "taxable", "enabled", "weight",
)  # fmt: skip


class VendorSettings(Protocol):
    """How the settings of one vendor are declared and judged; `gateways.vendor.Vendor` says what each part means."""

    @property
    def options(self) -> type[Any]: ...

    def faults(self, options: Any) -> list[str]: ...

    def brings_orders(self, options: Any) -> bool: ...

    def not_carried(self, options: Any) -> list[str]: ...

    def account_marks(self, options: Any) -> list[Any]: ...


Vendors = Mapping[str, VendorSettings]
"""By token.  A vendor is imported when it is taken out, which may raise `ImportError`."""


@dataclass(frozen=True)
class Channel:
    """One RetailOps channel: who it is, which keys may call it, where its orders and facts go."""

    name: str = option(
        mf.String(validate=mv.Regexp(r"^[a-z0-9][a-z0-9-]{0,62}$")),
        "Name of the channel in commands, addresses and logs: lower-case letters, digits, hyphens.",
    )
    client_id: int = option(mf.Integer(strict=True), "RetailOps' client_id, the account number.")
    channel_id: int = option(mf.Integer(strict=True), "RetailOps' channel_info.id.")
    auth_keys: tuple[str, ...] = option(
        mf.List(mf.String(), validate=mv.Length(min=1, max=2)),
        "One or two live keys of RetailOps for this channel; two while a key is being replaced.",
        secret=True,
    )
    gateways: tuple[str, ...] = option(
        mf.List(mf.String(), validate=mv.Length(min=1)), "Vendors this channel talks to, in order."
    )
    sku_fanout: str = option(
        mf.String(validate=mv.OneOf(["no_fanout", "related_skus"])),
        "Answer of catalog_get_config: whether RetailOps pushes related SKUs along with a changed one.",
        default="no_fanout",
    )
    restate: str = option(
        mf.String(validate=mv.OneOf(["all", "changed"])),
        "Which stock is sent when RetailOps states it again: all of it, for a vendor's stock moves by itself, or only "
        "what changed, was refused or was never sent.",
        default="all",
    )
    refunds_paid_by: str = option(
        mf.String(validate=mv.OneOf(["order_returned", "payment_credit"])),
        "Which callback pays for a return where RetailOps may send both; the other one only records it.",
        default="order_returned",
    )
    credit_repeat_hours: float = option(
        mf.Float(validate=mv.Range(min=1, max=24 * 366)),
        "How long payment_credit with the same amount and parents counts as the same request, in hours.",
        default=24.0,
    )
    allow_fixture_pair: bool = option(
        switch(),
        "Allow the SDK fixtures' pairs 497/21 and 0/0, which certification sends with the real key.",
        default=False,
    )
    shop_url: str = option(
        mf.String(validate=mv.Regexp(r"^(https?://[^\s\\/?#]+\S*)?\Z", error="must begin with https:// or http://")),
        "Address of the shop; relative addresses of pages and pictures in the catalogue are joined to it.",
        default="",
    )
    stock_from: StockFrom = option(
        mf.String(validate=mv.OneOf(["", "top", "details"])),
        "Which stock counts for vendors that are sent one figure a SKU (Rally, Retail Rocket) where RetailOps' "
        "quantity_available (top) and the sum of its quantity_detail rows (details) disagree. Empty: the lower of the "
        "two. A vendor that is sent stock by location always gets the details.",
        default="",
    )
    count_external_stock: bool = option(
        switch(),
        "Whether units of other vendors (quantity_type external) count when the details are added up, as they do in "
        "quantity_available.",
        default=True,
    )
    former_name: tuple[str, ...] = option(
        OneOrMore(mf.String(validate=mv.Regexp(r"^[a-z0-9][a-z0-9-]{0,62}(~[0-9]+)?\Z"))),
        "Name or names this channel had before: its records go on under the new name.  May stay for good.",
        default=(),
    )
    former_account: tuple[str, ...] = option(
        OneOrMore(mf.String(validate=mv.Length(min=1, max=255))),
        "Account or accounts that stood under this name before and are another one now: Rally's organization_id, "
        "Pipe17's integration_id (of a bare key what `channel check` shows), Retail Rocket's partner_id, or "
        '"client_id/channel_id" of RetailOps.  What was kept of them is kept apart, and the new one is sent '
        "everything.  May stay for good.",
        default=(),
    )
    not_sold_words: tuple[str, ...] = option(
        mf.List(mf.String(validate=mv.Length(min=1))),
        "Words at `enabled` of a catalogue record that mean: not sold, in any case, beside false, no, 0, off, inactive "
        "and disabled.  A word that means neither is an error and changes nothing.",
        default=NOT_SOLD,
    )
    catalog: Mapping[str, str] = option(
        mf.Dict(keys=mf.String(validate=mv.OneOf(CATALOG_PATHS)), values=mf.String()),
        "Where catalog_push's template_output keeps each product field, as dotted paths.",
        default=dict,
    )
    console_read_token: str = option(
        mf.String(),
        "Token that shows this channel alone in the console, without any act; at least 24 characters. Empty: none.",
        default="",
        secret=True,
    )
    vendors: Mapping[str, Any] = field(default_factory=dict)
    """Options of each gateway by vendor token, as that vendor declares them."""
    order_source: str = ""
    """The gateway that brings its orders, "" for none (R17)."""
    set_aside: tuple[str, ...] = ()
    """Faults that stop this channel alone: place and rule (R35).  Its callbacks are answered 503, its hooks are
    refused and its deliveries wait; the other channels run."""
    record_key: str = ""
    """The key of its records where that is not its name (`channel.registration` finds it)."""

    @property
    def key(self) -> str:
        """What its records hang on: it stays when the name changes, and changes with the account (R35).

        People see `name`; everything that is kept, locked or owed has this.
        """
        return self.record_key or self.name

    @property
    def pair(self) -> tuple[int, int]:
        """(client_id, channel_info.id), which RetailOps sends with every callback."""
        return self.client_id, self.channel_id


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
    is_production = _one_of(env, "APP_ENV", ENVIRONMENTS, _usual_environment(env), faults) == "production"
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
    is_production = app_env == "production"
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
    if value:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
            faults.append("PUBLIC_URL: must be http(s)://host[:port] without a path")
    return value


def _database_url(env: Mapping[str, str], is_production: bool, faults: list[str]) -> str:
    value = env.get("DATABASE_URL", "")
    if not value:
        if is_production:
            faults.append("DATABASE_URL: production needs it set explicitly; see README, Deploy")
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


def _channels(env: Mapping[str, str], is_production: bool, vendors: Vendors, faults: list[str]) -> tuple[Channel, ...]:
    place, text = _channels_text(env, is_production, faults)
    if text is None:
        return ()
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        faults.append(f"{place}: not TOML: {error}")
        return ()
    tables = document.pop("channel", [])
    faults.extend(f"{place}: unknown top-level key '{key}'; only [[channel]] is known" for key in document)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        faults.append(f"{place}: channels are written as [[channel]] tables")
        return ()
    channels = [
        channel
        for position, table in enumerate(tables, 1)
        if (channel := _channel(table, position, place, env, vendors, faults)) is not None
    ]
    faults.extend(_collisions(channels, place, vendors))
    return tuple(channels)


def channels_file(environ: Mapping[str, str] | None = None) -> Path:
    """Where the channels are read from, unless the variable CHANNELS holds their text."""
    env = os.environ if environ is None else environ
    return Path(env.get("CHANNELS_FILE") or "channels.toml")


def _channels_text(env: Mapping[str, str], is_production: bool, faults: list[str]) -> tuple[str, str | None]:
    if env.get("CHANNELS"):
        return "CHANNELS", env["CHANNELS"]
    path = channels_file(env)
    try:
        return path.name, path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if is_production or env.get("CHANNELS_FILE"):
            faults.append(f"{path.name}: no such file; set CHANNELS_FILE or CHANNELS")
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{path.name}: cannot be read: {type(error).__name__}")
    return path.name, None


def _channel(
    table: dict[str, Any], position: int, place: str, env: Mapping[str, str], vendors: Vendors, faults: list[str]
) -> Channel | None:
    name = table.get("name")
    here = f"{place}: channel '{name}'" if isinstance(name, str) else f"{place}: channel number {position}"
    found: list[str] = []
    table = _expanded(table, here, env, found)
    own = {key: value for key, value in table.items() if key not in vendors}
    channel = read_table(Channel, own, here, found)
    if channel is not None:
        found.extend(f"{here}.auth_keys: {rule}" for key in channel.auth_keys for rule in key_rules(key))
        if channel.pair in FIXTURE_PAIRS and not channel.allow_fixture_pair:
            found.append(
                f"{here}: client_id and channel_id are those of the SDK's fixtures, which certification sends with "
                "the real key; use the real numbers or set allow_fixture_pair = true"
            )
    tables = _vendor_tables(table, here, vendors, found)
    faults.extend(found)
    if found or channel is None:
        return None
    return replace(
        channel,
        auth_keys=tuple(channel.auth_keys),
        gateways=tuple(channel.gateways),
        former_name=tuple(dict.fromkeys(channel.former_name)),
        former_account=tuple(dict.fromkeys(channel.former_account)),
        not_sold_words=tuple(" ".join(word.split()).casefold() for word in channel.not_sold_words),
        vendors=tables,
        order_source=next((token for token, options in tables.items() if vendors[token].brings_orders(options)), ""),
        set_aside=tuple(_not_carried(tables, here, vendors)),
    )


def _not_carried(tables: Mapping[str, Any], here: str, vendors: Vendors) -> Iterator[str]:
    """Settings of the order source that make orders RetailOps can never take (R33)."""
    for token, options in tables.items():
        vendor = vendors[token]
        if vendor.brings_orders(options):
            yield from (f"{here}.{token}.{rule}" for rule in vendor.not_carried(options))


def _vendor_tables(table: Mapping[str, Any], here: str, vendors: Vendors, faults: list[str]) -> dict[str, Any]:
    """The options of every gateway the channel names, even where the channel's own keys are at fault."""
    named = table.get("gateways")
    tokens = [token for token in named if isinstance(token, str)] if isinstance(named, list) else []
    tables: dict[str, Any] = {}
    sources: list[str] = []
    if len(set(tokens)) < len(tokens):
        faults.append(f"{here}.gateways: a gateway is named twice")
    for token in dict.fromkeys(tokens):
        if token not in vendors:
            faults.append(f"{here}.gateways: unknown gateway '{token}'; known: {', '.join(vendors)}")
            continue
        try:
            vendor = vendors[token]
        except ImportError as error:
            faults.append(f"{here}.gateways: gateway '{token}' cannot be loaded: {type(error).__name__}")
            continue
        given = table.get(token, {})
        options = read_table(vendor.options, given, f"{here}.{token}", faults) if isinstance(given, dict) else None
        if options is None:
            continue
        tables[token] = options
        faults.extend(f"{here}.{token}: {rule}" for rule in vendor.faults(options))
        if vendor.brings_orders(options):
            sources.append(token)
    if len(sources) > 1:
        faults.append(
            f"{here}.gateways: {' and '.join(sources)} both bring orders; one order source per channel "
            "(set orders = false in the other's table)"
        )
    for token in vendors:
        if token in table and token not in tokens:
            faults.append(f"{here}: table '{token}' is given but gateways does not name it")
        elif token in table and not isinstance(table[token], dict):
            faults.append(f"{here}.{token}: must be a table")
    return tables


def _expanded(value: Any, here: str, env: Mapping[str, str], faults: list[str]) -> Any:
    """`${NAME}` in any text of the table becomes the variable; a missing one is a fault."""
    if isinstance(value, dict):
        return {key: _expanded(item, here, env, faults) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, here, env, faults) for item in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        name = match.group(1)
        if not env.get(name):
            faults.append(f"{here} names ${{{name}}}, which is not set")
        return env.get(name, "")

    return re.sub(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", variable, value)


def key_rules(key: str) -> list[str]:
    """The rules a key breaks, none if RetailOps can carry it: it takes back what follows the last underscore
    (SDK contract 1.3)."""
    rules = []
    if key == TEST_KEY:
        rules.append("the SDK's public test key can never be a channel's key")
    elif "_" in key:
        rules.append("a key must not contain an underscore; RetailOps would cut it there")
    if len(key) < SHORTEST_KEY:
        rules.append(f"a key must have at least {SHORTEST_KEY} characters; the SDK's generator makes 32")
    if len(key) > LONGEST_KEY:
        rules.append(f"a key must have at most {LONGEST_KEY} characters")
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        rules.append("a key must be printable ASCII without blanks")
    return rules


def _collisions(channels: list[Channel], place: str, vendors: Vendors) -> list[str]:
    """R5: whatever says which channel or account is meant must say it once."""
    faults = []
    owners: dict[tuple[str, Any], Channel] = {}
    for channel in channels:
        marks: list[tuple[str, Any]] = [("name", channel.name), ("client_id and channel_id", channel.pair)]
        for token, options in channel.vendors.items():
            marks.extend((f"{token} account", mark) for mark in vendors[token].account_marks(options))
        for kind, mark in dict.fromkeys(marks):
            other = owners.setdefault((kind, mark), channel)
            if other is not channel:
                faults.append(f"{place}: channels '{other.name}' and '{channel.name}' have the same {kind}")
    former: dict[str, Channel] = {}
    names = {channel.name for channel in channels}
    for channel in channels:
        for name in channel.former_name:
            here = f"{place}: channel '{channel.name}'.former_name"
            if name in names:
                faults.append(f"{here}: '{name}' is the name of a channel now; it cannot be a former one as well")
            if former.setdefault(name, channel) is not channel:
                faults.append(f"{here}: '{name}' is also a former name of channel '{former[name].name}'")
    return sorted(set(faults))
