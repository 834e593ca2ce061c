"""Time that was seen passing, and the shared clock of processes on SQLite (R36).

A running process writes one row now and then.  A step between two writings counts if it is at most an hour: one that
is longer, or goes back, means that a clock was set or that nothing ran, and windows that protect money or data do not
run out by it.  `app.clock` says which clock decides what.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, ScalarSelect, func, insert, select, update

from app.clock import boot_id, boot_s, started_at
from app.errors import ChannelError
from app.records.leases import end_leases, wake_after_step_back
from app.records.tables.server import heartbeat, unseen_steps

BEAT_S: Final = 30.0
"""How often the row is written, whoever does it."""

LONGEST_STEP: Final = timedelta(hours=1)

STOPPED_AFTER: Final = timedelta(minutes=5)
"""Without a beat for so long no process of the server runs; on SQLite the shared clock is then read anew."""

REMEMBERED: Final = timedelta(days=400)
"""How long a step holds purges back: longer than what is purged by date is kept as a rule."""

_BACK: Final = timedelta(seconds=-1)
"""Less than this is no step, but two processes whose readings differ."""

_ROW = heartbeat.c

log = logging.getLogger(__name__)


class Heartbeat:
    """The thread of a server process that counts the time while it runs; `beat` is `Database.beat`.

    After each beat it does what is to be done `besides`, however busy all others are.
    """

    def __init__(self, beat: Callable[[], None], besides: Callable[[], object] = lambda: None) -> None:
        self._beat = beat
        self._besides = besides
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Write nothing more."""
        self._stopping.set()

    def _run(self) -> None:
        while True:
            try:
                self._beat()
                self._besides()
            except ChannelError as error:
                log.info("the time that passes is not counted while the database is away: %s", error)
            except Exception:
                log.exception("the heartbeat failed")
            if self._stopping.wait(BEAT_S):
                return


def seen() -> ScalarSelect[datetime]:
    """The time that was seen passing up to the last beat, to be written or read by another statement."""
    return select(_ROW.seen).scalar_subquery()


def seen_at(connection: Connection, now: datetime) -> datetime:
    """The time that was seen passing up to now."""
    row = _row(connection)
    seen_until: datetime = row.seen
    step = now - row.at
    return seen_until + step if _counts(step) else seen_until


def purging_at(connection: Connection, now: datetime) -> datetime:
    """The moment by which data is past its date: now, less the steps that nobody saw passing."""
    row = _row(connection)
    step = now - row.at
    remembered = unseen_steps.c.seen > row.seen - REMEMBERED
    unseen = connection.execute(select(func.sum(unseen_steps.c.step_ms)).where(remembered)).scalar()
    ahead = timedelta(milliseconds=int(unseen or 0)) + (timedelta() if _counts(step) else step)
    return now - max(ahead, timedelta())


def _row(connection: Connection) -> Row[Any]:
    return connection.execute(select(heartbeat)).one()


def _counts(step: timedelta) -> bool:
    return timedelta() <= step <= LONGEST_STEP


def beat(connection: Connection, now: datetime) -> timedelta | None:
    """Count the time since the last beat, in a write transaction; returns a step that does not count.

    A step back also ends what would wait for the time to come again: leases and pauses.
    """
    row = connection.execute(select(heartbeat).with_for_update()).one()
    step: timedelta = now - row.at
    if _BACK <= step < timedelta(seconds=BEAT_S / 2):
        return None
    counted = _counts(step)
    values = {"at": now, "seen": row.seen + step if counted else row.seen}
    connection.execute(update(heartbeat).values(**values))
    if counted:
        return None
    connection.execute(insert(unseen_steps), {"seen": row.seen, "step_ms": int(step.total_seconds() * 1000)})
    if step < _BACK:
        wake_after_step_back(connection, now, step)
    return step


# The shared clock on SQLite


def booted_at(connection: Connection) -> datetime | None:
    """When this machine was started, by the shared clock; None where a clock has to be begun (`begin`)."""
    row = _row(connection)
    started: datetime | None = row.booted_at
    if started is None or row.boot_id != boot_id():
        return None
    now = started + timedelta(seconds=boot_s())
    return started if now - row.at < STOPPED_AFTER else None


def begin(connection: Connection) -> datetime:
    """Read the wall clock, in a write transaction, for all processes until the machine or all of them were stopped.

    Another start of the machine: whoever had a lease is gone.  Returns when this machine was started by it.
    """
    known = booted_at(connection)
    if known is not None:
        return known
    started = started_at()
    now = started + timedelta(seconds=boot_s())
    if _row(connection).boot_id not in ("", boot_id()):
        end_leases(connection, now)
    connection.execute(update(heartbeat).values(boot_id=boot_id(), booted_at=started))
    beat(connection, now)  # else the next process would begin another one
    return started
