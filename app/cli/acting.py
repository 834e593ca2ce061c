"""The frame of every act of an operator: its options, the question before it, and what it prints (R34)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from app.cli.system_user import user_name
from app.operations.operators import Operator, operator
from app.terminal import Command, json_option, print_json, reason_options


@dataclass(frozen=True)
class Act:
    """Who acts and why, whether the act is carried out or only shown, and for whom the result is printed."""

    operator: Operator
    is_dry_run: bool
    is_agreed: bool
    """With --yes: nobody is asked."""
    as_json: bool

    @property
    def be(self) -> str:
        """The verb of a sentence that says what is done, or would be."""
        return "would be" if self.is_dry_run else "is"

    def may_go_on(self, question: str = "") -> bool:
        """Whether to carry it out: not in a dry run, and after a question only if a person agrees.

        Raises as `ask`.
        """
        if self.is_dry_run:
            return False
        if question and not self.is_agreed:
            ask(question)
        return True

    def show(self, result: Mapping[str, Any], *sentences: str, failures: Iterable[str] = ()) -> None:
        """What became of it: the result for programs; for people sentences, and on standard error what failed."""
        if self.as_json:
            print_json({"dry_run": self.is_dry_run, **result})
            return
        for sentence in sentences:
            click.echo(sentence)
        for failure in failures:
            click.echo(failure, err=True)


def operator_act(*, needs_reason: bool = False, asks: bool = True) -> Callable[[Command], Command]:
    """--reason, --by, --yes, --dry-run and --json, which the command takes as one `act`.

    A reason is needed only to carry it out.  Where it `asks`, --json needs --yes or --dry-run.
    """

    def add(command: Command) -> Command:
        @wraps(command)
        def run(*args: Any, reason: str, by: str, yes: bool, dry_run: bool, as_json: bool, **given: Any) -> Any:
            found = operator_of(by, reason, needs_reason=needs_reason and not dry_run)
            if asks and as_json and not (yes or dry_run):
                raise click.UsageError("--json cannot ask: add --yes or --dry-run")
            return command(*args, act=Act(found, dry_run, yes, as_json), **given)

        dry_run = click.option("--dry-run", is_flag=True, help="Only say what would be done.")
        return reason_options(needs_reason=needs_reason)(dry_run(json_option(run)))

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
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.ClickException(f"{question} There is no terminal to ask on, so nothing was done: add --yes.")
    click.confirm(question, abort=True)
