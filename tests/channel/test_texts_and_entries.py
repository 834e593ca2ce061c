"""No field that decides nothing, and no neighbour's fault, loses an entry; nothing is cut silently (P34, R6)."""

from __future__ import annotations

import copy
import json
import random
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.channel.actions import inventory_push
from app.contract import requests as requests_
from app.contract.requests import Reading
from app.contract.schemas import Contract, load_contract
from app.domain import texts
from app.records.database import DatabaseBusy, DatabaseConflict, DatabaseRefused, DatabaseUnavailable
from app.records.tables.catalogue import catalogue
from app.records.tables.orders import handed_out
from app.records.tables.stock import stock
from app.records.transactions import repeated
from app.sandbox.vendors.pipe17 import INTEGRATION_ID, INTEGRATION_KEY
from tests import ROOT
from tests.channels import KEY, PAIR, channel_table
from tests.retailops import Caller, codes, shipment_of
from tests.sandboxes import Sandbox
from tests.stopwatch import Stopwatch

both_databases = pytest.mark.both_databases
HALF = "\ud83d"


def noise(length: int, seed: int = 1) -> str:
    """Text that PostgreSQL cannot compress into its index."""
    return "".join(random.Random(seed).choices(string.ascii_letters, k=length))


def kept(caller: Caller) -> dict[str, bytes]:
    with caller.database.read() as connection:
        return {row.sku: row.level for row in connection.execute(select(stock.c.sku, stock.c.level))}


def messages(answer: dict[str, Any], code: str) -> list[str]:
    return [event["message"] for event in answer["events"] if event["code"] == code]


def as_raw(body: Any, **values: bytes) -> bytes:
    """The body with raw JSON in the place of each name that stands in it as a text."""
    raw = json.dumps(body).encode()
    for name, value in values.items():
        raw = raw.replace(f'"{name}"'.encode(), value)
    return raw


def in_envelope(**fields: Any) -> dict[str, Any]:
    return {"integration_auth_token": KEY, "client_id": PAIR[0], "channel_info": {"id": PAIR[1]}, **fields}


# --- every key of every callback, at and far beyond its limit


def key_fields(schema: dict[str, Any], pointer: str = "") -> Iterator[str]:
    """Pointers, with * for an element, of every text a request is known by."""
    for name, part in schema.get("properties", {}).items():
        yield from key_fields(part, f"{pointer}/{name}")
    if "items" in schema:
        yield from key_fields(schema["items"], f"{pointer}/*")
    if "\ufdd0" in schema.get("pattern", "") and "maxLength" in schema:
        yield pointer


KEYS = [(name, pointer) for name, callback in load_contract().callbacks.items()
        for pointer in key_fields(callback.request_schema)]  # fmt: skip


def body_of(callback: str) -> Any:
    path: Path = ROOT / "verifier_fixtures" / f"{callback}_v1_ex_2.json"
    return json.loads(path.read_text())


def put(body: Any, pointer: str, value: Any) -> str:
    """Put the value at the pointer, in each list's last element, and make what is missing; gives the plain pointer."""
    holder, place = body, ""
    parts = pointer.split("/")[1:]
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        empty: Any = [] if following == "*" else {}
        if part == "*":
            if not holder:
                holder.append(empty)
            key: Any = len(holder) - 1
        else:
            key = part
            if following is not None and not holder.get(part):
                holder[part] = empty
        place += f"/{key}"
        if following is None:
            holder[key] = value
        else:
            holder = holder[key]
    return place


