"""The database of one process: connections, write transactions, migrations.

SQLite: WAL, `synchronous=FULL`, and one writer per process at a time, because writers that queue inside
the process wait a tenth as long as writers that compete for the file (R8).  PostgreSQL: ordinary
transactions, serialised per order by advisory locks where a caller asks for it; taken first and in one
order, they also keep two transactions from waiting for each other's rows.

No transaction lasts: locks, statements and connections that do not come are given up in seconds, so
that a callback still has its answer (503) in time.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import (
    DBAPIError,
    InvalidatePoolError,
    InvalidRequestError,
    PendingRollbackError,
    SQLAlchemyError,
)

from app import caller
from app.clock import SharedClock, boot_s
from app.errors import ChannelError, SettingsFault
from app.fair_turns import FairTurns, TurnTimeout
from app.logs import Tally
from app.records import compatibility, heartbeat, migrating, private_files
from app.records.compatibility import LACKS_MIGRATIONS, MIGRATION_LOCK, Form, UnfitDatabase
from app.records.connections import KeptConnections, patiently
from app.records.database_errors import (
    DatabaseBusy,
    DatabaseConflict,
    DatabaseRefused,
    DatabaseRejects,
    DatabaseUnavailable,
    family,
    in_words,
)
from app.watchdog import WATCHDOG

__all__ = [
    "Database",
    "DatabaseBusy",
    "DatabaseConflict",
    "DatabaseRefused",
    "DatabaseRejects",
    "DatabaseUnavailable",
    "UnfitDatabase",
    "repeated",
]

LOCK_S = 4
"""How long PostgreSQL lets a transaction wait for a row, an order or a table."""

STATEMENT_S = 6
"""How long PostgreSQL works on one statement."""

TRANSACTION_S = 7.0
"""How long a connection may be in use before it is cut off; a server that hangs enforces no limit of its own."""

CONNECT_S = 2
"""How long a new connection may take.  Who finds a server hanging waits for both, and RetailOps for 12 s at most."""

CONNECTIONS = 2
"""Connections to PostgreSQL at most of a process that names no other number, such as a command on the terminal."""

SQLITE_CONNECTIONS = 64
"""Files have no bound of their own: more than any process has threads at the same time in the database."""

WAIT_S = 10.0
"""How long a free connection is waited for in the background; a request waits until its answer must stand."""

LEAST_WAIT_S = 1.0
"""How long a request waits even when its time is over: what was found out so far should be kept."""

LATE_S = 1.5
"""How much later than its answer must stand a request may end with the database: RetailOps waits for 12 s, and a
callback's budget is 10 s."""

log = logging.getLogger(__name__)


T = TypeVar("T")


