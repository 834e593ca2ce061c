"""What a vendor has answered is never thrown away: not by a database that is away, nor by a fault of ours (P44, R8)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, update

from app.channel import effects
from app.channel.services import BUDGET_S, PATIENCE_MARGIN_S
from app.records.database import Database, DatabaseUnavailable
from app.records.tables.deliveries import deliveries, late_events
from tests.channel.till_shop import OpenShop, Shop
from tests.databases import nothing_written
from tests.passing_time import PassingTime
from tests.retailops import codes
from tests.stopwatch import Stopwatch
from tests.waiting import eventually

LEASE_S = BUDGET_S + PATIENCE_MARGIN_S
"""How long a call that a request has begun is its own."""


@pytest.fixture
def shop(open_shop: OpenShop, request: pytest.FixtureRequest) -> Shop:
    """A vendor that pays whenever it is asked.

    Its refunds can neither be repeated nor looked up, unless a test's parameter names another `Repeat`.
    """
    repeat = getattr(request, "param", "never")
    return open_shop(gateway=f'repeat = "{repeat}"\npatience_s = 5.0')


def open_calls(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        rows = connection.execute(
            select(deliveries.c.verb, deliveries.c.state).where(deliveries.c.state.in_(("owed", "checking", "parked")))
        )
        return [(row.verb, row.state) for row in rows]


@pytest.mark.both_databases
def test_p44_answers_heard_while_the_database_is_away_are_told_as_they_are_and_recorded_when_it_is_back(
    shop: Shop, time_passes: PassingTime
) -> None:
    for refnum in ("A1", "A2", "A3"):
        shop.sell(refnum)
    shop.till.hold()
    database = shop.retailops.database
    with ThreadPoolExecutor(3) as callers, Stopwatch() as watch:
        credit = callers.submit(shop.credit, "10.00", "A1-p1")
        returned = callers.submit(shop.give_back, 71, "7.50", "A2")
        cancelled = callers.submit(shop.retailops.cancel, "A3")
        eventually(lambda: shop.till.held == 3)
        with nothing_written(database):
            shop.till.let_go()
            answers = [credit.result(), returned.result(), cancelled.result()]
            assert watch.took_s < 12, "P7"
            time_passes.move(LEASE_S)
    paid = [[str(item["amount"]) for item in order.paid_out] for order in shop.till.orders.values()]
    assert paid == [["10.00"], ["7.50"], ["50.00"]]
    assert (answers[0]["status"], answers[0]["amount"]) == ("success", 10), answers[0]
    [transaction] = answers[1]["payment_transactions"]
    assert (transaction["amount"], transaction["payment_type"]) == (7.5, "Visa")
    assert codes(answers[1]) == [] and answers[2]["status"] == "success"
    eventually(lambda: shop.states() == ["accepted"] * 3)
    eventually(lambda: open_calls(database) == [])
    # Whoever asks again gets the same, and nothing is paid again.
    assert shop.credit("10.00", "A1-p1")["refnum"] == answers[0]["refnum"]
    assert answers[0]["refnum"] in {entry.refnum for entry in shop.ledger() if entry.order_refnum == "A1"}
    assert shop.give_back(71, "7.50", "A2")["payment_transactions"] == [transaction]
    assert all(entry.answered_at is not None for entry in shop.ledger() if entry.order_refnum != "A3")
    assert [len(order.paid_out) for order in shop.till.orders.values()] == [1, 1, 1]


@pytest.mark.parametrize("shop", ["safe"], indirect=True)
def test_p44_what_was_answered_is_not_sent_again_while_it_waits_to_be_recorded(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, time_passes: PassingTime
) -> None:
    """The lease ends meanwhile, and the verb is one that may be repeated: this process alone knows better."""
    apply, is_back = effects.apply, threading.Event()

    def unless_away(connection: Any, delivery: Any, settled: Any, *rest: Any, **also: Any) -> None:
        if not is_back.is_set():
            raise DatabaseUnavailable("the database went away")
        apply(connection, delivery, settled, *rest, **also)

    shop.sell()
    monkeypatch.setattr(effects, "apply", unless_away)
    [paid] = shop.give_back(71, "7.50")["payment_transactions"]
    time_passes(shop.retailops.app, LEASE_S)
    assert len(shop.till.orders["A1"].paid_out) == 1
    is_back.set()
    assert eventually(lambda: shop.states() == ["accepted"])
    assert open_calls(shop.retailops.database) == []
    assert (len(shop.till.orders["A1"].paid_out), paid["amount"]) == (1, 7.5)


def test_p44_a_fault_of_ours_after_the_answer_loses_no_outcome_and_holds_up_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows from an answer fails twice, then for ever; inline, then in the background."""
    apply, fails = effects.apply, {"A1": 2, "A2": 99, "A3": 99}

    def faulty(connection: Any, delivery: Any, settled: Any, *rest: Any, **also: Any) -> None:
        if settled.state == "delivered":
            fails[delivery.lane] = fails.get(delivery.lane, 0) - 1
            if fails[delivery.lane] >= 0:
                raise KeyError("a fault of ours")
        apply(connection, delivery, settled, *rest, **also)

    for refnum in ("A1", "A2", "A3", "A4"):
        shop.sell(refnum)
    monkeypatch.setattr(effects, "apply", faulty)
    for refnum, number in (("A1", 71), ("A2", 72)):
        body = {"retailops_return_id": number, "refund_amt": "7.50", "refund_action": "refund"}
        reply = shop.retailops.post("order_returned", order={"channel_order_refnum": refnum}, **{"return": body})
        assert reply.status_code == 500, "R8: a fault of ours is told as one"
    shop.fault("status", times=2, code=429)
    for refnum, number in (("A3", 73), ("A4", 74)):
        assert codes(shop.give_back(number, "7.50", refnum)) == ["REFUND_OWED"]
    shop.settle()
    assert [len(order.paid_out) for order in shop.till.orders.values()] == [1, 1, 1, 1]
    assert eventually(lambda: open_calls(shop.retailops.database) == [("return_order", "parked")] * 2)
    with shop.retailops.database.read() as connection:
        parked = connection.execute(select(deliveries).where(deliveries.c.state == "parked")).all()
    assert {(row.lane, row.last_code, row.is_possibly_done) for row in parked} == {
        ("A2", "NOT_BOOKED", True),
        ("A3", "NOT_BOOKED", True),
    }
    assert [(entry.order_refnum, entry.state) for entry in shop.ledger()] == [
        ("A1", "accepted"), ("A2", "owed"), ("A3", "owed"), ("A4", "accepted"),
    ]  # fmt: skip


def test_p44_what_was_given_up_and_is_done_all_the_same_is_told_to_people_and_its_money_counts(shop: Shop) -> None:
    shop.sell()
    shop.till.hold()
    database = shop.retailops.database
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(shop.give_back, 71, "7.50")
        eventually(lambda: shop.till.held)
        with database.write() as connection:
            connection.execute(update(deliveries).values(state="dropped", lease_token=None, lease_until=None))
        shop.till.let_go()
        answer.result()
    with database.read() as connection:
        [news] = connection.execute(select(late_events)).all()
    assert (news.code, news.subject, news.dismissed_at) == ("LATE_DONE_AFTER_ALL", "A1", None)
    assert shop.states() == ["accepted"]