@both_databases
def test_p34_a_key_of_any_length_costs_its_entry_alone_and_is_never_silent(
    build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract
) -> None:
    caller = Caller(build_app(channel_table(pipe17.url), LOG_LEVEL="ERROR"), contract)
    refnum = caller.pull()[0]["channel_order_refnum"]
    caller.acknowledge(refnum)
    assert len(KEYS) > 50
    values = {"short": "k", "longest": noise(255), "longer": noise(256, 2), "much longer": noise(3000, 2)}
    values |= {"half": f"k{HALF}", "nul": "k\x00", "huge": "out of range", "blank": " \u00a0k "}
    for number, (callback, pointer) in enumerate(KEYS):
        chosen = dict(values)
        if number % 8 == 0:  # takes long to send, and differs from the former in nothing but length
            chosen["longest of all"] = noise(200_000, 2)
        for kind, value in chosen.items():
            body = body_of(callback) | in_envelope()
            if "order" in body:
                body["order"]["channel_order_refnum"] = refnum
            elif "channel_order_refnum" in body:
                body["channel_order_refnum"] = refnum
            place = put(body, pointer, value)
            reply = caller.send(callback, as_raw(body, **{"out of range": b"1e999"}))
            assert reply.status_code == 200, f"{callback} {pointer} {kind}: {reply.get_data(as_text=True)[:300]}"
            told = reply.get_json()
            said = [event["message"] for event in told["events"]] if "events" in told else [told["message"]]
            is_named = any(message.startswith(f"{place}: ") for message in said)
            is_good = kind in ("short", "longest", "blank")
            assert is_named is not is_good, f"{callback} {pointer} {kind}: {said}"
            assert noise(50, 2) not in reply.get_data(as_text=True), "no value is repeated"


@both_databases
def test_p34_one_sku_too_long_for_an_index_never_costs_its_neighbours(retailops: Caller) -> None:
    skus = ["B-1", noise(256), "B-2", noise(3000), noise(200_000), f"B-{HALF}", "B-\x00", noise(255), "ü" * 255, "B-3"]
    rows = [{"sku": sku, "quantity_available": 5} for sku in skus]
    answer = retailops.ask("inventory_push", inventory_updates=rows)
    assert set(kept(retailops)) == {"B-1", "B-2", "B-3", noise(255), "ü" * 255}
    assert [message.partition(":")[0] for message in messages(answer, "INVALID_MAXLENGTH")] == [
        f"/inventory_updates/{index}/sku" for index in (1, 3, 4)
    ]
    assert len(messages(answer, "INVALID_PATTERN")) == 2


# --- what nobody can represent


def test_p34_half_an_emoji_or_a_number_out_of_range_costs_its_row_alone(retailops: Caller) -> None:
    details = [{"facility_name": "Dallas", "available_quantity": 4, "estimated_availability_date": f"soon {HALF}"}]
    rows = [
        {"sku": "C-1", "quantity_available": 4, "quantity_detail": details},
        {"sku": f"C-2{HALF}", "quantity_available": 5},
        {"sku": "C-3", "quantity_available": "out of range"},
        {"sku": "C-4", "quantity_available": "no number"},
        {"sku": "C-5", "quantity_available": "too many digits"},
        {"sku": "C-6", "quantity_available": 6},
    ]
    numbers = {"out of range": b"1e999", "no number": b"NaN", "too many digits": b"7" * 5000}
    reply = retailops.send("inventory_push", as_raw(in_envelope(inventory_updates=rows), **numbers))
    assert reply.status_code == 200
    answer = reply.get_json()
    assert set(kept(retailops)) == {"C-1", "C-6"}
    assert {event["message"].split("/")[2] for event in answer["events"] if event["event_type"] == "error"} == set(
        "1234"
    )
    assert retailops.send("inventory_push", as_raw(in_envelope(inventory_updates=rows))[:-1]).status_code == 400


# --- fields that decide nothing, and entries


@pytest.mark.parametrize("path", sorted((ROOT / "verifier_fixtures" / "ignored").glob("*.json")), ids=lambda p: p.stem)
def test_p34_a_field_that_decides_nothing_never_refuses(path: Path, retailops: Caller) -> None:
    case = json.loads(path.read_text())
    callback = next(name for name in retailops.contract.callbacks if path.stem.startswith(name))
    for who in ({}, {"integration_auth_token": "RETAILOPS_SDK"}, {"client_id": 4711}):
        reply = retailops.send(callback, json.dumps(case["body"] | in_envelope() | who).encode())
        assert reply.status_code == 200
        answer = reply.get_json()
        if callback == "payment_credit":
            continue  # no place but the message, and what became of the credit comes first
        [event] = [event for event in answer["events"] if event["code"] == "FIELD_IGNORED"]
        assert event["event_type"] == "warning"
        assert event["message"].startswith(f"{case['pointer']}: must be ")
        assert not [event for event in answer["events"] if event["code"].startswith("INVALID_")]


