"""`channel refunds`: the ledger of money given back, and the operator's word where this server will not guess."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from app.channel.money import rounded
from app.cli.terminal import console, json_option, new_table, print_json
from app.records import refunds as ledger
from app.records.database import Database
from app.records.refunds import Entry
from app.settings import load_database_url

STATES = ("owed", "accepted", "parked", "refused", "released", "recorded", "matched")
CALLBACKS = ("order_cancel", "order_complete", "order_returned", "payment_credit")

MEANINGS = {
    "pays_next": "Released: the next request like it is carried out, once.",
    "given_free": "Released: its amount may be given back again.",
    "still_open": "Its call to the vendor is still open: `channel deliveries retry` or `drop` it first.",
    "nothing_held": "It holds nothing up, so there is nothing to release.",
    "unknown": "There is no refund of this number.",
}


@click.group()
def refunds() -> None:
    """Look at refunds, and let one go that is held up."""


@refunds.command("list")
@click.option("--channel", default="", help="Only this channel.")
@click.option("--order", default="", help="Only this order, by the channel's number.")
@click.option("--state", type=click.Choice(STATES), default=None, help="Only this state.")
@click.option("--callback", type=click.Choice(CALLBACKS), default=None, help="Only what this callback asked for.")
@click.option("--unpaid", is_flag=True, help="Only requests answered without paying, as the same as an earlier one.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10000), help="How many, newest first.")
@json_option
def list_(
    channel: str, order: str, state: str | None, callback: str | None, unpaid: bool, limit: int, as_json: bool
) -> None:
    """Refunds, newest first: paid, owed, parked, refused, or held to be the same money as another.

    States: owed (to be paid, or it is being found out), accepted (the vendor has it), parked (a person
    has to decide), refused (not paid), released (a person let its amount go), recorded (no money asked
    for here), matched (the same money as another callback's, so nothing is paid for it).
    """
    database = Database(load_database_url())
    try:
        with database.read() as connection:
            found = ledger.listing(
                connection,
                channel=channel,
                order_refnum=order,
                state=state or "",
                callback=callback or "",
                is_unpaid_request=unpaid,
                limit=limit,
            )
    finally:
        database.close()
    if as_json:
        print_json([_as_json(entry) for entry in found])
        return
    table = new_table("", "id", "channel", "order", "payment", "asked by", "amount", "state", "refund", "note")
    for entry in found:
        shown = _as_json(entry)
        amount = f"{shown['amount']} {entry.currency_code}".strip()
        table.add_row(
            str(entry.id), entry.channel, entry.order_refnum, entry.payment_refnum, shown["asked_by"], amount,
            entry.state, entry.refnum, _note(entry),
        )  # fmt: skip
    console().print(table)


def _note(entry: Entry) -> str:
    notes = []
    if entry.matched[0]:
        notes.append(f"same as {' '.join(entry.matched)}")
    if entry.repeats:
        notes.append(f"asked again {entry.repeats} times")
    if entry.released_at:
        notes.append("released")
    return ", ".join(notes)


def _as_json(entry: Entry) -> dict[str, Any]:
    """Amounts as text, for a reader's floats are none of our business."""
    return {
        "id": entry.id,
        "channel": entry.channel,
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
        "told_at": _moment(entry.told_at),
        "released_at": _moment(entry.released_at),
    }


def _moment(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""


@refunds.command()
@click.argument("refund_id", metavar="ID", type=int)
@json_option
def release(refund_id: int, as_json: bool) -> None:
    """Let go of what refund ID holds up.

    A credit that was answered as a repeat, or as the same money as a return: the next such request is
    carried out, once.  A refund whose call was given up without knowing whether it was paid: its amount
    may be given back again.
    """
    database = Database(load_database_url())
    try:
        with database.write() as connection:
            outcome = ledger.release(connection, refund_id, datetime.now(UTC))
    finally:
        database.close()
    if as_json:
        print_json({"id": refund_id, "outcome": outcome})
    else:
        click.echo(MEANINGS[outcome], err=outcome not in ("pays_next", "given_free"))
    if outcome not in ("pays_next", "given_free"):
        raise SystemExit(1)
