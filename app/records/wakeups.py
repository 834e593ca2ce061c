"""Wakes the process that delivers when another one has committed what is due: PostgreSQL's NOTIFY and LISTEN.

A notification is sent after the transaction that it is about, in one of its own: PostgreSQL commits transactions that
notify one after the other, so that all callbacks of the server would wait for each other's disk.  One that is lost
costs a delay and nothing else, for the tables are looked at every few seconds anyway.

Whoever listens keeps a connection for itself.  That notifications arrive is tried out now and then, for a pooler
between may take the request to listen and deliver nothing; until they do the tables are looked at as often as without.
"""

from __future__ import annotations

import logging
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from app.records.database import Database, DatabaseUnavailable

CHANNEL: Final = "retailops_channel_due"

APART_S: Final = 0.1
"""Notifications of one process are at least so long apart: however many callbacks it serves, others look this often."""

TRIED_EVERY_S: Final = 60.0
"""How often it is tried out whether notifications arrive."""

ARRIVES_S: Final = 3.0
"""How long one that is tried out may take."""

AGAIN_S: Final = 10.0
LONGEST_AGAIN_S: Final = 300.0
"""After how long a new connection is tried where none arrived, first and at most."""

LEFT: Final = 3
"""A process listens only if it has so many connections left besides."""

log = logging.getLogger(__name__)


def may_listen(database: Database) -> bool:
    """Whether a process has a connection for it."""
    return not database.is_sqlite and database.connections > LEFT


class Notifier:
    """Tells the processes that listen that something may be due.  Its thread begins with the first notification."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = threading.Condition(threading.Lock())
        self._pending: set[str] = set()
        self._thread: threading.Thread | None = None
        self._is_stopping = False

    def notify(self, content: str = "") -> None:
        """Send one soon; returns at once."""
        with self._changed:
            self._pending.add(content)
            if self._thread is None and not self._is_stopping:
                self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """Send what is left, and nothing more."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._is_stopping)
                if not self._pending:
                    return
                contents, self._pending = self._pending, set()
            try:
                self._send(contents)
            except DatabaseUnavailable:
                pass  # who listens looks by itself every few seconds
            except Exception:
                log.exception("a notification could not be sent")
            if not self._is_stopping:
                time.sleep(APART_S)

    def _send(self, contents: set[str]) -> None:
        with self._database.read() as connection:
            connection.execute(text("set local synchronous_commit = off"))  # nothing is written that could be lost
            for content in contents:
                connection.execute(_NOTIFY, {"content": content})


_NOTIFY = text(f"select pg_notify('{CHANNEL}', :content)")


class Listener:
    """Calls `on_notice` when a notification arrives."""

    def __init__(self, database: Database, notifier: Notifier, on_notice: Callable[[], None]) -> None:
        self._database = database
        self._notifier = notifier
        self._on_notice = on_notice
        self._stopping = threading.Event()
        self._ends: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._word = ""
        self.is_heard = False
        """True while notifications are known to arrive."""

    def start(self) -> None:
        """Begin; returns at once."""
        self._ends += socket.socketpair()
        self._thread.start()

    def stop(self) -> None:
        """Wait for none any more."""
        self._stopping.set()
        for end in self._ends[1:]:
            end.close()  # which wakes the one who waits at the other
            self._thread.join(1.0)
        for end in self._ends[:1]:
            end.close()

    def _run(self) -> None:
        pause_s = AGAIN_S
        while not self._stopping.is_set():
            was_heard = False
            try:
                with self._database.connected_apart(CHANNEL) as connection:
                    was_heard = self._listen(connection.execution_options(isolation_level="AUTOCOMMIT"))
            except (DatabaseUnavailable, SQLAlchemyError, OSError) as error:
                log.info("notifications cannot be received now (%s)", type(error).__name__)
            except Exception:
                log.exception("the listener failed")
            self.is_heard = False
            pause_s = AGAIN_S if was_heard else min(2 * pause_s, LONGEST_AGAIN_S)
            self._stopping.wait(pause_s)

    def _listen(self, connection: Connection) -> bool:
        """Until one that is tried out does not arrive; whether any did."""
        connection.execute(text(f"listen {CHANNEL}"))
        driver: Any = connection.connection.dbapi_connection
        was_heard = False
        while not self._stopping.is_set():
            self._word = secrets.token_hex(8)
            self._notifier.notify(self._word)
            if not self._await(driver.pgconn, ARRIVES_S, is_over=lambda: not self._word):
                log.info("notifications do not arrive; the tables are looked at more often instead")
                return was_heard
            was_heard = self.is_heard = True
            self._on_notice()  # what came before was perhaps not heard
            self._await(driver.pgconn, TRIED_EVERY_S, is_over=lambda: False)
        return was_heard

    def _await(self, connection: Any, wait_s: float, *, is_over: Callable[[], bool]) -> bool:
        """Take notifications for so long, or until it is over; whether it is.  Raises `OSError` where it was lost."""
        poll = select.poll()
        poll.register(connection.socket, select.POLLIN)
        poll.register(self._ends[0], select.POLLIN)
        give_up_at = time.monotonic() + wait_s
        while not is_over() and not self._stopping.is_set() and (left_s := give_up_at - time.monotonic()) > 0.0:
            if not poll.poll(left_s * 1000) or self._stopping.is_set():
                continue
            try:
                connection.consume_input()
            except Exception as error:
                raise ConnectionError("the server has gone") from error
            while (notice := connection.notifies()) is not None:
                content = notice.extra.decode()
                if content and content == self._word:
                    self._word = ""
                elif not content:
                    self._on_notice()
        return is_over()
