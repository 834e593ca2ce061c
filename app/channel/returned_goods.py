"""Goods that came back: which lines they are of, and the record of them at a source that pays nothing back (R24)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from sqlalchemy import Connection

from app.channel import refunds
from app.channel.commands import Command, Plan, run
from app.channel.preconditions import OrderName, with_order
from app.channel.result import CallbackResult
from app.channel.services import CallbackRequest, Services
from app.channel.shipments import Shipped, where
from app.domain.commands import PackageLine, RefundLine, ReturnedGoods, ReturnedLine
from app.domain.events import Event, about
from app.domain.line_matching import allot, as_bought, named_lines
from app.domain.orders import SketchLine
from app.errors import GatewayError
from app.gateways.calls import Verb
from app.gateways.capabilities import Gateway
from app.records import handed_out, parcels
from app.records import refunds as ledger
from app.records.handed_out import KnownOrder
from app.records.outbox import Owed
from app.records.refunds import Entry

VERB = "record_return"


@dataclass(frozen=True)
class CameBack:
    """The returned units of each entry by order line, and what RetailOps should know of them."""

    units: list[list[tuple[SketchLine, int]]]
    """For each entry; empty where the order has no such line."""
    events: list[Event]
    beyond: Counter[str]
    """Units by line that are not known to have shipped."""
    shipped: Counter[str]
    """Units by line that have shipped."""

    @property
    def by_line(self) -> Counter[str]:
        """All returned units by line."""
        units: Counter[str] = Counter()
        for part in self.units:
            for line, count in part:
                units[line.refnum] += count
        return units


def came_back(
    connection: Connection,
    channel: str,
    order: KnownOrder,
    entries: Sequence[RefundLine],
    shipped: Sequence[Shipped],
    before: Counter[str],
) -> CameBack:
    """Which lines the returned units are of; `shipped` as the payload states it, `before` came back by other returns.

    Units fill what is shipped and was not returned, then what was ordered; more than that is taken as stated, for
    goods may come back oddly.
    """
    lines = {line.refnum: line for line in order.lines}
    gone = _shipped(connection, channel, order, shipped)
    out = Counter({refnum: max(gone[refnum] - before[refnum], 0) for refnum in lines})
    rest = (
        Counter({refnum: max(max(line.quantity, line.ordered) - before[refnum], 0) for refnum, line in lines.items()})
        - out
    )
    found: list[list[tuple[SketchLine, int]]] = []
    events: list[Event] = []
    beyond: Counter[str] = Counter()
    for entry, share in zip(entries, allot(order.lines, entries, out, rest), strict=True):
        more = Counter(share.units[1])
        if share.line_refnums:
            more[share.line_refnums[0]] += share.left_over
        beyond += more
        units = Counter(share.units[0]) + more
        if share.line_refnums and (share.left_over or share.units[1]):
            message = "more units came back than are known to have shipped; the return is taken as stated"
            at = where(share.line_refnums, entry.line_refnum, entry.sku)
            events.append(Event("warning", "RETURN_EXCEEDS_SHIPPED", message, at))
        found.append([(lines[refnum], units[refnum]) for refnum in share.line_refnums if units[refnum]])
    return CameBack(found, events, beyond, gone)


def as_named(order: KnownOrder, entries: Sequence[RefundLine]) -> list[tuple[str, str, int]]:
    """Line number, SKU and units of what came back, the same however its lines are named.

    By the lines as bought, so that it stays the same for ever.  An entry without units and money says nothing.
    """
    units = as_bought(order.lines, entries, {line.refnum: line.ordered for line in order.lines})
    without_units: list[tuple[str, str, int]] = []
    for entry in entries:
        if entry.quantity < 0 or (entry.quantity == 0 and entry.amount):
            line = next(iter(named_lines(order.lines, entry.line_refnum, entry.sku)), None)
            named = (line.refnum, line.sku) if line else (entry.line_refnum.strip(), entry.sku.strip())
            without_units.append((*named, entry.quantity))
    return sorted([*((*named, count) for named, count in units.items()), *without_units])


def _shipped(connection: Connection, channel: str, order: KnownOrder, payload: Sequence[Shipped]) -> Counter[str]:
    """Units shipped by line: as registered, or as the payload states it where that is more."""
    ordered = {line.refnum: line.quantity for line in order.lines}
    stated: Counter[str] = Counter()
    items = [item for package in payload for item in package.stated]
    for share in allot(order.lines, items, ordered):
        stated.update(share.units[0])
    return parcels.shipped_units(parcels.of_order(connection, channel, order.refnum)) | stated


class Stated(Protocol):
    """A return as RetailOps states it."""

    @property
    def name(self) -> OrderName:
        """Its order."""

    @property
    def lines(self) -> Sequence[RefundLine]:
        """What came back, and what money is for."""

    @property
    def shipped(self) -> Sequence[Shipped]:
        """What had shipped by RetailOps' count."""

    def key(self, connection: Connection, channel: str, order: KnownOrder) -> str:
        """Names the return for ever."""

    def meaning(self, order: KnownOrder) -> object:
        """What makes two requests the same return."""

    def former_meaning(self, order: KnownOrder) -> object:
        """What an earlier version took for that."""


