"""The transactions of one process: who may begin one, how long that is waited for, and what a failure means.

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
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InvalidRequestError, PendingRollbackError, SQLAlchemyError

from app import caller
from app.clock import SharedClock
from app.fair_turns import FairTurns, TurnTimeout
from app.records import compatibility, heartbeat
from app.records.connections import patiently
from app.records.database_errors import (
    DatabaseBusy,
    DatabaseConflict,
    DatabaseRejects,
    DatabaseUnavailable,
    family,
    in_words,
    refuse_what_no_driver_takes,
    refused,
)
from app.records.engines import (
    LEAST_WAIT_S,
    LOCK_S,
    SQLITE_CONNECTIONS,
    limited_reads,
    postgresql_engine,
    sqlite_engine,
)
from app.records.group_commit import GroupCommit
from app.records.prerequisite import Prerequisite
from app.records.statements import Prepared, texts

CONNECTIONS = 2
"""Connections to PostgreSQL at most of a process that names no other number, such as a command on the terminal."""

WAIT_S = 10.0
"""How long a free connection is waited for in the background; a request waits until its answer must stand."""

log = logging.getLogger(__name__)

T = TypeVar("T")


class Transactions:
    """What begins and ends every transaction of a process.

    A thread that uses the database must not use it a second time meanwhile: with all connections in such hands
    everybody would wait for ever.  It gets an error of ours (`NestedTurn`).
    """

    def __init__(self, url: str, connections: int = CONNECTIONS) -> None:
        """`connections`: how many to PostgreSQL this process may have open at most, at least 2."""
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.clock = SharedClock()
        self.connections = SQLITE_CONNECTIONS if self.is_sqlite else connections
        """How many this process may have open at most."""
        self._turns = FairTurns(self.connections)
        self._writer = FairTurns(1)
        self.group_commits = defaultdict[str, GroupCommit](
            lambda: GroupCommit(lambda wait_s, on_commit: self.write(wait_s=wait_s, on_commit=on_commit))
        )
        """By channel."""
        self.served_at_s = -math.inf
        """When it served this process last (monotonic seconds)."""
        self._is_closed = False
        self._prerequisite: Prerequisite | None = None
        self._usable_revision: str | None = None
        """The last migration this code was found to be able to live with; None until `prepare` has looked."""
        self.engine = sqlite_engine(self.url) if self.is_sqlite else postgresql_engine(self.url, self.clock)
        if self.is_sqlite:
            event.listen(self.engine, "begin", _begin_on_sqlite)
        event.listen(self.engine, "handle_error", refuse_what_no_driver_takes)

    @contextmanager
    def write(
        self,
        *,
        wait_s: float | None = None,
        serial: Iterable[str] = (),
        is_durable: bool = True,
        on_commit: Callable[[], None] = lambda: None,
    ) -> Iterator[Connection]:
        """A write transaction, committed at the end of the block.

        One that is not durable does not wait for the disk on SQLite: a power cut may undo it, and nothing else.
        `serial` names what must not be changed by two at once (PostgreSQL; SQLite has one writer anyway).
        `wait_s`: how long its beginning may be waited for; None: SQLite's writer for 5 s, a connection as `read` does.
        `on_commit` is called when it is committed, before the connection is given back.
        Raises `DatabaseUnavailable` when it cannot begin within that time or the database fails, and `DatabaseRefused`
        for a value it can never keep.
        """
        with self._written(wait_s, serial, is_durable, on_commit) as connection:
            self._demand_form(connection)
            yield connection

    @contextmanager
    def _written(
        self,
        wait_s: float | None = None,
        serial: Iterable[str] = (),
        is_durable: bool = True,
        on_commit: Callable[[], None] = lambda: None,
    ) -> Iterator[Connection]:
        self._begin_use()  # before the writer's turn, for what is demanded may have to write
        if not self.is_sqlite:
            with self._connection(wait_s) as connection:
                with connection.begin():
                    if names := sorted(set(serial)):
                        _LOCK_NAMES.execute(connection, {"names": names})
                    yield connection
                on_commit()
            return
        give_up_at = time.monotonic() + (5.0 if wait_s is None else wait_s)
        try:
            turn = self._writer.turn(caller.channel.get(), give_up_at - time.monotonic())
            with turn, self._connection() as connection:
                left_ms = int(min(LOCK_S, max(give_up_at - time.monotonic(), 0.0)) * 1000)
                connection = connection.execution_options(is_write=True, busy_ms=left_ms, is_durable=is_durable)
                with connection.begin():
                    yield connection
                on_commit()
        except TurnTimeout:
            raise DatabaseBusy("another writer of this process holds it") from None

    def before_use(self, work: Callable[[], None]) -> None:
        """Call `work` before anything is read or written, again each time until it returns.

        What it raises reaches whoever needs the database as `DatabaseUnavailable`; it may use the database itself.
        """
        self._prerequisite = Prerequisite(work)

    def _begin_use(self) -> None:
        if self._is_closed:
            raise DatabaseUnavailable("this process is about to end")
        if self._prerequisite is not None and not self._prerequisite.is_met:
            self._prerequisite.meet()

    @contextmanager
    def _connection(self, wait_s: float | None = None) -> Iterator[Connection]:
        self._begin_use()
        if self.is_sqlite and not self.clock.is_known:
            self._join_clock()
        give_up_at = time.monotonic() + (patience_s() if wait_s is None else wait_s)
        try:
            with self._turns.turn(caller.channel.get(), give_up_at - time.monotonic()), as_unavailable():
                with self._connected(self.engine, give_up_at) as connection:
                    yield connection
                self.served_at_s = time.monotonic()
        except TurnTimeout:
            raise DatabaseBusy("all connections that this process may have are in use") from None

    def now(self) -> datetime:
        """Now, by the shared clock.  Raises `DatabaseUnavailable` where it is not known yet and cannot be read."""
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

    def _connected(self, engine: Engine, give_up_at: float) -> Connection:
        try:
            if self.is_sqlite:  # which has no server that could be full
                return engine.connect()
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
        Raises `DatabaseUnavailable` when none comes or the database fails, `DatabaseBusy` where it takes longer than
        `caller.read_limit_s`.
        """
        with self._connection() as connection, connection.begin():
            self._demand_form(connection)
            limit_s = caller.read_limit_s.get()
            if limit_s is None:
                yield connection
            else:
                with limited_reads(connection, limit_s):
                    yield connection

    def close(self) -> None:
        """Give back every connection; a thread that still needs one gets an error."""
        self._is_closed = True
        self.engine.dispose()


