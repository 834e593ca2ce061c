"""The thread of the event loop answers what is known to be short, and gives the loop away where it is not (P15)."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app import caller
from app.callbacks import leading, short_requests
from app.callbacks.short_requests import LONG_WAIT_S, MOST_BYTES, SHORT_COMMIT_S, ShortRequests
from app.callbacks.threads import Threads
from app.logs import request_id
from tests.callbacks.worker_stage import Staged, answer, post, staged, told
from tests.waiting import eventually


class Shop:
    """An application whose answers name the thread they come from, and which can be had to wait."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.waits_in = ""
        self.shares_commit = False
        """Whether a request waits for others of its thread, as one does that shares a commit with them."""
        self.waiting: list[str] = []
        self.most_waiting: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        name = threading.current_thread().name
        if self.shares_commit:
            request_id.set(environ["HTTP_X_REQUEST_ID"])
            self.waiting.append(request_id.get())
            self.most_waiting = max(self.most_waiting, list(self.waiting), key=len)
            caller.meanwhile.get()()
            caller.commit_s.set(0.001)
            environ["QUERY_STRING"] = request_id.get()
            self.waiting.remove(request_id.get())
        if environ["PATH_INFO"] in ("/short", "/brief") and not self.may_answer.is_set():
            self.waits_in = name
            self.may_answer.wait()
        environ["PATH_INFO"] = name
        return told(environ, start_response)


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    """A thread that goes on with the loop takes the interpreter from all tests that follow in this process."""
    yield
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("loop-")])


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def stage(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Staged]:
    monkeypatch.setattr(short_requests, "SHORT_CPU_S", 60.0)  # on a busy machine everything takes long
    monkeypatch.setattr(short_requests, "SHORT_WAIT_S", 60.0)
    monkeypatch.setattr(short_requests, "LONG_WAIT_S", 60.0)
    monkeypatch.setattr(leading, "LONG_S", 60.0)
    with staged(shop, threads=8) as stage:
        try:
            yield stage
        finally:
            shop.may_answer.set()


def _thread(stage: Staged, body: bytes = b"", *headers: str, target: str = "/short") -> str:
    """Which thread answers a request."""
    with stage.connect() as line:
        line.sendall(post(body, *headers, target=target))
        _, given = answer(line)
        return str(given["path"]).partition("-")[0]


def _learn(stage: Staged, target: str = "/short") -> None:
    assert _thread(stage, target=target) == "requests"
    eventually(lambda: _thread(stage, target=target) == "loop")


def test_a_request_known_to_be_short_is_answered_by_the_thread_of_the_loop(stage: Staged) -> None:
    _learn(stage)
    assert _thread(stage, bytes(MOST_BYTES)) == "loop"
    assert _thread(stage, bytes(MOST_BYTES + 1)) == "requests"
    assert _thread(stage, b"x", "Content-Encoding: gzip") == "requests", "nobody knows yet how much comes of it"


