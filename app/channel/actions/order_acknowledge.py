"""RetailOps has these orders: they are handed out no more, and their source is sent the acknowledgement.

Each entry stands alone.  An unknown order is a warning; a RetailOps number that changed is taken over
with a warning; 0 is no number.  For an order handed out as cancelled its source is sent nothing (R18).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from app.channel import reservations, source_cancellations
from app.channel.command import OrderAtSource, OrderCommand, Plan, VendorAnswer, declined, find_order, unavailable_event
from app.channel.commands import run
from app.channel.services import CallbackRequest, CallbackResult, carries_out
from app.contract.reading import entries, number, opaque
from app.contract.schemas import Reading
from app.domain.commands import Acknowledgement
from app.domain.events import Event, about
from app.errors import GatewayError, Unavailable
from app.records import handed_out
from app.records.handed_out import KnownOrder
from app.records.outbox import Owed
from app.records.search_keys import Kind


def read(body: Mapping[str, Any], reading: Reading) -> list[Acknowledgement]:
    """The entries that can be read; several may name one order."""
    return [
        Acknowledgement(opaque(entry.get("channel_order_refnum")), number(entry.get("retailops_order_id")))
        for index, entry in enumerate(entries(body.get("orders")))
        if index not in reading.bad_entries
    ]


def names(payload: list[Acknowledgement]) -> list[str]:
    """The orders' numbers."""
    return list(dict.fromkeys(item.order_refnum for item in payload))


def only(payload: list[Acknowledgement], refnums: Collection[str]) -> list[Acknowledgement]:
    """These orders alone."""
    chosen = frozenset(refnums)
    return [item for item in payload if item.order_refnum in chosen]


def carry_out(payload: list[Acknowledgement], request: CallbackRequest) -> CallbackResult:
    """Raises `HttpError` 503 while one of them is being acknowledged elsewhere."""
    source = request.order_source
    if source is None or not carries_out(source, "acknowledge_order"):
        return CallbackResult([declined(source, "acknowledge_order")])
    with request.services.database.read() as connection:
        stated = [item.order_refnum for item in payload]
        remembered = handed_out.known_as_stated(connection, request.channel.key, stated)
    entries, events = _one_each(_of_order(item, remembered.get(item.order_refnum)) for item in payload)
    known = {order.refnum: order for order in remembered.values()}
    cancelled = {order.refnum for order in remembered.values() if order.cancellation_times}
    numbers = {item.order_refnum: item.retailops_order_id for item in entries if item.order_refnum in cancelled}
    if numbers:
        source_cancellations.acknowledge(request, numbers)
    commands: list[AcknowledgeOrder] = []
    for item in entries:
        if item.order_refnum in cancelled:
            continue
        named = about("order_refnum", item.order_refnum)
        try:
            order = known.get(item.order_refnum)
            if order is None and request.deadline.left_s() <= 0.0:
                raise Unavailable("OUT_OF_TIME", "the time of the callback was over")
            order = order or find_order(request, source, item.order_refnum)
        except GatewayError as error:
            events.append(unavailable_event(source, error, named))
            continue
        if order is None:
            events.append(Event("warning", "ORDER_UNKNOWN", "no such order on this channel", named))
        else:
            commands.append(AcknowledgeOrder(OrderAtSource(request, source, order.refnum, order), item))
    return CallbackResult([*events, *run(request, commands)])


def _of_order(item: Acknowledgement, order: KnownOrder | None) -> Acknowledgement:
    """With the order's own number where RetailOps dropped blanks at its ends."""
    return item if order is None else msgspec.structs.replace(item, order_refnum=order.refnum)


def _one_each(stated: Iterable[Acknowledgement]) -> tuple[list[Acknowledgement], list[Event]]:
    """The last entry of each order, where one without a number takes none away; a warning for each with several."""
    found: dict[str, Acknowledgement] = {}
    twice: set[str] = set()
    for item in stated:
        before = found.get(item.order_refnum)
        if before is None or not before.retailops_order_id:
            found[item.order_refnum] = item
        elif item.retailops_order_id not in ("", before.retailops_order_id):
            twice.add(item.order_refnum)
            found[item.order_refnum] = item
    message = "the order is named more than once, under several RetailOps numbers; the last entry counts"
    events = [Event("warning", "DUPLICATE_ORDER", message, about("order_refnum", each)) for each in sorted(twice)]
    return list(found.values()), events


class AcknowledgeOrder(OrderCommand):
    """RetailOps has the order, under its own number where it has one."""

    callback = "order_acknowledge"

    def __init__(self, order: OrderAtSource, acknowledgement: Acknowledgement) -> None:
        super().__init__(order, ("acknowledge", acknowledgement.retailops_order_id))
        self._acknowledgement = acknowledgement

    @property
    def numbers(self) -> Sequence[tuple[Kind, str]]:
        """RetailOps' number of the order."""
        return (("retailops_order", self._acknowledgement.retailops_order_id),)

    def plan(self, connection: Connection) -> Plan:
        """The order is handed out no more, and its source is sent the acknowledgement."""
        order, item = self.order, self._acknowledgement
        handed_out.set_acknowledged(connection, order.channel, order.refnum, order.clock(), item.retailops_order_id)
        reservations.acknowledged(connection, order.channel, order.source, order.refnum, order.clock())
        return Plan(owed=[Owed(order.source.token, "acknowledge_order", item, order.named)])

    def correct(self, connection: Connection) -> Plan:
        """Another number is taken over and sent on; no number takes none away."""
        order = self.order
        before = order.as_of(connection)
        number, previous = self._acknowledgement.retailops_order_id, before.retailops_order_id
        if not number or number == previous:
            return Plan()
        at = before.acknowledged_at or order.clock()
        handed_out.set_acknowledged(connection, order.channel, order.refnum, at, number)
        if previous:
            message = "the order was acknowledged before under another RetailOps number; the new one is taken"
            event = Event("warning", "RETAILOPS_ID_CHANGED", message, about("order_id", number))
        else:
            message = "the order was acknowledged before without a RetailOps number; it is passed on now"
            event = Event("info", "RETAILOPS_ID_ADDED", message, about("order_id", number))
        corrected = Acknowledgement(order.refnum, number, is_correction=True, previous_order_id=previous)
        return Plan([event], [Owed(order.source.token, "acknowledge_order", corrected, order.named)])

    @staticmethod
    def refused(answer: VendorAnswer) -> None:
        """The order is handed out again; a refused correction takes nothing back."""
        if not answer.body.is_correction:
            handed_out.set_acknowledged(answer.connection, answer.channel, answer.body.order_refnum, None, "")


COMMAND = AcknowledgeOrder
