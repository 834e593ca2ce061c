"""`channel refunds`: the ledger of money given back, and the release of what waits for an operator's decision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import click

from app.channel.money import rounded
from app.cli.acting import Act, operator_act
from app.cli.choosing import Number, channel_option, limit_option
from app.cli.db import database_alone
from app.cli.records import key_of, remember_names, shown_channel
from app.cli.showing import row_json
from app.operations import refunds as ledger
from app.operations.paging import first
from app.operations.refunds import Entry, RefundChoice, RefundRow
from app.operations.scope import Scope
from app.terminal import Column, Group, Output, json_or_tables, shortened, table

STATES = ("owed", "accepted", "parked", "refused", "released", "recorded", "matched")
CALLBACKS = ("order_cancel", "order_complete", "order_returned", "payment_credit")

RELEASED = ("pays_next", "given_free")
"""The outcomes of a release that was carried out."""

MEANINGS = {
    "pays_next": "Released: the next request like it is carried out, once.",
    "given_free": "Released: its amount may be given back again.",
    "still_open": "Its call to the vendor is still open: `channel deliveries retry` or `drop` it first.",
    "nothing_held": "It holds nothing up, so there is nothing to release.",
    "unknown": "There is no refund of this number.",
    "changed": "It changed while this command ran; look again.",
}


@click.group(cls=Group)
def refunds() -> None:
    """Look at refunds, and let one go that is held up."""


@refunds.command("list")
@channel_option
@click.option("--order", default="", help="Only this order, by the channel's number.")
@click.option("--state", type=click.Choice(STATES), default=None, help="Only this state.")
@click.option("--callback", type=click.Choice(CALLBACKS), default=None, help="Only what this callback requested.")
@click.option("--unpaid", is_flag=True, help="Only requests answered without paying, as the same as an earlier one.")
@limit_option(100)
@json_or_tables
def list_(channel: str, order: str, state: str | None, callback: str | None, unpaid: bool, limit: int) -> Output:
    """Refunds, newest first: paid, owed, parked, refused, or held to be the same money as another.

    States: owed (to be paid, or it is being found out), accepted (the vendor has it), parked (a person
    has to decide), refused (not paid), released (a person let its amount go), recorded (no money requested
    for here), matched (the same money as another callback's, so nothing is paid for it).
    """
    with database_alone() as database:
        remember_names(database)
        chosen = RefundChoice(key_of(channel), order, state or "", callback or "", is_unpaid_request=unpaid)
        found = first(limit, partial(ledger.find, database, Scope(), chosen))
    entries = [row.entry for row in found]
    return Output(list(map(_as_json, found)), table("", COLUMNS, entries, none="No such refund is in the ledger."))


def _amount(entry: Entry) -> str:
    return f"{rounded(entry.amount, entry.currency_code)} {entry.currency_code}".strip()


def _note(entry: Entry) -> str:
    notes = []
    if entry.matched[0]:
        notes.append(f"same as {' '.join(entry.matched)}")
    if entry.repeats:
        notes.append(f"requested again {entry.repeats} times")
    if entry.released_at:
        notes.append("released")
    return ", ".join(notes)


def _requested_by(entry: Entry) -> str:
    return f"{entry.callback} {entry.natural_key}"


COLUMNS: Sequence[Column[Entry]] = (
    Column("id", lambda entry: entry.id),
    Column("channel", lambda entry: shown_channel(entry.channel), rank=2),
    Column("order", lambda entry: entry.order_refnum, narrow=lambda entry: shortened(entry.order_refnum, 18)),
    Column("payment", lambda entry: entry.payment_refnum, rank=1),
    Column("requested by", _requested_by, rank=3),
    Column("amount", _amount),
    Column("state", lambda entry: entry.state),
    Column("refund", lambda entry: entry.refnum, narrow=lambda entry: shortened(entry.refnum, 14)),
    Column("note", _note),
)


def _as_json(row: RefundRow) -> dict[str, Any]:
    """Amounts as text, for a reader's floats are none of our business."""
    entry = row.entry
    return row_json(
        entry,
        "id callback key state is_store_credit channel order=order_refnum payment=payment_refnum "
        "currency=currency_code refund=refnum asked_again=repeats",
        asked_by=_requested_by(entry),
        amount=str(rounded(entry.amount, entry.currency_code)),
        same_as=" ".join(entry.matched).strip(),
        created_at=_moment(entry.created_at),
        told_at=_moment(entry.answered_at),
        released_at=_moment(entry.released_at),
        release=row.release,
    )


def _moment(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""


@refunds.command()
@click.argument("refund_id", metavar="ID", type=Number("refund"))
@operator_act(needs_reason=True)
def release(refund_id: int, act: Act) -> None:
    """Let go of what refund ID holds up.

    A credit that was answered as a repeat, or as the same money as a return: the next such request is
    carried out, once.  A refund whose call was given up without knowing whether it was paid: its amount
    may be given back again.

    Exit code 1 when there is nothing to let go of.
    """
    with database_alone() as database:
        now = database.now()
        remember_names(database)
        found = ledger.one(database, Scope(), refund_id)
        outcome: str = found.row.release if found else "unknown"
        if found and found.row.can_be_released:
            entry = found.row.entry
            order = f"order {entry.order_refnum} ({shown_channel(entry.channel)})"
            if act.may_go_on(f"Let {_amount(entry)} of {order} be given back once more?"):
                outcome = ledger.release(database, Scope(), act.operator, refund_id, found.row.shown, now)
    result = {"id": refund_id, "outcome": outcome}
    if outcome not in RELEASED:
        act.finish(result, failures=[MEANINGS[outcome]])
    act.finish(result, f"Would be: {MEANINGS[outcome]}" if act.is_dry_run else MEANINGS[outcome])
