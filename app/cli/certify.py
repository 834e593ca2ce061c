"""`channel certify`: registers a channel server with RetailOps, after making sure that it would pass."""

from __future__ import annotations

import sys
from contextlib import closing
from functools import partial
from typing import IO

import click
from rich.console import Console
from rich.text import Text

from app.channel_settings import key_rules
from app.cli.certification import (
    NOT_CERTIFIED,
    RETAILOPS_URL,
    Certification,
    address_doubts,
    address_rules,
    ask_retailops,
    name_rules,
)
from app.cli.verify.flags import GoFlags, timeout_option
from app.cli.verify.keys import NoKey, Secret, StoredKey, find_key
from app.cli.verify.plan import Plan, make_plan
from app.cli.verify.report import Report
from app.cli.verify.run import run
from app.cli.verify.show import Progress
from app.cli.verify.target import Target
from app.contract.files import FIXTURES, SCHEMAS
from app.contract.schemas import load_contract
from app.terminal import DONE, FAILED, Output, console, json_option, print_cells, warn

NOTHING_SENT = "Nothing was sent to RetailOps: the server would not pass (--skip-verify asks all the same)."


@click.command(cls=GoFlags)
@click.option("--base-url", required=True, help="Address under which RetailOps reaches the server: https, no query.")
@click.option("--integration-name", required=True, help="Name of the channel at RetailOps, no underscores or blanks.")
@click.option("--api-key", help="Key of RetailOps' API.  Other users see it in the list of processes.")
@click.option(
    "--api-key-file",
    type=click.File(encoding="utf-8"),
    help="File with the key of RetailOps' API; - is standard input.  Without either option the command prompts for it.",
)
@click.option(
    "--api-key-in-header",
    is_flag=True,
    help="Send that key in the header apikey, so that no log of addresses holds it.  The default is the query, as the "
    "SDK's tool does it.",
)
@click.option("--actions", default="", help="Comma list of callbacks the channel serves.  All are the default.")
@click.option("--skip-verify", is_flag=True, help="Do not verify the server first.")
@click.option("--retailops-url", default=RETAILOPS_URL, show_default=True, help="Address of RetailOps' API.")
@timeout_option(300.0, "Seconds RetailOps may take; it calls the server about twice for each callback.")
@click.option(
    "--use-auth-key", is_flag=True, hidden=True, expose_value=False, help="As with the SDK's tool; always so here."
)
@json_option
@click.pass_context
def certify(
    ctx: click.Context,
    base_url: str,
    integration_name: str,
    api_key: str | None,
    api_key_file: IO[str] | None,
    api_key_in_header: bool,
    actions: str,
    skip_verify: bool,
    retailops_url: str,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Ask RetailOps to certify a channel server and to register it as a channel.

    First the server is verified with the stored key (`channel auth-key`), as RetailOps is going to: RetailOps
    sends each fixture with the real key, which must give a valid answer, and with !!! in front of it, which
    must not.  If that fails, nothing is sent.  Both send fixtures with the production key to the server: one
    that really has an order 496 or a SKU S12345 will act on it.

    No key is ever printed.  Exit codes: 0 certified, 1 not certified, 2 the command line is wrong.
    """
    _require(ctx, "--base-url", address_rules(base_url))
    _require(ctx, "--integration-name", name_rules(integration_name))
    chosen = _actions(ctx, actions)
    stored = _usable_key()
    out = console()
    out.quiet = as_json
    doubts = address_doubts(base_url)
    for doubt in doubts:
        warn(doubt)
    with closing(Target(retailops_url.rstrip("/"), timeout_s, flag="--retailops-url")) as target:
        given_key = _api_key(ctx, api_key, api_key_file)
        is_word = given_key.isascii() and given_key.isprintable()
        rule = "--api-key-in-header: a header holds printable ASCII only; that key has other characters"
        _require(ctx, "--api-key-file", [rule] if api_key_in_header and not is_word else [])
        report = None if skip_verify else _verified(base_url, chosen, stored, out)
        outcome = None
        if report is None or report.ok:
            outcome = ask_retailops(
                target, given_key, stored.key, base_url, integration_name, chosen, key_in_header=api_key_in_header
            )
    ok = outcome is not None and outcome.ok
    found = {"ok": ok, "verify": report, "certification": outcome, "doubts": doubts}
    shown = partial(_show, outcome, integration_name, out) if outcome else NOTHING_SENT
    Output(found, shown, code=DONE if ok else FAILED).finish(as_json=as_json)


def _require(ctx: click.Context, option: str, faults: list[str]) -> None:
    if faults:
        raise click.BadParameter("; ".join(faults) + ".", ctx, param_hint=option)


def _actions(ctx: click.Context, given: str) -> list[str]:
    """Whole names; RetailOps would take a part of one for an action it does not know."""
    known = list(load_contract().callbacks)
    if not given.strip():
        return [name for name in known if name not in NOT_CERTIFIED]
    chosen = list(dict.fromkeys(entry.strip().removesuffix("_v1") for entry in given.split(",")))
    unknown = [entry for entry in chosen if entry not in known]
    text = f"{', '.join(repr(entry) for entry in unknown)}: no such callback; known: {', '.join(known)}"
    _require(ctx, "--actions", [text] if unknown else [])
    return chosen


def _usable_key() -> StoredKey:
    """Raises `NoKey` for one that RetailOps would cut or that everybody knows."""
    stored = find_key()
    faults = key_rules(stored.key)
    if faults:
        raise NoKey(f"{stored.file}: {'; '.join(faults)}; `channel auth-key generate --replace` makes a good one")
    stored.warn_if_exposed()
    return stored


def _api_key(ctx: click.Context, given: str | None, file: IO[str] | None) -> str:
    if given is not None and file is not None:
        raise click.UsageError("--api-key and --api-key-file cannot both be given.", ctx)
    if file is not None:
        given = file.read(10_000)
    elif given is None and sys.stdin.isatty():
        given = click.prompt("Key of RetailOps' API", hide_input=True)
    if given is None or not given.strip():
        raise click.UsageError("--api-key-file: the key of RetailOps' API is missing.", ctx)
    return given.strip()


def _verified(base_url: str, actions: list[str], stored: StoredKey, out: Console) -> Report:
    """The pre-flight, with the fixtures RetailOps has too: the first of every callback."""
    plan = make_plan(SCHEMAS, FIXTURES, "")
    cases = tuple(case for case in plan.cases if case.callback in actions and case.is_first_of_callback)
    first = Plan(cases, ())
    title = f"{Secret(stored.key).masked(base_url)} with the key in {stored.file}"
    with closing(Target(base_url, 15.0)) as target, Progress(out, first, title) as progress:
        report = run(first, target, stored.key, progress.count)
    progress.sum_up(report)
    return report


def _show(outcome: Certification, name: str, out: Console) -> None:
    if outcome.actions:
        verdicts = {True: Text("ok", "green"), False: Text("FAILED", "bold red")}
        rows = [(result.action, verdicts[result.ok], result.message) for result in outcome.actions]
        print_cells("RetailOps says", ("Action", "Result", "Message"), rows)
    for fault in outcome.faults:
        out.print(fault, soft_wrap=True)
    if not outcome.ok:
        out.print("not certified")
        return
    said = f": {outcome.message}" if outcome.message else ""
    out.print(f"certified: {name.upper()} is registered with RetailOps{said}", soft_wrap=True)
    if not outcome.actions:
        out.print("RetailOps gave no result for the single actions.")
