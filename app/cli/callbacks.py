"""`channel callbacks`: the calls of RetailOps, each with its answer and the calls to vendors that followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import click
from rich.table import Table

from app.cli.record_options import iso, key_of, moment, records, shown_channel, when
from app.cli.timelines import orders_with, show_timeline, timeline_json, timelines_of
from app.clock import utc_now
from app.operations import callback_log, timeline
from app.operations.callback_log import CallbackChoice, CallLeft, LoggedCallback
from app.operations.paging import Page, first
from app.operations.scope import Scope
from app.operations.timeline import Timeline
from app.records.database import Database
from app.settings import Settings
from app.terminal import REQUEST_PREFIX, console, is_wide, json_option, new_table, print_json, shortened

LOOKED_BACK = timedelta(days=7)
"""How far back a request is searched for, unless --since says otherwise: its id is whatever its sender chose."""


@click.group(short_help="See the callbacks of RetailOps, and their results.")
def callbacks() -> None:
    """See each callback of RetailOps, its answer, and the calls to vendors that followed."""


@callbacks.command("list")
@click.option("--order", default="", help="Only callbacks about this order, by any number of it.")
@click.option("--channel", default="", help="Only this channel; also: unconfigured, dry_run.")
@click.option("--callback", default="", help="Only this callback, such as order_cancel.")
@click.option("--outcome", default="", help="Only this outcome: success, or an event's or a fault's code.")
@click.option("--since", type=moment, metavar="WHEN", help="Answered since then: 30m, 2h, 7d or an ISO time.")
@click.option("--until", type=moment, metavar="WHEN", help="Answered before then.")
@click.option("--limit", default=50, type=click.IntRange(1, 10_000), help="Show at most so many. Default 50.")
@json_option
def list_(limit: int, as_json: bool, **chosen: Any) -> None:
    """Show the latest callbacks, newest first, and what the vendors have taken of each."""
    with records() as (configured, database):
        found = _found(configured, database, limit, chosen)
        left = callback_log.calls_left(database, found)
    shown = [_as_json(item, left[item]) for item in found]
    if as_json:
        print_json({"callbacks": [{**item, "at": iso(item["at"])} for item in shown]})
        return
    if not found:
        click.echo("No such callback is in the journal.")
        return
    console().print(_table(shown, is_whole=is_wide(console())))
    console().print("The whole timeline: channel callbacks show --order ORDER, or show REQUEST")


def _found(configured: Settings, database: Database, limit: int, chosen: dict[str, Any]) -> list[LoggedCallback]:
    channel, number = chosen["channel"], chosen["order"]
    choice = CallbackChoice(**{**chosen, "channel": key_of(channel)})
    choices = [choice]
    if number:
        orders = orders_with(database, _scope(channel), number, _channels(configured, channel))
        choices = [replace(choice, channel=key, order=refnum) for key, refnum in orders]
    found: list[LoggedCallback] = []
    for item in choices:
        found += first(limit, partial(_page, database, item))
    return sorted(found, key=lambda item: item.at, reverse=True)[:limit]


def _page(database: Database, choice: CallbackChoice, after: str) -> Page[LoggedCallback]:
    return callback_log.find(database, Scope(), choice, after=after)


def _table(found: Sequence[dict[str, Any]], *, is_whole: bool) -> Table:
    """A row for each callback; on a narrow terminal without what `callbacks show` says anyway."""
    lesser = ["Took", "Vendors"] if is_whole else []
    first = ["When (UTC)", "Callback", "Order", *(["Status"] if is_whole else [])]
    rows = new_table("Callbacks", *first, "Outcome", *lesser, "Request")
    rows.columns[1].no_wrap = True
    for item in found:
        at, order, request = when(item["at"]), item["order"] or "-", item["request_id"]
        status, outcome = str(item["status"] or "?"), item["outcome"]
        if is_whole:
            took = f"{item['duration_ms']} ms" if item["duration_ms"] is not None else "?"
            vendors = ", ".join(f"{call['vendor']} {call['state']}" for call in item["calls"]) or "-"
            row = [at, item["callback"], f"{order} ({item['channel']})", status, outcome, took, vendors, request]
        else:
            shown = outcome if status == "200" else f"{status} {outcome}"
            row = [at[5:16], item["callback"], shortened(order, 14), shown, request[:REQUEST_PREFIX]]
        rows.add_row(*row)
    return rows


@callbacks.command()
@click.argument("request_id", metavar="[REQUEST]", required=False, default="")
@click.option("--order", default="", help="Everything about this order instead, by any number of it.")
@click.option("--channel", default="", help="Only on this channel.")
@click.option("--since", type=moment, metavar="WHEN", help="How far back to look for a request. Default 7d.")
@json_option
@click.pass_context
def show(ctx: click.Context, request_id: str, order: str, channel: str, since: datetime | None, as_json: bool) -> None:
    """Tell what happened in a request or to an order.

    An order is found by any of its numbers (see `channel find`).  A request's id stands in the reply's
    X-Request-Id; its first 8 characters do.
    """
    if bool(request_id) == bool(order):
        raise click.UsageError("name either a request id or --order", ctx)
    with records() as (configured, database):
        if order:
            found = timelines_of(database, _scope(channel), order, _channels(configured, channel))
        else:
            found = _of_request(database, _scope(channel), request_id, since or utc_now() - LOOKED_BACK)
    if as_json:
        print_json({"stories": [timeline_json(item) for item in found]})
    else:
        for item in found:
            show_timeline(item, is_order=bool(order))
    if not found:
        what = f"order {order} on {channel or 'any channel'}" if order else f"request {request_id}"
        hint = "" if order else "; look further back with --since 90d"
        click.echo(f"channel: there is no trace of {what}{hint}", err=True)
        ctx.exit(1)


def _of_request(database: Database, scope: Scope, request_id: str, earliest: datetime) -> list[Timeline]:
    is_begin = len(request_id) >= REQUEST_PREFIX
    known = timeline.requests_like(database, scope, request_id, earliest) if is_begin else []
    if len(known) > 1:
        raise click.ClickException(f"several requests begin so: {', '.join(known)}")
    found = timeline.of_request(database, scope, known[0] if known else request_id, earliest)
    return [] if found is None else [found]


def _scope(channel: str) -> Scope:
    return Scope(frozenset((key_of(channel),))) if channel else Scope()


def _channels(configured: Settings, name: str) -> list[str]:
    return [key_of(name)] if name else [channel.key for channel in configured.channels]


def _as_json(item: LoggedCallback, left: Sequence[CallLeft]) -> dict[str, Any]:
    calls = [
        {"id": call.id, "vendor": call.vendor, "verb": call.verb, "state": call.state, "last_code": call.last_code}
        for call in left
    ]
    return {
        "id": item.id,
        "at": item.at,
        "callback": item.callback,
        "channel": shown_channel(item.channel),
        "order": item.order,
        "status": item.status,
        "outcome": item.outcome,
        "duration_ms": item.duration_ms,
        "request_id": item.request_id,
        "calls": calls,
    }
