"""Schedules a full resync of a gateway's catalogue when its last sync no longer covers every field (R13).

So it is for a vendor that fetched a feed until now, for a catalogue that was there before this gateway, and after a
change of the settings that decide what is sent of a product.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.records import cataloguing
from app.records.database import Database
from app.records.feeds import BuildLost, FeedStore, Turn

PAGE: Final = 500
"""Products scheduled in one transaction."""

LOOK_S: Final = 5.0
"""How often is checked whether another process has finished it."""

log = logging.getLogger(__name__)


@dataclass(eq=False, repr=False)
class FullResync:
    """One channel's, in one process: once, for a change of settings comes with a start.

    `_form` says whatever besides the goods decides what is sent of them.  It begins with `_sent_to`, after a change of
    which nothing that was noted as sent holds any more.
    """

    _database: Database
    _channel: str
    _gateway: str
    _clock: Callable[[], datetime]
    _form: str
    _sent_to: str
    _is_done: bool = False

    def __post_init__(self) -> None:
        self._store = FeedStore(self._database, self._channel, self._gateway)

    def schedule_if_due(self, is_stopping: Callable[[], bool]) -> float:
        """Schedule every product unless that was done for these settings; in how many seconds to look again.

        Raises `DatabaseUnavailable`.
        """
        if not self._is_done:
            kept = self._store.form()
            if kept is None:
                self._store.mark(self._clock())
            self._is_done = kept == self._form or self._schedule(is_stopping)
        return math.inf if self._is_done else LOOK_S

    def _schedule(self, is_stopping: Callable[[], bool]) -> bool:
        """False when another process is at it, or this one about to end."""
        turn = self._store.take(self._clock())
        if turn is None:
            return False
        try:
            if turn.form != self._form and not self._schedule_all(turn, is_stopping):
                self._store.give_up(turn)
                return False
            self._store.keep_form(turn, self._form)
        except BuildLost:
            return False
        except BaseException:
            self._store.give_up(turn)
            raise
        return True

    def _schedule_all(self, turn: Turn, is_stopping: Callable[[], bool]) -> bool:
        forgets_notes = turn.form != "" and not turn.form.startswith(self._sent_to)
        after, is_all = "", False
        while not is_all:
            if is_stopping():
                return False
            with self._database.write() as connection:
                after = cataloguing.owe_page(
                    connection, self._channel, self._gateway, after, PAGE, forgets_notes=forgets_notes
                )
            self._store.keep(turn, self._clock())
            is_all = not after
        log.info("the catalogue of %s is sent again as a whole: what was sent does not say all", self._channel)
        return True
