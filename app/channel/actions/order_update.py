"""The order changed in RetailOps: its source keeps the change, and RetailOps learns what the lines are now.

Lines are meant by the channel's number, else by the number this server gave them, else by SKU; lines that are
not named stay as they are.  Once anything has shipped, or the order is over, nothing is changed.  No money
moves here: what is paid too much goes back when RetailOps returns or credits it, and announced returns
(`rmas`) are paid when the goods are there (`order_returned`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection

from app.channel import orders
from app.channel.commands import for_known_order
from app.channel.desk import Asked, Desk
from app.channel.money import as_number
from app.channel.outcome import Outcome
from app.channel.running import Command, Plan, run
from app.channel.shipments import find_line
from app.contract.reading import entries, identifier, mapping, optional_amount, text, whole
from app.contract.schemas import Reading
from app.deliveries.outbox import Owed
from app.gateways.interface import Gateway, NotOurs
from app.gateways.words import Event, LineChange, Order, OrderChange, Restatement, about

OWN = "ro-"
"""How the number of a line begins that RetailOps has added; its own line number follows."""

_REMOVED = ("true", "1", "yes")


@dataclass(frozen=True)
class Line:
    """A line as RetailOps states it; `quantity` None where it does not say."""

    item_id: str
    refnum: str
    sku: str
    quantity: int | None
    unit_price: Decimal | None


@dataclass(frozen=True)
class Wanted:
    """The order as RetailOps has it now."""

    refnum: str
    lines: tuple[Line, ...]
    announces_returns: bool


def read(body: Mapping[str, Any], reading: Reading) -> Wanted:
    """Order number and lines; a line that was removed has no units."""
    order = mapping(body.get("order"))
    return Wanted(
        text(order.get("channel_order_refnum")),
        tuple(map(_line, map(mapping, entries(order.get("order_items"))))),
        bool(entries(body.get("rmas"))),
    )


def _line(item: Mapping[str, Any]) -> Line:
    is_removed = text(item.get("removed")).casefold() in _REMOVED
    stated = None if optional_amount(item.get("quantity")) is None else max(whole(item.get("quantity")), 0)
    return Line(
        identifier(item.get("order_item_id")),
        text(item.get("channel_item_refnum")),
        text(item.get("sku")),
        0 if is_removed else stated,
        optional_amount(item.get("unit_price")),
    )


def carry_out(wanted: Wanted, asked: Asked, desk: Desk) -> Outcome:
    """Raises `Rejected` 503 while the order is being changed by another request."""

    def change(desk: Desk, asked: Asked, source: Gateway, order: orders.KnownOrder) -> Outcome:
        return _Update(desk, asked, source, order, wanted).carry_out()

    outcome = for_known_order(desk, asked, "update_order", wanted.refnum, change)
    source = desk.order_source(asked.channel)
    if source is not None and isinstance(source.verbs.get("update_order"), NotOurs):
        _tell_unchanged(desk, asked, wanted, outcome)
    return outcome


def _tell_unchanged(desk: Desk, asked: Asked, wanted: Wanted, outcome: Outcome) -> None:
    """How the lines stand at a source that changes nothing, and which changes did not go through (R20)."""
    with desk.database.read() as connection:
        order = orders.known(connection, asked.channel.name, [wanted.refnum]).get(wanted.refnum)
    if order is None:
        return
    items: dict[str, dict[str, Any]] = {}
    for stated in wanted.lines:
        line = find_line(order.lines, stated.refnum, stated.sku)
        if line is None:
            where = about("orderitem_id", stated.item_id) or about("sku_number", stated.sku)
            message = "the line was added in RetailOps only; the order cannot take it"
            outcome.events.append(Event("warning", "LINE_NOT_ADDED", message, where))
            continue
        if stated.item_id.isdecimal():
            number = int(stated.item_id)
            items[line.refnum] = {"order_item_id": number, "refnum": line.refnum, "quantity": line.quantity}
        if stated.quantity not in (None, line.quantity):
            message = f"the line stays at {line.quantity} units; the order cannot be changed"
            named = about("orderitem_refnum", line.refnum)
            outcome.events.append(Event("warning", "LINE_NOT_CHANGED", message, named))
    outcome.content["line_items"] = list(items.values())


class _Update:
    """One update being carried out."""

    def __init__(self, desk: Desk, asked: Asked, source: Gateway, order: orders.KnownOrder, wanted: Wanted) -> None:
        self._desk = desk
        self._asked = asked
        self._channel = asked.channel.name
        self._source = source
        self._refnum = order.refnum
        self._wanted = wanted
        self._named = about("order_refnum", order.refnum)

    def carry_out(self) -> Outcome:
        lines = sorted((line.item_id, line.refnum, line.sku, line.quantity) for line in self._wanted.lines)
        # An update states the whole order, so its key is the order: the last statement counts, and only a
        # repeat of that one is a repeat.
        meaning = ("update", [tuple(map(str, line)) for line in lines])
        command = Command("order_update", self._refnum, self._refnum, meaning, self._plan, self._plan)
        [events] = run(self._desk, self._asked, [command])
        if self._wanted.announces_returns:
            message = "announced returns are noted in RetailOps only; they are paid when order_returned tells of them"
            events = [*events, Event("info", "RMA_NOTED", message, self._named)]
        return Outcome(events, self._as_it_stands())

    def _plan(self, connection: Connection) -> Plan:
        known = orders.known(connection, self._channel, [self._refnum])[self._refnum]
        if known.state != "open":
            message = f"the order is {known.state}; nothing was changed"
            return Plan([Event("error", f"ORDER_{known.state.upper()}", message, self._named)])
        shipped = orders.parcels(connection, self._channel, self._refnum)
        if shipped:
            message = "a shipment of this order is registered; nothing was changed"
            named = about("shipment_id", shipped[0].retailops_shipment_id) or self._named
            return Plan([Event("error", "ALREADY_SHIPPED", message, named)])
        changes, events = self._changes(known)
        changed = self._source.change_order(connection, OrderChange(self._refnum, tuple(changes)))
        events += changed.events
        if not changed.is_different:
            return Plan(events)
        kept = {line.refnum for line in changed.lines}
        # A line that is gone keeps its name, so that RetailOps can still mean it.
        gone = (msgspec.structs.replace(line, quantity=0) for line in known.lines if line.refnum not in kept)
        orders.replace_lines(connection, self._channel, self._refnum, (*changed.lines, *gone))
        return Plan(events, [Owed(self._source.token, "update_order", Restatement(self._refnum), self._named)])

    def _changes(self, known: orders.KnownOrder) -> tuple[list[LineChange], list[Event]]:
        """The lines RetailOps names, each once, with our numbers."""
        changes: dict[str, LineChange] = {}
        events = []
        for line in self._wanted.lines:
            own = f"{OWN}{line.item_id}" if line.item_id else ""
            found = find_line(known.lines, line.refnum or own, line.sku)
            refnum = found.refnum if found else own
            named = about("orderitem_refnum", line.refnum) or about("sku_number", line.sku)
            if not refnum or (found is None and not line.sku):
                events.append(Event("warning", "LINE_UNKNOWN", "no such line on the order; it was left out", named))
            elif refnum in changes:
                message = "the line is named more than once; the first counts"
                events.append(Event("warning", "DUPLICATE_LINE", message, named))
            elif line.quantity is not None:
                sku = found.sku if found else line.sku
                changes[refnum] = LineChange(refnum, sku, line.quantity, line.unit_price)
        return list(changes.values()), events

    def _as_it_stands(self) -> dict[str, Any]:
        """Lines and amounts as the source has them now, for lines whose number in RetailOps is known (R20)."""
        found = self._source.fetch_named([self._refnum], self._asked.call("question"))
        order = found[0].order if found else None
        if not isinstance(order, Order):
            return {}
        with self._desk.database.read() as connection:
            known = orders.known(connection, self._channel, [self._refnum])[self._refnum]
        now = {line.refnum: line for line in order.lines}
        items, told = [], set()
        for stated in self._wanted.lines:
            own = f"{OWN}{stated.item_id}" if stated.item_id else ""
            meant = find_line(known.lines, stated.refnum or own, stated.sku)
            refnum = meant.refnum if meant else stated.refnum
            if not own or not refnum or refnum in told:
                continue
            told.add(refnum)
            item: dict[str, Any] = {"order_item_id": whole(stated.item_id), "refnum": refnum, "quantity": 0}
            if line := now.get(refnum):
                item["quantity"] = line.quantity
                item["unit_tax"] = as_number(line.unit_tax, order.currency_code, decimals=4)
                item["discount_amt"] = as_number(line.discount, order.currency_code)
            items.append(item)
        values = {
            "shipping_amt": as_number(order.shipping_amount, order.currency_code),
            "tax_amt": as_number(order.tax_amount, order.currency_code),
            "discount_amt": as_number(order.discount_amount, order.currency_code),
        }
        return {"line_items": items, "values": values}
