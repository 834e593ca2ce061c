"""The answer of `order_returned`: it names the refunds that the order's source has accepted (R22)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from app.channel import refund_outcomes, refunds
from app.channel.command import OrderAtSource
from app.channel.money import as_number
from app.channel.services import CallbackResult
from app.domain.events import Event
from app.records import payment_ledger
from app.records import refunds as ledger
from app.records.outcomes import Outcome
from app.records.payment_ledger import Charge
from app.records.refunds import Entry


def answered(
    order: OrderAtSource,
    source: tuple[str, str],
    events: list[Event],
    charges: Sequence[Charge],
    unrecorded: Sequence[Outcome],
) -> CallbackResult:
    """The answer to a return that was carried out: its events, and the refunds that the source has accepted.

    `source` is what the ledger knows the return by, its callback and its natural key; `charges` are the payments as
    its plan read them; `unrecorded` are outcomes the ledger does not hold yet.
    """
    request = order.request
    entries: list[Entry] = []
    if not unrecorded:
        with request.services.database.read() as connection:
            entries = ledger.of_source(connection, order.channel, *source)
            charges = payment_ledger.charges(connection, order.channel, order.refnum)
    entries = refund_outcomes.with_known(entries, source, unrecorded)
    payments = {item.refnum: item for item in charges}
    accepted = [entry for entry in entries if entry.state == "accepted"]
    if any(entry.answered_at is None for entry in accepted):
        refund_outcomes.note_reported(request, source, is_recorded=not unrecorded)
    credit = sum((entry.amount for entry in accepted if entry.is_store_credit), Decimal(0))
    to_payments = [entry for entry in accepted if not entry.is_store_credit]
    transactions = [_transaction(entry, payments.get(entry.payment_refnum)) for entry in to_payments]
    return CallbackResult(events, {"payment_transactions": transactions, "store_credit": credit})


def _transaction(entry: Entry, payment: Charge | None) -> dict[str, Any]:
    """A refund as RetailOps reads it (SDK contract, block P)."""
    processing_type = payment.processing_type if payment else ""
    is_known = processing_type in refunds.PROCESSING_TYPES
    return {
        "payment_processing_type": processing_type if is_known else refunds.PROCESSING_TYPES[0],
        "transaction_type": "credit",
        "payment_type": payment.payment_type if payment else "none",
        "amount": as_number(entry.amount, entry.currency_code),
        "status": "success",
        "refnum": entry.refnum,
    }
