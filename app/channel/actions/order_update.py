"""The order changed in RetailOps: its source keeps the change, and RetailOps learns what the lines are now.

Lines are named by the channel's number, else by the number this server gave them, else by SKU; lines that are not
named stay as they are.  Once the order is over nothing is changed.  Where the lines cannot change any more, because
something has shipped or the source edits no orders, units taken off are remembered and closed with the completion
(R22).  No money moves here: what is paid too much goes back when RetailOps returns or credits it, and announced
returns (`rmas`) are paid when the goods are there (`order_returned`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection

from app.channel import line_removals
from app.channel.command import OrderAtSource, OrderCommand, Plan, VendorAnswer, declined, for_known_order, with_order
from app.channel.command_transactions import LAST_WAIT_S
from app.channel.commands import execute
from app.channel.line_changes import Line, read_lines, stated
from app.channel.money import as_number
from app.channel.services import CallbackRequest, CallbackResult
from app.contract.reading import OrderName, entries, mapping
from app.contract.schemas import Reading
from app.domain.commands import OrderChange, Restatement
from app.domain.events import Event, about
from app.errors import Unavailable
from app.gateways.calls import NotOurs
from app.gateways.capabilities import Gateway, OrderKeeper
from app.records import handed_out, payment_ledger
from app.records.database import DatabaseUnavailable
from app.records.handed_out import KnownOrder
from app.records.outbox import Owed


@dataclass(frozen=True)
class UpdateRequest:
    """The order as RetailOps has it now."""

    name: OrderName
    lines: tuple[Line, ...]
    announces_returns: bool


def read(body: Mapping[str, Any], reading: Reading) -> UpdateRequest:
    """Order and lines."""
    order = mapping(body.get("order"))
    return UpdateRequest(OrderName.read(order), read_lines(order), bool(entries(body.get("rmas"))))


def carry_out(payload: UpdateRequest, request: CallbackRequest) -> CallbackResult:
    """Raises `HttpError` 503 while the order is being changed by another request."""
    source = request.order_source
    if source is not None and isinstance(source.commands.verbs.get("update_order"), NotOurs):
        return _note_changes(request, source, payload)

    def change(order: OrderAtSource) -> CallbackResult:
        command = UpdateOrder(order, payload.lines)
        ran = execute(request, [command])
        [events] = ran.events
        if payload.announces_returns:
            message = "announced returns are noted in RetailOps only; they are paid when order_returned tells of them"
            events = [*events, Event("info", "RMA_NOTED", message, order.named)]
        try:
            return CallbackResult(events, _as_it_stands(order, command.kept, payload.lines))
        except (DatabaseUnavailable, Unavailable):
            if not ran.unrecorded:
                raise
        return CallbackResult(events)

    return for_known_order(request, "update_order", payload.name, change)


def _note_changes(request: CallbackRequest, source: Gateway, payload: UpdateRequest) -> CallbackResult:
    """At a source that changes nothing: remember what was taken off, and say how the lines stand (R20, R22)."""
    events = [declined(source, "update_order", payload.name)]
    if not payload.lines:
        return CallbackResult(events)

    def note(order: OrderAtSource) -> CallbackResult:
        known = order.known
        wait_s, serial = max(request.deadline.left_s(), LAST_WAIT_S), [f"{order.channel}/{order.refnum}"]
        with request.services.database.write(wait_s=wait_s, serial=serial) as connection:
            found = stated(known, payload.lines, _currency(connection, order, known, payload.lines))
            handed_out.set_removed(connection, order.channel, order.refnum, line_removals.removed(known, found.changes))
        kept = line_removals.unchanged(source, known, found.changes)
        return CallbackResult([*found.events, *kept], {"line_items": line_removals.items(known, found)})

    noted = with_order(request, source, payload.name, note)
    return CallbackResult([*events, *noted.events], noted.content, noted.order_refnum)


class UpdateOrder(OrderCommand):
    """The order's lines are what RetailOps states.

    An update states the whole order, so its key is the order: the last statement counts, and only a repeat of that one
    is a repeat.
    """

    callback = "order_update"
    sent_again = "update_order"

    def __init__(self, order: OrderAtSource, lines: Sequence[Line]) -> None:
        spelled = sorted((line.item_id, line.refnum, line.sku, str(line.quantity), *_price(line)) for line in lines)
        # Units taken off since make it another statement, though it looks the same: it puts them back.
        removed = [sorted(order.known.removed.items())] if order.known.removed else []
        assert order.source.kept_orders is not None, "a source that changes an order keeps it here"
        self.kept = order.source.kept_orders
        super().__init__(order, ("update", [tuple(map(str, line)) for line in spelled], *removed))
        self._lines = lines

    def plan(self, connection: Connection) -> Plan:
        """The lines change here and are sent to the source; once something has shipped, taking off is remembered."""
        order, source = self.order, self.order.source
        known = order.as_of(connection)
        if not self._lines and known.state != "cancelled":
            return Plan()  # such as one that only announces returns, which comes when everything has shipped
        if known.state != "open":
            message = f"the order is {known.state}; nothing was changed"
            return Plan([Event("error", f"ORDER_{known.state.upper()}", message, order.named)])
        found = stated(known, self._lines, _currency(connection, order, known, self._lines))
        shipped = known.parcels
        if shipped and line_removals.only_takes_off(known, found.changes):
            removed = line_removals.removed(known, found.changes)
            # Lines of an order that has begun to ship stay; what was taken off is closed with the completion (R22).
            handed_out.set_removed(connection, order.channel, order.refnum, removed)
            return Plan([*found.events, *line_removals.unchanged(source, known, found.changes)])
        if shipped:
            message = "a shipment of this order is registered; nothing was changed"
            named = about("shipment_id", shipped[0].retailops_shipment_id) or order.named
            return Plan([Event("error", "ALREADY_SHIPPED", message, named)])
        changes, events = found.changes, found.events
        changed = self.kept.change_order(connection, OrderChange(order.refnum, tuple(changes)))
        events.extend(changed.events)
        if not changed.is_different:
            return Plan(events)
        kept = {line.refnum for line in changed.lines}
        # A line that is gone keeps its name, so that RetailOps can still mean it.
        gone = (
            msgspec.structs.replace(line, quantity=0, bought=0, charged=Decimal(0), tax=Decimal(0))
            for line in known.lines
            if line.refnum not in kept
        )
        handed_out.replace_lines(connection, order.channel, order.refnum, (*changed.lines, *gone))
        before = {line.refnum: line.quantity for line in known.lines}
        undo = tuple(
            msgspec.structs.replace(change, quantity=before.get(change.refnum, 0))
            for change in changes
            if change.refnum in kept or change.refnum in before
        )
        restated = Restatement(order.refnum, change=tuple(changes), undo=undo)
        return Plan(events, [Owed(source.token, "update_order", restated, order.named)])

    def correct(self, connection: Connection) -> Plan:
        """What was said of another statement is no answer to this one, though it may change nothing."""
        return replace(self.plan(connection), answers_alone=True)

    @staticmethod
    def refused(answer: VendorAnswer) -> None:
        """The source refused these changes for good: lines that still stand as changed are as they were before."""
        connection, channel, restated, kept = answer.connection, answer.channel, answer.body, answer.kept_orders
        if not restated.undo or kept is None:
            return
        known = handed_out.known(connection, channel, [restated.order_refnum]).get(restated.order_refnum)
        if known is None or known.state != "open":
            return
        now = {line.refnum: line.quantity for line in known.lines}
        sent = {line.refnum: line.quantity for line in restated.change}
        lines = tuple(line for line in restated.undo if now.get(line.refnum) == sent.get(line.refnum) != line.quantity)
        if not lines:
            return
        changed = kept.change_order(connection, OrderChange(restated.order_refnum, lines))
        if changed.is_different:
            handed_out.replace_lines(connection, channel, restated.order_refnum, changed.lines)


COMMAND = UpdateOrder


def _currency(connection: Connection, order: OrderAtSource, known: KnownOrder, lines: Sequence[Line]) -> str:
    """The order's currency, which is read only where a stated price has one to be compared with; else ""."""
    are_priced = (any(line.unit_price is not None for line in some) for some in (lines, known.lines))
    return payment_ledger.currency(connection, order.channel, order.refnum) if all(are_priced) else ""


