"""Reports goods that RetailOps took back to Pipe17: a receipt for the shop's return, else a return of our own.

No money is told: the selling channel refunds (R24), and what is back on the shelf comes with the next ingest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import msgspec

from app.domain.commands import ReturnedGoods, ReturnedLine
from app.domain.events import Association, Event, about
from app.errors import SWITCHED_OFF, Misconfigured, Refused, Unavailable
from app.gateways.interface import Accepted, Call
from app.gateways.vendors.pipe17.bodies import number_of
from app.gateways.vendors.pipe17.connection.api import DUPLICATE, Api
from app.gateways.vendors.pipe17.connection.integration import FORBIDDEN, Integration
from app.gateways.vendors.pipe17.fulfilments.fulfilments import duplicate_unseen
from app.gateways.vendors.pipe17.payloads import Json, Shipment, has_failed

RETURNS: Final = "/returns"
ONE_RETURN: Final = "/returns/{id}"
RECEIPTS: Final = "/receipts"

RECEIVED: Final = "received"
"""Status of a return whose goods are here; no value is known for certain (contract 3.11)."""

EXPECTED: Final = frozenset({"pending", "approved"})
"""Statuses of a return the shop waits for; as above."""


def in_pipe17_skus(goods: ReturnedGoods, pipe17_skus: Mapping[str, str]) -> ReturnedGoods:
    """The same goods under the SKUs their request has; `pipe17_skus` by RetailOps' SKU, where they differ."""
    lines = tuple(
        msgspec.structs.replace(line, sku=line.source_sku or pipe17_skus.get(line.sku, line.sku))
        for line in goods.lines
    )
    return msgspec.structs.replace(goods, lines=lines)


