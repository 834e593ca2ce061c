"""`channel settings`: everything that can be set, what it means, what holds now and what holds by default."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click

from app import settings as configuration
from app.channel_settings import Channel
from app.errors import SettingsFault
from app.gateways import VENDORS
from app.operations import settings_view
from app.operations.settings_view import Setting, Table
from app.settings import Settings
from app.terminal import DONE, WRONG, Column, end, json_option, print_json, print_table, warn


@click.command()
@json_option
def settings(as_json: bool) -> None:
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
    tables = [settings_view.environment(shows_values=configured is not None), *_channels(configured)]
    if as_json:
        print_json({"ok": not faults, "faults": faults, "set_aside": set_aside, "tables": tables})
    else:
        _show(tables, shows_values=not faults)
    for fault in faults:
        warn(fault)
    for fault in set_aside:
        warn(f"{fault}: this channel is set aside, the others run")
    end(WRONG if faults else DONE)


def _channels(configured: Settings | None) -> list[Table]:
    """Of configured channels, then of what could be set besides."""
    tables = settings_view.of_channels(configured.channels if configured else ())
    tables = tables or [settings_view.declared("channel", None, Channel, None)]
    for token in settings_view.unused_vendors(tables):
        try:
            tables.append(settings_view.of_vendor(token))
        except (ImportError, AttributeError) as error:
            warn(f"gateway '{token}' cannot be loaded: {error}")
    return tables


def _show(tables: list[Table], *, shows_values: bool) -> None:
    for shown in tables:
        place = "Environment" if shown.table == "environment" else f"channels.toml [{shown.table}]"
        owner = f" of channel '{shown.channel}'" if shown.channel else ""
        has_values = shows_values and any(item.value is not None for item in shown.settings)
        columns = COLUMNS if has_values else [column for column in COLUMNS if column.title != "Now"]
        print_table(place + owner, columns, shown.settings, as_lines=partial(_lines, has_values=has_values))
        click.echo()


COLUMNS: Sequence[Column[Setting]] = (
    Column("Name", lambda item: item.name),
    Column("Now", lambda item: item.value or "(empty)"),
    Column("Default", lambda item: item.default or "(empty)"),
    Column("Meaning", lambda item: item.meaning),
)


def _lines(item: Setting, *, has_values: bool) -> tuple[str, str]:
    """Where a table would break every word: a value, and its meaning below."""
    shown = (item.value if has_values else item.default) or "(empty)"
    is_changed = has_values and (item.value or "") != item.default
    return f"{item.name} = {shown}" + (f" (default {item.default or 'empty'})" if is_changed else ""), item.meaning
