"""The deliveries as a queue of many processes: claimed once, in the order of each lane, however long it is."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.deliveries.transitions import after_acceptance, not_tried, parked_as_unknown
from app.gateways.calls import Accepted
from app.records import claims, outbox
from app.records.database import Database
from app.records.deliveries import Delivery
from app.records.outcomes import Outcome, record_outcomes
from app.records.tables.deliveries import deliveries, late_events
from tests.databases import open_database
from tests.records.filled_outbox import START, STREAM, fill

pytestmark = pytest.mark.both_databases


def claim(database: Database, limit: int, now: datetime = START, **further: Any) -> tuple[str, list[Delivery]]:
    with database.write() as connection:
        return claims.claim(connection, *STREAM, now=now, lease_s=30, limit=limit, **further)


def deliver(database: Database, token: str, delivery: Delivery, now: datetime = START) -> bool:
    with database.write() as connection:
        outcome = Outcome(delivery, token, after_acceptance(delivery, Accepted(), now))
        return record_outcomes(connection, [outcome], now).applied == [outcome]


def test_p26_many_claimers_take_every_call_once_and_keep_each_lanes_order(database_url: str, seed: int) -> None:
    databases = [open_database(database_url) for _ in range(4)]
    fill(databases[0], lanes=25, calls=8)
    done: list[tuple[float, Delivery]] = []
    roll = random.Random(seed)

    def work(own: Database) -> None:
        idle = 0
        while idle < 3:
            token, claimed = claim(own, roll.randint(1, 9))
            idle = 0 if claimed else idle + 1
            for delivery in claimed:
                begun = time.monotonic()
                time.sleep(roll.random() * 0.002)
                assert deliver(own, token, delivery)
                done.append((begun, delivery))
            time.sleep(0.01)

    threads = [threading.Thread(target=work, args=(own,)) for own in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for own in databases:
        own.close()
    by_lane: dict[str, list[int]] = defaultdict(list)
    for _, delivery in sorted(done, key=lambda item: item[0]):
        by_lane[delivery.lane].append(delivery.id)
    assert len(done) == 200
    assert all(ids == sorted(ids) and len(set(ids)) == 8 for ids in by_lane.values())


def test_p22_p44_a_lease_that_ends_is_taken_over_and_only_a_definite_answer_counts_without_it(
    database: Database,
) -> None:
    fill(database, lanes=4, calls=1)
    dead, first = claim(database, 5)
    assert not any(item.is_possibly_done for item in first)
    assert claim(database, 5, START + timedelta(seconds=29))[1] == []
    later = START + timedelta(seconds=31)
    alive, second = claim(database, 5, later)
    assert [(item.id, item.is_possibly_done) for item in second] == [(item.id, True) for item in first]
    accepted, unknown, refused, dropped = first
    with database.write() as connection:
        connection.execute(sa.update(deliveries).where(deliveries.c.id == dropped.id).values(state="dropped"))
        outcomes = [
            Outcome(accepted, dead, after_acceptance(accepted, Accepted(), later)),
            Outcome(unknown, dead, parked_as_unknown(unknown, later)),
            Outcome(refused, dead, not_tried(refused, later)),
            Outcome(dropped, dead, after_acceptance(dropped, Accepted(), later)),
        ]
        recorded = record_outcomes(connection, outcomes, later)
        assert (recorded.applied, recorded.after_all) == (outcomes[:1], outcomes[3:])
    with database.write() as connection:
        again = record_outcomes(connection, outcomes, later)
        assert (again.applied, again.after_all) == ([], outcomes[3:]), "what is recorded has no second effect"
    assert not deliver(database, alive, second[0]), "the vendor's answer is there already"
    assert deliver(database, alive, second[1])


def test_p44_a_refusal_counts_without_its_lease_while_nobody_has_tried_since(database: Database) -> None:
    fill(database, lanes=2, calls=1)
    dead, first = claim(database, 2)
    later = START + timedelta(seconds=31)
    alive, second = claim(database, 2, later)
    with database.write() as connection:
        unsent, tried = second
        attempted = replace(parked_as_unknown(tried, later), attempts=1)
        record_outcomes(connection, [Outcome(unsent, alive, parked_as_unknown(unsent, later))], later)
        record_outcomes(connection, [Outcome(tried, alive, attempted)], later)
        refusals = [Outcome(item, dead, not_tried(item, later)) for item in first]
        [applied] = record_outcomes(connection, refusals, later).applied
        assert (applied.delivery.id, applied.delivery.state) == (unsent.id, "parked")


def test_p44_later_calls_of_a_lane_wait_while_an_earlier_attempt_may_still_arrive(database: Database) -> None:
    """What was given up without an answer and repeated with success could still undo what is sent after it."""
    fill(database, lanes=2, calls=2)
    late_until = START + timedelta(seconds=60)
    token, [first, other] = claim(database, 2)
    with database.write() as connection:
        accepted = replace(after_acceptance(first, Accepted(), START), late_until=late_until)
        arrived = after_acceptance(other, Accepted(), START)
        record_outcomes(connection, [Outcome(first, token, accepted), Outcome(other, token, arrived)], START)
    soon = START + timedelta(seconds=2)
    assert [item.lane for item in claim(database, 9, soon)[1]] == [other.lane]
    with database.read() as connection:
        assert not outbox.is_lane_free(connection, *STREAM, first.lane, soon)
        assert outbox.late_until(connection, *STREAM, first.lane, soon) == late_until
        assert outbox.late_until(connection, *STREAM, other.lane, soon) is None
    assert first.lane in [item.lane for item in claim(database, 9, late_until)[1]]


def test_p44_a_call_whose_outcome_is_known_here_is_not_taken_over_here(database: Database) -> None:
    fill(database, lanes=2, calls=1)
    _, [known, other] = claim(database, 5)
    later = START + timedelta(seconds=31)
    assert [item.id for item in claim(database, 5, later, except_for=[known.id])[1]] == [other.id]
    assert [item.id for item in claim(database, 5, later)[1]] == [known.id]


def test_p22_what_must_not_be_repeated_is_not_claimed_ahead_of_its_turn(database: Database) -> None:
    fill(database, lanes=6, calls=1)
    with database.write() as connection:
        connection.execute(sa.update(deliveries).where(deliveries.c.id % 2 == 0).values(verb="refund"))
    first = claim(database, 2, ahead=3, never_ahead=["refund"])[1]
    assert [(item.id, item.verb) for item in first] == [(1, "verb"), (2, "refund"), (3, "verb"), (5, "verb")]


def test_r12_what_is_given_back_is_due_and_was_not_tried(database: Database) -> None:
    fill(database, lanes=1, calls=2)
    token, [delivery] = claim(database, 9)
    with database.write() as connection:
        claims.give_back(connection, [delivery.id], token=token, next_try_at=START)
    _, [again] = claim(database, 9)
    assert (again.id, again.attempts, again.is_possibly_done) == (delivery.id, 0, False)


def test_r12_the_next_of_a_lane_is_due_as_soon_as_the_one_before_is_closed(database: Database) -> None:
    fill(database, lanes=1, calls=3)
    for _ in range(3):
        token, claimed = claim(database, 9)
        assert len(claimed) == 1
        assert claim(database, 9)[1] == []
        assert deliver(database, token, claimed[0])


def test_p26_a_backlog_of_100000_is_claimed_from_one_call_of_each_lane_at_a_time(database: Database) -> None:
    """Ten thousand orders with ten calls each."""
    fill(database, lanes=10_000, calls=10)
    other = ("second", "pipe17")
    with database.write() as connection:
        connection.execute(sa.update(deliveries).where(deliveries.c.id % 10 == 3).values(channel=other[0]))
    seen: set[str] = set()
    for _ in range(40):
        _, claimed = claim(database, 16)
        assert claimed and seen.isdisjoint(item.lane for item in claimed)
        seen.update(item.lane for item in claimed)
    with database.read() as connection:
        assert {*claims.due_streams(connection, START)} == {STREAM, other}
        assert outbox.is_lane_free(connection, *STREAM, "lane 100000", START)
        assert not outbox.is_lane_free(connection, *STREAM, "lane 5", START)


def test_p26_ten_orders_with_10000_calls_each_are_worked_off_in_order(database: Database) -> None:
    fill(database, lanes=10, calls=10_000)
    delivered: list[int] = []
    for _ in range(20):
        token, claimed = claim(database, 8, ahead=16)
        assert all(deliver(database, token, item) for item in claimed)
        delivered += [item.id for item in claimed]
    assert delivered == list(range(1, 201)), "ten lanes at a time, each in its order"


def test_p26_claims_and_lanes_are_found_by_their_partial_indexes(database: Database) -> None:
    fill(database, lanes=2_000, calls=5)
    used: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH", "UPDATE")):
            explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
            cursor.execute(explain + statement, parameters[0] if many else parameters)
            used.append(" ".join(str(row) for row in cursor.fetchall()))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    with database.write() as connection:
        claims.claim(connection, *STREAM, now=START, lease_s=30, limit=4)
        assert "ix_deliveries_due" in used[0] and "ix_deliveries_lane" in used[0], used[0]
        used.clear()
        outbox.is_lane_free(connection, *STREAM, "lane 7", START)
        outbox.wake_lanes(connection, {(*STREAM, "lane 7"): START, (*STREAM, "lane 8"): START})
        assert all("ix_deliveries_lane" in plan for plan in used) and len(used) == 2, used
        used.clear()
        claims.due_streams(connection, START)
        assert "ix_deliveries_due" in used[0], used[0]


def test_p26_calls_of_a_gateway_that_is_gone_are_still_known(database: Database) -> None:
    fill(database, lanes=2, calls=1, stream=("left", "over"))
    with database.read() as connection:
        assert claims.due_streams(connection, START) == {("left", "over"): START}


def test_p9_p44_a_call_of_a_lost_lease_that_may_have_been_sent_settles_anew(database: Database) -> None:
    """Whoever stood still and sent after all says so: the next one looks it up before it sends anything."""
    fill(database, lanes=1, calls=1)
    old, [before] = claim(database, 1)
    later, again = START + timedelta(seconds=31), START + timedelta(seconds=90)
    assert claim(database, 1, later)[1][0].last_attempt_at == START + timedelta(seconds=30)
    unknown = replace(after_acceptance(before, Accepted(), again), state="owed", is_possibly_done=True)
    with database.write() as connection:
        assert record_outcomes(connection, [Outcome(before, old, unknown)], again).applied == []
        row = connection.execute(sa.select(deliveries)).one()
    assert (row.state, row.is_possibly_done, row.last_attempt_at, row.lease_token != old) == ("owed", True, again, True)


def test_p44_a_call_that_may_have_arrived_after_later_ones_of_its_order_is_told(database: Database) -> None:
    """The later ones' bodies are gone, so that nobody can send them again; a call that was last does no harm."""
    fill(database, lanes=1, calls=2)
    later, woken = START + timedelta(seconds=31), START + timedelta(seconds=35)
    (old, [before]), (new, [again]) = claim(database, 1), claim(database, 1, later)
    assert again.id == before.id and deliver(database, new, again, later)
    deliver(database, old, before, woken)
    assert late_codes(database) == []
    token, [last] = claim(database, 1, later)
    assert last.id != before.id and deliver(database, token, last, later)
    deliver(database, old, before, woken)
    assert late_codes(database) == ["LATE_SENT_AGAIN"]


