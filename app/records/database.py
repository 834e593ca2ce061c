"""The database of one process: its transactions, the clock that it shares, and its migrations."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from app import caller
from app.fair_turns import TurnTimeout
from app.records import compatibility, heartbeat, migrating, private_files
from app.records.compatibility import LACKS_MIGRATIONS, Form, UnfitDatabase
from app.records.connections import KeptConnections
from app.records.database_errors import (
    DatabaseBusy,
    DatabaseConflict,
    DatabaseRefused,
    DatabaseRejects,
    DatabaseUnavailable,
)
from app.records.engines import CONNECT_S, as_folder_fault, empty_log
from app.records.statements import compile_all
from app.records.transactions import Transactions, as_unavailable, patience_s

__all__ = [
    "Database",
    "DatabaseBusy",
    "DatabaseConflict",
    "DatabaseRefused",
    "DatabaseRejects",
    "DatabaseUnavailable",
    "UnfitDatabase",
]

LOG_WAIT_S = 1.0
"""How long it is tried to empty SQLite's log while others read or write."""

log = logging.getLogger(__name__)


class Database(Transactions):
    """All access to the records.  Threads share one instance; a forked process makes its own."""

    def beat(self) -> None:
        """Count the time that passed since the last beat (R36).  Raises `DatabaseUnavailable`."""
        with self.write(is_durable=False) as connection:
            booted_at = heartbeat.booted_at(connection) if self.is_sqlite else None
            if booted_at is not None:
                self.clock.set(booted_at)
            step = heartbeat.beat(connection, self.clock())
        if step is not None:
            log.warning("a step of %s s of the shared clock does not count as time", round(step.total_seconds()))

    def empty_log(self) -> bool:
        """See `engines.empty_log`; PostgreSQL cleans up by itself.

        Tried again for `LOG_WAIT_S`.  False, too, where the database cannot be used: what was to be erased is erased by
        then.
        """
        if not self.is_sqlite:
            return True
        give_up_at = time.monotonic() + LOG_WAIT_S
        with suppress(TurnTimeout, DatabaseUnavailable):
            while (left_s := give_up_at - time.monotonic()) > 0:
                self._begin_use()  # before the writer's turn, as for a write
                with self._writer.turn(caller.channel.get(), left_s), self._connection(left_s) as connection:
                    if empty_log(connection):
                        return True
                time.sleep(0.02)
        return False

    def is_ready(self) -> bool:
        """True when the database answers and this code can use it."""
        try:
            return not self.form().reason
        except (DatabaseUnavailable, SQLAlchemyError):
            return False

    def form(self, wait_s: float | None = None) -> Form:
        """What the database's migrations mean for this code; `wait_s`: as in `write`.  Raises `DatabaseUnavailable`."""
        with self._connection(wait_s) as connection, connection.begin():
            return compatibility.of(connection)

    def pending(self) -> list[str]:
        """The migrations that have not run yet, oldest first.

        Raises `UnfitDatabase` for a database that a newer version of this server has migrated to what this one
        cannot use.
        """
        form = self.form()
        if form.fault:
            raise UnfitDatabase(form.fault)
        return list(form.pending)

    def upgrade(self, to: str = "head") -> list[str]:
        """Run the pending migrations and name them.  Two processes that start together run them once.

        Raises as `pending`.
        """
        if not self.pending():
            return []
        if self.is_sqlite:
            with self.alone() as connection:
                return migrating.run(connection, to)
        with self.connected_apart() as connection:
            return migrating.run_beside_traffic(connection, to)

    def prepare(self) -> None:
        """Make the database usable at start (R27): SQLite migrates itself, PostgreSQL must be migrated.

        From then on each transaction sees whether it still is, and no callback waits for its statements to be made.
        Raises `UnfitDatabase` when PostgreSQL lacks
        migrations, or when a newer version has made of it what this one cannot use.
        """
        if self.pending():
            if not self.is_sqlite:
                raise UnfitDatabase(LACKS_MIGRATIONS)
            self.upgrade()
        self._usable_revision = self.form().revision
        compile_all(self.engine.dialect)

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A write transaction no other process migrates or registers channels beside; it may take long."""
        if self.is_sqlite:
            fcntl = private_files.posix_locks()
            with as_folder_fault():
                lock = private_files.open_lock(f"{self.url.database}.migrating")
            with lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                with self._written() as connection:
                    yield connection
            return
        with self.connected_apart() as connection, connection.begin():
            connection.execute(text("select pg_advisory_xact_lock(727001)"))
            yield connection

    @contextmanager
    def connected_apart(self, holder: str = "") -> Iterator[Connection]:
        """A connection to PostgreSQL that may be in use for long; the bound holds for it and the pool's together.

        `holder`: who keeps it for as long as the process runs, "" for nobody.  Raises `DatabaseUnavailable`.
        """
        engine = create_engine(
            self.url, poolclass=NullPool, hide_parameters=True, connect_args={"connect_timeout": CONNECT_S}
        )
        give_up_at = time.monotonic() + patience_s()
        try:
            with self._turns.turn(holder, patience_s(), is_lasting=bool(holder)), as_unavailable():
                cast(KeptConnections, self.engine.pool).close_idle()
                with self._connected(engine, give_up_at) as connection:
                    yield connection
        except TurnTimeout:
            raise DatabaseBusy("all connections that this process may have are in use") from None
