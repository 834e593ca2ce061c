"""An attempt seen from inside: a fault of ours, look-ups that fail, and how long the writer is waited for."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from app.deliveries import transitions
from app.deliveries.courier import Courier
from app.deliveries.transitions import Delivery
from app.errors import Unavailable
from app.gateways.interface import Accepted, Call, Gateway, Health, Verb
from app.gateways.policy import Deadline
from app.gateways.words import Cancellation
from app.records.database import Database, DatabaseUnavailable


class Faulty(Gateway):
    """A gateway with a fault of ours in its cancellation."""

    token = "faulty"
    verbs = {"cancel_order": Verb("lookup", decided_by="vendor")}  # noqa: RUF012

    def check(self, call: Call) -> Health:
        return Health("connected")

    def cancel_order(self, wanted: Cancellation, call: Call) -> Accepted:
        raise KeyError("a fault of ours")


def a_delivery(state: transitions.State = "owed") -> Delivery:
    body = msgspec.json.encode(Cancellation("A"))
    return Delivery(1, "c", "faulty", "cancel_order", "A", 1, body, state, 0, False, None, "r")


def test_r10_a_fault_of_ours_in_a_cancellation_is_not_told_as_success() -> None:
    """A parked call reads as a warning, and a warning as success; only the vendor decides that."""
    settled = Courier({("c", "faulty"): Faulty()}).attempt(a_delivery(), Deadline.in_s(5), is_inline=True)
    assert settled.state in ("checking", "refused")


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
        begun = time.monotonic()
        with pytest.raises(DatabaseUnavailable), database.write(wait_s=0.3):
            pass
        assert time.monotonic() - begun < 2
    finally:
        elsewhere.close()
        database.close()
