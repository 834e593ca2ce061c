"""Owes again what a vendor refused, once the obstacle that was named is gone and never before (R13)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from app.domain.facts import Obstacle
from app.records import catalogue_sync, obstacles, stock_sync


def obstacles_gone(
    connection: Connection, channel: str, gateway: str, gone: Collection[Obstacle], now: datetime
) -> bool:
    """The facts that were refused for these are owed again.  False when there was none."""
    if not gone:
        return False
    skus = obstacles.behind(connection, "stock", channel, gateway, gone)
    keys = obstacles.behind(connection, "catalogue", channel, gateway, gone)
    are_any = [
        stock_sync.owe_refused(connection, channel, gateway, skus, now),
        catalogue_sync.owe_anew(connection, channel, gateway, keys),
    ]
    obstacles.remove(connection, channel, gateway, gone)
    return any(are_any)


def products_made(connection: Connection, channel: str, gateway: str, skus: Collection[str], now: datetime) -> bool:
    """The vendor has accepted the products of these SKUs: stock it refused for want of them is owed again."""
    lacking = obstacles.lacking_product(connection, channel, gateway, skus) if skus else []
    return stock_sync.owe_refused(connection, channel, gateway, lacking, now)
