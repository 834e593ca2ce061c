"""The database of one process: connections, write transactions, migrations.

SQLite: WAL, `synchronous=FULL`, and one writer per process at a time, because writers that queue inside
the process wait a tenth as long as writers that compete for the file (R8).  PostgreSQL: ordinary
transactions, serialised per order by an advisory lock where a caller asks for it.
"""

from __future__ import annotations

import fcntl
import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.errors import ChannelError, SettingsFault

MIGRATIONS = Path(__file__).parent / "migrations"

log = logging.getLogger(__name__)


class DatabaseUnavailable(ChannelError):
    """The database did not take or give what was asked; nothing was half-written."""


class Database:
    """All access to the records.  Threads share one instance; a forked process makes its own."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer = threading.Lock()
        self.engine = self._sqlite() if self.is_sqlite else self._postgresql()

    def _sqlite(self) -> Engine:
        if self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            self.url, hide_parameters=True, pool_size=8, max_overflow=56, connect_args={"timeout": 5.0}
        )

        @event.listens_for(engine, "connect")
        def _configure(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # the driver must not begin transactions by itself
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            is_write = connection.get_execution_options().get("is_write")
            connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")

        return engine

    def _postgresql(self) -> Engine:
        return create_engine(
            self.url,
            hide_parameters=True,
            pool_size=8,
            max_overflow=56,
            pool_timeout=5,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 3},
        )

    @contextmanager
    def write(self, *, wait_s: float = 5.0, serial: Iterable[str] = ()) -> Iterator[Connection]:
        """A write transaction, committed at the end of the block.

        `serial` names what must not be changed by two at once (PostgreSQL; SQLite has one writer anyway).
        Raises `DatabaseUnavailable` when it cannot begin within `wait_s` or the database fails.
        """
        if self.is_sqlite and not self._writer.acquire(timeout=max(wait_s, 0.0)):
            raise DatabaseUnavailable("another writer holds the database")
        try:
            with _as_unavailable(), self.engine.connect() as connection:
                connection = connection.execution_options(is_write=True)
                with connection.begin():
                    if not self.is_sqlite:
                        for name in sorted(set(serial)):  # one order of taking them, so that no two wait crosswise
                            connection.execute(
                                text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
                            )
                    yield connection
        finally:
            if self.is_sqlite:
                self._writer.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent read.  Raises `DatabaseUnavailable` when the database fails."""
        with _as_unavailable(), self.engine.connect() as connection, connection.begin():
            yield connection

    def is_ready(self) -> bool:
        """True when the database answers and its schema is the one this code was written for."""
        try:
            return self._revision() == self._script().get_current_head()
        except (DatabaseUnavailable, SQLAlchemyError):
            return False

    def pending(self) -> list[str]:
        """The migrations that have not run yet, oldest first.

        Raises `SettingsFault` for a database that a newer version of this server has migrated.
        """
        try:
            revisions = list(self._script().iterate_revisions("head", self._revision() or "base"))
        except CommandError as error:
            raise SettingsFault(["DATABASE_URL: the database was migrated by a newer version"]) from error
        return [item.revision for item in reversed(revisions)]

    def _revision(self) -> str | None:
        with self.read() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def _script(self) -> ScriptDirectory:
        return ScriptDirectory.from_config(self._alembic())

    def upgrade(self) -> list[str]:
        """Run the pending migrations and name them.  Two processes that start together run them once."""
        with self._migration_lock():
            pending = self.pending()
            if pending:
                with self.write() as connection:
                    config = self._alembic()
                    config.attributes["connection"] = connection
                    alembic.command.upgrade(config, "head")
        return pending

    def prepare(self) -> None:
        """Make the database usable at start (R27): SQLite migrates itself, PostgreSQL must be migrated.

        Raises `SettingsFault` when PostgreSQL lacks migrations.
        """
        if self.is_sqlite:
            self.upgrade()
        elif self.pending():
            raise SettingsFault(["DATABASE_URL: the database lacks migrations; run `channel db upgrade` first"])

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    def _alembic(self) -> alembic.config.Config:
        config = alembic.config.Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        return config

    @contextmanager
    def _migration_lock(self) -> Iterator[None]:
        if self.is_sqlite and self.url.database:
            with open(f"{self.url.database}.migrating", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            return
        with self.engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(727001)"))
            try:
                yield
            finally:
                connection.execute(text("select pg_advisory_unlock(727001)"))


@contextmanager
def _as_unavailable() -> Iterator[None]:
    """Trouble of the database becomes one error; a fault in our SQL stays a fault of ours."""
    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, Exception) and _is_our_fault(error):
            raise
        log.warning("database trouble: %s", type(error.orig).__name__)
        raise DatabaseUnavailable(type(error.orig).__name__) from error
    except SQLAlchemyError as error:
        if "TimeoutError" in type(error).__name__:
            raise DatabaseUnavailable("no free connection") from error
        raise


def _is_our_fault(error: DBAPIError) -> bool:
    kind = type(error).__name__
    if kind in ("IntegrityError", "ProgrammingError", "DataError", "NotSupportedError"):
        return True
    return kind == "OperationalError" and "no such" in str(error.orig)
