"""Flags the way Go programs take them, so that a command line of the SDK's tool works here as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches

import click

from app.terminal import Command

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class GoFlags(click.Command):
    """A command that also takes its flags with one dash: `-flag value`, `-flag=value`, `-switch=true`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_with_two_dashes(args, self.get_params(ctx), ctx)))


def timeout_option(default_s: float, help: str, most_s: float = 3600) -> Callable[[Command], Command]:
    """--timeout: seconds for the whole of an exchange, or of what the command waits for."""
    kind = click.FloatRange(0.05, most_s)
    return click.option("--timeout", "timeout_s", type=kind, default=default_s, show_default=True, help=help)


def _with_two_dashes(args: Sequence[str], params: Sequence[click.Parameter], ctx: click.Context) -> Iterator[str]:
    switches = {
        name.removeprefix("--"): option.is_flag
        for option in params
        if isinstance(option, click.Option)
        for name in option.opts
        if name.startswith("--")
    }
    rest = iter(args)
    for arg in rest:
        if arg == "--":
            yield arg
            yield from rest
            return
        written = re.fullmatch(r"--?([a-z-]+)(?:=(.*))?", arg, re.DOTALL)
        name, value = written.groups() if written else ("", None)
        if name not in switches:
            if len(name) > 1:  # click would take -name for -n -a -m -e and complain of -n
                near = [f"-{flag}" for flag in get_close_matches(name, switches)]
                raise click.NoSuchOption(f"-{name}", possibilities=near, ctx=ctx)
            yield arg
        elif not switches[name]:
            yield f"--{name}" if value is None else f"--{name}={value}"
            if value is None:
                yield from (following for following in [next(rest, None)] if following is not None)
        elif value is None or value in _TRUE:
            yield f"--{name}"
        elif value not in _FALSE:
            raise click.BadOptionUsage(name, f"Option '--{name}' is a switch; it takes true or false.", ctx)
