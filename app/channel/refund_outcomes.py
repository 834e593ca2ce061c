"""What becomes of refunds: the vendor's answer in the ledger, what RetailOps was sent of it, and what follows (R23)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from app.channel.services import CallbackRequest
from app.domain.commands import Refund, Restatement
from app.records import outbox, payment_ledger, refunds
from app.records.database import DatabaseUnavailable
from app.records.deliveries import Delivery, Settled
from app.records.outbox import Owed
from app.records.outcomes import Outcome
from app.records.refunds import Entry


def with_known(entries: Iterable[Entry], source: tuple[str, str], outcomes: Iterable[Outcome]) -> list[Entry]:
    """The entries of a source as they will read once these known outcomes are recorded; one that is missing is made."""
    found = {entry.key: entry for entry in entries}
    for outcome in outcomes:
        body = outcome.delivery.command
        if not isinstance(body, Refund):
            continue
        entry = found.get(body.key) or Entry(
            body.key, body.order_refnum, body.payment_refnum, *source, body.amount, body.currency_code, "owed",
            body.to_store_credit,
        )  # fmt: skip
        match outcome.settled.state:
            case "delivered":
                entry = replace(entry, state="accepted", refnum=outcome.settled.refnum or body.key)
            case "refused":
                entry = replace(entry, state="refused")
        found[body.key] = entry
    return list(found.values())


def note_reported(request: CallbackRequest, source: tuple[str, str], *, is_recorded: bool) -> None:
    """Keep that an answer names the accepted refunds of a source; later where their outcomes are not recorded yet."""

    def note() -> None:
        with request.services.database.write() as connection:
            rows = refunds.of_source(connection, request.channel.key, *source)
            unreported = [entry.id for entry in rows if entry.state == "accepted" and entry.answered_at is None]
            refunds.note_answered(connection, unreported, request.services.clock())

    if is_recorded:
        with suppress(DatabaseUnavailable):
            note()
            return
    request.services.keeper.keep((), note, lambda: None, f"refunds of {source[0]} were reported")


def note_outcome(connection: Connection, channel: str, refund: Refund, settled: Settled) -> None:
    """The held amount is paid, or free again once it is sure that it was not and will not be."""
    match settled.state:
        case "delivered":
            refunds.set_state(connection, channel, refund.key, "accepted", settled.refnum or refund.key)
        case "refused":
            refunds.set_state(connection, channel, refund.key, "refused")
        case "parked":
            refunds.set_state(connection, channel, refund.key, "parked")
        case _:
            refunds.set_state(connection, channel, refund.key, "owed")


def owe_paid_back(connection: Connection, delivery: Delivery, refund: Refund, now: datetime) -> bool:
    """Owe the source the call that says that the order has everything back, if this accepted refund is the last of it.

    True when it is owed.
    """
    if not refund.is_followed or not _is_paid_back(connection, delivery.channel, refund.order_refnum):
        return False
    # It is about nothing RetailOps has requested, so that no answer names it while it waits.
    restated = Restatement(refund.order_refnum, is_paid_back=True)
    outbox.owe_after(connection, delivery, Owed(delivery.gateway, "update_order", restated, ()), now)
    return True


def _is_paid_back(connection: Connection, channel: str, order_refnum: str) -> bool:
    """True when something was paid, and all of it has surely gone back."""
    entries = refunds.of_order(connection, channel, order_refnum)
    charges = payment_ledger.charges(connection, channel, order_refnum)
    is_sure = all(entry.state == "accepted" for entry in entries if entry.is_in_effect)
    return is_sure and any(charge.charged for charge in charges) and not any(charge.left for charge in charges)
