"""A return as RetailOps states it: which goods came back, what is to go back for them, and what makes it the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import msgspec

from app.channel.money import rounded
from app.contract.packages import StatedPackage, read_shipments
from app.contract.reading import OrderName, amount, entries, mapping, number, opaque, optional_amount, text, whole
from app.domain.commands import RefundLine
from app.domain.line_matching import as_bought, named_lines
from app.records.handed_out import KnownOrder

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
    shipped: list[StatedPackage]

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> ReturnRequest:
        """Order number, what came back, and what is to go back for it."""
        order, returned = mapping(body.get("order")), mapping(body.get("return"))
        items = list(map(mapping, entries(returned.get("items"))))
        return cls(
            OrderName.read(order),
            number(returned.get("retailops_return_id")),
            text(returned.get("refund_action")).casefold().replace("_", "").replace(" ", ""),
            amount(returned.get("refund_amt")),
            tuple(map(_line, items)),
            _stated(returned, items, "tax"),
            _stated(returned, items, "shipping"),
            read_shipments(order.get("shipments")),
        )

    def meaning(self, order: KnownOrder) -> object:
        """What makes two requests the same return: order, money and goods, however they are stated; no free text."""
        money = rounded(self.amount, "")
        return (order.refnum, self.action, str(money.normalize()), as_named(order, self.lines))

    def key(self, order: KnownOrder) -> str:
        """The return's number; one without is known by its contents."""
        return self.number or f"h-{hashlib.sha256(msgspec.json.encode(self.meaning(order))).hexdigest()[:24]}"


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