class Database:
    """All access to the records.  Threads share one instance; a forked process makes its own.

    A thread that uses the database must not use it a second time meanwhile: with all connections in such hands
    everybody would wait for ever.  It is told so by an error of ours (`NestedTurn`).
    """

    def __init__(self, url: str, connections: int = CONNECTIONS) -> None:
        """`connections`: how many to PostgreSQL this process may have open at most, at least 2."""
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.clock = SharedClock()
        self._turns = FairTurns(SQLITE_CONNECTIONS if self.is_sqlite else connections)
        self._writer = FairTurns(1)
        self.served_at_s = -math.inf
        """When it served this process last (monotonic seconds)."""
        self._is_closed = False
        self._demand: Callable[[], None] | None = None
        self._demanding = threading.RLock()
        self._is_demanding = False
        self._unmet: tuple[float, str] = (0.0, "")
        """When the demand failed last (monotonic), and why."""
        self._usable_revision: str | None = None
        """The last migration this code was found to be able to live with; None until `prepare` has looked."""
        self.engine = self._sqlite() if self.is_sqlite else self._postgresql()
        event.listen(self.engine, "handle_error", _refuse_what_no_driver_takes)

    def _sqlite(self) -> Engine:
        if self.url.database:
            with _as_folder_fault():
                private_files.make_folder(Path(self.url.database).parent)
        engine = create_engine(
            self.url,
            hide_parameters=True,
            pool_size=8,
            max_overflow=SQLITE_CONNECTIONS - 8,
            connect_args={"timeout": 5.0},
        )

        @event.listens_for(engine, "do_connect")
        def _keep_private(*_: object) -> None:
            if private_files.is_path(self.url.database):
                private_files.make_private(Path(str(self.url.database)))

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
            poolclass=KeptConnections,
            connect_args={
                "connect_timeout": CONNECT_S,
                "tcp_user_timeout": int(TRANSACTION_S * 1000),
                "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
                "application_name": "retailops-channel",
            },
        )

        @event.listens_for(engine, "checkout")
        def _begin_use(connection: Any, record: Any, _proxy: Any) -> None:
            try:
                record.info["watched"] = WATCHDOG.begin(connection.fileno(), _longest_use_s())
                record.info["form"] = _look(connection, self.clock)
            except engine.dialect.loaded_dbapi.Error as error:
                # The server may have been away, and then every connection is dead; the pool connects anew.
                if "watched" in record.info:
                    record.info.pop("watched").finish()
                raise InvalidatePoolError from error
            except OSError as error:
                raise DatabaseBusy("this process has too many files open") from error

        @event.listens_for(engine, "checkin")
        def _end_use(_connection: Any, record: Any) -> None:
            if "watched" in record.info:
                record.info.pop("watched").finish()

        return engine

    @contextmanager
    def write(
        self, *, wait_s: float | None = None, serial: Iterable[str] = (), is_durable: bool = True
    ) -> Iterator[Connection]:
        """A write transaction, committed at the end of the block.

        One that is not durable does not wait for the disk on SQLite: a power cut may undo it, and nothing else.
        `serial` names what must not be changed by two at once (PostgreSQL; SQLite has one writer anyway).
        `wait_s`: how long its beginning may be waited for; None: SQLite's writer for 5 s, a connection as `read` does.
        Raises `DatabaseUnavailable` when it cannot begin within that time or the database fails, and `DatabaseRefused`
        for a value it can never keep.
        """
        with self._written(wait_s, serial, is_durable) as connection:
            self._demand_form(connection)
            yield connection

    @contextmanager
    def _written(
        self, wait_s: float | None = None, serial: Iterable[str] = (), is_durable: bool = True
    ) -> Iterator[Connection]:
        self._begin_use()  # before the writer's turn, for what is demanded may have to write
        if not self.is_sqlite:
            with self._connection(wait_s) as connection, connection.begin():
                if names := sorted(set(serial)):
                    connection.execute(_LOCK_NAMES, {"names": names})
                yield connection
            return
        give_up_at = time.monotonic() + (5.0 if wait_s is None else wait_s)
        try:
            turn = self._writer.turn(caller.channel.get(), give_up_at - time.monotonic())
            with turn, self._connection() as connection:
                left_ms = int(min(LOCK_S, max(give_up_at - time.monotonic(), 0.0)) * 1000)
                connection = connection.execution_options(is_write=True, busy_ms=left_ms, is_durable=is_durable)
                with connection.begin():
                    yield connection
        except TurnTimeout:
            raise DatabaseBusy("another writer of this process holds it") from None

    def before_use(self, demand: Callable[[], None]) -> None:
        """Call `demand` before anything is read or written, again each time until it returns.

        What it raises is told as `DatabaseUnavailable` to whoever wanted the database; it may use the database itself.
        """
        self._demand = demand

    def _meet_demand(self) -> None:
        asked_at = time.monotonic()
        with self._demanding:  # threads that come meanwhile wait; what the demand itself reads goes on
            if self._demand is None or self._is_demanding:
                return
            if asked_at < self._unmet[0]:  # it failed meanwhile; else each would wait for the database in turn
                raise DatabaseUnavailable(self._unmet[1])
            self._is_demanding = True
            try:
                self._demand()
                self._demand = None
            except ChannelError as error:
                reason = error.reason if isinstance(error, UnfitDatabase) else str(error)
                self._unmet = (time.monotonic(), reason)
                raise DatabaseUnavailable(reason) from error
            finally:
                self._is_demanding = False

    def _begin_use(self) -> None:
        if self._is_closed:
            raise DatabaseUnavailable("this process is about to end")
        if self._demand is not None:
            self._meet_demand()

    @contextmanager
    def _connection(self, wait_s: float | None = None) -> Iterator[Connection]:
        self._begin_use()
        if self.is_sqlite and not self.clock.is_known:
            self._join_clock()
        give_up_at = time.monotonic() + (_patience_s() if wait_s is None else wait_s)
        try:
            with self._turns.turn(caller.channel.get(), give_up_at - time.monotonic()), _as_unavailable():
                with self._connected(self.engine, give_up_at) as connection:
                    yield connection
                self.served_at_s = time.monotonic()
        except TurnTimeout:
            raise DatabaseBusy("all connections that this process may have are in use") from None

    def now(self) -> datetime:
        """Now, by the shared clock.  Raises `DatabaseUnavailable` where it is not known yet and cannot be asked."""
        if not self.clock.is_known:
            with self.read():
                pass
        return self.clock()

    def _join_clock(self) -> None:
        """SQLite: go by the clock of the other processes, or begin one.  Not before the migration that keeps it."""
        with _unless_missing():
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

    def _connected(self, engine: Engine, give_up_at: float) -> Connection:
        try:
            return patiently(engine.connect, give_up_at - time.monotonic())
        except InvalidRequestError as error:
            raise DatabaseUnavailable("new connections are lost as soon as they are made") from error

    def _demand_form(self, connection: Connection) -> None:
        """Raise `DatabaseUnavailable` where a migration has made a database of what this code cannot use.

        The look is part of the transaction: no migration of that kind runs before its end.
        """
        if self._usable_revision is None:
            return
        if self.is_sqlite:
            revision = _revision_of_sqlite(connection)
        else:
            is_free, revision = connection.connection.info["form"]
            if not is_free:
                raise DatabaseUnavailable("it is being migrated to a form that this version cannot use")
        if revision == self._usable_revision:
            return
        if reason := compatibility.judged(connection, revision).reason:
            raise DatabaseUnavailable(reason)
        self._usable_revision = revision

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read: on SQLite of one moment, on PostgreSQL each statement of its own.

        A free connection is waited for until the request's answer must stand, in the background for `WAIT_S`.
        Raises `DatabaseUnavailable` when none comes or the database fails.
        """
        with self._connection() as connection, connection.begin():
            self._demand_form(connection)
            yield connection

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
        with self._connected_apart() as connection:
            return migrating.run_beside_traffic(connection, to)

    def prepare(self) -> None:
        """Make the database usable at start (R27): SQLite migrates itself, PostgreSQL must be migrated.

        From then on each transaction sees whether it still is.  Raises `UnfitDatabase` when PostgreSQL lacks
        migrations, or when a newer version has made of it what this one cannot use.
        """
        if self.pending():
            if not self.is_sqlite:
                raise UnfitDatabase(LACKS_MIGRATIONS)
            self.upgrade()
        self._usable_revision = self.form().revision

    def close(self) -> None:
        """Give back every connection; a thread that still wants one is told that there is none."""
        self._is_closed = True
        self.engine.dispose()

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A write transaction no other process migrates or registers channels beside; it may take long."""
        if self.is_sqlite:
            fcntl = posix_locks()
            with _as_folder_fault():
                lock = private_files.open_lock(f"{self.url.database}.migrating")
            with lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                with self._written() as connection:
                    yield connection
            return
        with self._connected_apart() as connection, connection.begin():
            connection.execute(text("select pg_advisory_xact_lock(727001)"))
            yield connection

    @contextmanager
    def _connected_apart(self) -> Iterator[Connection]:
        """A connection to PostgreSQL that may be in use for long; the bound holds for it and the pool's together."""
        engine = create_engine(
            self.url, poolclass=NullPool, hide_parameters=True, connect_args={"connect_timeout": CONNECT_S}
        )
        give_up_at = time.monotonic() + _patience_s()
        try:
            with self._turns.turn("", _patience_s()), _as_unavailable():
                cast(KeptConnections, self.engine.pool).close_idle()
                with self._connected(engine, give_up_at) as connection:
                    yield connection
        except TurnTimeout:
            raise DatabaseBusy("all connections that this process may have are in use") from None


