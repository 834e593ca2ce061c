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
import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import alembic.command
import alembic.config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app import caller
from app.errors import ChannelError, SettingsFault
from app.fair_turns import FairTurns, TurnTimeout
from app.records.connections import KeptConnections, patiently, reason_if_full, watch

MIGRATIONS = Path(__file__).parent / "migrations"

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

READY_WAIT_S = 3.0
"""How long a health check waits for a connection: platforms give up after 5 to 10 s."""

IN_USE_S = 10.0
"""A database that has served this process within that time answers, even where all connections are busy."""

log = logging.getLogger(__name__)

T = TypeVar("T")


class DatabaseUnavailable(ChannelError):
    """The database did not take or give what was asked; nothing was half-written."""


class DatabaseBusy(DatabaseUnavailable):
    """All connections this process may have were in use for as long as could be waited."""


class DatabaseConflict(DatabaseUnavailable):
    """Two transactions met; nothing was written, and the same again succeeds as a rule."""


class DatabaseRefused(ChannelError):
    """The database cannot keep a value of this transaction, however often it is sent; nothing was written."""


class Database:
    """All access to the records.  Threads share one instance; a forked process makes its own.

    A thread that uses the database must not use it a second time meanwhile: with all connections in such hands
    everybody would wait for ever.  It is told so by an error of ours (`NestedTurn`).
    """

    def __init__(self, url: str, connections: int = CONNECTIONS) -> None:
        """`connections`: how many to PostgreSQL this process may have open at most, at least 2."""
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._turns = FairTurns(SQLITE_CONNECTIONS if self.is_sqlite else connections)
        self._writer = FairTurns(1)
        self._served_at = -math.inf
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
            self.url,
            hide_parameters=True,
            pool_size=8,
            max_overflow=SQLITE_CONNECTIONS - 8,
            connect_args={"timeout": 5.0},
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
            record.info["watched"] = watch.begin(connection.fileno(), _longest_use_s())

        @event.listens_for(engine, "checkin")
        def _end_use(_connection: Any, record: Any) -> None:
            if "watched" in record.info:
                watch.end(record.info.pop("watched"))

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
        self._prepare_use()
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
            raise DatabaseBusy("another writer holds the database") from None

    def before_use(self, demand: Callable[[], None]) -> None:
        """Call `demand` before anything is read or written, again each time until it returns.

        What it raises is told as `DatabaseUnavailable` to whoever wanted the database; it may use the database itself.
        """
        self._demand = demand

    def _prepare_use(self) -> None:
        if self._is_closed:
            raise DatabaseUnavailable("this process is about to end")
        if self._demand is not None:
            self._meet_demand()

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
    def _connection(self, wait_s: float | None = None) -> Iterator[Connection]:
        give_up_at = time.monotonic() + (_patience_s() if wait_s is None else wait_s)
        try:
            with self._turns.turn(caller.channel.get(), give_up_at - time.monotonic()), _as_unavailable():
                with self._connected(self.engine, give_up_at) as connection:
                    yield connection
                self._served_at = time.monotonic()
        except TurnTimeout:
            raise DatabaseBusy("all connections this process may have are in use") from None

    def _connected(self, engine: Engine, give_up_at: float) -> Connection:
        if self.is_sqlite:
            return engine.connect()
        return patiently(engine.connect, give_up_at - time.monotonic(), lambda error: getattr(error, "orig", None))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read: on SQLite of one moment, on PostgreSQL each statement of its own.

        A free connection is waited for until the request's answer must stand, in the background for `WAIT_S`.
        Raises `DatabaseUnavailable` when none comes or the database fails.
        """
        self._prepare_use()
        with self._connection() as connection, connection.begin():
            yield connection

    def is_ready(self) -> bool:
        """True when the database answers and its schema is the one this code was written for.

        Where all connections are busy it is enough that they were of use just now.
        """
        try:
            self._prepare_use()
            with self._connection(READY_WAIT_S) as connection, connection.begin():
                return _revision(connection) == self._head
        except DatabaseBusy:
            return time.monotonic() - self._served_at < IN_USE_S
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
        give_up_at = time.monotonic() + _patience_s()
        with self._turns.turn("", _patience_s()), _as_unavailable():
            # This connection is none of the pool's, and the bound holds for both.
            cast(KeptConnections, self.engine.pool).close_idle()
            with self._connected(engine, give_up_at) as connection, connection.begin():
                connection.execute(text("select pg_advisory_xact_lock(727001)"))
                yield connection


_LOCK_NAMES = text(
    "select pg_advisory_xact_lock(hashtextextended(name, 0)) from unnest(cast(:names as text[])) as name"
)


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
        why = reason_if_full(error.orig) or kind
        log.warning("database trouble: %s", why)
        raise DatabaseUnavailable(why) from error


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
