"""Whether this process can serve: the database answers, its form fits this code, and it takes a write (P24)."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path
from typing import Final

from sqlalchemy import delete, insert, text

from app.domain.moments import to_ms
from app.records import private_files
from app.records.database import Database
from app.records.database_errors import DatabaseBusy, DatabaseConflict, DatabaseUnavailable
from app.records.tables.server import write_probes

PROBE_BYTES: Final = 16 * 1024
"""Several pages, as much as a command may need; random, so that no database can make it smaller."""

PROBED_S: Final = 5.0
"""How long a write that went well is believed."""

WAIT_S: Final = 0.5
"""How long SQLite's writer is waited for; one that is busy is well."""

READY_WAIT_S: Final = 3.0
"""How long a connection is waited for: platforms give up a check after 5 to 10 s."""

ANSWERED_S: Final = 30.0
"""How long a database that has answered counts as well while all connections are in use."""

LEFT_BEHIND_MS: Final = 24 * 3600 * 1000
"""After that a row is taken for one of a process that has ended."""

LEAST_FREE_BYTES: Final = 4 * 1024 * 1024
"""What has to be free on SQLite's disk: its log is written before its pages, and grows by what traffic writes."""


class Readiness:
    """Called by the platform every few seconds, at times by several threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._probed_at_s = float("-inf")
        self._mine: list[int] = []
        """The row that this process has in the table; it goes when the next one is written."""

    def why_not(self) -> str:
        """The reason in words; "" when this process is ready."""
        try:
            reason = self._database.form(READY_WAIT_S).reason
            if not reason:
                reason = self._why_no_write()
        except DatabaseBusy as error:
            is_well = time.monotonic() - self._database.served_at_s < ANSWERED_S
            return "" if is_well else f"the database cannot be used: {error}"
        except DatabaseUnavailable as error:
            return f"the database cannot be used: {error}"
        return reason

    def _why_no_write(self) -> str:
        with self._lock:
            if time.monotonic() - self._probed_at_s < PROBED_S:
                return ""
            if self._is_disk_full():
                return "the database cannot be written: the disk is nearly full"
            try:
                self._write()
            except (DatabaseBusy, DatabaseConflict):
                return ""
            except DatabaseUnavailable as error:
                return f"the database cannot be written: {error}"
            self._probed_at_s = time.monotonic()
        return ""

    def _is_disk_full(self) -> bool:
        path = self._database.url.database
        if not self._database.is_sqlite or not private_files.is_path(path):
            return False
        try:
            found = os.statvfs(Path(str(path)).parent)
        except OSError:
            return False  # the write reports what is wrong
        return found.f_bavail * found.f_frsize < LEAST_FREE_BYTES

    def _write(self) -> None:
        """The new row comes before the old one goes: pages have to be there for it.  Raises `DatabaseUnavailable`."""
        now_ms = to_ms(self._database.now())
        number = now_ms * 1000 + random.randrange(1000)
        content = os.urandom(PROBE_BYTES)
        # What a power cut forgets is no loss, so no disk is waited for.
        with self._database.write(wait_s=WAIT_S, is_durable=False) as connection:
            if not self._database.is_sqlite:
                connection.execute(text("set local synchronous_commit = off"))
            connection.execute(insert(write_probes), {"id": number, "content": content})
            left_behind = write_probes.c.id < (now_ms - LEFT_BEHIND_MS) * 1000
            connection.execute(delete(write_probes).where(write_probes.c.id.in_(self._mine) | left_behind))
        self._mine = [number]
