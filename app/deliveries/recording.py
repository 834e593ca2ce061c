"""Records the outcomes of the dispatcher's calls; a known one stays here until the database has it (R8)."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection

from app.deliveries import transitions
from app.deliveries.keeping import persistent
from app.deliveries.slots import Claimed
from app.records import claims, outbox
from app.records.database import Database, DatabaseUnavailable
from app.records.deliveries import OPEN_STATES, Delivery, Settled
from app.records.outcomes import Outcome, record_outcomes

Apply = Callable[[Connection, Delivery, Settled, datetime], None]

Ended = tuple[Claimed, Settled | None]
"""A call that has ended, and what came of it; None for one that was not tried."""

log = logging.getLogger(__name__)


class Recorder:
    """One process's.  Any thread may `put`; all else is the dispatcher's thread's."""

    def __init__(self, database: Database, apply: Apply, done_after_all: Apply, clock: Callable[[], datetime]) -> None:
        """`apply` writes what follows from an outcome, `done_after_all` what follows from one that came too late."""
        self._database = database
        self._apply = apply
        self._done_after_all = done_after_all
        self._clock = clock
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._unrecorded: list[Ended] = []

    def put(self, call: Claimed, settled: Settled | None) -> None:
        """The call has ended; None: it was not tried."""
        self._ended.put((call, settled))

    def has_any(self) -> bool:
        """True when something is to be recorded."""
        self._drain()
        return bool(self._unrecorded)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that begins with recording what came of the calls since the last one."""
        self._drain()
        # The orders whose records the outcomes may change are kept apart.
        with self._database.write(serial=map(_order_of, self._unrecorded)) as connection:
            self._record(connection, self._unrecorded)
            yield connection
        self._unrecorded.clear()

    def record_apart(self) -> None:
        """Record each by itself, so that a fault of ours in what follows from one holds up no other.

        Of that one the outcome alone is recorded, for a person to decide.  What the database does not take now stays.
        """
        try:
            self._record_apart()
        except DatabaseUnavailable as error:
            log.warning("known outcomes wait for the database: %s", error)

    def record_last(self, is_ending: Callable[[], bool]) -> None:
        """The same when no call follows: the database may still come back, also shortly after `is_ending`."""
        if not persistent(self._record_apart, is_ending):
            for call, settled in self._unrecorded:
                if settled is not None:
                    what = f"delivery {call.delivery.id} ({call.delivery.verb}) is {settled.state}"
                    log.error("an outcome could not be recorded before the end: %s", what)

    def _drain(self) -> None:
        while True:
            try:
                self._unrecorded.append(self._ended.get_nowait())
            except queue.Empty:
                return

    def _record_apart(self) -> None:
        self._drain()
        while self._unrecorded:
            ended = self._unrecorded[0]
            try:
                with self._database.write(serial=[_order_of(ended)]) as connection:
                    self._record(connection, [ended])
            except DatabaseUnavailable:
                raise
            except Exception:
                log.exception("what follows from delivery %s cannot be booked", ended[0].delivery.id)
                self._record_bare(*ended)
            del self._unrecorded[0]

    def _record_bare(self, call: Claimed, settled: Settled | None) -> None:
        """Raises `DatabaseUnavailable`; not even a second fault of ours may hold up the others for ever."""
        if settled is not None and settled.state not in OPEN_STATES:
            settled = transitions.not_booked(call.delivery, settled, self._clock())
        try:
            with self._database.write() as connection:
                self._record(connection, [(call, settled)], is_bare=True)
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("the outcome of delivery %s cannot be recorded", call.delivery.id)

    def _record(self, connection: Connection, ended: Sequence[Ended], *, is_bare: bool = False) -> None:
        now = self._clock()
        outcomes = [Outcome(call.delivery, call.token, settled) for call, settled in ended if settled]
        recorded = record_outcomes(connection, outcomes, now)
        for outcome in recorded.applied if not is_bare else ():
            self._apply(connection, outcome.delivery, outcome.settled, now)
        for outcome in recorded.after_all:
            self._done_after_all(connection, outcome.delivery, outcome.settled, now)
        refused = [item.delivery.command_id for item in recorded.applied if item.settled.state == "refused"]
        outbox.release_unbound(connection, refused)
        for call, settled in ended:
            if settled is None:
                claims.give_back(connection, [call.delivery.id], token=call.token, next_try_at=now)


def _order_of(ended: Ended) -> str:
    return f"{ended[0].delivery.channel}/{ended[0].delivery.lane}"
