"""Ends what is past its date, in the idle time of whichever process delivers: no outside scheduler is needed (R28)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, and_, select, update

from app.records.database import Database
from app.records.retention import CLOCKS, Clock, Terms
from app.records.tables.server import periodic_work

BATCH = 500
"""Rows of one purging transaction."""

TURN_S = 0.1
"""How long a purge keeps its thread before the deliveries are looked at again."""

EVERY = timedelta(hours=1)
LEASE = timedelta(minutes=5)
"""A process that dies while it purges is followed by another after this."""

LOOK_EVERY = timedelta(minutes=1)
"""How often a process looks whether it is time."""

log = logging.getLogger(__name__)


class Purge:
    """Purges a little whenever it is called, when it is time and this process has the turn."""

    def __init__(
        self,
        database: Database,
        terms: Terms,
        clock: Callable[[], datetime],
        purging_at: Callable[[Connection, datetime], datetime] = lambda connection, now: now,
        clocks: Sequence[Clock] = CLOCKS,
    ) -> None:
        """`purging_at` says, of now, by which moment data is past its date (`heartbeat.purging_at`)."""
        self._clocks = clocks
        self._database = database
        self._purging_at = purging_at
        self._terms = terms
        self._clock = clock
        self._look_at = datetime.min.replace(tzinfo=UTC)
        self._due_at: datetime | None = None
        """What this process wrote into the row of this work; None while it has no turn."""
        self._position = 0
        self._purged = 0

    def turn(self) -> bool:
        """Purge for at most a moment; True when there is more.  Raises `DatabaseUnavailable`."""
        now = self._clock()
        is_early = now < self._look_at <= now + LOOK_EVERY
        if self._due_at is None and (is_early or not self._take_turn(now)):
            return False
        stop_at_s = time.monotonic() + TURN_S
        while self._position < len(self._clocks):
            if not self._purge_batch(self._clocks[self._position]):
                self._position += 1
            if self._due_at is None:
                return False
            if time.monotonic() >= stop_at_s:
                return True
        with self._database.write() as connection:
            self._move_on(connection, self._clock() + EVERY)
        if self._purged:
            log.info("retention: %s rows were past their date", self._purged)
        self._due_at = None
        return False

    def _take_turn(self, now: datetime) -> bool:
        self._look_at = now + LOOK_EVERY
        with self._database.read() as connection:
            due_at = connection.execute(
                select(periodic_work.c.due_at).where(periodic_work.c.name == "retention")
            ).scalar()
        if due_at is None or now < due_at <= now + EVERY + LEASE:  # further ahead only after a clock was set
            return False
        self._due_at, self._position, self._purged = due_at, 0, 0
        with self._database.write() as connection:
            return self._move_on(connection, now + LEASE)

    def _purge_batch(self, clock: Clock) -> bool:
        """True when a batch was purged, so that there may be another."""
        now = self._clock()
        with self._database.read() as connection:
            by = self._purging_at(connection, now)
            rows = connection.execute(clock.expired(by, self._terms).limit(BATCH)).all()
        if not rows:
            return False
        with self._database.write() as connection:
            if self._move_on(connection, now + LEASE):
                clock.purge(connection, rows, by, self._terms)
                self._purged += len(rows)
        return len(rows) == BATCH

    def _move_on(self, connection: Connection, due_at: datetime) -> bool:
        """Keep the turn, or learn that another process has taken it over."""
        kept = connection.execute(
            update(periodic_work)
            .where(and_(periodic_work.c.name == "retention", periodic_work.c.due_at == self._due_at))
            .values(due_at=due_at)
        )
        self._due_at = due_at if kept.rowcount == 1 else None
        return self._due_at is not None