def _patience_s() -> float:
    """How long the present thread may wait for a connection."""
    deadline = caller.deadline.get()
    return WAIT_S if deadline is None else max(deadline.left_s(), LEAST_WAIT_S)


def _longest_use_s() -> float:
    """How long it may use one: a request's answer must not come too late because of a server that hangs."""
    deadline = caller.deadline.get()
    if deadline is None:
        return TRANSACTION_S
    return min(TRANSACTION_S, max(deadline.left_s(), LEAST_WAIT_S) + LATE_S)


def posix_locks() -> Any:
    """The module `fcntl`.  It is asked for when a server or its database begins, for commands run on other systems."""
    try:
        import fcntl
    except ImportError as error:
        raise SettingsFault(
            [
                "the server and its database need a POSIX system (Linux, macOS, WSL); "
                "verify, send, certify and auth-key run on this one"
            ]
        ) from error
    return fcntl


_LOCK_NAMES = text(
    "select pg_advisory_xact_lock(hashtextextended(name, 0)) from unnest(cast(:names as text[])) as name"
)


_NOW = "extract(epoch from clock_timestamp())::float8"

_LOOK = (
    f"select {_NOW}, pg_try_advisory_xact_lock_shared({MIGRATION_LOCK}), "
    "(select version_num from alembic_version limit 1)"
)


