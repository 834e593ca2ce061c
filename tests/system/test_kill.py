"""SIGKILL while commands are under way: what was answered is done or owed, once, and a repeat tells the truth (P22)."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from app.contract.schemas import Contract
from app.records.database import Database
from app.records.tables.deliveries import commands, deliveries
from tests.channels import channel_table
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.system.books import Books, Request, Vendor
from tests.system.chaos.callers import send
from tests.system.chaos.judging import judge, send_until_answered
from tests.system.chaos.lives import Playwright, Shop
from tests.system.chaos.result import Result
from tests.system.stage import Stage
from tests.waiting import eventually

ROUNDS = 4
WRITES = ("POST", "PUT")

ILLNESSES: tuple[tuple[str, dict[str, Any], tuple[str, ...]], ...] = (
    ("works late", {"kind": "slow", "delay_s": 0.7}, WRITES),
    ("works and says nothing", {"kind": "hang", "works": True}, WRITES),
    ("never works", {"kind": "hang"}, WRITES),
    ("is slow in everything", {"kind": "slow", "delay_s": 0.25}, ("",)),
)
"""What the vendor does while the server is killed: it decides between which two steps the kill falls."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path, f"sqlite:///{tmp_path / 'channel.db'}", shipments=60) as stage:
        stage.start()
        yield stage


def test_p22_a_kill_at_any_point_of_any_command_loses_nothing_and_doubles_nothing(stage: Stage, seed: int) -> None:
    rng = random.Random(seed)
    books = Books()
    play = Playwright(rng, Shop(books))
    skus = [f"KILL-{number}" for number in range(ROUNDS)]
    stage.add_products(skus)
    at_first = Vendor.read(stage.vendor())
    orders = _orders(stage)
    rng.shuffle(orders)
    for number in range(ROUNDS):
        taken = [orders.pop() for _ in range(10)]
        known = books.open(play.acknowledgement(taken[2:]))
        wanted = [
            play.acknowledgement(taken[:2]),
            *(play.submission(order) for order in taken[2:5]),
            *(play.cancellation(order) for order in taken[5:8]),
            *(play.completion(order) for order in taken[8:]),
            _stock(skus[number], 10 + number),
        ]
        send_until_answered(stage.retailops, books, time.monotonic() + 20)
        assert known.acknowledged() == set(known.refnums)
        for request in wanted:
            books.open(request)
        name, rule, methods = ILLNESSES[number % len(ILLNESSES)]
        for method in methods:
            stage.tell_vendor("faults", {**rule, "match": {"path_prefix": "/api/v3", "method": method}})
        _send_all_and_kill(stage, books, wanted, rng.uniform(0.05, 1.0))
        # A vendor that stays ill for a while leaves time to ask again before anything can be found out.
        stage.tell_vendor("faults", {"kind": "status", "code": 500, "match": {"path_prefix": "/api/v3"}})
        healing = threading.Timer(rng.uniform(0.0, 7.5), stage.heal_vendor)
        healing.start()
        stage.start_server()
        stage.await_ready()
        told = Counter(request.callback for request in wanted if request.answers)
        send_until_answered(stage.retailops, books, time.monotonic() + 40)
        healing.join()
        print(f"round {number}, the vendor {name}: {sum(told.values())} of {len(wanted)} were answered before the kill")
    result = Result(seed)
    judge(stage, books, at_first, result, time.monotonic() + 40)
    print("\n".join(result.lines()))
    assert not result.violations
    assert not result.parked


def test_p22_a_cancellation_cut_off_by_a_kill_is_unknown_until_it_is_found_out(
    build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract
) -> None:
    """Nothing delivers here, so that the moment between the end of the lease and the look-up lasts."""
    retailops = Caller(build_app(channel_table(pipe17.url), DELIVERIES="worker"), contract)
    refnum = retailops.pull()[0]["channel_order_refnum"]
    retailops.acknowledge(refnum)
    pipe17.fault(kind="reset_before", match={"method": "PUT"})
    assert codes(retailops.cancel(refnum)) == ["OUTCOME_UNKNOWN"]
    _as_if_killed_before_the_outcome_was_recorded(retailops.database)
    answer = retailops.cancel(refnum)
    assert (answer["status"], codes(answer, "error")) == ("fail", ["OUTCOME_UNKNOWN"])


def test_p9_nothing_is_sent_again_before_the_vendor_had_its_time_to_show_it(
    build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract
) -> None:
    """The work was done, its answer was lost, and a look-up shows it only after the first pauses are over."""
    table = channel_table(pipe17.url).replace("settle_seconds = 1", "settle_seconds = 3")
    retailops = Caller(build_app(table), contract)
    [order, *_] = retailops.pull()
    retailops.acknowledge(order["channel_order_refnum"])
    pipe17.tell("settings", {"visible_after_s": 2.5}, "PUT")
    pipe17.fault(kind="reset_after", times=1, match={"method": "POST", "path_prefix": "/api/v3/fulfillments"})
    assert codes(retailops.ship(order)) == ["OWED"]
    eventually(lambda: set(codes(retailops.ship(order))) <= {"ALREADY_REGISTERED"})
    assert pipe17.calls("POST /fulfillments") == 1


def _as_if_killed_before_the_outcome_was_recorded(database: Database) -> None:
    """What T1 committed, with its leases run out."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    with database.write() as connection:
        connection.execute(
            update(deliveries)
            .where(deliveries.c.verb == "cancel_order")
            .values(state="owed", attempts=0, last_code="", last_error="", lease_token="dead", lease_until=past)
        )
        connection.execute(
            update(commands).where(commands.c.callback == "order_cancel").values(finished_at=None, lease_until=past)
        )


def _send_all_and_kill(stage: Stage, books: Books, wanted: list[Request], after_s: float) -> None:
    def ask(request: Request) -> None:
        voice = stage.retailops()
        send(voice, books, request)
        voice.close()

    threads = [threading.Thread(target=ask, args=(request,)) for request in wanted]
    for thread in threads:
        thread.start()
    time.sleep(after_s)
    stage.kill("server")
    for thread in threads:
        thread.join()


def _stock(sku: str, level: int) -> Request:
    row = {
        "sku": sku,
        "quantity_available": level,
        "quantity_detail": [
            {"quantity_type": "internal", "facility_name": "Reno DC", "available_quantity": level,
             "total_quantity": level},
        ],
    }  # fmt: skip
    return Request("inventory_push", {"inventory_updates": [row]}, levels={(sku, "Reno DC"): level})


def _orders(stage: Stage) -> list[dict[str, Any]]:
    voice = stage.retailops()
    try:
        return voice.pull_all()
    finally:
        voice.close()
