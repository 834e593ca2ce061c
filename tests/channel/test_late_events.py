"""A failure found after the answer reaches RetailOps once, with the next answer that can carry it (R15)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select, update

from app.channel_settings import TEST_KEY
from app.clock import utc_now
from app.contract.schemas import Contract
from app.domain.events import Event, about
from app.records import late_events as records
from app.records.tables.deliveries import late_events
from app.sandbox.vendors.pipe17 import INTEGRATION_KEY
from tests.channels import OTHER_KEY, channel_table
from tests.passing_time import PassingTime
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.stopwatch import Stopwatch
from tests.waiting import eventually


@pytest.fixture
def orders(retailops: Caller) -> list[dict[str, Any]]:
    pulled = retailops.pull()
    retailops.acknowledge(*[order["channel_order_refnum"] for order in pulled])
    return pulled


def update_order(caller: Caller, number: int = 0) -> dict[str, Any]:
    """A callback that Pipe17 has no use for: an answer with events and nothing else going on."""
    return caller.ask("order_update", order={"channel_order_refnum": f"another-{number}"})


def late(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in answer["events"] if item["code"].startswith("LATE_")]


def eventually_told(caller: Caller) -> list[dict[str, Any]]:
    number = iter(range(1000))
    return eventually(lambda: late(update_order(caller, next(number))))


def park_a_shipment(retailops: Caller, pipe17: Sandbox, order: dict[str, Any]) -> None:
    """Pipe17 is busy while RetailOps asks, and refuses the fulfilment when it is told in the background."""
    path = {"method": "POST", "path_prefix": "/api/v3/fulfillments"}
    pipe17.fault(kind="status", code=429, times=1, match=path)
    pipe17.fault(kind="status", code=400, times=1, match=path)
    assert codes(retailops.ship(order)) == ["OWED"]


def keep_news(caller: Caller, count: int = 1, channel: str = "first") -> None:
    with caller.database.write() as connection:
        for number in range(count):
            records.note(
                connection,
                channel=channel,
                gateway="pipe17",
                callback="order_shipment_submit",
                subject=f"o-{number}",
                event=Event("warning", "LATE_REFUSED", f"number {number}", about("order_refnum", f"o-{number}")),
                request_id="r",
                now=utc_now(),
            )


@pytest.mark.both_databases
def test_r15_a_call_parked_after_the_answer_is_told_once_and_names_callback_and_order(
    retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]], time_passes: PassingTime
) -> None:
    refnum = orders[0]["channel_order_refnum"]
    park_a_shipment(retailops, pipe17, orders[0])
    [told] = eventually_told(retailops)
    assert (told["event_type"], told["code"]) == ("warning", "LATE_FULFILLMENT_REFUSED")
    assert "order_shipment_submit" in told["message"] and refnum in told["message"]
    assert told["associations"] == [{"identifier_type": "shipment_id", "identifier": "501"}]
    time_passes(retailops.app, 1.1)
    assert late(update_order(retailops, 2000)) == []
    with retailops.database.read() as connection:
        [row] = connection.execute(select(late_events)).all()
    assert row.dismissed_at is None, "the operator keeps it"


@pytest.mark.parametrize("fault", ["reset_after", "hang"])
def test_r15_a_held_cancellation_is_told_either_way(
    fault: str, retailops: Caller, hasty: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    pipe17.fault(kind=fault, times=1, match={"method": "PUT"})
    answer = hasty.cancel(orders[0]["channel_order_refnum"])
    assert (answer["status"], codes(answer)) == ("fail", ["OUTCOME_UNKNOWN"])
    [told] = eventually_told(retailops)
    assert told["code"] == ("LATE_DONE" if fault == "reset_after" else "LATE_NOT_DONE")
    assert told["message"].startswith("order_cancel of ")
    assert told["associations"][0]["identifier"] == orders[0]["channel_order_refnum"]


def test_r15_an_order_cancelled_meanwhile_is_told_although_the_late_acknowledgement_succeeded(
    retailops: Caller, pipe17: Sandbox
) -> None:
    refnum = retailops.pull()[0]["channel_order_refnum"]
    pipe17.fault(kind="status", code=429, times=1, match={"method": "GET"})
    pipe17.tell(f"shipments/{refnum}/cancel", {})
    assert codes(retailops.acknowledge(refnum)) == ["OWED"]
    [told] = eventually_told(retailops)
    assert told["code"] == "LATE_ORDER_CANCELLED" and "do not ship" in told["message"]


def test_r15_a_refused_sku_is_told_once_although_it_is_refused_again(
    retailops: Caller, time_passes: PassingTime
) -> None:
    def push(units: int) -> None:
        detail = {"quantity_type": "internal", "facility_name": "Nowhere", "available_quantity": units,
                  "total_quantity": units}  # fmt: skip
        row = {"sku": "MUG-RED", "quantity_available": units, "quantity_detail": [detail]}
        retailops.ask("inventory_push", inventory_updates=[row])

    push(3)
    [told] = eventually_told(retailops)
    assert told["code"] == "LATE_STOCK_REFUSED"
    assert told["associations"] == [{"identifier_type": "sku_number", "identifier": "MUG-RED"}]
    push(4)
    time_passes(retailops.app, 1.6)
    assert late(update_order(retailops, 2000)) == []


@pytest.mark.both_databases
def test_r15_only_the_channels_own_live_answers_with_events_tell_and_never_more_than_twenty(
    build_app: Callable[..., Flask], pipe17: Sandbox, start_pipe17: Callable[..., Sandbox], contract: Contract
) -> None:
    other_vendor = start_pipe17()
    other_table = channel_table(other_vendor.url, name="other", pair=(1201, 33), key=OTHER_KEY, api_key=INTEGRATION_KEY)
    app = build_app(channel_table(pipe17.url) + other_table, VERIFY_KEY="on")
    caller = Caller(app, contract)
    keep_news(caller, 45)
    callers = {
        "dry run": Caller(app, contract, TEST_KEY),
        "no such pair": Caller(app, contract, pair=(1201, 99)),
        "other channel": Caller(app, contract, OTHER_KEY, (1201, 33)),
    }
    for name, quiet in callers.items():
        assert late(update_order(quiet)) == [], name
    caller.pull()
    caller.ask("catalog_get_config")
    caller.ask("payment_credit", credit={"amount": 5, "parent_payment_transactions": []})
    answer = caller.cancel("no-such-order")
    assert answer["status"] == "fail" and len(late(answer)) == 20
    said = late(answer)
    answers = [update_order(caller, number) for number in range(3)]
    assert [len(late(answer)) for answer in answers] == [20, 5, 0]
    for answer in answers:
        said += late(answer)
    assert [item["message"] for item in said] == [f"number {number}" for number in range(45)]
    assert codes(answers[0], "error") == []


@pytest.mark.both_databases
def test_r15_a_repeat_of_the_request_that_heard_it_hears_it_again_for_a_while(retailops: Caller) -> None:
    """The answer may have been lost on its way; another request is not told twice."""
    keep_news(retailops)
    first = update_order(retailops, 1)
    assert len(late(first)) == 1
    assert update_order(retailops, 1) == first
    assert late(update_order(retailops, 2)) == []
    with retailops.database.write() as connection:
        connection.execute(update(late_events).values(dismissed_at=utc_now()))
    assert late(update_order(retailops, 1)) == [], "an operator has dismissed it"
    with retailops.database.write() as connection:
        connection.execute(update(late_events).values(dismissed_at=None))
    assert update_order(retailops, 1) == first
    with retailops.database.write() as connection:
        connection.execute(update(late_events).values(sent_at=utc_now() - timedelta(hours=1)))
    assert late(update_order(retailops, 1)) == []


def test_r15_without_news_an_answer_costs_no_query(retailops: Caller) -> None:
    update_order(retailops)
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "late_events" in statement:
            statements.append(statement)

    event.listen(retailops.database.engine, "before_cursor_execute", count)
    begun = time.monotonic()
    for number in range(100):
        update_order(retailops, number)
    assert len(statements) <= 1 + (time.monotonic() - begun)


def test_r15_news_waits_while_the_database_is_busy_and_the_answer_does_not(retailops: Caller) -> None:
    keep_news(retailops)
    is_held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with retailops.database.write():
            is_held.set()
            is_over.wait(10)

    other = threading.Thread(target=hold)
    other.start()
    assert is_held.wait(10)
    with Stopwatch() as watch:
        assert late(update_order(retailops, 1)) == []
    assert watch.took_s < 2
    is_over.set()
    other.join()
    assert len(late(update_order(retailops, 2))) == 1
