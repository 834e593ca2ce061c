"""What a vendor holds of what it was sent, where it can be read, so that `reconcile` can compare it with ours.

A capability of its own: a gateway whose vendor can be read carries a `Holdings`, any other None.  Every method is a
read; it raises a `GatewayError` and may be called again then.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from app.domain.catalogue import ProductChange
from app.domain.comparisons import OrderThere, ProductDifference, StockCompared
from app.domain.stock import StockChange
from app.gateways.calls import Call

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list, and where the next begins; None after the last."""

    items: tuple[T, ...]
    next_at: int | None


class Holdings(ABC):
    """One vendor account's side of a comparison."""

    stock_batch: int = 100
    """How many SKUs one `compare_stock` may be given."""

    product_batch: int = 100
    """How many products one `compare_products` may be given."""

    order_batch: int = 100
    """How many orders one `orders` may be given."""

    @abstractmethod
    def why_not(self, what: str, call: Call) -> str:
        """Why `what` (stock, products or orders) cannot or need not be compared, a sentence; "" where it can."""

    @abstractmethod
    def compare_stock(self, changes: Sequence[StockChange], call: Call) -> StockCompared:
        """Where the vendor holds other figures than these."""

    @abstractmethod
    def stock_page(self, at: int, call: Call) -> Page[str]:
        """SKUs, as the vendor names them, that it holds units of at our places; `at` is 0 or a `next_at`."""

    @abstractmethod
    def compare_products(self, changes: Sequence[ProductChange], call: Call) -> tuple[ProductDifference, ...]:
        """Where the vendor holds these products otherwise."""

    @abstractmethod
    def open_orders(self, at: int, call: Call) -> Page[OrderThere]:
        """Our orders that the source still waits for; `at` is 0 or a `next_at`."""

    @abstractmethod
    def orders(self, refnums: Collection[str], call: Call) -> Mapping[str, OrderThere]:
        """These orders whatever their state; those the source does not know are left out."""
