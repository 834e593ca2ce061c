"""The records have one form on both databases, however a deployment got there (R27)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask

from app.errors import SettingsFault
from app.records import compatibility
from app.records.database import Database, DatabaseUnavailable, UnfitDatabase
from app.records.tables import metadata
from app.records.tables.server import schema_compatibility
from app.settings import load_database_url
from tests.conftest import eventually

pytestmark = [pytest.mark.both_databases, pytest.mark.unmigrated]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Empty: no migration has run."""
    opened = open_database(database_url)
    yield opened
    opened.close()


def open_database(url: str) -> Database:
    return Database(load_database_url({"APP_ENV": "development", "DATABASE_URL": url}))


def test_p26_migrations_end_in_the_form_the_code_was_written_for(database: Database) -> None:
    assert database.pending() == database.upgrade()
    assert database.pending() == [] and database.is_ready()
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        assert compare_metadata(context, metadata) == []


def test_p26_a_filled_database_of_the_first_form_is_carried_over_whole(
    database: Database, database_url: str, build_app: Callable[..., Flask]
) -> None:
    database.upgrade("0001")
    assert not database.is_ready()
    first = sa.MetaData()
    with database.write() as connection:
        first.reflect(connection)
        for table in first.sorted_tables:
            if table.name != "alembic_version":
                connection.execute(table.insert(), [_row(table, number) for number in (1, 2)])
        connection.execute(sa.text("update handed_out set retailops_order_id = '+007.0' where refnum = 'refnum 1'"))
    before = _contents(database, first)
    assert len(before) >= 8
    database.upgrade()
    assert repr(_contents(database, first)) == repr(before).replace("+007.0", "7"), "RetailOps' numbers are in form"
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
        elif column.name in ("id", "command_id"):
            row[column.name] = number
        elif isinstance(column.type, sa.Boolean):
            row[column.name] = False
        elif isinstance(column.type, sa.Integer):
            row[column.name] = 1_700_000_000_000 if isinstance(column.type, sa.BigInteger) else number
        elif isinstance(column.type, sa.LargeBinary):
            row[column.name] = b"[]"
        else:
            row[column.name] = f"{column.name[:8]} {number}"
    return row


def _contents(database: Database, tables: sa.MetaData) -> dict[str, list[Any]]:
    with database.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
            for table in tables.sorted_tables
            if table.name != "alembic_version"
        }


def test_p26_numbers_that_goods_have_stay_their_skus_and_new_ones_are_beyond_them(database: Database) -> None:
    database.upgrade("0009")
    before = sa.MetaData()
    skus = {3: "A", 5: "", 9: "B"}
    with database.write() as connection:
        before.reflect(connection, only=["catalogue"])
        row = {"channel": "first", "item": b"{}", "is_enabled": True, "changed_at": 0}
        connection.execute(
            before.tables["catalogue"].insert(),
            [row | {"number": number, "key": f"k{number}", "root_key": f"k{number}", "sku": sku, "title": ""}
             for number, sku in skus.items()],
        )  # fmt: skip
    database.upgrade()
    with database.write() as connection:
        found = connection.execute(sa.text("select number, name, key from sku_numbers order by number")).all()
        assert [tuple(row) for row in found] == [(3, "A", "k3"), (5, "k5", "k5"), (9, "B", "k9")]
        assert connection.execute(sa.text("select count(*) from catalogue where sku_number = number")).scalar() == 3
        added = sa.text("insert into sku_numbers (channel, name, key) values ('first', 'C', 'k') returning number")
        assert connection.execute(added).scalar_one() == 10


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
    assert sorted(map(len, ran))[:3] == [0, 0, 0] and max(map(len, ran)) >= 4


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
        ("8002", compatibility.chain()[3], True),
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
    since = chain.index("0025")
    with database.read() as connection:
        kept = dict(map(tuple, connection.execute(sa.select(schema_compatibility))))
    assert set(kept) == set(chain[since:])
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


def test_a_closed_database_opens_no_connection_any_more(database: Database) -> None:
    database.upgrade()
    database.close()
    eventually(lambda: not database.is_ready())


def test_p26_what_an_unrecorded_attempt_sent_is_carried_over_to_a_column_of_its_own(database: Database) -> None:
    database.upgrade("0026")
    kept = {"CLEAN": b"7", "NEVER": None, "BOTH": b'{"a":1}\0[["internal","A",0,0]]', "FIRST": b"\0[]"}
    with database.write() as connection:
        insert = sa.text(
            "insert into stock (channel, gateway, sku, level, seq, sent) values ('c', 'g', :sku, :level, 1, :sent)"
        )
        connection.execute(insert, [{"sku": sku, "level": b"[1]", "sent": sent} for sku, sent in kept.items()])
    database.upgrade()
    with database.read() as connection:
        rows = connection.execute(sa.text("select sku, sent, uncertain from stock"))
        found = {row.sku: (row.sent and bytes(row.sent), row.uncertain and bytes(row.uncertain)) for row in rows}
    assert found == {
        "CLEAN": (b"7", None),
        "NEVER": (None, None),
        "BOTH": (b'{"a":1}', b'[["internal","A",0,0]]'),
        "FIRST": (None, b"[]"),
    }
