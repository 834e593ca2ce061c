"""Figures of this moment for `/metrics` and for pages: orders that are held back, and rates as they were learned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from app.records.tables.gateways import rates
from app.records.tables.orders import held_back


def held_back_orders(connection: Connection) -> dict[str, int]:
    """How many orders are held back, by channel."""
    rows = connection.execute(select(held_back.c.channel, func.count()).group_by(held_back.c.channel))
    return {channel: count for channel, count in rows}


@dataclass(frozen=True)
class LearnedRate:
    """The rate of one vendor key as it was learned."""

    per_s: float
    """Calls a second."""
    setting: float
    """The setting with which they were learned; with another one they count no more."""
    throttled_at: datetime | None
    """When the vendor last said that it was too much."""


def learned_rates(connection: Connection) -> dict[str, LearnedRate]:
    """By digest of a vendor key."""
    rows = connection.execute(select(rates.c.name, rates.c.rate, rates.c.setting, rates.c.cut_at))
    return {
        name: LearnedRate(rate, setting, datetime.fromtimestamp(cut_at, UTC) if cut_at else None)
        for name, rate, setting, cut_at in rows
    }
