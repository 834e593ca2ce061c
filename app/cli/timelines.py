"""Timelines on the terminal: of every order with a number, as sentences for people and as objects for programs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import click

from app.cli.deliveries import show_moments
from app.cli.record_options import iso, shown_channel
from app.domain.events import Event
from app.operations import timeline
from app.operations.find import find, orders_of
from app.operations.scope import Scope
from app.operations.timeline import Entry, Timeline
from app.records.database import Database
from app.records.search_keys import folded
from app.terminal import console

MOST_ORDERS = 5
"""Orders whose timelines are shown one below the other."""


def timelines_of(database: Database, scope: Scope, number: str, channels: Sequence[str] = ()) -> list[Timeline]:
    """Of every order of `orders_with`.  Raises `ClickException` as it."""
    orders = orders_with(database, scope, number, channels)
    found = (timeline.of_order(database, scope, key, refnum) for key, refnum in orders)
    return [item for item in found if item is not None]


def orders_with(
    database: Database, scope: Scope, number: str, channels: Sequence[str] = ()
) -> Collection[tuple[str, str]]:
    """Every order that this number belongs to (key of the channel, refnum), and on these channels the refnum itself.

    Raises `ClickException` where it is the begin of more numbers than anybody reads about.
    """
    hits = find(database, scope, number)
    whole = [hit for hit in hits if folded(hit.id) == folded(number)]
    orders = orders_of(whole or hits)
    if len(orders) > MOST_ORDERS:
        raise click.ClickException(f"{len(orders)} orders have a number that begins so: see channel find {number}")
    return dict.fromkeys([*orders, *((key, number) for key in channels)])


def show_timeline(shown: Timeline, *, is_order: bool) -> None:
    """What happened and how it stands, for people."""
    out = console()
    what = "Order" if is_order else "Request about order"
    out.print(f"{what} {shown.refnum or '-'}, channel {shown_channel(shown.channel) or '-'}")
    for line in shown.now:
        out.print(f"  {line}")
    show_moments(shown.entries)
    out.print()


def timeline_json(shown: Timeline) -> dict[str, Any]:
    """The same for programs: each moment with all that is known of it."""
    return {
        "channel": shown_channel(shown.channel),
        "order": shown.refnum,
        "now": shown.now,
        "moments": [_moment_json(item) for item in shown.entries],
    }


def _moment_json(item: Entry) -> dict[str, Any]:
    facts = {
        "name": item.name,
        "code": item.code,
        "status": item.status,
        "ms": item.ms,
        "attempt": item.attempt,
        "next_try_at": iso(item.next_try_at),
        "delivery": item.delivery_id,
        "events": [_event_json(event) for event in item.events],
        "problems": [{"pointer": it.pointer, "rule": it.rule, "effect": it.effect} for it in item.problems.listed],
        "problems_not_listed": item.problems.more,
        "amount": None if item.amount is None else f"{item.amount:f}",
        "currency": item.currency_code,
        "reason": item.reason,
    }
    said = {"at": iso(item.at), "who": item.who, "kind": item.kind, "what": item.sentence}
    return {**said, "request_id": item.request_id, **{name: value for name, value in facts.items() if value}}


def _event_json(event: Event) -> dict[str, Any]:
    about = {item.identifier_type: item.identifier for item in event.associations}
    return {"kind": event.event_type, "code": event.code, "what": event.message, "about": about}
