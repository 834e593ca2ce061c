"""The database of one process: connections, write transactions, migrations.

SQLite: WAL, `synchronous=FULL`, and one writer per process at a time, because writers that queue inside
the process wait a tenth as long as writers that compete for the file (R8).  PostgreSQL: ordinary
transactions, serialised per order by advisory locks where a caller asks for it; taken first and in one
order, they also keep two transactions from waiting for each other's rows.

No transaction lasts: locks, statements and connections that do not come are given up in seconds, so
that a callback still has its answer (503) in time.
"""

from __future__ import annotations

import fcntl
import functools
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import alembic.command
import alembic.config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError

from app.clock import SharedClock, boot_s
from app.errors import ChannelError, SettingsFault
from app.records import heartbeat
from app.records.patience import Watch

MIGRATIONS = Path(__file__).parent / "migrations"

LOCK_S = 4
"""How long PostgreSQL lets a transaction wait for a row, an order or a table."""

STATEMENT_S = 6
"""How long PostgreSQL works on one statement."""

TRANSACTION_S = 7.0
"""How long a connection may be in use before it is cut off; a server that hangs enforces no limit of its own."""

CONNECT_S = 2
"""How long a new connection may take.  Who finds a server hanging waits for both, and RetailOps for 12 s at most."""

CONNECTIONS = 12
"""Connections of one process to PostgreSQL at most; platforms allow as few as 20 in all."""

log = logging.getLogger(__name__)

_watch = Watch()

T = TypeVar("T")


class DatabaseUnavailable(ChannelError):
    """The database did not take or give what was asked; nothing was half-written."""


class DatabaseConflict(DatabaseUnavailable):
    """Two transactions met; nothing was written, and the same again succeeds as a rule."""


class DatabaseRefused(ChannelError):
    """The database cannot keep a value of this transaction, however often it is sent; nothing was written."""


