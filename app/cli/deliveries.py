"""`channel deliveries`: which calls are owed to vendors, which wait for a person, and what can be done about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from rich.padding import Padding
from rich.table import Table

from app.cli.delivery_actions import confirm, drop, retry
from app.cli.record_options import call_filters, chosen_calls, iso, records, shown_channel, when, when_exactly
from app.cli.vendors import build
from app.cli.work import work
from app.domain.body_problems import EFFECTS
from app.operations import deliveries as calls
from app.operations import late_events, timeline, unsent_facts
from app.operations.deliveries import DeliveryInFull, DeliveryRow
from app.operations.late_events import LateEventRow
from app.operations.paging import Page, first
from app.operations.scope import Scope
from app.operations.timeline import Entry
from app.operations.unsent_facts import Owed
from app.records.database import Database
from app.records.deliveries import OPEN_STATES, STATES
from app.records.delivery_rows import DeliveryFilter
from app.terminal import REQUEST_PREFIX, console, is_wide, json_option, new_table, print_json, shortened

Command = Callable[..., Any]

MOST_NEWS = 100
"""Late events shown below the calls."""


@click.group()
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
@click.option("--limit", default=50, type=click.IntRange(1, 10_000), help="Show at most so many. Default 50.")
@json_option
def list_(limit: int, as_json: bool, **chosen: Any) -> None:
    """Show what is open: owed, checking (being found out) and parked; other states with --state.

    Below it: late news that nobody has dismissed, and products and stock that a vendor has not been sent.
    """
    with records() as (_, database):
        which = chosen_calls(chosen, OPEN_STATES)
        found = first(limit, lambda after: calls.find(database, Scope(), which, after=after))
        shown = list(map(_brief, found))
        total = calls.count(database, Scope(), which)
        news, unsent = _open_news(database, which), _unsent_facts(database, which)
    if as_json:
        facts = {kind: [_unsent_json(item) for item in unsent if item.kind == kind] for kind in ("catalogue", "stock")}
        print_json({"deliveries": shown, "total": total, "late_news": news, **facts})
        return
    _show_list(shown, total, news, unsent, is_default=not chosen["states"])


def _show_list(
    shown: list[dict[str, Any]],
    total: int,
    news: list[dict[str, Any]],
    unsent: list[Owed],
    *,
    is_default: bool,
) -> None:
    out = console()
    if shown:
        out.print(_calls(shown, is_all_shown=is_wide(out)))
        if total > len(shown):
            out.print(f"{total - len(shown)} more; see --limit.")
    else:
        out.print("Nothing is open." if is_default else "No such calls.")
    if news:
        out.print("\nLate news not dismissed (channel deliveries drop nN --reason TEXT)", style="bold")
        for item in news:
            sent = f"sent {_short(item['told_at'])}" if item["told_at"] else "not sent yet"
            out.print(f"n{item['id']}  {item['callback']}, {item['subject']} ({item['channel']}), {sent}")
            out.print(Padding(f"{item['code']}: {item['message']}", (0, 0, 0, 4)))
    for owed in unsent:
        what = f"Stock of {owed.count} SKUs is" if owed.kind == "stock" else f"{owed.count} products are"
        why = f"; last said {owed.last_error}" if owed.last_error else ""
        out.print(f"{what} owed to {owed.gateway} (channel {shown_channel(owed.channel)}){why}.")
    if any(item["state"] == "parked" for item in shown):
        out.print(
            "\nA parked call: channel deliveries show ID, then retry ID, or confirm ID or drop ID with --reason TEXT."
        )


def _calls(shown: list[dict[str, Any]], *, is_all_shown: bool) -> Table:
    """A row for each call; on a narrow terminal without what `deliveries show` says anyway."""
    more = (
        ["Owed since (UTC)", "Next try (UTC)", "Last said", "Waits for"] if is_all_shown else ["Next try", "Last said"]
    )
    rows = new_table("Calls to vendors", "Id", "State", "Order", "Call", "Tries", *more)
    for item in shown:
        next_try = _short(item["next_try_at"]) if item["state"] in ("owed", "checking") else ""
        order = f"{item['order']} ({item['channel']})" if is_all_shown else shortened(item["order"], 18)
        last = item["last_code"] or "-"
        rest = [_short(item["created_at"]), next_try, last, str(item["held_by"] or "")]
        rows.add_row(
            str(item["id"]), _loud(item["state"]), order, f"{item['vendor']} {item['verb']}", str(item["attempts"]),
            *(rest if is_all_shown else [next_try[5:16], last]),
        )  # fmt: skip
    return rows


@deliveries.command()
@click.argument("delivery_id", metavar="ID", type=click.IntRange(min=1))
@json_option
def show(delivery_id: int, as_json: bool) -> None:
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
    full = {
        **_brief(row),
        "callback": found.callback,
        "natural_key": found.natural_key,
        "command_begun_at": iso(found.begun_at),
        "is_possibly_done": found.is_possibly_done,
        "last_attempt_at": iso(row.last_attempt_at),
        "closed_at": iso(row.closed_at),
        "last_error": row.last_error,
        "about": [f"{item.identifier_type} {item.identifier}" for item in found.about],
        "body": _body_shape(found),
        "request_id": row.request_id,
        "dropped_because": found.dropped_because,
        "late_news": [_news(item) for item in found.late_events],
        "journal": [{"at": iso(line.at), "who": line.who, "what": line.sentence} for line in lines],
    }
    if as_json:
        print_json(full)
    else:
        _show_one(full, found.held_by, lines)


def _show_one(full: dict[str, Any], holder: DeliveryRow | None, lines: Sequence[Entry]) -> None:
    out = console()
    out.print(f"Delivery {full['id']}: {full['vendor']} {full['verb']}, {_loud(full['state'])}")
    facts = {
        "Order": f"{full['order']} (channel {full['channel']})",
        "Callback": f"{full['callback']} at {_short(full['command_begun_at'])} UTC, request {full['request_id']}",
        "About": ", ".join(full["about"]) or "-",
        "Tries": f"{full['attempts']}, last {_short(full['last_attempt_at']) or 'never'}",
        "Last said": f"{full['last_code']}: {full['last_error']}" if full["last_code"] else "nothing yet",
        "Perhaps done": "yes, the last attempt had no usable answer" if full["is_possibly_done"] else "no",
        "Next try": _short(full["next_try_at"]) if full["state"] in ("owed", "checking") else "-",
        "Waits for": f"delivery {holder.id}, {holder.state}" if holder is not None else "nothing before it",
        "It says": full["body"],
        "Late news": "; ".join(f"n{item['id']} {item['code']}, sent {_short(item['told_at']) or 'not yet'}"
                               for item in full["late_news"]) or "-",
    }  # fmt: skip
    if full["dropped_because"]:
        facts["Given up"] = f"{_short(full['closed_at'])}: {full['dropped_because']}"
    table = new_table("", "", "")
    table.show_header = False
    for name, value in facts.items():
        table.add_row(name, value)
    out.print(table)
    show_moments(lines)
    if full["state"] == "parked":
        out.print(f"\nMend the cause, then: channel deliveries retry {full['id']}")
        out.print(
            f"or, if {full['vendor']} shows that it was done: channel deliveries confirm {full['id']} --reason TEXT"
        )
        out.print(f"or give it up for good: channel deliveries drop {full['id']} --reason TEXT")


def show_moments(lines: Sequence[Entry]) -> None:
    """What happened as a table; what repeats itself without change stands once, with a count."""
    out = console()
    is_whole = is_wide(out)  # else without the day's year, and of a request as much as distinguishes it from others
    rows = new_table("\nWhat happened (UTC)", "When", "Who", "What", "Request")
    at = 0
    while at < len(lines):
        first, last = lines[at], at
        while last + 1 < len(lines) and _same(lines[last + 1]) == _same(first):
            last += 1
        again = f" ({last - at} times more, until {when(lines[last].at)})" if last > at else ""
        moment, request = when_exactly(first.at), first.request_id
        if not is_whole:
            moment, request = moment[5:], request[:REQUEST_PREFIX]
        rows.add_row(moment, first.who, "\n".join([first.sentence + again, *_problem_lines(first)]), request)
        at = last + 1
    if lines:
        out.print(rows)


def _same(entry: Entry) -> tuple[object, ...]:
    return entry.who, entry.sentence.rpartition(", after ")[0] or entry.sentence, entry.request_id, entry.problems


def _problem_lines(entry: Entry) -> list[str]:
    found = entry.problems
    lines = [f"{it.pointer or 'the whole body'} breaks {it.rule}: {EFFECTS[it.effect]}" for it in found.listed]
    return [*lines, f"{found.more} more faults, not listed"] if found.more else lines


def _brief(row: DeliveryRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "channel": shown_channel(row.channel),
        "order": row.order,
        "vendor": row.gateway,
        "verb": row.verb,
        "attempts": row.attempts,
        "created_at": iso(row.created_at),
        "next_try_at": iso(row.next_try_at),
        "last_code": row.last_code,
        "held_by": row.held_by,
        "is_under_way": row.is_under_way,
    }


def _news(row: LateEventRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "channel": shown_channel(row.channel),
        "callback": row.callback,
        "subject": row.subject,
        "code": row.code,
        "message": row.message,
        "at": iso(row.at),
        "told_at": iso(row.sent_at),
        "dismissed_at": iso(row.dismissed_at),
        "delivery": row.delivery_id,
    }


def _open_news(database: Database, which: DeliveryFilter) -> list[dict[str, Any]]:
    def page(after: str) -> Page[LateEventRow]:
        return late_events.find(
            database, Scope(), channel=which.channel, gateway=which.gateway, subject=which.order, after=after
        )

    return list(map(_news, first(MOST_NEWS, page)))


def _unsent_facts(database: Database, which: DeliveryFilter) -> list[Owed]:
    if which.order:
        return []
    return unsent_facts.find(database, Scope(), channel=which.channel, gateway=which.gateway)


def _unsent_json(item: Owed) -> dict[str, Any]:
    unit = "skus" if item.kind == "stock" else "products"
    return {
        "channel": shown_channel(item.channel),
        "vendor": item.gateway,
        unit: item.count,
        "last_error": item.last_error,
    }


def _body_shape(found: DeliveryInFull) -> str:
    """Names of fields and a size, never what is in them."""
    if not found.size:
        return "deleted: nobody needs it any more"
    return f"{found.size} bytes: {', '.join(found.fields)}"


def _loud(state: str) -> str:
    return "PARKED" if state == "parked" else state


def _short(moment: str | None) -> str:
    return moment[:19].replace("T", " ") if moment else ""
