"""What is due for a gateway, in one statement, so that a syncer that finds nothing takes no write lock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, false, select

from app.records import polls
from app.records.catalogue_batches import CATALOGUE
from app.records.stock_batches import STOCK


@dataclass(frozen=True)
class Due:
    """What may be done now."""

    poll: bool
    catalogue: bool
    stock: bool


def due(connection: Connection, channel: str, gateway: str, now: datetime, *, poll_every_s: float = 0.0) -> Due:
    """`poll_every_s`: seconds between two polls, 0 where the gateway is never polled."""
    found = connection.execute(
        select(
            polls.is_due(channel, gateway, poll_every_s, now) if poll_every_s else false(),
            CATALOGUE.is_due(channel, gateway, now),
            STOCK.is_due(channel, gateway, now),
        )
    ).one()
    return Due(*map(bool, found))
