"""`channel settings`: everything that can be set, what it means, what holds now and what holds by default."""

from __future__ import annotations

import dataclasses
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.padding import Padding

from app import gateways
from app import settings as configuration
from app.errors import SettingsFault
from app.gateways import VENDORS
from app.options import Explained, explain, has_default
from app.settings import Channel, Settings
from app.terminal import console, is_wide, json_option, new_table, print_json


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


@click.command(short_help="Show every setting, its meaning and its present value.")
@json_option
@click.pass_context
def settings(ctx: click.Context, as_json: bool) -> None:
    """Show every setting: its meaning, its present value and its default.

    Secrets show only as set or not set.  When the configuration has faults, all of them go to standard
    error, no value is shown, and the exit code is 2.  A fault that stops one channel alone is named there too.
    """
    configured: Settings | None = None
    faults: list[str] = []
    try:
        configured = configuration.load(vendors=VENDORS)
    except SettingsFault as error:
        faults = error.faults
    except ImportError as error:
        faults = [f"channels.toml: a gateway it names cannot be loaded: {error}"]
    set_aside = [fault for channel in (configured.channels if configured else ()) for fault in channel.set_aside]
    tables = [_environment(configured is not None), *_channels(configured)]
    if as_json:
        print_json({"ok": not faults, "faults": faults, "set_aside": set_aside, "tables": tables})
    else:
        _show(tables, shows_values=not faults)
    for fault in faults:
        click.echo(f"channel: {fault}", err=True)
    for fault in set_aside:
        click.echo(f"channel: {fault}: this channel is set aside, the others run", err=True)
    ctx.exit(2 if faults else 0)


def _environment(is_sound: bool) -> Table:
    present, defaults = configuration.explain_environment(), configuration.explain_environment({})
    return Table("environment", None, _rows(present if is_sound else None, defaults))


def _channels(configured: Settings | None) -> list[Table]:
    tables: list[Table] = []
    unused = dict.fromkeys(gateways.REGISTRY)
    for channel in configured.channels if configured else ():
        tables.append(_declared("channel", channel.name, Channel, channel))
        for token, options in channel.vendors.items():
            tables.append(_declared(f"channel.{token}", channel.name, type(options), options))
            unused.pop(token, None)
    if not tables:
        tables.append(_declared("channel", None, Channel, None))
    for token in unused:
        try:
            tables.append(_declared(f"channel.{token}", None, VENDORS[token].options, None))
        except (ImportError, AttributeError) as error:
            click.echo(f"channel: gateway '{token}' cannot be loaded: {error}", err=True)
    return tables


def _declared(table: str, channel: str | None, declared: type[Any], options: Any) -> Table:
    required = {item.name for item in dataclasses.fields(declared) if not has_default(item)}
    defaults = [
        dataclasses.replace(item, value="(required)") if item.name in required else item
        for item in explain(declared, None)
    ]
    present = explain(declared, options) if options is not None else None
    return Table(table, channel, _rows(present, defaults))


def _rows(present: list[Explained] | None, defaults: list[Explained]) -> list[Setting]:
    values = [item.value for item in present] if present is not None else [None] * len(defaults)
    return [Setting(item.name, item.help, value, item.value) for item, value in zip(defaults, values, strict=True)]


def _show(tables: list[Table], *, shows_values: bool) -> None:
    out = console()
    for shown in tables:
        place = "Environment" if shown.table == "environment" else f"channels.toml [{shown.table}]"
        owner = f" of channel '{shown.channel}'" if shown.channel else ""
        has_values = shows_values and any(item.value is not None for item in shown.settings)
        if not is_wide(out):
            _show_narrow(out, place + owner, shown.settings, has_values=has_values)
            continue
        columns = ("Name", "Now", "Default", "Meaning") if has_values else ("Name", "Default", "Meaning")
        rows = new_table(place + owner, *columns)
        for item in shown.settings:
            now = [item.value or "(empty)"] if has_values else []
            rows.add_row(item.name, *now, item.default or "(empty)", item.meaning)
        out.print(rows)
        out.print()


def _show_narrow(out: Console, title: str, settings: list[Setting], *, has_values: bool) -> None:
    """A line for each value and its meaning below, where a table would break every word."""
    out.print(title, style="bold")
    for item in settings:
        default = item.default or "(empty)"
        now = item.value or "(empty)"
        said = default if not has_values else now if now == default else f"{now} (default {default})"
        out.print(f"{item.name} = {said}", soft_wrap=True)
        out.print(Padding(item.meaning, (0, 0, 0, 4)))
    out.print()
