"""A cancellation waits for what only our own throttle holds up, and for nothing else (R14, R12)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select

from app import composition
from app.channel.lane_waiting import THROTTLED
from app.contract.schemas import Contract
from app.records.tables.deliveries import deliveries
from tests.channels import channel_table
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.stopwatch import Stopwatch
from tests.waiting import eventually

Build = Callable[..., Flask]


def test_p14_a_cancellation_behind_an_acknowledgement_that_our_rate_holds_up_waits_for_its_turn(
    build_app: Build, pipe17: Sandbox, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = channel_table(pipe17.url).replace("requests_per_s = 0", "requests_per_s = 3\nrate_max = 3")
    patient = Caller(build_app(channel), contract)
    monkeypatch.setattr(composition, "BUDGET_S", 0.5)
    hasty = Caller(build_app(channel), contract)
    refnums = [order["channel_order_refnum"] for order in patient.pull()][:5]
    assert "OWED" in codes(hasty.acknowledge(*refnums))
    # One that was sent when the time of the request was over is held up by more than our rate, and may be noted late;
    # so is one whose time was over before it was sent.
    is_held_up = (
        deliveries.c.state == "owed", deliveries.c.attempts == 0, deliveries.c.lease_until.is_(None),
        deliveries.c.last_code.in_(THROTTLED),
    )  # fmt: skip

    def held_up() -> Sequence[str]:
        query = select(deliveries.c.lane).where(*is_held_up).order_by(deliveries.c.id)
        with patient.database.read() as connection:
            return connection.execute(query).scalars().all()

    open_ones = eventually(held_up)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(patient.cancel, open_ones[-3:]))
    assert [(answer["status"], codes(answer)) for answer in answers] == [("success", [])] * len(answers)
    assert {pipe17.shipment(refnum)["status"] for refnum in open_ones[-3:]} == {"canceledRestock"}


def test_p14_a_cancellation_behind_a_call_that_the_vendor_throttled_is_answered_at_once(
    retailops: Caller, pipe17: Sandbox
) -> None:
    order = retailops.pull()[0]
    pipe17.fault(kind="status", code=429, retry_after=5, times=1, match={"method": "PUT"})
    assert codes(retailops.acknowledge(order["channel_order_refnum"])) == ["OWED"]
    with Stopwatch() as watch:
        answer = retailops.cancel(order["channel_order_refnum"])
    assert (answer["status"], codes(answer)) == ("fail", ["EARLIER_CALLS_OWED"])
    assert watch.took_s < 2.0
