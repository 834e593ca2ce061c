"""Short writes share a commit: each returns after it, and none suffers from another's failure (R8)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from app import caller
from app.records import group_commit
from app.records.database import Database, DatabaseBusy, DatabaseConflict, DatabaseUnavailable
from app.records.group_commit import GroupCommit
from app.records.tables.operations import pauses
from app.settings import load_database_url
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases

Work = Callable[[sa.Connection, Sequence[str]], Sequence[str]]


class Group:
    """A group that is under way until `go`, and the writes that have come meanwhile."""

    def __init__(self, database: Database) -> None:
        self.happened: list[str] = []
        self.commits = GroupCommit(lambda wait_s, on_commit: database.write(wait_s=wait_s, on_commit=on_commit))
        self._threads = ThreadPoolExecutor(8)
        self._go, begun = threading.Event(), threading.Event()
        sa.event.listen(database.engine, "commit", lambda _: self.happened.append("commit"))

        def hold(connection: sa.Connection, names: Sequence[str]) -> Sequence[str]:
            begun.set()
            assert self._go.wait(10)
            return keep(connection, names)

        self.first = self.begin("first", hold)
        assert begun.wait(10)
        self.happened.clear()

    def begin(self, name: str, work: Work | None = None, wait_s: float = 10.0) -> Future[str]:
        """Write on a thread of its own, None: `keep` the name; back when it waits, is under way, or has given up."""
        is_first, waiting = not hasattr(self, "first"), self.commits.waiting
        future = self._threads.submit(self._write, work or keep, name, wait_s)
        eventually(lambda: is_first or self.commits.waiting == waiting + 1 or future.done())
        return future

    def go(self) -> None:
        """Let the first end."""
        self._go.set()
        self.first.result(10)

    def end(self) -> None:
        self._go.set()
        self._threads.shutdown()

    def _write(self, work: Work, name: str, wait_s: float) -> str:
        name = self.commits.run(work, name, wait_s, rows=len(name))
        self.happened.append(name)
        return name


def keep(connection: sa.Connection, names: Sequence[str]) -> Sequence[str]:
    at = datetime(2026, 2, 3, tzinfo=UTC)
    rows = [{"channel": name, "gateway": "", "at": at, "who": "", "reason": ""} for name in names]
    connection.execute(sa.insert(pauses), rows)
    return names


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
    ran: list[Sequence[str]] = []

    def noting(connection: sa.Connection, names: Sequence[str]) -> Sequence[str]:
        ran.append(names)
        return keep(connection, names)

    others = [group.begin(name, noting) for name in "dbca"]
    group.go()
    assert [write.result(10) for write in others] == list("dbca")
    assert ran == [list("dbca")], "first come, first written, and together"
    eventually(lambda: len(group.happened) == 7)
    assert group.happened.count("commit") == 2, "of the first and of all others"
    assert set(group.happened[group.happened.index("commit", 1) + 1 :]) >= set("abcd")
    assert kept(database) == [*"abcd", "first"]


def test_p22_no_write_returns_because_of_a_commit_that_failed(database: Database, group: Group) -> None:
    others = [group.begin(name) for name in "abc"]
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
    def keep_all_but(connection: sa.Connection, names: Sequence[str]) -> Sequence[str]:
        keep(connection, names)
        if "undone" in names:
            raise error
        return names

    others = [group.begin(name, keep_all_but) for name in ("a", "undone", "b")]
    group.go()
    assert [others[0].result(10), others[2].result(10)] == ["a", "b"]
    assert others[1].exception(10) is error
    assert kept(database) == ["a", "b", "first"]
    assert group.commits.run(keep, "c", 10.0) == "c"


def test_p7_a_write_waits_no_longer_than_its_time(database: Database, group: Group) -> None:
    late = group.begin("late", wait_s=0.05)
    assert isinstance(late.exception(10), DatabaseBusy)
    group.go()
    assert group.commits.run(keep, "next", 10.0) == "next"
    assert kept(database) == ["first", "next"]


def test_p26_a_write_that_was_given_up_is_not_written_after_a_newer_one(database: Database, group: Group) -> None:
    go = threading.Event()

    def slow(connection: sa.Connection, names: Sequence[str]) -> Sequence[str]:
        assert go.wait(10)
        return keep(connection, names)

    leads, given_up = group.begin("slow", slow), group.begin("given up", wait_s=0.3)
    group.go()
    assert isinstance(given_up.exception(10), DatabaseUnavailable)
    go.set()
    assert leads.result(10) == "slow"
    assert kept(database) == ["first", "slow"]


def test_p15_a_group_that_has_run_for_its_time_takes_no_more(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "LONGEST_S", 0.0)
    monkeypatch.setattr(group_commit, "AT_ONCE", 1)
    others = [group.begin(name) for name in "abc"]
    group.go()
    assert [write.result(10) for write in others] == list("abc")
    eventually(lambda: group.happened.count("commit") == 4)


def test_p15_what_is_written_together_has_few_rows_and_the_next_share_the_commit(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "AT_ONCE", 3)
    ran: list[Sequence[str]] = []

    def noting(connection: sa.Connection, names: Sequence[str]) -> Sequence[str]:
        ran.append(names)
        return keep(connection, names)

    others = [group.begin(name, noting) for name in ("ab", "c", "de", "fghi", "j", "k")]
    group.go()
    assert [write.result(10) for write in others] == ["ab", "c", "de", "fghi", "j", "k"]
    assert ran == [["ab", "c"], ["de"], ["fghi"], ["j", "k"]]
    eventually(lambda: group.happened.count("commit") == 2)


class OneThread:
    """Writes of several requests that one thread has begun, each while those before it wait."""

    def __init__(self, commits: GroupCommit, work: Work) -> None:
        self._commits = commits
        self._work = work
        self._left: list[str] = []
        self.came_of: dict[str, str | Exception] = {}

    def write(self, names: str) -> None:
        """All of them, each letter a request; back when all of them have ended."""
        self._left = list(names)
        caller.meanwhile.set(self._begin_others)
        self._begin_others()

    def _begin_others(self) -> None:
        while self._left:
            copy_context().run(self._begin, self._left.pop(0))

    def _begin(self, name: str) -> None:
        try:
            self.came_of[name] = self._commits.run(self._work, name, 10.0)
        except Exception as error:
            self.came_of[name] = error


def test_p22_p27_writes_of_one_thread_share_a_commit_in_their_order(database: Database, group: Group) -> None:
    ran: list[Sequence[str]] = []

    def noting(connection: sa.Connection, names: Sequence[str]) -> Sequence[str]:
        ran.append(names)
        return keep(connection, names)

    together = OneThread(group.commits, noting)
    with ThreadPoolExecutor(1) as threads:
        written = threads.submit(together.write, "abc")
        eventually(lambda: group.commits.waiting == 3)
        other = group.begin("d", noting)
        group.go()
        written.result(10)
        assert other.result(10) == "d"
    assert together.came_of == {"a": "a", "b": "b", "c": "c"}
    assert ran == [list("abcd")], "whoever leads takes what all threads wait for, first come, first written"
    ran.clear()
    group.happened.clear()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(together.write, "efg").result(10)
    assert ran == [list("efg")] and group.happened.count("commit") == 1
    assert kept(database) == sorted([*"abcdefg", "first"])


def test_p22_a_group_ends_while_a_thread_of_which_a_write_waits_begins_another(
    database: Database, group: Group
) -> None:
    go_on, came_of = threading.Event(), list[str]()

    def meanwhile() -> None:
        caller.meanwhile.set(lambda: None)
        assert go_on.wait(10)
        came_of.append(group.commits.run(keep, "inner", 10.0))

    def write() -> str:
        caller.meanwhile.set(meanwhile)
        return group.commits.run(keep, "outer", 10.0)

    with ThreadPoolExecutor(1) as threads:
        written = threads.submit(write)
        eventually(lambda: group.commits.waiting == 1)
        group.go()
        go_on.set()
        assert written.result(10) == "outer"
    assert came_of == ["inner"] and kept(database) == ["first", "inner", "outer"]


def test_p7_a_write_keeps_to_its_own_time_whatever_its_thread_has_begun(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "PATIENT_S", 0.5)
    came_of: list[str] = []

    def run(name: str, wait_s: float) -> None:
        with pytest.raises(DatabaseBusy):
            group.commits.run(keep, name, wait_s)
        came_of.append(name)

    def outer(wait_s: float) -> None:
        caller.meanwhile.set(begin_inner)
        run("outer", wait_s)

    def begin_inner() -> None:
        caller.meanwhile.set(lambda: None)
        run("inner", 30.0)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(outer, 1.0).result(10)
        assert came_of == ["inner", "outer"], "both have given up while the first group goes on"
        came_of.clear()
        threads.submit(outer, 0.2).result(10)
        assert came_of == ["outer"], "one that has little time left begins none"


def test_p26_a_write_whose_thread_fails_before_it_waits_is_not_written(database: Database, group: Group) -> None:
    def fail() -> None:
        raise MemoryError

    def write() -> None:
        caller.meanwhile.set(fail)
        group.commits.run(keep, "undone", 10.0)

    with ThreadPoolExecutor(1) as threads, pytest.raises(MemoryError):
        threads.submit(write).result(10)
    group.go()
    assert group.commits.run(keep, "next", 10.0) == "next" and kept(database) == ["first", "next"]


def test_p34_a_write_that_fails_costs_no_other_one_of_its_thread(database: Database, group: Group) -> None:
    def keep_all_but(connection: sa.Connection, names: Sequence[str]) -> Sequence[str]:
        keep(connection, names)
        if "b" in names:
            raise ValueError("ours")
        return names

    together = OneThread(group.commits, keep_all_but)
    with ThreadPoolExecutor(1) as threads:
        written = threads.submit(together.write, "abc")
        eventually(lambda: group.commits.waiting == 3)
        group.go()
        written.result(10)
    assert isinstance(together.came_of.pop("b"), ValueError)
    assert together.came_of == {"a": "a", "c": "c"} and kept(database) == [*"ac", "first"]
    assert group.commits.run(keep, "next", 10.0) == "next"


def test_p15_a_write_for_another_channel_waits_for_none_of_its_thread(database: Database, group: Group) -> None:
    other = GroupCommit(lambda wait_s, on_commit: database.write(wait_s=wait_s, on_commit=on_commit))
    came_of: list[str] = []

    def meanwhile() -> None:
        caller.meanwhile.set(lambda: None)
        came_of.append(other.run(keep, "inner", 10.0))

    def write() -> str:
        caller.meanwhile.set(meanwhile)
        return group.commits.run(keep, "outer", 10.0)

    group.go()
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(write).result(10) == "outer"
    assert came_of == ["inner"] and kept(database) == ["first", "inner", "outer"]
    assert not other.waiting and not group.commits.waiting


class SlowCommit:
    """A group whose first commit takes until `go`."""

    def __init__(self, database: Database) -> None:
        self.ran: list[Sequence[str]] = []
        self.commits = GroupCommit(self._transaction)
        self.threads = ThreadPoolExecutor(8)
        self.go, self._is_committing = threading.Event(), threading.Event()
        self.fails: Iterator[bool] = iter(())
        """Whether the first commit fails, and those after it."""
        self._begun = threading.Semaphore(0)
        self._database = database
        kept(database)  # the first use of SQLite also commits where its clock begins
        sa.event.listen(database.engine, "commit", self._commit)
        self.first = self.begin("first")
        assert self._is_committing.wait(10) and self._begun.acquire(timeout=10)

    def await_begin(self) -> None:
        """The next transaction has begun; on SQLite it cannot before the first has ended."""
        assert self._database.is_sqlite or self._begun.acquire(timeout=10)

    @contextmanager
    def _transaction(self, wait_s: float, on_commit: Callable[[], None]) -> Iterator[sa.Connection]:
        with self._database.write(wait_s=wait_s, on_commit=on_commit) as connection:
            self._begun.release()
            yield connection

    def begin(self, name: str, wait_s: float = 10.0) -> Future[str]:
        return self.threads.submit(self.commits.run, self.work, name, wait_s)

    def work(self, connection: sa.Connection, names: Sequence[str]) -> Sequence[str]:
        self.ran.append(names)
        return keep(connection, names)

    def _commit(self, _: sa.Connection) -> None:
        self._is_committing.set()
        assert self.go.wait(10)
        if next(self.fails, False):
            raise DatabaseUnavailable("the connection was lost")


@pytest.fixture
def slow(database_url: str) -> Iterator[SlowCommit]:
    """With connections enough for two groups of a channel at once."""
    database = Database(load_database_url({"APP_ENV": "development", "DATABASE_URL": database_url}), connections=8)
    made = SlowCommit(database)
    yield made
    made.go.set()
    made.threads.shutdown()
    database.close()


def test_p22_what_comes_during_a_commit_is_the_next_group_whoever_has_begun_it(slow: SlowCommit) -> None:
    leads = slow.begin("a")
    slow.await_begin()
    others = [slow.begin(name) for name in "bc"]
    eventually(lambda: slow.commits.waiting == 2)
    assert slow.ran == [["first"]]
    slow.go.set()
    assert [write.result(10) for write in (slow.first, leads, *others)] == ["first", *"abc"]
    assert [sorted(names) for names in slow.ran] == [["first"], list("abc")]


def test_p22_a_commit_that_fails_keeps_no_thread_waiting_that_has_several_writes(
    database: Database, slow: SlowCommit
) -> None:
    """The thread is to lead the next group with its last write, and its other ones fail with the group before."""
    together = OneThread(slow.commits, slow.work)
    written = slow.threads.submit(together.write, "ab")
    eventually(lambda: slow.commits.waiting == 1)
    others = [slow.begin(name) for name in "cd"]
    eventually(lambda: slow.commits.waiting == 3)
    slow.fails = iter([True])
    slow.go.set()
    assert isinstance(slow.first.exception(10), DatabaseUnavailable)
    written.result(10)
    assert together.came_of == {"a": "a", "b": "b"} and [write.result(10) for write in others] == list("cd")
    assert kept(database) == list("abcd") and slow.commits.run(slow.work, "e", 10.0) == "e"


def test_p22_a_commit_that_fails_takes_nothing_from_whoever_has_begun_the_next_group(
    database: Database, slow: SlowCommit
) -> None:
    leads = slow.begin("a")
    slow.await_begin()
    others = [slow.begin(name) for name in "bc"]
    eventually(lambda: slow.commits.waiting == 2)
    slow.fails = iter([True])
    slow.go.set()
    assert isinstance(slow.first.exception(10), DatabaseUnavailable)
    assert [write.result(10) for write in (leads, *others)] == list("abc")
    assert kept(database) == list("abc")


def test_p7_who_begins_the_next_group_waits_no_longer_than_its_time(database: Database, slow: SlowCommit) -> None:
    late = slow.begin("late", wait_s=0.05)
    assert isinstance(late.exception(10), DatabaseBusy)
    others = [slow.begin(name) for name in "ab"]
    slow.go.set()
    assert [write.result(10) for write in (slow.first, *others)] == ["first", *"ab"]
    assert kept(database) == [*"ab", "first"]
