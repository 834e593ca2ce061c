"""Makes `app/docs/reference/commands.md` of the commands themselves: `python -m tests.docs.commands_page` writes it.

It is a file and not made when it is read, because the server's processes never import the commands.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from app.cli import cli
from app.docs.generated.tables import code, table
from app.docs.library import FOLDER

PAGE: Path = FOLDER / "reference" / "commands.md"

HEAD = """\
# Commands

Every command but `serve` takes `--json`, uses no colour when piped, and says by its exit code how it went: 0 done,
1 something failed, 2 the command line or the configuration is wrong. `--help` says what stands here.

What changes something takes whole ids, and is kept with who did it and why: `channel operations list`. On a terminal
below 110 columns a table shortens long ids in the middle and then leaves out the columns that it has no room for:
`show` and `--json` say them. The first 8 characters of a request id are enough for `callbacks show`.
"""


def text() -> str:
    return HEAD + "".join(f"\n{part}" for part in _sections(cli, click.Context(cli, info_name="channel")))


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    if context.parent is not None:
        level = "##" if context.parent.parent is None else "###"
        usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
        yield f"{level} {context.command_path}\n"
        yield f"{_escaped(inspect.cleandoc(command.help or command.short_help or ''))}\n"
        if not isinstance(command, click.Group):
            yield f"```text\n{usage}\n```\n"
        rows = [row for param in command.params if (row := _row(param, context))]
        if rows:
            yield table(("Option", "Meaning"), rows)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _sections(inner, click.Context(inner, info_name=name, parent=context))


def _row(param: click.Parameter, context: click.Context) -> tuple[str, str] | None:
    if not isinstance(param, click.Option) or param.hidden or param.name in ("help", "as_json"):
        return None
    spelled = ", ".join([*param.opts, *param.secondary_opts])
    value = "" if param.is_flag else f" {param.make_metavar(context)}"
    meaning = _escaped(param.help or "")
    if param.show_default and param.default not in (None, False, ()):
        meaning += f" Default: {param.default}."
    return code(spelled + value), meaning + (" Required." if param.required else "")


def _escaped(words: str) -> str:
    """Angle brackets and stars outside of code are text, and two blanks between sentences one."""
    parts = words.replace("\b\n", "").split("`")
    parts[::2] = [part.replace("<", "\\<").replace("*", "\\*").replace(".  ", ". ") for part in parts[::2]]
    return "`".join(parts)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    print(f"{PAGE} is written")
