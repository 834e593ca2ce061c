"""Goods came back to RetailOps, and their price goes back to the customer, once (R22, R23).

A return is known by RetailOps' number.  It pays what RetailOps says and no more than is left of the
order's payments, newest first; a refund the source has not accepted yet is a warning, and stands in
`payment_transactions` only once it has.  What is no refund is recorded only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from app.channel import refunds, returned_goods
from app.channel.already_paid import COMPLETION
from app.channel.command import OrderAtSource, OrderCommand, Plan, declined, for_known_order
from app.channel.commands import execute
from app.channel.money import as_number, rounded
from app.channel.return_answers import answered
from app.channel.return_requests import ReturnRequest
from app.channel.returned_money import ReturnedMoney
from app.channel.services import CallbackRequest, CallbackResult, carries_out
from app.contract.schemas import Reading
from app.domain.events import Event
from app.records import payment_ledger
from app.records import refunds as ledger
from app.records.payment_ledger import Charge
from app.records.refunds import Entry
from app.records.search_keys import Kind

REFUND, STORE_CREDIT = "refund", "storecredit"

WITHOUT_MONEY = ("none", "norefund", "exchange")
"""Values of `refund_action` that are known to request no money."""

NO_MOVER = "its refund_action is none that moves money"

CALLBACK = "order_returned"


def read(body: Mapping[str, Any], reading: Reading) -> ReturnRequest:
    """Order number, what came back, and what is to go back for it."""
    return ReturnRequest.read(body)


def carry_out(payload: ReturnRequest, request: CallbackRequest) -> CallbackResult:
    """Raises `HttpError` 503 while the same return is being carried out elsewhere."""
    source = request.order_source
    if source is not None and not carries_out(source, "return_order"):
        event = declined(source, "return_order", payload.name)
        recorded = returned_goods.record(request, source, payload)
        return CallbackResult([event, *recorded.events], order_refnum=recorded.order_refnum)

    def give_back(order: OrderAtSource) -> CallbackResult:
        command = ReturnOrder(order, payload)
        ran = execute(request, [command])
        [events] = ran.events
        if command.is_altered:
            return CallbackResult(events)
        return answered(order, (CALLBACK, command.natural_key), events, command.payments, ran.unrecorded)

    return for_known_order(request, "return_order", payload.name, give_back)


class ReturnOrder(OrderCommand):
    """The price of goods that came back goes back to the customer."""

    callback = CALLBACK

    def __init__(self, order: OrderAtSource, payload: ReturnRequest) -> None:
        super().__init__(order, payload.meaning(order.known), payload.key(order.known))
        self._payload = payload
        self.is_altered = False
        """Whether it was refused because a return of this number has other contents."""
        self.payments: list[Charge] = []
        """The order's payments as the plan saw them."""

    @property
    def numbers(self) -> Sequence[tuple[Kind, str]]:
        """RetailOps' number of the return."""
        return (("return", self._payload.number),)

    def correct(self, connection: Connection) -> Plan:
        """A return of a number that is known is never changed."""
        self.is_altered = True
        message = "a return of this number was taken before with other contents; nothing was changed"
        return Plan([Event("error", "REFUND_ALTERED", message, self.order.named)])

    def plan(self, connection: Connection) -> Plan:
        """Refunds on the order's payments, newest first; or the record that nothing is to be paid."""
        order, payload = self.order, self._payload
        source = (CALLBACK, self.natural_key)
        entries = ledger.of_order(connection, order.channel, order.refnum)
        before = ledger.of_source(connection, order.channel, *source)
        if any(entry.is_in_effect or entry.order_refnum != order.refnum for entry in before):
            return self.correct(connection)
        payments = self.payments = payment_ledger.charges(connection, order.channel, order.refnum)
        currency = payments[0].currency_code if payments else ""
        money = rounded(payload.amount, currency)
        goods = self._goods(connection, entries, currency)
        units, events = goods.units, list(goods.events)
        purpose = refunds.Purpose(CALLBACK, self.natural_key, f"ro-return-{self.natural_key}", order.named, units=units)
        if reason := self._why_unpaid(money):
            # What a credit paid stays so: a statement without money in between must not have it paid again (R23).
            if any(entry.state == "matched" and entry.released_at is None for entry in before):
                return Plan([self._held_otherwise()])
            return Plan([*events, *self._record(connection, before, purpose, money, reason)])
        held = self._matched(connection, entries, before, purpose, money)
        if held is not None:
            return Plan([*events, held])
        is_released = any(entry.released_at is not None for entry in before)
        if not is_released and (paid := goods.paid_by_completion):
            event, money = self._less_completed(connection, entries, before, purpose, money, paid)
            events.append(event)
            if money <= 0:
                return Plan(events)
        if above := goods.above(money):
            events.append(above)
        left = refunds.left_of(payments)
        if left <= 0:
            message = "nothing is left of the order's payments; no money was given back"
            return Plan([*events, Event("error", "NOTHING_LEFT", message, order.named)])
        if money > left and not refunds.is_same_amount(money, left):
            message = "less than this return asks for is left of the order's payments; what is left goes back"
            events.append(Event("warning", "REFUND_CUT", message, order.named))
        mover = order.source.money
        is_credit = payload.action == STORE_CREDIT and mover is not None and mover.gives_store_credit
        if payload.action == STORE_CREDIT and not is_credit:
            message = f"{order.source.token} gives no store credit; the money goes back to the payment"
            events.append(Event("warning", "NO_STORE_CREDIT", message, order.named))
        released = next((entry.matched for entry in before if entry.released_at is not None), ("", ""))
        purpose = replace(purpose, to_store_credit=is_credit, matched=released, lines=goods.rows(min(money, left)))
        owed = refunds.hold(connection, order.channel, order.source, payments, money, purpose, order.clock())
        return Plan(events, owed)

    def _why_unpaid(self, money: Decimal) -> str:
        """Why this return is recorded only, or "" when it is to be paid here."""
        if money <= 0:
            return "it asks for no money"
        if not self._payload.action:
            return "it names no refund_action"
        if self._payload.action not in (REFUND, STORE_CREDIT):
            return NO_MOVER
        if self.order.request.channel.refunds_paid_by != CALLBACK:
            return "payment_credit pays on this channel"
        return ""

    def _record(
        self, connection: Connection, before: Sequence[Entry], purpose: refunds.Purpose, money: Decimal, reason: str
    ) -> list[Event]:
        money = max(money, Decimal(0))
        message = f"the return was recorded and nothing was paid: {reason}"
        is_doubtful = money > 0 and not self._payload.action
        events = [Event("warning" if is_doubtful else "info", "RETURN_RECORDED", message, self.order.named)]
        if money > 0 and reason == NO_MOVER and self._payload.action not in WITHOUT_MONEY:
            message = "money is asked for under a refund_action this server does not know; the return was recorded only"
            events = [Event("warning", "REFUND_ACTION_UNKNOWN", message, self.order.named)]
        known = [entry for entry in before if entry.state == "recorded"]
        if [(entry.amount, entry.lines) for entry in known] == [(money, purpose.units)]:
            return events
        if known:
            events.append(Event("info", "RETURN_CORRECTED", "it was recorded before otherwise", self.order.named))
        ledger.put(
            connection,
            self.order.channel,
            purpose.entry(self.order.refnum, None, money, "recorded"),
            self.order.clock(),
        )
        return events

    def _matched(
        self,
        connection: Connection,
        entries: Sequence[Entry],
        before: Sequence[Entry],
        purpose: refunds.Purpose,
        money: Decimal,
    ) -> Event | None:
        """The event for goods whose price a credit has given back already; None when this return has to pay."""
        source = (CALLBACK, self.natural_key)
        known = next((entry for entry in before if entry.state == "matched"), None)
        if known is not None and known.released_at is not None:
            return None
        if known is not None and not refunds.is_same_amount(known.amount, money):
            return self._held_otherwise()
        piece = refunds.same_money(entries, "payment_credit", money, source)
        if piece is None:
            return None
        if known is None or known.matched != piece[0].source:
            entry = purpose.entry(self.order.refnum, None, money, "matched")
            entry = replace(entry, matched=piece[0].source)
            ledger.put(connection, self.order.channel, entry, self.order.clock())
        if any(entry.state != "accepted" for entry in piece):
            message = "it is being found out whether a credit of the same amount was paid; send this return again"
            return Event("error", "CREDIT_PENDING", message, self.order.named)
        message = "a credit of the same amount was paid for this order; nothing was paid again"
        return Event("warning", "ALREADY_CREDITED", message, self.order.named)

    def _held_otherwise(self) -> Event:
        message = "this return was held to be paid already, with other contents; nothing was changed"
        return Event("error", "REFUND_ALTERED", message, self.order.named)

    def _less_completed(
        self,
        connection: Connection,
        entries: Sequence[Entry],
        before: Sequence[Entry],
        purpose: refunds.Purpose,
        money: Decimal,
        paid: Decimal,
    ) -> tuple[Event, Decimal]:
        """What is still to be paid for units that never shipped and that a completion has paid for."""
        rest = max(money - paid, Decimal(0))
        message = f"{paid} was paid for these units when the order was completed, and {money} is asked for"
        event = Event("warning", "ALREADY_CREDITED", f"{message}; only what is more goes back", self.order.named)
        if not rest and not any(entry.state == "matched" for entry in before):
            completion = next(entry for entry in reversed(entries) if entry.callback == COMPLETION and entry.lines)
            entry = replace(purpose.entry(self.order.refnum, None, money, "matched"), matched=completion.source)
            ledger.put(connection, self.order.channel, entry, self.order.clock())
        return event, rest

    def _goods(self, connection: Connection, entries: Sequence[Entry], currency: str) -> ReturnedMoney:
        """What came back by order line, and what the money is for; the money is RetailOps'."""
        order = self.order.as_of(connection)
        entries = [entry for entry in entries if entry.source != (CALLBACK, self.natural_key)]
        before = Counter(refunds.returned_units(entries, (CALLBACK, self.natural_key)))
        payload = self._payload
        found = returned_goods.came_back(order, payload.lines, payload.shipped, before)
        return ReturnedMoney(order, entries, payload, found, currency)


def answer_json(events: list[dict[str, Any]], result: CallbackResult) -> dict[str, Any]:
    """The refunds that the source has accepted."""
    return {
        "events": events,
        "payment_transactions": result.content.get("payment_transactions", []),
        "return": {"channel_store_credit_amount": as_number(result.content.get("store_credit", 0))},
    }
