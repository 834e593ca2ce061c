"""Goods came back to RetailOps, and their price goes back to the customer, once (R22, R23).

A return is known by RetailOps' number.  It pays what RetailOps says and no more than is left of the
order's payments, newest first; a refund the source has not accepted yet is a warning, and stands in
`payment_transactions` only once it has.  What is no refund is recorded only.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection

from app.channel import refunds, returned_goods
from app.channel.already_paid import COMPLETION
from app.channel.commands import Command, Plan, execute
from app.channel.money import as_number, rounded
from app.channel.preconditions import OrderName, declined, for_known_order
from app.channel.result import CallbackResult
from app.channel.returned_money import ReturnedMoney
from app.channel.services import CallbackRequest, Services
from app.channel.shipments import Shipped, read_shipments
from app.contract.reading import amount, entries, mapping, number, opaque, optional_amount, text, whole
from app.contract.schemas import Reading
from app.domain.commands import RefundLine
from app.domain.events import Event, about
from app.domain.retailops_numbers import canonical
from app.gateways.capabilities import Gateway
from app.records import former_keys
from app.records import refunds as ledger
from app.records.handed_out import KnownOrder
from app.records.refunds import Charge, Entry

REFUND, STORE_CREDIT = "refund", "storecredit"

WITHOUT_MONEY = ("none", "norefund", "exchange")
"""Values of `refund_action` that are known to ask for no money."""

NO_MOVER = "its refund_action is none that moves money"

CALLBACK = "order_returned"

_BY_ITEM: Mapping[Literal["tax", "shipping"], tuple[str, ...]] = {
    "tax": ("tax_amt", "item_shipping_tax_amt", "giftwrap_tax_amt"),
    "shipping": ("shipping_amt",),
}


@dataclass(frozen=True)
class ReturnRequest:
    """The return as RetailOps states it."""

    name: OrderName
    number: str
    """RetailOps' number of the return, "" for none."""
    action: str
    amount: Decimal
    lines: tuple[RefundLine, ...]
    """Goods without tax, each entry; 0 where that is stated."""
    tax: Decimal | None
    """None where neither the return nor an item says anything of it; so is `shipping`."""
    shipping: Decimal | None
    shipped: list[Shipped]

    def meaning(self, order: KnownOrder) -> object:
        """What makes two requests the same return: order, money and goods, however they are stated; no free text."""
        money = rounded(self.amount, "")
        return (order.refnum, self.action, str(money.normalize()), returned_goods.as_named(order, self.lines))

    def former_meaning(self, order: KnownOrder) -> object:
        """The same as it was once, when it went by how goods and money were stated."""
        units = sorted((line.line_refnum, line.sku, line.quantity) for line in self.lines)
        return (order.refnum, self.action, str(self.amount.normalize()), units)

    def key(self, connection: Connection, channel: str, order: KnownOrder) -> str:
        """The return's number as it was kept first; one without is known by its contents."""
        if self.number:
            kept = former_keys.standing(connection, channel, CALLBACK, order.refnum, canonical)
            return kept.get(self.number, self.number)
        today, former = (
            f"h-{hashlib.sha256(msgspec.json.encode(meaning)).hexdigest()[:24]}"
            for meaning in (self.meaning(order), self.former_meaning(order))
        )
        is_former = former != today and former_keys.is_bound(connection, channel, CALLBACK, order.refnum, former)
        return former if is_former else today


def read(body: Mapping[str, Any], reading: Reading) -> ReturnRequest:
    """Order number, what came back, and what is to go back for it."""
    order, returned = mapping(body.get("order")), mapping(body.get("return"))
    items = list(map(mapping, entries(returned.get("items"))))
    return ReturnRequest(
        OrderName.read(order),
        number(returned.get("retailops_return_id")),
        text(returned.get("refund_action")).casefold().replace("_", "").replace(" ", ""),
        amount(returned.get("refund_amt")),
        tuple(map(_line, items)),
        _stated(returned, items, "tax"),
        _stated(returned, items, "shipping"),
        read_shipments(entries(order.get("shipments"))),
    )


def _line(item: Mapping[str, Any]) -> RefundLine:
    """Goods less what is withheld for restocking, without tax; a stated 0 is 0."""
    subtotal = optional_amount(item.get("subtotal_amt"))
    goods = amount(item.get("product_amt")) if subtotal is None else subtotal
    goods += amount(item.get("giftwrap_amt")) + amount(item.get("recycling_amt"))
    return RefundLine(
        "line_item",
        goods - amount(item.get("restock_fee_amt")),
        opaque(item.get("channel_item_refnum")),
        opaque(item.get("sku")),
        whole(item.get("quantity")),
        text(item.get("reason")),
    )


