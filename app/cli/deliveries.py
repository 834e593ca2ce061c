"""`channel deliveries`: which calls are owed to vendors, which wait for a person, and what can be done about them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import click

from app.cli.choosing import Number, call_filters, chosen_calls, limit_option
from app.cli.delivery_actions import confirm, drop, retry
from app.cli.late import event_lines
from app.cli.records import records, shown_channel
from app.cli.showing import iso, row_json, when
from app.cli.timelines import show_moments
from app.cli.vendors import build
from app.cli.work import work
from app.operations import deliveries as calls
from app.operations import late_events, timeline, unsent_facts
from app.operations.deliveries import DeliveryInFull, DeliveryRow
from app.operations.paging import first
from app.operations.scope import Scope
from app.operations.timeline import Entry
from app.operations.unsent_facts import Owed
from app.records.deliveries import OPEN_STATES, STATES
from app.terminal import Column, Group, Output, json_or_tables, print_cells, print_lines, shortened, table

MOST_NEWS = 100
"""Late events shown below the calls."""

COLUMNS: Sequence[Column[DeliveryRow]] = (
    Column("Id", lambda row: row.id),
    Column("State", lambda row: _loud(row.state)),
    Column(
        "Order",
        lambda row: f"{row.order} ({shown_channel(row.channel)})",
        narrow=lambda row: shortened(row.order, 18),
    ),
    Column("Call", lambda row: f"{row.gateway} {row.verb}"),
    Column("Tries", lambda row: row.attempts),
    Column("Owed since (UTC)", lambda row: when(row.created_at), rank=3),
    Column(
        "Next try (UTC)",
        lambda row: when(row.next_try_at),
        narrow=lambda row: when(row.next_try_at)[5:16],
        rank=1,
    ),
    Column("Last said", lambda row: row.last_code or "-"),
    Column("Waits for", lambda row: row.held_by, rank=2),
)
"""In a narrow window without what `deliveries show` says anyway."""

IN_BRIEF = "id state order verb attempts created_at next_try_at last_code held_by is_under_way channel vendor=gateway"
NEWS = "id callback subject code message at dismissed_at channel told_at=sent_at delivery=delivery_id"
"""A call, and a late event, for programs."""

PARKED = "\nA parked call: `channel deliveries show ID`, then retry ID, or confirm ID or drop ID with --reason TEXT."


@click.group(cls=Group)
def deliveries() -> None:
    """Look after the calls that are owed to vendors.

    A call is owed until the vendor has it.  `parked` means: given up by the machine, kept for you; the
    order's later calls wait for it.  Mend the cause and `retry` it; or look at the vendor, and `confirm` it
    where it has been done after all; or give it up with `drop`.
    """


for decision in (retry, drop, confirm, work):
    deliveries.add_command(decision)


@deliveries.command("list")
@call_filters([*STATES, "any"])
@limit_option(50)
@json_or_tables
def list_(limit: int, **chosen: Any) -> Output:
    """Show what is open: owed, checking (being found out) and parked; other states with --state.

    Below it: late news that nobody has dismissed, and products and stock that a vendor has not been sent.
    """
    with records() as (_, database):
        which = chosen_calls(chosen, OPEN_STATES)
        channel, vendor = which.channel, which.gateway
        found = first(limit, partial(calls.find, database, Scope(), which))
        total = calls.count(database, Scope(), which)
        news = first(
            MOST_NEWS,
            partial(late_events.find, database, Scope(), channel=channel, gateway=vendor, subject=which.order),
        )
        unsent = [] if which.order else unsent_facts.find(database, Scope(), channel=channel, gateway=vendor)
    facts = {kind: [_unsent_json(item) for item in unsent if item.kind == kind] for kind in ("catalogue", "stock")}
    dismissal = "\nLate news not dismissed (channel deliveries drop nN --reason TEXT)"
    return Output(
        {
            "deliveries": [row_json(row, IN_BRIEF) for row in found],
            "total": total,
            "late_news": [row_json(item, NEWS) for item in news],
            **facts,
        },
        table("Calls to vendors", COLUMNS, found, none="No such calls." if chosen["states"] else "Nothing is open."),
        f"{total - len(found)} more; see --limit." if total > len(found) > 0 else "",
        partial(print_lines, dismissal, *map(event_lines, news)) if news else "",
        *map(_unsent_sentence, unsent),
        PARKED if any(row.state == "parked" for row in found) else "",
    )


@deliveries.command()
@click.argument("delivery_id", metavar="ID", type=Number("call"))
@json_or_tables
def show(delivery_id: int) -> Output:
    """Everything about one call: its command, its attempts, what was said, and what it waits for.

    Of what the call says only the names of its fields are shown, because the rest is personal data.
    """
    with records() as (configured, database):
        found = calls.one(database, Scope(), build(configured, database), delivery_id)
        if found is None:
            raise click.ClickException(f"there is no delivery {delivery_id}")
        row = found.row
        last = max(at for at in (row.created_at, row.last_attempt_at, row.closed_at) if at)
        lines = timeline.of_journal(database, Scope(), row.request_id, row.created_at, last)
    head = f"Delivery {row.id}: {row.gateway} {row.verb}, {_loud(row.state)}"
    what_to_do = (
        f"\nMend the cause, then: `channel deliveries retry {row.id}`",
        f"or, if {row.gateway} shows that it was done: `channel deliveries confirm {row.id} --reason TEXT`",
        f"or give it up for good: `channel deliveries drop {row.id} --reason TEXT`",
    )
    return Output(
        _in_full(found, lines),
        partial(print_cells, head, ("", ""), list(_facts(found).items())),
        partial(show_moments, lines),
        *(what_to_do if row.state == "parked" else ()),
    )


def _facts(found: DeliveryInFull) -> dict[str, str]:
    row, holder = found.row, found.held_by
    begun_at = when(found.begun_at)
    late = [f"n{item.id} {item.code}, sent {when(item.sent_at) or 'not yet'}" for item in found.late_events]
    facts = {
        "Order": f"{row.order} (channel {shown_channel(row.channel)})",
        "Callback": f"{found.callback} at {begun_at} UTC, request {row.request_id}",
        "About": ", ".join(_about(found)) or "-",
        "Tries": f"{row.attempts}, last {when(row.last_attempt_at) or 'never'}",
        "Last said": f"{row.last_code}: {row.last_error}" if row.last_code else "nothing yet",
        "Perhaps done": "yes, the last attempt had no usable answer" if found.is_possibly_done else "no",
        "Next try": when(row.next_try_at) or "-",
        "Waits for": f"delivery {holder.id}, {holder.state}" if holder is not None else "nothing before it",
        "It says": _body_shape(found),
        "Late news": "; ".join(late) or "-",
    }
    if found.dropped_because:
        facts["Given up"] = f"{when(row.closed_at)}: {found.dropped_because}"
    return facts


def _in_full(found: DeliveryInFull, lines: Sequence[Entry]) -> dict[str, Any]:
    return {
        **row_json(found.row, f"{IN_BRIEF} last_attempt_at closed_at last_error request_id"),
        **row_json(found, "callback natural_key is_possibly_done dropped_because", command_begun_at=found.begun_at),
        "about": _about(found),
        "body": _body_shape(found),
        "late_news": [row_json(item, NEWS) for item in found.late_events],
        "journal": [{"at": iso(line.at), "who": line.who, "what": line.sentence} for line in lines],
    }


def _unsent_json(item: Owed) -> dict[str, Any]:
    return row_json(item, f"last_error channel vendor=gateway {'skus' if item.kind == 'stock' else 'products'}=count")


def _unsent_sentence(item: Owed) -> str:
    what = f"Stock of {item.count} SKUs is" if item.kind == "stock" else f"{item.count} products are"
    why = f"; last said {item.last_error}" if item.last_error else ""
    return f"{what} owed to {item.gateway} (channel {shown_channel(item.channel)}){why}."


def _about(found: DeliveryInFull) -> list[str]:
    return [f"{item.identifier_type} {item.identifier}" for item in found.about]


def _body_shape(found: DeliveryInFull) -> str:
    """Names of fields and a size, never what is in them."""
    if not found.size:
        return "deleted: nobody needs it any more"
    return f"{found.size} bytes: {', '.join(found.fields)}"


def _loud(state: str) -> str:
    return "PARKED" if state == "parked" else state