class Database:
    """All access to the records.  Threads share one instance; a forked process makes its own."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.clock = SharedClock()
        self._writer = threading.Lock()
        self._is_closed = False
        self._demand: Callable[[], None] | None = None
        self._demanding = threading.RLock()
        self._is_demanding = False
        self._head = _migrations().get_current_head()
        self.engine = self._sqlite() if self.is_sqlite else self._postgresql()
        event.listen(self.engine, "handle_error", _refuse_what_no_driver_takes)

    def _sqlite(self) -> Engine:
        if self.url.database:
            with _as_folder_fault():
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
            options = connection.get_execution_options()
            if not options.get("is_write"):
                connection.exec_driver_sql("BEGIN")
                return
            connection.exec_driver_sql(f"PRAGMA busy_timeout={options['busy_ms']}")
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options['is_durable'] else 'NORMAL'}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        return engine

    def _postgresql(self) -> Engine:
        limits = {
            "statement_timeout": STATEMENT_S * 1000,
            "lock_timeout": LOCK_S * 1000,
            "idle_in_transaction_session_timeout": int(TRANSACTION_S * 1000),
        }
        engine = create_engine(
            self.url,
            hide_parameters=True,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=LOCK_S,
            connect_args={
                "connect_timeout": CONNECT_S,
                "tcp_user_timeout": int(TRANSACTION_S * 1000),
                "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
                "application_name": "retailops-channel",
            },
        )

        @event.listens_for(engine, "checkout")
        def _begin_use(connection: Any, record: Any, _proxy: Any) -> None:
            record.info["watched"] = _watch.begin(connection.fileno(), TRANSACTION_S)
            try:
                _ask_the_time(connection, self.clock)
            except engine.dialect.loaded_dbapi.Error as error:
                # The server may have been away; the pool answers this by connecting anew.
                _watch.end(record.info.pop("watched"))
                raise DisconnectionError from error

        @event.listens_for(engine, "checkin")
        def _end_use(_connection: Any, record: Any) -> None:
            if "watched" in record.info:
                _watch.end(record.info.pop("watched"))

        return engine

    @contextmanager
    def write(
        self, *, wait_s: float = 5.0, serial: Iterable[str] = (), is_durable: bool = True
    ) -> Iterator[Connection]:
        """A write transaction, committed at the end of the block.

        One that is not durable does not wait for the disk on SQLite: a power cut may undo it, and nothing else.
        `serial` names what must not be changed by two at once (PostgreSQL; SQLite has one writer anyway).
        Raises `DatabaseUnavailable` when it cannot begin within `wait_s` or the database fails, and `DatabaseRefused`
        for a value it can never keep.
        """
        give_up_at = time.monotonic() + max(wait_s, 0.0)
        if self.is_sqlite and not self._writer.acquire(timeout=max(wait_s, 0.0)):
            raise DatabaseUnavailable("another writer holds the database")
        try:
            with self._connection() as connection:
                if self.is_sqlite:
                    left_ms = int(min(LOCK_S, max(give_up_at - time.monotonic(), 0.0)) * 1000)
                    connection = connection.execution_options(is_write=True, busy_ms=left_ms, is_durable=is_durable)
                with connection.begin():
                    if not self.is_sqlite and (names := sorted(set(serial))):
                        connection.execute(_LOCK_NAMES, {"names": names})
                    yield connection
        finally:
            if self.is_sqlite:
                self._writer.release()

    def before_use(self, demand: Callable[[], None]) -> None:
        """Call `demand` before anything is read or written, again each time until it returns.

        What it raises is told as `DatabaseUnavailable` to whoever wanted the database; it may use the database itself.
        """
        self._demand = demand

    def _meet_demand(self) -> None:
        with self._demanding:  # threads that come meanwhile wait; what the demand itself reads goes on
            if self._demand is None or self._is_demanding:
                return
            self._is_demanding = True
            try:
                self._demand()
                self._demand = None
            except ChannelError as error:
                raise DatabaseUnavailable(str(error)) from error
            finally:
                self._is_demanding = False

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if self._is_closed:
            raise DatabaseUnavailable("this process is about to end")
        if self._demand is not None:
            self._meet_demand()
        if self.is_sqlite and not self.clock.is_known:
            self._join_clock()
        with _as_unavailable(), self.engine.connect() as connection:
            yield connection

    def now(self) -> datetime:
        """Now, by the shared clock.  Raises `DatabaseUnavailable` where it is not known yet and cannot be asked."""
        if not self.clock.is_known:
            with self.read():
                pass
        return self.clock()

    def _join_clock(self) -> None:
        """SQLite: go by the clock of the other processes, or begin one.  Not before the migration that keeps it."""
        with suppress(DBAPIError):
            with self.engine.connect() as connection, connection.begin():
                booted_at = heartbeat.booted_at(connection)
            if booted_at is None:
                alone = {"is_write": True, "busy_ms": 1000, "is_durable": False}
                with self.engine.connect().execution_options(**alone) as connection, connection.begin():
                    booted_at = heartbeat.begin(connection)
            self.clock.set(booted_at)

    def beat(self) -> None:
        """Count the time that passed since the last beat (R36).  Raises `DatabaseUnavailable`."""
        with self.write(is_durable=False) as connection:
            booted_at = heartbeat.booted_at(connection) if self.is_sqlite else None
            if booted_at is not None:
                self.clock.set(booted_at)
            step = heartbeat.beat(connection, self.clock())
        if step is not None:
            log.warning("a step of %s s of the shared clock does not count as time", round(step.total_seconds()))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read: on SQLite of one moment, on PostgreSQL each statement of its own.

        Raises `DatabaseUnavailable` when the database fails.
        """
        with self._connection() as connection, connection.begin():
            yield connection

    def is_ready(self) -> bool:
        """True when the database answers and its schema is the one this code was written for."""
        try:
            with self.read() as connection:
                return _revision(connection) == self._head
        except (DatabaseUnavailable, SQLAlchemyError):
            return False

    def pending(self) -> list[str]:
        """The migrations that have not run yet, oldest first.

        Raises `SettingsFault` for a database that a newer version of this server has migrated.
        """
        with self.read() as connection:
            return self._pending(connection)

    def _pending(self, connection: Connection) -> list[str]:
        try:
            revisions = list(_migrations().iterate_revisions("head", _revision(connection) or "base"))
        except (CommandError, RevisionError) as error:
            raise SettingsFault(["DATABASE_URL: the database was migrated by a newer version"]) from error
        return [item.revision for item in reversed(revisions)]

    def upgrade(self, to: str = "head") -> list[str]:
        """Run the pending migrations and name them.  Two processes that start together run them once."""
        with self.alone() as connection:
            pending = self._pending(connection)
            if pending:
                config = _alembic()
                config.attributes["connection"] = connection
                alembic.command.upgrade(config, to)
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
        """Give back every connection; a thread that still wants one is told that there is none."""
        self._is_closed = True
        self.engine.dispose()

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A write transaction no other process migrates or registers channels beside; it may take long."""
        if self.is_sqlite:
            with _as_folder_fault():
                lock = open(f"{self.url.database}.migrating", "w")  # noqa: SIM115 - closed below
            with lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                with self.write() as connection:
                    yield connection
            return
        engine = create_engine(self.url, poolclass=NullPool, connect_args={"connect_timeout": 3})
        with _as_unavailable(), engine.begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(727001)"))
            yield connection


def _ask_the_time(connection: Any, clock: SharedClock) -> None:
    """Whether a connection still works, by a question whose answer is of use.  Raises the driver's error."""
    asked_s = boot_s()
    connection.autocommit = True
    try:
        row = connection.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
    finally:
        if not connection.closed:
            connection.autocommit = False
    clock.learn(row[0], asked_s, boot_s())


