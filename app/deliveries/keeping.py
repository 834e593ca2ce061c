"""Known outcomes that could not be recorded when they came: kept in memory until the database takes them (R8).

A vendor's answer is never thrown away because the database is away, locked or restarting in that moment, nor because a
fault of ours stops what follows from it.  Whoever could not record an outcome hands it over here with the function that
records it; one thread tries again, with pauses, until it succeeds or the process ends.  There are never more of them
than calls that were under way when the database went away, for a new call begins with a transaction (T1).

Meanwhile nobody may send such a call again although its lease ends:

* This process does not: its dispatcher leaves alone whatever is `known` here.
* Another process, to which the database may be reachable, takes the call over when the lease has ended and counts it
  as possibly done.  By the declaration of its verb (R11) it repeats what is harmless twice (`safe`), reads at the
  vendor whether it was done (`lookup`), or sends nothing and parks it for a person (`never`).  The acceptance recorded
  from here counts over all of that (`records.outcomes`), and what was parked is taken off the operator's list.
* After the death of this process the same rules find it out, for T1 has left the call leased to it.

Whatever is still unrecorded when the process ends is named in the log, so that a person can confirm it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from app.records.database import DatabaseUnavailable

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0

STOP_S: Final = 4.0
"""How long the end of the process waits for the database at most."""

FAULTS_BORNE: Final = 2
"""How often recording may fail by a fault of ours before only the outcome itself is recorded."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Kept:
    """Outcomes that wait to be recorded."""

    delivery_ids: frozenset[int]
    record: Callable[[], object]
    """Records them with all that follows; raises `DatabaseUnavailable`, having written nothing."""
    record_bare: Callable[[], object]
    """Records the outcomes alone, for a person to decide on what follows."""
    text: str
    """What the log says of them should the process end; no customer's data."""
    is_recorded: threading.Event = field(default_factory=threading.Event)
    result: Any = None
    """What `record` gave, once it succeeded."""
    faults: int = 0


class Keeper:
    """One process's; its thread begins with the first outcome that is kept, so that a fork brings none along."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._kept: list[Kept] = []
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._is_over = False

    def keep(
        self, delivery_ids: Collection[int], record: Callable[[], object], record_bare: Callable[[], object], text: str
    ) -> Kept:
        """Have outcomes recorded as soon as that is possible, after those that were kept before."""
        kept = Kept(frozenset(delivery_ids), record, record_bare, text)
        with self._changed:
            self._kept.append(kept)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="outcome-keeper", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return kept

    @property
    def known(self) -> frozenset[int]:
        """Ids of the deliveries whose outcome is known and not recorded yet."""
        with self._changed:
            return frozenset().union(*(kept.delivery_ids for kept in self._kept))

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Record what is left while there is time; name the rest in the log."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._kept, timeout_s)
            self._is_over = True
            for kept in self._kept:
                log.error("an outcome could not be recorded before the end: %s", kept.text)

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._is_over:
            with self._changed:
                self._changed.wait_for(lambda: self._kept or self._is_stopping)
                if not self._kept:
                    return
                kept = self._kept[0]
            if self._try(kept, is_first=pause_s == FIRST_PAUSE_S):
                pause_s = FIRST_PAUSE_S
                with self._changed:
                    self._kept.remove(kept)
                    self._changed.notify_all()
                kept.is_recorded.set()
            else:
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _try(self, kept: Kept, *, is_first: bool) -> bool:
        try:
            if kept.faults < FAULTS_BORNE:
                kept.result = kept.record()
            else:
                kept.record_bare()
        except DatabaseUnavailable as error:
            if is_first:
                log.warning("known outcomes wait for the database: %s", error)
            return False
        except Exception:
            kept.faults += 1
            log.exception("known outcomes could not be recorded: %s", kept.text)
            # One that not even a bare record can be made of must not hold up the others for ever.
            return kept.faults > 2 * FAULTS_BORNE
        return True


def persistent(work: Callable[[], object], is_stopping: Callable[[], bool], patience_s: float = STOP_S) -> bool:
    """Do `work`, which writes nothing when it raises, again until the database takes it.

    Once the process is stopping it is tried for `patience_s` longer; False when it could not be done by then.
    """
    pause_s, give_up_at = FIRST_PAUSE_S, None
    while True:
        with suppress(DatabaseUnavailable):
            work()
            return True
        if is_stopping():
            give_up_at = give_up_at or time.monotonic() + patience_s
            if time.monotonic() >= give_up_at:
                return False
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
