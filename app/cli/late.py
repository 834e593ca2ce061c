"""`channel late`: what turned out after RetailOps had its answer, and dismissing what is known (R15)."""

from __future__ import annotations

from functools import partial

import click

from app.cli.acting import Act, operator_act
from app.cli.choosing import channel_option, limit_option, vendor_option
from app.cli.records import key_of, records, shown_channel
from app.cli.showing import row_json, when
from app.operations import acts
from app.operations.late_events import LateEventRow, find
from app.operations.paging import first
from app.operations.scope import Scope
from app.terminal import Group, Output, json_or_tables, print_lines


@click.group(cls=Group)
def late() -> None:
    """What turned out after a callback was answered: RetailOps is sent it once, you see it until you dismiss it."""


@late.command("list")
@channel_option
@vendor_option("Only what concerns this vendor, such as pipe17.")
@click.option("--all", "shows_all", is_flag=True, help="Those that were dismissed, too.")
@limit_option(50)
@json_or_tables
def list_(channel: str, vendor: str, shows_all: bool, limit: int) -> Output:
    """Late events nobody has dismissed, newest first."""
    with records() as (_, database):
        chosen = partial(find, database, Scope(), channel=key_of(channel), gateway=vendor, is_open=not shows_all)
        found = first(limit, chosen)
    names = "id at callback subject code message request_id sent_at dismissed_at channel vendor=gateway"
    shown = {"late_events": [row_json(item, f"{names} delivery=delivery_id") for item in found]}
    if not found:
        return Output(shown, f"No late event is {'kept' if shows_all else 'open'}.")
    hint = "\nOnce you know: channel late dismiss nN [--reason TEXT]"
    return Output(shown, partial(print_lines, "", *map(event_lines, found)), "" if shows_all else hint)


def event_lines(item: LateEventRow) -> tuple[str, str]:
    """A late event for people: what it is about, and what turned out."""
    sent = f"sent {when(item.sent_at)}" if item.sent_at else "not sent yet"
    state = ", dismissed" if item.dismissed_at else ""
    where = f"{item.callback}, {item.subject} ({shown_channel(item.channel)}, {item.gateway})"
    return f"n{item.id}  {when(item.at)} UTC, {where}, {sent}{state}", f"{item.code}: {item.message}"


@late.command()
@click.argument("ids", metavar="nN...", nargs=-1, required=True)
@operator_act()
def dismiss(ids: tuple[str, ...], act: Act) -> None:
    """Say that you know these late events: they are shown no more, and not sent to RetailOps if they have not been.

    Harmless twice.  Exit code 1 when one of them is not open.
    """
    numbers = {event_number(given) for given in ids}
    with records() as (_, database):
        done = acts.open_late_events(database, numbers)
        question = f"Dismiss {', '.join(map(_name, sorted(done)))}?" if done else ""
        if act.may_go_on(question):
            done = acts.dismiss(database, act.operator, numbers, database.now())
    dismissed, failed = list(map(_name, sorted(done))), list(map(_name, sorted(numbers - done)))
    act.finish(
        {"done": dismissed, "failed": failed},
        *(f"{name} {act.be} dismissed" for name in dismissed),
        failures=[f"{name}: no such late event is open" for name in failed],
    )


def event_number(given: str, meaning: str = "no late event such as n7") -> int:
    """The number in n7.  Raises `click.BadParameter`: it is `meaning`."""
    digits = given.removeprefix("n")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 18:
        raise click.BadParameter(f"'{given}' is {meaning}")
    return int(digits)


def _name(number: int) -> str:
    return f"n{number}"
