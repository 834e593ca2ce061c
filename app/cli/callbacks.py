"""`channel callbacks`: the calls of RetailOps, each with its answer and the calls to vendors that followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import starmap
from typing import Any

import click

from app.cli.choosing import channel_option, limit_option, moment, period_options
from app.cli.records import key_of, name_if_known, records, scope_of, shown_channel
from app.cli.showing import row_json, when
from app.cli.timelines import orders_with, show_timeline, timeline_json, timelines_of
from app.clock import utc_now
from app.operations import callback_log, timeline
from app.operations.callback_log import CallbackChoice, CallLeft, LoggedCallback
from app.operations.paging import first
from app.operations.scope import Scope
from app.operations.timeline import Timeline
from app.records.database import Database
from app.settings import Settings
from app.terminal import DONE, FAILED, REQUEST_PREFIX, Column, Group, Output, json_or_tables, shortened, table, warn

LOOKED_BACK = timedelta(days=7)
"""How far back a request is searched for, unless --since says otherwise: its id is whatever its sender chose."""


@click.group(cls=Group)
def callbacks() -> None:
    """See each callback of RetailOps, its answer, and the calls to vendors that followed."""


def _callback(ctx: click.Context, param: click.Parameter, name: str) -> str:
    if not name:
        return name
    # Imported only now: it compiles every schema.
    from app.contract.schemas import load_contract

    return name_if_known("callback", name.removesuffix("_v1"), load_contract().callbacks)


@callbacks.command("list")
@click.option("--order", default="", help="Only callbacks about this order, by any number of it.")
@click.option("--channel", default="", help="Only this channel; also: unconfigured, dry_run.")
@click.option("--callback", default="", callback=_callback, help="Only this callback, such as order_cancel.")
@click.option("--outcome", default="", help="Only this outcome: success, or an event's or a fault's code.")
@period_options("Answered")
@limit_option(50)
@json_or_tables
def list_(limit: int, **chosen: Any) -> Output:
    """Show the latest callbacks, newest first, and what the vendors have taken of each."""
    with records() as (configured, database):
        found = _found(configured, database, limit, chosen)
        left = callback_log.calls_left(database, found)
    rows = [(item, left[item]) for item in found]
    hint = "The whole timeline: channel callbacks show --order ORDER, or show REQUEST" if found else ""
    listed = table("Callbacks", COLUMNS, rows, none="No such callback is in the journal.")
    return Output({"callbacks": list(starmap(_as_json, rows))}, listed, hint)


def _found(configured: Settings, database: Database, limit: int, chosen: dict[str, Any]) -> list[LoggedCallback]:
    channel, number = chosen["channel"], chosen["order"]
    choice = CallbackChoice(**{**chosen, "channel": key_of(channel)})
    choices = [choice]
    if number:
        orders = orders_with(database, scope_of(channel), number, _channels(configured, channel))
        choices = [replace(choice, channel=key, order=refnum) for key, refnum in orders]
    found: list[LoggedCallback] = []
    for item in choices:
        found += first(limit, partial(callback_log.find, database, Scope(), item))
    return sorted(found, key=lambda item: item.at, reverse=True)[:limit]


def _outcome(item: LoggedCallback) -> str:
    """In a narrow window the status too, where it is worth a word."""
    return item.outcome if item.status == 200 else f"{item.status or '?'} {item.outcome}"


COLUMNS: Sequence[Column[tuple[LoggedCallback, Sequence[CallLeft]]]] = (
    Column("When (UTC)", lambda row: when(row[0].at), narrow=lambda row: when(row[0].at)[5:16]),
    Column("Callback", lambda row: row[0].callback),
    Column(
        "Order",
        lambda row: f"{row[0].order or '-'} ({shown_channel(row[0].channel)})",
        narrow=lambda row: shortened(row[0].order or "-", 14),
    ),
    Column("Status", lambda row: row[0].status or "?", rank=3),
    Column("Outcome", lambda row: row[0].outcome, narrow=lambda row: _outcome(row[0]), wraps=True),
    Column("Took", lambda row: "?" if row[0].duration_ms is None else f"{row[0].duration_ms} ms", rank=2),
    Column("Vendors", lambda row: ", ".join(f"{call.vendor} {call.state}" for call in row[1]) or "-", rank=1),
    Column("Request", lambda row: row[0].request_id, narrow=lambda row: row[0].request_id[:REQUEST_PREFIX]),
)
"""In a narrow window without what `callbacks show` says anyway."""


@callbacks.command()
@click.argument("request_id", metavar="[REQUEST]", required=False, default="")
@click.option("--order", default="", help="Everything about this order instead, by any number of it.")
@channel_option
@click.option("--since", type=moment, metavar="WHEN", help="How far back to look for a request. Default 7d.")
@json_or_tables
def show(request_id: str, order: str, channel: str, since: datetime | None) -> Output:
    """Show what happened in a request or to an order.

    An order is found by any of its numbers (see `channel find`).  A request's id stands in the reply's
    X-Request-Id; its first 8 characters do.
    """
    if bool(request_id) == bool(order):
        raise click.UsageError("name either a request id or --order")
    with records() as (configured, database):
        if order:
            found = timelines_of(database, scope_of(channel), order, _channels(configured, channel))
        else:
            found = _of_request(database, scope_of(channel), request_id, since or utc_now() - LOOKED_BACK)
    if not found:
        what = f"order {order} on {channel or 'any channel'}" if order else f"request {request_id}"
        hint = "" if order else "; look further back with --since 90d"
        warn(f"there is no trace of {what}{hint}")
    shown = {"stories": list(map(timeline_json, found))}
    timelines = (partial(show_timeline, item, is_order=bool(order)) for item in found)
    return Output(shown, *timelines, code=DONE if found else FAILED)


def _of_request(database: Database, scope: Scope, request_id: str, earliest: datetime) -> list[Timeline]:
    is_begin = len(request_id) >= REQUEST_PREFIX
    known = timeline.requests_like(database, scope, request_id, earliest) if is_begin else []
    if len(known) > 1:
        raise click.ClickException(f"several requests begin so: {', '.join(known)}")
    found = timeline.of_request(database, scope, known[0] if known else request_id, earliest)
    return [] if found is None else [found]


def _channels(configured: Settings, name: str) -> list[str]:
    return [key_of(name)] if name else [channel.key for channel in configured.channels]


def _as_json(item: LoggedCallback, left: Sequence[CallLeft]) -> dict[str, Any]:
    calls = [row_json(call, "id vendor verb state last_code") for call in left]
    return row_json(item, "id at callback order status outcome duration_ms request_id channel", calls=calls)
