"""Background work of a gateway besides the sync: reports for observers, and the gateway's own regular work."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.gateways.capabilities import Gateways
from app.records import purchase_reports
from app.records.database import Database, DatabaseUnavailable

LOOK_S = 1.0
"""How often it is looked for purchases whose moment to be reported has come."""

REST = 20
"""A look is followed by a rest this many times as long: it costs more the more orders wait for their moment."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerProcess:
    """The process that delivers and syncs in the background, as its work sees it."""

    database: Database
    gateways: Gateways
    """By channel key and token, those of the channels that are served."""
    clock: Callable[[], datetime]
    is_stopping: Callable[[], bool]


class BackgroundWork:
    """Queues the reports that observers are due, and calls what a gateway does regularly."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process = process
        self._look_at_s: dict[tuple[str, str], float] = {}

    def do(self, channel: str, token: str) -> bool:
        """True when a call is due now that was not before.  Never raises."""
        gateway = self._process.gateways[(channel, token)]
        try:
            reports_at = gateway.observer.reports_at if gateway.observer is not None else ""
            is_due = bool(reports_at) and self._queue_reports(channel, token, reports_at)
            if gateway.background is not None:
                gateway.background(self._process.is_stopping)
            return is_due
        except DatabaseUnavailable as error:
            log.warning("periodic_work for %s/%s wait for the database: %s", channel, token, error)
        except Exception:
            log.exception("periodic_work for %s/%s failed", channel, token)
        return False

    def _queue_reports(self, channel: str, token: str, reports_at: str) -> bool:
        stream = (channel, token)
        if time.monotonic() < self._look_at_s.get(stream, 0.0):
            return False
        began_s = time.monotonic()
        with self._process.database.read() as connection:
            is_any = bool(purchase_reports.ripe(connection, *stream, reports_at))
        ended_s = time.monotonic()
        self._look_at_s[stream] = ended_s + max(LOOK_S, REST * (ended_s - began_s))
        if not is_any:
            return False
        with self._process.database.write() as connection:
            is_any = purchase_reports.queue_ripe(connection, *stream, reports_at, self._process.clock())
        self._look_at_s[stream] = 0.0
        return is_any
