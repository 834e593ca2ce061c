"""Has every process read from Pipe17 anew once a webhook has come (contract 2.9)."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from datetime import datetime

from app.domain.traffic import InboundRequest
from app.gateways.vendor import Tools
from app.gateways.vendors.pipe17.connection.api import TOKEN
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.records import polls
from app.records.database import DatabaseUnavailable

ADDRESS = "/pipe17/hooks/"

log = logging.getLogger(__name__)


class Hints:
    """One gateway's.  Where no webhook can come, nothing is looked for."""

    def __init__(self, options: Pipe17Options, tools: Tools, forget: Callable[[], None]) -> None:
        self._tools = tools
        self._database = tools.database if options.webhook_path_key else None
        self._place = (tools.channel, TOKEN)
        self._forget = forget
        self._path_key = options.webhook_path_key
        self._heeded: datetime | None = None

    def answers_to(self, path_key: str) -> bool:
        """Whether a webhook that ends in this key is meant for us; compared in constant time."""
        return hmac.compare_digest(self._path_key.encode(), path_key.encode()) and bool(self._path_key)

    def note(self, status: int, *, is_known: bool) -> None:
        """A webhook was answered; one whose key is not ours is kept without what it tried."""
        topic, path = ("webhook", "") if is_known else ("", ADDRESS)
        self._tools.observe_inbound(InboundRequest(topic, status, is_verified=is_known, path=path))

    def give(self) -> None:
        """Pipe17 has called.  Raises `DatabaseUnavailable`."""
        if self._database is None:
            return self._forget()
        now = self._tools.clock()
        with self._database.read() as connection:
            if polls.is_hint_coming(polls.hinted_at(connection, *self._place), now):
                return
        with self._database.write() as connection:
            polls.note_hint(connection, *self._place, now)

    def heed(self) -> None:
        """Before anything read earlier is used, where a webhook can come: one since then makes it out of date."""
        if self._database is None:
            return
        try:
            with self._database.read() as connection:
                hint = polls.hinted_at(connection, *self._place)
        except DatabaseUnavailable as error:
            log.info("channel %s: hints of %s cannot be read now (%s)", *self._place, error)
            return
        # A hint counts from its own time on, which may be a moment ahead.
        if hint is not None and hint != self._heeded and hint <= self._tools.clock():
            self._forget()
            self._heeded = hint
