"""The client against vendors that are ill in every way a socket allows."""

from __future__ import annotations

import errno
import gzip
import logging
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.clock import boot_s
from app.deadline import Deadline
from app.domain.traffic import VendorCall
from app.errors import BrokenReply, GatewayError, Misconfigured, Refused, Unavailable
from app.sandbox.faults import Faults
from app.sandbox.server import RunningServer, serve
from app.transport.client import VendorClient
from app.transport.connections import Attempt, WatchedConnection
from app.transport.failures import BadCertificate
from app.transport.limits import CallLimiter
from app.transport.rates import RatePlan
from app.transport.replies import MOST_VALUES, Reply, raise_for
from app.transport.shared_rate import local_rate
from tests.passing_time import PassingTime
from tests.stopwatch import Stopwatch
from tests.system import holding_proxy
from tests.waiting import eventually

BUDGET_S = 1.0
"""Of a call that is to be cut off."""

ANSWERED_S = 5.0
"""Of one that is answered at once, on a busy machine as well."""

CANARY = "canary-7f3a"

Connect = Callable[..., VendorClient]


class Shop:
    """A vendor that makes an object for every POST, and remembers what it was sent."""

    def __init__(self) -> None:
        self.made: list[bytes] = []
        self.seen: list[dict[str, str]] = []

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.seen.append({key: value for key, value in environ.items() if isinstance(value, str)})
        body = environ["wsgi.input"].read()
        headers = [("Content-Type", "application/json"), ("Set-Cookie", "session=1")]
        if environ["REQUEST_METHOD"] == "POST":
            self.made.append(body)
        match environ["PATH_INFO"]:
            case "/bomb":
                headers.append(("Content-Encoding", "gzip"))
                answer = gzip.compress(bytes(32 * 1024 * 1024), 6)
            case "/bomb-in-a-bomb":
                headers.append(("Content-Encoding", "gzip, gzip"))
                answer = gzip.compress(gzip.compress(bytes(1024 * 1024)))
            case "/values":
                answer = b"[" + b"{}," * MOST_VALUES + b"{}]"
            case "/members":
                headers.append(("Content-Encoding", "gzip"))
                answer = gzip.compress(b'{"success"') + gzip.compress(b": true}") + bytes(20)
            case "/cut":
                headers.append(("Content-Encoding", "gzip"))
                answer = gzip.compress(b'{"success": true}')[:-4]
            case "/large":
                answer = b"[" + b"1," * 1024 * 1024 + b"1]"
            case "/corrupt":
                headers.append(("Content-Encoding", "gzip"))
                answer = b"this is not gzip"
            case _:
                answer = b'{"success": true, "price": 0.10, "id": 123456789012345678901234567890}'
        start("200 OK", headers)
        return [answer]


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def vendor(shop: Shop) -> Iterator[RunningServer]:
    with serve(shop, faults=Faults()) as server:
        yield server


