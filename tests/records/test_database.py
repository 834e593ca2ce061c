"""The database: what is said when there can be none, and who ends the wait for one that hangs."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.errors import SettingsFault
from app.records.database import Database, DatabaseUnavailable
from app.records.patience import Watch


def test_p23_a_database_folder_that_cannot_be_made_is_told_without_a_traceback() -> None:
    """`app.serving` tells these two kinds in a sentence; everything else reaches the operator as a traceback."""
    with pytest.raises((SettingsFault, DatabaseUnavailable)):
        Database("sqlite:////proc/no-such-folder/channel.db")


def test_p7_a_forked_process_watches_its_own_uses_after_an_idle_while() -> None:
    """gunicorn's master uses the database before it forks its workers."""
    watch = Watch()
    mine, yours = socket.socketpair()
    watch.end(watch.begin(mine.fileno(), 0.1))
    child = os.fork()
    if child == 0:
        was_cut = False
        signal.alarm(20)
        try:
            watch.end(watch.begin(mine.fileno(), 0.1))
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
