"""Large bodies: whoever has no key fills nothing, two are in hand, and channels have their turns alternately."""

from __future__ import annotations

import gc
import gzip
import io
import json
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
from flask import Flask

from app.callbacks import body, worker
from app.callbacks.key_search import MOST_TRIED, KeySearch
from app.callbacks.large_bodies import IN_HAND, FreePlace, LargeBodies
from app.callbacks.spool import Room
from app.callbacks.threads import Threads
from app.channel.receiving import wrong_key
from app.channel_settings import LONGEST_KEY
from app.deadline import Deadline
from app.domain.json_values import has_more_different_names, has_more_values
from app.errors import HttpError
from tests.callbacks.worker_stage import Staged, answer, post
from tests.channels import channel_table
from tests.stopwatch import Stopwatch
from tests.waiting import eventually

KEY = 'a"b\\c/d+' + "0" * 24
LIMIT = 32 * 1024 * 1024
NAME = "integration_auth_token"


def holder_of(key: str) -> str:
    return {KEY: "first", "k" * LONGEST_KEY: "longest"}.get(key, "")


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(letter):04X}" for letter in text)


SPELLINGS = {
    "plain": f'"{NAME}":{json.dumps(KEY)}',
    "slashes": f'"{NAME}": {json.dumps(KEY)}'.replace("/", r"\/"),
    "escaped-key": f'"{NAME}" : "{escaped(KEY)}"',
    "escaped-name": f'"{escaped(NAME)}":{json.dumps(KEY)}',
    "one-escape-each": r'"int\u0065gration_auth_token":' + json.dumps(KEY).replace("+", r"\u002b"),
    "blanks": f'"{NAME}"' + " " * 3000 + ":" + " \n" * 3000 + json.dumps(KEY),
    "decoy": f'"channel_info":{{"{NAME}":"wrong"}},"{NAME}":7,"{NAME}":{json.dumps(KEY)}',
    "name-in-a-text": f'"note":"{NAME}","{NAME}":{json.dumps(KEY)}',
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_p46_the_key_is_found_however_json_writes_it_and_wherever_a_piece_ends(spelling: str) -> None:
    raw = ('{"client_id":1,' + SPELLINGS[spelling] + ',"x":["\\u00e9\\u0069"]}').encode()
    assert holder_of(json.loads(raw)[NAME]) == "first"
    for size in (1, 2, 7, 64, 1000, len(raw)):
        search = KeySearch(holder_of)
        found = [search.feed(raw[at : at + size]) for at in range(0, len(raw), size)]
        assert "first" in found, size


def test_p46_the_longest_key_is_found_with_every_character_escaped() -> None:
    raw = f'{{"{escaped(NAME)}":"{escaped("k" * LONGEST_KEY)}"}}'.encode()
    search = KeySearch(holder_of)
    assert "longest" in [search.feed(raw[at : at + 100]) for at in range(0, len(raw), 100)]


def test_p46_a_search_compares_a_bounded_number_of_keys() -> None:
    asked: list[str] = []
    search = KeySearch(lambda key: asked.append(key) or "")  # type: ignore[func-returns-value]
    for _ in range(50):
        search.feed(f'"{NAME}":"wrong","\\u0069{NAME[1:]}":"wrong",'.encode() * 1000)
    assert 0 < len(asked) <= MOST_TRIED


def received(raw: bytes, *, packed: bool = False, declared: bool = True, rewinds: bool = True) -> body.Body:
    sent = gzip.compress(raw, 1) if packed else raw
    stream: Any = io.BytesIO(sent)
    environ = {"wsgi.input": stream if rewinds else _ReadOnce(stream)}
    if declared:
        environ["CONTENT_LENGTH"] = str(len(sent))
    if packed:
        environ["HTTP_CONTENT_ENCODING"] = "gzip"
    return body.receive(environ, LIMIT, holder_of)


class _ReadOnce:
    """What a server gives that keeps no body."""

    def __init__(self, stream: io.BytesIO) -> None:
        self.read = stream.read


@pytest.mark.parametrize("rewinds", [True, False], ids=["kept", "read-once"])
@pytest.mark.parametrize("declared", [True, False], ids=["length", "chunked"])
@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
@pytest.mark.parametrize("size", [10, body.SEARCHED, body.LARGE + 1, 3 * body.LARGE])
def test_a_body_of_any_size_and_encoding_is_read_whole(size: int, packed: bool, declared: bool, rewinds: bool) -> None:
    for raw in (
        json.dumps({NAME: KEY, "text": "x" * size}).encode(),
        json.dumps({"text": "x" * size, NAME: KEY}).encode(),
    ):
        found = received(raw, packed=packed, declared=declared, rewinds=rewinds)
        assert found.is_large == (len(raw) > body.LARGE)
        assert found.holder == ("first" if found.is_large else "")
        assert found.read() == raw
        found.close()


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
@pytest.mark.parametrize("size", [body.SEARCHED, 2 * body.LARGE, 8 * body.LARGE])
def test_p2_p46_a_larger_body_without_a_key_is_the_one_401_and_is_not_parsed(size: int, packed: bool) -> None:
    for key in ("wrong", KEY[:-1], KEY + " ", 7, None):
        raw = json.dumps({NAME: key, "text": KEY, "list": "LIST"}).replace('"LIST"', "[{}" + ",{}" * (size // 3) + "]")
        with pytest.raises(HttpError) as refused:
            received(raw.encode(), packed=packed)
        known = wrong_key()
        assert (refused.value.status, refused.value.code, refused.value.message) == (401, known.code, known.message)


def test_p46_a_large_body_has_no_more_values_than_one_of_the_allowed_size_can_need() -> None:
    allowed = 4 * body.LARGE
    rows = b",".join([b'{"sku":"A","quantity_available":1,"quantity_detail":[]}'] * 60_000)
    found = received(b'{"%s":%s,"rows":[%s]}' % (NAME.encode(), json.dumps(KEY).encode(), rows))
    assert len(body.parse_large(found, allowed)["rows"]) == 60_000
    for element in (b"{}", b"0", b'{"a":[1]}'):
        rows = b",".join([element] * (2 * body.LARGE // len(element)))
        found = received(b'{"%s":%s,"rows":[%s]}' % (NAME.encode(), json.dumps(KEY).encode(), rows))
        with pytest.raises(HttpError, match="values") as refused:
            body.parse_large(found, allowed)
        assert (refused.value.status, refused.value.code) == (413, "TOO_MANY_VALUES")


def test_p15_a_body_of_too_many_different_names_is_refused_before_they_are_made() -> None:
    name, key = NAME.encode(), json.dumps(KEY).encode()
    for written in ('"k%07d":1', '"\\ud83d\\ude00%x" : 1', '"%d":{"a":{}}'):
        names = ",".join(written % number for number in range(600_000)).encode()
        for raw in (b'{"%s":%s,%s}' % (name, key, names), b'{"rows":[{"x":{%s}}],"%s":%s}' % (names, name, key)):
            begun = time.thread_time()
            with pytest.raises(HttpError, match="different names") as refused:
                body.parse_large(received(raw), LIMIT)
            assert (refused.value.status, refused.value.code) == (413, "TOO_MANY_NAMES")
            assert time.thread_time() - begun < 1.0


@pytest.mark.parametrize("different", [8, 2000], ids=["rows", "catalogue"])
def test_a_body_of_many_rows_has_few_different_names(different: int) -> None:
    rows = [{f"name-{(row * 8 + number) % different}": row for number in range(8)} for row in range(100_000)]
    raw = json.dumps({NAME: KEY, "rows": rows}).encode()
    assert len(body.parse_large(received(raw), LIMIT)["rows"]) == 100_000


@pytest.mark.parametrize("part", [b'\\"', b',"', b'"', b",", b'{"', b',"\\', b'":'], ids=repr)
def test_p46_names_are_looked_for_in_bounded_time(part: bytes) -> None:
    begun = time.thread_time()
    has_more_different_names(part * (8 * body.LARGE // len(part)), 1000)
    assert time.thread_time() - begun < 0.5


def test_values_are_counted_outside_texts_only() -> None:
    assert not has_more_values(json.dumps(["{[," * 1000, '"{[,\\' * 1000]).encode(), 2)
    assert has_more_values(b'["",1,2,3]', 3) and not has_more_values(b'["",1,2,3]', 4)
    assert has_more_values(b"[" * 9 + b"]" * 9, 8) and not has_more_values(b"[" * 9 + b"]" * 9, 9)
    assert not has_more_values(b'["' + b"," * 100, 3), "what is no JSON is refused by the parser"


def waiting(threads: Threads) -> int:
    """How many large bodies of A and B wait for a place."""
    return threads._places.waiting("A") + threads._places.waiting("B")


class Jobs:
    """The threads of a process with large bodies, each in hand until it is let go, and small ones."""

    def __init__(self, threads: int) -> None:
        self.threads = Threads(threads, self._do)
        self.begun: list[str] = []
        self.most = self._in_hand = 0
        self._lock = threading.Lock()
        self._may_go = threading.Semaphore(0)

    def give(self, *senders: str) -> None:
        """Capitals send large bodies."""
        for sender in senders:
            self.threads.give(sender, sender)

    def let_go(self, count: int = 1) -> None:
        self._may_go.release(count)

    def _do(self, sender: str, held: str) -> str:
        is_large = sender.isupper()
        if is_large and not held and not self.threads.take_place(sender):
            return sender
        with self._lock:
            self._in_hand += is_large
            self.most = max(self.most, self._in_hand)
            self.begun.append(sender)
        if is_large:
            assert self._may_go.acquire(timeout=30)
            with self._lock:
                self._in_hand -= 1
            self.threads.leave_place(sender)
        return ""


def test_r14_two_large_bodies_are_in_hand_and_channels_take_turns() -> None:
    jobs = Jobs(4)
    for number, sender in enumerate("AAAAAABB"):
        jobs.give(sender)
        eventually(lambda: len(jobs.begun) + waiting(jobs.threads) == number + 1)  # noqa: B023 - asked at once
    assert jobs.begun == ["A"] * IN_HAND
    for done in range(1, 9):  # one after the other, so that nothing depends on who wakes up first
        jobs.let_go()
        eventually(lambda: len(jobs.begun) == min(done + IN_HAND, 8))  # noqa: B023 - asked at once
    assert jobs.most == IN_HAND == 2
    assert sorted(jobs.begun) == [*"AAAAAABB"] and jobs.begun.index("B") <= IN_HAND + 1, "B waits not for all of A"


def test_p15_large_bodies_that_wait_for_their_place_hold_no_thread() -> None:
    jobs = Jobs(4)
    jobs.give(*"AAAAAAAABBBBBBBB")
    eventually(lambda: len(jobs.begun) == IN_HAND)
    jobs.give(*"abcdefgh")
    eventually(lambda: sorted(jobs.begun[IN_HAND:]) == [*"abcdefgh"])
    jobs.let_go(16)
    eventually(lambda: len(jobs.begun) == 24)
    jobs.let_go(2)
    jobs.give("A", "B")
    eventually(lambda: len(jobs.begun) == 26)


def test_p15_a_place_is_given_to_a_channel_that_can_have_a_thread() -> None:
    threads: Threads
    begun: list[str] = []
    may_go = {name: threading.Semaphore(0) for name in ("hang", "large", "vendor")}

    def do(job: str, held: str) -> str:
        if job != "hang" and not held and not threads.take_place(job[0]):
            return job[0]
        begun.append(job)
        assert may_go["hang" if job == "hang" else "large"].acquire(timeout=30)
        if job != "hang":
            threads.leave_place(job[0])
            assert may_go["vendor"].acquire(timeout=30)
        return ""

    threads = Threads(8, do)
    for number, job in enumerate(("A1", "A2", *["A3"] * 3, "B1")):
        threads.give(job, job[0])
        eventually(lambda: len(begun) + waiting(threads) == number + 1)  # noqa: B023 - asked at once
    for _ in range(5):
        threads.give("hang", "A")  # with the two large ones A has all it may have of the threads
    eventually(lambda: begun.count("hang") == 5)
    may_go["large"].release(2)
    eventually(lambda: "B1" in begun)
    time.sleep(0.2)
    assert "A3" not in begun, "for A there is a place and no thread"
    for semaphore in may_go.values():
        semaphore.release(100)
    eventually(lambda: len(begun) == 11)


def test_p7_jobs_that_wait_too_long_for_a_thread_or_a_place_are_taken_back() -> None:
    jobs = Jobs(1)
    jobs.give("A", "B", "a", "a", "b")
    eventually(lambda: jobs.begun == ["A"])
    assert sorted(jobs.threads.withdraw(lambda sender: sender in "aB")) == ["B", "a", "a"]
    jobs.let_go()
    eventually(lambda: jobs.begun == ["A", "b"])
    assert jobs.threads.withdraw(lambda sender: True) == []


BIG = 2 * body.LARGE


@contextmanager
def writing_is_held_up(database_url: str) -> Iterator[None]:
    """SQLite's writer is somebody else's."""
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


class Merchants:
    """Two that push large bodies and one that does not, in front of the server's worker with four threads."""

    def __init__(self, stage: Staged, keys: Mapping[int, str]) -> None:
        self._stage = stage
        self._keys = keys
        self.statuses: list[int] = []
        self._pushing: list[threading.Thread] = []

    def answer(self, callback: str, channel_id: int, *headers: str, packed: bool = False, **fields: Any) -> int:
        asked = {NAME: self._keys[channel_id], "action": "x", "version": 1, "client_id": 1201}
        raw = json.dumps({**asked, "channel_info": {"id": channel_id}, **fields}).encode()
        if packed:
            raw, headers = gzip.compress(raw, 1), ("Content-Encoding: gzip",)
        return self._sent(post(raw, *headers, target=f"/api/channel/{callback}_v1"))

    def health(self) -> int:
        return self._sent(post(target="/healthz", method="GET"))

    def _sent(self, raw: bytes) -> int:
        with self._stage.connect() as line:
            line.settimeout(20)
            line.sendall(raw)
            return answer(line)[0]

    def waiting(self) -> int:
        """How many large bodies wait for a place."""
        return sum(map(self._stage.worker._threads._places.waiting, ("m1", "m2")))

    def push(self, channel_id: int, number: int) -> None:
        """A large body in the background, every second one packed."""

        def run() -> None:
            rows = [{"sku": f"SKU-{number}", "quantity_available": number}]
            fields = {"inventory_updates": rows, "unknown": "x" * BIG}
            self.statuses.append(self.answer("inventory_push", channel_id, packed=number % 2 == 1, **fields))

        self._pushing.append(threading.Thread(target=run))
        self._pushing[-1].start()

    def wait(self) -> None:
        for thread in self._pushing:
            thread.join(30)


@pytest.fixture
def merchants(build_app: Callable[..., Flask]) -> Iterator[Merchants]:
    keys = {number: f"key+of+merchant+{number:020d}" for number in (1, 2, 3)}
    tables = [
        channel_table("http://127.0.0.1:9", name=f"m{number}", pair=(1201, number), key=key, api_key=f"pipe17-{number}")
        for number, key in keys.items()
    ]
    app = build_app("".join(tables), DELIVERIES="worker")
    stage = Staged(app, threads=4)
    stage.worker.senders = app.extensions["senders"]
    stage.start()
    try:
        yield Merchants(stage, keys)
    finally:
        stage.stop()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_p15_two_merchants_with_large_bodies_leave_small_callbacks_their_threads(
    merchants: Merchants, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MOST_WAIT_S", worker.BUDGET_S)  # sixteen take a busy machine its time
    begun_s = time.monotonic()
    with writing_is_held_up(database_url):
        for number in range(8):
            merchants.push(1, number)
            merchants.push(2, number)
        time.sleep(0.5)
        for _ in range(10):
            with Stopwatch() as watch:
                assert merchants.health() == 200
                assert merchants.answer("catalog_get_config", 3) == 200
                assert merchants.answer("catalog_get_config", 1) == 200, "their own small ones go on as well"
            assert watch.took_s < 1.0
            if time.monotonic() - begun_s > 3.0:
                break  # the large ones are not waited for much longer
        assert merchants.statuses == []
    merchants.wait()
    assert merchants.statuses == [200] * 16


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_p7_a_large_body_whose_place_does_not_come_in_time_is_told_so(
    merchants: Merchants, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing_is_held_up(database_url):
        for number in range(6):
            merchants.push(1 + number % 2, number)
        eventually(lambda: merchants.waiting() == 4)
        monkeypatch.setattr(worker, "MOST_WAIT_S", 0.0)
        eventually(lambda: merchants.statuses == [503] * 4)
    merchants.wait()
    assert sorted(merchants.statuses) == [200, 200, *[503] * 4]


def test_p46_what_was_refused_for_want_of_room_is_let_go_of() -> None:
    """Each refusal has frames of its own, with its body in them; they end with it."""
    kept: list[weakref.ref[Any]] = []

    def refused() -> None:
        body = type("Body", (), {})()
        kept.append(weakref.ref(body))
        Room(0).take(1)

    for _ in range(3):
        with suppress(HttpError):
            refused()
    gc.collect()
    assert [body() for body in kept] == [None, None, None]


def test_p7_a_body_that_took_too_long_to_read_is_not_written() -> None:
    deadline = Deadline.in_s(0.05)
    with LargeBodies().turn(FreePlace(), "A", deadline) as turn:
        assert turn is not None
        with pytest.raises(HttpError) as refused:
            turn.parsed(lambda: time.sleep(0.1))
    assert (refused.value.status, refused.value.retry_after_s) == (503, 10)


def test_p15_a_large_body_has_left_its_place_before_its_vendor_is_waited_for() -> None:
    from app.channel.services import CallbackRequest

    left: list[str] = []

    class Place:
        def take(self, holder: str) -> bool:
            return True

        def leave(self) -> None:
            left.append("place")

    unused: Any = None
    with LargeBodies().turn(Place(), "A", Deadline.in_s(1)) as turn:
        assert turn is not None
        request = CallbackRequest(unused, unused, {}, unused, unused, "id", Deadline.in_s(1), turn.leave)
        request.call("question")
        assert left == ["place"]
