"""What judges a chaos run finds what it is there for: late packets, refunds sent twice, and parked though heard."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from decimal import Decimal
from http.client import HTTPResponse
from typing import Any

import pytest

from app.sandbox.server import RunningServer
from app.sandbox.vendors.rally import serve_rally
from app.sandbox.vendors.retailops import CallbackReply
from tests.system.books import Books, Request
from tests.system.chaos.injuries import Injuries
from tests.system.chaos.money_books import MoneyAtRest, compare_money
from tests.system.chaos.overheard import Exchange, Overheard
from tests.system.chaos.records import Parked
from tests.system.relay import Direction, Link, Relay
from tests.waiting import eventually

CALL = b"PUT /sandbox/settings HTTP/1.1\r\nHost: rally\r\nContent-Length: 19\r\n\r\n"
BODY = b'{"rate_per_s": 7.5}'


def _status(line: socket.socket) -> int:
    """The status of an answer that was heard to its end: the rest of it would be taken for the next one."""
    answer = HTTPResponse(line)
    answer.begin()
    answer.read()
    return answer.status


@pytest.fixture
def rally() -> Iterator[RunningServer]:
    with serve_rally() as server:
        yield server


@pytest.mark.parametrize(
    ("resets", "are_sent", "arrives"),
    [(False, False, True), (True, False, False), (True, True, True)],
    ids=["closed: the kernel goes on sending", "reset: nothing more is sent", "reset: what was under way arrives"],
)
def test_p44_a_held_call_arrives_unless_its_caller_threw_it_away(
    rally: RunningServer, resets: bool, are_sent: bool, arrives: bool
) -> None:
    seen = Overheard("/settings", lambda port: None)
    relay = Relay(int(rally.url.rpartition(":")[2]), seen.tap)
    relay.hold("calls", are_sent=are_sent)
    caller = socket.create_connection(("127.0.0.1", relay.port))
    caller.sendall(CALL)
    time.sleep(0.1)  # so that the body is read apart
    caller.sendall(BODY)
    if resets:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    caller.close()
    time.sleep(0.1)
    relay.release()
    if arrives:
        eventually(lambda: [exchange.body for exchange in seen.exchanges] == [BODY])
        assert seen.exchanges[0].status == 0, "nobody was there to hear the answer"
    else:
        time.sleep(0.3)
        assert seen.exchanges == []
    relay.close()


@pytest.mark.parametrize("late", ["calls", "answers"])
def test_p44_an_answer_that_was_heard_is_overheard_however_late_the_relay_goes_on(
    rally: RunningServer, late: Direction
) -> None:
    """The vendor may answer a call, and its caller hang up, before the thread that passed the bytes on goes on."""
    seen = Overheard("/settings", lambda port: None)

    def slowly(link: Link, direction: Direction, data: bytes) -> None:
        time.sleep(0.3 if direction == late else 0.0)
        seen.tap(link, direction, data)

    relay = Relay(int(rally.url.rpartition(":")[2]), slowly)
    with socket.create_connection(("127.0.0.1", relay.port), timeout=5) as caller:
        caller.sendall(CALL + BODY)
        assert _status(caller) == 200
    time.sleep(0.5)  # by now whoever is late has come
    assert [exchange.status for exchange in seen.exchanges] == [200]
    relay.close()


def test_p44_a_relay_that_refuses_connections_keeps_those_there_are_and_takes_them_again(rally: RunningServer) -> None:
    relay = Relay(int(rally.url.rpartition(":")[2]))
    with socket.create_connection(("127.0.0.1", relay.port), timeout=5) as there:
        there.sendall(CALL + BODY)
        assert _status(there) == 200
        relay.refuse()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", relay.port), timeout=5)
        there.sendall(CALL + BODY)
        assert _status(there) == 200
        relay.release()
        with socket.create_connection(("127.0.0.1", relay.port), timeout=5) as new:
            new.sendall(CALL + BODY)
            assert _status(new) == 200
    relay.refuse()
    relay.close()


def test_p44_a_refund_sent_twice_and_one_parked_though_heard_are_found() -> None:
    assert _found([_sent(status=429), _sent(status=202)]) == ["parked"], "one that was surely not done may be repeated"
    assert "was sent 2 times" in _found([_sent(status=502), _sent(status=202)])[0]
    assert _found([_sent(status=0)]) == [], "nobody heard"
    killed, other = Injuries(), Injuries()
    killed.begin("killed", 7)
    other.begin("killed", 8)
    assert _found([_sent(status=202)], killed) == [], "who heard it has died"
    assert _found([_sent(status=202)], other) == ["parked"], "somebody else has died"


@pytest.mark.parametrize(
    ("database_lost", "killed", "code", "is_found"),
    [
        ((0.0, 5.0), 3.0, "OUTCOME_UNKNOWN", False),
        ((0.0, 5.0), 3.0, "ALREADY_SHIPPED", True),
        ((0.0, 5.0), 8.0, "OUTCOME_UNKNOWN", True),
        ((2.0, 5.0), 3.0, "OUTCOME_UNKNOWN", True),
        ((0.0, 5.0), None, "OUTCOME_UNKNOWN", True),
    ],
    ids=["forgotten", "refused", "died when it was written", "lost after the answer", "nobody died"],
)
def test_p10_what_was_accepted_is_unsure_later_only_if_who_knew_it_has_died(
    database_lost: tuple[float, float], killed: float | None, code: str, is_found: bool
) -> None:
    injuries = Injuries()
    away = injuries.begin("database lost")
    away.begun_at, away.ended_at = database_lost
    if killed is not None:
        death = injuries.begin("killed", 7)
        death.begun_at = death.ended_at = killed
    books, request = Books(may_have_forgotten=injuries.may_have_forgotten), Request("order_cancel", {}, ("A1",))
    books.note(request, _heard(), 0.5, 1.0)
    books.note(request, _heard(code), 9.0, 9.1)
    assert (bool(books.violations), books.forgotten) == (is_found, 0 if is_found else 1)


@pytest.mark.parametrize(
    ("status", "is_accepted", "was_refused"),
    [("success", True, False), ("fail", False, True), ("decline", False, True), ("timeout", False, False)],
)
def test_p10_a_credit_is_accepted_only_by_its_status(status: str, is_accepted: bool, was_refused: bool) -> None:
    books, request = Books(), Request("payment_credit", {}, ("A1",))
    books.note(request, CallbackReply("payment_credit", 200, {"status": status}, (), 0.1, "id"), 0.5, 1.0)
    assert (request.is_accepted, request.was_surely_refused) == (is_accepted, was_refused)
    books.note(request, CallbackReply("payment_credit", 200, {"status": "fail"}, (), 0.1, "id"), 2.0, 2.1)
    assert bool(books.violations) is is_accepted, "what was paid once is not refused later"


def _heard(*codes: str) -> CallbackReply:
    events = [{"event_type": "error", "code": code, "associations": []} for code in codes]
    return CallbackReply("order_cancel", 200, {"events": events}, (), 0.1, "id")


def _sent(status: int) -> Exchange:
    now = time.monotonic()
    body = json.dumps({"external_id": "ro-return-1"}).encode()
    return Exchange("POST", "/webhooks/order-refund-create", body, 7, now, status, now + 0.01 if status else 0.0)


def _found(sent: list[Exchange], injuries: Injuries | None = None) -> list[str]:
    """What is found of one parked refund that went over the wire so."""
    order: dict[str, Any] = {"refunds": [], "refunded": 0, "charged": 22}
    parked = Parked("rally", "RLY-1", "refund_payment", "OUTCOME_UNKNOWN", b'{"key": "ro-return-1"}')
    rest = MoneyAtRest(
        Books(), {"RLY-1": Decimal(22)}, {"RLY-1": order}, [], [parked], sent, injuries or Injuries()
    )  # fmt: skip
    found, _ = compare_money(rest)
    return ["parked" if "heard that it is done" in line else line for line in found if "no answer about" not in line]