_LOCK_NAMES = text(
    "select pg_advisory_xact_lock(hashtextextended(name, 0)) from unnest(cast(:names as text[])) as name"
)


def _alembic() -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


@functools.cache
def _migrations() -> ScriptDirectory:
    """The migrations of this code, read once a process."""
    return ScriptDirectory.from_config(_alembic())


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def _as_folder_fault() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = type(error).__name__
        raise SettingsFault([f"DATABASE_URL: the database's folder cannot be made or written: {kind}"]) from error


def repeated(work: Callable[[], T], give_up_at: float) -> T:
    """What `work` gives, which writes nothing when it raises; run again while transactions meet (R6).

    Raises `DatabaseConflict` when they still do at `give_up_at` (monotonic seconds), and whatever else `work` raises.
    """
    pause_s = 0.02
    while True:
        try:
            return work()
        except DatabaseConflict:
            if time.monotonic() + pause_s > give_up_at:
                raise
            time.sleep(random.uniform(pause_s / 2, pause_s))
            pause_s = min(2 * pause_s, 0.5)


def _refuse_what_no_driver_takes(context: ExceptionContext) -> None:
    """A text that is no Unicode, or a number beyond the database's, fails in the driver before any SQL is sent."""
    if isinstance(context.original_exception, UnicodeEncodeError | OverflowError):
        raise _refused(type(context.original_exception).__name__) from context.original_exception


def _refused(kind: str) -> DatabaseRefused:
    log.error("the database cannot keep a value: %s", kind)
    return DatabaseRefused(f"the database cannot keep a value: {kind}")


@contextmanager
def _as_unavailable() -> Iterator[None]:
    """Trouble of the database becomes one of three errors; a fault in our SQL stays a fault of ours."""
    try:
        yield
    except DBAPIError as error:
        kind = type(error.orig).__name__
        match _family(error):
            case "conflict":
                raise DatabaseConflict(kind) from error
            case "refused":
                raise _refused(kind) from error
            case "ours":
                raise
        log.warning("database trouble: %s", kind)
        raise DatabaseUnavailable(kind) from error
    except SQLAlchemyError as error:
        if "TimeoutError" in type(error).__name__:
            raise DatabaseUnavailable("no free connection") from error
        raise


_CONFLICTS = frozenset({"23505", "40001", "40P01"})
"""SQLSTATE of a key that another transaction has just taken, and of two that waited for each other."""

_PERMANENT = ("22", "23", "54")
"""Classes of SQLSTATE that no repetition changes: a value, a constraint, a limit of the program."""


def _family(error: DBAPIError) -> Literal["conflict", "refused", "ours", "away"]:
    """What an error of the driver means for whoever asked."""
    state = getattr(error.orig, "sqlstate", None)
    name = getattr(error.orig, "sqlite_errorname", "")
    if state in _CONFLICTS or name in ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"):
        return "conflict"
    kind = type(error).__name__
    if (state or "").startswith(_PERMANENT) or name == "SQLITE_TOOBIG" or kind in ("DataError", "IntegrityError"):
        return "refused"
    is_missing = kind == "OperationalError" and "no such" in str(error.orig)
    return "ours" if kind in ("ProgrammingError", "NotSupportedError") or is_missing else "away"
