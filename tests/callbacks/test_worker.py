"""The worker over real sockets: whole requests only get a thread, and HTTP is what gunicorn makes of it (P46, P21)."""

from __future__ import annotations

import errno
import io
import os
import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]
from gunicorn.http import errors  # type: ignore[import-untyped]
from gunicorn.http.body import ChunkedReader  # type: ignore[import-untyped]
from gunicorn.http.message import Request  # type: ignore[import-untyped]
from gunicorn.http.unreader import IterUnreader  # type: ignore[import-untyped]

from app.callbacks import accepting, giving_up, loop, spool
from app.callbacks.connection import Connection
from app.callbacks.framing import ByChunks
from app.callbacks.heads import PlainSettings
from app.callbacks.progress import MOST_SENT_S, SLOWEST_BYTES_S, WINDOW_S
from app.callbacks.receiver import Receiver
from app.callbacks.spool import Room
from app.caller import ANSWER_AFTER_S
from app.gateways.vendor import LONG_BODY
from tests.callbacks.worker_stage import Staged, answer, is_closed, post, staged, told
from tests.passing_time import PassingTime
from tests.stopwatch import Stopwatch

CHUNKED = b"4\r\nwiki\r\n6;name=value\r\npedia \r\n0\r\nX-Trailer: yes\r\n\r\n"


@pytest.fixture(scope="module")
def stage() -> Iterator[Staged]:
    with staged() as stage:
        yield stage


def said(line: socket.socket) -> str:
    status, found = answer(line)
    assert status == 200, found
    body: str = found["body"]
    return body


def test_p46_half_requests_and_silent_clients_hold_no_thread(stage: Staged) -> None:
    half = [b"", b"POST / HT", post(b"x" * 100)[:-1], post(b"4\r\nab", "Transfer-Encoding: chunked")]
    with ExitStack() as stack:
        for number in range(80):
            stack.enter_context(stage.connect()).sendall(half[number % len(half)])
        with Stopwatch() as watch:
            for _ in range(20):
                with stage.connect() as line:
                    line.sendall(post(b"whole"))
                    assert said(line) == "whole"
        assert watch.took_s < 3


def test_p46_a_request_in_any_pieces_is_the_request(stage: Staged) -> None:
    for raw, body in [(post(b"abc"), "abc"), (post(CHUNKED, "Transfer-Encoding: chunked"), "wikipedia ")]:
        with stage.connect() as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(len(raw)):
                line.sendall(raw[at : at + 1])
                time.sleep(0.0005)
            assert said(line) == body


def test_requests_sent_at_once_are_answered_in_their_order(stage: Staged) -> None:
    with stage.connect() as line:
        line.sendall(post(b"1") + post(CHUNKED, "Transfer-Encoding: chunked") + post(b"3" * 70_000) + post(b"4")[:-1])
        assert [said(line) for _ in range(3)] == ["1", "wikipedia ", "3" * 70_000]
        line.sendall(b"4")
        assert said(line) == "4"


@pytest.mark.parametrize(
    ("raw", "path", "is_kept"),
    [
        (post(b"", target="http://elsewhere/a/b?c=d"), "/a/b", True),
        (post(b"", version="1.0"), "/", False),
        (post(b"", "Connection: keep-alive", version="1.0"), "/", True),
        (post(b"", "Connection: close"), "/", False),
        (b"\r\n" + post(b"", target="/after-an-empty-line"), "/after-an-empty-line", True),
    ],
    ids=["absolute", "1.0", "1.0-kept", "close", "empty-line"],
)
def test_what_a_request_says_of_its_connection_holds(raw: bytes, path: str, is_kept: bool, stage: Staged) -> None:
    with stage.connect() as line:
        line.sendall(raw)
        status, found = answer(line)
        assert (status, found["path"]) == (200, path)
        if is_kept:
            line.sendall(post(b"again"))
            assert said(line) == "again"
        else:
            assert is_closed(line)


def test_a_client_that_ends_its_side_is_answered_and_one_that_goes_costs_nothing(stage: Staged) -> None:
    for _ in range(20):
        with stage.connect() as line:
            line.sendall(post(b"gone" * 20_000))
    with stage.connect() as line:
        line.sendall(post(b"1") + post(b"2"))
        line.shutdown(socket.SHUT_WR)
        assert [said(line), said(line)] == ["1", "2"] and is_closed(line)


def test_an_answer_to_head_has_no_body(stage: Staged) -> None:
    with stage.connect() as line:
        line.sendall(post(method="HEAD") + post(b"next"))
        heard = b""
        while b"next" not in heard:
            heard += line.recv(65536)
        first, _, second = heard.partition(b"\r\n\r\n")
        assert b"Content-Length: " in first and second.startswith(b"HTTP/1.1 200")