def patience_s() -> float:
    """How long the present thread may wait for a connection."""
    deadline = caller.deadline.get()
    return WAIT_S if deadline is None else max(deadline.left_s(), LEAST_WAIT_S)


_LOCK_NAMES = Prepared(
    text("select pg_advisory_xact_lock(hashtextextended(name, 0)) from unnest(:names) as name").bindparams(
        texts("names")
    )
)


def _begin_on_sqlite(connection: Connection) -> None:
    """Begin a transaction; what touches no file is sent by the driver itself, in a tenth of the time."""
    options = connection.get_execution_options()
    driver: Any = connection.connection.dbapi_connection
    if not options.get("is_write"):
        driver.execute("BEGIN")
        return
    if connection.info.get("busy_ms") != options["busy_ms"]:
        driver.execute(f"PRAGMA busy_timeout={options['busy_ms']}")
        connection.info["busy_ms"] = options["busy_ms"]
    synchronous = "FULL" if options["is_durable"] else "NORMAL"
    if connection.info.get("synchronous") != synchronous:
        # This one reads the file, and what it raises is to be known as the database's: SQLAlchemy sends it.
        connection.exec_driver_sql(f"PRAGMA synchronous={synchronous}")
        connection.info["synchronous"] = synchronous
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _revision_of_sqlite(connection: Connection) -> str | None:
    driver: Any = connection.connection.dbapi_connection
    row = driver.execute("select version_num from alembic_version").fetchone()
    return None if row is None else row[0]


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


@contextmanager
def as_unavailable() -> Iterator[None]:
    """A failure of the database becomes one of its errors; a fault in our SQL stays a fault of ours."""
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
                raise refused(type(cause).__name__) from error
        log.warning("the database failed: %s", words)
        raise _TROUBLES[kind](words) from error
    except PendingRollbackError as error:
        raise DatabaseUnavailable("the connection was lost") from error
    except SQLAlchemyError as error:
        if "TimeoutError" in type(error).__name__:
            raise DatabaseBusy("all connections of this process are in use") from error
        raise


_TROUBLES = {"busy": DatabaseBusy, "rejects": DatabaseRejects, "away": DatabaseUnavailable}


@contextmanager
def _unless_missing() -> Iterator[None]:
    """Skips a table that no migration has made yet.  Raises `DatabaseUnavailable` for all else that fails."""
    try:
        with as_unavailable():
            yield
    except DBAPIError as error:
        if "no such table" not in str(error.orig):
            raise
