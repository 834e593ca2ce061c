"""RetailOps requests that the channel gives money back; the vendor decides, and the answer says what became of it.

The answer has no events and no order number: its status and message are all RetailOps learns, and the
payments it names as parents lead to the order.  The same request again within a day is the same credit,
and one that a return has paid already is not paid twice (R23).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection

from app.channel import refunds
from app.channel.bought import left_of
from app.channel.command import Command, Plan, declined
from app.channel.commands import execute
from app.channel.credit_answers import UNREPORTED, Credit, answer_to, answered
from app.channel.lane_waiting import await_own_throttle
from app.channel.money import as_number, rounded
from app.channel.services import CallbackRequest, CallbackResult, carries_out
from app.contract.reading import amount, entries, mapping, opaque, text
from app.contract.schemas import Reading
from app.domain.events import Event, about
from app.gateways.capabilities import Gateway
from app.records import handed_out, heartbeat, outbox, payment_ledger
from app.records import refunds as ledger
from app.records.refunds import Entry

CALLBACK = "payment_credit"

RETURN = "order_returned"


@dataclass(frozen=True)
class CreditRequest:
    """The credit as RetailOps states it."""

    amount: Decimal
    payment_type: str
    """How the first parent was paid; an answer has to repeat it."""
    parents: tuple[str, ...]
    """Numbers stated as parents; once the payments are known, theirs alone."""

    def digest(self, order_refnum: str, amount: Decimal) -> str:
        """What names this credit (R7)."""
        meaning = (order_refnum, str(amount.normalize()), self.parents)
        return hashlib.sha256(msgspec.json.encode(meaning)).hexdigest()[:24]


def read(body: Mapping[str, Any], reading: Reading) -> CreditRequest:
    """The amount and the numbers of the payments it is to come from."""
    credit = mapping(body.get("credit"))
    parents = [mapping(item) for item in entries(credit.get("parent_payment_transactions"))]
    refnums = sorted({opaque(item.get("refnum")) for item in parents} - {""})
    return CreditRequest(
        amount(credit.get("amount")), text(parents[0].get("payment_type")) if parents else "", tuple(refnums)
    )


def carry_out(payload: CreditRequest, request: CallbackRequest) -> CallbackResult:
    """Fail with amount 0 where the source moves no money (R24).

    Raises `HttpError` 503 while the same credit is being carried out elsewhere.
    """
    result = CallbackResult(content={"payment_type": payload.payment_type or "none"})
    source = request.order_source
    if source is None or not carries_out(source, "credit_payment"):
        return replace(result, events=[declined(source, "credit_payment")])
    with request.services.database.read() as connection:
        named = payment_ledger.named(connection, request.channel.key, payload.parents)
        homes = {order for order, _ in named}
        if len(homes) != 1:
            return _not_one_order(result, is_found=bool(homes))
        [order_refnum] = homes
        # Unknown numbers make no other credit of it.
        payload = replace(payload, parents=tuple(sorted(refnum for _, refnum in named)))
    await_own_throttle(request, source.token, order_refnum, "credit_payment")
    with request.services.database.read() as connection:
        command = CreditPayment(request, source, order_refnum, payload, connection)
    return replace(_give_back(command, result), order_refnum=order_refnum)


def _give_back(command: CreditPayment, result: CallbackResult) -> CallbackResult:
    if command.amount <= 0:
        return answered(result, "fail", Event("error", "NO_AMOUNT", "there is no amount to give back"))
    ran = execute(command.request, [command])
    [events] = ran.events
    return answer_to(command.carried_out(), result, events, ran.unrecorded)


def _not_one_order(result: CallbackResult, *, is_found: bool) -> CallbackResult:
    if is_found:
        message = "the parent payments belong to different orders; ask for each order by itself"
        return answered(result, "fail", Event("error", "PARENTS_DIFFER", message))
    message = "no payment of this channel has a number among parent_payment_transactions"
    return answered(result, "fail", Event("error", "PARENTS_UNKNOWN", message))


class CreditPayment(Command):
    """Money goes back on payments of one order."""

    callback = CALLBACK

    def __init__(
        self,
        request: CallbackRequest,
        source: Gateway,
        order_refnum: str,
        payload: CreditRequest,
        connection: Connection,
    ) -> None:
        self.request = request
        self.channel = request.channel.key
        self.source = source
        self.order_refnum = order_refnum
        self.parents = payload.parents
        self.named = about("order_refnum", order_refnum)
        payments = payment_ledger.charges(connection, self.channel, order_refnum)
        self.amount = rounded(payload.amount, payments[0].currency_code)
        self.natural_key = self._standing_key(connection, payload.digest(order_refnum, self.amount))
        self.meaning = (_digest_of(self.natural_key),)
        self.is_new = False
        self.cut_to: Decimal | None = None
        self.payments = {item.refnum: item for item in payments}

    def _standing_key(self, connection: Connection, digest: str) -> str:
        """The key this request answers to: an earlier one of the same meaning, or the next (R23).

        Without an order or request id in the body, a repeat is distinguished from a second credit by time, and by
        an operator's word.
        """
        earlier = [
            entry
            for entry in ledger.of_order(connection, self.channel, self.order_refnum)
            if entry.callback == CALLBACK and _digest_of(entry.natural_key) == digest
        ]
        if not earlier:
            return f"{digest}-1"
        last = max(earlier, key=lambda entry: _ordinal(entry.natural_key))
        rows = [entry for entry in earlier if entry.natural_key == last.natural_key]
        window = timedelta(hours=self.request.channel.credit_repeat_hours)
        is_settled = any(entry.state in ("accepted", "matched", "released") for entry in rows) and not any(
            entry.state in ("owed", "parked") for entry in rows
        )
        # A clock that was set must not let the same credit through again, so only time that passed counts (R36).
        seen_at = heartbeat.seen_at(connection, self.request.services.clock())
        is_over = any(
            entry.released_at is not None
            or ((written := entry.seen or entry.created_at) is not None and written + window <= seen_at)
            for entry in rows
        )
        if is_settled and is_over:
            return f"{digest}-{_ordinal(last.natural_key) + 1}"
        return last.natural_key

    def plan(self, connection: Connection) -> Plan:
        """Refunds on the payments it names, unless another callback has given back this money already (R23)."""
        source = (CALLBACK, self.natural_key)
        entries = ledger.of_order(connection, self.channel, self.order_refnum)
        mine = [entry for entry in entries if entry.source == source]
        if any(entry.is_in_effect for entry in mine):
            return Plan()
        before = next((entry for entry in mine if entry.state == "matched"), None)
        key = f"ro-credit-{self.natural_key}"
        purpose = refunds.Purpose(CALLBACK, self.natural_key, key, self.named)
        piece = self._paid_elsewhere(entries)
        if piece is not None:
            if before is None or before.matched != piece[0].source:
                self.is_new = before is None
                for number, source_paid in enumerate(dict.fromkeys(entry.source for entry in piece), 1):
                    self._match(connection, purpose.part(number), [e for e in piece if e.source == source_paid])
            return Plan()
        lane = (self.channel, self.source.token, self.order_refnum)
        if not outbox.is_lane_free(connection, *lane, self.request.services.clock()):
            message = f"earlier calls for this order are still owed to {self.source.token}; nothing was done"
            return Plan([Event("error", "EARLIER_CALLS_OWED", message, self.named)])
        payments = [
            item
            for item in payment_ledger.charges(connection, self.channel, self.order_refnum)
            if item.refnum in self.parents
        ]
        left = refunds.left_of(payments)
        known = handed_out.known(connection, self.channel, [self.order_refnum]).get(self.order_refnum)
        if not refunds.covers(payments, self.amount, len(known.lines) if known else 1):
            message = "more than is left of these payments; nothing was given back"
            return Plan([Event("error", "DECLINED", message, self.named)])
        self.is_new = True
        money = min(self.amount, left)
        self.cut_to = None if refunds.is_same_amount(money, self.amount) else money
        drawn = refunds.best_first(payments, money)
        if known is not None:
            purpose = replace(purpose, lines=left_of(known, entries).rows(known, money))
        return Plan(
            owed=refunds.hold(
                connection, self.channel, self.source, drawn, money, purpose, self.request.services.clock()
            )
        )

    def carried_out(self) -> Credit:
        """What the answer to it is made of."""
        return Credit(
            self.request,
            self.source.token,
            self.order_refnum,
            (CALLBACK, self.natural_key),
            self.parents,
            self.payments,
            self.amount,
            self.is_new,
            self.cut_to,
            self.named,
        )

    def _match(self, connection: Connection, purpose: refunds.Purpose, piece: Sequence[Entry]) -> None:
        """Keep that this credit is the same money as a refund that was made, or as one of its payments' part."""
        on_payments = {entry.payment_refnum for entry in piece}
        is_part = piece[0].callback != RETURN and len(on_payments) == 1
        entry = replace(
            purpose.entry(self.order_refnum, None, self.amount, "matched"),
            payment_refnum=on_payments.pop() if is_part else "",
            currency_code=piece[0].currency_code,
            matched=piece[0].source,
        )
        ledger.put(connection, self.channel, entry, self.request.services.clock())

    def _paid_elsewhere(self, entries: Sequence[Entry]) -> list[Entry] | None:
        """The refund of this amount that another callback has made, so that this credit pays nothing (R23).

        A return may have drawn on any payment.  A cancellation or completion could not be reported to
        RetailOps, so a credit on the same payments is taken for the question after it.
        """
        source = (CALLBACK, self.natural_key)
        if self.request.channel.refunds_paid_by == RETURN:
            piece = refunds.same_money(entries, RETURN, self.amount, source)
            if piece is not None:
                return piece
        for callback in UNREPORTED:
            piece = refunds.same_money(entries, callback, self.amount, source, self.parents)
            if piece is not None:
                return piece
        return None


def _digest_of(natural_key: str) -> str:
    return natural_key.rpartition("-")[0]


def _ordinal(natural_key: str) -> int:
    return int(natural_key.rpartition("-")[2])


def answer_json(events: list[dict[str, Any]], result: CallbackResult) -> dict[str, Any]:
    """This answer has no events: the first one's message is all RetailOps can be sent."""
    return {
        "payment_processing_type": "channel_payment",
        "transaction_type": "credit",
        "payment_type": result.content.get("payment_type", "none"),
        "amount": as_number(result.content.get("amount", 0)),
        "message": result.events[0].message if result.events else "",
        "status": result.content.get("status", "fail" if result.has_failed else "success"),
        "refnum": result.content.get("refnum", ""),
    }
