"""Gateways that an operator has paused, as every process knows them (R34)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select, update

from app.errors import PAUSED
from app.records.database import Database
from app.records.statements import upsert, visible
from app.records.tables.deliveries import IS_OPEN, deliveries
from app.records.tables.operations import pauses

KNOWN_WITHIN_S: Final = 1.0
"""How long after the act a process may still begin calls: so often each reads which gateways are paused."""


@dataclass(frozen=True)
class Pause:
    """A gateway that is paused; `channel` is the key of the records."""

    channel: str
    gateway: str
    at: datetime
    who: str
    reason: str


def pause(connection: Connection, paused: Pause) -> bool:
    """Pause a gateway.  False, and nothing written, where it is paused already."""
    row = {
        "channel": paused.channel, "gateway": paused.gateway, "at": paused.at, "who": paused.who,
        "reason": paused.reason,
    }  # fmt: skip
    return upsert(connection, pauses, row, returning=[pauses.c.channel]).first() is not None


def resume(connection: Connection, channel: str, gateway: str, now: datetime) -> bool:
    """End a pause, and let what waited for it be tried now.  False, and nothing written, where there is none."""
    is_it = (pauses.c.channel == channel) & (pauses.c.gateway == gateway)
    if connection.execute(delete(pauses).where(is_it)).rowcount == 0:
        return False
    waits = (deliveries.c.channel == channel) & (deliveries.c.gateway == gateway) & (deliveries.c.last_code == PAUSED)
    connection.execute(update(deliveries).where(IS_OPEN, waits, deliveries.c.next_try_at > now).values(next_try_at=now))
    return True


def all_of(connection: Connection, channels: Collection[str] | None = None) -> list[Pause]:
    """The paused gateways of these channels (None: all), the longest paused first."""
    rows = connection.execute(
        select(pauses).where(visible(pauses.c.channel, channels)).order_by(pauses.c.at, *pauses.primary_key)
    )
    return [Pause(row.channel, row.gateway, row.at, row.who, row.reason) for row in rows]


class Pauses:
    """Which gateways are paused, as this process read it last; it reads again every second."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.paused: set[tuple[str, str]] = set()
        """Every (key of a channel's records, gateway) that may be sent nothing; it changes as it is read."""

    def read(self) -> None:
        """Read which gateways are paused.  Raises `DatabaseUnavailable`; then what was known holds."""
        with self._database.read() as connection:
            found = {(item.channel, item.gateway) for item in all_of(connection)}
        self.paused |= found
        self.paused &= found