def test_p15_a_request_that_was_expected_to_be_short_keeps_nobody_waiting(
    stage: Staged, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _learn(stage)
    shop.may_answer.clear()
    with stage.connect() as late, stage.connect() as other:
        late.sendall(post(target="/short"))
        other.sendall(post(target="/other"))
        eventually(lambda: shop.waits_in.startswith("loop"))
        monkeypatch.setattr(leading, "LONG_S", 0.025)
        for _ in range(3):
            assert answer(other)[0] == 200
            other.sendall(post(target="/other"))
        shop.may_answer.set()
        assert answer(late)[1]["path"] == shop.waits_in
        late.sendall(post(target="/short"))
        assert answer(late)[1]["path"].startswith("requests"), "its kind is not short any more"


def test_p21_a_short_request_that_takes_long_is_answered_by_a_process_that_stops(stage: Staged, shop: Shop) -> None:
    _learn(stage)
    shop.may_answer.clear()
    with stage.connect() as late, stage.connect() as other:
        late.sendall(post(target="/short"))
        eventually(lambda: shop.waits_in.startswith("loop"))
        other.sendall(post(target="/other"))
        stage.tell_to_stop()
        assert answer(other)[0] == 200, "the thread that stops the process goes on with the loop"
        shop.may_answer.set()
        assert answer(late)[0] == 200


def test_requests_that_follow_one_another_on_all_connections_are_answered_in_their_order(stage: Staged) -> None:
    """More than may be under way at once, so that some of them follow when others are done."""
    _learn(stage)
    lines = [stage.connect() for _ in range(12)]
    for line in lines:
        line.sendall(b"".join(post(str(number).encode(), target="/short") for number in range(3)))
    for line in lines:
        with line:
            assert [answer(line)[1]["body"] for _ in range(3)] == ["0", "1", "2"]


@contextmanager
def _busy(stage: Staged, shop: Shop, count: int) -> Iterator[list[socket.socket]]:
    """So many connections, while the thread of the loop waits for `may_answer`; what comes then shares a commit."""
    shop.may_answer.clear()
    with stage.connect() as first, ExitStack() as ended:
        first.sendall(post(target="/short"))
        eventually(lambda: shop.waits_in.startswith("loop"))
        shop.shares_commit = True
        yield [ended.enter_context(stage.connect()) for _ in range(count)]


@pytest.mark.parametrize("most", [0, 2, 15])
def test_p22_requests_that_share_a_commit_are_begun_by_the_thread_of_the_loop_while_others_wait(
    stage: Staged, shop: Shop, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(leading, "MOST_INNER", most)
    _learn(stage)
    with _busy(stage, shop, 5) as lines:
        for number, line in enumerate(lines):
            line.sendall(post(str(number).encode(), f"X-Request-Id: id-{number}", target="/short"))
        shop.may_answer.set()
        for number, line in enumerate(lines):
            status, given = answer(line)
            assert (status, given["body"], given["query"]) == (200, str(number), f"id-{number}")
    assert len(shop.most_waiting) == min(most + 1, 5) and shop.waiting == []


def test_p15_a_request_of_another_kind_is_not_begun_inside_one_that_waits_for_a_commit(
    stage: Staged, shop: Shop
) -> None:
    _learn(stage)
    _learn(stage, "/brief")
    with _busy(stage, shop, 4) as lines:
        for line, target in zip(lines, ("/short", "/brief", "/short", "/brief"), strict=True):
            line.sendall(post(b"", f"X-Request-Id: {target}", target=target))
        shop.may_answer.set()
        assert [answer(line)[0] for line in lines] == [200] * 4
    assert len(shop.most_waiting) == 1, "the merchant whose push it is would wait for others"


def test_p7_a_thread_that_was_replaced_does_not_wait_for_the_turn_of_its_follower() -> None:
    """Between its look whether it runs the loop and its turn it may be replaced."""
    turning, may_end = threading.Event(), threading.Event()

    class Loop:
        def turn(self, patience_s: float) -> bool:
            turning.set()
            return may_end.wait(10)

        def wake(self) -> None:
            pass

    ends = os.pipe()
    threads = Threads(4, lambda job, held: "")
    leads = leading.Leading(cast(Any, Loop()), threads, ShortRequests(), lambda: None, ends)
    leads.start()
    assert turning.wait(10)
    replaced = leading._Leader()
    leads._leader, follower = replaced, leads._leader
    begun_s = time.monotonic()
    leads._begin_others(replaced)
    assert time.monotonic() - begun_s < 5, "it waited for the follower"
    leads._leader = follower
    may_end.set()
    leads.end()
    for end in ends:
        os.close(end)


class Nest:
    """The thread of a loop to which nothing more comes, with requests that share a commit; `then` is done at the end
    of each."""

    def __init__(self, then: Callable[[Nest, str], None] = lambda nest, name: None) -> None:
        self.begun: list[str] = []
        """The names of those that waited, each time one was begun."""
        self.woken = 0
        self._then = then
        self._waiting: list[str] = []
        self._ends = os.pipe()
        self._threads = Threads(64, self._work, lambda job: True)
        self.leading = leading.Leading(cast(Any, self), self._threads, ShortRequests(), lambda: None, self._ends)
        self.leader = self.leading._leader = leading._Leader()

    def turn(self, patience_s: float) -> bool:
        return False

    def wake(self) -> None:
        self.woken += 1

    def answer(self, names: str) -> None:
        for name in names:
            self._threads.give(SimpleNamespace(name=name, kind=("/short", "1")), "1")
        copy_context().run(self._answer)
        for end in self._ends:
            os.close(end)

    def _answer(self) -> None:
        caller.meanwhile.set(partial(self.leading._begin_others, self.leader))
        self.leading._answer_short(self.leader)

    def _work(self, job: Any, held: str) -> str:
        self._waiting.append(job.name)
        self.begun.append("".join(self._waiting))
        caller.meanwhile.get()()
        caller.commit_s.set(0.001)
        self._waiting.remove(job.name)
        self._then(self, job.name)
        return ""


def test_p15_a_request_waits_for_one_commit_and_those_begun_meanwhile_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leading, "MOST_INNER", 2)
    nest = Nest()
    nest.answer("abcde")
    assert nest.begun == ["a", "ab", "abc", "d", "de"] and nest.leader.inner == 0


def test_p7_whoever_follows_is_woken_for_what_a_replaced_thread_has_left_to_it() -> None:
    def replace(nest: Nest, name: str) -> None:
        if name == "b":
            nest.leading._leader = leading._Leader()

    nest = Nest(replace)
    nest.answer("abc")
    assert nest.woken == 1


def test_a_fault_of_one_begun_meanwhile_leaves_their_number_right() -> None:
    def fail(nest: Nest, name: str) -> None:
        if name == "b":
            raise MemoryError

    nest = Nest(fail)
    with pytest.raises(MemoryError):
        nest.answer("abc")
    assert nest.leader.inner == 0


def test_what_counts_as_short() -> None:
    short = ShortRequests()
    kind = ("/api/channel/catalog_get_config_v1", "1")

    def answered(times: int, elapsed_s: float, cpu_s: float) -> bool:
        for _ in range(times):
            short.add(kind, elapsed_s, cpu_s)
        return short.is_short(kind)

    assert not short.is_short(kind) and not short.is_short(None)
    assert not answered(100, 0.002, 0.0001), "it waits for something"
    assert not answered(100, 0.003, 0.003), "it takes much CPU"
    assert answered(20, 0.0002, 0.0002)
    assert answered(1, 0.002, 0.0002), "one that had to wait for the interpreter says nothing"
    assert not answered(1, LONG_WAIT_S + 0.002, 0.001)
    assert not answered(50, 0.0002, 0.0002), "a kind that has kept others waiting is looked at for longer"
    assert answered(200, 0.0002, 0.0002)
    commits = ("/api/channel/inventory_push_v1", "1")
    for _ in range(20):
        short.add(commits, 1.0, 0.0005, SHORT_COMMIT_S - 0.001)
    assert short.is_short(commits), "what it waited for besides would not keep the loop waiting"
    for _ in range(20):
        short.add(commits, SHORT_COMMIT_S + 0.002, 0.0005, SHORT_COMMIT_S + 0.001)
    assert not short.is_short(commits), "the disk is slow: others go on meanwhile"
    for number in range(short_requests.MOST_KINDS):
        short.add((f"/{number}", ""), 0.0001, 0.0001)
    assert not short.is_short(kind), "what is remembered is bounded, whatever anybody sends"
