"""The frame of every act of an operator: its options, the question before it, and what it prints (R34)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, NoReturn

import click

from app.cli.system_user import user_name
from app.operations.operators import Operator, operator
from app.terminal import Command, Output, Part, json_option, reason_options


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

    def finish(self, result: Mapping[str, Any], *parts: Part, failures: Sequence[str] = ()) -> NoReturn:
        """Print the result, and end the command; see `Output`."""
        Output({"dry_run": self.is_dry_run, **result}, *parts, failures=failures).finish(as_json=self.as_json)


def operator_act(
    *, needs_reason: bool = False, asks: bool = True, carried_out_by: str = ""
) -> Callable[[Command], Command]:
    """--reason, --by, --yes, --dry-run and --json, which the command takes as one `act`.

    A reason is needed only to carry it out.  Where it `asks`, --json needs --yes or --dry-run.  `carried_out_by` names
    the flag without which the command only says what it would do; there is no --dry-run then.
    """

    def add(command: Command) -> Command:
        @wraps(command)
        def run(*args: Any, reason: str, by: str, yes: bool, as_json: bool, dry_run: bool = False, **given: Any) -> Any:
            is_dry_run = dry_run or (carried_out_by != "" and not {**given, "yes": yes}[carried_out_by])
            found = operator_of(by, reason, needs_reason=needs_reason and not is_dry_run)
            if asks and as_json and not (yes or is_dry_run):
                raise click.UsageError(f"--json cannot ask: add --yes{'' if carried_out_by else ' or --dry-run'}")
            return command(*args, act=Act(found, is_dry_run, yes, as_json), **given)

        options = json_option(run)
        if not carried_out_by:
            options = click.option("--dry-run", is_flag=True, help="Only say what would be done.")(options)
        return reason_options(needs_reason=needs_reason)(options)

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
