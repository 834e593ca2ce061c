"""Which circuit breakers each process has open, so that every process can say it of all."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select, tuple_

from app.records.statements import upsert
from app.records.tables.metrics import open_breakers

Place = tuple[str, str]
"""(key of a channel's records, gateway)."""

HALF_OPEN = timedelta(seconds=30)
"""How long a breaker that lets a probe through still counts as open without another word of its process."""

GONE_AFTER = timedelta(days=1)
"""When a row of a process that was killed is deleted."""


class OwnBreakers:
    """The open breakers of this process; `seen` says until when each refuses calls (monotonic seconds)."""

    def __init__(self, seen: Callable[[], Mapping[Place, float]]) -> None:
        self._seen = seen
        self._process = uuid.uuid4().hex
        self._written: Mapping[Place, float] = {}

    def changed(self) -> Mapping[Place, float] | None:
        """What is open now, where that is not what was written; None where nothing has to be written."""
        now = self._seen()
        return None if now == self._written else now

    def write(self, connection: Connection, opened: Mapping[Place, float], now: datetime) -> None:
        """Write what `changed` gave; `now` by the shared clock."""
        table = open_breakers
        if closed := sorted(self._written.keys() - opened.keys()):
            ended = tuple_(table.c.channel, table.c.gateway).in_(closed)
            connection.execute(delete(table).where(ended, table.c.process == self._process))
        connection.execute(delete(table).where(table.c.until < now - GONE_AFTER))
        rows = [
            {
                "channel": channel,
                "gateway": gateway,
                "process": self._process,
                "until": now + timedelta(seconds=max(until - time.monotonic(), 0.0)) + HALF_OPEN,
            }
            for (channel, gateway), until in sorted(opened.items())
        ]
        if rows:
            upsert(connection, table, rows, lambda added: {"until": added["until"]})

    def written(self, opened: Mapping[Place, float]) -> None:
        """The transaction of `write` is committed."""
        self._written = dict(opened)


def processes(connection: Connection, places: Collection[Place], now: datetime) -> dict[Place, int]:
    """How many processes have the breaker of each place open."""
    table = open_breakers
    rows = connection.execute(
        select(table.c.channel, table.c.gateway, func.count())
        .where(table.c.until > now)
        .group_by(table.c.channel, table.c.gateway)
    )
    counts: dict[Place, int] = {(channel, gateway): count for channel, gateway, count in rows}
    return {place: counts.get(place, 0) for place in places}
