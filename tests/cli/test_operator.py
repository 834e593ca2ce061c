"""What an operator sees and does at three in the morning: what is stuck, why, what became of order 496."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from click.testing import Result
from sqlalchemy import func, insert, select, update

from app.channel.command import digest_of
from app.clock import utc_now
from app.records.deliveries import OPEN_STATES
from app.records.tables.catalogue import catalogue_sync
from app.records.tables.deliveries import commands, deliveries, late_events
from app.records.tables.operations import journal
from tests.channels import channel_table
from tests.command_line import CommandLine
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.waiting import eventually

pytestmark = pytest.mark.both_databases
TRACKING = "1ZcAnArY0123456789"
FULFILLMENTS = {"method": "POST", "path_prefix": "/api/v3/fulfillments"}


class Terminal(CommandLine):
    """The command line beside the running server, which shows no shopper's data."""

    def __call__(self, *args: str, **options: Any) -> Result:
        result = super().__call__(*args, **options)
        assert TRACKING not in result.output
        return result


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch, retailops: Caller, pipe17: Sandbox, database_url: str) -> Terminal:
    return Terminal(monkeypatch, database_url, channel_table(pipe17.url))


@pytest.fixture
def orders(retailops: Caller) -> list[dict[str, Any]]:
    pulled = retailops.pull()
    retailops.acknowledge(*[order["channel_order_refnum"] for order in pulled])
    return pulled


def parked(retailops: Caller, pipe17: Sandbox, order: dict[str, Any]) -> int:
    """The id of a shipment that Pipe17 refused after RetailOps had its answer."""
    pipe17.fault(kind="status", code=429, times=1, match=FULFILLMENTS)
    pipe17.fault(kind="status", code=400, times=1, match=FULFILLMENTS)
    assert codes(retailops.ship(order, tracking_number=TRACKING)) == ["OWED"]
    return int(eventually(lambda: value(retailops, select(deliveries.c.id).where(deliveries.c.state == "parked"))))


def value(retailops: Caller, query: Any) -> Any:
    with retailops.database.read() as connection:
        return connection.execute(query).scalar()


def a_delivery(retailops: Caller, order: str, state: str, **more: Any) -> int:
    """A row as it is left by what takes a day to happen."""
    now = utc_now()
    command = {
        "channel": "first", "callback": "order_returned", "natural_key": order, "order_refnum": order, "digest": "",
        "events": b"[]", "request_id": "r", "begun_at": now, "lease_until": now, "finished_at": now,
    }  # fmt: skip
    with retailops.database.write() as connection:
        command_id = connection.execute(insert(commands).returning(commands.c.id), command).scalar_one()
        row = {
            "channel": "first", "gateway": "pipe17", "verb": "submit_shipment", "lane": order, "command_id": command_id,
            "body": b'{"order_refnum":"' + order.encode() + b'","tracking_number":"' + TRACKING.encode() + b'"}',
            "about": b"[]", "state": state, "next_try_at": now + timedelta(days=9), "request_id": "r",
            "created_at": now, **more,
        }  # fmt: skip
        return int(connection.execute(insert(deliveries).returning(deliveries.c.id), row).scalar_one())


def test_what_a_vendor_has_not_heard_is_listed_with_what_it_said(
    channel: Terminal, retailops: Caller, pipe17: Sandbox
) -> None:
    pipe17.fault(kind="status", code=500, match={"method": "POST", "path_prefix": "/api/v3/inventory"})
    details = [{"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": 3,
                "total_quantity": 3}]  # fmt: skip
    rows = [{"sku": "MUG-RED", "quantity_available": 3, "quantity_detail": details}]
    retailops.ask("inventory_push", inventory_updates=rows)
    eventually(lambda: "HTTP_500" in channel("deliveries", "list").output)
    retailops.app.extensions["works"].dispatcher.stop()
    owed = {"channel": "first", "vendor": "pipe17"}
    with retailops.database.write() as connection:
        connection.execute(insert(catalogue_sync), {"channel": "first", "gateway": "pipe17", "root_key": "r", "seq": 1})
    listed = channel.json("deliveries", "list")
    assert listed["catalogue"] == [{**owed, "products": 1, "last_error": ""}]
    assert [item["skus"] for item in listed["stock"]] == [1]
    assert listed["stock"][0]["last_error"].startswith("HTTP_500: pipe17 answered 500 to POST /inventory")
    assert "1 products are owed to pipe17 (channel first)." in channel("deliveries", "list").output


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


