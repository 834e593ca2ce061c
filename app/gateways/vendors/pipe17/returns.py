"""Reports goods that RetailOps took back to Pipe17: a receipt for the shop's return, else a return of our own.

No money is sent: the selling channel refunds (R24), and what is back on the shelf comes with the next ingest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec

from app.domain.commands import ReturnedGoods
from app.domain.events import Event, about
from app.errors import Refused
from app.gateways.calls import Accepted, Call
from app.gateways.vendors.pipe17.connection.api import Api, NoGrant
from app.gateways.vendors.pipe17.connection.integration import FlowOff, Integration
from app.gateways.vendors.pipe17.fulfilments import number_of
from app.gateways.vendors.pipe17.orders.shipments import Shipment
from app.gateways.wire_objects import Figure, Id, Parts, Text, wire, write

RETURNS: Final = "/returns"
RECEIPTS: Final = "/receipts"

RECEIVED: Final = "received"
"""Status of a return whose goods are here; no value is known for certain (contract 3.11)."""

EXPECTED: Final = frozenset({"pending", "approved"})
"""Statuses of a return the shop waits for; as above."""


@dataclass(frozen=True)
class GoodsLine:
    """Units of one SKU in a return or a receipt."""

    sku: str = wire(Id("sku"))
    quantity: Decimal | None = wire(Figure("quantity"))
    unique_id: str = wire(Id("uniqueId"))
    reason: str = wire(Text("reason"))


@dataclass(frozen=True)
class Return:
    """What came back, or is to come (contract 3.11)."""

    return_id: str = wire(Id("returnId"))
    ext_return_id: str = wire(Id("extReturnId"))
    """The number of whoever made it."""
    ext_order_id: str = wire(Id("extOrderId"))
    status: str = wire(Text("status"))
    location_id: str = wire(Id("locationId"))
    lines: tuple[GoodsLine, ...] = wire(Parts("lineItems", GoodsLine))


@dataclass(frozen=True)
class Receipt:
    """What came back of a return that somebody else made (contract 2.8); it cannot be changed."""

    ext_receipt_id: str = wire(Id("extReceiptId"))
    return_id: str = wire(Id("returnId"))
    ext_order_id: str = wire(Id("extOrderId"))
    location_id: str = wire(Id("locationId"))
    lines: tuple[GoodsLine, ...] = wire(Parts("lineItems", GoodsLine))


def in_pipe17_skus(goods: ReturnedGoods, pipe17_skus: Mapping[str, str]) -> ReturnedGoods:
    """The same goods under the SKUs their request has; `pipe17_skus` by RetailOps' SKU, where they differ."""
    lines = tuple(
        msgspec.structs.replace(line, sku=line.source_sku or pipe17_skus.get(line.sku, line.sku))
        for line in goods.lines
    )
    return msgspec.structs.replace(goods, lines=lines)


@dataclass(frozen=True, eq=False, repr=False)
class Returns:
    """What one key sees and makes of them, in Pipe17's SKUs.

    Each is known by our own number, so none is written twice.
    """

    _api: Api
    _integration: Integration

    def write(self, goods: ReturnedGoods, order: Shipment, call: Call) -> Accepted:
        """Raises `Refused` when Pipe17 takes neither the return nor the receipt.

        Raises `FlowOff` where a receipt is called for and the key may make none, and as `Api.make` does.
        """
        known = self.find(goods, call)
        if known is None:
            try:
                known = self._make(goods, order, call)
            except Refused as error:
                raise Refused("RETURN_REFUSED", f"Pipe17 did not take the return ({error.code})") from error
            if known is None:
                return Accepted()
        named = about("order_refnum", goods.order_refnum)
        if _by_sku(known.lines) == _units(goods):
            return Accepted((Event("info", "ALREADY_RECORDED", "Pipe17 has this return already", named),))
        if isinstance(known, Receipt) or not known.return_id:
            message = "Pipe17 has a receipt for this return with other units, which cannot be changed"
            return Accepted((Event("warning", "CANNOT_CORRECT", message, named),))
        self._api.change(RETURNS, known.return_id, write(Return(lines=_lines(goods))), call)
        return Accepted()

    def is_written(self, goods: ReturnedGoods, call: Call) -> bool:
        """Whether Pipe17 shows it with these very goods."""
        known = self.find(goods, call)
        return known is not None and _by_sku(known.lines) == _units(goods)

    def find(self, goods: ReturnedGoods, call: Call) -> Return | Receipt | None:
        """Our return, or our receipt for another's, by our own number."""
        number = number_of(goods.order_refnum, goods.key)
        returns = self._api.objects(RETURNS, Return, {"extReturnId": number}, call)
        own = next((item for item in returns if item.ext_return_id == number), None)
        if own is not None:
            return own
        try:
            with self._receipts(call):
                receipts = self._api.objects(RECEIPTS, Receipt, {"extReceiptId": number}, call)
                return next((item for item in receipts if item.ext_receipt_id == number), None)
        except FlowOff:
            return None

    @contextmanager
    def _receipts(self, call: Call) -> Iterator[None]:
        """Raises `FlowOff` where the key may not use receipts; that says nothing of returns."""
        try:
            with self._integration.using("receipts", call):
                yield
        except NoGrant as error:
            raise FlowOff(error.message) from error

    def _make(self, goods: ReturnedGoods, order: Shipment, call: Call) -> Return | Receipt | None:
        """None, or what is there already under our number."""
        number, find = number_of(goods.order_refnum, goods.key), partial(self.find, goods, call)
        expected = self._expected(goods, order, call)
        if expected and order.location_id:
            lines = tuple(GoodsLine(line.sku, line.quantity) for line in _lines(goods))
            receipt = Receipt(number, expected, order.ext_order_id, order.location_id, lines)
            with self._receipts(call):
                return self._api.make(RECEIPTS, receipt, "return", find, call)
        made = Return("", number, order.ext_order_id, RECEIVED, order.location_id, _lines(goods))
        return self._api.make(RETURNS, made, "return", find, call)

    def _expected(self, goods: ReturnedGoods, order: Shipment, call: Call) -> str:
        """The id of the one return by somebody else that waits for these goods, or ""."""
        if not order.ext_order_id:
            return ""
        found = [
            item.return_id
            for item in self._api.objects(RETURNS, Return, {"extOrderId": order.ext_order_id}, call)
            if item.status in EXPECTED and item.ext_order_id == order.ext_order_id and item.return_id
            if not _units(goods) - _by_sku(item.lines)
        ]
        return found[0] if len(found) == 1 else ""


def _lines(goods: ReturnedGoods) -> tuple[GoodsLine, ...]:
    return tuple(
        GoodsLine(line.sku, Decimal(line.quantity), line.line_refnum, line.reason)
        for line in goods.lines
        if line.sku and line.quantity > 0
    )


def _units(goods: ReturnedGoods) -> Counter[str]:
    return _by_sku(_lines(goods))


def _by_sku(lines: Iterable[GoodsLine]) -> Counter[str]:
    """Units by SKU; a line that cannot be read counts as none."""
    units: Counter[str] = Counter()
    for line in lines:
        if line.sku:
            units[line.sku] += int(line.quantity or 0)
    return units
