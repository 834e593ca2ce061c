"""Every setting as it may be shown: its meaning, what holds now and by default; secrets as set or not set."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import msgspec

from app import gateways
from app import settings as configuration
from app.channel_settings import Channel
from app.gateways import VENDORS
from app.operations.scope import Scope
from app.options import Explained, explain, has_default
from app.settings import Settings


class Setting(msgspec.Struct, frozen=True):
    """One row.  `value` is None where nothing is configured; a secret is only ever set or not set."""

    name: str
    meaning: str
    value: str | None
    default: str


class Table(msgspec.Struct, frozen=True):
    """The settings of one place: `environment`, `channel`, or `channel.<vendor>` of the channel named."""

    table: str
    channel: str | None
    settings: list[Setting]


def environment(*, shows_values: bool = True) -> Table:
    """What the environment of this process sets; without values where the configuration has faults."""
    present, defaults = configuration.explain_environment(), configuration.explain_environment({})
    return Table("environment", None, _rows(present if shows_values else None, defaults))


def of_channels(channels: Iterable[Channel]) -> list[Table]:
    """What channels.toml sets of these channels, and of their vendors."""
    tables: list[Table] = []
    for channel in channels:
        tables.append(declared("channel", channel.name, Channel, channel))
        tables += [
            declared(f"channel.{token}", channel.name, type(options), options)
            for token, options in channel.vendors.items()
        ]
    return tables


def of_vendor(token: str) -> Table:
    """What could be set of a vendor that no channel has.  Raises `ImportError` where its gateway cannot be loaded."""
    return declared(f"channel.{token}", None, VENDORS[token].options, None)


def unused_vendors(tables: Iterable[Table]) -> list[str]:
    """Vendors that none of these tables is about."""
    used = {table.table.removeprefix("channel.") for table in tables}
    return [token for token in gateways.REGISTRY if token not in used]


def shown(configured: Settings, scope: Scope) -> list[Table]:
    """All tables that a reader may see; the environment is for those who see all channels."""
    channels = [channel for channel in configured.channels if scope.sees(channel.key)]
    return [*([environment()] if scope.keys is None else []), *of_channels(channels)]


def declared(table: str, channel: str | None, kind: type[Any], options: Any) -> Table:
    """The settings that a class declares, with the values of its instance where there is one."""
    required = {item.name for item in dataclasses.fields(kind) if not has_default(item)}
    defaults = [
        dataclasses.replace(item, value="(required)") if item.name in required else item for item in explain(kind, None)
    ]
    present = explain(kind, options) if options is not None else None
    return Table(table, channel, _rows(present, defaults))


def _rows(present: list[Explained] | None, defaults: list[Explained]) -> list[Setting]:
    values = [item.value for item in present] if present is not None else [None] * len(defaults)
    return [Setting(item.name, item.help, value, item.value) for item, value in zip(defaults, values, strict=True)]
