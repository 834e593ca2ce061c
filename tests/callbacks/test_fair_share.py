"""Threads for requests are shared between the channels, by what a request says before anything is verified (P15)."""

from __future__ import annotations

import gzip
import io
import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from flask import Response

from app import settings
from app.callbacks.application import ARRIVED_S
from app.callbacks.senders import HEALTH, PEOPLE, SIGNING_IN, STRANGERS, VISITORS, Senders
from app.callbacks.threads import MOST_WAITING, Threads
from app.console.access import Access
from app.console.recognising import recogniser
from app.console.sessions import SESSION_COOKIE, Sessions
from app.errors import HttpError
from app.gateways import VENDORS
from tests.channels import KEY, PAIR
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.stopwatch import Stopwatch
from tests.waiting import eventually

SHARED, OWN = "key+of+two+channels+00001", "key+of+one+channel+000001"

CHANNELS = f"""
[[channel]]
name = "east"
client_id = 1201
channel_id = 1
auth_keys = ["{SHARED}"]
gateways = ["rally", "retailrocket"]
[channel.rally]
organization_id = "org-east"
api_key = "rally-key-east"
storefront_client_id = "public"
[[channel.rally.shipping]]
id = "standard"
title = "Standard"
price = "5.00"
countries = ["US"]
[channel.retailrocket]
partner_id = "60f6e2b4e8f3b61d1c8f4a01"
api_key = "rr-key-east"
[[channel]]
name = "west"
client_id = 1201
channel_id = 2
auth_keys = ["{SHARED}"]
gateways = ["pipe17"]
[channel.pipe17]
api_key = "pipe17-key-west"
webhook_path_key = "west-path-key-000000000000000001"
[[channel]]
name = "south"
client_id = 1202
channel_id = 3
auth_keys = ["{OWN}"]
gateways = ["pipe17"]
[channel.pipe17]
api_key = "pipe17-key-south"
"""


@pytest.fixture(scope="module")
def senders() -> Senders:
    found = {
        "APP_ENV": "development",
        "DATABASE_URL": "sqlite:///x.db",
        "CHANNELS": CHANNELS,
        "PUBLIC_URL": "https://x.y",
    }
    return Senders(settings.load(found, vendors=VENDORS).channels)


TOKENS = {"CONSOLE_TOKEN": "token-of-operator-0123456789", "CONSOLE_READ_TOKEN": "token-of-reader-0123456789"}


@pytest.mark.parametrize(
    ("path", "others"),
    [
        ("/metrics", VISITORS),
        ("/console/orders", VISITORS),
        ("//console//login", SIGNING_IN),
        ("/docs/search", VISITORS),
        ("/openapi.json", VISITORS),
    ],
)
def test_p15_only_who_is_signed_in_has_the_share_of_people(path: str, others: str) -> None:
    found = {"APP_ENV": "development", "DATABASE_URL": "sqlite:///x.db", "CHANNELS": CHANNELS, **TOKENS}
    configured = settings.load({**found, "PUBLIC_URL": "https://x.y"}, vendors=VENDORS)
    senders = Senders(configured.channels, recogniser(configured))
    roles = Access(configured).roles
    reply = Response()
    Sessions(roles, is_secure=False).open(reply, "Ada", roles[1])
    cookie = reply.headers["Set-Cookie"].partition(";")[0]
    for headers, sender in (
        ([], others),
        ([("COOKIE", cookie)], PEOPLE),
        ([("COOKIE", f"other=1; {cookie}")], PEOPLE),
        ([("COOKIE", cookie[:-12] + "A" * 12)], others),
        ([("COOKIE", f"{SESSION_COOKIE}=\xff.x.y")], others),
        ([("AUTHORIZATION", f"bearer {TOKENS['CONSOLE_TOKEN']}")], PEOPLE),
        ([("AUTHORIZATION", "Bearer token-of-nobody-0123456789"), ("COOKIE", cookie)], others),
    ):
        assert senders.of(path, headers, io.BytesIO()) == sender, headers
    nobody = Senders(configured.channels, recogniser(replace(configured, console_token="")))
    assert nobody.of(path, [("AUTHORIZATION", "Bearer "), ("COOKIE", cookie)], io.BytesIO()) == others


def callback(key: str = OWN, channel_id: Any = 3, rows: int = 1, *, is_key_last: bool = False) -> bytes:
    fields = {"integration_auth_token": key, "channel_info": {"name": "x", "id": channel_id}}
    big = {"inventory_updates": [{"sku": f"S{number}", "quantity_available": 1} for number in range(rows)]}
    return json.dumps(
        {**big, **fields} if is_key_last else {**fields, **big}, indent=1 if is_key_last else None
    ).encode()


PUSH = "/api/channel/inventory_push_v1"


