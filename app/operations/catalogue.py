"""The catalogue by SKU: what RetailOps stated of a product, and how far each vendor has received it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.catalogue import Product
from app.operations.paging import PAGE, SEARCHED, Page, cursor, place
from app.operations.scope import Scope
from app.records import sku_products
from app.records.database import Database
from app.records.sku_products import ProductAtGateway, ProductRow

__all__ = ["Product", "ProductAtGateway", "ProductOfSku", "ProductRow", "find", "one"]


@dataclass(frozen=True)
class ProductOfSku:
    """The product a SKU belongs to, on one channel."""

    channel: str
    """Key of the records."""
    sku: str
    product: Product
    changed_at: datetime
    """When what RetailOps stated of it last changed."""
    vendors: tuple[ProductAtGateway, ...]


def find(database: Database, scope: Scope, start: str = "", *, channel: str = "", after: str = "") -> Page[ProductRow]:
    """Records whose SKU begins so, without regard to case, in the order they were first stated.

    Raises `DatabaseUnavailable`.
    """
    before = place(after, 1)
    with database.read() as connection:
        rows, last = sku_products.page(
            connection, start, channels=scope.keys, channel=channel, after=before[0] if before else 0, limit=PAGE,
            searched=SEARCHED,
        )  # fmt: skip
    return Page(tuple(rows), "" if last is None else cursor(last))


def one(database: Database, scope: Scope, channel: str, sku: str) -> ProductOfSku | None:
    """The product of a SKU; None where the catalogue has none, or outside the scope.  Raises `DatabaseUnavailable`."""
    if not scope.sees(channel):
        return None
    with database.read() as connection:
        found = sku_products.of_sku(connection, channel, sku)
    if found is None:
        return None
    return ProductOfSku(channel, sku, found.product, found.changed_at, found.gateways)
