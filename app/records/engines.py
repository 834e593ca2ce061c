"""How this server connects to SQLite and PostgreSQL: settings of a connection, and what happens as its use begins."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import InvalidatePoolError

from app import caller
from app.clock import SharedClock, boot_s
from app.errors import SettingsFault
from app.records import private_files
from app.records.compatibility import MIGRATION_LOCK
from app.records.connections import KeptConnections
from app.records.database_errors import DatabaseBusy
from app.watchdog import WATCHDOG

LOCK_S = 4
"""How long PostgreSQL lets a transaction wait for a row, an order or a table."""

STATEMENT_S = 6
"""How long PostgreSQL works on one statement."""

TRANSACTION_S = 7.0
"""How long a connection may be in use before it is cut off; a server that hangs enforces no limit of its own."""

CONNECT_S = 2
"""How long a new connection may take.  Who finds a server hanging waits for both, and RetailOps for 12 s at most."""

STEPS_BETWEEN_LOOKS = 20_000
"""Instructions of SQLite's machine between two looks at the clock: less than a millisecond."""

LOCKED_S = 5.0
"""How long SQLite waits for a file that another connection holds locked."""

SQLITE_CONNECTIONS = 64
"""Files have no bound of their own: more than any process has threads at the same time in the database."""

SQLITE_PAGE = 8192
"""Bytes of a page of a new file.  Rows of orders are large: with SQLite's 4,096 a page of orders is written as nearly
twice as many."""

LEAST_WAIT_S = 1.0
"""How long a request waits even when its time is over: what was found out so far should be kept."""

LATE_S = 1.5
"""How much later than its answer must stand a request may end with the database: RetailOps waits for 12 s, and a
callback's budget is 10 s."""


def sqlite_engine(url: URL) -> Engine:
    """Files in WAL mode, readable by their owner alone.  Raises `SettingsFault` where their folder cannot be made."""
    if url.database:
        with as_folder_fault():
            private_files.make_folder(Path(url.database).parent)
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=8,
        max_overflow=SQLITE_CONNECTIONS - 8,
        pool_use_lifo=True,  # each keeps pages in memory: so few of them do
        connect_args={"timeout": LOCKED_S},
    )

    @event.listens_for(engine, "do_connect")
    def _keep_private(*_: object) -> None:
        if private_files.is_path(url.database):
            private_files.make_private(Path(str(url.database)))

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself
        connection.execute(f"PRAGMA page_size={SQLITE_PAGE}")  # counts for a file that is empty
        _keep_a_log(connection)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")  # what is removed is overwritten, however SQLite was built (R28)

    return engine


def _keep_a_log(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log.

    Of a file that several processes make at once SQLite says at once that it is locked, without waiting.
    """
    give_up_at = time.monotonic() + LOCKED_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            is_locked = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # the other bits say why
            if not is_locked or time.monotonic() >= give_up_at:
                raise
            time.sleep(0.02)


def empty_log(connection: Connection) -> bool:
    """Bring SQLite's write-ahead log into the file and make it empty, for old pages stand in it (R28).

    Outside of a transaction.  False at once while another connection reads or writes, for whoever waits here keeps the
    file locked for writers; later writes then overwrite the log.
    """
    driver: Any = connection.connection.dbapi_connection
    try:
        driver.execute("PRAGMA busy_timeout=0")
        is_busy, *_ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError:
        return False
    finally:
        driver.execute(f"PRAGMA busy_timeout={int(LOCKED_S * 1000)}")
        connection.info["busy_ms"] = int(LOCKED_S * 1000)
    return not is_busy


def postgresql_engine(url: URL, clock: SharedClock) -> Engine:
    """Connections that are cut off when a use lasts too long; `clock` learns the time at the begin of each use."""
    from app.records.pipelining import PipelinedConnection  # the driver, which SQLite does without

    limits = {
        "statement_timeout": STATEMENT_S * 1000,
        "lock_timeout": LOCK_S * 1000,
        "idle_in_transaction_session_timeout": int(TRANSACTION_S * 1000),
        "jit": "off",  # to compile a statement takes longer than any of ours does
    }
    engine = create_engine(
        url,
        hide_parameters=True,
        poolclass=KeptConnections,
        connect_args={
            "connect_timeout": CONNECT_S,
            "tcp_user_timeout": int(TRANSACTION_S * 1000),
            "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
            "application_name": "retailops-channel",
        },
    )

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        return PipelinedConnection.connect(*arguments, **options)

    @event.listens_for(engine, "checkout")
    def _begin_use(connection: Any, record: Any, _proxy: Any) -> None:
        try:
            record.info["watched"] = WATCHDOG.begin(connection.fileno(), longest_use_s())
            record.info["form"] = _look(connection, clock, engine.dialect.loaded_dbapi)
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


def longest_use_s() -> float:
    """How long it may use one: a request's answer must not come too late because of a server that hangs."""
    deadline = caller.deadline.get()
    if deadline is None:
        return TRANSACTION_S
    return min(TRANSACTION_S, max(deadline.left_s(), LEAST_WAIT_S) + LATE_S)


@contextmanager
def limited_reads(connection: Connection, limit_s: float) -> Iterator[None]:
    """Break off what a transaction reads after so many seconds: a statement of PostgreSQL, all of it on SQLite."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"set local statement_timeout = {int(limit_s * 1000)}")
        yield
    else:
        driver: Any = connection.connection.dbapi_connection
        until_s = time.monotonic() + limit_s
        driver.set_progress_handler(lambda: time.monotonic() > until_s, STEPS_BETWEEN_LOOKS)
        try:
            yield
        finally:
            driver.set_progress_handler(None, 0)


_NOW = "extract(epoch from clock_timestamp())::float8"

_BEGIN_AND_LOOK = (
    f"begin; select {_NOW}, pg_try_advisory_xact_lock_shared({MIGRATION_LOCK}), "
    "(select version_num from alembic_version limit 1)"
).encode()


def _look(connection: Any, clock: SharedClock, driver: Any) -> tuple[bool, str | None]:
    """Begin the transaction that will use a connection of psycopg, which shows as well that it is alive.

    Whether no migration that wants to be alone is under way, and the last migration that has run; the shared clock
    learns the time.  The lock is given back with the transaction's end.  Raises the driver's errors.
    """
    # Both go to the server at once, past the driver's own cursor, which takes less time in each transaction.
    # Nothing is prepared: a rollback of the driver's drops all that is, and a pooler gives another server each time.
    asked_s = boot_s()
    result = connection.pgconn.exec_(_BEGIN_AND_LOOK)
    if result.ntuples:
        now_s, is_free, revision = (result.get_value(0, column) for column in range(3))
        clock.learn(float(now_s), asked_s, boot_s())
        return is_free == b"t", None if revision is None else revision.decode()
    error = driver.errors.error_from_result(result)
    if error.sqlstate != "42P01":
        raise error
    connection.rollback()  # no migration has run
    asked_s = boot_s()
    [now_s] = connection.execute(f"select {_NOW}").fetchone()
    clock.learn(now_s, asked_s, boot_s())
    return True, None


@contextmanager
def as_folder_fault() -> Iterator[None]:
    """An `OSError` about the database's folder becomes a `SettingsFault` in words."""
    try:
        yield
    except OSError as error:
        kind = type(error).__name__
        raise SettingsFault([f"DATABASE_URL: the database's folder cannot be made or written: {kind}"]) from error
