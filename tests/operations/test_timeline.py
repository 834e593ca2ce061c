"""What happened to an order is structure: who, what, code, status, milliseconds, attempt, next try (P38, P20)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from app.clock import utc_now
from app.contract.schemas import Contract
from app.domain.events import Event
from app.operations import acts, timeline
from app.operations.operators import operator
from app.operations.scope import Scope
from app.operations.timeline import Entry, Timeline
from app.operations.timeline_entries import Gathered, add_lines
from app.records import traces
from app.records.database import Database
from app.records.tables.deliveries import attempts, deliveries
from app.records.tables.operations import journal
from app.records.tables.orders import handed_out
from tests.gateways.vendors.rally.shop import MUG, TEE, opened
from tests.operations.parked_calls import BLIND, the_call
from tests.retailops import Caller, shipment_of
from tests.sandboxes import Sandbox
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases

ALL, NONE = Scope(), Scope(frozenset(("other",)))
FULFILLMENTS = {"method": "POST", "path_prefix": "/api/v3/fulfillments"}


def told(database: Database, channel: str, refnum: str) -> Timeline:
    found = timeline.of_order(database, ALL, channel, refnum)
    assert found is not None
    assert list(found.entries) == sorted(found.entries, key=lambda entry: entry.at)
    return found


def of_kind(found: Timeline, kind: str, **facts: Any) -> list[Entry]:
    return [
        entry
        for entry in found.entries
        if entry.kind == kind and all(getattr(entry, name) == value for name, value in facts.items())
    ]


def test_p38_a_timeline_holds_hand_outs_callbacks_with_events_every_attempt_and_what_operators_did(
    retailops: Caller, pipe17: Sandbox
) -> None:
    database = retailops.database
    order = next(item for item in retailops.pull() if len(item["order_items"]) == 1)
    refnum = order["channel_order_refnum"]
    retailops.pull()
    retailops.ask("order_acknowledge", orders=[{"channel_order_refnum": refnum, "retailops_order_id": 496}])
    pipe17.fault(kind="status", code=503, match=FULFILLMENTS)
    answer = retailops.ship(order, 7700501)
    [sent] = answer["events"]
    with database.read() as connection:
        delivery_id = connection.execute(
            select(deliveries.c.id).where(deliveries.c.lane == refnum, deliveries.c.verb == "submit_shipment")
        ).scalar_one()

    def tries() -> int:
        with database.write() as connection:
            due = deliveries.c.state == "owed"
            connection.execute(update(deliveries).where(due).values(next_try_at=deliveries.c.created_at))
        retailops.app.extensions["works"].dispatcher.wake()
        with database.read() as connection:
            return len(connection.execute(select(attempts).where(attempts.c.delivery_id == delivery_id)).all())

    eventually(lambda: tries() >= 3)
    retailops.app.extensions["works"].journal.flush()
    found = told(database, "first", refnum)
    [birth] = of_kind(found, "order", code="known")
    hand_outs = of_kind(found, "handed_out")
    assert [entry.attempt for entry in hand_outs] == [1, 2] and birth.at <= hand_outs[0].at < hand_outs[1].at
    [acknowledged] = of_kind(found, "acknowledged")
    assert acknowledged.who == "RetailOps" and "496" in acknowledged.sentence
    [asked] = of_kind(found, "callback", name="order_shipment_submit")
    [answered] = of_kind(found, "answer", name="order_shipment_submit")
    assert (answered.status, answered.code, answered.request_id) == (200, "OWED", asked.request_id)
    assert answered.ms is not None and answered.ms >= 0
    assert msgspec.json.decode(msgspec.json.encode(answered.events)) == [sent], (
        "all that was sent: kind, code, our sentence, association"
    )

    tried = of_kind(found, "attempt", delivery_id=delivery_id)
    assert [entry.attempt for entry in tried] == list(range(1, len(tried) + 1)) and len(tried) >= 3
    assert {(entry.who, entry.code, entry.status, entry.name) for entry in tried} == {
        ("pipe17", "HTTP_503", 503, "submit_shipment")
    }
    assert all(entry.ms is not None and entry.next_try_at is None for entry in tried[:-1])
    assert tried[-1].next_try_at is not None, "it is tried again then"
    calls = of_kind(found, "vendor_call", name="POST /fulfillments")
    assert calls and all(call.status == 503 and call.ms is not None for call in calls)
    assert any(sentence.startswith("Owed: delivery") for sentence in found.now)

    # An operator's act, with who and why.
    with database.write() as connection:
        connection.execute(
            update(deliveries).where(deliveries.c.id == delivery_id).values(next_try_at=utc_now() + timedelta(days=1))
        )
    row = eventually(lambda: (row := the_call(retailops, delivery_id)).lease_until is None and row)
    assert acts.drop(database, operator("ana", "the parcel came back"), row, BLIND, utc_now())
    found = told(database, "first", refnum)
    [act] = of_kind(found, "operation")
    assert (act.who, act.name, act.code, act.reason) == ("ana", "deliveries.drop", "dropped", "the parcel came back")
    [closed] = of_kind(found, "closed", delivery_id=delivery_id)
    assert closed.code == "dropped"

    # Another channel's reader sees nothing of it, by whatever name.
    assert timeline.of_order(database, NONE, "first", refnum) is None
    since = utc_now() - timedelta(days=1)
    by_request = timeline.of_request(database, ALL, asked.request_id, since)
    assert by_request is not None and by_request.refnum == refnum
    assert of_kind(by_request, "attempt", delivery_id=delivery_id) == of_kind(found, "attempt", delivery_id=delivery_id)
    assert timeline.of_request(database, NONE, asked.request_id, since) is None
    assert timeline.requests_like(database, NONE, asked.request_id[:8], since) == []

    # Nothing of a shopper (P20).
    address = order["shipping_address"]
    for name in ("address1", "last_name", "phone_number"):
        assert not address.get(name) or address[name] not in repr(found)


def test_p38_what_retailops_was_refused_is_how_the_order_stands_until_it_is_done(
    retailops: Caller, pipe17: Sandbox
) -> None:
    order = next(item for item in retailops.pull() if sum(line["quantity"] for line in item["order_items"]) > 2)
    refnum, database = order["channel_order_refnum"], retailops.database
    retailops.acknowledge(refnum)

    def stands(refnum: str = refnum) -> list[str]:
        retailops.app.extensions["works"].journal.flush()
        return list(told(database, "first", refnum).now)

    done = "The one call to a vendor was delivered; nothing is open."
    assert stands() == [f"RetailOps has acknowledged it as its order {70}; it is open.", done]
    pipe17.fault(kind="status", code=400, times=1, match=FULFILLMENTS)
    assert retailops.ship(order, 501, 2)["events"][0]["code"] == "FULFILLMENT_REFUSED"
    refused = [sentence for sentence in stands() if sentence.startswith("NOT DONE: order_shipment_submit was answered")]
    assert len(refused) == 1 and "FULFILLMENT_REFUSED: Pipe17 refused the fulfilment (HTTP_400)" in refused[0]
    assert retailops.ship(order, 502, 2)["events"] == []
    assert set(refused) < set(stands()), "another shipment is not this one"
    assert retailops.ship(order, 501, 2)["events"] == []
    assert [sentence for sentence in stands() if "NOT DONE" in sentence] == []

    assert retailops.cancel("NOBODY-S")["status"] == "fail"
    never, refused_too = stands("NOBODY-S")
    assert never == "This server has not handed it to RetailOps."
    assert refused_too.startswith("NOT DONE: order_cancel was answered with an error at ")

    at = utc_now()
    for kept, said in (
        ({"source_cancelled_at": at}, "Its source has cancelled it; RetailOps is sent that with its next order_pull."),
        ({"cancellation_times": 2}, "cancelled it; RetailOps was sent that 2 times and has not acknowledged it."),
        ({"cancellation_known_at": at}, "Its source has cancelled it, and RetailOps has acknowledged that."),
        ({"erased_at": at}, f"What was kept of the person behind it was erased on {at:%Y-%m-%d}."),
    ):
        with database.write() as connection:
            connection.execute(update(handed_out).where(handed_out.c.refnum == refnum).values(kept))
        assert [sentence for sentence in stands() if sentence.endswith(said)], said

    entries = told(database, "first", refnum).entries
    begun = {entry.request_id: entry.at for entry in entries if entry.kind == "callback"}
    first = {entry.request_id: entry.kind for entry in reversed(entries) if entry.request_id in begun}
    assert set(first.values()) == {"callback"}, "nothing comes of a request before it came"


def test_p38_not_done_is_said_of_what_is_not_done_and_of_nothing_else(retailops: Caller, pipe17: Sandbox) -> None:
    order, other = [each for each in retailops.pull() if sum(line["quantity"] for line in each["order_items"]) > 2][:2]
    refnum, log = order["channel_order_refnum"], retailops.app.extensions["works"].journal

    def refused(order: dict[str, Any] = order) -> list[str]:
        log.flush()
        found = told(retailops.database, "first", order["channel_order_refnum"])
        return [sentence for sentence in found.now if "NOT DONE" in sentence]

    def answer(name: str, request_id: str, *events: Event, status: int = 200) -> None:
        outcome = events[0].code if events else "success"
        log.callback(
            name=name, channel="first", order_refnum=refnum, status=status, outcome=outcome, duration_s=0.001,
            request_id=request_id, events=events,
        )  # fmt: skip
        log.flush()

    # An entry that cannot be read is not each order of its batch.
    entries = [{"channel_order_refnum": it["channel_order_refnum"], "retailops_order_id": 7} for it in (order, other)]
    batch = retailops.ask("order_acknowledge", orders=[*entries, {"channel_order_refnum": []}])
    assert "error" in {event["event_type"] for event in batch["events"]}
    assert refused() == refused(other) == []

    # Packages without numbers of their own, refused and then taken; others that order_complete brings.
    pipe17.fault(kind="status", code=400, times=2, match=FULFILLMENTS)
    retailops.ship(order, 601, 2, retailops_package_id=0)
    assert len(refused()) == 1
    assert retailops.ship(order, 601, 2, retailops_package_id=0)["events"] == [] == refused()
    pipe17.fault(kind="status", code=400, times=1, match=FULFILLMENTS)
    retailops.ship(order, 602, 2)
    assert len(refused()) == 1
    whole = {"channel_order_refnum": refnum, "shipments": [shipment_of(order, 602, 2)], "unshipped_items": []}
    retailops.ask("order_complete", order=whole)
    assert [sentence for sentence in refused() if "order_shipment_submit" in sentence] == []
    with retailops.database.read() as connection:
        ledger = traces.commands_of_order(connection, "first", refnum)
    kept = next(row.request_id for row in ledger if "/h-" in row.natural_key)

    # A fault of ours after the calls were kept, and a request that another one was carrying out.
    before = refused()
    answer("order_shipment_submit", kept, Event("error", "OUTCOME_UNKNOWN", "not known"))
    answer("order_shipment_submit", kept, status=500)
    answer("order_shipment_submit", "r-0", Event("error", "COMMAND_RUNNING", "it runs"), status=503)
    assert refused() == before

    # Of refused money nobody knows whether what was taken later is the same; none hides another.
    for number in (1, 2):
        answer("payment_credit", f"r-{number}", Event("error", "DECLINED", "more than is left"))
    answer("payment_credit", "r-3", Event("error", "NOTHING_LEFT", "nothing is left"))
    *before, twice, once = refused()
    assert twice.startswith("NOT DONE: payment_credit") and "the last of 2 times. DECLINED" in twice
    assert "NOTHING_LEFT" in once and "times" not in once
    answer("payment_credit", "r-4")
    answer("payment_credit", "r-5", Event("error", "DECLINED", "more than is left"))
    first, second, last = refused()[len(before) :]
    assert first.startswith("PERHAPS NOT DONE: payment_credit") and "DECLINED" in first
    assert second.startswith("PERHAPS NOT DONE: payment_credit") and "NOTHING_LEFT" in second
    assert last.startswith("NOT DONE: payment_credit")

    # A call of which nobody knew whether it was done is spoken of as a call.
    pipe17.fault(kind="reset_after", times=1, match={"method": "PUT"})
    [unknown] = retailops.cancel(other["channel_order_refnum"])["events"]
    assert unknown["code"] == "OUTCOME_UNKNOWN" and refused(other) == []


def test_p38_a_checkout_s_order_begins_with_its_cart_and_money_and_shows_what_went_back(
    build_app: Callable[..., Flask], contract: Contract
) -> None:
    with opened(build_app, contract) as shop:
        shop.offer(**{TEE: 5, MUG: 5})
        refnum = shop.buy()
        shop.retailops.app.extensions["works"].journal.flush()
        found = told(shop.database, "shop", refnum)
        [made], [paid] = of_kind(found, "order", code="created"), of_kind(found, "order", code="paid")
        assert made.amount == paid.amount and made.amount is not None and made.amount > 0
        assert made.currency_code == "USD" and "cart" in made.sentence
        topics = [entry.name for entry in of_kind(found, "hook")]
        assert topics[0] == "cart/create" and "order/create" in topics, "the cart's requests are the order's, too"
        assert {entry.who for entry in of_kind(found, "hook")} == {"rally"}
        shop.retailops.pull()
        shop.retailops.acknowledge(refnum)
        shop.give_back(88112, 5, refnum)
        shop.settle()
        [refund] = of_kind(told(shop.database, "shop", refnum), "refund")
        assert (refund.amount, refund.currency_code, refund.code) == (5, "USD", "accepted")
        assert refund.name == "order_returned"
        for event in ("ana", "elm st"):
            assert event not in repr(told(shop.database, "shop", refnum)).lower()


def test_p40_a_request_of_another_channel_with_the_same_id_is_in_no_timeline(retailops: Caller) -> None:
    [order, *_] = retailops.pull()
    refnum = order["channel_order_refnum"]
    retailops.acknowledge(refnum)
    log = retailops.app.extensions["works"].journal
    log.flush()
    [answer] = of_kind(told(retailops.database, "first", refnum), "answer")
    log.callback(
        name="order_cancel", channel="other", order_refnum="", status=200, outcome="OTHERS", duration_s=0.001,
        request_id=answer.request_id,
    )  # fmt: skip
    log.flush()
    found = told(retailops.database, "first", refnum)
    assert of_kind(found, "answer") == [answer] and "OTHERS" not in str(found)


def test_p38_calls_of_one_millisecond_stand_in_the_order_in_which_they_were_made(database: Database) -> None:
    now = utc_now()
    line = {"at": now, "kind": "vendor", "channel": "first", "status": 200, "outcome": "ok", "duration_ms": 0}
    with database.write() as connection:
        for number in range(5):
            named = {"name": f"pipe17 GET /{number}", "order_refnum": "A", "request_id": "r"}
            connection.execute(insert(journal).values(**line, **named))
    gathered = Gathered("A")
    with database.read() as connection:
        add_lines(traces.lines_of_order(connection, "first", ["A"]), gathered)
    assert [entry.name for entry in gathered.in_order()] == [f"GET /{number}" for number in range(5)]
