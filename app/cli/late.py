"""`channel late`: what turned out after RetailOps had its answer, and dismissing what is known (R15)."""

from __future__ import annotations

from typing import Any

import click
from rich.padding import Padding

from app.cli.acting import act_options, ask, operator_of
from app.cli.record_options import iso, key_of, records, shown_channel, when
from app.operations import acts
from app.operations.late_events import LateEventRow, find
from app.operations.paging import first
from app.operations.scope import Scope
from app.terminal import console, json_option, print_json


@click.group(short_help="See what turned out after the answer, and dismiss it.")
def late() -> None:
    """What turned out after a callback was answered: RetailOps is sent it once, you see it until you dismiss it."""


@late.command("list")
@click.option("--channel", default="", help="Only this channel, by its name in channels.toml.")
@click.option("--vendor", default="", help="Only what concerns this vendor, such as pipe17.")
@click.option("--all", "shows_all", is_flag=True, help="Those that were dismissed, too.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many, newest first.")
@json_option
def list_(channel: str, vendor: str, shows_all: bool, limit: int, as_json: bool) -> None:
    """Late events nobody has dismissed, newest first."""
    with records() as (_, database):
        chosen = {"channel": key_of(channel), "gateway": vendor}
        found = first(limit, lambda after: find(database, Scope(), **chosen, is_open=not shows_all, after=after))
    if as_json:
        print_json({"late_events": [_as_json(item) for item in found]})
        return
    out = console()
    if not found:
        out.print("No late event is open." if not shows_all else "No late event is kept.")
    for item in found:
        sent = f"sent {when(item.sent_at)}" if item.sent_at else "not sent yet"
        state = ", dismissed" if item.dismissed_at else ""
        where = f"{item.callback}, {item.subject} ({shown_channel(item.channel)}, {item.gateway})"
        out.print(f"n{item.id}  {when(item.at)} UTC, {where}, {sent}{state}")
        out.print(Padding(f"{item.code}: {item.message}", (0, 0, 0, 4)))
    if found and not shows_all:
        out.print("\nOnce you know: channel late dismiss nN [--reason TEXT]")


@late.command()
@click.argument("ids", metavar="nN...", nargs=-1, required=True)
@act_options()
@json_option
@click.pass_context
def dismiss(
    ctx: click.Context, ids: tuple[str, ...], reason: str, by: str, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Say that you know these late events: they are shown no more, and not sent to RetailOps if they have not been.

    Harmless twice.  Exit code 1 when one of them is not open.
    """
    operator = operator_of(by, reason)
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json cannot ask: add --yes or --dry-run")
    numbers = {_number(given) for given in ids}
    with records() as (_, database):
        is_open = acts.open_late_events(database, numbers)
        if is_open and not (yes or dry_run):
            ask(f"Dismiss {', '.join(f'n{item}' for item in sorted(is_open))}?")
        done = is_open if dry_run else acts.dismiss(database, operator, numbers, database.now())
    failed = sorted(numbers - done)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "done": [f"n{item}" for item in sorted(done)],
                "failed": [f"n{item}" for item in failed],
            }
        )
    else:
        for item in sorted(done):
            click.echo(f"n{item} {'would be' if dry_run else 'is'} dismissed")
        for item in failed:
            click.echo(f"n{item}: no such late event is open", err=True)
    ctx.exit(1 if failed else 0)


def _number(given: str) -> int:
    digits = given.removeprefix("n")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 18:
        raise click.BadParameter(f"'{given}' is no late event such as n7")
    return int(digits)


def _as_json(item: LateEventRow) -> dict[str, Any]:
    return {
        "id": item.id,
        "at": iso(item.at),
        "channel": shown_channel(item.channel),
        "vendor": item.gateway,
        "callback": item.callback,
        "subject": item.subject,
        "code": item.code,
        "message": item.message,
        "delivery": item.delivery_id,
        "request_id": item.request_id,
        "sent_at": iso(item.sent_at),
        "dismissed_at": iso(item.dismissed_at),
    }
