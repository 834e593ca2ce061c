"""The terminal of every command, the vendors' own among them: tables for people, JSON for programs, shared options."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial, wraps
from operator import itemgetter
from textwrap import indent
from typing import Any, Generic, Literal, NoReturn, TypeVar

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.domain.texts import with_signs

Command = Callable[..., Any]

PIPED_WIDTH = 160
"""Columns of a table that nobody's window limits."""

WIDE = 110
"""Columns from which on a table shows everything, folded where need be."""

_GAP = 2
"""Blanks between two columns."""

_WRAPPED = 16
"""Characters to a line at least of a column that wraps, for it is never narrower than its longest word."""

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


DONE, FAILED, WRONG = 0, 1, 2
"""Exit codes: all was done; something failed, or is not as it should be; the command line or configuration is wrong."""


def end(code: int) -> NoReturn:
    """End the command with this exit code."""
    click.get_current_context().exit(code)


def warn(sentence: str) -> None:
    """On standard error, as the command's own word beside its result."""
    click.echo(f"channel: {sentence}", err=True)


def print_json(value: object) -> None:
    """One line on standard output, sent at once."""
    click.echo(msgspec.json.encode(value).decode())


class Group(click.Group):
    """A group whose help says of each of its commands the whole first sentence, as the list of all commands does."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(limit=1000)) for name, command in sorted(self.commands.items())]
            )


Group.group_class = Group  # of the groups in one, too


Part = str | Callable[[], object]


class Output:
    """What a command has found or done, and how it ends.

    `value` is for programs.  `parts` are for people: each is a sentence or prints something itself, such as a table;
    an empty one is left out.  `failures` are sentences on standard error.  `code` is the exit code, where it is not
    given `FAILED` if there are failures and else `DONE`.
    """

    def __init__(self, value: object, *parts: Part, failures: Sequence[str] = (), code: int | None = None) -> None:
        self._value = value
        self._parts = parts
        self._failures = failures
        self._code = code if code is not None else FAILED if failures else DONE

    def finish(self, *, as_json: bool) -> NoReturn:
        """Print it, and end the command."""
        if as_json:
            print_json(self._value)
            end(self._code)
        for part in self._parts:
            if not isinstance(part, str):
                part()
            elif part:
                print_sentence(part)
        for failure in self._failures:
            click.echo(with_signs(failure), err=True)
        end(self._code)


def json_or_tables(command: Callable[..., Output]) -> Command:
    """--json, and the end of a command that returns its `Output`."""

    @wraps(command)
    def run(*args: Any, as_json: bool, **given: Any) -> NoReturn:
        command(*args, **given).finish(as_json=as_json)

    return json_option(run)


class _Signing(Console):
    """Prints no character of a text that would command the terminal, or turn round what stands there."""

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(with_signs(text), **how)


def console() -> Console:
    """Standard output as it is now; colour only on a terminal, and no text is taken for markup."""
    is_terminal = sys.stdout.isatty()
    return _Signing(
        file=sys.stdout,
        force_terminal=is_terminal,
        width=None if is_terminal else PIPED_WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
    )


Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column of a table; a column of numbers is right-aligned."""

    title: str
    value: Callable[[Row], object]
    """A text, a number, or rich's `Text`; None leaves the place empty."""
    narrow: Callable[[Row], object] | None = None
    """What stands there in a window too narrow for every value in full; None for the same."""
    rank: int = 0
    """In a narrow window the column of the highest rank is left out first; rank 0 always stays."""
    wraps: bool = False
    """Whether it wraps where the window is too narrow; where no column does, the last one."""


