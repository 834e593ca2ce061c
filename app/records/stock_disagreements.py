"""Counts how often a channel's stock pushes contradict themselves, with an example for the operator."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, select

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


class Disagreement(NamedTuple):
    """How many SKUs of a push state a total that is not the sum of their sources, and the first of them."""

    skus: int
    sku: str
    stated: int
    added_up: int


_NOTE = """
    insert into stock_disagreements (channel, pushes, skus, last_at, sku, stated, added_up)
    values ({channel}, {pushes}, {disagreeing}, {now}, {example}, {stated}, {added_up})
    on conflict (channel) do update set pushes = stock_disagreements.pushes + excluded.pushes, skus = excluded.skus,
    last_at = excluded.last_at, sku = excluded.sku, stated = excluded.stated, added_up = excluded.added_up
"""
_NAMES = ("channel", "pushes", "disagreeing", "now", "example", "stated", "added_up")
NOTE: Final = {
    "sqlite": _NOTE.format(**{name: f":{name}" for name in _NAMES}),
    "postgresql": _NOTE.format(**{name: f"%({name})s" for name in _NAMES}),
}
"""Counts pushes with a disagreement, by the name of the dialect; takes what `of_pushes` gives."""


def of_pushes(channel: str, found: Sequence[Disagreement], now_ms: int) -> dict[str, Any]:
    """The parameters of `NOTE` for these, in the order of their pushes; at least one."""
    skus, example, stated, added_up = found[-1]
    values = {"pushes": len(found), "disagreeing": skus, "example": example, "stated": stated, "added_up": added_up}
    return {"channel": channel, "now": now_ms, **values}


def of_channel(connection: Connection, channel: str) -> StockDisagreement | None:
    """None when no push of the channel ever disagreed with itself."""
    row = connection.execute(select(stock_disagreements).where(stock_disagreements.c.channel == channel)).first()
    if row is None:
        return None
    return StockDisagreement(row.pushes, row.skus, row.last_at, row.sku, row.stated, row.added_up)
