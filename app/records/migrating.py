"""Runs migrations: one process at a time, and beside processes that serve.

On PostgreSQL a lock that does not come within a second is not waited for, because all traffic on that table would
queue behind the wait; the migration is tried again instead.  One that older code cannot live with runs alone: it holds
the lock that every transaction of a server shares.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.records import compatibility
from app.records.compatibility import MIGRATION_LOCK, UnfitDatabase
from app.records.database_errors import DatabaseUnavailable, in_words
from app.records.growing import write_planner_figures

ALONE_LOCK = 727001
"""PostgreSQL's advisory lock of whoever migrates or registers channels."""

LOCK_MS = 1000
"""How long a statement of a migration waits for a lock."""

TRY_FOR_S = 60.0
"""How long a migration is tried again that does not get its locks."""

SETTLED_S = 0.3
"""How long the lock is kept after the commit: whoever read the form just before is refused all the same."""

ASK_EVERY_S = 0.1
"""How often whoever waits for another migration asks whether it is over."""

log = logging.getLogger(__name__)


def run(connection: Connection, to: str = "head") -> list[str]:
    """Run what is pending, up to `to`, in the caller's transaction, and name it.

    Raises `UnfitDatabase` when this code cannot use the database.
    """
    names = _wanted(connection, to)
    if names:
        _upgrade(connection, names[-1])
        if connection.dialect.name == "sqlite":
            write_planner_figures(connection)
    return names


def run_beside_traffic(connection: Connection, to: str = "head") -> list[str]:
    """The same on PostgreSQL over a connection without limits of time, each migration in a transaction of its own.

    Raises `UnfitDatabase`, and `DatabaseUnavailable` when its locks do not come.
    """
    with _one_at_a_time(connection):
        current = compatibility.of(connection).revision
        names = _wanted(connection, to)
        connection.commit()
        for is_breaking, group in groupby(names, lambda name: compatibility.is_breaking(name, current)):
            if not is_breaking:
                *_, last = group
                _until_locks_come(connection, last)
                continue
            for name in group:
                with _no_other_transaction(connection, name):
                    _until_locks_come(connection, name)
    return names


def _wanted(connection: Connection, to: str) -> list[str]:
    form = compatibility.of(connection)
    if form.fault:
        raise UnfitDatabase(form.fault)
    known = compatibility.chain()
    last = known[-1] if to == "head" else to
    return [name for name in form.pending if known.index(name) <= known.index(last)]


def _upgrade(connection: Connection, to: str) -> None:
    import alembic.command  # only here: whoever does not migrate starts the sooner without it

    config = compatibility.config()
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, to)


def _until_locks_come(connection: Connection, name: str) -> None:
    give_up_at = time.monotonic() + TRY_FOR_S
    while True:
        try:
            connection.execute(text(f"set lock_timeout = {LOCK_MS}"))
            connection.commit()
            _upgrade(connection, name)
            return
        except DBAPIError as error:
            connection.rollback()
            if error.orig is None or not _is_about_locks(error.orig) or time.monotonic() > give_up_at:
                raise
            log.warning("migration %s is tried again: %s", name, in_words(error.orig))
            time.sleep(LOCK_MS / 1000)


def _is_about_locks(error: BaseException) -> bool:
    """A lock that did not come in time, or two transactions that waited for each other's."""
    return getattr(error, "sqlstate", None) in ("55P03", "40P01")


@contextmanager
def _one_at_a_time(connection: Connection) -> Iterator[None]:
    """Others that migrate wait here, however long it takes; a process that dies lets go.

    Whoever waits asks again and again, and holds no snapshot between: an index that is built concurrently waits for
    every older one, so that it and a statement that waits for its migration would wait for each other.
    """
    while not connection.execute(text(f"select pg_try_advisory_lock({ALONE_LOCK})")).scalar_one():
        connection.rollback()
        time.sleep(ASK_EVERY_S)
    connection.commit()
    try:
        yield
    finally:
        _unlock(connection, ALONE_LOCK)


@contextmanager
def _no_other_transaction(connection: Connection, name: str) -> Iterator[None]:
    """Waits for those that run, which end within seconds; whoever begins meanwhile is refused."""
    log.warning("migration %s cannot be used by older code: it waits for every transaction, then runs alone", name)
    connection.execute(text("set lock_timeout = '15s'"))
    try:
        connection.execute(text(f"select pg_advisory_lock({MIGRATION_LOCK})"))
        connection.commit()
    except DBAPIError as error:
        connection.rollback()
        raise DatabaseUnavailable("transactions of other processes do not end; stop them and try again") from error
    try:
        yield
        time.sleep(SETTLED_S)
    finally:
        _unlock(connection, MIGRATION_LOCK)


def _unlock(connection: Connection, lock: int) -> None:
    connection.rollback()
    connection.execute(text(f"select pg_advisory_unlock({lock})"))
    connection.commit()