def test_p34_a_bad_weight_item_or_package_costs_itself(retailops: Caller, pipe17: Sandbox) -> None:
    order = next(order for order in retailops.pull() if len(order["order_items"]) > 1)
    refnum = order["channel_order_refnum"]
    retailops.acknowledge(refnum)
    shipment = shipment_of(order, 501, packages=2)
    first, second = shipment["packages"]
    lines = order["order_items"]
    first["weight_kg"] = "2 lb"
    first["package_items"] = [
        {"channel_item_refnum": lines[0]["channel_item_refnum"], "quantity": 1},
        {"channel_item_refnum": lines[1]["channel_item_refnum"], "quantity": 0.5},
    ]
    second["tracking_number"] = "T" * 300
    third = copy.deepcopy(first) | {"retailops_package_id": 3, "weight_kg": 1, "tracking_number": "1Z3"}
    first["date_shipped"], third["date_shipped"] = "11/20/2026", "0001-01-01T00:00:00Z"  # the other is Go's empty time
    third["package_items"] = [{"channel_item_refnum": lines[1]["channel_item_refnum"], "quantity": 1}]
    shipment["packages"] = [first, second, "none", third]
    answer = retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=shipment)
    assert sorted(codes(answer, "error")) == ["INVALID_MAXLENGTH", "INVALID_MULTIPLEOF", "INVALID_TYPE"]
    assert codes(answer, "warning") == ["FIELD_IGNORED"] * 2
    held = {item["trackingNumber"][0]: item["lineItems"] for item in pipe17.fulfilments(refnum)}
    assert {number: [line["quantity"] for line in items] for number, items in held.items()} == {
        first["tracking_number"]: [1],
        "1Z3": [1],
    }


def test_p34_what_one_body_states_twice_and_otherwise_is_named(retailops: Caller, pipe17: Sandbox) -> None:
    """Only one of the two can count: nothing of a body is lost without a word.  The same said twice is one."""
    order, other, third = [order for order in retailops.pull() if len(order["order_items"]) > 1][:3]
    refnum = order["channel_order_refnum"]
    same = [{"channel_order_refnum": refnum, "retailops_order_id": number} for number in (0, 71, "071", None)]
    assert codes(retailops.ask("order_acknowledge", orders=same)) == []
    answer = retailops.ask("order_acknowledge", orders=[*same, {**same[0], "retailops_order_id": 72}])
    assert codes(answer) == ["DUPLICATE_ORDER", "RETAILOPS_ID_CHANGED"], "which of the two it is, a person has to look"

    boxes = shipment_of(order, 501)
    [box] = boxes["packages"]
    boxes["packages"] = [{**box, "package_items": box["package_items"][:1]}, box, {**box, "retailops_package_id": "01"}]
    for _ in range(2):
        answer = retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=boxes)
        assert codes(answer) == ["DUPLICATE_PACKAGE"]
    assert [len(held["lineItems"]) for held in pipe17.fulfilments(refnum)] == [len(box["package_items"])]
    for tracked, found in ((("A", "B"), ["DUPLICATE_PACKAGE"]), (("A", "A"), [])):
        order = other if found else third
        shipments = [shipment_of(order, 502 + len(found), tracking_number=number) for number in tracked]
        named = {"channel_order_refnum": order["channel_order_refnum"], "shipments": shipments}
        assert codes(retailops.ask("order_complete", order=named)) == found


def test_p34_what_will_not_ship_and_cannot_be_read_keeps_the_order_open_and_its_shipments_go_on(
    retailops: Caller, pipe17: Sandbox
) -> None:
    order = next(order for order in retailops.pull() if len(order["order_items"]) > 1)
    refnum = order["channel_order_refnum"]
    retailops.acknowledge(refnum)
    shipment = shipment_of(order, 501, packages=2)
    shipment["packages"] = shipment["packages"][:1]
    unshipped = [{"sku": order["order_items"][1]["sku"], "unshipped_quantity": "one"}]
    wanted = {"channel_order_refnum": refnum, "shipments": [shipment], "unshipped_items": unshipped}
    answer = retailops.ask("order_complete", order=wanted)
    assert (answer["status"], codes(answer, "error")) == ("fail", ["INVALID_PATTERN"])
    assert len(pipe17.fulfilments(refnum)) == 1
    with retailops.database.read() as connection:
        state = connection.execute(select(handed_out.c.state).where(handed_out.c.refnum == refnum)).scalar_one()
    assert state == "open"
    rest = max(sum(line["quantity"] for line in order["order_items"][1:]), 1)
    unshipped[0]["unshipped_quantity"] = rest
    answer = retailops.ask("order_complete", order={**wanted, "grand_total": "12,50"})
    assert "FIELD_IGNORED" in codes(answer, "warning")
    assert not [code for code in codes(answer) if code.startswith("INVALID_")]


