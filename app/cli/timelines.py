"""Timelines on the terminal: of every order with a number, as sentences for people and as objects for programs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Any

import click

from app.cli.records import shown_channel
from app.cli.showing import iso, row_json, when, when_exactly
from app.domain.body_problems import EFFECTS
from app.domain.events import Event
from app.operations import timeline
from app.operations.find import find, orders_of
from app.operations.scope import Scope
from app.operations.timeline import Entry, Timeline
from app.records.database import Database
from app.records.search_keys import folded
from app.terminal import REQUEST_PREFIX, Column, print_lines, print_table

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
    hits = whole or hits
    # A small number is also our id of a call or a refund, of whatever order.
    orders = orders_of([hit for hit in hits if not hit.is_our_id] or hits)
    if len(orders) > MOST_ORDERS:
        raise click.ClickException(f"{len(orders)} orders have a number that begins so: see channel find {number}")
    return dict.fromkeys([*orders, *((key, number) for key in channels)])


def show_timeline(shown: Timeline, *, is_order: bool) -> None:
    """What happened and how it stands, for people."""
    what = "Order" if is_order else "Request about order"
    print_lines("", (f"{what} {shown.refnum or '-'}, channel {shown_channel(shown.channel) or '-'}", *shown.now))
    show_moments(shown.entries)
    click.echo()


def show_moments(entries: Sequence[Entry]) -> None:
    """What happened as a table; what repeats itself without change stands once, with a count."""
    if entries:
        repeated = [list(alike) for _, alike in groupby(entries, _without_duration)]
        print_table("\nWhat happened (UTC)", _COLUMNS, repeated)


def _without_duration(entry: Entry) -> tuple[object, ...]:
    return entry.who, entry.sentence.rpartition(", after ")[0] or entry.sentence, entry.request_id, entry.problems


def _what(alike: Sequence[Entry]) -> str:
    found = alike[0].problems
    lines = [alike[0].sentence]
    if len(alike) > 1:
        again = "once" if len(alike) == 2 else f"{len(alike) - 1} times"
        lines[0] += f" ({again} more, until {when(alike[-1].at)})"
    lines += [f"{it.pointer or 'the whole body'} breaks {it.rule}: {EFFECTS[it.effect]}" for it in found.listed]
    if found.more:
        lines.append(f"{found.more} more faults, not listed")
    return "\n".join(lines)


_COLUMNS: Sequence[Column[Sequence[Entry]]] = (
    Column("When", lambda alike: when_exactly(alike[0].at), narrow=lambda alike: when_exactly(alike[0].at)[5:]),
    Column("Who", lambda alike: alike[0].who),
    Column("What", _what, wraps=True),
    Column("Request", lambda alike: alike[0].request_id, narrow=lambda alike: alike[0].request_id[:REQUEST_PREFIX]),
)
"""In a narrow window without the year, and of a request as much as distinguishes it from others."""


def timeline_json(shown: Timeline) -> dict[str, Any]:
    """The same for programs: each moment with all that is known of it."""
    return {
        "channel": shown_channel(shown.channel),
        "order": shown.refnum,
        "now": shown.now,
        "moments": [_moment_json(item) for item in shown.entries],
    }


def _moment_json(item: Entry) -> dict[str, Any]:
    facts = row_json(
        item, "name code status ms attempt next_try_at reason delivery=delivery_id currency=currency_code",
        events=[_event_json(event) for event in item.events],
        problems=[row_json(problem, "pointer rule effect") for problem in item.problems.listed],
        problems_not_listed=item.problems.more,
        amount=None if item.amount is None else f"{item.amount:f}",
    )  # fmt: skip
    said = {"at": iso(item.at), "who": item.who, "kind": item.kind, "what": item.sentence}
    return {**said, "request_id": item.request_id, **{name: value for name, value in facts.items() if value}}


def _event_json(event: Event) -> dict[str, Any]:
    about = {item.identifier_type: item.identifier for item in event.associations}
    return {"kind": event.event_type, "code": event.code, "what": event.message, "about": about}
