"""Checks of all connections on request: a page requests one, a delivering process runs it, the page shows how far.

No page calls a vendor: only the process that delivers does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from app.domain.findings import Finding
from app.operations.health_checks.report import Checks, Report, part_of
from app.operations.scope import Scope
from app.records import check_requests
from app.records.check_requests import AT_MOST_EVERY, CheckRow
from app.records.database import Database, DatabaseUnavailable

__all__ = ["AT_MOST_EVERY", "CheckRequest", "CheckRunner", "latest", "request"]

LOCK = "check_requests"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckRequest:
    """A check that somebody requested."""

    id: int
    at: datetime
    who: str
    begun_at: datetime | None
    """None until a delivering process has taken it."""
    ended_at: datetime | None
    """None until it is finished."""
    done: int
    """Gateways that have answered, of `total` (0 until the first has)."""
    total: int
    report: Report | None
    """What it found, as far as the reader may see it; None until it is finished."""


def request(database: Database, who: str) -> bool:
    """Request a check.  False, and nothing written, where one was requested within `AT_MOST_EVERY`, by whomever.

    Raises `DatabaseUnavailable`.
    """
    now = database.now()
    with database.write(serial=[LOCK]) as connection:
        return check_requests.request(connection, who[:60], now) is not None


def latest(database: Database, scope: Scope, *, is_finished: bool = False) -> CheckRequest | None:
    """The newest request, or the newest finished one; None where there is none.  Raises `DatabaseUnavailable`."""
    with database.read() as connection:
        row = check_requests.latest(connection, is_finished=is_finished)
    return None if row is None else _shown(row, scope)


def _shown(row: CheckRow, scope: Scope) -> CheckRequest:
    report = None
    if row.report is not None:
        with suppress(msgspec.DecodeError):  # one that another version wrote
            report = msgspec.json.decode(row.report, type=Report)
    if scope.keys is not None:  # this reader sees neither how many gateways others have nor who requested it
        report = part_of(report, {scope.name(key) for key in scope.keys}) if report is not None else None
        return CheckRequest(row.id, row.at, "", row.begun_at, row.ended_at, 0, 0, report)
    return CheckRequest(row.id, row.at, row.who, row.begun_at, row.ended_at, row.done, row.total, report)


class CheckRunner:
    """Runs requested checks in a process that delivers; `turn` is called in its idle time and returns at once."""

    def __init__(self, database: Database, checks: Checks, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._checks = checks
        self._clock = clock
        self._running: threading.Thread | None = None

    def turn(self) -> None:
        """Begin the check that was requested, if any, in a thread of its own.  Raises `DatabaseUnavailable`."""
        if self._running is not None and self._running.is_alive():
            return
        with self._database.read() as connection:
            if not check_requests.is_any_open(connection, self._clock()):
                return
        with self._database.write() as connection:
            taken = check_requests.take(connection, self._clock())
        if taken is not None:
            self._running = threading.Thread(target=self._run, args=(taken,), name="check", daemon=True)
            self._running.start()

    def _run(self, request_id: int) -> None:
        try:

            def note(done: int, total: int) -> None:
                with self._database.write(is_durable=False) as connection:
                    check_requests.note_progress(connection, request_id, done, total)

            channels = self._checks.configured.channels
            note(0, sum(len(channel.gateways) for channel in channels))
            answers = Finding("database", "ok", "it answers")
            report = replace(self._checks, on_answer=note).report(channels, answers)
            with self._database.write() as connection:
                check_requests.finish(connection, request_id, msgspec.json.encode(report), self._clock())
        except DatabaseUnavailable as error:
            log.warning("a requested check waits for the database: %s", error)
        except Exception:
            log.exception("a requested check failed")