@pytest.fixture
def make_client() -> Iterator[Connect]:
    clients: list[VendorClient] = []

    def make(url: str, **changes: Any) -> VendorClient:
        arguments: dict[str, Any] = {
            "headers": {"X-Pipe17-Key": CANARY}, "patience_s": 5.0, "connect_s": 1.0, "secrets": [CANARY],
        }  # fmt: skip
        clients.append(VendorClient("pipe17", url, **(arguments | changes)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def order(
    client: VendorClient, path: str = "/orders", *, method: str = "POST", budget_s: float = ANSWERED_S, **more: Any
) -> Reply:
    """One call, judged.  It must be over when its budget is, with 0.4 s of grace."""
    body = None if method == "GET" else more.pop("body", b'{"customer": "canary-7f3a"}')
    kind = "question" if method == "GET" else "command"
    watch = Stopwatch()
    try:
        with watch:
            reply = client.call(method, path, json_body=body, deadline=Deadline.in_s(budget_s), kind=kind, **more)
    finally:
        assert watch.took_s < budget_s + 0.4, f"a call with {budget_s} s took {watch.took_s:.2f} s"
    raise_for(reply)
    return reply


FAULTS = [
    ({"kind": "refuse"}, Unavailable, "CONNECTION_LOST", True),
    ({"kind": "hang"}, Unavailable, "TIMED_OUT", True),
    ({"kind": "drip_headers", "interval_s": 0.05}, Unavailable, "TIMED_OUT", True),
    ({"kind": "drip_body", "interval_s": 0.05}, Unavailable, "TIMED_OUT", True),
    ({"kind": "slow", "delay_s": 3}, Unavailable, "TIMED_OUT", True),
    ({"kind": "reset_before"}, Unavailable, "CONNECTION_LOST", True),
    ({"kind": "reset_after"}, Unavailable, "CONNECTION_LOST", True),
    ({"kind": "half_body"}, BrokenReply, "REPLY_CUT", True),
    ({"kind": "redirect", "code": 301}, Misconfigured, "REDIRECTED", False),
    ({"kind": "redirect", "code": 302}, BrokenReply, "REDIRECTED", True),
    ({"kind": "html"}, BrokenReply, "HTML_REPLY", True),
    ({"kind": "wrong_type"}, BrokenReply, "WRONG_TYPE", True),
    ({"kind": "empty"}, BrokenReply, "EMPTY_REPLY", True),
    ({"kind": "truncated_json"}, BrokenReply, "NOT_JSON", True),
    ({"kind": "status", "code": 400}, Refused, "HTTP_400", False),
    ({"kind": "status", "code": 401}, Misconfigured, "HTTP_401", False),
    ({"kind": "status", "code": 403}, Misconfigured, "HTTP_403", False),
    ({"kind": "status", "code": 404}, Refused, "HTTP_404", False),
    ({"kind": "status", "code": 408}, Unavailable, "HTTP_408", False),
    ({"kind": "status", "code": 409}, Refused, "HTTP_409", False),
    ({"kind": "status", "code": 425}, Unavailable, "HTTP_425", False),
    ({"kind": "status", "code": 429, "retry_after": 7}, Unavailable, "THROTTLED", False),
    ({"kind": "status", "code": 500}, Unavailable, "HTTP_500", True),
    ({"kind": "status", "code": 503, "retry_after": 7}, Unavailable, "HTTP_503", True),
    ({"kind": "status", "code": 304}, BrokenReply, "HTTP_304", True),
    ({"kind": "status", "code": 999}, BrokenReply, "HTTP_999", True),
]


@pytest.mark.parametrize(
    ("rule", "error", "code", "is_unknown"), FAULTS, ids=[f"{f[0]['kind']}-{f[2]}" for f in FAULTS]
)
def test_p7_p13_each_fault_ends_in_time_as_the_error_that_is_true_of_it_and_tells_no_secret(
    vendor: RunningServer, make_client: Connect, caplog: pytest.LogCaptureFixture,
    rule: dict[str, Any], error: type[GatewayError], code: str, is_unknown: bool,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    calls: list[VendorCall] = []
    client = make_client(vendor.url, observe=calls.append)
    vendor.faults.add(rule)
    with pytest.raises(GatewayError) as caught:
        budget_s = BUDGET_S if code == "TIMED_OUT" else ANSWERED_S
        order(client, f"/api/{CANARY}/orders", params={"apiKey": CANARY}, budget_s=budget_s).json_object()
    assert type(caught.value) is error
    assert (caught.value.code, caught.value.outcome_unknown) == (code, is_unknown)
    assert caught.value.retry_after_s == (7.0 if "retry_after" in rule else None)
    assert vendor.requests == 1, "nothing is repeated behind the caller's back"
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(calls) + repr(client)
    assert caught.value.__context__ is None and caught.value.__cause__ is None
    assert CANARY not in told
    assert CANARY not in caplog.text


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_p8_a_redirect_is_never_followed(vendor: RunningServer, make_client: Connect, method: str, code: int) -> None:
    with serve(Shop()) as elsewhere:
        vendor.faults.add({"kind": "redirect", "code": code, "location": elsewhere.url + "/take"})
        with pytest.raises((Misconfigured, BrokenReply)):
            order(make_client(vendor.url), method=method)
        assert elsewhere.connections == 0
    assert vendor.requests == 1


def test_p9_work_done_before_a_reset_was_done_once_and_its_outcome_is_unknown(
    vendor: RunningServer, shop: Shop, make_client: Connect
) -> None:
    client = make_client(vendor.url)
    order(client)
    vendor.faults.add({"kind": "reset_after", "times": 1})
    with pytest.raises(Unavailable) as caught:
        order(client)
    assert caught.value.outcome_unknown
    assert len(shop.made) == 2


@pytest.mark.parametrize("is_cut_by", ["watchdog", "socket"])
@pytest.mark.parametrize("is_kept", [False, True], ids=["fresh", "kept"])
def test_p44_of_a_call_that_was_given_up_nothing_more_is_sent_when_the_network_is_back(
    vendor: RunningServer, shop: Shop, make_client: Connect, monkeypatch: pytest.MonkeyPatch,
    is_kept: bool, is_cut_by: str,
) -> None:  # fmt: skip
    """What the network had not taken yet stands in our kernel, which would go on sending it for minutes."""
    if is_cut_by == "socket":
        monkeypatch.setattr(Attempt, "cut", lambda attempt: None)
    with holding_proxy.start(vendor.url) as network:
        client = make_client(network.url)
        if is_kept:
            order(client)
        made, taken = len(shop.made), network.delivered
        network.hold()
        with pytest.raises(Unavailable, match="TIMED_OUT") as caught:
            order(client, body=b"5" * 1_000_000, budget_s=BUDGET_S)
        assert caught.value.outcome_unknown
        network.release()
        order(make_client(network.url), body=b"7")
        time.sleep(0.3)
        assert shop.made[made:] == [b"7"], "the vendor was given the whole of what was given up"
        assert network.delivered - taken < 10_000, "the bytes on their way arrived, and no others"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_p44_a_tls_connection_that_is_given_up_says_no_farewell_either(
    make_client: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(tmp_path))
    endings: list[BaseException | bytes] = []

    def listen(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with context.wrap_socket(peer, server_side=True, suppress_ragged_eofs=False) as secure:
            secure.recv(1024)
            is_held.wait(5)
            try:
                while piece := secure.recv(65536):
                    endings.append(piece)
                endings.append(b"")
            except OSError as error:
                endings.append(error)

    is_held = threading.Event()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    monkeypatch.setattr(socket, "getaddrinfo", _everything_here(socket.getaddrinfo))
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, holding_proxy.SWALLOWED_BYTES)
        thread = threading.Thread(target=listen, args=(listener,))
        thread.start()
        with pytest.raises(Unavailable, match="TIMED_OUT"):
            client = make_client(f"https://vendor.test:{listener.getsockname()[1]}")
            order(client, body=b"5" * 1_000_000, budget_s=BUDGET_S)
        is_held.set()
        thread.join()
    assert isinstance(endings[-1], OSError), "the connection ended in the way of TLS, which says that all was sent"
    assert sum(len(piece) for piece in endings if isinstance(piece, bytes)) < 100_000


def _everything_here(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Name resolution that finds every host on loopback."""
    return lambda host, port, *rest, **more: resolve("127.0.0.1", port, *rest, **more)


def test_connections_are_kept_and_reused_until_they_have_idled_too_long(
    vendor: RunningServer, make_client: Connect, time_passes: PassingTime
) -> None:
    client = make_client(vendor.url, keep_idle_s=60.0)
    for _ in range(10):
        order(client)
    assert vendor.connections == 1
    time_passes.move(60.1)
    order(client)
    assert vendor.connections == 2


def test_a_read_that_meets_a_dead_kept_connection_is_sent_again_once_and_a_write_never(
    vendor: RunningServer, make_client: Connect
) -> None:
    client = make_client(vendor.url)
    order(client, method="GET")
    vendor.faults.add({"kind": "refuse", "times": 1})
    order(client, method="GET")
    assert (vendor.requests, vendor.connections) == (3, 2)

    vendor.faults.add({"kind": "refuse"})
    with pytest.raises(Unavailable, match="CONNECTION_LOST"):
        order(client, method="GET")
    assert vendor.requests == 5, "the second connection was fresh, so its loss is news"
    with pytest.raises(Unavailable, match="CONNECTION_LOST"):
        order(client, method="GET")
    assert vendor.requests == 6, "and a first one that is fresh is not tried again"

    vendor.faults.clear()
    order(client)
    vendor.faults.add({"kind": "refuse"})
    with pytest.raises(Unavailable) as caught:
        order(client)
    assert caught.value.outcome_unknown
    assert vendor.requests == 8


def test_a_closed_port_is_surely_not_done(make_client: Connect) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        client = make_client(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(Unavailable, match="CONNECT_FAILED") as caught:
            order(client)
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("number", [errno.ECONNRESET, errno.EPIPE, errno.ENETUNREACH], ids=errno.errorcode.get)
def test_p9_a_connection_that_ends_while_it_is_made_is_surely_not_done(
    make_client: Connect, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A host that takes connections and resets them at once may do so before `connect` is over."""

    def connect(connection: socket.socket, address: Any) -> None:
        raise OSError(number, "")

    client = make_client("http://127.0.0.1:1")
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(Unavailable, match="CONNECT_FAILED") as caught:
        order(client)
    assert not caught.value.outcome_unknown


def test_p7_a_host_that_swallows_connections_is_given_up_after_the_connect_time(
    make_client: Connect,
) -> None:
    with closing(socket.socket()) as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        client = make_client(f"http://127.0.0.1:{deaf.getsockname()[1]}", connect_s=0.3)
        with Stopwatch() as watch, pytest.raises(Unavailable, match="CONNECT_FAILED") as caught:
            order(client, budget_s=5.0)
        assert watch.took_s < 0.8
        assert not caught.value.outcome_unknown
        for filler in fillers:
            filler.close()


def test_a_name_that_cannot_be_resolved_is_surely_not_done(make_client: Connect) -> None:
    # A label above 63 characters fails inside the resolver, so that no test asks the network.
    with pytest.raises(Unavailable, match="DNS_FAILED") as caught:
        order(make_client(f"https://{'a' * 64}.example/v1"))
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("drops", [b"", b"\x16\x03\x03\x40\x00" + b"\x02" * 200], ids=["silent", "dripping"])
def test_p7_a_tls_handshake_that_never_ends_is_cut_and_surely_not_done(make_client: Connect, drops: bytes) -> None:
    is_over = threading.Event()

    def drip(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with closing(peer), suppress(OSError):
            for drop in drops:
                peer.send(bytes([drop]))
                if is_over.wait(0.05):
                    return
            is_over.wait(5)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        with pytest.raises(Unavailable, match="TLS_FAILED") as caught:
            order(make_client(f"https://127.0.0.1:{listener.getsockname()[1]}"), budget_s=BUDGET_S)
        is_over.set()
        thread.join()
    assert not caught.value.outcome_unknown


def _certificate(folder: Path) -> Path:
    """A key and a certificate for vendor.test in one file."""
    pem = folder / "vendor.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=vendor.test",
         "-addext", "subjectAltName=DNS:vendor.test"],
        check=True, capture_output=True,
    )  # fmt: skip
    pem.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return pem


def _whole_call(line: socket.socket) -> bytes:
    """A call with its body, which may come apart: a connection closed with bytes unread takes its answer with it."""
    call = b""
    while not call.endswith(b"}") and (piece := line.recv(65536)):
        call += piece
    return call


def _tunnel_to_tls(listener: socket.socket, context: ssl.SSLContext, answers: list[bytes], heard: list[bytes]) -> None:
    """A proxy that grants the tunnel and is itself what lies behind it; one connection per answer."""
    for answer in answers:
        peer, _ = listener.accept()
        with closing(peer), suppress(OSError):
            heard.append(peer.recv(65536))
            peer.sendall(b"HTTP/1.1 200 granted\r\n\r\n")
            with context.wrap_socket(peer, server_side=True) as secure:
                heard.append(_whole_call(secure))
                for byte in answer:
                    secure.send(bytes([byte]))
                    time.sleep(0.001 if answer.endswith(b"}") else 0.05)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_p7_p8_through_a_proxy_and_tls_the_deadline_holds_and_only_a_known_certificate_is_trusted(
    make_client: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    dripped = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n" + b" " * 60
    heard: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        arguments = (listener, context, [whole, dripped, whole], heard)
        thread = threading.Thread(target=_tunnel_to_tls, args=arguments)
        thread.start()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
        trusting = make_client("https://vendor.test/v1")
        assert order(trusting, budget_s=3.0).json() == {}
        with pytest.raises(Unavailable, match="TIMED_OUT") as late:
            order(trusting, budget_s=BUDGET_S)
        assert late.value.outcome_unknown
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        with pytest.raises(Unavailable, match="TLS_FAILED") as untrusted:
            order(make_client("https://vendor.test/v1"), budget_s=3.0)
        assert isinstance(untrusted.value, BadCertificate) and not untrusted.value.outcome_unknown
        thread.join()
    assert heard[0].startswith(b"CONNECT vendor.test:443 ") and CANARY.encode() not in heard[0]
    assert heard[1].startswith(b"POST /v1/orders ") and CANARY.encode() in heard[1]


@pytest.mark.parametrize("path", ["/bomb", "/large"])
def test_a_reply_above_the_cap_is_dropped_while_it_is_being_unpacked(
    vendor: RunningServer, make_client: Connect, path: str
) -> None:
    client = make_client(vendor.url, max_reply_bytes=1_000_000)
    with pytest.raises(BrokenReply, match="REPLY_TOO_LARGE"):
        order(client, path, budget_s=5.0)
    assert order(client).status == 200


@pytest.mark.parametrize("path", ["/corrupt", "/cut", "/bomb-in-a-bomb"])
def test_a_body_that_cannot_be_unpacked_is_a_broken_reply(
    vendor: RunningServer, make_client: Connect, path: str
) -> None:
    with pytest.raises(BrokenReply, match="REPLY_CUT"):
        order(make_client(vendor.url), path)


def test_p46_an_answer_of_a_million_values_is_not_read(vendor: RunningServer, make_client: Connect) -> None:
    reply = order(make_client(vendor.url), "/values", budget_s=5.0)
    tracemalloc.start()
    with pytest.raises(BrokenReply, match="REPLY_TOO_LARGE"):
        reply.json()
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_an_answer_in_two_members_is_read_and_what_follows_them_is_not(
    vendor: RunningServer, make_client: Connect
) -> None:
    client = make_client(vendor.url)
    assert order(client, "/members").json() == {"success": True}
    assert order(client).status == 200


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "NOT_HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, "NOT_HTTP"),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":', "REPLY_CUT"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "REPLY_CUT"),
        (b'HTTP/1.0 200 OK\r\n\r\n{"a":', "NOT_JSON"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"a":1.5e999}', "NOT_JSON"),
    ],
)
def test_p13_answers_that_are_no_http_or_break_off_are_broken_replies(
    make_client: Connect, sent: bytes, code: str
) -> None:
    def answer(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with closing(peer):
            _whole_call(peer)
            peer.sendall(sent)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        with pytest.raises(BrokenReply) as caught:
            order(make_client(f"http://127.0.0.1:{listener.getsockname()[1]}"), body=b"{}").json()
        thread.join()
    assert caught.value.code == code


def test_p25_the_request_id_goes_along_and_the_journal_gets_one_line_without_ids_or_query(
    vendor: RunningServer, shop: Shop, make_client: Connect
) -> None:
    calls: list[VendorCall] = []
    client = make_client(vendor.url + "/api/v3/", observe=calls.append)
    begun = time.monotonic()
    order(client, "/orders/{order}", ids={"order": "ext:A/#7 ü"}, params={"keys": "*"}, request_id="req-1")
    most_s = time.monotonic() - begun
    seen = shop.seen[0]
    assert (seen["HTTP_X_REQUEST_ID"], seen["HTTP_X_PIPE17_KEY"]) == ("req-1", CANARY)
    assert seen["HTTP_USER_AGENT"].startswith("retailops-channel/")
    assert (seen["RAW_URI"], seen["CONTENT_TYPE"]) == (
        "/api/v3/orders/ext:A%2F%237%20%C3%BC?keys=%2A", "application/json",
    )  # fmt: skip
    (told,) = calls
    assert (told.method, told.path, told.status, told.outcome) == ("POST", "/orders/{order}", 200, "ok")
    assert (told.vendor, told.request_id) == ("pipe17", "req-1") and 0 < told.duration_s <= most_s

    with pytest.raises(Unavailable, match="OUT_OF_TIME") as caught:
        order(client, budget_s=0.0)
    assert (calls[-1].status, calls[-1].outcome, caught.value.outcome_unknown) == (None, "not_sent", False)
    for bad in ("", ".."):
        with pytest.raises(ValueError, match="order"):
            order(client, "/orders/{order}", ids={"order": bad})
    assert vendor.requests == 1


def test_a_failing_observer_disturbs_nothing_and_cookies_are_not_kept(
    vendor: RunningServer, shop: Shop, make_client: Connect
) -> None:
    def fail(call: VendorCall) -> None:
        raise RuntimeError("the disk is full")

    client = make_client(vendor.url, observe=fail)
    reply = order(client)
    order(client)
    assert not any("HTTP_COOKIE" in seen for seen in shop.seen)
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == {"success": True, "price": Decimal("0.10"), "id": 123456789012345678901234567890}
    assert "price" not in repr(reply)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1", "ftp://127.0.0.1/", "api.example.com", "https://", "https://h:port/",
        "https://user:canary-7f3a@api.example.com/", "https://api.example.com/?key=canary-7f3a",
        "http://127.0.0.1.example.com/", "http://localhost@evil.example/", "https://a b/",
    ],
)  # fmt: skip
def test_p23_an_address_no_key_may_be_sent_to_is_refused_at_once(url: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        VendorClient("pipe17", url, headers={}, patience_s=1.0, setting="[channel.pipe17] base_url")
    assert "[channel.pipe17] base_url" in caught.value.message
    assert CANARY not in str(caught.value)


def test_p20_a_key_with_a_line_break_is_refused_without_being_shown(make_client: Connect) -> None:
    with pytest.raises(Misconfigured, match="X-Pipe17-Key") as caught:
        make_client("https://api.example.com", headers={"X-Pipe17-Key": CANARY + "\r\nX-Evil: 1"})
    assert CANARY not in str(caught.value)
    for url in ("http://localhost:1", "http://127.8.9.1", "http://[::1]:80", "https://api.example.com/v1"):
        make_client(url)


def test_p14_a_sick_vendor_is_left_alone_after_five_failures(vendor: RunningServer, make_client: Connect) -> None:
    client = make_client(vendor.url, limiter=CallLimiter("pipe17"))
    vendor.faults.add({"kind": "status", "code": 500})
    codes = []
    for _ in range(20):
        with pytest.raises(Unavailable) as caught:
            order(client)
        codes.append(caught.value.code)
    assert codes == ["HTTP_500"] * 5 + ["BREAKER_OPEN"] * 15
    assert vendor.requests == 5


def test_p14_refusals_never_open_the_breaker_and_a_throttled_vendor_gets_its_quiet(
    vendor: RunningServer, make_client: Connect
) -> None:
    client = make_client(vendor.url, limiter=CallLimiter("pipe17"))
    vendor.faults.add({"kind": "status", "code": 404, "times": 10})
    for _ in range(10):
        with pytest.raises(Refused):
            order(client)
    vendor.faults.add({"kind": "status", "code": 429, "retry_after": 30, "times": 1})
    with pytest.raises(Unavailable, match="THROTTLED"):
        order(client)
    with pytest.raises(Unavailable, match="RATE_LIMITED") as caught:
        order(client)
    assert 25 < (caught.value.retry_after_s or 0) <= 30 and not caught.value.outcome_unknown
    assert vendor.requests == 11


def test_p14_a_429_and_a_503_with_retry_after_cut_the_rate_and_a_bare_503_does_not(
    vendor: RunningServer, make_client: Connect
) -> None:
    def rate_after(**fault: Any) -> float:
        rate = local_rate(RatePlan(8.0, 32.0))
        client = make_client(vendor.url, limiter=CallLimiter("pipe17", rate=rate))
        vendor.faults.add({"kind": "status", "times": 1, **fault})
        with pytest.raises(Unavailable):
            order(client)
        learned = rate.seen()
        assert learned is not None
        return learned.rate

    assert rate_after(code=429) == rate_after(code=503, retry_after=1) == 4.0
    assert rate_after(code=503) == rate_after(code=500) == 8.0


def test_p14_a_call_waits_for_its_turn_as_long_as_its_budget_allows_not_as_long_as_the_vendors_patience(
    vendor: RunningServer, make_client: Connect
) -> None:
    rate = local_rate(RatePlan(1.0))
    client = make_client(vendor.url, patience_s=0.5, limiter=CallLimiter("pipe17", rate=rate))
    begun = time.monotonic()
    order(client, budget_s=3.0)
    with Stopwatch() as watch:
        order(client, budget_s=3.0)
    assert time.monotonic() - begun > 0.9, "a second for its turn, twice the patience for an answer"
    assert watch.took_s < 1.5
    with pytest.raises(Unavailable, match="RATE_LIMITED") as caught:
        order(client, budget_s=0.2)
    assert not caught.value.outcome_unknown and vendor.requests == 2


def test_p15_a_hanging_vendor_holds_only_its_share_of_the_threads(vendor: RunningServer, make_client: Connect) -> None:
    client = make_client(vendor.url, patience_s=BUDGET_S, limiter=CallLimiter("pipe17", threads=5))
    vendor.faults.add({"kind": "hang"})
    together = threading.Barrier(12)

    def one(_: int) -> tuple[str, float]:
        together.wait(20)
        with Stopwatch() as watch, pytest.raises(Unavailable) as caught:
            order(client, budget_s=BUDGET_S)
        return caught.value.code, watch.took_s

    for inside in (3, 2):  # three quarters of five threads until it has shown that it hangs, then half
        with ThreadPoolExecutor(12) as threads:
            results = list(threads.map(one, range(12)))
        assert sorted(code for code, _ in results) == ["TIMED_OUT"] * inside + ["VENDOR_BUSY"] * (12 - inside)
        assert max(took_s for code, took_s in results if code == "VENDOR_BUSY") < 0.3


def test_many_cut_calls_leave_no_open_file_behind(vendor: RunningServer, make_client: Connect) -> None:
    client = make_client(vendor.url)
    order(client)
    before = len(os.listdir("/dev/fd"))
    for kind in ("drip_body", "hang", "reset_after", "half_body", "redirect", "drip_headers") * 3:
        vendor.faults.add({"kind": kind, "times": 1})
        with pytest.raises(GatewayError):
            order(client, budget_s=0.1)
    order(client)
    # The served side closes its ends a moment later, in this same process.
    eventually(lambda: len(os.listdir("/dev/fd")) <= before)


def test_s7_the_cost_of_a_call_is_printed(make_client: Connect, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(Shop(), faults=Faults([{"kind": "slow", "delay_s": 0.02}])) as vendor:
        client = make_client(vendor.url, limiter=CallLimiter("pipe17", threads=32))
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda _: order(client, budget_s=5.0), range(32)))
            started, cpu = time.perf_counter(), time.process_time()
            list(threads.map(lambda _: order(client, budget_s=5.0), range(320)))
            wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    with capsys.disabled():
        ratio, cpu_ms = wall_s / 0.4, cpu_s / 320 * 1e3
        print(f"\nS7, vendor in the same process: {ratio:.2f} of ideal, {cpu_ms:.2f} ms a call")


def test_p44_p45_nothing_is_sent_under_a_lease_that_may_end_before_the_call_does(
    shop: Shop, vendor: RunningServer, make_client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the lease was long enough before the process stood still between its check and the connection."""
    client = make_client(vendor.url)
    long = Deadline.in_s(ANSWERED_S).held_until(boot_s() + 2 * ANSWERED_S)
    assert client.call("POST", "/orders", json_body=b"{}", deadline=long, kind="command").status == 200
    short = Deadline.in_s(ANSWERED_S).held_until(boot_s() + ANSWERED_S / 2)
    with pytest.raises(Unavailable) as caught:
        client.call("POST", "/orders", json_body=b"{}", deadline=short, kind="command")
    assert (caught.value.code, caught.value.outcome_unknown) == ("LEASE_ENDED", False)
    stood_still = Deadline.in_s(BUDGET_S).held_until(boot_s() + 60)
    own_send = WatchedConnection.send

    def late(connection: WatchedConnection, data: object) -> None:
        time.sleep(BUDGET_S + 0.1)
        own_send(connection, data)

    monkeypatch.setattr(WatchedConnection, "send", late)
    with pytest.raises(Unavailable) as caught:
        client.call("POST", "/orders", json_body=b"{}", deadline=stood_still, kind="command")
    assert not caught.value.outcome_unknown and len(shop.made) == 1
