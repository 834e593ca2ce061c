"""An attempt seen from inside: a fault of ours, look-ups that fail, and how long the writer is waited for."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app import caller
from app.deadline import Deadline
from app.deliveries import transitions
from app.deliveries.attempts import Attempts
from app.domain.commands import Acknowledgement, Cancellation, CommandBody, read_back
from app.errors import GatewayError, Unavailable
from app.gateways.calls import Accepted, Call, Health, Verb
from app.gateways.capabilities import CommandTarget, Gateway
from app.records.database import Database, DatabaseUnavailable
from app.records.deliveries import Delivery
from tests.stopwatch import Stopwatch


class Faulty(CommandTarget):
    """A gateway with a fault of ours in its cancellation."""

    verbs = {"cancel_order": Verb("lookup", decided_by="vendor")}  # noqa: RUF012

    def cancel_order(self, wanted: Cancellation, call: Call) -> Accepted:
        raise KeyError("a fault of ours")


def gateway(commands: CommandTarget) -> Gateway:
    return Gateway("faulty", lambda call: Health("connected"), commands, settle_s=60.0)


def a_delivery(state: transitions.State = "owed") -> Delivery:
    return Delivery(1, "c", "faulty", "cancel_order", "A", 1, Cancellation("A"), state, 0, False, None, "r")


def test_r10_a_fault_of_ours_in_a_cancellation_is_not_told_as_success() -> None:
    """A parked call reads as a warning, and a warning as success; only the vendor decides that."""
    settled = Attempts({("c", "faulty"): gateway(Faulty())}).make(a_delivery(), Deadline.in_s(5), is_inline=True)
    assert settled.state in ("checking", "refused")


@pytest.mark.parametrize("stored", [None, b"", b"{", b'{"order_refnum": 5}', b"[]"])
@pytest.mark.parametrize(("is_inline", "state"), [(True, "refused"), (False, "parked")])
def test_r12_a_stored_call_that_cannot_be_read_is_not_sent_and_waits_for_a_person(
    stored: bytes | None, is_inline: bool, state: str
) -> None:
    target = Answering()
    delivery = replace(a_delivery(), verb="acknowledge_order", command=read_back("acknowledge_order", stored))
    settled = Attempts({("c", "faulty"): gateway(target)}).make(delivery, Deadline.in_s(5), is_inline=is_inline)
    assert (settled.state, settled.code, settled.is_possibly_done) == (state, "UNREADABLE_DELIVERY", False)
    assert read_back("no_such_verb", stored) is None


class Answering(CommandTarget):
    """A vendor of which each attempt comes to the next of `outcomes`."""

    verbs = {"acknowledge_order": Verb("safe"), "cancel_order": Verb("lookup")}  # noqa: RUF012

    def __init__(self, *outcomes: GatewayError | Accepted | None) -> None:
        self._outcomes = list(outcomes)

    def _next(self) -> Accepted | None:
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, GatewayError):
            caller.vendor_writes.set(caller.vendor_writes.get() + 1)
            raise outcome
        return outcome

    def acknowledge_order(self, wanted: Acknowledgement, call: Call) -> Accepted:
        return self._next() or Accepted()

    def cancel_order(self, wanted: Cancellation, call: Call) -> Accepted:
        return self._next() or Accepted()

    def look_up(self, verb: str, body: CommandBody, call: Call) -> Accepted | None:
        return self._next()


LOST = Unavailable("TIMED_OUT", "x", outcome_unknown=True)
ANSWERED = Unavailable("HTTP_500", "x", outcome_unknown=True)


@pytest.mark.parametrize(
    ("verb", "outcomes", "held_s"),
    [
        ("acknowledge_order", [Accepted()], None),
        ("acknowledge_order", [LOST, Accepted()], 60),
        ("acknowledge_order", [LOST, ANSWERED, Accepted()], 60),
        ("acknowledge_order", [ANSWERED, Accepted()], 1),
        ("cancel_order", [LOST, Accepted()], None),
        ("cancel_order", [LOST, None, None, Accepted()], 60),
    ],
)
def test_p44_how_long_later_calls_wait_for_an_attempt_without_an_answer(
    verb: str, outcomes: list[GatewayError | Accepted | None], held_s: int | None
) -> None:
    """Until `settle` after its connection was closed; not for what was answered, nor for what was seen to be done."""
    now = begun = datetime(2026, 2, 3, 12, tzinfo=UTC)
    attempts = Attempts({("c", "faulty"): gateway(Answering(*outcomes))}, clock=lambda: now, roll=lambda: 0.0)
    body = Acknowledgement("A", "7") if verb == "acknowledge_order" else Cancellation("A")
    delivery = Delivery(1, "c", "faulty", verb, "A", 1, body, "owed", 0, False, None, "r")
    while (settled := attempts.make(delivery, Deadline.in_s(5), is_inline=False)).state == "owed":
        delivery = replace(
            delivery, attempts=settled.attempts, is_possibly_done=settled.is_possibly_done,
            last_attempt_at=settled.last_attempt_at, late_until=settled.late_until,
        )  # fmt: skip
        now = max(settled.next_try_at, now + timedelta(seconds=1))
    assert settled.state == "delivered"
    assert settled.late_until is None if held_s is None else settled.late_until <= begun + timedelta(seconds=held_s)
    if held_s == 60:
        assert settled.late_until == begun + timedelta(seconds=60)
    is_read = verb == "cancel_order" and held_s == 60
    assert (now - begun >= timedelta(seconds=60)) == is_read, "a create is sent again only after `settle`"


def test_p44_a_fault_or_a_database_away_before_anything_was_sent_leaves_no_unknown_outcome() -> None:
    class Unready(Answering):
        verbs = {"acknowledge_order": Verb("never")}  # noqa: RUF012

        def __init__(self, error: Exception, *, is_sent: bool) -> None:
            self._error, self._is_sent = error, is_sent

        def acknowledge_order(self, wanted: Acknowledgement, call: Call) -> Accepted:
            if self._is_sent:
                caller.vendor_writes.set(caller.vendor_writes.get() + 1)
            raise self._error

    body = Acknowledgement("A", "7")
    delivery = Delivery(1, "c", "faulty", "acknowledge_order", "A", 1, body, "owed", 0, False, None, "r")
    for error in (KeyError("a fault of ours"), DatabaseUnavailable("away")):
        for is_sent, state in ((False, "owed"), (True, "parked")):
            attempts = Attempts({("c", "faulty"): gateway(Unready(error, is_sent=is_sent))})
            settled = attempts.make(delivery, Deadline.in_s(5), is_inline=False)
            assert (settled.state, settled.is_possibly_done) == (state, is_sent)


def test_p14_look_ups_that_keep_failing_come_less_and_less_often() -> None:
    delivery = a_delivery("checking")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    pauses = []
    for _ in range(8):
        settled = transitions.after_look_up_error(delivery, Unavailable("HTTP_503", "x"), now=now, roll=1.0)
        pauses.append(settled.next_try_at - now)
        delivery = replace(delivery, state=settled.state, attempts=settled.attempts)
    assert pauses[-1] > timedelta(seconds=30)


def test_r8_waiting_for_sqlites_writer_counts_against_the_budget(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/channel.db")
    database.prepare()
    elsewhere = sqlite3.connect(tmp_path / "channel.db", isolation_level=None)
    try:
        elsewhere.execute("BEGIN IMMEDIATE")
        with Stopwatch() as watch, pytest.raises(DatabaseUnavailable), database.write(wait_s=0.3):
            pass
        assert watch.took_s < 2
    finally:
        elsewhere.close()
        database.close()
