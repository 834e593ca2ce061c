"""The stock of a SKU: what RetailOps stated, what orders hold of it, and what each vendor has received of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.domain.facts import Obstacle
from app.domain.stock import StockDetail, StockLevel
from app.gateways.capabilities import Gateway, Gateways
from app.operations.paging import PAGE, SEARCHED, Page, UnknownPlace
from app.operations.scope import Scope
from app.records import sku_stock
from app.records.database import Database
from app.records.sku_stock import SkuRow
from app.storefront import reservations
from app.storefront.reservations import HeldUnits

__all__ = ["HeldUnits", "SkuRow", "StockAtVendor", "StockDetail", "StockLevel", "StockOfSku", "find", "one"]


@dataclass(frozen=True)
class StockAtVendor:
    """How far one gateway has received the stock of a SKU."""

    gateway: str
    level: StockLevel
    """As RetailOps stated it last."""
    stated_at: datetime
    is_owed: bool
    """True while the vendor has not received the last statement."""
    is_changed: bool
    """True while the level differs from what the vendor was last sent."""
    is_uncertain: bool
    """True while the vendor may have another figure than it was last sent."""
    sent: Mapping[str, str]
    """What the vendor was last sent, in words, by place ("" where it has one figure); {} where nothing is known."""
    sent_at: datetime | None
    """When the vendor last answered for the SKU."""
    refusal: str
    """Why it was refused the last time, "skipped" where it need not be sent, "" where it was accepted."""
    obstacles: tuple[Obstacle, ...]
    """What has to be gone at the vendor before it is sent again by itself."""
    moved_at: datetime | None
    """When a shipment or an order last moved the figure since it was stated."""
    again_at: datetime | None
    """When it is sent again by itself."""
    attention: str
    """A sentence for the operator."""


@dataclass(frozen=True)
class StockOfSku:
    """The stock of one SKU on one channel."""

    channel: str
    """Key of the records."""
    sku: str
    vendors: tuple[StockAtVendor, ...]
    held: tuple[HeldUnits, ...]
    """Units of orders that RetailOps' figure does not count yet (R25)."""

    @property
    def held_units(self) -> int:
        """Units that orders hold."""
        return sum(item.units for item in self.held)


def _in_words(gateway: Gateway | None, sent: bytes | None) -> Mapping[str, str]:
    if gateway is None or gateway.stock is None or sent is None:
        return {}
    return gateway.stock.in_words(sent)


def find(database: Database, scope: Scope, start: str = "", *, channel: str = "", after: str = "") -> Page[SkuRow]:
    """SKUs that begin so, without regard to case, by channel and SKU.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        rows, last = sku_stock.skus(
            connection, start, channels=scope.keys, channel=channel, after=_place(after), limit=PAGE, searched=SEARCHED
        )
    return Page(tuple(rows), "" if last is None else f"{last.channel}/{last.sku}")


def _place(after: str) -> tuple[str, str] | None:
    channel, slash, sku = after.partition("/")
    if after and not slash:
        raise UnknownPlace
    return (channel, sku) if slash else None


def one(
    database: Database, scope: Scope, channel: str, sku: str, *, gateways: Gateways | None = None
) -> StockOfSku | None:
    """The stock of a SKU; None where RetailOps never stated it, or outside the scope.

    `gateways` put into words what was sent; without them that is left out.  Raises `DatabaseUnavailable`.
    """
    if not scope.sees(channel):
        return None
    with database.read() as connection:
        rows = sku_stock.of_sku(connection, channel, sku)
        held = reservations.of_sku(connection, channel, sku)
    if not rows and not held:
        return None
    known = gateways or {}
    vendors = tuple(
        StockAtVendor(
            row.gateway, row.level, row.stated_at, row.is_owed, row.is_changed, row.is_uncertain,
            _in_words(known.get((channel, row.gateway)), row.sent), row.sent_at, row.refusal, row.obstacles,
            row.moved_at, row.again_at, row.attention,
        )
        for row in rows
    )  # fmt: skip
    return StockOfSku(channel, sku, vendors, tuple(held))