def test_late_news_is_dismissed_by_its_number_and_then_told_to_nobody(
    channel: Terminal, retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    parked(retailops, pipe17, orders[0])
    [news] = channel.json("deliveries", "list")["late_news"]
    name = f"n{news['id']}"
    assert channel.json("deliveries", "drop", name, "--yes", "--reason", "why")["done"][0]["id"] == name
    assert channel.json("deliveries", "list")["late_news"] == []
    assert channel("deliveries", "drop", name, "--yes", "--reason", "why").exit_code == 1
    assert value(retailops, select(late_events.c.sent_at)) is not None
    assert codes(retailops.ask("order_update", order={"channel_order_refnum": "another"}), "warning") == [
        "UPDATE_NOT_PASSED_ON"
    ]


def test_r16_the_story_of_an_order_joins_journal_ledger_and_deliveries(
    channel: Terminal, retailops: Caller, pipe17: Sandbox, orders: list[dict[str, Any]]
) -> None:
    refnum = orders[0]["channel_order_refnum"]
    number = parked(retailops, pipe17, orders[0])
    # Lines of the journal are written a moment after what they say, the refusal that parked the delivery last.
    for has_line in (journal.c.name == "order_shipment_submit", journal.c.status == 400):
        eventually(lambda has_line=has_line: value(retailops, select(journal.c.id).where(has_line)))
    [story] = channel.json("callbacks", "show", "--order", refnum)["stories"]
    assert any(f"PARKED: delivery {number}" in line for line in story["now"])
    assert any("RetailOps has acknowledged it as its order 70" in line for line in story["now"])
    told = [moment["what"] for moment in story["moments"]]
    assert [moment["at"] for moment in story["moments"]] == sorted(moment["at"] for moment in story["moments"])
    for part in (
        "hands the order to RetailOps (once so far)", "asks order_acknowledge", "PUT /shipments/{id}: 200",
        "has the order as its order 70", "asks order_shipment_submit", f"owes delivery {number}",
        "POST /fulfillments: 429", "answers order_shipment_submit with 200, OWED", "registers package 501-1",
        f"parks delivery {number}", "LATE_FULFILLMENT_REFUSED",
    ):  # fmt: skip
        assert any(part in line for line in told), (part, told)
    registered, owed = (
        next(at for at, line in enumerate(told) if part in line)
        for part in ("registers package", f"owes delivery {number}")
    )
    assert registered < owed, "a call is owed for what was registered"
    assert f"channel deliveries retry {number}" in channel("callbacks", "show", "--order", refnum).output.replace(
        "\n", ""
    )

    listed = channel.json("callbacks", "list", "--order", refnum)["callbacks"]
    assert [item["callback"] for item in listed] == ["order_shipment_submit", "order_acknowledge"]
    assert [call["state"] for item in listed for call in item["calls"]] == ["parked", "delivered"]
    request = listed[0]["request_id"]
    [by_request] = channel.json("callbacks", "show", request)["stories"]
    assert by_request["order"] == refnum
    assert "order_acknowledge" not in str(by_request)
    assert channel.json("callbacks", "show", request[:8])["stories"] == [by_request], "the start is enough"
    assert channel("callbacks", "show", request[:7]).exit_code == 1
    assert "order_shipment_submit" in channel("callbacks", "list", "--outcome", "owed").output
    assert "order_pull" not in channel("callbacks", "list", "--callback", "order_cancel").output
    assert channel.json("callbacks", "list", "--until", "1d")["callbacks"] == []
    assert channel("callbacks", "list").exit_code == 0


def test_on_80_columns_no_name_is_broken_and_what_is_shown_of_a_request_finds_it(
    channel: Terminal,
    retailops: Caller,
    pipe17: Sandbox,
    orders: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number = parked(retailops, pipe17, orders[0])
    eventually(lambda: value(retailops, select(journal.c.id).where(journal.c.name == "order_shipment_submit")))
    monkeypatch.setattr("app.terminal.PIPED_WIDTH", 80)
    listed = channel("callbacks", "list").stdout
    [line] = [line for line in listed.splitlines() if "order_shipment_submit" in line]
    assert "OWED" in line
    shown = [listed, channel("callbacks", "show", line.split()[-1]).stdout]
    assert "asks order_shipment_submit" in shown[1]
    shown += [channel("deliveries", *args).stdout for args in (["list"], ["show", str(number)])]
    assert re.search(r"^    LATE_FULFILLMENT_REFUSED: ", shown[2], re.MULTILINE)
    shown.append(channel("settings").stdout)
    assert re.search(r"^DATABASE_CONNECTIONS = 18$", shown[-1], re.MULTILINE)
    assert re.search(r"^    [A-Z]\w+ ", shown[-1], re.MULTILINE), "the meaning stands below"
    assert all(len(line) <= 80 for text in shown[:-1] for line in text.splitlines())


def test_r16_what_the_journal_lost_is_told_by_the_ledger(
    channel: Terminal, retailops: Caller, orders: list[dict[str, Any]]
) -> None:
    refnum = orders[0]["channel_order_refnum"]
    eventually(lambda: value(retailops, select(journal.c.id).where(journal.c.name == "order_acknowledge")))
    with retailops.database.write() as connection:
        connection.execute(journal.delete())
    [item] = channel.json("callbacks", "list", "--order", refnum)["callbacks"]
    assert (item["callback"], item["outcome"]) == ("order_acknowledge", "in the ledger")
    assert [call["state"] for call in item["calls"]] == ["delivered"]
    assert "All 1 calls to vendors were delivered" in channel("callbacks", "show", "--order", refnum).output


def test_an_order_without_a_trace_is_said_so(channel: Terminal, retailops: Caller) -> None:
    for args in (["--order", "496"], ["no-such-request"]):
        result = channel("callbacks", "show", *args)
        assert result.exit_code == 1 and "no trace" in result.stderr
    assert channel("callbacks", "show").exit_code == 2


def test_many_equal_attempts_are_told_in_one_line(channel: Terminal, retailops: Caller) -> None:
    begun = datetime.now(UTC) - timedelta(hours=2)
    a_delivery(retailops, "tried-often", "parked", created_at=begun, last_attempt_at=utc_now(), attempts=300)
    line = {"kind": "vendor", "channel": "first", "name": "pipe17 POST /fulfillments", "order_refnum": "",
            "status": 503, "outcome": "VENDOR_FAULT", "request_id": "r"}  # fmt: skip
    with retailops.database.write() as connection:
        lines = [{**line, "at": begun + timedelta(seconds=20 * n), "duration_ms": n} for n in range(300)]
        connection.execute(insert(journal), lines)
    shown = channel("callbacks", "show", "--order", "tried-often").output
    assert "299 times more" in shown
    assert len(shown.splitlines()) < 20