def print_table(
    title: str,
    columns: Sequence[Column[Row]],
    rows: Sequence[Row],
    *,
    as_lines: Callable[[Row], tuple[str, ...]] | None = None,
) -> None:
    """The rows as a table with every column where the window has room for that, else with as many as it has room for.

    Nothing is cut: what still does not fit is folded.  `as_lines` is what a row is in a narrow window instead: a line,
    and the lines indented below it.
    """
    out = console()
    shown = [_Filled(column, rows, is_narrow=False) for column in columns]
    if out.width < WIDE and not _fit(shown, out.width, wraps=False):
        if as_lines is not None:
            print_lines(title, *map(as_lines, rows))
            return
        shown = [_Filled(column, rows, is_narrow=True) for column in columns]
        while not _fit(shown, out.width) and (lesser := [item for item in shown if item.column.rank]):
            shown.remove(max(lesser, key=lambda item: item.column.rank))
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=any(it.column.title for it in shown))
    is_fitting, wrapping = _fit(shown, out.width), _wrapping(shown)
    for item in shown:
        is_whole = item is not wrapping if is_fitting else item is shown[0] and item.width <= out.width // 2
        table.add_column(item.column.title, no_wrap=is_whole, overflow="fold", justify=item.justify)
    for cells in zip(*(item.cells for item in shown), strict=True):
        table.add_row(*cells)
    if title:
        out.print(Text(with_signs(title), style="bold", overflow="fold"))
    out.print(table)


def table(
    title: str,
    columns: Sequence[Column[Row]],
    rows: Sequence[Row],
    *,
    none: str = "",
    as_lines: Callable[[Row], tuple[str, ...]] | None = None,
) -> Part:
    """A part of an `Output`: the rows as `print_table` prints them; where there are none, the sentence `none`."""
    return partial(print_table, title, columns, rows, as_lines=as_lines) if rows else none


def print_cells(title: str, titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table of values as they are; without a title of any column it has no head."""
    print_table(title, [Column(name, itemgetter(at)) for at, name in enumerate(titles)], rows)


_COMMAND = re.compile("`[^`\\n]+`")
_HELD = "\ufdd0"
"""Stands for a blank at which no line ends; no text holds it."""


def print_sentence(text: str, margin: int = 0) -> None:
    """Broken between words, and in no `command`, where a window limits it; `margin` blanks stand before each line.

    One with a longer word or command stays whole, for people copy it.
    """
    out = console()
    held = _COMMAND.sub(lambda found: found[0].replace(" ", _HELD), with_signs(text))
    width = out.width - margin
    is_unlimited = not out.is_terminal and out.width >= WIDE
    if not is_unlimited and all(cell_len(word) <= width for word in held.split()):
        held = "\n".join(line.plain.rstrip() for line in Text(held).wrap(out, width))
    out.print(indent(held.replace(_HELD, " "), " " * margin), soft_wrap=True)


def print_lines(title: str, *items: tuple[str, ...]) -> None:
    """Of each item its first line, and the others indented below it."""
    out = console()
    if title:
        out.print(title, style="bold")
    for head, *lines in items:
        print_sentence(head)
        for line in filter(None, lines):
            print_sentence(line, margin=4)


class _Filled(Generic[Row]):
    """A column with the texts of its rows."""

    def __init__(self, column: Column[Row], rows: Sequence[Row], *, is_narrow: bool) -> None:
        self.column = column
        value = column.narrow or column.value if is_narrow else column.value
        values = [value(row) for row in rows]
        self.justify: Literal["left", "right"] = "left"
        if all(isinstance(item, int | Decimal | None) for item in values):
            self.justify = "right"
        self.cells = [item if isinstance(item, Text) else "" if item is None else str(item) for item in values]
        texts = [column.title, *map(str, self.cells)]
        self.width = max(cell_len(line) for text in texts for line in text.split("\n"))
        longest_word = max((cell_len(word) for text in texts for word in text.split()), default=0)
        self.wrapped_width = max(longest_word, min(self.width, _WRAPPED))


def _wrapping(shown: Sequence[_Filled[Row]]) -> _Filled[Row]:
    return next((item for item in shown if item.column.wraps), shown[-1])


def _fit(shown: Sequence[_Filled[Row]], room: int, *, wraps: bool = True) -> bool:
    """Whether no column has to be folded but, where it `wraps`, the one that may."""
    wrapping = _wrapping(shown) if wraps else None
    widths = [item.wrapped_width if item is wrapping else item.width for item in shown]
    return sum(widths) + _GAP * (len(widths) - 1) <= room


def shortened(text: str, length: int) -> str:
    """A long id without its middle, for its ends are what people compare."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"
