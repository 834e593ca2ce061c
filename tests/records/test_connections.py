"""Connections to PostgreSQL: few, shared fairly, waited for (P42)."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from psycopg import sql

from app import caller
from app.deadline import Deadline
from app.fair_turns import NestedTurn
from app.records import connections, migrating
from app.records.connections import patiently
from app.records.database import Database, DatabaseBusy, DatabaseUnavailable
from app.records.database_errors import in_words, is_full
from app.records.readiness import Readiness
from tests.databases import open_database
from tests.postgres import PostgresServer, limited_role
from tests.stopwatch import Stopwatch
from tests.waiting import eventually

pytestmark = pytest.mark.postgresql

ONE = sa.text("select 1")


@pytest.fixture(autouse=True)
def _nobody_is_served() -> Iterator[None]:
    """What a test says of the present caller is forgotten with it."""
    yield
    caller.channel.set("")
    caller.deadline.set(None)


@pytest.fixture
def small(postgres: PostgresServer, postgres_template: str) -> Iterator[tuple[str, str]]:
    """The addresses of a database, as its superuser and as a role that may have two connections."""
    with postgres.database(postgres_template) as url, limited_role(url, 2) as limited:
        yield url, limited


def taken(url: str) -> psycopg.Connection[tuple[object, ...]]:
    """One of the server's connections; what has just been closed is free a moment later."""
    return patiently(lambda: psycopg.connect(url), 10)


@contextmanager
def opened(url: str, at_most: int = 3) -> Iterator[Database]:
    database = open_database(url, at_most)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def held(database: Database, channel: str = "") -> Iterator[Callable[[], None]]:
    """One connection in use by another thread until the block ends or what it gives is called."""
    is_held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        caller.channel.set(channel)
        with database.read():
            is_held.set()
            is_over.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(10)
    try:
        yield is_over.set
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("limit", ["role", "database"])
def test_p42_a_server_without_a_connection_left_is_waited_for_and_then_told_in_words(
    small: tuple[str, str], limit: str
) -> None:
    url, limited = small
    if limit == "database":
        with psycopg.connect(url, autocommit=True) as connection:
            name = url.rpartition("/")[2]
            connection.execute(sql.SQL("alter database {} connection limit 2").format(sql.Identifier(name)))
            role = sql.Identifier(f"limited_{name}")
            connection.execute(sql.SQL("alter role {} connection limit -1").format(role))
    others = [taken(limited) for _ in range(2)]
    with opened(limited) as database:
        freeing = threading.Timer(0.7, others[0].close)
        freeing.start()
        with database.read() as connection:
            assert connection.execute(ONE).scalar_one() == 1
        freeing.join()
    others[0] = taken(limited)
    with opened(limited) as database:
        begun = time.monotonic()
        with (
            Stopwatch() as watch,
            pytest.raises(DatabaseUnavailable, match=f"^too many connections for {limit}$"),
            database.write(wait_s=0.5),
        ):
            raise AssertionError("it was let in")
        assert time.monotonic() - begun > 0.3 and watch.took_s < 5
        caller.deadline.set(Deadline.in_s(0.2))
        with Stopwatch() as watch, pytest.raises(DatabaseUnavailable), database.read():
            raise AssertionError("it was let in")
        assert watch.took_s < 5, "a request waits as long as its answer has time"
    for other in others:
        other.close()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('FATAL:  too many connections for role "shop"', "too many connections for role"),
        ("FATAL:  sorry, too many clients already", "too many clients already"),
        (
            "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
            "remaining connection slots are reserved",
        ),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", "remaining"),
        ("FATAL:  no more connections allowed (max_client_conn)", "no more connections allowed"),
        ('FATAL:  password authentication failed for user "shop"', ""),
        ("could not connect to server: Connection refused", ""),
    ],
)
def test_p42_a_full_server_is_known_by_what_it_says_and_no_name_is_told_on(said: str, told: str) -> None:
    error = psycopg.OperationalError(said)
    assert is_full(error) == bool(told)
    assert in_words(error).startswith(told) and "shop" not in in_words(error)


def test_p42_only_a_lost_connection_is_called_lost() -> None:
    def raised(statement: str) -> Exception:
        with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(sqlite3.Error) as caught:
            connection.execute(statement)
        return caught.value

    for error in (raised("select * from orders"), psycopg.errors.UndefinedTable("orders")):
        assert in_words(error).startswith("its tables are not those that this version expects"), error
    with pytest.raises(psycopg.Error) as caught:
        psycopg.connect("postgresql://shop@127.0.0.1:1/shop?colour=red")
    assert in_words(caught.value) == "its address has an option that PostgreSQL does not know"
    assert in_words(psycopg.OperationalError("EOF detected")).startswith("the connection failed or was lost")


