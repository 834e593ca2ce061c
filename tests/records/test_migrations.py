"""The records have one form on both databases, however a deployment got there (R27)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask

from app.errors import SettingsFault
from app.records import compatibility, migrating
from app.records.database import Database, DatabaseUnavailable, UnfitDatabase
from app.records.tables import metadata
from app.records.tables.server import schema_compatibility
from tests.databases import open_database
from tests.waiting import eventually

pytestmark = [pytest.mark.both_databases, pytest.mark.unmigrated]


BEGUN_WITH = ("alembic_version", "schema_compatibility", "heartbeat", "periodic_work")
"""Tables that have rows from the beginning."""


GROWS_WITH_MIGRATIONS = ("alembic_version", "schema_compatibility")


def test_p26_migrations_end_in_the_form_the_code_was_written_for(database: Database) -> None:
    assert database.pending() == database.upgrade()
    assert database.pending() == [] and database.is_ready()
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        assert compare_metadata(context, metadata) == []


def test_p26_a_filled_database_of_the_first_release_is_carried_over_whole(
    database: Database, build_app: Callable[..., Flask]
) -> None:
    database.upgrade(compatibility.chain()[0])
    first = sa.MetaData()
    with database.read() as connection:
        first.reflect(connection)
    for table in first.sorted_tables:
        if table.name not in BEGUN_WITH:
            with database.write() as connection:  # not all in one: a busy machine needs longer than one may take
                connection.execute(table.insert(), [_row(table, number) for number in (1, 2)])
    before = _contents(database, first)
    assert len(before) >= 30
    database.upgrade()
    assert _contents(database, first) == before
    app = build_app()
    assert app.test_client().get("/readyz").status_code == 200
    with database.write() as connection:  # numbers go on where they were
        connection.execute(sa.text("delete from deliveries"))
        connection.execute(sa.text("delete from commands where id = 1"))


def _row(table: sa.Table, number: int) -> dict[str, Any]:
    """A value of the right kind in every column; times of the past, states as the code writes them."""
    row: dict[str, Any] = {}
    for column in table.columns:
        if column.name == "state":
            row[column.name] = "owed" if table.name == "deliveries" else "open"
        elif column.name in ("id", "command_id", "operation_id"):
            row[column.name] = number
        elif isinstance(column.type, sa.Boolean):
            row[column.name] = False
        elif isinstance(column.type, sa.Integer):
            row[column.name] = number + (1_700_000_000_000 if isinstance(column.type, sa.BigInteger) else 0)
        elif isinstance(column.type, sa.Float):
            row[column.name] = float(number)
        elif isinstance(column.type, sa.LargeBinary):
            row[column.name] = b"[]"
        else:
            row[column.name] = f"{number} {column.name}"[: getattr(column.type, "length", None)]
    return row


def _contents(database: Database, tables: sa.MetaData) -> dict[str, list[Any]]:
    with database.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
            for table in tables.sorted_tables
            if table.name not in GROWS_WITH_MIGRATIONS
        }


def test_r27_processes_that_migrate_at_once_run_each_migration_once(database_url: str) -> None:
    ran: list[list[str]] = []

    def upgrade() -> None:
        own = open_database(database_url)
        ran.append(own.upgrade())
        own.close()

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ran) == [[], [], [], list(compatibility.chain())]


def test_r27_only_sqlite_migrates_itself_at_start(database: Database) -> None:
    if database.is_sqlite:
        database.prepare()
        assert database.is_ready()
        return
    with pytest.raises(SettingsFault, match="channel db upgrade"):
        database.prepare()
    database.upgrade()
    database.prepare()


def test_r27_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    database.upgrade()
    with database.write() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(SettingsFault, match="newer version"):
        database.prepare()


@pytest.mark.parametrize("has_kept", [False, True])
def test_r27_a_database_of_before_the_first_release_is_refused_and_says_what_to_do(
    database: Database, has_kept: bool
) -> None:
    """The oldest of them keep no word of their migrations, the last of them have theirs."""
    with database._connection() as connection, connection.begin():
        connection.execute(sa.text("create table alembic_version (version_num varchar(32) not null)"))
        connection.execute(sa.text("insert into alembic_version values ('0026')"))
        if has_kept:
            schema_compatibility.create(connection)
            connection.execute(schema_compatibility.insert(), {"revision": "0026", "usable_from": "0022"})
    for act in (database.prepare, database.pending, database.upgrade):
        with pytest.raises(UnfitDatabase, match=r"before the first release \(migration 0026\).*new database"):
            act()
    assert not database.is_ready()
    with database._connection() as connection:
        assert not sa.inspect(connection).has_table("deliveries"), "nothing of it was changed"


def say(database: Database, revision: str, usable_from: str = "") -> None:
    """What a newer version's migration leaves behind, as far as this code can see it."""
    with database._connection() as connection, connection.begin():
        connection.execute(sa.text("update alembic_version set version_num = :new"), {"new": revision})
        if usable_from:
            row = {"revision": revision, "usable_from": usable_from}
            connection.execute(schema_compatibility.insert(), row)


