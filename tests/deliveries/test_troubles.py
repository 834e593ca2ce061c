"""A vendor that fails in the background: one line when it begins, one when it is over, whatever lies between."""

from __future__ import annotations

import logging
import re
from itertools import pairwise
from typing import Any

import pytest

from tests.passing_time import PassingTime
from tests.retailops import Caller, shipment_of
from tests.sandboxes import Sandbox
from tests.waiting import eventually


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "app.deliveries.failure_log"]


def push(retailops: Caller, quantity: int) -> None:
    detail = {"quantity_type": "internal", "facility_name": "Dallas DC"}
    levels = [{**detail, "available_quantity": quantity, "total_quantity": quantity}]
    rows: list[dict[str, Any]] = [{"sku": "MUG-RED", "quantity_available": quantity, "quantity_detail": levels}]
    retailops.ask("inventory_push", inventory_updates=rows)


def test_p14_the_log_tells_once_that_a_vendor_fails_and_once_that_it_works_again(
    retailops: Caller, pipe17: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    pipe17.fault(kind="status", code=500, times=2, match={"method": "POST", "path_prefix": "/api/v3/inventory"})
    with caplog.at_level(logging.WARNING):
        push(retailops, 3)
        eventually(lambda: len(lines(caplog)) == 2)
    began, ended = lines(caplog)
    assert began.startswith("telling stock fails and stays owed: HTTP_500:") and ended == "telling stock works again"


def test_p14_the_log_tells_of_an_owed_call_that_fails_in_the_background(
    retailops: Caller, pipe17: Sandbox, caplog: pytest.LogCaptureFixture, time_passes: PassingTime
) -> None:
    def works_again() -> bool:
        time_passes(retailops.app, 2.0)
        return any("works again" in line for line in lines(caplog))

    orders = retailops.pull()
    retailops.acknowledge(orders[0]["channel_order_refnum"])
    pipe17.fault(kind="status", code=503, times=3, match={"method": "POST", "path_prefix": "/api/v3/fulfillments"})
    with caplog.at_level(logging.WARNING):
        retailops.ask(
            "order_shipment_submit",
            channel_order_refnum=orders[0]["channel_order_refnum"],
            shipment=shipment_of(orders[0], 501),
        )
        eventually(works_again)
    *failing, ended = lines(caplog)
    assert ended == "submit_shipment works again"
    reasons = [line.split(" fails and stays owed: ")[1].split(":")[0] for line in failing]
    assert set(reasons) <= {"HTTP_503", "NOT_VISIBLE_YET"}, "refused, or looked for and not found yet"
    assert all(one != next_one for one, next_one in pairwise(reasons)), "a failure like the last one has no line"
    failures = [record for record in caplog.records if "fails and stays owed" in record.getMessage()]
    assert failures, "what the answer did not say is said here"
    for failed in failures:
        assert failed.__dict__["order"] == orders[0]["channel_order_refnum"]
        assert re.search(r"\(delivery [0-9]+\)", failed.getMessage()), "by these it is found"


def test_p14_many_refused_facts_are_one_line_that_counts(
    retailops: Caller, pipe17: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    detail = {"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": 1, "total_quantity": 1}
    rows = [{"sku": f"NO-{number}", "quantity_available": 1, "quantity_detail": [detail]} for number in range(600)]
    with caplog.at_level(logging.WARNING):
        retailops.ask("inventory_push", inventory_updates=rows)
        eventually(lambda: sum(map(refused_by, lines(caplog))) == 600)
    assert len(lines(caplog)) <= 3, "far fewer lines than facts, and none for a single one"


def refused_by(line: str) -> int:
    """How many facts a line says were refused."""
    words = line.split()
    return int(words[2]) if words[1] == "refuses" else 0
