"""One shop: its settings, where its records are, and whose checkout sells for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from app.domain.traffic import InboundRequest
from app.records.database import Database
from app.storefront.options import ShopOptions


@dataclass(frozen=True)
class Shop:
    """Everything a request of the checkout needs; no vendor is ever called from here."""

    source: ClassVar[str]
    """The token of the vendor whose checkout it is, under which stock, catalogue and orders are kept."""
    vendor: ClassVar[str]
    """That vendor's name, in sentences."""
    refnum_prefix: ClassVar[str]
    """What the numbers of its orders begin with."""

    channel: str
    options: ShopOptions = field(repr=False)
    database: Database = field(repr=False)
    clock: Callable[[], datetime] = field(repr=False)
    wake: Callable[[], None] = field(repr=False)
    observe_inbound: Callable[[InboundRequest], None] = field(default=lambda request: None, repr=False)

    def cart_date(self, now: datetime) -> datetime:
        """When a cart that changes now is forgotten (R28)."""
        return now + timedelta(days=self.options.cart_days)

    def order_date(self, now: datetime, *, is_over: bool) -> datetime:
        """When an order that changes now is forgotten; sooner or later by whether anything may still happen (R28)."""
        return now + timedelta(days=self.options.order_days if is_over else self.options.open_order_days)
