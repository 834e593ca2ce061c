"""`channel verify`: what the SDK's verifier does, and what RetailOps' production caller would say besides."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource
from rich.console import Console

from app.channel_settings import TEST_KEY
from app.cli.verify.flags import GoFlags, timeout_option
from app.cli.verify.keys import Secret, doubt_of_sdk_tool, find_key
from app.cli.verify.plan import make_plan
from app.cli.verify.run import run
from app.cli.verify.sdk_tool import Example, collect, judged_by, replay
from app.cli.verify.show import Progress, verdict_of, write_junit
from app.cli.verify.target import Target
from app.contract.files import FIXTURES, SCHEMAS
from app.terminal import console, json_option, print_json, warn

_ELSEWHERE = {
    "certify": "channel certify",
    "generate-auth-key": "channel auth-key generate",
    "show-auth-key": "channel auth-key show",
    "install-auth-key": "channel auth-key install",
}
"""Commands of the SDK's tool and what they are here."""

_MORE = "every request that failed: --all; for programs: --json, --junit FILE"


@click.command(cls=GoFlags)
@click.argument("command", required=False, metavar="")
@click.argument("rest", nargs=-1, metavar="")
@click.option(
    "--base-url",
    default="http://localhost:5000/api/channel",
    show_default=True,
    help="Address of the server under test.",
)
@click.option(
    "--schema-path",
    type=click.Path(path_type=Path),
    default=SCHEMAS,
    help="Folder of schemas, or one schema file.  The schemas of this project are the default; the SDK's tool has "
    "./schema.",
)
@click.option(
    "--tests-path",
    type=click.Path(path_type=Path),
    default=FIXTURES,
    help="Folder of fixtures; if it is no folder, the schema's own is searched.  This project's are the default; "
    "the SDK's tool has ./tests.",
)
@click.option(
    "--actions",
    default="",
    help="Comma list: only callbacks whose name contains one of these words.  A word no callback has is an error.",
)
@click.option(
    "--use-auth-key",
    is_flag=True,
    help="Use the key stored below ~/retailops or ~/.retailops in place of the public test key.  Where the SDK's tool "
    "would not find it or not send it as it is, that is said.",
)
@click.option("--stop-on-error", is_flag=True, help="Stop at the first test that fails.")
@click.option("--verbose", is_flag=True, help="Show bodies on standard error; keys are masked.")
@click.option("--all", "show_all", is_flag=True, help="Also show every test, and every request that failed.")
@timeout_option(15.0, "Seconds for one whole exchange after its host is resolved; the SDK's own tool always waits 15.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="How many tests run at the same time."
)
@click.option(
    "--junit",
    "junit_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a JUnit file as well, one test case for each request.",
)
@click.option(
    "--as-sdk-tool",
    is_flag=True,
    help="Do only what the SDK's own tool does, as leniently, to see whether it would pass: with the rules for answers "
    "that the SDK publishes and one fixture a callback, or with the files of --schema-path and --tests-path.",
)
@click.option("--api-key", hidden=True, expose_value=False, help="The SDK's tool takes it here too; `certify` uses it.")
@click.option("--integration-name", hidden=True, expose_value=False, help="As --api-key.")
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    command: str | None,
    rest: tuple[str, ...],
    base_url: str,
    schema_path: Path,
    tests_path: Path,
    actions: str,
    use_auth_key: bool,
    stop_on_error: bool,
    verbose: bool,
    show_all: bool,
    timeout_s: float,
    jobs: int,
    junit_file: Path | None,
    as_sdk_tool: bool,
    as_json: bool,
) -> None:
    """Verify a channel server the way the RetailOps SDK's verifier does, and more strictly.

    Every fixture is sent with the key, which must give 200 and a valid answer, and with a wrong key, which
    must give 401.  Answers that RetailOps' production caller would throw away fail too.  Once for every
    callback it also tries absent, empty, padded and non-text keys, another method, broken bodies, a
    repeated call and an address with two slashes.

    What failed is listed by its causes, the worst first, each with the callbacks it hits; --all shows every
    request, --json and --junit hold everything.

    The fixtures belong to no real account (client 497 and 0, orders 496 and 'string', SKU S12345), but with
    --use-auth-key a server that has such an order will act on it: certification does the same.

    Flags may be written with one dash.  Exit codes: 0 all is well, 1 it is not, 2 the command line is wrong; the
    SDK's tool says 1 to a word it does not know.  Its other commands are `channel certify` and `channel auth-key`.

    --as-sdk-tool says first by what it judges.  With the SDK's own rules there is no payment_credit, and `{}` is a
    good answer.  Like that tool it knows no multiple of 1 from 2^53 on.  It knowingly differs where that tool
    crashes (here the test fails) and in what is nested a thousand levels deep (no JSON here).
    """
    _refuse_other_commands(ctx, command, rest)
    if junit_file and (as_sdk_tool or not junit_file.parent.is_dir()):
        reason = "cannot be written with --as-sdk-tool" if as_sdk_tool else f"there is no folder {junit_file.parent}"
        raise click.BadParameter(f"{reason}.", param_hint="--junit")
    key, name = _key(use_auth_key)
    out = console()
    out.quiet = as_json
    if not as_sdk_tool and not tests_path.is_dir():
        out.print(f"--tests-path: {tests_path} is no folder, so fixtures are looked for beside the schemas")
    log: Callable[[str], None] = partial(click.echo, err=True) if verbose else lambda _: None
    with closing(Target(base_url, timeout_s, follows_redirects=as_sdk_tool)) as target:
        if as_sdk_tool:
            is_published = ctx.get_parameter_source("schema_path") is ParameterSource.DEFAULT
            is_own = is_published and ctx.get_parameter_source("tests_path") is ParameterSource.DEFAULT
            folders = (None if is_published else schema_path, None if is_own else tests_path)
            ok = _as_sdk_tool(out, folders, collect(*folders, actions), target, key, stop_on_error=stop_on_error)
            ctx.exit(0 if ok else 1)
        plan = make_plan(schema_path, tests_path, actions)
        with Progress(out, plan, f"{Secret(key).masked(base_url)} with {name}") as progress:
            report = run(plan, target, key, progress.count, jobs=jobs, stop_on_error=stop_on_error, log=log)
    if junit_file:
        write_junit(report, junit_file)
    progress.sum_up(report, is_whole=show_all, hint="" if show_all else _MORE)
    if as_json:
        print_json(report)
    ctx.exit(0 if report.ok else 1)


