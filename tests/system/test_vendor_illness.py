"""A vendor that is ill in every way it can be: every answer still comes, in time, and the healthy are not disturbed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.contract.schemas import Contract
from app.sandbox.vendors.pipe17 import INTEGRATION_KEY
from tests.channels import OTHER_KEY, channel_table
from tests.retailops import Caller, codes, shipment_of
from tests.sandboxes import Sandbox
from tests.stopwatch import Stopwatch

FAULTS: list[dict[str, Any]] = [
    {"kind": "refuse"}, {"kind": "hang"}, {"kind": "drip_headers"}, {"kind": "drip_body"}, {"kind": "reset_before"},
    {"kind": "reset_after"}, {"kind": "half_body"}, {"kind": "redirect", "location": "/elsewhere"},
    {"kind": "status", "code": 429, "retry_after": 3600}, {"kind": "status", "code": 500}, {"kind": "html"},
    {"kind": "wrong_type"}, {"kind": "empty"}, {"kind": "truncated_json"}, {"kind": "slow", "delay_s": 30},
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['kind']}-{fault.get('code', '')}")
def test_p7_every_callback_answers_within_twelve_seconds(
    fault: dict[str, Any], retailops: Caller, pipe17: Sandbox
) -> None:
    orders = [order for page in retailops.pull_all() for order in page]
    refnums = [order["channel_order_refnum"] for order in orders]
    retailops.acknowledge(*refnums[1:])
    pipe17.fault(**fault)
    order = {"channel_order_refnum": refnums[3]}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("order_pull", {}),
        ("order_pull", {"specific_orders": [{"channel_refnum": refnums[0]}]}),
        ("order_acknowledge", {"orders": [{"channel_order_refnum": refnums[0]}]}),
        ("order_shipment_submit", {"channel_order_refnum": refnums[1], "shipment": _everything(orders[1])}),
        ("order_cancel", {"order": {"channel_order_refnum": refnums[2]}}),
        ("order_cancel", {"order": {"channel_order_refnum": "0123456789abcdef"}}),
        ("order_complete", {"order": {**order, "shipments": [_everything(orders[3])]}}),
        ("order_update", {"order": order}),
        ("order_settle_payment", {"order": order}),
        ("order_returned", {"order": order}),
        ("payment_credit", {"credit": {"amount": 1}}),
        ("catalog_push", {"template_output": {}}),
        ("catalog_get_config", {}),
        ("inventory_push", {"inventory_updates": [{"sku": "A", "quantity_available": 1}]}),
    ]
    seen: list[tuple[str, int, float, Any]] = []

    def ask(callback: str, fields: dict[str, Any]) -> None:
        with Stopwatch() as watch:
            reply = retailops.post(callback, **fields)
        seen.append((callback, reply.status_code, watch.took_s, reply.get_json()))

    threads = [threading.Thread(target=ask, args=item) for item in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == len(asked)
    for callback, status, seconds, answer in seen:
        assert seconds < 12, (callback, seconds)
        assert status == (503 if callback == "order_pull" else 200), (callback, answer)
    owed = next(answer for callback, _, _, answer in seen if callback == "order_shipment_submit")
    assert codes(owed, "error") == [] and set(codes(owed)) <= {"OWED", "QUEUED"}
    cancelled = [answer for callback, _, _, answer in seen if callback == "order_cancel"]
    assert all(answer["status"] == "fail" for answer in cancelled)


def _everything(order: dict[str, Any]) -> dict[str, Any]:
    return shipment_of(order, 901)


def test_p15_one_vendors_illness_does_not_slow_callbacks_that_do_not_need_it(
    build_app: Callable[..., Flask], start_pipe17: Callable[..., Sandbox], contract: Contract
) -> None:
    sick, well = start_pipe17(), start_pipe17()
    other = channel_table(well.url, name="other", pair=(1201, 33), key=OTHER_KEY, api_key=INTEGRATION_KEY)
    app = build_app(channel_table(sick.url) + other)
    patient = Caller(app, contract)
    healthy = Caller(app, contract, OTHER_KEY, (1201, 33))
    alone = _median_s(healthy)
    sick.fault(kind="hang")
    hanging = [threading.Thread(target=lambda: patient.post("order_pull")) for _ in range(4)]
    for thread in hanging:
        thread.start()
    time.sleep(0.2)
    beside = _median_s(healthy)
    for thread in hanging:
        thread.join()
    print(
        f"order_pull of the healthy channel: {alone * 1000:.1f} ms alone, {beside * 1000:.1f} ms beside a hanging one"
    )
    assert beside < alone * 5 + 0.1


def _median_s(caller: Caller) -> float:
    taken = []
    for _ in range(9):
        begun = time.perf_counter()
        assert caller.post("order_pull").status_code == 200
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[4]
