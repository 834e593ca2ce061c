"""`channel ...`: one table of commands and those in the vendors' folders, each imported when it is first used.

Exit codes of every command: 0 done, 1 something failed, 2 the command line or the configuration is wrong.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, NoReturn, cast

import click

from app.cli.env_file import read_env_file
from app.errors import SettingsFault

COMMANDS = {
    "auth-key": "app.cli.auth_key:auth_key",
    "callbacks": "app.cli.callbacks:callbacks",
    "catalogue": "app.cli.facts:catalogue",
    "certify": "app.cli.certify:certify",
    "check": "app.cli.check:check",
    "db": "app.cli.db:db",
    "deliveries": "app.cli.deliveries:deliveries",
    "demo": "app.cli.demo:demo",
    "find": "app.cli.find:find",
    "forget": "app.cli.forget:forget",
    "init": "app.cli.init:init",
    "late": "app.cli.late:late",
    "new-gateway": "app.cli.new_gateway:new_gateway",
    "operations": "app.cli.operations:operations",
    "orders": "app.cli.orders:orders",
    "pause": "app.cli.pause:pause",
    "reconcile": "app.cli.reconcile:reconcile",
    "refunds": "app.cli.refunds:refunds",
    "resume": "app.cli.pause:resume",
    "sandbox": "app.cli.sandbox:sandbox",
    "send": "app.cli.send:send",
    "serve": "app.cli.serve:serve",
    "settings": "app.cli.settings:settings",
    "stock": "app.cli.facts:stock",
    "streams": "app.cli.streams:streams",
    "verify": "app.cli.verify:verify",
}

_VENDORS = Path(__file__).parents[1] / "gateways" / "vendors"

OF_VENDORS = {
    path.parent.name: f"app.gateways.vendors.{path.parent.name}.commands:commands"
    for path in _VENDORS.glob("*/commands.py")
    if path.parent.name not in COMMANDS
}
"""The commands of the vendors that have any, by token: looked up by file, so that no vendor is imported for another."""


class Commands(click.Group):
    """A command that cannot be imported stops only itself, and no fault the user can mend shows a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS | OF_VENDORS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name) or OF_VENDORS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        try:
            if cmd_name in OF_VENDORS:
                ctx.obj = importlib.import_module("app.cli.vendor_commands").VendorCommandContext()
            return cast(click.Command, getattr(importlib.import_module(module), attribute))
        except Exception as error:
            return _unloadable(cmd_name, error)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            read_env_file()
            return super().invoke(ctx)
        except SettingsFault as error:
            for fault in error.faults:
                click.echo(f"channel: {fault}", err=True)
            ctx.exit(2)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click shows these itself, and ends quietly when nobody reads on
        except Exception as error:
            # Imported only now: it knows what databases raise, and not every command uses one.
            from app.cli.faults import in_words

            if (shown := in_words(error)) is None:
                raise
            raise shown from error


def _unloadable(name: str, error: Exception) -> click.Command:
    reason = f"Cannot be loaded: {type(error).__name__}: {error}"

    def fail(**_: object) -> NoReturn:
        raise click.ClickException(f"`channel {name}`: {reason}")

    return click.Command(
        name,
        callback=fail,
        short_help=reason,
        add_help_option=False,
        params=[click.Argument(["rest"], nargs=-1)],
        context_settings={"ignore_unknown_options": True},
    )


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="retailops-channel", prog_name="channel")
def cli() -> None:
    """Run, verify and look after a RetailOps channel server.

    Every command takes --json.  Exit codes: 0 done, 1 something failed, 2 the command line or the
    configuration is wrong.
    """


def main() -> None:
    """Entry of the console script."""
    cli(prog_name="channel")