def _refuse_other_commands(ctx: click.Context, command: str | None, rest: tuple[str, ...]) -> None:
    """The SDK's tool takes flags first and then a command; anything else ends it without a word."""
    if command in _ELSEWHERE:
        raise click.UsageError(f"'{command}' of the SDK's tool is `{_ELSEWHERE[command]}` here.", ctx)
    if command not in (None, "verify") or rest:
        raise click.UsageError(f"'{(command, *rest)[-1]}' is no command; flags begin with a dash.", ctx)


def _key(use_auth_key: bool) -> tuple[str, str]:
    """The key to use and what to call it.  Raises `NoKey`: never another key than the one requested."""
    if not use_auth_key:
        return TEST_KEY, "the SDK's public test key"
    stored = find_key()
    stored.warn_if_exposed()
    if doubt := doubt_of_sdk_tool(stored):
        warn(doubt)
    return stored.key, f"the key in {stored.file}"


def _as_sdk_tool(
    out: Console, folders: tuple[Path | None, Path | None], examples: list[Example], target: Target, key: str,
    *, stop_on_error: bool,
) -> bool:  # fmt: skip
    """Replay the SDK's tool and show what it says; as JSON where the console is quiet."""
    out.print(judged_by(*folders), soft_wrap=True)
    verdicts = []
    for verdict in replay(examples, target, key, stop_on_error=stop_on_error):
        verdicts.append(verdict)
        out.print(f"{verdict.fixture}  {'ok' if verdict.ok else f'FAILED  {verdict.reason}'}", soft_wrap=True)
    failed = sum(not verdict.ok for verdict in verdicts)
    out.print(verdict_of(failed))
    if out.quiet:
        print_json({"ok": not failed, "judged_by": judged_by(*folders), "results": verdicts})
    return not failed
