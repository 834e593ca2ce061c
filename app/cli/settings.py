"""`channel settings`: everything that can be set, what it means, what holds now and what holds by default."""

from __future__ import annotations

import click
from rich.console import Console
from rich.padding import Padding

from app import settings as configuration
from app.channel_settings import Channel
from app.errors import SettingsFault
from app.gateways import VENDORS
from app.operations import settings_view
from app.operations.settings_view import Setting, Table
from app.settings import Settings
from app.terminal import console, is_wide, json_option, new_table, print_json


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
    tables = [settings_view.environment(shows_values=configured is not None), *_channels(configured)]
    if as_json:
        print_json({"ok": not faults, "faults": faults, "set_aside": set_aside, "tables": tables})
    else:
        _show(tables, shows_values=not faults)
    for fault in faults:
        click.echo(f"channel: {fault}", err=True)
    for fault in set_aside:
        click.echo(f"channel: {fault}: this channel is set aside, the others run", err=True)
    ctx.exit(2 if faults else 0)


def _channels(configured: Settings | None) -> list[Table]:
    """Of configured channels, then of what could be set besides."""
    tables = settings_view.of_channels(configured.channels if configured else ())
    tables = tables or [settings_view.declared("channel", None, Channel, None)]
    for token in settings_view.unused_vendors(tables):
        try:
            tables.append(settings_view.of_vendor(token))
        except (ImportError, AttributeError) as error:
            click.echo(f"channel: gateway '{token}' cannot be loaded: {error}", err=True)
    return tables


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
