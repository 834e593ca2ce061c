"""The answer of `payment_credit`: one status, one amount and one message say what became of a credit (R23, R24)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from app.channel import refund_outcomes, refunds
from app.channel.commands import Ran, execute
from app.channel.money import rounded
from app.channel.result import CallbackResult
from app.domain.events import Event
from app.records import payment_ledger
from app.records import refunds as ledger
from app.records.payment_ledger import Charge
from app.records.refunds import Entry

if TYPE_CHECKING:
    from app.channel.actions.payment_credit import CreditPayment

UNREPORTED = ("order_complete", "order_cancel")
"""Callbacks that give money back and whose answers have no place to say so."""

Status = Literal["success", "fail", "decline", "timeout"]


def answered(
    result: CallbackResult, status: Status, event: Event | None, paid: Decimal = Decimal(0), refnum: str = ""
) -> CallbackResult:
    """The outcome with these words, which are all the answer holds."""
    events = [event] if event else []
    return CallbackResult(events, {**result.content, "status": status, "amount": paid, "refnum": refnum})


def carried_out(credit: CreditPayment, result: CallbackResult) -> CallbackResult:
    """Carry the credit out; its answer says what was given back, or why nothing was."""
    if credit.amount <= 0:
        return answered(result, "fail", Event("error", "NO_AMOUNT", "there is no amount to give back"))
    ran = execute(credit.request, [credit])
    [events] = ran.events
    if ran.unrecorded:
        return _from_memory(credit, result, events, ran)
    with credit.request.services.database.read() as connection:
        mine = ledger.of_source(connection, credit.channel, credit.callback, credit.natural_key)
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


def _from_memory(credit: CreditPayment, result: CallbackResult, events: Sequence[Event], ran: Ran) -> CallbackResult:
    """What the vendor answered, which the records will say when the database is back."""
    source = (credit.callback, credit.natural_key)
    paying = [item for item in refund_outcomes.with_known((), source, ran.unrecorded) if item.is_in_effect]
    accepted = [entry for entry in paying if entry.state == "accepted"]
    if not paying:
        return _unpaid(credit, result, events)
    if accepted:
        refund_outcomes.note_reported(credit.request, source, is_recorded=False)
    return _paid(credit, result, None, paying, accepted, credit.payments)


def _note(credit: CreditPayment, mine: Sequence[Entry], accepted: Sequence[Entry], *, is_unpaid: bool) -> None:
    """Keep that the answer reports these refunds, and for the operator that the request was repeated."""
    for source in dict.fromkeys(entry.source for entry in accepted if entry.answered_at is None):
        refund_outcomes.note_reported(credit.request, source, is_recorded=True)
    if is_unpaid:
        with credit.request.services.database.write() as connection:
            ledger.note_repeat(connection, mine[0].id)


def _unpaid(credit: CreditPayment, result: CallbackResult, events: Sequence[Event]) -> CallbackResult:
    event = next((item for item in events if item.event_type == "error"), None)
    message = f"{credit.source.token} has not done it; nothing was given back"
    event = event or Event("error", "NOT_DONE", message, credit.named)
    return answered(result, "decline" if event.code == "DECLINED" else "fail", event)


def _paid(
    credit: CreditPayment,
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