def test_p47_a_newer_database_is_used_by_the_code_it_names_and_by_no_other(
    database: Database, build_app: Callable[..., Flask]
) -> None:
    """At the start, at a restart, at a rollback (which runs `channel db upgrade` first), and while it serves."""
    database.upgrade()
    serving = build_app()
    assert serving.test_client().get("/readyz").status_code == 200
    for revision, usable_from, is_usable in [
        ("8001", compatibility.head(), True),
        ("8002", compatibility.chain()[0], True),
        ("8003", "8003", False),
        ("8004", compatibility.head(), False),  # 8003 has run as well
    ]:
        say(database, revision, usable_from)
        started = build_app()
        for app in (serving, started):
            reply = app.test_client().get("/readyz")
            assert reply.status_code == (200 if is_usable else 503)
            assert is_usable or ("8003" in reply.json["reason"] and "deploy the newer version" in reply.json["reason"])
            works = app.extensions["works"].database
            if is_usable:
                with works.write():
                    continue
            with pytest.raises(DatabaseUnavailable, match="8003"), works.read():
                pass
            with pytest.raises(DatabaseUnavailable, match="8003"), works.write():
                pass
        if is_usable:
            database.prepare()
            assert database.pending() == database.upgrade() == []
            continue
        for act in (database.prepare, database.pending, database.upgrade):
            with pytest.raises(UnfitDatabase, match="deploy the newer version again"):
                act()


def test_p47_every_migration_says_from_which_code_on_it_can_be_used(database: Database) -> None:
    database.upgrade()
    chain = compatibility.chain()
    walked = ScriptDirectory.from_config(compatibility.config()).walk_revisions()
    assert [script.revision for script in walked] == list(reversed(chain)), "the names of the files are in its order"
    with database.read() as connection:
        kept = dict(map(tuple, connection.execute(sa.select(schema_compatibility))))
    assert set(kept) == set(chain)
    for revision, usable_from in kept.items():
        assert usable_from in chain[: chain.index(revision) + 1], "itself or an older one"
        assert f'usable_from = "{usable_from}"' in _file(revision).read_text(), "and it is written down"


def _file(revision: str) -> Path:
    [found] = (compatibility.MIGRATIONS / "versions").glob(f"{revision}_*.py")
    return found


@pytest.mark.postgresql
def test_p47_what_old_code_cannot_live_with_waits_for_its_transactions_and_keeps_new_ones_out(
    database: Database,
) -> None:
    database.upgrade()
    database.prepare()
    if database.is_sqlite:
        return  # a migration is a transaction of the only writer
    lock = sa.text(f"select pg_try_advisory_lock({compatibility.MIGRATION_LOCK})")
    engine = sa.create_engine(database.url, poolclass=sa.NullPool)
    with engine.connect() as migrating:
        for use in (database.read, database.write):
            with use():
                assert not migrating.execute(lock).scalar_one()
        assert migrating.execute(lock).scalar_one()
        for use in (database.read, database.write):
            with pytest.raises(DatabaseUnavailable, match="migrated"), use():
                pass


@pytest.mark.postgresql
def test_p47_an_index_of_a_table_with_rows_waits_for_transactions_and_holds_up_none(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.is_sqlite:
        return  # a migration is a transaction of the only writer
    monkeypatch.setattr(migrating, "LOCK_MS", 50)
    monkeypatch.setattr(migrating, "TRY_FOR_S", 0)
    first, *others = compatibility.chain()
    database.upgrade(first)
    with database.read() as connection:
        of_before = set(sa.inspect(connection).get_table_names())
    database.upgrade(others[0])  # it adds columns
    sent: list[str] = []
    note = _noting(sent)
    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    engine = sa.create_engine(database.url, poolclass=sa.NullPool)
    waiting = sa.text("""
        select pg_stat_clear_snapshot(), count(*) from pg_stat_activity where wait_event = 'virtualxid'
        and query like 'CREATE INDEX%' and clock_timestamp() - query_start > interval '0.3 s'
    """)
    with ThreadPoolExecutor() as pool, engine.connect() as writer, engine.connect() as other:
        writer.execute(sa.text("lock table journal in row exclusive mode"))
        upgraded = pool.submit(database.upgrade)
        eventually(lambda: other.execute(waiting).one()[1])
        other.execute(sa.text("set local lock_timeout = 200"))
        other.execute(sa.text("lock table journal in row exclusive mode"))
        other.rollback()
        writer.rollback()
        assert upgraded.result(60) == others[1:]
    sa.event.remove(sa.Engine, "before_cursor_execute", note)
    made = [re.match(r"CREATE (UNIQUE )?INDEX (CONCURRENTLY )?\S+ ON (\w+)", statement) for statement in sent]
    indexes = [(found[2], found[3]) for found in made if found is not None]
    assert {table for _, table in indexes} >= {"journal", "refunds", "late_events", "stock"}
    assert all(is_concurrent for is_concurrent, table in indexes if table in of_before), indexes


def _noting(sent: list[str]) -> Callable[..., None]:
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    return note


def test_a_closed_database_opens_no_connection_any_more(database: Database) -> None:
    database.upgrade()
    database.close()
    eventually(lambda: not database.is_ready())
