"""Background work of a gateway besides the sync: reports for observers, and the gateway's own regular work."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.deliveries.slots import Stream
from app.gateways.capabilities import Gateways
from app.records import purchase_reports
from app.records.database import Database, DatabaseUnavailable

LOOK_S = 1.0
"""How often it is looked for purchases whose moment to be reported has come."""

REST = 20
"""A look is followed by a rest this many times as long: it costs more the more orders wait for their moment."""

AGAIN_S = 1.0
"""After how long a gateway's own work that failed is tried again."""

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
    """Queues the reports that observers are due, and calls what a gateway does regularly.  Thread-safe."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process = process
        gateways = process.gateways.items()
        self._moments = {
            stream: gateway.observer.reports_at
            for stream, gateway in gateways
            if gateway.observer is not None and gateway.observer.reports_at
        }
        self._own_at_s = {stream: 0.0 for stream, gateway in gateways if gateway.background is not None}
        """When (monotonic) each gateway's own work is due."""
        self._reports_at_s = 0.0
        self._ripe: set[Stream] = set()
        """Those with reports to queue."""

    def due(self) -> set[Stream]:
        """Gateways whose own work is due, and those with reports to queue.  Raises `DatabaseUnavailable`."""
        now_s = time.monotonic()
        due = {stream for stream, at_s in self._own_at_s.items() if at_s <= now_s}
        return due | self._with_reports(now_s)

    def wait_s(self) -> float:
        """In how many seconds a gateway's own work will be due that is not; infinity where there is none."""
        now_s = time.monotonic()
        return min((at_s - now_s for at_s in self._own_at_s.values() if at_s > now_s), default=math.inf)

    def do(self, stream: Stream) -> bool:
        """Queue the reports of a gateway, and do its own work; True when a call is due now that was not before.

        Never raises.
        """
        is_any_queued = False
        try:
            if stream in self._ripe:
                is_any_queued = self._queue_reports(stream)
            if (own := self._process.gateways[stream].background) is not None:
                self._own_at_s[stream] = time.monotonic() + AGAIN_S
                self._own_at_s[stream] = time.monotonic() + own(self._process.is_stopping)
        except DatabaseUnavailable as error:
            log.warning("periodic_work for %s/%s wait for the database: %s", *stream, error)
        except Exception:
            log.exception("periodic_work for %s/%s failed", *stream)
        return is_any_queued

    def _with_reports(self, now_s: float) -> set[Stream]:
        """Those whose reports may be ripe, by one look for all of them."""
        if not self._moments or now_s < self._reports_at_s:
            return self._ripe
        with self._process.database.read() as connection:
            for moment in {*self._moments.values()}:
                ripe = purchase_reports.ripe_streams(connection, moment)
                self._ripe |= {stream for stream in ripe if self._moments.get(stream) == moment}
        ended_s = time.monotonic()
        self._reports_at_s = ended_s + max(LOOK_S, REST * (ended_s - now_s))
        return self._ripe

    def _queue_reports(self, stream: Stream) -> bool:
        """As many as one transaction takes; the next look finds what is left."""
        self._ripe.discard(stream)
        with self._process.database.write() as connection:
            is_any = purchase_reports.queue_ripe(connection, *stream, self._moments[stream], self._process.clock())
        self._reports_at_s = 0.0
        return is_any
