"""A scenario's steps in the order they are written, up to the first that does not hold."""

from __future__ import annotations

import json

import pytest

from app.cli.demo.playing import Failed, Scenario, Step, eventually, expect, play, step
from app.contract.schemas import Contract
from app.sandbox.server import serve
from app.sandbox.vendors.retailops import RetailOps


class Three(Scenario):
    """What each of its steps does is said by `seen`."""

    @step("first")
    def one(self) -> str:
        return "seen first"

    @step("second")
    def two(self) -> str:
        expect(False, "3 of 4")
        return "never"

    @step("third")
    def three(self) -> str:
        raise AssertionError("a step is played although the one before it did not hold")


def test_p41_a_step_that_does_not_hold_is_the_last_and_says_what_was_seen(contract: Contract) -> None:
    life = Three(RetailOps("http://127.0.0.1:9", "k", 1, 2, contract), "http://127.0.0.1:9")
    shown: list[Step] = []
    played = play(life.steps(), shown.append)
    assert played == shown
    assert [(one.name, one.held, one.detail) for one in played] == [
        ("first", True, "seen first"), ("second", False, "Failed: 3 of 4"),
    ]  # fmt: skip
    life.ro.close()


def test_p41_an_answer_that_retailops_would_throw_away_or_that_fails_does_not_hold(contract: Contract) -> None:
    answers = iter(
        [
            (200, {"status": "success", "events": []}),
            (503, {"events": []}),
            (200, {"events": "none"}),
            (200, {"status": "fail", "events": []}),
        ]
    )

    def channel(environ, start_response):  # type: ignore[no-untyped-def]
        status, body = next(answers)
        start_response(f"{status} -", [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    order = {"order": {"channel_order_refnum": "A1", "retailops_order_id": 1}}
    with serve(channel) as server:
        life = Three(RetailOps(server.url, "k", 1, 2, contract), server.url)
        life.done("order_cancel", **order)
        for said in ("order_cancel answered 503", "RetailOps would refuse the answer", "order_cancel failed"):
            with pytest.raises(Failed, match=said):
                life.done("order_cancel", **order)
        life.ro.close()


def test_what_does_not_happen_in_time_does_not_hold() -> None:
    assert eventually(lambda: True, "the stock") < 1
    with pytest.raises(Failed, match="the stock did not happen within 0 s"):
        eventually(lambda: False, "the stock", patience_s=0)
