"""The orders of a merchant for RetailOps: they are kept here, so that every question is answered from the records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection

from app.domain.commands import OrderChange, OrderChanged
from app.domain.orders import Candidate, Order, OrderSketch, SourceCancellations
from app.gateways.calls import Call
from app.gateways.capabilities import OrderKeeper, OrderSource
from app.gateways.vendors.rally.merchant import GATEWAY, Merchant
from app.storefront.kept_orders import KeptOrders
from app.storefront.order_source import OrderSource as ShopOrders


class RallyOrders(OrderSource, OrderKeeper):
    """One merchant's."""

    token = GATEWAY

    def __init__(self, merchant: Merchant) -> None:
        self._orders = ShopOrders(merchant)
        self._kept = KeptOrders(merchant)
        self.reserve_grace_s = merchant.options.reserve_grace_s

    def fetch_orders(self, since_ms: int | None, until_ms: int, call: Call) -> Iterator[list[Candidate]]:
        return self._orders.chunks(since_ms, until_ms)

    def fetch_named(self, refnums: Sequence[str], call: Call) -> list[Candidate]:
        return self._orders.named(refnums)

    def fetch_cancellations(self, since_ms: int | None, until_ms: int, call: Call) -> SourceCancellations:
        return self._orders.called_off(since_ms, until_ms)

    def find_order(self, refnum: str, call: Call) -> OrderSketch | None:
        return self._orders.sketch(refnum)

    def moved(self, connection: Connection, places: Mapping[str, int]) -> set[str]:
        return self._kept.moved(connection, places)

    def change_order(self, connection: Connection, change: OrderChange) -> OrderChanged:
        return self._kept.change_lines(connection, change)

    def reopen(self, connection: Connection, refnum: str) -> None:
        self._kept.reopen(connection, refnum)

    def forget_parcel(self, connection: Connection, refnum: str, key: str) -> None:
        self._kept.forget_parcel(connection, refnum, key)

    def as_it_stands(self, refnum: str, call: Call) -> Order | None:
        return self._orders.as_it_stands(refnum)