def test_who_waits_for_leave_to_send_gets_it_once(stage: Staged) -> None:
    with stage.connect() as line:
        line.sendall(post(b"", "Content-Length: 4", "Expect: 100-continue"))
        assert line.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(b"body")
        assert said(line) == "body"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (post(b"abc", "Content-Length: 3", "Content-Length: 3"), 400),
        (post(b"abc", "Content-Length: 3", "Transfer-Encoding: chunked"), 400),
        (post(b"abc", "Content-Length: -3"), 400),
        (post(b"0\r\n\r\n", "Transfer-Encoding: chunked", version="1.0"), 400),
        (post(b"", "Transfer-Encoding: gzip"), 400),
        (post(b"", "X-Folded: a\r\n b"), 400),
        (b"GET / HTTP/1.1\nHost: x", 400),
        (b"GET /" + b"a" * 5000, 414),
        (b"get / HTTP/1.1\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, 431),
        (post(b"", *(f"X-{n}: 1" for n in range(120))), 431),
        (post(b"", "Expect: 200-maybe"), 417),
    ],
    ids=range(12),
)
def test_p5_what_is_no_request_is_refused_at_once_and_in_json(raw: bytes, status: int, stage: Staged) -> None:
    with stage.connect() as line:
        line.sendall(raw)
        assert answer(line)[0] == status
        assert is_closed(line)