def test_p34_where_entries_decide_money_one_that_cannot_be_read_refuses_the_command(retailops: Caller) -> None:
    refnum = retailops.pull()[0]["channel_order_refnum"]
    items = [{"sku": "S", "quantity": 1}, {"sku": "S", "quantity": "one"}]
    answer = retailops.ask(
        "order_returned",
        order={"channel_order_refnum": refnum},
        **{"return": {"retailops_return_id": 7, "refund_amt": 1, "refund_action": "refund", "items": items}},
    )
    assert codes(answer) == ["INVALID_PATTERN"]
    parents = [{"refnum": "P-1"}, {"refnum": "P" * 256}]
    credit = retailops.ask("payment_credit", credit={"amount": 5, "parent_payment_transactions": parents})
    assert (credit["status"], credit["amount"]) == ("fail", 0)
    assert credit["message"].startswith("/credit/parent_payment_transactions/1/refnum: ")


def test_p34_a_number_of_retailops_refuses_only_where_nothing_else_names_the_order(retailops: Caller) -> None:
    refnum = retailops.pull()[0]["channel_order_refnum"]
    numbers = {"channel_order_refnum": refnum, "retailops_order_id": "seven"}
    answer = retailops.ask("order_update", order=numbers)
    assert codes(answer, "warning")[-1] == "FIELD_IGNORED"
    assert "INVALID_PATTERN" not in codes(answer)
    assert codes(retailops.ask("order_cancel", order=numbers)) == ["INVALID_PATTERN"], "it guards against mistakes"


def test_p5_a_line_number_that_retailops_could_not_read_back_is_told_and_never_a_fault(retailops: Caller) -> None:
    order = retailops.pull()[0]
    retailops.acknowledge(order["channel_order_refnum"])
    named = {key: order["order_items"][0][key] for key in ("channel_item_refnum", "sku", "quantity")}
    for number in (2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**29):
        is_read = -(2**63) <= number < 2**63
        lines = [{**named, "order_item_id": str(number)}]
        answer = retailops.ask(
            "order_update", order={"channel_order_refnum": order["channel_order_refnum"], "order_items": lines}
        )
        assert [item["order_item_id"] for item in answer["line_items"]] == [number] * is_read
        assert ("LINE_NOT_ANSWERED" in codes(answer, "warning")) is not is_read


def test_p34_twenty_ignored_fields_are_named_and_the_rest_is_counted(retailops: Caller) -> None:
    refnum = retailops.pull()[0]["channel_order_refnum"]
    lines = [{"sku": "S", "estimated_cost": "?"} for _ in range(25)]
    answer = retailops.ask("order_update", order={"channel_order_refnum": refnum, "order_items": lines})
    found = messages(answer, "FIELD_IGNORED")
    assert len(found) == 21
    assert found[-1] == "5 further fields were ignored and are not listed"
    assert "INVALID_MORE" not in codes(answer)


# --- what the database refuses or cannot take just now