class Returns:
    """What one key sees and makes of them, in Pipe17's SKUs.

    Each is known by our own number, so none is written twice.
    """

    def __init__(self, api: Api, integration: Integration) -> None:
        self._api = api
        self._integration = integration

    def write(self, goods: ReturnedGoods, order: Shipment, call: Call) -> Accepted:
        """Raises `Refused` when Pipe17 takes neither the return nor the receipt.

        Raises `Unavailable` SWITCHED_OFF where a receipt is called for and the key may make none.
        """
        named = about("order_refnum", goods.order_refnum)
        known = self.find(goods, call)
        if known is not None:
            if _holds(known, goods):
                return Accepted((Event("info", "ALREADY_RECORDED", "Pipe17 has this return already", named),))
            return self._correct(known, goods, call)
        try:
            return self._make(goods, order, call)
        except Refused as error:
            if error.code == DUPLICATE:
                return self._taken(goods, named, call)
            raise Refused("RETURN_REFUSED", f"Pipe17 did not take the return ({error.code})") from error

    def _taken(self, goods: ReturnedGoods, named: tuple[Association, ...], call: Call) -> Accepted:
        """Our number is taken at Pipe17: whose it is, is looked at (R24).  Raises `Unavailable` until it is shown."""
        known = self.find(goods, call)
        if known is None:
            raise duplicate_unseen("return")
        if not _holds(known, goods):
            return self._correct(known, goods, call)
        return Accepted((Event("info", "ALREADY_RECORDED", "Pipe17 has this return already", named),))

    def is_written(self, goods: ReturnedGoods, call: Call) -> bool:
        """Whether Pipe17 shows it with these very goods."""
        known = self.find(goods, call)
        return known is not None and _holds(known, goods)

    def find(self, goods: ReturnedGoods, call: Call) -> Mapping[str, Any] | None:
        """Our return, or our receipt for another's, by our own number."""
        number = number_of(goods.order_refnum, goods.key)
        known = self._of_key(RETURNS, "returns", "extReturnId", number, call)
        if known is not None:
            return known
        try:
            with self._receipts(call):
                return self._of_key(RECEIPTS, "receipts", "extReceiptId", number, call)
        except Unavailable as error:
            if error.code != SWITCHED_OFF:
                raise
            return None

    @contextmanager
    def _receipts(self, call: Call) -> Iterator[None]:
        """Raises `Unavailable` SWITCHED_OFF where the key may not use receipts; that says nothing of returns."""
        try:
            with self._integration.using("receipts", call):
                yield
        except Misconfigured as error:
            if error.code != FORBIDDEN:
                raise
            raise Unavailable(SWITCHED_OFF, error.message) from error

    def _of_key(self, path: str, key: str, name: str, value: str, call: Call) -> Mapping[str, Any] | None:
        return next((row for row in self._rows(path, key, {name: value}, call) if row.get(name) == value), None)

    def _rows(self, path: str, key: str, params: dict[str, str | int], call: Call) -> Iterator[Mapping[str, Any]]:
        for rows in self._api.pages(path, key, params, call):
            yield from (row for row in rows if isinstance(row, Mapping))

    def _make(self, goods: ReturnedGoods, order: Shipment, call: Call) -> Accepted:
        expected = self._expected(goods, order, call)
        place = {"locationId": order.location_id} if order.location_id else {}
        if expected and place:
            receipt = {
                "extReceiptId": number_of(goods.order_refnum, goods.key),
                "returnId": expected,
                "extOrderId": order.ext_order_id,
                **place,
                "lineItems": [{"sku": line.sku, "quantity": line.quantity} for line in _named(goods)],
            }
            with self._receipts(call):
                self._post(RECEIPTS, "receipts", receipt, call)
            return Accepted()
        number = number_of(goods.order_refnum, goods.key)
        body = {"extReturnId": number, "extOrderId": order.ext_order_id, "status": RECEIVED, **place}
        self._post(RETURNS, "returns", {**body, "lineItems": _lines(goods)}, call)
        return Accepted()

    def _expected(self, goods: ReturnedGoods, order: Shipment, call: Call) -> str:
        """The id of the one return by somebody else that waits for these goods, or ""."""
        if not order.ext_order_id:
            return ""
        units = _units(goods)
        found = []
        for row in self._rows(RETURNS, "returns", {"extOrderId": order.ext_order_id}, call):
            is_open = row.get("status") in EXPECTED and row.get("extOrderId") == order.ext_order_id
            if is_open and isinstance(row.get("returnId"), str) and not units - _counted(row.get("lineItems")):
                found.append(row["returnId"])
        return found[0] if len(found) == 1 else ""

    def _post(self, path: str, key: str, body: Json, call: Call) -> None:
        results = self._api.write("POST", path, body, call).get(key)
        if isinstance(results, list) and any(has_failed(item) for item in results):
            raise Refused("ITEM_FAILED", f"pipe17 refused POST {path}")

    def _correct(self, known: Mapping[str, Any], goods: ReturnedGoods, call: Call) -> Accepted:
        """A return can be changed, a receipt cannot (contract 2.8)."""
        return_id = known.get("returnId")
        if "extReturnId" in known and isinstance(return_id, str):
            self._api.write("PUT", ONE_RETURN, {"lineItems": _lines(goods)}, call, ids={"id": return_id})
            return Accepted()
        message = "Pipe17 has a receipt for this return with other units, which cannot be changed"
        return Accepted((Event("warning", "CANNOT_CORRECT", message, about("order_refnum", goods.order_refnum)),))


def _named(goods: ReturnedGoods) -> Sequence[ReturnedLine]:
    return [line for line in goods.lines if line.sku and line.quantity > 0]


def _lines(goods: ReturnedGoods) -> list[Json]:
    lines = []
    for line in _named(goods):
        body: Json = {"uniqueId": line.line_refnum, "sku": line.sku, "quantity": line.quantity, "reason": line.reason}
        lines.append({name: value for name, value in body.items() if value})
    return lines


def _units(goods: ReturnedGoods) -> Counter[str]:
    units: Counter[str] = Counter()
    for line in _named(goods):
        units[line.sku] += line.quantity
    return units


def _counted(lines: Any) -> Counter[str]:
    """Units by SKU of a document's lines; a line that cannot be read counts as none."""
    units: Counter[str] = Counter()
    for line in lines if isinstance(lines, list) else ():
        if isinstance(line, Mapping) and isinstance(line.get("sku"), str):
            quantity = line.get("quantity")
            units[line["sku"]] += int(quantity) if isinstance(quantity, int | Decimal) else 0
    return units


def _holds(known: Mapping[str, Any], goods: ReturnedGoods) -> bool:
    return _counted(known.get("lineItems")) == _units(goods)
