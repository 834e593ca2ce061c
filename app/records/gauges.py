"""What `/metrics` alone reads of the records: how many orders are held back, and rates as they were learned."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from app.records.tables.gateways import rates
from app.records.tables.orders import held_back


def held_back_orders(connection: Connection) -> dict[str, int]:
    """How many orders are held back, by channel."""
    rows = connection.execute(select(held_back.c.channel, func.count()).group_by(held_back.c.channel))
    return {channel: count for channel, count in rows}


def learned_rates(connection: Connection) -> dict[str, tuple[float, float]]:
    """By digest of a vendor key: calls a second, and the setting with which they were learned."""
    rows = connection.execute(select(rates.c.name, rates.c.rate, rates.c.setting))
    return {name: (rate, setting) for name, rate, setting in rows}