def record(services: Services, request: CallbackRequest, source: Gateway, stated: Stated) -> CallbackResult:
    """Owe the source the returned units, where it records returns; say where more came back than shipped.

    Raises `HttpError` 503 while the same return is being carried out elsewhere.
    """
    entries = [line for line in stated.lines if line.kind == "line_item" and line.quantity > 0]
    if not entries:
        return CallbackResult()
    is_recorded = isinstance(source.commands.verbs.get(VERB), Verb) and _records(source, request)

    def carry(services: Services, request: CallbackRequest, source: Gateway, order: KnownOrder) -> CallbackResult:
        return _carry(services, request, source, order, stated, entries, is_recorded=is_recorded)

    if is_recorded or _is_remembered(services, request, stated.name):
        return with_order(services, request, source, stated.name, carry)
    return CallbackResult()


def _records(source: Gateway, request: CallbackRequest) -> bool:
    try:
        return source.commands.records_returns(request.call("question"))
    except GatewayError:
        return True


def _is_remembered(services: Services, request: CallbackRequest, name: OrderName) -> bool:
    """Whether the order can be looked up without a call to its source."""
    with services.database.read() as connection:
        if not name.refnum:
            return bool(handed_out.numbered(connection, request.channel.key, name.retailops_order_id))
        return bool(handed_out.known(connection, request.channel.key, [name.refnum]))


def _carry(
    services: Services,
    request: CallbackRequest,
    source: Gateway,
    order: KnownOrder,
    stated: Stated,
    entries: Sequence[RefundLine],
    *,
    is_recorded: bool,
) -> CallbackResult:
    channel, callback = request.channel.key, request.callback.name
    named = about("order_refnum", order.refnum)
    with services.database.read() as connection:
        key = stated.key(connection, channel, order)
    purpose = refunds.Purpose(callback, key, f"ro-return-{key}", named)

    def plan(connection: Connection) -> Plan:
        ledger_entries = ledger.of_order(connection, channel, order.refnum)
        before = Counter(refunds.returned_units(ledger_entries, purpose.source))
        found = came_back(connection, channel, order, entries, stated.shipped, before)
        units = found.by_line
        kept = tuple(
            PackageLine(line.refnum, line.sku, units[line.refnum]) for line in order.lines if units[line.refnum]
        )
        known = ledger.of_source(connection, channel, *purpose.source)
        if [entry.lines for entry in known] != [kept]:
            ledger.put(connection, channel, _noted(purpose, order.refnum, kept), services.clock())
        goods = ReturnedGoods(order.refnum, key, tuple(_lines(entries, found)))
        # Money that moves nowhere takes no line; its goods are told by their SKU.
        found.events.extend(
            Event("warning", "LINE_UNKNOWN", "no such line on the order", where((), entry.line_refnum, entry.sku))
            for entry, part in zip(entries, found.units, strict=True)
            if not part
        )
        return Plan(found.events, [Owed(source.token, VERB, goods, named)] if is_recorded else [])

    def correct(connection: Connection) -> Plan:
        message = "a return of this number was recorded before with other contents; the change is sent on"
        further = plan(connection)
        return Plan([Event("info", "RETURN_CORRECTED", message, named), *further.events], further.owed)

    # One number of a return may stand on the returns of two orders.
    natural_key = f"{order.refnum}/{key}"
    meaning, former = stated.meaning(order), stated.former_meaning(order)
    command = Command(callback, natural_key, order.refnum, meaning, plan, correct, former)
    [events] = run(services, request, [command])
    return CallbackResult(events)


def _noted(purpose: refunds.Purpose, order_refnum: str, units: tuple[PackageLine, ...]) -> Entry:
    """The row that remembers which units came back; no money is in it."""
    return Entry(
        purpose.key, order_refnum, "", purpose.callback, purpose.natural_key, Decimal(0), "", "recorded", lines=units
    )


def _lines(entries: Sequence[RefundLine], found: CameBack) -> list[ReturnedLine]:
    """What the source is sent; a line the order does not have goes by its SKU."""
    lines = []
    for entry, units in zip(entries, found.units, strict=True):
        if not units:
            lines.append(ReturnedLine("", entry.sku, entry.quantity, reason=entry.reason))
        lines += [ReturnedLine(line.refnum, line.sku, count, line.source_sku, entry.reason) for line, count in units]
    return lines
