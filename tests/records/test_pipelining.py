"""Statements that are sent with the COMMIT are part of its transaction, whatever becomes of it (R8)."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from app.records import pipelining
from app.records.database import Database, DatabaseConflict, DatabaseRefused, DatabaseUnavailable
from app.records.statements import Prepared, execute_later, texts
from app.records.tables.operations import pauses
from tests.databases import driver_url

pytestmark = pytest.mark.both_databases

GIVEN = {"gateway": "g", "at": 1, "who": "", "reason": ""}


def add(connection: sa.Connection, channel: Any, **given: Any) -> None:
    names = ("channel", "gateway", "at", "who", "reason")
    form = ":{}" if connection.dialect.name == "sqlite" else "%({})s"
    statement = f"insert into pauses ({', '.join(names)}) values ({', '.join(map(form.format, names))})"
    execute_later(connection, statement, {**GIVEN, "channel": channel, **given})


def kept(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.execute(sa.select(pauses.c.channel)).scalars())


def test_p22_what_is_sent_with_the_commit_is_kept_and_seen_by_the_next_statement(database: Database) -> None:
    for number in range(3):  # prepared by the first
        with database.write() as connection:
            add(connection, f"a{number}")
            add(connection, f"ü√{number}")
            chosen = sa.select(sa.func.count()).where(pauses.c.channel.like(f"%{number}"))
            assert connection.execute(chosen).scalar_one() == 2
            add(connection, f"c{number}")
    assert kept(database) == sorted(f"{name}{number}" for name in ("a", "ü√", "c") for number in range(3))


@pytest.mark.parametrize(
    ("flawed", "error"),
    [
        ({"channel": "first"}, DatabaseConflict),
        ({"channel": "a\ud800"}, DatabaseRefused),
        ({"at": 2**70}, DatabaseRefused),
        ({"who": None}, DatabaseRefused),
    ],
    ids=["a key that is taken", "no Unicode", "too large", "no null"],
)
@pytest.mark.parametrize("is_seen", [False, True], ids=["with the commit", "with the next statement"])
def test_p22_nothing_is_kept_where_any_of_it_fails(
    database: Database, flawed: dict[str, Any], error: type[Exception], is_seen: bool
) -> None:
    with database.write() as connection:
        add(connection, "first")
    with pytest.raises(error), database.write() as connection:
        add(connection, "before")
        add(connection, **{"channel": "flawed", **flawed})
        add(connection, "after")
        if is_seen:
            connection.execute(sa.select(pauses.c.channel)).all()
    assert kept(database) == ["first"]
    with database.write() as connection:
        add(connection, "next")
    assert kept(database) == ["first", "next"]


def test_p22_what_is_rolled_back_is_not_sent_with_a_later_commit(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        add(connection, "undone")
        raise ZeroDivisionError
    with database.write() as connection:
        add(connection, "next")
    assert kept(database) == ["next"]


def test_p5_a_connection_that_is_lost_before_the_commit_is_trouble_of_the_database(database: Database) -> None:
    if database.is_sqlite:
        return
    with pytest.raises(DatabaseUnavailable), database.write() as connection:
        process = connection.exec_driver_sql("select pg_backend_pid()").scalar_one()
        add(connection, "lost")
        with psycopg.connect(driver_url(database)) as other:
            other.execute("select pg_terminate_backend(%s, 5000)", [process])
    with database.write() as connection:
        add(connection, "next")
    assert kept(database) == ["next"]


def test_p5_more_than_a_socket_holds_is_sent(database: Database) -> None:
    with database.write() as connection:
        add(connection, "large", reason="x" * 10_000_000)
        add(connection, "next")
    assert kept(database) == ["large", "next"]


@pytest.mark.parametrize("is_later", [False, True], ids=["at once", "later"])
def test_p7_a_long_list_is_planned_for_itself(database: Database, is_later: bool) -> None:
    """In the plan that PostgreSQL keeps after five uses a push of 10,000 SKUs took longer than a statement may."""
    if database.is_sqlite:
        return  # it keeps no plans
    added = "insert into pauses select sku, 'g', 1, '', '' from unnest({}) as sku"
    prepared = Prepared(sa.text(added.format(":skus")).bindparams(texts("skus")))
    uses = 12
    for number in range(uses):
        with database.write() as connection:
            for length in (10, pipelining.LONG + 1):
                skus = [f"{number}-{length}-{at}" for at in range(length)]
                if is_later:
                    execute_later(connection, added.format("%(skus)s::text[]"), {"skus": skus})
                else:
                    prepared.execute(connection, {"skus": skus})
    with database.read() as connection:
        [prepared_uses] = connection.exec_driver_sql(
            "select generic_plans + custom_plans from pg_prepared_statements where statement like '%%pauses%%'"
        ).scalars()
        assert 0 < prepared_uses <= uses, "only those with few are prepared"
        count = connection.execute(sa.select(sa.func.count()).select_from(pauses)).scalar_one()
    assert count == uses * (10 + pipelining.LONG + 1)
