"""RetailOps has these orders: they are handed out no more, and their source is told.

Each entry stands alone.  An unknown order is a warning; a RetailOps number that changed is taken over
with a warning; 0 is no number.  Of an order handed out as called off its source is told nothing (R18).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from app.channel import orders, reservations, source_cancellations
from app.channel.commands import Command, Plan, run
from app.channel.preconditions import declined, unavailable_event
from app.channel.result import CallbackResult
from app.channel.services import CallbackRequest, Services
from app.contract.reading import entries, number, opaque
from app.contract.schemas import Reading
from app.domain.commands import Acknowledgement
from app.domain.events import Event, about
from app.errors import GatewayError, Unavailable
from app.gateways.capabilities import Gateway
from app.records import handed_out
from app.records.handed_out import KnownOrder
from app.records.outbox import Owed


def read(body: Mapping[str, Any], reading: Reading) -> list[Acknowledgement]:
    """One per order; of an order named twice the last entry counts."""
    payload = {}
    for index, entry in enumerate(entries(body.get("orders"))):
        if index not in reading.bad_entries:
            refnum = opaque(entry.get("channel_order_refnum"))
            payload[refnum] = Acknowledgement(refnum, number(entry.get("retailops_order_id")))
    return list(payload.values())


def names(payload: list[Acknowledgement]) -> list[str]:
    """The orders' numbers."""
    return [item.order_refnum for item in payload]


def only(payload: list[Acknowledgement], refnums: Collection[str]) -> list[Acknowledgement]:
    """These orders alone."""
    chosen = frozenset(refnums)
    return [item for item in payload if item.order_refnum in chosen]


def carry_out(payload: list[Acknowledgement], request: CallbackRequest, services: Services) -> CallbackResult:
    """Raises `HttpError` 503 while one of them is being acknowledged elsewhere."""
    source = services.order_source(request.channel)
    result = CallbackResult()
    if declined(services, request, "acknowledge_order", result) or source is None:
        return result
    commands = []
    with services.database.read() as connection:
        stated = [item.order_refnum for item in payload]
        remembered = handed_out.known_as_stated(connection, request.channel.key, stated)
    payload = [_of_order(item, remembered.get(item.order_refnum)) for item in payload]
    told = {order.refnum for order in remembered.values() if order.called_off_times}
    numbers = {item.order_refnum: item.retailops_order_id for item in payload if item.order_refnum in told}
    known = {order.refnum: order for order in remembered.values()}
    source_cancellations.acknowledge(services, request, numbers)
    for item in payload:
        if item.order_refnum in told:
            continue
        named = about("order_refnum", item.order_refnum)
        try:
            order = known.get(item.order_refnum)
            if order is None and request.deadline.left_s() <= 0.0:
                raise Unavailable("OUT_OF_TIME", "the time of the callback was over")
            order = order or orders.find(services, request, item.order_refnum)
        except GatewayError as error:
            result.events.append(unavailable_event(source, error, named))
            continue
        if order is None:
            result.events.append(Event("warning", "ORDER_UNKNOWN", "no such order on this channel", named))
        else:
            commands.append(_command(services, request, source, item))
    for events in run(services, request, commands):
        result.events.extend(events)
    return result


def _of_order(item: Acknowledgement, order: KnownOrder | None) -> Acknowledgement:
    """With the order's own number where RetailOps dropped blanks at its ends."""
    return item if order is None else msgspec.structs.replace(item, order_refnum=order.refnum)


def _command(services: Services, request: CallbackRequest, source: Gateway, item: Acknowledgement) -> Command:
    channel, refnum = request.channel.key, item.order_refnum
    named = about("order_refnum", refnum)

    def plan(connection: Connection) -> Plan:
        handed_out.set_acknowledged(connection, channel, refnum, services.clock(), item.retailops_order_id)
        reservations.acknowledged(connection, channel, source, refnum, services.clock())
        return Plan(owed=[Owed(source.token, "acknowledge_order", item, named)])

    def correct(connection: Connection) -> Plan:
        before = handed_out.known(connection, channel, [refnum])[refnum]
        number, previous = item.retailops_order_id, before.retailops_order_id
        if not number or number == previous:
            return Plan()
        handed_out.set_acknowledged(connection, channel, refnum, before.acknowledged_at or services.clock(), number)
        if previous:
            message = "the order was acknowledged before under another RetailOps number; the new one is taken"
            event = Event("warning", "RETAILOPS_ID_CHANGED", message, about("order_id", number))
        else:
            message = "the order was acknowledged before without a RetailOps number; it is passed on now"
            event = Event("info", "RETAILOPS_ID_ADDED", message, about("order_id", number))
        corrected = Acknowledgement(refnum, number, is_correction=True, previous_order_id=previous)
        return Plan([event], [Owed(source.token, "acknowledge_order", corrected, named)])

    meaning = ("acknowledge", item.retailops_order_id)
    return Command("order_acknowledge", refnum, refnum, meaning, plan, correct)
