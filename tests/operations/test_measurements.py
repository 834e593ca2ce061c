"""`/metrics`: who may read it, what each gauge says, and that nothing of it names an object."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from app import metrics
from app.contract.schemas import Contract
from app.records import breakers
from app.records.tables.deliveries import late_events
from app.records.tables.money import refunds
from app.records.tables.operations import pauses
from app.records.tables.orders import held_back
from tests.channels import channel_table
from tests.operations.metric_lines import TOKEN, Lines, lines_of
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox


def scraped(app: Flask, token: str = TOKEN) -> Lines:
    app.extensions["works"].journal.flush()
    reply = app.test_client().get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert reply.status_code == 200 and reply.content_type.startswith("text/plain; version=")
    return lines_of(reply.get_data(as_text=True))


def test_metrics_need_the_consoles_token(build_app: Callable[..., Flask]) -> None:
    assert build_app().test_client().get("/metrics").status_code == 404
    reading = "token-of-a-reader-000001"
    client = build_app(CONSOLE_TOKEN=TOKEN, CONSOLE_READ_TOKEN=reading).test_client()
    for header in ("", TOKEN, f"Bearer {TOKEN}x", "Bearer ", "Bearer t\xf6ken"):
        assert client.get("/metrics", headers={"Authorization": header}).status_code == 401
    for token in (TOKEN, reading):
        given = client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
        assert given.status_code == 200 and b"channel_callbacks_total" in given.data


def test_every_metric_is_declared_and_says_what_it_means(build_app: Callable[..., Flask]) -> None:
    client = build_app(CONSOLE_TOKEN=TOKEN).test_client()
    text = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).get_data(as_text=True)
    assert re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE) == [
        (metric.name, metric.kind) for metric in metrics.METRICS
    ]
    for metric in metrics.METRICS:
        assert f"# HELP {metric.name} {metric.meaning}\n" in text
        assert metric.name.startswith("channel_") and not set(metric.labels) & {"order", "refnum", "sku", "id"}


@pytest.mark.both_databases
def test_p24_gauges_say_what_waits_while_a_vendor_is_ill(
    build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract
) -> None:
    app = build_app(channel_table(pipe17.url), DELIVERIES="worker", CONSOLE_TOKEN=TOKEN)
    retailops = Caller(app, contract)
    place = ("first", "pipe17")
    idle = scraped(app)
    assert {idle["channel_deliveries", ("first", state, "pipe17")] for state in ("owed", "checking", "parked")} == {0}
    assert idle["channel_oldest_owed_seconds", place] == idle["channel_breaker_open", place] == 0
    assert idle["channel_held_back", ("first",)] == idle["channel_refunds_in_doubt", ("first",)] == 0
    assert not [name for name, _ in idle if name.startswith(("channel_last_callback", "channel_vendor_rate"))]

    order = retailops.pull()[0]
    retailops.acknowledge(order["channel_order_refnum"])
    retailops.ask("inventory_push", inventory_updates=[{"sku": "MUG-RED", "quantity_available": 3}])
    pipe17.fault(kind="status", code=500)
    assert codes(retailops.ship(order), "warning")
    for _ in range(5):
        retailops.post("order_pull")
    before = app.extensions["works"].database.now().timestamp() - 60
    ill = scraped(app)
    assert sum(ill["channel_deliveries", ("first", state, "pipe17")] for state in ("owed", "checking")) == 1
    assert 0 < ill["channel_oldest_owed_seconds", place] < 60
    assert ill["channel_facts_owed", ("first", "stock", "pipe17")] >= 1
    assert ill["channel_breaker_open", place] == 1
    # Every callback that came, and not those that did not.
    assert before < ill["channel_last_callback_timestamp_seconds", ("order_pull", "first")] < before + 120
    assert ("channel_last_callback_timestamp_seconds", ("payment_credit", "first")) not in ill
    assert ill["channel_callbacks_total", ("order_acknowledge", "200")] == 1
    assert ill["channel_callbacks_total", ("order_pull", "503")] == 5
    assert ill["channel_vendor_calls_total", ("unknown", "pipe17")] >= 1
    assert ill["channel_callback_seconds_count", ("order_pull",)] == 6


def test_gauges_count_what_waits_for_a_person(
    build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract
) -> None:
    app = build_app(channel_table(pipe17.url), DELIVERIES="worker", CONSOLE_TOKEN=TOKEN)
    database = app.extensions["works"].database
    then = database.now()
    refund = {
        "order_refnum": "1", "payment_refnum": "1", "callback": "order_returned", "natural_key": "1",
        "currency_code": "USD", "lines": b"[]", "created_at": then,
    }  # fmt: skip
    late = {
        "channel": "first", "gateway": "pipe17", "callback": "order_cancel", "subject": "17", "code": "LATE_X",
        "message": "late", "about": b"[]", "request_id": "", "at": then,
    }  # fmt: skip
    with database.write() as connection:
        held = {"channel": "first", "refnum": "17", "reason": "a fraction of a unit", "since": then}
        connection.execute(held_back.insert(), held)
        for number, (state, channel) in enumerate([("parked", "first"), ("accepted", "first"), ("parked", "gone")]):
            entry = {**refund, "channel": channel, "key": str(number), "state": state, "amount": Decimal(1)}
            connection.execute(refunds.insert(), entry)
        paused = {"channel": "first", "gateway": "pipe17", "at": then, "who": "ann", "reason": "they migrate"}
        connection.execute(pauses.insert(), paused)
        for dismissed_at in (None, then, None):
            connection.execute(late_events.insert(), {**late, "dismissed_at": dismissed_at})
    found = scraped(app)
    assert found["channel_held_back", ("first",)] == 1
    assert found["channel_refunds_in_doubt", ("first",)] == found["channel_refunds_in_doubt", ("gone",)] == 1
    assert found["channel_late_events", ("first",)] == 2
    assert found["channel_paused", ("first", "pipe17")] == 1


def test_r14_the_learned_rate_is_shown_and_a_channels_name_stands_for_its_records(
    build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract
) -> None:
    table = channel_table(pipe17.url).replace("requests_per_s = 0", "requests_per_s = 8")
    app = build_app(table, CONSOLE_TOKEN=TOKEN)
    Caller(app, contract).pull()
    named = ("first", "requests_per_s", "pipe17")
    assert scraped(app)["channel_vendor_rate", named] == pytest.approx(8, abs=0.5)
    renamed = build_app(table.replace('name = "first"', 'name = "eu"\nformer_name = "first"'), CONSOLE_TOKEN=TOKEN)
    found = scraped(renamed)
    assert found["channel_vendor_rate", ("eu", *named[1:])] == pytest.approx(8, abs=0.5)
    assert ("channel_last_callback_timestamp_seconds", ("order_pull", "eu")) in found


def test_a_killed_processes_breaker_does_not_stay_open(
    build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract
) -> None:
    """Its row ends with its moment; the rows of others stay."""
    ends = 90.0
    app = build_app(channel_table(pipe17.url), CONSOLE_TOKEN=TOKEN)
    database = app.extensions["works"].database
    place = ("first", "pipe17")
    own = breakers.OwnBreakers(lambda: {place: ends})
    with database.write() as connection:
        own.write(connection, {place: ends}, database.now())
    with database.read() as connection:
        assert breakers.processes(connection, [place], database.now()) == {place: 1}
        later = database.now() + breakers.HALF_OPEN + timedelta(seconds=ends)
        assert breakers.processes(connection, [place], later) == {place: 0}


def test_without_its_database_metrics_are_answered_with_503(build_app: Callable[..., Flask]) -> None:
    app = build_app(CONSOLE_TOKEN=TOKEN)
    app.extensions["works"].database.close()
    reply = app.test_client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert reply.status_code == 503 and reply.headers["Retry-After"]


def test_p46_no_gauge_reads_a_table_that_grows_without_an_index(
    build_app: Callable[..., Flask], pipe17: Sandbox
) -> None:
    app = build_app(channel_table(pipe17.url), DELIVERIES="worker", CONSOLE_TOKEN=TOKEN)
    database = app.extensions["works"].database
    asked: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            asked.append((statement, parameters))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    scraped(app)
    sa.event.remove(database.engine, "before_cursor_execute", note)
    plans = []
    with database.read() as connection:
        for statement, parameters in asked:
            if statement.startswith("SELECT"):
                plans += [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    grows = ("deliveries", "refunds", "late_events", "stock", "catalogue_sync", "journal", "commands", "orders")
    assert [
        plan for plan in plans if plan.startswith("SCAN") and plan.split()[1] in grows and "INDEX" not in plan
    ] == []
    assert not [plan for plan in plans if plan.split()[1] == "journal"]
