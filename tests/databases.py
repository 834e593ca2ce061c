"""Databases for tests without an application: opened, and kept from being written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from sqlalchemy import Connection, update

from app.records import purge
from app.records.database import Database
from app.records.tables.server import periodic_work
from app.records.transactions import CONNECTIONS
from app.settings import load_database_url


def open_database(url: str, connections: int = CONNECTIONS) -> Database:
    """As a process that may have so many connections to PostgreSQL; whoever opens it closes it."""
    return Database(load_database_url({"APP_ENV": "development", "DATABASE_URL": url}), connections)


def driver_url(database: Database) -> str:
    """The address of a PostgreSQL database as psycopg takes it."""
    return database.url.set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def nothing_written(database: Database) -> Iterator[None]:
    """Every connection to PostgreSQL is ended, and neither calls nor stock can be written until the end of the block.

    SQLite takes nothing at all until then.
    """
    if database.is_sqlite:
        with closing(sqlite3.connect(database.url.database or "", isolation_level=None)) as blocker:
            blocker.execute("begin immediate")
            yield
        return
    with psycopg.connect(driver_url(database)) as other:
        other.execute("set lock_timeout = '3s'")  # a turn of the dispatcher may hold it
        other.execute("lock table deliveries, stock in exclusive mode")
        others = "datname = current_database() and pid <> pg_backend_pid()"
        other.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}")
        yield


def migrate(url: str) -> None:
    """Bring a database to the newest form, as `channel db upgrade` does."""
    database = open_database(url)
    database.upgrade()
    database.close()


def make_template(url: str) -> None:
    """The same, with the purge done a moment ago: else it is the first that each test's application does."""
    migrate(url)
    database = open_database(url)
    set_purge_due(database, datetime.now(UTC) + purge.EVERY)
    database.close()


@cache
def migrated_file() -> bytes:
    """A SQLite file in the newest form without rows; copying it is much quicker than the migrations."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "channel.db"
        make_template(f"sqlite:///{path}")
        return path.read_bytes()


def migrated_in(folder: str) -> Path:
    """A copy of it in this folder."""
    path = Path(folder) / "channel.db"
    path.write_bytes(migrated_file())
    return path


def owed_levels(connection: Connection) -> int:
    """How many (gateway, SKU) levels have not been received yet."""
    return int(connection.exec_driver_sql("select count(*) from stock where seq > sent_seq").scalar_one())


def set_purge_due(database: Database, at: datetime) -> None:
    """From when on whichever process has time purges again."""
    with database.write() as connection:
        connection.execute(update(periodic_work).values(due_at=at))
