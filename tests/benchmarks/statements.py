"""What our processes send to a PostgreSQL server: statements, transactions and bytes of its write-ahead log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from tests.benchmarks.rounds import Skipped
from tests.postgres import NoPostgres, PostgresServer, running_postgres

NOT_OURS = "/* benchmark */"
"""Stands in the benchmark's own statements, which are not counted."""

_COUNTED = f"""
select coalesce(sum(calls) filter (where query !~* '^(begin|commit|rollback|savepoint|release|set |show )'), 0),
       coalesce(sum(calls) filter (where query ~* '^(commit|rollback)'), 0),
       pg_current_wal_lsn() - '0/0'
from pg_stat_statements join pg_database on pg_database.oid = dbid
where datname = %s and position('{NOT_OURS}' in query) = 0
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was sent so far, or between two looks."""

    statements: float
    transactions: float
    wal_bytes: float

    def __add__(self, other: Counts) -> Counts:
        return self - other * -1

    def __sub__(self, other: Counts) -> Counts:
        return Counts(
            self.statements - other.statements,
            self.transactions - other.transactions,
            self.wal_bytes - other.wal_bytes,
        )

    def __mul__(self, factor: float) -> Counts:
        return Counts(self.statements * factor, self.transactions * factor, self.wal_bytes * factor)

    def __str__(self) -> str:
        wal = f"{self.wal_bytes:,.0f} bytes of log"
        return f"{self.statements:.2f} statements, {self.transactions:.2f} transactions, {wal}"


class Counting:
    """Reads the counters of one database; the write-ahead log is that of the whole server."""

    def __init__(self, connection: psycopg.Connection, database: str) -> None:
        self._connection = connection
        self._database = database

    def now(self) -> Counts:
        row = self._connection.execute(_COUNTED, [self._database]).fetchone()
        assert row is not None
        return Counts(*map(float, row))


@contextmanager
def counting_postgres() -> Iterator[tuple[PostgresServer, psycopg.Connection]]:
    """A durable server that counts statements, and a connection to read the counts by.  Raises `Skipped`."""
    try:
        with running_postgres(is_durable=True) as server:
            with psycopg.connect(server.url("postgres"), autocommit=True) as administrator:
                administrator.execute("alter system set shared_preload_libraries = 'pg_stat_statements'")
            server.stop()
            server.start()
            with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
                connection.execute("create extension pg_stat_statements")
                yield server, connection
    except NoPostgres as reason:
        raise Skipped(f"PostgreSQL: {reason}") from None
