"""RetailOps requests that the channel collects money: what is only authorised is captured, and never twice.

A transaction is known by order, payment series, its amount and its place among those of this amount, so that it stays
the same beside others, whatever became of them.  At most what is still uncaptured is captured; what was charged from
the start needs no call.  What is captured of an order that was cancelled meanwhile goes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from app.channel import refunds
from app.channel.command import OrderAtSource, OrderCommand, Plan, VendorAnswer, for_known_order
from app.channel.commands import run
from app.channel.money import rounded
from app.channel.services import CallbackRequest, CallbackResult
from app.channel.settling import give_back_everything
from app.contract.reading import OrderName, amount, entries, mapping, number, opaque, text
from app.contract.schemas import Reading
from app.domain.commands import Settlement
from app.domain.events import Event
from app.records import handed_out, outbox, payment_ledger
from app.records.outbox import Owed

CALLBACK = "order_settle_payment"

NO_SERIES = "-"
"""Stands in a key for a series that has no number."""

COLLECTS = ("charge", "capture", "")


@dataclass(frozen=True)
class Transaction:
    """One payment to be collected."""

    kind: str
    processing_type: str
    amount: Decimal
    refnum: str

    @property
    def is_blank(self) -> bool:
        """True for a transaction of zeros, as an old caller may send it: it states nothing."""
        return not (self.kind or self.processing_type or self.amount or self.refnum)


@dataclass(frozen=True)
class SettlementRequest:
    """What is to be collected for one order."""

    name: OrderName
    series: str
    currency_code: str
    transactions: tuple[Transaction, ...]


def read(body: Mapping[str, Any], reading: Reading) -> SettlementRequest:
    """Transactions that RetailOps itself counts as failed are nothing to collect."""
    payment = mapping(body.get("payment"))
    transactions = tuple(
        Transaction(
            text(item.get("transaction_type")),
            text(item.get("payment_processing_type")),
            amount(item.get("amount")),
            opaque(item.get("refnum")),
        )
        for item in entries(payment.get("payment_transactions"))
        if item is not None and text(item.get("status")) in ("", "success")
    )
    return SettlementRequest(
        OrderName.read(body.get("order")),
        number(payment.get("payment_series_id")),
        text(payment.get("currency_code")),
        transactions,
    )


def carry_out(payload: SettlementRequest, request: CallbackRequest) -> CallbackResult:
    """Each transaction stands alone.  Raises `HttpError` 503 while one of them is being collected elsewhere."""

    def settle(order: OrderAtSource) -> CallbackResult:
        items = zip(payload.transactions, _keys(payload), strict=True)
        commands = [SettleTransaction(order, payload.currency_code, item, key) for item, key in items]
        return CallbackResult(run(request, commands))

    return for_known_order(request, "settle_payment", payload.name, settle)


def _keys(payload: SettlementRequest) -> list[str]:
    """The key of each transaction without the order's number: series, place among equal amounts, amount."""
    alike: Counter[str] = Counter()
    found = []
    for item in payload.transactions:
        spelled = _spelled(item.amount)
        found.append(f"{payload.series or NO_SERIES}/{alike[spelled]}/{spelled}")
        alike[spelled] += 1
    return found


def _spelled(amount: Decimal) -> str:
    return format(rounded(amount).normalize(), "f")


class SettleTransaction(OrderCommand):
    """One transaction is collected: what is only authorised of it is captured."""

    callback = CALLBACK

    def __init__(self, order: OrderAtSource, currency_code: str, transaction: Transaction, key: str) -> None:
        super().__init__(order, ("settle", _spelled(transaction.amount)), f"{order.refnum}/{key}")
        self._currency_code = currency_code
        self._transaction = transaction

    def plan(self, connection: Connection) -> Plan:
        """Captures on the payments it names, newest first, until its amount is reached."""
        order, item = self.order, self._transaction
        payments = payment_ledger.charges(connection, order.channel, order.refnum)
        currency = payments[0].currency_code if payments else ""
        if fault := _fault(item, self._currency_code, currency):
            return Plan([Event("info" if item.is_blank else "error", *fault, order.named)])
        money = rounded(item.amount, currency)
        meant = [payment for payment in payments if payment.refnum == item.refnum]
        # RetailOps may drop blanks at the ends of a number (R32).
        meant = meant or [payment for payment in payments if payment.refnum.strip() == item.refnum.strip()] or payments
        if item.kind == "auth":
            if money > sum((payment.amount for payment in meant), Decimal(0)):
                return Plan([Event("error", "NOT_AUTHORISED", "more than this order's payments come to", order.named)])
            return Plan()
        if any(payment.uncaptured for payment in meant) and order.as_of(connection).state == "cancelled":
            message = "the order is cancelled; nothing was collected"
            return Plan([Event("error", "ORDER_CANCELLED", message, order.named)])
        owed: list[Owed] = []
        rest = money
        for payment in reversed(meant):
            part = min(rest, payment.uncaptured)
            if part > 0:
                payment_ledger.hold_capture(connection, order.channel, order.refnum, payment.refnum, part)
                key = f"ro-settle-{self.natural_key}-{len(owed) + 1}"
                body = Settlement(order.refnum, key, payment.refnum, part, payment.currency_code)
                owed.append(Owed(order.source.token, "settle_payment", body, order.named))
                rest -= part
        charged = sum((payment.amount - payment.uncaptured for payment in meant), Decimal(0))
        if rest > charged and not refunds.is_same_amount(rest, charged):
            message = "more than this order's payments come to; what they come to is collected"
            return Plan([Event("error", "NOT_COVERED", message, order.named)], owed)
        if not owed:
            return Plan([Event("info", "ALREADY_COLLECTED", "this money has been collected", order.named)])
        return Plan((), owed)

    @staticmethod
    def accepted(answer: VendorAnswer) -> None:
        """The amount is charged; of an order that was cancelled meanwhile it goes back."""
        connection, channel, item = answer.connection, answer.channel, answer.body
        payment_ledger.captured(connection, channel, item.order_refnum, item.payment_refnum, item.amount)
        known = handed_out.known(connection, channel, [item.order_refnum]).get(item.order_refnum)
        if known is None or known.state != "cancelled" or answer.gateway is None:
            return
        for owed in give_back_everything(connection, channel, answer.gateway, known, answer.now):
            outbox.owe_after(connection, answer.delivery, owed, answer.now)

    @staticmethod
    def refused(answer: VendorAnswer) -> None:
        """The amount is held no more."""
        item: Settlement = answer.body
        payment_ledger.hold_capture(
            answer.connection, answer.channel, item.order_refnum, item.payment_refnum, -item.amount
        )


COMMAND = SettleTransaction


def _fault(item: Transaction, stated: str, currency: str) -> tuple[str, str] | None:
    """Why the transaction cannot be collected here: an event's code and message."""
    if stated and currency and stated != currency:
        return "CURRENCY_DIFFERS", "the order was paid in another currency; nothing was collected"
    if item.processing_type not in ("", *refunds.PROCESSING_TYPES):
        return "PROCESSING_UNKNOWN", "the channel does not process this kind of payment; nothing was collected"
    if item.kind not in ("auth", *COLLECTS):
        return "NOT_A_COLLECTION", "this transaction_type collects nothing"
    if item.amount <= 0:
        return "NO_AMOUNT", "there is no amount to collect"
    return None