@pytest.mark.parametrize("answered_after_s", [5.0, 31.0006], ids=["before it was taken over", "recorded twice"])
def test_p44_a_call_that_was_over_before_later_ones_of_its_order_began_is_not_told(
    database: Database, answered_after_s: float
) -> None:
    """Its process could not write the answer down in time, or did and never heard that the database had taken it."""
    fill(database, lanes=1, calls=2)
    later, answered_at = START + timedelta(seconds=31.0006), START + timedelta(seconds=answered_after_s)
    (old, [before]), (new, [again]) = claim(database, 1), claim(database, 1, later)
    assert again.id == before.id and deliver(database, new, again, later)
    token, [last] = claim(database, 1, later)
    assert last.id != before.id and deliver(database, token, last, later)
    deliver(database, old, before, answered_at)
    assert late_codes(database) == []
    unknown = replace(after_acceptance(before, Accepted(), answered_at), state="owed", is_possibly_done=True)
    with database.write() as connection:
        outcome = Outcome(before, old, replace(unknown, late_until=later + timedelta(seconds=60)))
        record_outcomes(connection, [outcome], later)
    assert late_codes(database) == ["LATE_SENT_AGAIN"], "one that was given up may still arrive"


def late_codes(database: Database) -> list[str]:
    """The codes of all late news."""
    with database.read() as connection:
        return list(connection.execute(sa.select(late_events.c.code)).scalars())
