"""Short writes share a commit: each returns after it, and none suffers from another's failure (R8)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from app.records import group_commit
from app.records.database import Database, DatabaseBusy, DatabaseConflict, DatabaseUnavailable
from app.records.group_commit import GroupCommit
from app.records.tables.operations import pauses
from tests.conftest import eventually

pytestmark = pytest.mark.both_databases

Work = Callable[[sa.Connection], str]


class Group:
    """A group that is under way until `go`, and the writes that have come meanwhile."""

    def __init__(self, database: Database) -> None:
        self.happened: list[str] = []
        self.commits = GroupCommit(lambda wait_s: database.write(wait_s=wait_s))
        self._threads = ThreadPoolExecutor(8)
        self._go, begun = threading.Event(), threading.Event()
        sa.event.listen(database.engine, "commit", lambda _: self.happened.append("commit"))

        def hold(connection: sa.Connection) -> str:
            begun.set()
            assert self._go.wait(10)
            return keep("first")(connection)

        self.first = self.begin(hold)
        assert begun.wait(10)
        self.happened.clear()

    def begin(self, work: Work, wait_s: float = 10.0) -> Future[str]:
        """Write on a thread of its own; back when it waits, or is under way."""
        is_first, waiting = not hasattr(self, "first"), self.commits.waiting
        future = self._threads.submit(self._write, work, wait_s)
        eventually(lambda: is_first or self.commits.waiting == waiting + 1)
        return future

    def go(self) -> None:
        """Let the first end."""
        self._go.set()
        self.first.result(10)

    def end(self) -> None:
        self._go.set()
        self._threads.shutdown()

    def _write(self, work: Work, wait_s: float) -> str:
        name = self.commits.run(work, wait_s)
        self.happened.append(name)
        return name


def keep(name: str) -> Work:
    def work(connection: sa.Connection) -> str:
        row = {"channel": name, "gateway": "", "at": datetime(2026, 2, 3, tzinfo=UTC), "who": "", "reason": ""}
        connection.execute(sa.insert(pauses), row)
        return name

    return work


def kept(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.execute(sa.select(pauses.c.channel)).scalars())


@pytest.fixture
def group(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Group]:
    monkeypatch.setattr(group_commit, "LONGEST_S", 10.0)
    made = Group(database)
    yield made
    made.end()


def test_p22_writes_share_a_commit_and_each_returns_after_it(database: Database, group: Group) -> None:
    ran: list[str] = []

    def noting(name: str) -> Work:
        def work(connection: sa.Connection) -> str:
            ran.append(name)
            return keep(name)(connection)

        return work

    others = [group.begin(noting(name)) for name in "dbca"]
    group.go()
    assert [write.result(10) for write in others] == list("dbca")
    assert ran == list("dbca"), "first come, first written"
    eventually(lambda: len(group.happened) == 7)
    assert group.happened.count("commit") == 2, "of the first and of all others"
    assert set(group.happened[group.happened.index("commit", 1) + 1 :]) >= set("abcd")
    assert kept(database) == [*"abcd", "first"]


def test_p22_no_write_returns_because_of_a_commit_that_failed(database: Database, group: Group) -> None:
    others = [group.begin(keep(name)) for name in "abc"]
    fails = iter([False, True])  # the commit of the first, and theirs

    @sa.event.listens_for(database.engine, "commit")
    def _fail(_: sa.Connection) -> None:
        if next(fails, False):
            raise DatabaseUnavailable("the connection was lost")

    group.go()
    assert [write.result(10) for write in others] == list("abc"), "each by itself"
    assert kept(database) == [*"abc", "first"]


@pytest.mark.parametrize("error", [ValueError("ours"), DatabaseConflict("two transactions met")])
def test_p34_a_write_that_fails_costs_no_other_one_of_its_group(
    database: Database, group: Group, error: Exception
) -> None:
    def fail(connection: sa.Connection) -> str:
        keep("undone")(connection)
        raise error

    others = [group.begin(work) for work in (keep("a"), fail, keep("b"))]
    group.go()
    assert [others[0].result(10), others[2].result(10)] == ["a", "b"]
    assert others[1].exception(10) is error
    assert kept(database) == ["a", "b", "first"]
    assert group.commits.run(keep("c"), 10.0) == "c"


def test_p7_a_write_waits_no_longer_than_its_time(database: Database, group: Group) -> None:
    late = group.begin(keep("late"), wait_s=0.05)
    assert isinstance(late.exception(10), DatabaseBusy)
    group.go()
    assert group.commits.run(keep("next"), 10.0) == "next"
    assert kept(database) == ["first", "next"]


def test_p26_a_write_that_was_given_up_is_not_written_after_a_newer_one(database: Database, group: Group) -> None:
    go = threading.Event()

    def slow(connection: sa.Connection) -> str:
        assert go.wait(10)
        return keep("slow")(connection)

    leads, given_up = group.begin(slow), group.begin(keep("given up"), wait_s=0.3)
    group.go()
    assert isinstance(given_up.exception(10), DatabaseUnavailable)
    go.set()
    assert leads.result(10) == "slow"
    assert kept(database) == ["first", "slow"]


def test_p15_a_group_that_has_run_for_its_time_takes_no_more(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "LONGEST_S", 0.0)
    others = [group.begin(keep(name)) for name in "abc"]
    group.go()
    assert [write.result(10) for write in others] == list("abc")
    eventually(lambda: group.happened.count("commit") == 4)
