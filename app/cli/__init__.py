"""`channel ...`: one table of commands and those in the vendors' folders, each imported when it is first used.

Exit codes of every command: 0 done, 1 something failed, 2 the command line or the configuration is wrong.
"""

from __future__ import annotations

import ast
import atexit
import gc
import importlib
import os
import sys
from pathlib import Path
from typing import Any, NoReturn, cast

import click

from app.cli.env_file import read_env_file

COMMANDS: dict[str, tuple[str, str]] = {
    "auth-key": ("app.cli.auth_key:auth_key", "Make, show or keep the key of a channel."),
    "callbacks": ("app.cli.callbacks:callbacks", "See the callbacks of RetailOps, and their results."),
    "catalogue": ("app.cli.facts:catalogue", "Send products again that RetailOps has stated."),
    "certify": ("app.cli.certify:certify", "Have a channel server certified by RetailOps."),
    "check": ("app.cli.check:check", "Check all connections, and what waits for an operator."),
    "db": ("app.cli.db:db", "Look after the database that DATABASE_URL names."),
    "deliveries": ("app.cli.deliveries:deliveries", "Look after the calls that are owed to vendors."),
    "demo": ("app.cli.demo:demo", "Play a whole order life on this machine."),
    "find": ("app.cli.find:find", "Find whatever a number stands for, whole or by its start."),
    "forget": ("app.cli.forget:forget", "Remove what is kept of a channel that is gone."),
    "init": ("app.cli.init:init", "Write channels.toml and .env to begin with."),
    "late": ("app.cli.late:late", "See what turned out after the answer, and dismiss it."),
    "new-gateway": ("app.cli.new_gateway:new_gateway", "Write the folder of a new vendor."),
    "operations": ("app.cli.operations:operations", "Look at what operators did, and why."),
    "orders": ("app.cli.orders:orders", "Erase what is kept of the person behind an order."),
    "pause": ("app.cli.one_gateway:pause", "Send nothing more to a gateway, until it is resumed."),
    "reconcile": ("app.cli.reconcile:reconcile", "Compare what RetailOps stated with what a vendor holds."),
    "refunds": ("app.cli.refunds:refunds", "Look at refunds, and let one go that is held up."),
    "resume": ("app.cli.one_gateway:resume", "Let a paused gateway be sent what has waited."),
    "sandbox": ("app.cli.sandbox:sandbox", "Run the vendors' stand-ins on this machine."),
    "send": ("app.cli.send:send", "Send one callback as RetailOps would, and judge the answer."),
    "serve": ("app.cli.serve:serve", "Run the server on this machine, for development."),
    "settings": ("app.cli.settings:settings", "Show every setting, its meaning and its present value."),
    "stock": ("app.cli.facts:stock", "Send stock again that RetailOps has stated."),
    "streams": ("app.cli.one_gateway:streams", "Free what holds up a vendor's calls and facts."),
    "verify": ("app.cli.verify.command:verify", "Verify a channel server, more strictly than the SDK's tool."),
}
"""Where each command stands, and what the list of all commands says of it: the list imports none of them."""

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
        return sorted({*COMMANDS, *OF_VENDORS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = OF_VENDORS.get(cmd_name, "")
        if cmd_name in COMMANDS:
            place, _ = COMMANDS[cmd_name]
        if not place:
            return None
        module, _, attribute = place.partition(":")
        try:
            if cmd_name in OF_VENDORS:
                ctx.obj = importlib.import_module("app.cli.vendor_commands").VendorCommandContext()
            return cast(click.Command, getattr(importlib.import_module(module), attribute))
        except Exception as error:
            return _unloadable(cmd_name, error)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from difflib import get_close_matches  # only for a command that is mistyped

            meant = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not meant:
                raise
            raise click.UsageError(f"No such command '{args[0]}'. Did you mean '{meant[0]}'?", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sentences = {name: sentence for name, (_, sentence) in COMMANDS.items()}
        sentences |= {token: _first_sentence(token) for token in OF_VENDORS}
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentences[name]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            read_env_file()
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click shows these itself, and ends quietly when nobody reads on
        except Exception as error:
            # Imported only now: it knows what databases raise, and not every command uses one.
            from app.cli.faults import in_words

            if (shown := in_words(error)) is None:
                raise
            raise shown from error


def _first_sentence(token: str) -> str:
    """What a vendor's group says of itself, read from its source: to import it would import the vendor."""
    try:
        parts = ast.parse((_VENDORS / token / "commands.py").read_text(encoding="utf-8")).body
    except (OSError, ValueError, SyntaxError) as error:
        return _why_unloadable(error)
    for node in parts:
        if isinstance(node, ast.FunctionDef) and node.name == "commands":
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


def _why_unloadable(error: Exception) -> str:
    return f"Cannot be loaded: {type(error).__name__}: {error}"


def _unloadable(name: str, error: Exception) -> click.Command:
    reason = _why_unloadable(error)

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

    Every command but serve takes --json.  Exit codes: 0 done, 1 something failed, 2 the command line or the
    configuration is wrong.
    """


def main() -> None:
    """Entry of the console script."""
    atexit.register(gc.freeze)  # at its end Python would walk through all that is loaded, for 0.2 s
    if sys.stdout is None:  # closed by who started us, as `>&-` does: the exit code is what is left to say
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    cli(prog_name="channel")
