"""`channel verify`: what the SDK's verifier does, and what RetailOps' production caller would say besides."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.text import Text

from app.cli.terminal import console, json_option, print_json
from app.cli.verify.exchange import Target
from app.cli.verify.keys import stored_key
from app.cli.verify.plan import Plan, make_plan
from app.cli.verify.trial import Examiner, Result
from app.contract.schemas import SCHEMAS, load_contract
from app.settings import TEST_KEY

FIXTURES = SCHEMAS.parent / "verifier_fixtures"

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class Totals(msgspec.Struct, frozen=True):
    """Sums of a run; `tests` counts those that ran."""

    tests: int
    passed: int
    failed: int
    ms: int


class Report(msgspec.Struct, frozen=True):
    """What --json prints."""

    ok: bool
    results: list[Result]
    totals: Totals
    without_fixture: list[str]


class GoFlags(click.Command):
    """A command that also takes its flags the way Go programs do: one dash, `-flag=value`, `-switch=true`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_with_two_dashes(args, self.get_params(ctx), ctx)))


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
            yield arg
        elif not switches[name]:
            yield f"--{name}" if value is None else f"--{name}={value}"
            if value is None:
                yield from (following for following in [next(rest, None)] if following is not None)
        elif value is None or value in _TRUE:
            yield f"--{name}"
        elif value not in _FALSE:
            raise click.BadOptionUsage(name, f"Option '--{name}' is a switch; it takes true or false.", ctx)


@click.command(cls=GoFlags)
@click.option("--base-url", default="http://localhost:5000/api/channel", show_default=True, help="Server under test.")
@click.option(
    "--schema-path",
    type=click.Path(path_type=Path),
    default=SCHEMAS,
    help="Folder of schemas, or one schema file.  Default: the schemas of this project.",
)
@click.option(
    "--tests-path",
    type=click.Path(path_type=Path),
    default=FIXTURES,
    help="Folder of fixtures; if it is no folder, the schema's own is searched.  Default: this project's.",
)
@click.option("--actions", default="", help="Comma list; only callbacks whose name contains one of these words.")
@click.option("--use-auth-key", is_flag=True, help="Use the key stored in ~/retailops or ~/.retailops.")
@click.option("--stop-on-error", is_flag=True, help="Stop at the first failure.")
@click.option("--verbose", is_flag=True, help="Show bodies on standard error; keys are masked.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.05, 3600), default=15.0, help="Seconds for one exchange."
)
@json_option
def verify(
    base_url: str,
    schema_path: Path,
    tests_path: Path,
    actions: str,
    use_auth_key: bool,
    stop_on_error: bool,
    verbose: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Verify a channel server the way the RetailOps SDK's verifier does, and a little more strictly.

    Every fixture is sent with the key, which must give 200 and a valid answer, and then with a wrong
    key, which must give 401.  Answers that RetailOps' production caller would throw away fail too.
    Flags may be written with one dash.  Exit codes: 0 all is well, 1 it is not, 2 unknown flags.
    """
    plan = make_plan(schema_path, tests_path, actions)
    key = stored_key() if use_auth_key else TEST_KEY
    target = Target(base_url, timeout_s)
    examiner = Examiner(target, key, load_contract(), _tell if verbose else lambda _: None)
    out = None if as_json else console()
    if out and not tests_path.is_dir():
        out.print(f"--tests-path: {tests_path} is no folder, so fixtures are looked for beside the schemas")
    try:
        report = _run(plan, examiner, stop_on_error=stop_on_error, out=out)
    finally:
        target.close()
    if as_json:
        print_json(report)
    elif out:
        _sum_up(report, out)
    raise SystemExit(0 if report.ok else 1)


def _run(plan: Plan, examiner: Examiner, *, stop_on_error: bool, out: Console | None) -> Report:
    begun = time.perf_counter()
    results: list[Result] = []
    for case in plan.cases:
        result = examiner.examine(case)
        results.append(result)
        if out:
            _show(result, out)
        if stop_on_error and not result.ok:
            break
    passed = sum(result.ok for result in results)
    failed = len(results) - passed
    totals = Totals(len(results), passed, failed, round((time.perf_counter() - begun) * 1000))
    return Report(failed == 0, results, totals, list(plan.without_fixture))


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _show(result: Result, out: Console) -> None:
    verdict = Text("ok", "green") if result.ok else Text("FAILED", "bold red")
    out.print(Text.assemble(f"{result.fixture}  ", verdict, f"  {result.ms} ms"), soft_wrap=True)
    for problem in result.problems:
        out.print(f"    {problem.message}  [{problem.rule}]", soft_wrap=True)


def _sum_up(report: Report, out: Console) -> None:
    if report.without_fixture:
        out.print(f"not tested, no fixture: {', '.join(report.without_fixture)}", soft_wrap=True)
    out.print(f"{report.totals.tests} tests in {report.totals.ms / 1000:.2f} s")
    failed = report.totals.failed
    if report.ok:
        out.print("local verify was successful")
    else:
        out.print(f"local verify failed with {failed} error{'s' if failed > 1 else ''}")
