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
from app.channel.commands import declined, unavailable_event
from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.channel.running import Command, Plan, run
from app.contract.reading import entries, number, opaque
from app.contract.schemas import Reading
from app.domain.commands import Acknowledgement
from app.domain.events import Event, about
from app.errors import GatewayError, Unavailable
from app.gateways.interface import Gateway
from app.records import handed_out
from app.records.handed_out import KnownOrder
from app.records.outbox import Owed


def read(body: Mapping[str, Any], reading: Reading) -> list[Acknowledgement]:
    """One per order; of an order named twice the last entry counts."""
    wanted = {}
    for index, entry in enumerate(entries(body.get("orders"))):
        if index not in reading.bad_entries:
            refnum = opaque(entry.get("channel_order_refnum"))
            wanted[refnum] = Acknowledgement(refnum, number(entry.get("retailops_order_id")))
    return list(wanted.values())


def names(wanted: list[Acknowledgement]) -> list[str]:
    """The orders' numbers."""
    return [item.order_refnum for item in wanted]


def only(wanted: list[Acknowledgement], refnums: Collection[str]) -> list[Acknowledgement]:
    """These orders alone."""
    chosen = frozenset(refnums)
    return [item for item in wanted if item.order_refnum in chosen]


def carry_out(wanted: list[Acknowledgement], asked: Asked, desk: Desk) -> Outcome:
    """Raises `Rejected` 503 while one of them is being acknowledged elsewhere."""
    source = desk.order_source(asked.channel)
    outcome = Outcome()
    if declined(desk, asked, "acknowledge_order", outcome) or source is None:
        return outcome
    commands = []
    with desk.database.read() as connection:
        stated = [item.order_refnum for item in wanted]
        remembered = handed_out.known_as_stated(connection, asked.channel.key, stated)
    wanted = [_of_order(item, remembered.get(item.order_refnum)) for item in wanted]
    told = {order.refnum for order in remembered.values() if order.called_off_times}
    numbers = {item.order_refnum: item.retailops_order_id for item in wanted if item.order_refnum in told}
    known = {order.refnum: order for order in remembered.values()}
    source_cancellations.acknowledge(desk, asked, numbers)
    for item in wanted:
        if item.order_refnum in told:
            continue
        named = about("order_refnum", item.order_refnum)
        try:
            order = known.get(item.order_refnum)
            if order is None and asked.deadline.left_s() <= 0.0:
                raise Unavailable("OUT_OF_TIME", "the time of the callback was over")
            order = order or orders.find(desk, asked, item.order_refnum)
        except GatewayError as error:
            outcome.events.append(unavailable_event(source, error, named))
            continue
        if order is None:
            outcome.events.append(Event("warning", "ORDER_UNKNOWN", "no such order on this channel", named))
        else:
            commands.append(_command(desk, asked, source, item))
    for events in run(desk, asked, commands):
        outcome.events.extend(events)
    return outcome


def _of_order(item: Acknowledgement, order: KnownOrder | None) -> Acknowledgement:
    """With the order's own number where RetailOps dropped blanks at its ends."""
    return item if order is None else msgspec.structs.replace(item, order_refnum=order.refnum)


def _command(desk: Desk, asked: Asked, source: Gateway, item: Acknowledgement) -> Command:
    channel, refnum = asked.channel.key, item.order_refnum
    named = about("order_refnum", refnum)

    def plan(connection: Connection) -> Plan:
        handed_out.set_acknowledged(connection, channel, refnum, desk.clock(), item.retailops_order_id)
        reservations.acknowledged(connection, channel, source, refnum, desk.clock())
        return Plan(owed=[Owed(source.token, "acknowledge_order", item, named)])

    def correct(connection: Connection) -> Plan:
        before = handed_out.known(connection, channel, [refnum])[refnum]
        number, previous = item.retailops_order_id, before.retailops_order_id
        if not number or number == previous:
            return Plan()
        handed_out.set_acknowledged(connection, channel, refnum, before.acknowledged_at or desk.clock(), number)
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