@pytest.mark.parametrize(
    "raw",
    [
        post(b"zz\r\nabc\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
        post(b"3\r\nabcdef", "Transfer-Encoding: chunked"),
        post(b"1\r\nx\r\n" * 30_000, "Transfer-Encoding: chunked"),
        post(b"x" * 100, f"Content-Length: {64 * 1024 * 1024}", "Expect: 100-continue"),
    ],
    ids=["size", "mark", "crumbs", "too-large"],
)
def test_a_body_that_can_never_be_whole_is_the_applications_to_refuse(raw: bytes, stage: Staged) -> None:
    with stage.connect() as line:
        line.sendall(raw)
        assert said(line) == "broken off"
        assert is_closed(line)


def test_p46_large_bodies_share_a_room_and_small_ones_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MOST_SPOOLED_BYTES", 300_000)
    with staged(most_body_bytes=300_000) as stage, stage.connect() as holder:
        holder.sendall(post(b"x" * 200_000)[:-1])
        with stage.connect() as line:
            line.sendall(post(b"y" * 60_000))
            assert said(line) == "y" * 60_000
            line.sendall(post(b"z" * 150_000))
            status, found = answer(line)
            assert (status, found["events"][0]["code"]) == (503, "OVERLOADED")
        holder.sendall(b"x")
        assert said(holder) == "x" * 200_000
        for _ in range(3):  # what was taken is given back
            holder.sendall(post(b"z" * 290_000))
            assert said(holder) == "z" * 290_000


class Full(io.FileIO):
    """A file on a disk that takes so many bytes more."""

    def __init__(self, room: int) -> None:
        file, path = tempfile.mkstemp()
        os.unlink(path)
        super().__init__(file, "r+b")
        self._room = room

    def write(self, data: Any) -> int:
        self._room -= len(data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, "no space left")
        return super().write(data)


def test_p46_a_disk_that_is_full_costs_its_own_body_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with staged(most_body_bytes=300_000) as stage, stage.connect() as other:
        other.sendall(post(b"small")[:-1])
        for room, missing in ((0, 0), (100_000, 0), (100_000, 10)):
            with stage.connect() as line, monkeypatch.context() as patch:
                patch.setattr(tempfile, "TemporaryFile", lambda room=room, **_: io.BufferedRandom(Full(room)))
                raw = post(b"x" * 104_000)
                line.sendall(raw[:99_000])
                time.sleep(0.3)
                line.sendall(raw[99_000 : len(raw) - missing])
                line.shutdown(socket.SHUT_WR)
                status, found = answer(line)
                assert found == {**found, "body": "broken off"} if missing else status == 503
        other.sendall(b"l")
        assert said(other) == "small"
        for _ in range(3):
            with stage.connect() as line:
                line.sendall(post(b"z" * 290_000))
                assert said(line) == "z" * 290_000
    assert "a connection failed" not in caplog.text


def test_p46_a_server_that_could_accept_nothing_for_a_moment_goes_on_accepting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing = iter([errno.ENFILE, errno.EPERM])
    own = accepting.Accepting._accept

    class Failing:
        """A listener of a system that is out of files, or whose firewall forbids, once each."""

        def accept(self) -> Any:
            raise OSError(next(failing), "not now")

    def accept(self: accepting.Accepting, listener: Any) -> bool:
        try:
            return own(self, Failing())
        except StopIteration:
            return own(self, listener)

    monkeypatch.setattr(accepting.Accepting, "_accept", accept)
    with staged() as stage, stage.connect() as line:
        line.sendall(post(b"here"))
        assert said(line) == "here"


def test_p46_a_head_that_comes_byte_by_byte_costs_no_more_than_its_bytes() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"a" * 600) for i in range(99))
    costs = []
    for share in (8, 1):
        receiver = Receiver(PlainSettings(Config()), ("127.0.0.1", 1), Room(0), 0, lambda: None)
        begun_s = time.thread_time()
        for at in range(len(head) // share):
            assert receiver.receive(head[at : at + 1]) is None
        costs.append(time.thread_time() - begun_s)
    assert costs[1] < 24 * costs[0], "eight times the bytes"


def test_p46_a_large_body_that_hardly_comes_makes_room_for_one_that_does(
    monkeypatch: pytest.MonkeyPatch, time_passes: PassingTime
) -> None:
    monkeypatch.setattr(loop, "MOST_SPOOLED_BYTES", 300_000)
    with staged(most_body_bytes=300_000) as stage, stage.connect() as holder:
        holder.sendall(post(b"x" * 200_000)[:-1])
        stage.await_turn()
        time_passes.move(giving_up.YOUNG_S)
        with stage.connect() as line:
            line.sendall(post(b"z" * 290_000))
            assert said(line) == "z" * 290_000
        assert answer(holder)[0] == 503 and is_closed(holder)


def large(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answers more than any system's buffers hold."""
    size = int(environ["QUERY_STRING"] or 20_000_000)
    start_response("200 OK", [("Content-Length", str(size))])
    return [b"x" * size]


def test_p46_clients_that_do_not_read_hold_no_thread_and_no_more_memory_than_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "MOST_WAITING_BYTES", 50_000_000)
    with staged(large) as stage, ExitStack() as stack:
        lines = [stack.enter_context(stage.connect(4096)) for _ in range(4)]
        for line in lines:
            line.sendall(post(b"", "Connection: close"))
            assert line.recv(1, socket.MSG_PEEK), "its answer waits for it"
        with stage.connect() as line:
            line.sendall(post(b"", "Connection: close", target="/?10"))
            assert _everything(line).endswith(b"x" * 10)
        got = [len(_everything(line)) > 20_000_000 for line in lines]
        assert got[0] is False, "the one that was in the way longest"
        assert got[-1] is True, "whoever reads in the end has all of it"


def test_p46_a_long_body_is_made_no_faster_than_its_client_reads() -> None:
    made = 0

    def long(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def pieces() -> Iterator[bytes]:
            nonlocal made
            for _ in range(500):
                made += 1
                yield b"x" * 100_000

        environ[LONG_BODY] = True
        start_response("200 OK", [("Content-Length", "50000000")])
        return pieces()

    with staged(long) as stage, stage.connect(4096) as line:
        line.sendall(post(b"", "Connection: close"))
        assert line.recv(1, socket.MSG_PEEK)
        time.sleep(0.5)
        assert 0 < made < 250
        assert len(_everything(line)) > 50_000_000 and made == 500


def _everything(line: socket.socket) -> bytes:
    line.settimeout(10)
    heard = bytearray()
    try:
        while piece := line.recv(1 << 20):
            heard += piece
    except ConnectionResetError:
        pass
    return bytes(heard)


def test_p15_a_client_that_does_not_read_is_cut_off(time_passes: PassingTime) -> None:
    with staged(large) as stage, stage.connect(4096) as line:
        line.sendall(post(b"", "Connection: close"))
        assert line.recv(1, socket.MSG_PEEK)
        for _ in range(3):  # what its system had room for counts as read
            time_passes.move(MOST_SENT_S)
            stage.await_turn()
        assert len(_everything(line)) < 20_000_000


def test_p15_a_client_that_sends_below_one_kib_a_second_is_cut_off_and_one_above_it_is_not(
    time_passes: PassingTime,
) -> None:
    step_s = WINDOW_S / 4
    piece = b"x" * int(1.2 * step_s * SLOWEST_BYTES_S)
    with staged() as stage, stage.connect() as head, stage.connect() as body, stage.connect() as quick:
        head.sendall(b"POST / HT")
        body.sendall(post(b"x" * 8_000)[:-7_990])
        quick.sendall(post(10 * piece)[: -9 * len(piece)])
        stage.await_turn()
        for _ in range(8):
            time_passes.move(step_s)
            quick.sendall(piece)
            stage.await_turn()
        quick.sendall(piece)
        assert said(quick) == (10 * piece).decode(), "a body may take longer than any window"
        assert is_closed(head)
        assert said(body) == "broken off"


def test_p46_where_there_are_too_many_clients_the_longest_silent_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "most_connections", lambda wanted, threads: 20)
    with staged() as stage, ExitStack() as stack:
        lines = [stack.enter_context(stage.connect()) for _ in range(40)]
        for line in lines[-10:]:
            line.sendall(post(b"here"))
            assert said(line) == "here"
        assert is_closed(lines[0])


def test_p21_connections_that_wait_to_be_accepted_are_answered_when_the_process_is_to_stop() -> None:
    stage = Staged(told, threads=4)
    with ExitStack() as stack:
        lines = [stack.enter_context(stage.connect()) for _ in range(60)]
        for line in lines:
            line.sendall(post(b"queued"))
        stage.tell_to_stop()
        stage.start()
        for line in lines:
            assert said(line) == "queued"
            assert is_closed(line)
    stage.stop()


def test_p21_a_request_that_is_on_its_way_when_the_process_is_to_stop_is_answered() -> None:
    with ExitStack() as stack:
        with staged() as stage:
            begun, silent, kept = (stack.enter_context(stage.connect()) for _ in range(3))
            kept.sendall(post(b"first"))
            assert said(kept) == "first"
            begun.sendall(post(b"begun")[:-1])
            told_at_once = threading.Event()
            stage.worker.on_stopping = told_at_once.set
            stage.tell_to_stop()
            assert told_at_once.wait(5), "what runs in the background ends while requests are answered"
            time.sleep(0.5)
            begun.sendall(b"n")
            assert said(begun) == "begun" and is_closed(begun)
            kept.sendall(post(b"second"))
            assert said(kept) == "second" and is_closed(kept)
        assert is_closed(silent)


def _gunicorns(request: Request, raw: bytes) -> tuple[bytes, bytes] | None:
    """What gunicorn's own reader makes of a chunked body and what follows it, None for a refusal."""
    unreader = IterUnreader([raw])
    reader = ChunkedReader(request, unreader)
    try:
        body = reader.read(1 << 20)
    except (errors.ParseException, errors.NoMoreData):
        return None
    return body, unreader.take_buffered()


def test_chunked_bodies_are_read_as_gunicorn_reads_them() -> None:
    dice = random.Random(7)
    request = Request(Config(), IterUnreader([post(b"", "Transfer-Encoding: chunked")]), ("127.0.0.1", 1))
    pieces = [
        b"1\r\nx\r\n",
        b"a;b=c\r\n0123456789\r\n",
        b"0\r\n\r\n",
        b"0\r\nT: 1\r\n\r\n",
        b"\r\n",
        b"2\r\nab\r",
        b"GET",
        b"\n",
    ]
    for _ in range(3000):
        raw = b"".join(dice.choice(pieces) for _ in range(dice.randrange(1, 6)))
        if dice.random() < 0.3:
            at = dice.randrange(len(raw))
            raw = raw[:at] + bytes([dice.randrange(256)]) + raw[at + 1 :]
        framing = ByChunks(spool.Spool(spool.Room(1)), request)
        rest: bytes | None = None
        at = 0
        try:
            while rest is None and at < len(raw):
                size = dice.randrange(1, 9)
                rest = framing.feed(raw[at : at + size])
                at += size
            found = None if rest is None else (framing.spool.opened().read(), rest + raw[at:])
        except errors.ParseException:
            found = None
        assert found == _gunicorns(request, raw), raw
        framing.spool.close()


def test_p46_an_answer_that_is_kept_holds_no_thread() -> None:
    """The stage has one thread: what comes meanwhile is answered first."""

    def kept(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/later":
            environ[ANSWER_AFTER_S] = 0.5
        return told(environ, start_response)

    with staged(kept) as stage, stage.connect() as slow, stage.connect() as quick:
        for _ in range(2):
            begun_s = time.monotonic()
            slow.sendall(post(b"1", target="/later") + post(b"2"))
            with Stopwatch() as watch:
                for number in range(5):
                    quick.sendall(post(str(number).encode()))
                    assert said(quick) == str(number)
            assert watch.took_s < 0.5
            assert said(slow) == "1" and said(slow) == "2"
            assert time.monotonic() - begun_s >= 0.5


def test_p46_a_kept_answer_that_fails_ends_its_own_connection_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def kept(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/later":
            environ[ANSWER_AFTER_S] = 0.05
        return told(environ, start_response)

    begin = Connection.begin_sending

    def fail(connection: Connection) -> None:
        if any(b"/later" in piece.tobytes() for piece in connection.rest):
            raise RuntimeError("a fault of ours")
        begin(connection)

    monkeypatch.setattr(Connection, "begin_sending", fail)
    with staged(kept) as stage, stage.connect() as failing, stage.connect() as other:
        failing.sendall(post(b"1", target="/later"))
        assert is_closed(failing)
        other.sendall(post(b"2"))
        assert said(other) == "2"
