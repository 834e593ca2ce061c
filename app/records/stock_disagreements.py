"""Counts how often a channel's stock pushes contradict themselves, with an example for the operator."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection, Insert, select

from app.records.statements import Prepared, upserted
from app.records.tables.stock import stock_disagreements


class StockDisagreement(msgspec.Struct, frozen=True):
    """`quantity_available` and the sum of `quantity_detail` differ.

    `skus` counts those of the last such push, `pushes` all pushes that had any; `sku` is an example, with the
    total that was stated and the sum of its sources.
    """

    pushes: int
    skus: int
    last_at: datetime
    sku: str
    stated: int
    added_up: int


def _noted(dialect: str) -> Insert:
    pushes, newest = stock_disagreements.c.pushes + 1, ("skus", "last_at", "sku", "stated", "added_up")
    return upserted(
        dialect, stock_disagreements, lambda added: {"pushes": pushes, **{name: added[name] for name in newest}}
    )


_NOTE = Prepared(_noted)


def note(
    connection: Connection, channel: str, *, skus: int, sku: str, stated: int, added_up: int, now: datetime
) -> None:
    """One push of the channel had so many such SKUs."""
    newest = {"skus": skus, "last_at": now, "sku": sku, "stated": stated, "added_up": added_up}
    _NOTE.execute(connection, {"channel": channel, "pushes": 1, **newest})


def of_channel(connection: Connection, channel: str) -> StockDisagreement | None:
    """None when no push of the channel ever disagreed with itself."""
    row = connection.execute(select(stock_disagreements).where(stock_disagreements.c.channel == channel)).first()
    if row is None:
        return None
    return StockDisagreement(row.pushes, row.skus, row.last_at, row.sku, row.stated, row.added_up)