def test_p42_connections_are_opened_on_demand_up_to_the_bound_and_closed_when_idle(
    small: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = small
    monkeypatch.setattr(connections, "IDLE_S", 0.5)

    def count() -> int:
        query = "select count(*) from pg_stat_activity where application_name = 'retailops-channel' and datname = %s"
        with psycopg.connect(url) as observer:
            row = observer.execute(query, [url.rpartition("/")[2]]).fetchone()
        return int(row[0]) if row else 0

    with opened(url) as database:
        assert count() == 0
        with held(database, "a"), held(database, "b"), held(database, "c"):
            assert count() == 3
            with Stopwatch() as watch, pytest.raises(DatabaseBusy), database.write(wait_s=0.3):
                raise AssertionError("it was let in")
            assert watch.took_s < 3 and count() == 3
            assert "in use" in Readiness(database).why_not(), "nothing has come back yet"
        with database.read() as connection:
            connection.execute(ONE)
        with held(database, "a"), held(database, "b"), held(database, "c"):
            assert Readiness(database).why_not() == "", "a database that serves others is well"
        eventually(lambda: count() == 0)
        with database.read() as connection:
            assert connection.execute(ONE).scalar_one() == 1


def test_p42_whoever_waits_gets_the_next_connection_also_long_after_others_came(small: tuple[str, str]) -> None:
    with opened(small[0], at_most=2) as database, held(database, "a") as free_first, held(database, "b"):
        threading.Timer(5.0, free_first).start()
        with database.read() as connection:
            assert connection.execute(ONE).scalar_one() == 1


def test_p42_a_migration_counts_against_the_connections_of_its_process(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "ASK_EVERY_S", 0.0)  # so that it is seen asking
    upgraded: list[str] = []
    with opened(postgres_url, at_most=2) as database, psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", [migrating.ALONE_LOCK])
        upgrading = threading.Thread(target=lambda: upgraded.extend(database.upgrade()))
        upgrading.start()

        def others() -> int:
            query = "select count(*) from pg_stat_activity where datname = current_database() and pid <> %s"
            row = other.execute(query, [other.info.backend_pid]).fetchone()
            return int(row[0]) if row else 0

        waiting = "select 1 from pg_stat_activity where query like 'select pg_try_advisory_lock(%'"
        eventually(lambda: other.execute(waiting).fetchone())
        with held(database, "a"):
            assert others() == 2
            caller.channel.set("b")
            with pytest.raises(DatabaseBusy), database.write(wait_s=0.3):
                raise AssertionError("it was let in")
            assert others() == 2, "the migration has one of the two"
        other.execute("select pg_advisory_unlock_all()")
        upgrading.join(60)
        assert upgraded


def test_p42_a_migration_waits_for_a_connection_of_a_full_server(small: tuple[str, str]) -> None:
    _, limited = small
    others = [taken(limited) for _ in range(2)]
    with opened(limited) as database:
        freeing = threading.Timer(0.7, others[0].close)
        freeing.start()
        with database.alone() as connection:
            assert connection.execute(ONE).scalar_one() == 1
        freeing.join()
    others[1].close()


def test_p15_a_channel_whose_transactions_hang_leaves_the_others_a_connection(small: tuple[str, str]) -> None:
    with opened(small[0]) as database, held(database, "a"), held(database, "a"):
        caller.channel.set("a")
        with pytest.raises(DatabaseBusy), database.write(wait_s=0.1):
            raise AssertionError("it has all")
        caller.channel.set("b")
        with database.write(wait_s=10.0) as connection:
            connection.execute(ONE)


@pytest.mark.both_databases
def test_p42_a_thread_that_would_hold_two_connections_is_a_fault_of_ours(build_app: Callable[..., Flask]) -> None:
    """With every connection in such hands, all of them would wait for ever."""
    database: Database = build_app().extensions["works"].database
    for first, second in (
        (database.read, database.read),
        (database.write, database.read),
        (database.read, database.write),
    ):
        with pytest.raises(NestedTurn), first(), second():
            raise AssertionError("it was let in")
    with database.write() as connection:
        connection.execute(ONE)


def test_a_connection_that_was_cut_while_idle_is_replaced_and_costs_no_answer(small: tuple[str, str]) -> None:
    url, _ = small
    with opened(url) as database:
        for pause_s in (0.0, 1.0):
            with held(database, "a"), held(database, "b"), database.read() as connection:
                connection.execute(ONE)
            with psycopg.connect(url, autocommit=True) as administrator:
                ended = administrator.execute(
                    "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                    "where application_name = 'retailops-channel' and datname = current_database()"
                ).fetchall()
            assert ended == [(True,)] * 3
            time.sleep(pause_s)
            for _ in range(3):
                with database.read() as connection:
                    assert connection.execute(ONE).scalar_one() == 1