def _look(connection: Any, clock: SharedClock) -> tuple[bool, str | None]:
    """Begin the transaction that will use a connection of psycopg, which shows as well that it is alive.

    Whether no migration that wants to be alone is under way, and the last migration that has run; the shared clock
    learns the time.  The lock is given back with the transaction's end.  Raises the driver's errors.
    """
    asked_s = boot_s()
    try:
        now_s, is_free, revision = connection.execute(_LOOK).fetchone()
    except Exception as error:
        if getattr(error, "sqlstate", None) != "42P01":
            raise
        connection.rollback()  # no migration has run
        asked_s = boot_s()
        [now_s] = connection.execute(f"select {_NOW}").fetchone()
        is_free, revision = True, None
    clock.learn(now_s, asked_s, boot_s())
    return is_free, revision


def _revision_of_sqlite(connection: Connection) -> str | None:
    driver: Any = connection.connection.dbapi_connection
    row = driver.execute("select version_num from alembic_version").fetchone()
    return None if row is None else row[0]


@contextmanager
def _unless_missing() -> Iterator[None]:
    """Passes over a table that no migration has made yet.  Raises `DatabaseUnavailable` for all else that fails."""
    try:
        with _as_unavailable():
            yield
    except DBAPIError as error:
        if "no such table" not in str(error.orig):
            raise


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


_REFUSALS = Tally()


def _refused(kind: str) -> DatabaseRefused:
    if count := _REFUSALS.add(kind):
        log.error("the database cannot keep a value, %s so far: %s", count, kind)
    return DatabaseRefused(f"the database cannot keep a value: {kind}")


@contextmanager
def _as_unavailable() -> Iterator[None]:
    """Trouble of the database becomes one of its errors; a fault in our SQL stays a fault of ours."""
    try:
        yield
    except DBAPIError as error:
        cause = error.orig or error
        kind, words = family(cause), in_words(cause)
        match kind:
            case "ours":
                raise
            case "conflict":
                raise DatabaseConflict("two transactions met") from error
            case "refused":
                raise _refused(type(cause).__name__) from error
        log.warning("database trouble: %s", words)
        raise _TROUBLES[kind](words) from error
    except PendingRollbackError as error:
        raise DatabaseUnavailable("the connection was lost") from error
    except SQLAlchemyError as error:
        if "TimeoutError" in type(error).__name__:
            raise DatabaseBusy("all connections of this process are in use") from error
        raise


_TROUBLES = {"busy": DatabaseBusy, "rejects": DatabaseRejects, "away": DatabaseUnavailable}
