"""A database that stops, and one that is lost while a vendor has our call and its answer is still to be written."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress

import psycopg
from sqlalchemy.engine import make_url

from tests.system.chaos.storm import Scene

LONGEST_LOCK_S = 9.0


def stop_database(scene: Scene, rng: random.Random) -> bool:
    """The whole server, for a moment; not while its connections are being ended."""
    assert scene.database is not None
    if "database" in scene.under_way:
        return False
    injury = scene.stage.injuries.begin("database lost")
    scene.database.stop(is_crash=rng.random() < 0.5)
    time.sleep(rng.uniform(0.3, 2.0))
    scene.database.start()
    injury.ended_at = time.monotonic()
    return True


def lose_database(scene: Scene, rng: random.Random) -> bool:
    """After a call has reached the vendor and before its answer comes back (between T1 and T2)."""
    relay = scene.stage.relays[rng.choice(sorted(scene.stage.relays))]
    seconds = rng.uniform(0.0, 1.5) if scene.database else rng.uniform(1.0, LONGEST_LOCK_S)

    def lose() -> None:
        relay.hold("answers", are_sent=True)
        time.sleep(rng.uniform(0.2, 0.5))
        injury = scene.stage.injuries.begin("database lost")
        try:
            if scene.database is None:
                _lock(scene.stage.database_url, seconds, relay.release)
            else:
                _end_connections(scene.stage.database_url, seconds, relay.release)
        finally:
            relay.release()
            injury.ended_at = time.monotonic()

    if scene.under_way & {"network to pipe17", "network to rally"}:
        return False
    return scene.beside("database", lose)


def _lock(url: str, seconds: float, release: Callable[[], None]) -> None:
    """Another process, which we are, writes to the SQLite file and takes its time."""
    with closing(sqlite3.connect(make_url(url).database or "", timeout=1, isolation_level=None)) as connection:
        while True:
            try:
                connection.execute("begin immediate")
                break
            except sqlite3.OperationalError:  # a process that was stopped while it wrote holds the file
                release()
        release()
        time.sleep(seconds)
        connection.execute("rollback")


def _end_connections(url: str, seconds: float, release: Callable[[], None]) -> None:
    """As an operator or a failover does it; for a while also the new ones."""
    end_at = time.monotonic() + seconds
    is_first = True
    with psycopg.connect(url, autocommit=True) as connection:
        while is_first or time.monotonic() < end_at:
            with suppress(psycopg.Error):
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and pid <> pg_backend_pid()"
                )
            if is_first:
                release()
            is_first = False
            time.sleep(0.05)
