"""`channel orders`: erases what is kept of the person behind an order, before its date (R28)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from app.cli.acting import Act, operator_act
from app.cli.records import records, scope_of, shown_channel
from app.cli.showing import iso, when
from app.operations import acts, erasure
from app.operations.erasure import Erasable
from app.records.database import Database
from app.terminal import Group, warn

NOTHING_YET: Final = "nothing personal is kept yet, and nothing will be"


@click.group(cls=Group)
def orders() -> None:
    """Erase what is kept of the person behind an order."""


@orders.command()
@click.argument("refnum", metavar="REFNUM")
@click.option("--channel", default="", help="The order's channel, where several have an order of this number.")
@operator_act(needs_reason=True)
def erase(refnum: str, channel: str, act: Act) -> None:
    """Remove the personal data of order REFNUM (the channel's number) now, as a shopper may request.

    Names, addresses, what the checkout sent, tracking numbers and purchases still to be reported go for good; ids and
    amounts stay, so that the order is still found and no money moves twice.  RetailOps and the vendors keep what they
    were sent.  Where nothing is kept yet, nothing will be.  Of an order that is still in work RetailOps' later commands
    are carried out with ids and amounts alone.

    Refused while calls to vendors are open, for a paid order that RetailOps does not have, and while RetailOps does not
    know that the order was cancelled at its source.  Harmless twice.
    """
    with records() as (_, database):
        key = _channel_of(database, refnum, channel)
        with database.read() as connection:
            found = erasure.look(connection, key, refnum)
        if found.refusal:
            raise click.ClickException(found.refusal)
        rows: Mapping[str, int] | None = found.rows if found.is_due else None
        name = shown_channel(key)
        if rows is not None and act.may_go_on(f"Erase of order {refnum} ({name}) for good: {_in_words(rows)}?"):
            rows = acts.erase(database, act.operator, key, refnum, database.now())
        is_log_empty = act.is_dry_run or database.empty_log()
    if rows is None:
        outcome, sentence = "nothing_kept", _nothing_kept(refnum, name, found)
    elif act.is_dry_run:
        outcome, sentence = "would_be_erased", f"Of order {refnum} ({name}) would be erased: {_in_words(rows)}."
    else:
        kept = f"{_in_words(rows)}. Ids and amounts stay" if rows else "nothing personal was kept, and nothing will be"
        outcome, sentence = "erased", f"Order {refnum} ({name}) is erased: {kept}."
    if not is_log_empty:
        warn("SQLite's log is in use; what stands there is overwritten later. Run this again to see to it.")
    facts = {"order": refnum, "channel": name, "outcome": outcome, "rows": rows or {}}
    act.finish({**facts, "erased_before": iso(found.erased_at)}, sentence)


def _channel_of(database: Database, refnum: str, name: str) -> str:
    """The key of the channel that has the order."""
    with database.read() as connection:
        keys = erasure.channels_of(connection, scope_of(name), refnum)
    if not keys:
        where = f" on channel {name}" if name else ""
        raise click.ClickException(f"no order {refnum} is known{where}: it takes the channel's whole number")
    if len(keys) > 1:
        names = ", ".join(map(shown_channel, keys))
        raise click.UsageError(f"several channels have an order {refnum}: name one with --channel ({names})")
    return keys[0]


def _in_words(rows: Mapping[str, int]) -> str:
    return ", ".join(erasure.WORDS[table] for table in rows) or NOTHING_YET


def _nothing_kept(refnum: str, name: str, found: Erasable) -> str:
    since = f"; it was erased at {when(found.erased_at)} UTC" if found.erased_at else ""
    return f"Of order {refnum} ({name}) nothing personal is kept{since}."