def _price(line: Line) -> tuple[str, ...]:
    """The stated price in one spelling; a line without one reads as it did before prices counted."""
    return () if line.unit_price is None else (f"{line.unit_price.normalize():f}",)


def _as_it_stands(order: OrderAtSource, kept: OrderKeeper, stated_lines: Sequence[Line]) -> dict[str, Any]:
    """Lines and amounts as the source has them now, for lines whose number in RetailOps is known (R20)."""
    found = kept.as_it_stands(order.refnum, order.request.call("question"))
    if found is None:
        return {}
    with order.request.services.database.read() as connection:
        known = order.as_of(connection)
    currency = found.currency_code
    now = {line.refnum: line for line in found.lines}
    items = []
    for entry, refnums in stated(known, stated_lines, currency).meant:
        for refnum in refnums if entry.number is not None else ():
            item: dict[str, Any] = {"order_item_id": entry.number, "refnum": refnum, "quantity": 0}
            if line := now.get(refnum):
                item["quantity"] = line.quantity
                item["unit_tax"] = as_number(line.unit_tax, currency, decimals=4)
                item["discount_amt"] = as_number(line.discount, currency)
            items.append(item)
    values = {
        "shipping_amt": as_number(found.shipping_amount, currency),
        "tax_amt": as_number(found.tax_amount, currency),
        "discount_amt": as_number(found.discount_amount, currency),
    }
    return {"line_items": items, "values": values}


def answer_json(events: list[dict[str, Any]], result: CallbackResult) -> dict[str, Any]:
    """The lines and amounts as they stand."""
    line_items, values = result.content.get("line_items", []), result.content.get("values", {})
    return {"events": events, "line_items": line_items, "values": values}