@pytest.fixture
def nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the routes refuse gets as far as the database."""
    monkeypatch.setattr(requests_.Request, "_judged", lambda self, body: Reading())


@pytest.mark.postgresql
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_p34_what_the_database_can_never_keep_is_an_error_of_its_entry(
    retailops: Caller, pipe17: Sandbox, nothing_is_judged: None
) -> None:
    rows = [{"sku": f"D-{number}", "quantity_available": 1} for number in range(50)]
    rows[20]["sku"], rows[33]["sku"] = noise(9000), noise(9000, 2)
    answer = retailops.ask("inventory_push", inventory_updates=rows)
    assert codes(answer, "error") == ["CANNOT_BE_KEPT"] * 1, "two that cannot be named make one event"
    assert len(kept(retailops)) == 48

    order = retailops.pull()[0]
    refnum = order["channel_order_refnum"]
    retailops.acknowledge(refnum)
    shipment = shipment_of(order, 501, packages=2)
    shipment["packages"][1]["retailops_package_id"] = noise(9000)
    answer = retailops.ask("order_shipment_submit", channel_order_refnum=refnum, shipment=shipment)
    assert codes(answer, "error") == ["CANNOT_BE_KEPT"]
    assert len(pipe17.fulfilments(refnum)) == 1


@pytest.mark.postgresql
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_p34_one_product_the_database_can_never_keep_costs_itself(
    build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = channel_table(pipe17.url, api_key=INTEGRATION_KEY, more=f'integration_id = "{INTEGRATION_ID}"')
    caller = Caller(build_app(table), contract)
    monkeypatch.setattr(texts, "key_fault", lambda text, limit=0: "")
    skus = ["E-1", "E-2", noise(9000), "E-3"]
    records = [{"feed_data": {"General": {"SKU": sku, "Title": "A product"}}} for sku in skus]
    answer = caller.ask("catalog_push", template_output={"data": {"Product": records}})
    assert codes(answer, "error") == ["CANNOT_BE_KEPT"]
    with caller.database.read() as connection:
        assert set(connection.execute(select(catalogue.c.sku)).scalars()) == {"E-1", "E-2", "E-3"}


def test_p34_a_refused_entry_never_costs_its_neighbours(retailops: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """As PostgreSQL does it for a key too long for its index, without one."""
    accept = inventory_push.stock.accept

    def refuses_some(connection: Any, channel: str, gateway: str, levels: Any, **named: Any) -> None:
        if bad & set(levels):
            raise DatabaseRefused("too long")
        accept(connection, channel, gateway, levels, **named)

    monkeypatch.setattr(inventory_push.stock, "accept", refuses_some)
    skus = [f"H-{number}" for number in range(40)]
    bad = {"H-3", "H-4", "H-39"}
    answer = retailops.ask("inventory_push", inventory_updates=[{"sku": sku, "quantity_available": 1} for sku in skus])
    assert set(kept(retailops)) == set(skus) - bad
    refused = [event["associations"][0]["identifier"] for event in answer["events"] if event["event_type"] == "error"]
    assert sorted(refused) == sorted(bad)


def test_p34_transactions_that_meet_are_run_again_within_the_budget(
    retailops: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, times = inventory_push.stock.accept, []

    def meets_another(*arguments: Any, **named: Any) -> Any:
        times.append(1)
        if len(times) < 4:
            raise DatabaseConflict("deadlock")
        return accept(*arguments, **named)

    monkeypatch.setattr(inventory_push.stock, "accept", meets_another)
    retailops.ask("inventory_push", inventory_updates=[{"sku": "F-1", "quantity_available": 1}])
    assert set(kept(retailops)) == {"F-1"}
    assert len(times) == 4


@both_databases
def test_p34_every_error_of_the_database_is_taken_for_what_it_is(retailops: Caller) -> None:
    database = retailops.database
    insert = "insert into held_back (channel, refnum, reason, since) values ('first', 'x', 'y', {since})"

    def error_of(statement: str, **values: Any) -> type[BaseException] | None:
        try:
            with database.write() as connection:
                connection.exec_driver_sql(statement, values or None)
        except Exception as error:
            return type(error)
        return None

    assert error_of(insert.format(since=1)) is None
    assert error_of(insert.format(since=1)) is DatabaseConflict
    assert error_of(insert.format(since="null").replace("'x'", "'z'")) is DatabaseRefused
    marker = ":value" if database.is_sqlite else "%(value)s"
    for value in (10**30, HALF):
        assert error_of(f"update held_back set since = {marker}", value=value) is DatabaseRefused, ascii(value)
    if not database.is_sqlite:
        for state, expected in {"22003": DatabaseRefused, "54000": DatabaseRefused, "40001": DatabaseConflict,
                                "40P01": DatabaseConflict, "53300": DatabaseBusy}.items():  # fmt: skip
            raised = error_of(f"do $$ begin raise exception using errcode = '{state}'; end $$")
            assert raised is expected, state


def test_p34_what_passes_is_told_as_send_again(retailops: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_away(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(inventory_push.stock, "accept", is_away)
    reply = retailops.post("inventory_push", inventory_updates=[{"sku": "G-1", "quantity_available": 1}])
    assert reply.status_code == 503
    assert "Retry-After" in reply.headers

    def always_meets() -> None:
        raise DatabaseConflict("deadlock")

    with Stopwatch() as watch, pytest.raises(DatabaseUnavailable):
        repeated(always_meets, time.monotonic() + 0.2)
    assert watch.took_s < 1
