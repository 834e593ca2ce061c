"""Writes of a group keep their order and their time, whatever fails (P7, P15, P27); no database is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, cast

import pytest
from sqlalchemy import Connection

from app import caller
from app.records import group_commit
from app.records.database_errors import DatabaseConflict, DatabaseUnavailable
from app.records.group_commit import GroupCommit
from tests.waiting import eventually

Work = Callable[[Connection, Sequence[str]], Sequence[str]]


class Stage:
    """A group whose first commit takes until `go`."""

    def __init__(self, *, first_fails: bool = False) -> None:
        self.ran: list[list[str]] = []
        self.go, self._is_committing = threading.Event(), threading.Event()
        self._first_fails = first_fails
        self.commits = GroupCommit(self._transaction)
        self._threads = ThreadPoolExecutor(9)
        self.first = self.begin("first")
        assert self._is_committing.wait(10)

    @contextmanager
    def _transaction(self, wait_s: float, on_commit: Callable[[], None]) -> Iterator[Connection]:
        yield cast(Any, None)
        if not self._is_committing.is_set():
            self._is_committing.set()
            assert self.go.wait(10)
            if self._first_fails:
                raise DatabaseUnavailable("lost")
        on_commit()

    def work(self, _: Connection, names: Sequence[str]) -> Sequence[str]:
        self.ran.append(list(names))
        return names

    def begin(self, name: str, work: Work | None = None, wait_s: float = 10.0) -> Future[str]:
        """A write on a thread of its own."""
        return self._threads.submit(self.commits.run, work or self.work, name, wait_s)

    def begin_all(self, names: str, work: Work | None = None) -> Future[list[str]]:
        """Writes of one thread, each begun while those before it wait: what came of them, in the order they ended."""
        left, came = list(names), list[str]()

        def begin() -> None:
            came.append(self.commits.run(work or self.work, left.pop(0), 10.0))

        def meanwhile() -> None:
            while left:
                copy_context().run(begin)

        def write() -> list[str]:
            caller.meanwhile.set(meanwhile)
            meanwhile()
            return came

        return self._threads.submit(write)

    def run(self, work: Callable[[], object]) -> Future[object]:
        return self._threads.submit(work)

    def end(self) -> None:
        self.go.set()
        self._threads.shutdown()


Stages = Callable[..., Stage]


@pytest.fixture
def stages() -> Iterator[Stages]:
    made: list[Stage] = []

    def make(**settings: bool) -> Stage:
        made.append(Stage(**settings))
        return made[-1]

    yield make
    for stage in made:
        stage.end()


def test_p27_writes_of_one_thread_that_fail_together_are_written_in_their_order(stages: Stages) -> None:
    stage = stages()

    def alone(connection: Connection, names: Sequence[str]) -> Sequence[str]:
        if len(names) > 1:
            raise DatabaseConflict("met")
        return stage.work(connection, names)

    came = stage.begin_all("abc", alone)
    eventually(lambda: stage.commits.waiting == 2)
    stage.go.set()
    assert came.result(10) == list("cba") and stage.ran == [["first"], ["a"], ["b"], ["c"]]


def test_p34_each_of_them_fails_by_itself(stages: Stages) -> None:
    stage = stages()

    def refuse_a(connection: Connection, names: Sequence[str]) -> Sequence[str]:
        if "a" in names:
            raise ValueError("ours")
        return stage.work(connection, names)

    came = stage.begin_all("abc", refuse_a)
    eventually(lambda: stage.commits.waiting == 2)
    stage.go.set()
    assert isinstance(came.exception(10), ValueError) and stage.ran == [["first"], ["b"], ["c"]]


def test_p27_a_commit_that_fails_takes_no_write_from_a_thread_that_leads(stages: Stages) -> None:
    stage = stages(first_fails=True)
    came = stage.begin_all("ab")
    eventually(lambda: stage.commits.waiting == 1)
    stage.go.set()
    assert came.result(10) == list("ba") and stage.ran == [["first"], ["a", "b"]]


def test_p7_a_write_that_is_under_way_is_waited_for_a_little_longer_than_its_time(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "LATE_S", 0.3)
    stage, go, begun = stages(), threading.Event(), threading.Event()

    def slow(_: Connection, names: Sequence[str]) -> Sequence[str]:
        begun.set()
        assert go.wait(10)
        return names

    leads = stage.begin("leads", slow)
    eventually(lambda: bool(stage.commits._waiting))
    since_s = time.monotonic()
    late = stage.begin("late", slow, 2.0)
    eventually(lambda: stage.commits.waiting == 1)
    stage.go.set()
    assert begun.wait(10)
    with pytest.raises(DatabaseUnavailable, match="a commit takes too long"):
        late.result(10)
    assert time.monotonic() - since_s >= 2.3
    go.set()
    assert leads.result(10) == "leads"


def test_p27_whoever_follows_one_that_gave_up_waits_for_the_commit_before(stages: Stages) -> None:
    stage = stages()
    with pytest.raises(DatabaseUnavailable):
        stage.begin("late", wait_s=0.05).result(10)
    follows = stage.begin("a")
    eventually(lambda: stage.commits._is_led)
    assert stage.ran == [["first"]]
    stage.go.set()
    assert follows.result(10) == "a"


def test_p15_a_write_for_another_channel_waits_for_no_group_of_its_thread(stages: Stages) -> None:
    stage, other = stages(), stages()
    other.go.set()
    other.first.result(10)

    def meanwhile() -> None:
        caller.meanwhile.set(lambda: None)
        other.commits.run(other.work, "inner", 10.0)

    def outer() -> str:
        caller.meanwhile.set(meanwhile)
        return stage.commits.run(stage.work, "outer", 10.0)

    written = stage.run(outer)
    eventually(lambda: ["inner"] in other.ran)
    assert not written.done(), "its own group waits for the first one"
    stage.go.set()
    assert written.result(10) == "outer"


def test_p7_one_that_was_begun_meanwhile_begins_none_where_an_outer_one_has_little_time(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "PATIENT_S", 0.5)
    stage, begun = stages(), list[str]()

    def inner() -> None:
        begun.append("inner")
        time.sleep(0.6)
        caller.meanwhile.set(lambda: begun.append("too late"))
        with pytest.raises(DatabaseUnavailable):
            stage.commits.run(stage.work, "inner", 30.0)

    def outer() -> None:
        caller.meanwhile.set(inner)
        with pytest.raises(DatabaseUnavailable):
            stage.commits.run(stage.work, "outer", 1.0)

    stage.run(outer).result(10)
    stage.go.set()
    assert begun == ["inner"]


def test_p15_a_group_has_so_many_writes_at_most(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MOST", 2)
    stage = stages()
    written: list[Future[str]] = []
    for number, name in enumerate("abcd", 1):
        written.append(stage.begin(name))
        eventually(lambda number=number: len(stage.commits._waiting) == number)  # type: ignore[misc]
    stage.go.set()
    assert [each.result(10) for each in written] == list("abcd")
    assert stage.ran[1:] == [["a", "b"], ["c", "d"]]
