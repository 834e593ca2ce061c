"""Goods that came back: which lines they are of, and the record of them at a source that pays nothing back (R24)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from app.channel import refunds
from app.channel.command import OrderAtSource, OrderCommand, Plan, with_order
from app.channel.commands import run
from app.channel.return_requests import ReturnRequest
from app.channel.services import CallbackRequest, CallbackResult, carries_out
from app.channel.shipments import where
from app.contract.packages import StatedPackage
from app.contract.reading import OrderName
from app.domain.commands import PackageLine, RefundLine, ReturnedGoods, ReturnedLine
from app.domain.events import Event
from app.domain.line_matching import allot, named_lines, standing
from app.domain.orders import SketchLine
from app.errors import GatewayError
from app.gateways.capabilities import Gateway
from app.records import handed_out
from app.records import refunds as ledger
from app.records.handed_out import KnownOrder
from app.records.outbox import Owed
from app.records.refunds import Entry
from app.records.search_keys import Kind

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
    order: KnownOrder, entries: Sequence[RefundLine], shipped: Sequence[StatedPackage], before: Counter[str]
) -> CameBack:
    """Which lines the returned units are of; `shipped` as the payload states it, `before` came back by other returns.

    Units fill what is shipped and was not returned, then what was ordered; more than that is taken as stated, for
    goods may come back oddly.  Those that name a line make units give way that shipped by their SKU alone.
    """
    lines = {line.refnum: line for line in order.lines}
    gone = _shipped(order, shipped, before + _named(order, entries))
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


def _named(order: KnownOrder, entries: Sequence[RefundLine]) -> Counter[str]:
    """Units of the entries that name one line, by line."""
    units: Counter[str] = Counter()
    for entry in entries:
        meant = named_lines(order.lines, entry.line_refnum, entry.sku)
        if len(meant) == 1 and entry.quantity > 0:
            units[meant[0].refnum] += entry.quantity
    return units


def _shipped(order: KnownOrder, payload: Sequence[StatedPackage], claimed: Counter[str]) -> Counter[str]:
    """Units shipped by line: as registered, or as the payload states it where that is more."""
    ordered = {line.refnum: line.quantity for line in order.lines}
    stated: Counter[str] = Counter()
    items = [item for package in payload for item in package.stated]
    for share in allot(order.lines, items, ordered):
        stated.update(share.units[0])
    registered = standing(order.lines, order.shipped_as_named, order.shipped_by_sku, claimed, order.closed_as_named)
    return registered | stated


def record(request: CallbackRequest, source: Gateway, stated: ReturnRequest) -> CallbackResult:
    """Owe the source the returned units, where it records returns; say where more came back than shipped.

    Raises `HttpError` 503 while the same return is being carried out elsewhere.
    """
    entries = [line for line in stated.lines if line.kind == "line_item" and line.quantity > 0]
    if not entries:
        return CallbackResult()
    is_recorded = carries_out(source, VERB) and _records(source, request)

    def act(order: OrderAtSource) -> CallbackResult:
        return CallbackResult(run(request, [RecordReturn(order, stated, entries, is_recorded=is_recorded)]))

    if is_recorded or _costs_no_call(request, stated.name):
        return with_order(request, source, stated.name, act)
    return CallbackResult()


def _records(source: Gateway, request: CallbackRequest) -> bool:
    try:
        return source.commands.records_returns(request.call("question"))
    except GatewayError:
        return True


def _costs_no_call(request: CallbackRequest, name: OrderName) -> bool:
    """Whether the order is looked up without a call to its source, which knows no number of RetailOps' alone."""
    if not name.refnum:
        return True
    with request.services.database.read() as connection:
        return bool(handed_out.known_as_stated(connection, request.channel.key, [name.refnum]))


class RecordReturn(OrderCommand):
    """Keep which units came back, and owe the order's source the record of them where it takes such records."""

    callback = "order_returned"
    sent_again = VERB

    def __init__(
        self, order: OrderAtSource, returned: ReturnRequest, entries: Sequence[RefundLine], *, is_recorded: bool
    ) -> None:
        self._key = returned.key(order.known)
        # One number of a return may stand on the returns of two orders.
        super().__init__(order, returned.meaning(order.known), f"{order.refnum}/{self._key}")
        self._shipped = returned.shipped
        self._entries = entries
        self._is_recorded = is_recorded
        self._number = returned.number

    @property
    def numbers(self) -> Sequence[tuple[Kind, str]]:
        """RetailOps' number of the return."""
        return (("return", self._number),)

    def plan(self, connection: Connection) -> Plan:
        """The units by line of the order, as far as it has such lines."""
        order, entries = self.order, self._entries
        purpose = refunds.Purpose(self.callback, self._key, f"ro-return-{self._key}", order.named)
        ledger_entries = ledger.of_order(connection, order.channel, order.refnum)
        before = Counter(refunds.returned_units(ledger_entries, purpose.source))
        known = order.as_of(connection)
        found = came_back(known, entries, self._shipped, before)
        units = found.by_line
        kept = tuple(
            PackageLine(line.refnum, line.sku, units[line.refnum]) for line in known.lines if units[line.refnum]
        )
        noted = ledger.of_source(connection, order.channel, *purpose.source)
        if [entry.lines for entry in noted] != [kept]:
            ledger.put(connection, order.channel, _noted(purpose, order.refnum, kept), order.clock())
        goods = ReturnedGoods(order.refnum, self._key, tuple(_lines(entries, found)))
        # Money that moves nowhere takes no line; its goods go by their SKU.
        found.events.extend(
            Event("warning", "LINE_UNKNOWN", "no such line on the order", where((), entry.line_refnum, entry.sku))
            for entry, part in zip(entries, found.units, strict=True)
            if not part
        )
        return Plan(found.events, [Owed(order.source.token, VERB, goods, order.named)] if self._is_recorded else [])

    def correct(self, connection: Connection) -> Plan:
        """The record is replaced."""
        message = "a return of this number was recorded before with other contents; the change is sent on"
        further = self.plan(connection)
        return Plan([Event("info", "RETURN_CORRECTED", message, self.order.named), *further.events], further.owed)


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