def _stated(
    returned: Mapping[str, Any], items: Sequence[Mapping[str, Any]], kind: Literal["tax", "shipping"]
) -> Decimal | None:
    """Tax or shipping of the whole return; where it does not say, what its items say."""
    of_items = [optional_amount(item.get(name)) for item in items for name in _BY_ITEM[kind]]
    whole_amount = optional_amount(returned.get(f"{kind}_amt"))
    if whole_amount is not None or all(value is None for value in of_items):
        return whole_amount
    return sum(filter(None, of_items), Decimal(0))


def carry_out(payload: ReturnRequest, request: CallbackRequest, services: Services) -> CallbackResult:
    """Raises `HttpError` 503 while the same return is being carried out elsewhere."""
    source = services.order_source(request.channel)
    if source is not None and not refunds.moves_money(source, "return_order"):
        result = CallbackResult()
        declined(services, request, "return_order", result, payload.name)
        recorded = returned_goods.record(services, request, source, payload)
        return CallbackResult([*result.events, *recorded.events], order_refnum=recorded.order_refnum)

    def give_back(services: Services, request: CallbackRequest, source: Gateway, order: KnownOrder) -> CallbackResult:
        return _Return(services, request, source, order, payload).carry_out()

    return for_known_order(services, request, "return_order", payload.name, give_back)


