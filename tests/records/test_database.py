"""The database: what is said when there can be none, and who ends the wait for one that hangs."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import caller
from app.errors import SettingsFault
from app.records import handed_out, held_orders, pulls
from app.records.database import Database, DatabaseBusy, DatabaseUnavailable
from app.records.engines import SQLITE_PAGE
from app.records.readiness import Readiness
from app.watchdog import Watchdog
from tests.databases import open_database
from tests.stopwatch import Stopwatch


def test_p23_a_database_folder_that_cannot_be_made_is_told_without_a_traceback() -> None:
    """`app.serving` tells these two kinds in a sentence; everything else reaches the operator as a traceback."""
    with pytest.raises((SettingsFault, DatabaseUnavailable)):
        Database("sqlite:////proc/no-such-folder/channel.db")


def test_p20_sqlites_files_are_nobody_elses(tmp_path: Path) -> None:
    """New ones from their first moment on, and those of a version before, whatever the umask is."""
    before = os.umask(0)
    try:
        for path in (tmp_path / "made" / "by_us" / "new.db", tmp_path / "old.db"):
            if path.name == "old.db":
                with closing(sqlite3.connect(path)) as connection:
                    connection.execute("create table t (x)")
                path.chmod(0o664)
                (tmp_path / "old.db.migrating").touch(0o666)
            database = Database(f"sqlite:///{path}")
            database.upgrade()
            with database.write() as connection:
                connection.exec_driver_sql("create table u (x)")
                names = {f"{path.name}{ending}" for ending in ("", "-wal", "-shm", ".migrating")}
                modes = {item.name: stat.S_IMODE(item.stat().st_mode) for item in path.parent.iterdir()}
                assert {modes[name] for name in names} == {0o600}, modes
            database.close()
        assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "made" / "by_us").stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_a_new_sqlite_file_has_pages_for_rows_of_orders(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path / 'new.db'}")) as database, database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA page_size").scalar_one() == SQLITE_PAGE


def test_p5_a_connection_that_is_lost_as_soon_as_it_is_made_is_trouble_of_the_database(tmp_path: Path) -> None:
    """And no fault of ours: the pool gives up after the second one with an error of its own."""
    database = Database(f"sqlite:///{tmp_path}/a.db")
    database.prepare()
    readiness = Readiness(database)

    @sa.event.listens_for(database.engine, "checkout")
    def _lose(*_: object) -> None:
        raise sa.exc.DisconnectionError

    for use in (database.read, database.write):
        with pytest.raises(DatabaseUnavailable, match="lost"), use():
            pass
    assert "lost" in readiness.why_not() and not database.is_ready()
    database.close()


def test_p24_a_nearly_full_disk_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's log would still take a small write, for its file does not shrink."""
    database = Database(f"sqlite:///{tmp_path}/a.db")
    database.prepare()
    readiness = Readiness(database)
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    monkeypatch.setattr("app.records.readiness.LEAST_FREE_BYTES", 2 * free)
    assert "nearly full" in readiness.why_not()
    monkeypatch.undo()
    assert readiness.why_not() == ""
    database.close()


def test_p7_a_forked_process_watches_its_own_uses_after_an_idle_while() -> None:
    """gunicorn's master uses the database before it forks its workers."""
    watch = Watchdog()
    mine, yours = socket.socketpair()
    watch.begin(mine.fileno(), 0.1).finish()
    child = os.fork()
    if child == 0:
        was_cut = False
        signal.alarm(20)
        try:
            watch.begin(mine.fileno(), 0.1).finish()
            time.sleep(0.5)
            watch.begin(mine.fileno(), 0.1)
            mine.settimeout(10)
            was_cut = mine.recv(1) == b""
        finally:
            os._exit(0 if was_cut else 1)
    _, status = os.waitpid(child, 0)
    mine.close()
    yours.close()
    assert status == 0


def test_r35_nothing_is_read_or_written_before_what_a_process_has_to_find_out_first(tmp_path: Path) -> None:
    """A database that was away at start: whose records are whose is not known yet."""
    database = Database(f"sqlite:///{tmp_path}/a.db")
    tries: list[str] = []

    def demand() -> None:
        with database.read() as connection:  # what it reads itself goes on
            connection.exec_driver_sql("select 1")
        tries.append(threading.current_thread().name)
        if len(tries) == 1:
            raise SettingsFault(["not yet"])
        time.sleep(0.2)

    def use() -> None:
        with database.read():
            assert len(tries) == 2

    database.before_use(demand)
    assert not database.is_ready()
    with ThreadPoolExecutor(8) as pool:
        for used in [pool.submit(use) for _ in range(8)]:
            used.result(10)
    assert len(tries) == 2
    database.close()


def test_p26_a_list_of_keys_as_one_parameter_is_found_by_the_index(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/a.db")
    database.prepare()
    named = {"of_channel": "a", "refnums": ["b"], "pull_ms": 1}
    for statement in (pulls._SET_ASIDE, pulls._KEPT, handed_out._KNOWN_REFNUMS, held_orders._LET_GO):
        with database.read() as connection:
            compiled = statement.compile(connection.dialect)
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled.text}", compiled.values(named)).all()
        assert str(plan).count("(channel=? AND refnum=?)") == (2 if statement is pulls._KEPT else 1), plan
    database.close()


def test_p32_the_log_is_emptied_without_keeping_writers_waiting_and_what_is_erased_is_never_denied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.records.database.LOG_WAIT_S", 0.1)
    database, beside = (Database(f"sqlite:///{tmp_path}/a.db") for _ in range(2))
    database.prepare()
    with Stopwatch() as watch:
        with beside.read() as reader:
            assert reader.exec_driver_sql("select count(*) from journal").scalar() == 0
            with database.write() as connection:
                connection.exec_driver_sql("create table t (x)")
            assert not database.empty_log(), "somebody reads what is older"
        with ThreadPoolExecutor(1) as pool, database.write() as connection:
            connection.exec_driver_sql("create table u (x)")
            assert not pool.submit(database.empty_log).result(10), "a writer of this process has its turn"
    assert watch.took_s < 3, "nobody waits as long as a locked file is waited for"
    assert database.empty_log() and Path(f"{tmp_path}/a.db-wal").stat().st_size == 0
    with database.read() as connection:
        assert connection.exec_driver_sql("pragma busy_timeout").scalar() == 5000

    @sa.event.listens_for(database.engine, "checkout")
    def _lose(*_: object) -> None:
        raise sa.exc.DisconnectionError

    assert not database.empty_log()
    database.close()
    assert not database.empty_log()
    beside.close()


@pytest.mark.both_databases
def test_a_page_that_reads_too_long_is_broken_off_and_the_next_user_of_its_connection_is_not(database_url: str) -> None:
    database = open_database(database_url, 2)
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n where i < {}) select count(*) from n"
    caller.read_limit_s.set(0.2)
    try:
        with (
            Stopwatch() as watch,
            pytest.raises(DatabaseBusy, match="took too long"),
            database.read() as connection,
        ):
            connection.exec_driver_sql(endless.format(10**9))
        assert watch.took_s < 3
    finally:
        caller.read_limit_s.set(None)
    with database.read() as connection:
        if not database.is_sqlite:
            assert connection.exec_driver_sql("show statement_timeout").scalar_one() == "6s"
        begun_s = time.monotonic()
        while time.monotonic() < begun_s + 0.3:
            assert connection.exec_driver_sql(endless.format(100_000)).scalar_one() == 100_000
    database.close()
