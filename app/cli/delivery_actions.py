"""`channel deliveries retry|drop|confirm`: an operator's decision on calls that are no longer tried by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import click
from sqlalchemy import Row

from app.cli.acting import act_options, ask, operator_of
from app.cli.record_options import call_filters, chosen_calls, records, shown_channel
from app.cli.vendors import Built, build
from app.gateways.calls import Verb
from app.operations import acts, delivery_acts
from app.operations.operators import Operator
from app.records import delivery_rows
from app.records.database import Database
from app.records.deliveries import OPEN_STATES
from app.records.delivery_rows import DeliveryFilter
from app.terminal import json_option, print_json


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=click.IntRange(min=1))
@call_filters(OPEN_STATES)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many, oldest first. Default: all.")
@click.option("--even-if-done", is_flag=True, help="Send again what may have been done and cannot be looked up.")
@act_options()
@json_option
@click.pass_context
def retry(
    ctx: click.Context,
    /,
    ids: tuple[int, ...],
    limit: int | None,
    even_if_done: bool,
    reason: str,
    by: str,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Put calls back to be tried now: those named, or all parked ones that the filters choose.

    A call that may have been done is looked up at the vendor first.  No confirmation is needed: retrying is harmless.
    Exit code 1 when one of them could not be put back.
    """
    operator = operator_of(by, reason)
    which = _chosen(ctx, ids, chosen)
    with records() as (configured, database):
        built = build(configured, database)
        now = database.now()
        with database.read() as connection:
            rows = list(reversed(delivery_rows.find(connection, which)))[:limit]

        def why_not(row: Row[Any]) -> str:
            return delivery_acts.why_not_retried(row, _verb_of(built, row), now, even_if_done=even_if_done)

        def act(row: Row[Any]) -> bool:
            verb = _verb_of(built, row)
            return verb is not None and acts.retry(database, operator, row, verb, now, even_if_done=even_if_done)

        open_rows, failed = _sorted_out(rows, why_not)
        done, changed = _carry_out(open_rows, act, dry_run=dry_run)
    failed = [*_missing(ids, rows), *failed, *changed]
    _report("would be tried now" if dry_run else "is tried now", done, failed, dry_run=dry_run, as_json=as_json)
    ctx.exit(1 if failed else 0)


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@call_filters(OPEN_STATES)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many, oldest first. Default: all.")
@act_options(needs_reason=True)
@json_option
@click.pass_context
def drop(
    ctx: click.Context,
    /,
    ids: tuple[str, ...],
    limit: int | None,
    reason: str,
    by: str,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Give calls up for good: those named, or all parked ones that the filters choose.

    The call is not sent again, its body is deleted, and the order's later calls go on.  An id
    like n7 dismisses that piece of late news instead.
    """
    operator = operator_of(by, reason, needs_reason=not dry_run)
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json cannot ask: add --yes or --dry-run")
    delivery_ids, news_ids = _split(ctx, ids)
    with records() as (configured, database):
        built = build(configured, database)
        now = database.now()
        rows: list[Row[Any]] = []
        if delivery_ids or not news_ids:
            which = _chosen(ctx, delivery_ids, chosen)
            with database.read() as connection:
                rows = list(reversed(delivery_rows.find(connection, which)))[:limit]
        open_rows, failed = _sorted_out(rows, lambda row: delivery_acts.why_not_dropped(row, now))
        if open_rows and not (yes or dry_run):
            _report("is to be given up", [_line(row) for row in open_rows], [], dry_run=True, as_json=False)
            ask("Give up what is listed above for good?")

        def act(row: Row[Any]) -> bool:
            return acts.drop(database, operator, row, _verb_of(built, row), now)

        done, changed = _carry_out(open_rows, act, dry_run=dry_run)
        dismissed = _dismiss(database, operator, news_ids, now, dry_run=dry_run)
        failed = [*_missing(delivery_ids, rows), *failed, *changed]
        failed += [{"id": f"n{item}", "reason": "no such late news is open"} for item in news_ids - dismissed]
        done += [{"id": f"n{item}", "order": "", "channel": "", "call": "late news"} for item in sorted(dismissed)]
    _report("would be given up" if dry_run else "is given up", done, failed, dry_run=dry_run, as_json=as_json)
    ctx.exit(1 if failed else 0)


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True, type=click.IntRange(min=1))
@click.option("--refnum", default="", help="The vendor's own number of what it did; RetailOps is sent a refund's.")
@act_options(needs_reason=True)
@json_option
@click.pass_context
def confirm(
    ctx: click.Context,
    /,
    ids: tuple[int, ...],
    refnum: str,
    reason: str,
    by: str,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Say that the vendor has done these calls, because you have seen it there.

    For a parked call whose outcome is unknown, a refund above all: it counts as delivered with all that follows
    from it (the money counts as paid, the order as sent).  Nothing is sent now, and the order's later calls go on.
    """
    operator = operator_of(by, reason, needs_reason=not dry_run)
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json cannot ask: add --yes or --dry-run")
    if refnum and len(set(ids)) > 1:
        raise click.UsageError("--refnum is the number of one call; name one id")
    with records() as (configured, database):
        built = build(configured, database)
        now = database.now()
        with database.read() as connection:
            rows = list(reversed(delivery_rows.find(connection, DeliveryFilter(ids=ids))))
        open_rows, failed = _sorted_out(rows, lambda row: delivery_acts.why_not_confirmed(row, now))
        if open_rows and not (yes or dry_run):
            _report("counts as done", [_line(row) for row in open_rows], [], dry_run=True, as_json=False)
            ask("Have you seen at the vendor that all of this was done?")

        def act(row: Row[Any]) -> bool:
            gateway = built.get((row.channel, row.gateway))
            return acts.confirm(database, operator, row, gateway, now, refnum=refnum)

        done, changed = _carry_out(open_rows, act, dry_run=dry_run)
    failed = [*_missing(ids, rows), *failed, *changed]
    _report("would count as done" if dry_run else "counts as done", done, failed, dry_run=dry_run, as_json=as_json)
    ctx.exit(1 if failed else 0)


def _chosen(ctx: click.Context, ids: Sequence[int], chosen: dict[str, Any]) -> DeliveryFilter:
    if not ids and not any(chosen.values()):
        raise click.UsageError(
            "name ids, or choose with --order, --channel, --vendor, --state, --since or --until", ctx
        )
    return chosen_calls(chosen, ("parked",), ids)


def _split(ctx: click.Context, ids: Sequence[str]) -> tuple[list[int], set[int]]:
    numbers, news = [], set()
    for given in ids:
        digits = given.removeprefix("n")
        if not digits.isascii() or not digits.isdecimal() or len(digits) > 18:
            raise click.BadParameter(f"'{given}' is neither a delivery such as 12 nor late news such as n7", ctx)
        if given.startswith("n"):
            news.add(int(digits))
        else:
            numbers.append(int(digits))
    return numbers, news


def _dismiss(database: Database, operator: Operator, ids: set[int], now: datetime, *, dry_run: bool) -> set[int]:
    if not ids:
        return set()
    if dry_run:
        return acts.open_late_events(database, ids)
    return acts.dismiss(database, operator, ids, now)


def _verb_of(built: Built, row: Row[Any]) -> Verb | None:
    """How the call behaves at its vendor; None when no gateway there does this any more."""
    gateway = built.get((row.channel, row.gateway))
    found = gateway.commands.verbs.get(row.verb) if gateway else None
    return found if isinstance(found, Verb) else None


def _missing(ids: Sequence[int], rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    known = {row.id for row in rows}
    return [{"id": item, "reason": "there is no such delivery"} for item in dict.fromkeys(ids) if item not in known]


def _line(row: Row[Any]) -> dict[str, Any]:
    return {"id": row.id, "order": row.lane, "channel": shown_channel(row.channel), "call": f"{row.gateway} {row.verb}"}


def _sorted_out(
    rows: Sequence[Row[Any]], why_not: Callable[[Row[Any]], str]
) -> tuple[list[Row[Any]], list[dict[str, Any]]]:
    """Those nothing speaks against, and the reasons against the others."""
    reasons = {row.id: why_not(row) for row in rows}
    return [row for row in rows if not reasons[row.id]], [
        {"id": number, "reason": reason} for number, reason in reasons.items() if reason
    ]


def _carry_out(
    rows: Sequence[Row[Any]], act: Callable[[Row[Any]], bool], *, dry_run: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What was done, or would be, each in a transaction of its own; and what had changed by then."""
    done: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for row in rows:
        if dry_run or act(row):
            done.append(_line(row))
        else:
            changed.append({"id": row.id, "reason": "it changed while this command ran; look again"})
    return done, changed


def _report(
    what: str, done: list[dict[str, Any]], failed: list[dict[str, Any]], *, dry_run: bool, as_json: bool
) -> None:
    if as_json:
        print_json({"dry_run": dry_run, "done": done, "failed": failed})
        return
    for item in done:
        order = f" for order {item['order']} ({item['channel']})" if item["order"] else ""
        click.echo(f"{item['id']}: {item['call']}{order} {what}")
    for item in failed:
        click.echo(f"{item['id']}: not done: {item['reason']}", err=True)
    if not done and not failed:
        click.echo("No call matches.")