class _Return:
    """One return being carried out."""

    def __init__(
        self, services: Services, request: CallbackRequest, source: Gateway, order: KnownOrder, payload: ReturnRequest
    ) -> None:
        self._services = services
        self._request = request
        self._channel = request.channel.key
        self._source = source
        self._order = order
        self._payload = payload
        with services.database.read() as connection:
            self._key = payload.key(connection, self._channel, order)
        self._named = about("order_refnum", order.refnum)
        self._is_altered = False
        self._payments: list[Charge] = []

    def carry_out(self) -> CallbackResult:
        refnum = self._order.refnum
        meaning, former = self._payload.meaning(self._order), self._payload.former_meaning(self._order)
        command = Command(CALLBACK, self._key, refnum, meaning, self._plan, self._refuse_change, former)
        ran = execute(self._services, self._request, [command])
        [events] = ran.events
        if self._is_altered:
            return CallbackResult(events)
        source = (CALLBACK, self._key)
        entries: list[Entry] = []
        if not ran.unrecorded:
            with self._services.database.read() as connection:
                entries = ledger.of_source(connection, self._channel, *source)
                self._payments = ledger.charges(connection, self._channel, self._order.refnum)
        entries = refunds.with_known(entries, source, ran.unrecorded)
        payments = {item.refnum: item for item in self._payments}
        accepted = [entry for entry in entries if entry.state == "accepted"]
        if any(entry.told_at is None for entry in accepted):
            refunds.note_told(self._services, source, self._channel, is_recorded=not ran.unrecorded)
        credit = sum((entry.amount for entry in accepted if entry.is_store_credit), Decimal(0))
        to_payments = [entry for entry in accepted if not entry.is_store_credit]
        transactions = [_transaction(entry, payments.get(entry.payment_refnum)) for entry in to_payments]
        return CallbackResult(events, {"payment_transactions": transactions, "store_credit": credit})

    def _refuse_change(self, connection: Connection) -> Plan:
        self._is_altered = True
        message = "a return of this number was taken before with other contents; nothing was changed"
        return Plan([Event("error", "REFUND_ALTERED", message, self._named)])

    def _plan(self, connection: Connection) -> Plan:
        payload = self._payload
        source = (CALLBACK, self._key)
        entries = ledger.of_order(connection, self._channel, self._order.refnum)
        before = ledger.of_source(connection, self._channel, *source)
        if any(entry.is_in_effect or entry.order_refnum != self._order.refnum for entry in before):
            return self._refuse_change(connection)
        payments = self._payments = ledger.charges(connection, self._channel, self._order.refnum)
        currency = payments[0].currency_code if payments else ""
        money = rounded(payload.amount, currency)
        goods = self._goods(connection, entries, currency)
        units, events = goods.units, list(goods.events)
        purpose = refunds.Purpose(CALLBACK, self._key, f"ro-return-{self._key}", self._named, units=units)
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
            return Plan([*events, Event("error", "NOTHING_LEFT", message, self._named)])
        if money > left and not refunds.is_same_amount(money, left):
            message = "less than this return asks for is left of the order's payments; what is left goes back"
            events.append(Event("warning", "REFUND_CUT", message, self._named))
        mover = self._source.money
        is_credit = payload.action == STORE_CREDIT and mover is not None and mover.gives_store_credit
        if payload.action == STORE_CREDIT and not is_credit:
            message = f"{self._source.token} gives no store credit; the money goes back to the payment"
            events.append(Event("warning", "NO_STORE_CREDIT", message, self._named))
        released = next((entry.matched for entry in before if entry.released_at is not None), ("", ""))
        purpose = replace(purpose, to_store_credit=is_credit, matched=released, lines=goods.rows(min(money, left)))
        owed = refunds.hold(connection, self._channel, self._source, payments, money, purpose, self._services.clock())
        return Plan(events, owed)

    def _why_unpaid(self, money: Decimal) -> str:
        """Why this return is recorded only, or "" when it is to be paid here."""
        if money <= 0:
            return "it asks for no money"
        if not self._payload.action:
            return "it names no refund_action"
        if self._payload.action not in (REFUND, STORE_CREDIT):
            return NO_MOVER
        if self._request.channel.refunds_paid_by != CALLBACK:
            return "payment_credit pays on this channel"
        return ""

    def _record(
        self, connection: Connection, before: Sequence[Entry], purpose: refunds.Purpose, money: Decimal, reason: str
    ) -> list[Event]:
        money = max(money, Decimal(0))
        message = f"the return was recorded and nothing was paid: {reason}"
        is_doubtful = money > 0 and not self._payload.action
        events = [Event("warning" if is_doubtful else "info", "RETURN_RECORDED", message, self._named)]
        if money > 0 and reason == NO_MOVER and self._payload.action not in WITHOUT_MONEY:
            message = "money is asked for under a refund_action this server does not know; the return was recorded only"
            events = [Event("warning", "REFUND_ACTION_UNKNOWN", message, self._named)]
        known = [entry for entry in before if entry.state == "recorded"]
        if [(entry.amount, entry.lines) for entry in known] == [(money, purpose.units)]:
            return events
        if known:
            events.append(Event("info", "RETURN_CORRECTED", "it was recorded before otherwise", self._named))
        ledger.put(
            connection,
            self._channel,
            purpose.entry(self._order.refnum, None, money, "recorded"),
            self._services.clock(),
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
        source = (CALLBACK, self._key)
        known = next((entry for entry in before if entry.state == "matched"), None)
        if known is not None and known.released_at is not None:
            return None
        if known is not None and not refunds.is_same_amount(known.amount, money):
            return self._held_otherwise()
        piece = refunds.same_money(entries, "payment_credit", money, source)
        if piece is None:
            return None
        if known is None or known.matched != piece[0].source:
            entry = purpose.entry(self._order.refnum, None, money, "matched")
            entry = replace(entry, matched=piece[0].source)
            ledger.put(connection, self._channel, entry, self._services.clock())
        if any(entry.state != "accepted" for entry in piece):
            message = "it is being found out whether a credit of the same amount was paid; send this return again"
            return Event("error", "CREDIT_PENDING", message, self._named)
        message = "a credit of the same amount was paid for this order; nothing was paid again"
        return Event("warning", "ALREADY_CREDITED", message, self._named)

    def _held_otherwise(self) -> Event:
        message = "this return was held to be paid already, with other contents; nothing was changed"
        return Event("error", "REFUND_ALTERED", message, self._named)

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
        event = Event("warning", "ALREADY_CREDITED", f"{message}; only what is more goes back", self._named)
        if not rest and not any(entry.state == "matched" for entry in before):
            completion = next(entry for entry in reversed(entries) if entry.callback == COMPLETION and entry.lines)
            entry = replace(purpose.entry(self._order.refnum, None, money, "matched"), matched=completion.source)
            ledger.put(connection, self._channel, entry, self._services.clock())
        return event, rest

    def _goods(self, connection: Connection, entries: Sequence[Entry], currency: str) -> ReturnedMoney:
        """What came back by order line, and what the money is for; the money is RetailOps'."""
        order = self._order
        entries = [entry for entry in entries if entry.source != (CALLBACK, self._key)]
        before = Counter(refunds.returned_units(entries, (CALLBACK, self._key)))
        payload = self._payload
        found = returned_goods.came_back(connection, self._channel, order, payload.lines, payload.shipped, before)
        return ReturnedMoney(order, entries, payload, found, currency)


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
