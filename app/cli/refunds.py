"""`channel refunds`: the ledger of money given back, and the release of what waits for an operator's decision."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from app.channel.money import rounded
from app.cli.acting import act_options, ask, operator_of
from app.cli.record_options import key_of, remember_names, shown_channel
from app.operations import refunds as ledger
from app.operations.paging import first
from app.operations.refunds import Entry, RefundChoice, RefundRow
from app.operations.scope import Scope
from app.records.database import Database
from app.settings import load_database_url
from app.terminal import console, is_wide, json_option, new_table, print_json, shortened

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


@click.group()
def refunds() -> None:
    """Look at refunds, and let one go that is held up."""


@refunds.command("list")
@click.option("--channel", default="", help="Only this channel.")
@click.option("--order", default="", help="Only this order, by the channel's number.")
@click.option("--state", type=click.Choice(STATES), default=None, help="Only this state.")
@click.option("--callback", type=click.Choice(CALLBACKS), default=None, help="Only what this callback requested.")
@click.option("--unpaid", is_flag=True, help="Only requests answered without paying, as the same as an earlier one.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10000), help="How many, newest first.")
@json_option
def list_(
    channel: str, order: str, state: str | None, callback: str | None, unpaid: bool, limit: int, as_json: bool
) -> None:
    """Refunds, newest first: paid, owed, parked, refused, or held to be the same money as another.

    States: owed (to be paid, or it is being found out), accepted (the vendor has it), parked (a person
    has to decide), refused (not paid), released (a person let its amount go), recorded (no money requested
    for here), matched (the same money as another callback's, so nothing is paid for it).
    """
    database = Database(load_database_url())
    try:
        remember_names(database)
        chosen = RefundChoice(key_of(channel), order, state or "", callback or "", is_unpaid_request=unpaid)
        found = first(limit, lambda after: ledger.find(database, Scope(), chosen, after=after))
    finally:
        database.close()
    if as_json:
        print_json([_as_json(row) for row in found])
        return
    out = console()
    wide = is_wide(out)
    more = ["channel", "order", "payment", "requested by"] if wide else ["order"]
    table = new_table("", "id", *more, "amount", "state", "refund", "note")
    for row in found:
        entry, shown = row.entry, _as_json(row)
        amount = f"{shown['amount']} {entry.currency_code}".strip()
        order = entry.order_refnum if wide else shortened(entry.order_refnum, 18)
        named = [shown_channel(entry.channel), order, entry.payment_refnum, shown["asked_by"]] if wide else [order]
        refund = entry.refnum if wide else shortened(entry.refnum, 14)
        table.add_row(str(entry.id), *named, amount, entry.state, refund, _note(entry))
    out.print(table)


def _note(entry: Entry) -> str:
    notes = []
    if entry.matched[0]:
        notes.append(f"same as {' '.join(entry.matched)}")
    if entry.repeats:
        notes.append(f"requested again {entry.repeats} times")
    if entry.released_at:
        notes.append("released")
    return ", ".join(notes)


def _as_json(row: RefundRow) -> dict[str, Any]:
    """Amounts as text, for a reader's floats are none of our business."""
    entry = row.entry
    return {
        "id": entry.id,
        "channel": shown_channel(entry.channel),
        "order": entry.order_refnum,
        "payment": entry.payment_refnum,
        "asked_by": f"{entry.callback} {entry.natural_key}",
        "callback": entry.callback,
        "key": entry.key,
        "amount": str(rounded(entry.amount, entry.currency_code)),
        "currency": entry.currency_code,
        "state": entry.state,
        "is_store_credit": entry.is_store_credit,
        "refund": entry.refnum,
        "same_as": " ".join(entry.matched).strip(),
        "asked_again": entry.repeats,
        "created_at": _moment(entry.created_at),
        "told_at": _moment(entry.answered_at),
        "released_at": _moment(entry.released_at),
        "release": row.release,
    }


def _moment(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""


@refunds.command()
@click.argument("refund_id", metavar="ID", type=int)
@act_options(needs_reason=True)
@json_option
@click.pass_context
def release(ctx: click.Context, refund_id: int, reason: str, by: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Let go of what refund ID holds up.

    A credit that was answered as a repeat, or as the same money as a return: the next such request is
    carried out, once.  A refund whose call was given up without knowing whether it was paid: its amount
    may be given back again.

    Exit code 1 when there is nothing to let go of.
    """
    operator = operator_of(by, reason, needs_reason=not dry_run)
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json cannot ask: add --yes or --dry-run")
    database = Database(load_database_url())
    try:
        now = database.now()
        remember_names(database)
        found = ledger.one(database, Scope(), refund_id)
        outcome: str = found.row.release if found else "unknown"
        if found and found.row.can_be_released and not dry_run:
            entry = found.row.entry
            if not yes:
                amount = f"{rounded(entry.amount, entry.currency_code)} {entry.currency_code}".strip()
                order = f"order {entry.order_refnum} ({shown_channel(entry.channel)})"
                ask(f"Let {amount} of {order} be given back once more?")
            outcome = ledger.release(database, Scope(), operator, refund_id, found.row.shown, now)
    finally:
        database.close()
    if as_json:
        print_json({"id": refund_id, "outcome": outcome, "dry_run": dry_run})
    else:
        said = f"Would be: {MEANINGS[outcome]}" if dry_run and outcome in RELEASED else MEANINGS[outcome]
        click.echo(said, err=outcome not in RELEASED)
    ctx.exit(0 if outcome in RELEASED else 1)
