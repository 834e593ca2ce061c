"""A process that delivers is woken by those that accept, and looks as often as without where that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest

from app.records import wakeups
from app.records.database import Database
from app.records.wakeups import Listener, Notifier, may_listen
from tests.databases import open_database
from tests.postgres import PostgresServer
from tests.waiting import eventually

pytestmark = pytest.mark.postgresql

Opened = Callable[[str], Database]


@pytest.fixture
def opened() -> Iterator[Opened]:
    with ExitStack() as stack:

        def database(url: str) -> Database:
            found = open_database(url)
            stack.callback(found.close)
            return found

        yield database


def listening(stack: ExitStack, database: Database, tried_through: Database) -> tuple[Listener, threading.Event]:
    notifier, woken = Notifier(tried_through), threading.Event()
    stack.callback(notifier.stop)
    listener = Listener(database, notifier, woken.set)
    stack.callback(listener.stop)
    listener.start()
    return listener, woken


@pytest.fixture
def urls(postgres: PostgresServer, postgres_template: str) -> Iterator[tuple[str, str]]:
    with postgres.database(postgres_template) as first, postgres.database(postgres_template) as second:
        yield first, second


def test_p26_who_accepts_wakes_who_delivers_also_after_the_connection_was_lost(
    urls: tuple[str, str], opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "AGAIN_S", 0.05)
    mine, other = opened(urls[0]), opened(urls[0])
    with ExitStack() as stack:
        listener, woken = listening(stack, mine, mine)
        notifier = Notifier(other)
        stack.callback(notifier.stop)
        for is_lost in (False, True, False):
            eventually(lambda: listener.is_heard and woken.is_set())
            woken.clear()
            if is_lost:
                query = "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%'"
                with psycopg.connect(urls[0], autocommit=True) as operator:
                    operator.execute(query)
                eventually(woken.is_set)  # it looks once as soon as it listens again, for what came meanwhile
            else:
                notifier.notify()
                eventually(woken.is_set)


def test_p26_where_notifications_do_not_arrive_nobody_relies_on_them(
    urls: tuple[str, str], opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a pooler, which takes the request to listen and hands the connection to somebody else."""
    monkeypatch.setattr(wakeups, "ARRIVES_S", 0.2)
    monkeypatch.setattr(wakeups, "AGAIN_S", 0.05)
    mine, elsewhere = opened(urls[0]), opened(urls[1])
    tries: list[str] = []
    with ExitStack() as stack:
        notify = Notifier.notify
        monkeypatch.setattr(Notifier, "notify", lambda self, word="": (tries.append(word), notify(self, word))[1])
        listener, woken = listening(stack, mine, elsewhere)
        eventually(lambda: len(tries) == 3)
        assert not listener.is_heard and not woken.is_set()


@pytest.mark.parametrize(("connections", "may"), [(3, False), (4, True)])
def test_p42_who_has_few_connections_keeps_none_for_listening(
    urls: tuple[str, str], connections: int, may: bool
) -> None:
    with closing(open_database(urls[0], connections)) as own:
        assert may_listen(own) == may
