"""Stock and catalogue as Example Shop takes them: lists whose rows are taken or refused one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from app.domain.catalogue import Item, ProductChange, ProductSent, Refusal
from app.domain.stock import StockChange, StockSent
from app.gateways.calls import Call
from app.gateways.capabilities import CatalogueSink, StockSink
from app.gateways.vendors.example_shop.api import Api
from app.gateways.wire_objects import Figure, Id, Json, Text, wire, write

STOCK: Final = "/stock"
PRODUCTS: Final = "/products"

NOTHING_NOTED: Final = b"{}"
"""Every row is sent whole, so nothing has to be remembered of what was sent before."""


@dataclass(frozen=True)
class StockRow:
    """Units of a SKU that may be sold."""

    sku: str = wire(Id("sku"))
    quantity: int = wire(Figure("quantity"))


@dataclass(frozen=True)
class ProductRow:
    """A SKU as shoppers see it."""

    sku: str = wire(Id("sku"))
    title: str = wire(Text("title"))
    price: Decimal | None = wire(Figure("price"))
    currency: str = wire(Text("currency"))
    description: str = wire(Text("description"))


class Stock(StockSink):
    """The stock of one account; a figure below 0 is sent as 0 (R6)."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def push(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        rows = [write(StockRow(item.sku, max(0, item.level.quantity_available))) for item in changes]
        errors = self._api.write_each(STOCK, rows, call)
        return [
            StockSent(item.sku, NOTHING_NOTED, f"Example Shop refused its stock ({error})" if error else "")
            for item, error in zip(changes, errors, strict=True)
        ]


class Products(CatalogueSink):
    """The catalogue of one account: what can be sold of each product."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def push(self, changes: Sequence[ProductChange], call: Call) -> list[ProductSent]:
        """A product that is gone stays at the shop with its last stock, which RetailOps states as 0."""
        units = [(item.key, unit) for item in changes if item.product for unit in item.product.units if unit.sku]
        errors = self._api.write_each(PRODUCTS, [_row(unit) for _, unit in units], call) if units else []
        refusals: dict[str, list[Refusal]] = {}
        for (key, unit), error in zip(units, errors, strict=True):
            if error:
                reason = f"Example Shop refused it ({error})"
                refusals.setdefault(key, []).append(Refusal(reason, unit.sku, unit.product_id))
        return [ProductSent(item.key, NOTHING_NOTED, tuple(refusals.get(item.key, ()))) for item in changes]


def _row(unit: Item) -> Json:
    price = unit.price if unit.sale_price is None else unit.sale_price
    return write(ProductRow(unit.sku, unit.title or "", price, unit.currency or "", unit.description or ""))
