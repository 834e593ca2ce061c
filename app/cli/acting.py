"""The options and the question that every act of an operator has in common (R34)."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from app.cli.system_user import user_name
from app.operations.operators import Operator, operator
from app.terminal import Command, reason_options


def act_options(*, needs_reason: bool = False) -> Callable[[Command], Command]:
    """--reason, --by, --yes and --dry-run, which the command takes as `reason`, `by`, `yes` and `dry_run`."""

    def add(command: Command) -> Command:
        dry_run = click.option("--dry-run", is_flag=True, help="Only say what would be done.")
        return reason_options(needs_reason=needs_reason)(dry_run(command))

    return add


def operator_of(by: str, reason: str, *, needs_reason: bool = False) -> Operator:
    """The operator those options name.  Raises `click.UsageError` for a missing reason and for too long a text."""
    try:
        found = operator(by or user_name(), reason)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if needs_reason and not found.reason:
        raise click.UsageError("say why with --reason TEXT: it is kept with the act")
    return found


def ask(question: str) -> None:
    """Go on only if a person agrees.  Raises `ClickException` where no person can answer, `Abort` for a no."""
    if not is_terminal():
        raise click.ClickException(f"{question} There is no terminal to ask on, so nothing was done: add --yes.")
    click.confirm(question, abort=True)


def is_terminal() -> bool:
    """Whether a person can read the question and answer it."""
    return sys.stdin.isatty() and sys.stdout.isatty()
