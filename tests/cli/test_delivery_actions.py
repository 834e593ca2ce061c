"""`channel deliveries retry`, `drop` and `confirm`: what a person decides about a call, and what cannot be done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select, update

from app.channel.command import digest_of
from app.clock import utc_now
from app.records.deliveries import OPEN_STATES
from app.records.tables.deliveries import commands, deliveries, late_events
from tests.cli.operators import FULFILLMENTS, Terminal, parked, value
from tests.kept_calls import TRACKING, a_delivery
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases


def test_a_parked_call_is_listed_explained_and_put_back(
    channel: Terminal, retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    refnum = orders[0]["channel_order_refnum"]
    assert "Nothing is open." in channel("deliveries", "list").output
    number = parked(retailops, pipe17, orders[0])
    waiting = a_delivery(retailops, refnum, "owed")
    listed = channel.json("deliveries", "list", "--order", refnum)
    assert [(item["id"], item["state"], item["held_by"]) for item in listed["deliveries"]] == [
        (waiting, "owed", number),
        (number, "parked", None),
    ]
    assert [item["code"] for item in listed["late_news"]] == ["LATE_FULFILLMENT_REFUSED"]
    shown = channel("deliveries", "list").output
    assert "PARKED" in shown and refnum in shown and f"n{listed['late_news'][0]['id']}" in shown
    full = channel.json("deliveries", "show", str(number))
    assert full["callback"] == "order_shipment_submit"
    assert full["last_code"] == "FULFILLMENT_REFUSED" and "tracking_number" in full["body"]

    def journal_of_it() -> str:
        return str(channel.json("deliveries", "show", str(number))["journal"])

    eventually(lambda: "POST /fulfillments: 400" in journal_of_it())
    assert f"channel deliveries retry {number}" in channel("deliveries", "show", str(number)).output
    assert "Waits for" in channel("deliveries", "show", str(waiting)).output

    would = channel.json("deliveries", "retry", "--order", refnum, "--dry-run")
    assert [item["id"] for item in would["done"]] == [number]
    assert value(retailops, select(deliveries.c.state).where(deliveries.c.id == number)) == "parked"
    assert channel("deliveries", "retry", "--state", "parked", "--since", "1h").exit_code == 0
    eventually(lambda: len(pipe17.fulfilments(refnum)) == 1)
    assert value(retailops, select(late_events.c.dismissed_at)) is not None
    assert "late_news" in channel.json("deliveries", "list")


def test_what_may_have_been_done_is_looked_up_before_it_is_sent_again(
    channel: Terminal, retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    number = parked(retailops, pipe17, orders[0])
    refnum = orders[0]["channel_order_refnum"]
    with retailops.database.write() as connection:
        connection.execute(
            update(deliveries).where(deliveries.c.id == number).values(is_possibly_done=True, attempts=300)
        )
    body = value(retailops, select(deliveries.c.body).where(deliveries.c.id == number))
    key = msgspec.json.decode(body)["key"]
    pipe17.fault(kind="reset_after", times=1, match=FULFILLMENTS)
    posts = pipe17.calls("POST /fulfillments")
    assert channel("deliveries", "retry", str(number)).exit_code == 0
    eventually(lambda: value(retailops, select(deliveries.c.state).where(deliveries.c.id == number)) == "delivered")
    assert [item["extFulfillmentId"] for item in pipe17.fulfilments(refnum)] == [f"{refnum}-{key}"]
    assert pipe17.calls("POST /fulfillments") == posts + 1


def test_a_dropped_call_frees_its_lane_and_loses_its_body(
    channel: Terminal, retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    number = parked(retailops, pipe17, orders[0])
    again = retailops.ship(orders[0], 502, tracking_number="1Z2")
    assert codes(again, "error") == []
    asked = channel("deliveries", "drop", str(number), "--reason", "why", input="n\n")
    assert asked.exit_code == 1 and value(retailops, select(func.count()).where(deliveries.c.state == "dropped")) == 0
    assert channel("deliveries", "drop", str(number), "--reason", "why", "--json").exit_code == 2
    assert channel.json("deliveries", "drop", str(number), "--dry-run")["dry_run"]
    done = channel("deliveries", "drop", str(number), "--yes", "--reason", "entered by hand")
    assert done.exit_code == 0, done.output
    with retailops.database.read() as connection:
        row = connection.execute(select(deliveries).where(deliveries.c.id == number)).one()
    assert (row.state, row.body, row.dropped_because) == ("dropped", None, "entered by hand")
    assert "entered by hand" in channel("deliveries", "show", str(number)).output
    is_open = deliveries.c.state.in_(OPEN_STATES)
    eventually(lambda: value(retailops, select(func.count()).where(is_open)) == 0)
    assert codes(retailops.ship(orders[0], tracking_number=TRACKING), "warning") == ["GIVEN_UP"]


def test_what_was_seen_to_be_done_counts_as_done_and_frees_its_lane(
    channel: Terminal, retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    number = parked(retailops, pipe17, orders[0])
    completed = retailops.ask("order_complete", order={"channel_order_refnum": orders[0]["channel_order_refnum"]})
    assert "QUEUED" in codes(completed, "warning")
    asked = channel("deliveries", "confirm", str(number), "--reason", "why", input="n\n")
    assert asked.exit_code == 1 and value(retailops, select(deliveries.c.state).where(deliveries.c.id == number)) == (
        "parked"
    )
    assert channel("deliveries", "confirm", str(number), "--reason", "why", "--json").exit_code == 2
    assert channel.json("deliveries", "confirm", str(number), "--dry-run")["dry_run"]
    posts = pipe17.calls("POST /fulfillments")
    done = channel("deliveries", "confirm", str(number), "--yes", "--reason", "entered by hand")
    assert done.exit_code == 0, done.output
    is_open = deliveries.c.state.in_(OPEN_STATES)
    eventually(lambda: value(retailops, select(func.count()).where(is_open)) == 0)
    assert pipe17.calls("POST /fulfillments") == posts, "nothing was sent for it"
    assert not {"GIVEN_UP", "PARKED", "OWED"} & set(codes(retailops.ship(orders[0], tracking_number=TRACKING)))
    with retailops.database.read() as connection:
        row = connection.execute(select(deliveries).where(deliveries.c.id == number)).one()
    assert (row.state, row.body, row.last_code) == ("delivered", None, "CONFIRMED")
    redacted = a_delivery(retailops, "redacted", "parked", body=None)
    refused = channel("deliveries", "confirm", str(redacted), "--yes", "--reason", "why")
    assert refused.exit_code == 1 and "only be dropped" in refused.stderr


def test_what_cannot_be_done_is_said_with_exit_code_1_and_a_vague_order_with_2(
    channel: Terminal, retailops: Caller
) -> None:
    redacted = a_delivery(retailops, "redacted", "parked", body=None)
    delivered = a_delivery(retailops, "done", "delivered", body=None)
    under_way = a_delivery(retailops, "busy", "owed", lease_token="t", lease_until=utc_now() + timedelta(minutes=2))
    gone = a_delivery(retailops, "gone", "parked", gateway="pigeon")
    for number, why in ((redacted, "only be dropped"), (delivered, "delivered"), (under_way, "right now"),
                        (gone, "no gateway 'pigeon'"), (999, "no such delivery")):  # fmt: skip
        result = channel("deliveries", "retry", str(number))
        assert result.exit_code == 1 and why in result.stderr, result.output
    assert channel("deliveries", "drop", str(under_way), "--yes", "--reason", "why").exit_code == 1
    assert channel("deliveries", "drop", str(redacted), str(gone), "--yes", "--reason", "why").exit_code == 0
    too_long_ago = ["retry", "--since", "999999d"]
    for wrong in (
        ["retry"],
        ["drop", "--yes", "--reason", "why"],
        too_long_ago,
        ["drop", "x7", "--yes", "--reason", "why"],
        ["retry", "0"],
    ):
        assert channel("deliveries", *wrong).exit_code == 2, wrong
    assert channel("deliveries", "show", "999").exit_code == 1


def test_a_given_up_decision_of_the_vendor_never_reads_as_success(
    channel: Terminal, retailops: Caller, orders: list[dict[str, Any]]
) -> None:
    """A cancellation that is looked up again and again, as when Pipe17 is away for long."""
    refnum = orders[0]["channel_order_refnum"]
    number = a_delivery(retailops, refnum, "checking", verb="cancel_order", last_code="TIMEOUT")
    digest = digest_of(("cancel",))
    is_ours = (commands.c.natural_key == refnum) & (commands.c.callback == "order_returned")
    with retailops.database.write() as connection:
        connection.execute(update(commands).where(is_ours).values(callback="order_cancel", digest=digest))
    assert retailops.cancel(refnum)["status"] == "fail"
    assert channel("deliveries", "drop", str(number), "--yes", "--reason", "why").exit_code == 0
    answer = retailops.cancel(refnum)
    assert (answer["status"], codes(answer, "error")) == ("fail", ["OUTCOME_UNKNOWN"])
