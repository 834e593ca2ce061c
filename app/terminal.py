"""The terminal of every command, the vendors' own among them: tables for people, JSON for programs, shared options."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import click
import msgspec
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

Command = Callable[..., Any]

PIPED_WIDTH = 160
"""Columns of a table that nobody's window limits."""

WIDE = 110
"""Columns from which on a table shows everything."""

REQUEST_PREFIX = 8
"""Characters of a request id that a narrow table shows; so many are enough to look it up."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on one line.")


def reason_options(*, needs_reason: bool = False) -> Callable[[Command], Command]:
    """--reason, --by and --yes, for an act that shows beforehand what it would do."""
    why = "Why you do it; kept with the act, so name no customer." + (" Required." if needs_reason else "")

    def add(command: Command) -> Command:
        for option in reversed(
            [
                click.option("--reason", default="", metavar="TEXT", help=why),
                click.option("--by", default="", metavar="NAME", help="Who acts.  Default: the system's user."),
                click.option("--yes", is_flag=True, help="Do not ask."),
            ]
        ):
            command = option(command)
        return command

    return add


def print_json(value: object) -> None:
    """One line on standard output, sent at once."""
    click.echo(msgspec.json.encode(value).decode())


def console() -> Console:
    """Standard output as it is now; colour only on a terminal, and no text is taken for markup."""
    is_terminal = sys.stdout.isatty()
    return Console(
        file=sys.stdout,
        force_terminal=is_terminal,
        width=None if is_terminal else PIPED_WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
    )


class _Titled(Table):
    """A table whose title may be wider than its columns."""

    heading = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.heading:
            yield Text(self.heading, style="bold", overflow="fold")
        yield from super().__rich_console__(console, options)


def new_table(title: str, *columns: str) -> Table:
    """A plain table; the first column, which holds names, is never broken."""
    table = _Titled(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.heading = title
    for position, column in enumerate(columns):
        table.add_column(column, no_wrap=position == 0, overflow="fold")
    return table


def is_wide(out: Console) -> bool:
    """Whether a table may have its lesser columns; the others fit 80 columns."""
    return out.width >= WIDE


def shortened(text: str, length: int) -> str:
    """A long id without its middle, for its ends are what people compare."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def stop_signal() -> threading.Event:
    """Set by SIGINT or SIGTERM from now on, in place of what they usually do.  Main thread only."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return stopping