@pytest.mark.parametrize(
    ("path", "headers", "body", "sender"),
    [
        (PUSH, [], callback(), "south"),
        ("//api//channel/inventory_push_v1/", [], callback(), "south"),
        (PUSH, [], callback(rows=5_000), "south"),
        (PUSH, [], callback(rows=5_000, is_key_last=True), "south"),
        (PUSH, [], callback(SHARED, "1"), "east"),
        (PUSH, [], callback(SHARED, 2, 5_000, is_key_last=True), "west"),
        (PUSH, [], callback(SHARED, 3), STRANGERS),
        (PUSH, [("CONTENT-ENCODING", "gzip")], gzip.compress(callback(rows=5_000)), "south"),
        (PUSH, [("CONTENT-ENCODING", "gzip")], b"no gzip at all", STRANGERS),
        (PUSH, [], callback("key+of+nobody+0000000001"), STRANGERS),
        (PUSH, [], callback("RETAILOPS_SDK"), STRANGERS),
        (PUSH, [], b"", STRANGERS),
        ("/rally/merchants/org-east/hooks/cart", [], b"{}", "east"),
        ("/rally/merchants/org-nobody/hooks/cart", [], callback(), STRANGERS),
        ("/pipe17/hooks/west-path-key-000000000000000001", [], b"", "west"),
        ("/feeds/retailrocket/east.xml", [], b"", "east"),
        ("/feeds/retailrocket/other.xml", [], b"", STRANGERS),
        ("/healthz", [], b"", HEALTH),
        ("/readyz", [], b"", HEALTH),
        ("/metrics", [], b"", VISITORS),
        ("/nowhere", [], b"", STRANGERS),
    ],
)
def test_p15_a_request_is_for_the_channel_it_names_and_whoever_names_none_is_a_stranger(
    senders: Senders, path: str, headers: list[tuple[str, str]], body: bytes, sender: str
) -> None:
    given = io.BytesIO(body)
    assert senders.of(path, headers, given) == sender
    assert given.read() == body, "nothing of it is gone"


class Jobs:
    """Eight threads and what they have begun; a job goes on until its sender is let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.let_go: dict[str, threading.Semaphore] = {}
        self.threads = Threads(8, self._do)

    def give(self, sender: str, times: int = 1) -> None:
        self.let_go.setdefault(sender, threading.Semaphore(0))
        for _ in range(times):
            self.threads.give(sender, sender)

    def _do(self, sender: str, held: str) -> str:
        self.begun.append(sender)
        assert self.let_go[sender].acquire(timeout=20)
        return ""


def test_p46_where_no_thread_can_be_started_those_that_are_there_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Jobs()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(20):
            with pytest.raises(HttpError):
                jobs.give("first")
    jobs.give("first")
    eventually(lambda: jobs.begun == ["first"])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        jobs.give("second", 20)
    jobs.let_go["second"].release(20)
    jobs.let_go["first"].release()
    eventually(lambda: len(jobs.begun) == 21)


def test_p15_requests_of_one_channel_leave_threads_to_the_others_and_strangers_have_few() -> None:
    jobs = Jobs()
    jobs.give("flood", 60)
    jobs.give(STRANGERS, 60)
    eventually(lambda: len(jobs.begun) == 8)
    assert jobs.begun.count("flood") == 7, "one thread is left for others"
    jobs.give("quiet", 3)
    jobs.give(HEALTH)
    jobs.let_go["flood"].release(4)
    eventually(lambda: len(jobs.begun) == 12)
    assert set(jobs.begun[8:10]) == {"quiet", HEALTH}, "whoever has least under way goes first"
    assert "flood" not in jobs.begun[8:] and jobs.begun.count(STRANGERS) <= 2
    for let_go in jobs.let_go.values():
        let_go.release(100)
    eventually(lambda: len(jobs.begun) == 124)
    jobs.give("flood", 8)
    eventually(lambda: len(jobs.begun) == 132)


def test_p15_visitors_take_an_eighth_of_the_threads_and_no_more() -> None:
    jobs = Jobs()
    jobs.give(VISITORS, 60)
    jobs.give(PEOPLE, 3)
    jobs.give("quiet", 4)
    eventually(lambda: len(jobs.begun) == 8)
    assert sorted(jobs.begun) == sorted([VISITORS, *[PEOPLE] * 3, *["quiet"] * 4])
    for let_go in jobs.let_go.values():
        let_go.release(100)
    eventually(lambda: len(jobs.begun) == 67)


def test_p15_visitors_who_fill_their_queue_keep_nobody_from_signing_in(senders: Senders) -> None:
    jobs = Jobs()
    reader, login = (senders.of(path, [], io.BytesIO()) for path in ("/docs/search", "/console/login"))
    jobs.give(reader, 1 + MOST_WAITING)
    with pytest.raises(HttpError):
        jobs.give(reader)
    jobs.give(login, 2)
    eventually(lambda: sorted(jobs.begun) == sorted([reader, login]))
    jobs.let_go[login].release(2)
    eventually(lambda: jobs.begun.count(login) == 2)
    jobs.let_go[reader].release(1000)
    eventually(lambda: len(jobs.begun) == 3 + MOST_WAITING)


def test_p15_one_channel_alone_has_all_but_one_and_beyond_what_may_wait_is_told_at_once() -> None:
    jobs = Jobs()
    jobs.give("flood", 7 + MOST_WAITING)
    with pytest.raises(HttpError) as told:
        jobs.give("flood")
    assert (told.value.status, told.value.code) == (503, "OVERLOADED") and told.value.retry_after_s
    jobs.give("quiet")
    eventually(lambda: "quiet" in jobs.begun)
    assert jobs.begun.count("flood") == 7
    for let_go in jobs.let_go.values():
        let_go.release(1000)
    eventually(lambda: len(jobs.begun) == 8 + MOST_WAITING)


def test_p7_time_spent_waiting_for_a_thread_counts_against_the_time_for_the_answer(
    retailops: Caller, pipe17: Sandbox
) -> None:
    pipe17.fault(kind="hang", match={"path_prefix": "/api/v3/shipments"})
    body: dict[str, Any] = {"integration_auth_token": KEY, "action": "x", "version": 1, "client_id": PAIR[0]}
    body["channel_info"] = {"id": PAIR[1]}
    with Stopwatch() as watch:
        reply = retailops.app.test_client().post(
            "/api/channel/order_pull_v1", json=body, environ_overrides={ARRIVED_S: time.monotonic() - 9.0}
        )
    assert reply.status_code == 503 and watch.took_s < 3
