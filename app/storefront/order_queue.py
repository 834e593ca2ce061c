"""Takes orders that RetailOps has out of the queue that `order_pull` reads, so that it is as long as what waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, exists, or_, select, update

from app.records.database import Database
from app.records.statements import are_among
from app.records.tables.deliveries import IS_OPEN, deliveries
from app.records.tables.orders import handed_out
from app.records.tables.storefront import IS_QUEUED, orders

AFTER: Final = timedelta(minutes=10)
"""How long RetailOps has to have had an order: until then a pull that is under way may still count it."""

EVERY_S: Final = 300.0
"""Seconds between two looks at the queue."""

AT_ONCE: Final = 500
"""Orders taken out by one transaction."""


class OrderQueue:
    """One process's looks; several do no harm."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._look_at_s = 0.0

    def turn(self) -> bool:
        """Look when it is time; True when there is more to take out.  Raises `DatabaseUnavailable`."""
        if time.monotonic() < self._look_at_s:
            return False
        now = self._clock()
        with self._database.read() as connection:
            taken = _taken(connection, now - AFTER)
        if taken:
            with self._database.write() as connection:
                named = are_among(connection, (orders.c.channel, orders.c.refnum), taken)
                connection.execute(update(orders).where(named).values(taken_at=now))
        is_more = len(taken) == AT_ONCE
        self._look_at_s = time.monotonic() + (0.0 if is_more else EVERY_S)
        return is_more


def _taken(connection: Connection, before: datetime) -> list[tuple[str, str]]:
    """Orders in the queue that RetailOps has had since before then, or that have been over for it since.

    Not while a call of theirs is open: a vendor that refuses it may bring them back.
    """
    given, call = handed_out.c, deliveries.c
    is_had = exists().where(
        given.channel == orders.c.channel,
        given.refnum == orders.c.refnum,
        or_(given.acknowledged_at < before, and_(given.state != "open", orders.c.changed_at < before)),
    )
    lane = (call.channel == orders.c.channel, call.lane == orders.c.refnum)
    is_open = exists().where(*lane, IS_OPEN)
    rows = connection.execute(
        select(orders.c.channel, orders.c.refnum).where(IS_QUEUED, is_had, ~is_open).limit(AT_ONCE)
    )
    return [(row.channel, row.refnum) for row in rows]
