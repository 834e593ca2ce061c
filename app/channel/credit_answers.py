"""The answer of `payment_credit`: one status, one amount and one message say what became of a credit (R23, R24)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from app.channel import refund_outcomes, refunds
from app.channel.money import rounded
from app.channel.services import CallbackRequest, CallbackResult
from app.domain.events import Association, Event
from app.records import payment_ledger
from app.records import refunds as ledger
from app.records.outcomes import Outcome
from app.records.payment_ledger import Charge
from app.records.refunds import Entry

UNREPORTED = ("order_complete", "order_cancel")
"""Callbacks that give money back and whose answers have no place to say so."""

Status = Literal["success", "fail", "decline", "timeout"]


@dataclass(frozen=True)
class Credit:
    """A credit that was carried out, with what its plan read and decided."""

    request: CallbackRequest
    vendor: str
    """Token of the order's source, as messages name it."""
    order_refnum: str
    source: tuple[str, str]
    """What the ledger knows it by: its callback and its natural key."""
    parents: tuple[str, ...]
    """Numbers of the payments it may draw on."""
    payments: Mapping[str, Charge]
    """The order's payments by number, as they were before it."""
    amount: Decimal
    """What RetailOps requested."""
    is_new: bool
    """Whether this request made it: False for a repeat of an earlier credit."""
    cut_to: Decimal | None
    """What it was reduced to because no more was left; None when it was not."""
    named: tuple[Association, ...]
    """What its events name."""

    @property
    def channel(self) -> str:
        """The key of the channel's records."""
        return self.request.channel.key


def answered(
    result: CallbackResult, status: Status, event: Event | None, paid: Decimal = Decimal(0), refnum: str = ""
) -> CallbackResult:
    """The outcome with these words, which are all the answer holds."""
    events = [event] if event else []
    return CallbackResult(events, {**result.content, "status": status, "amount": paid, "refnum": refnum})


def answer_to(
    credit: Credit, result: CallbackResult, events: Sequence[Event], unrecorded: Sequence[Outcome]
) -> CallbackResult:
    """The answer to a credit that was carried out: what was given back, or why nothing was.

    `unrecorded` are outcomes the ledger does not hold yet.
    """
    if unrecorded:
        return _from_memory(credit, result, events, unrecorded)
    with credit.request.services.database.read() as connection:
        mine = ledger.of_source(connection, credit.channel, *credit.source)
        matches = [entry for entry in mine if entry.state == "matched"]
        matched = matches[0] if matches else None
        paying = mine
        if matches:
            sources = dict.fromkeys(entry.matched for entry in matches)
            paying = [entry for source in sources for entry in ledger.of_source(connection, credit.channel, *source)]
        if matched and matched.matched[0] in UNREPORTED:
            paying = [entry for entry in paying if entry.payment_refnum in credit.parents]
        payments = {
            item.refnum: item for item in payment_ledger.charges(connection, credit.channel, credit.order_refnum)
        }
    paying = [entry for entry in paying if entry.is_in_effect]
    accepted = [entry for entry in paying if entry.state == "accepted"]
    if not paying:
        return _unpaid(credit, result, events)
    _note(credit, mine, accepted, is_unpaid=not credit.is_new)
    return _paid(credit, result, matched, paying, accepted, payments)


def _from_memory(
    credit: Credit, result: CallbackResult, events: Sequence[Event], unrecorded: Sequence[Outcome]
) -> CallbackResult:
    """What the vendor answered, which the records will say when the database is back."""
    paying = [item for item in refund_outcomes.with_known((), credit.source, unrecorded) if item.is_in_effect]
    accepted = [entry for entry in paying if entry.state == "accepted"]
    if not paying:
        return _unpaid(credit, result, events)
    if accepted:
        refund_outcomes.note_reported(credit.request, credit.source, is_recorded=False)
    return _paid(credit, result, None, paying, accepted, credit.payments)


def _note(credit: Credit, mine: Sequence[Entry], accepted: Sequence[Entry], *, is_unpaid: bool) -> None:
    """Keep that the answer reports these refunds, and for the operator that the request was repeated."""
    for source in dict.fromkeys(entry.source for entry in accepted if entry.answered_at is None):
        refund_outcomes.note_reported(credit.request, source, is_recorded=True)
    if is_unpaid:
        with credit.request.services.database.write() as connection:
            ledger.note_repeat(connection, mine[0].id)


def _unpaid(credit: Credit, result: CallbackResult, events: Sequence[Event]) -> CallbackResult:
    event = next((item for item in events if item.event_type == "error"), None)
    message = f"{credit.vendor} has not done it; nothing was given back"
    event = event or Event("error", "NOT_DONE", message, credit.named)
    return answered(result, "decline" if event.code == "DECLINED" else "fail", event)


def _paid(
    credit: Credit,
    result: CallbackResult,
    matched: Entry | None,
    paying: Sequence[Entry],
    accepted: Sequence[Entry],
    payments: Mapping[str, Charge],
) -> CallbackResult:
    paid = sum((entry.amount for entry in accepted), Decimal(0))
    if len(accepted) < len(paying):
        message = "it is not known yet whether the money went back; it is being found out, ask again to learn it"
        return answered(result, "timeout", Event("error", "OUTCOME_UNKNOWN", message, credit.named), paid)
    refnum = accepted[0].refnum
    payment = payments.get(accepted[0].payment_refnum)
    content = dict(result.content)
    if payment is not None and payment.payment_type:
        content["payment_type"] = payment.payment_type
    result = CallbackResult(content=content)
    if matched is not None or not credit.is_new:
        message = f"same as {refnum}, nothing paid again"
        return answered(result, "success", Event("info", "SAME_CREDIT", message, credit.named), paid, refnum)
    if paid == credit.cut_to:
        sum_paid = rounded(paid, accepted[0].currency_code)
        message = f"{sum_paid} was left of these payments and was given back"
        return answered(result, "success", Event("warning", "REFUND_CUT", message, credit.named), paid, refnum)
    if paid < credit.amount and not refunds.is_same_amount(paid, credit.amount):
        message = "only a part was given back; ask for the rest by itself"
        return answered(result, "success", Event("warning", "CREDIT_CUT", message, credit.named), paid, refnum)
    return answered(result, "success", None, paid, refnum)
