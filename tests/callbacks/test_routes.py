"""The callbacks over HTTP: who may come in, what is refused and how, and that RetailOps can read every reply."""

from __future__ import annotations

import gzip
import json
import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.channel import receiving
from app.channel.actions import order_pull
from app.contract.schemas import Contract, load_contract
from app.operations import callback_log
from app.operations.callback_log import CallbackChoice
from app.operations.scope import Scope
from app.sandbox.vendors.pipe17 import INTEGRATION_KEY
from tests import ROOT
from tests.channels import KEY, OTHER_KEY, PAIR, channel_table
from tests.retailops import Caller, codes
from tests.sandboxes import Sandbox
from tests.stopwatch import Stopwatch

FIXTURES = sorted((ROOT / "verifier_fixtures").glob("*_v1_ex_*.json"))
REFUSED = sorted((ROOT / "verifier_fixtures" / "refused").glob("*.json"))
CALLBACKS = sorted(load_contract().callbacks)


def _callback_of(path: Path) -> str:
    return next(name for name in CALLBACKS if path.stem.startswith(name))


@pytest.fixture
def two_channels(build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract) -> Caller:
    """Two channels with keys of their own on one server."""
    other = channel_table(pipe17.url, name="other", pair=(1201, 33), key=OTHER_KEY, api_key="another-pipe17-account")
    return Caller(build_app(channel_table(pipe17.url) + other), contract)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_p1_every_fixture_gets_a_valid_200(path: Path, app: Flask, contract: Contract) -> None:
    reply = Caller(app, contract).send(_callback_of(path), path.read_bytes())
    assert reply.status_code == 200


def test_p1_every_schema_has_two_fixtures_and_an_address() -> None:
    for name in CALLBACKS:
        assert sum(_callback_of(path) == name for path in FIXTURES) >= 2


WRONG_KEYS: list[Any] = [
    None, "", " ", 0, 1, True, [], [KEY], {}, {"a": KEY}, KEY + " ", " " + KEY, KEY + "\n", KEY[:-1], KEY.lower() + "x",
    "!!!" + KEY, "ключ", "k" * 100_000, "KDS_SPOLIATER", "\x00", 1.5,
]  # fmt: skip


def test_p7_a_list_of_more_entries_than_can_be_answered_in_time_is_refused(
    retailops: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "MOST_ENTRIES", 3)
    rows = [{"sku": f"S{number}", "quantity_available": 1} for number in range(4)]
    reply = retailops.post("inventory_push", inventory_updates=rows)
    assert reply.status_code == 413 and codes(reply.get_json()) == ["TOO_MANY_ENTRIES"]
    assert retailops.post("inventory_push", inventory_updates=rows[:3]).status_code == 200


def test_p2_every_wrong_key_gets_one_and_the_same_401_and_nothing_happens(retailops: Caller, pipe17: Sandbox) -> None:
    before = pipe17.state()["calls"]
    bodies = set()
    for callback in CALLBACKS:
        for key in WRONG_KEYS:
            reply = retailops.post(callback, integration_auth_token=key)
            assert reply.status_code == 401, (callback, type(key))
            bodies.add(reply.get_data())
        missing = retailops.send(callback, b'{"client_id":1201,"channel_info":{"id":32}}')
        assert missing.status_code == 401
        bodies.add(missing.get_data())
    assert len(bodies) == 1
    assert pipe17.state()["calls"] == before


def test_p2_another_channels_key_is_as_wrong_as_any(two_channels: Caller) -> None:
    assert two_channels.post("order_pull").status_code == 200
    two_channels.key = OTHER_KEY
    stolen = two_channels.post("order_pull")
    assert stolen.status_code == 401
    assert stolen.get_data() == two_channels.post("order_pull", integration_auth_token="nobody").get_data()


def test_p2_the_test_key_is_refused_where_it_is_off(build_app: Callable[..., Flask], contract: Contract) -> None:
    caller = Caller(build_app(VERIFY_KEY="off"), contract, key="RETAILOPS_SDK")
    assert caller.post("order_pull").status_code == 401


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_p6_a_refusal_names_pointer_and_rule(path: Path, retailops: Caller) -> None:
    case = json.loads(path.read_text())
    callback = _callback_of(path)
    body = {**case["body"], "integration_auth_token": KEY}
    if case["status"] == 200:
        body |= {"client_id": PAIR[0], "channel_info": {"id": PAIR[1]}}
    reply = retailops.send(callback, json.dumps(body).encode())
    assert reply.status_code == case["status"], case["why"]
    answer = reply.get_json()
    if callback == "payment_credit" and case["status"] == 200:
        assert answer["status"] == "fail" and answer["amount"] == 0
        assert case["pointer"] in answer["message"]
    else:
        told = [(event["code"], event["message"].partition(":")[0]) for event in answer["events"]]
        assert (f"INVALID_{case['rule'].upper()}", case["pointer"]) in told
    retailops.app.extensions["works"].journal.flush()
    [line] = callback_log.find(retailops.database, Scope(), CallbackChoice(callback=callback)).rows
    found = callback_log.one(retailops.database, Scope(), line.id)
    assert found is not None
    assert [(problem.pointer, problem.rule) for problem in found.problems.listed] == [(case["pointer"], case["rule"])]


def _leaves_replaced(value: Any, canary: str) -> Any:
    if isinstance(value, dict):
        return {name: _leaves_replaced(item, canary) for name, item in value.items()}
    if isinstance(value, list):
        return [_leaves_replaced(item, canary) for item in value]
    return canary


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_p6_no_value_of_a_refused_body_is_repeated_in_reply_or_log(
    path: Path, retailops: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "Canary7Kq3"
    body = _leaves_replaced(json.loads(path.read_text()), canary)
    reply = retailops.send(_callback_of(path), json.dumps({**body, "integration_auth_token": KEY}).encode())
    assert canary not in reply.get_data(as_text=True)
    assert canary not in caplog.text


GARBAGE = [
    b"", b"null", b"[]", b'"text"', b"12", b"{", b'{"a":', b"{}}", b"\xff\xfe", b'{"a":"\xff"}', b'{"a":NaN}',
    b'{"a":1e999}', b'{"a":"\\ud800"}', b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 100_000, b"<html>", b"a=b",
]  # fmt: skip


def test_p5_raw_garbage_is_a_400_in_json(retailops: Caller) -> None:
    for raw in GARBAGE:
        reply = retailops.send("order_pull", raw)
        assert reply.status_code == 400, raw[:20]
        assert reply.get_json()["events"][0]["event_type"] == "error"


def _mutated(value: Any, roll: random.Random) -> Any:
    """The body with one place changed to something a careless or hostile caller might send."""
    odd: list[Any] = [
        None, "", " ", "x" * 300, "null", "0", 0, -1, 1.5, 1e16, 2**70, True, [], {}, [None], {"a": 1}, "1.0", "-3",
        "2026-01-01", "\u0000", "😀", [[[]]], 10**20, "ключ",
    ]  # fmt: skip
    if isinstance(value, dict) and value and roll.random() < 0.85:
        name = roll.choice(list(value))
        if roll.random() < 0.1:
            return {key: item for key, item in value.items() if key != name}
        return {**value, name: _mutated(value[name], roll)}
    if isinstance(value, list) and value and roll.random() < 0.85:
        index = roll.randrange(len(value))
        return [*value[:index], _mutated(value[index], roll), *value[index + 1 :]]
    return roll.choice(odd)


def test_p5_twenty_thousand_mutated_bodies_never_make_a_5xx(
    build_app: Callable[..., Flask], pipe17: Sandbox, contract: Contract, seed: int
) -> None:
    """Half with the test key, half for a live channel without gateways' answers in the way of speed."""
    roll = random.Random(seed)
    caller = Caller(build_app(channel_table(pipe17.url), LOG_LEVEL="ERROR"), contract)
    bodies = [(_callback_of(path), json.loads(path.read_text())) for path in FIXTURES]
    client = caller.app.test_client()
    seen: dict[int, int] = {}
    for number in range(20_000):
        callback, body = roll.choice(bodies)
        for _ in range(roll.randint(1, 3)):
            changed = _mutated(body, roll)
            body = changed if isinstance(changed, dict) else body
        is_live = number % 40 == 0
        key = KEY if is_live else "RETAILOPS_SDK"
        body = {**body, "integration_auth_token": key}
        if is_live:
            body |= {"client_id": PAIR[0], "channel_info": {"id": PAIR[1]}}
        reply = client.post(f"/api/channel/{callback}_v1", data=json.dumps(body), content_type="application/json")
        seen[reply.status_code] = seen.get(reply.status_code, 0) + 1
        assert reply.status_code in (200, 400, 401), f"{callback} {json.dumps(body)} {reply.get_data(as_text=True)}"
        if reply.status_code == 200:
            assert contract.callbacks[callback].check_answer(reply.get_json()) == (), (callback, body)
    print(f"statuses {seen}")
    assert seen[200] > 5000 and seen[400] > 100


def test_p5_one_bad_row_never_costs_the_others(retailops: Caller, pipe17: Sandbox) -> None:
    sku = pipe17.state()["inventory"][0]["sku"]
    detail = [{"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": 7, "total_quantity": 9}]
    rows: list[Any] = [
        {"sku": "", "quantity_available": 1},
        {"sku": sku, "quantity_available": 7, "quantity_detail": detail},
        {"sku": "B", "quantity_available": "some"},
        {"sku": "C", "quantity_available": 1.5},
        7,
    ]
    answer = retailops.ask("inventory_push", inventory_updates=rows)
    assert len(answer["events"]) == 4 and all(event["event_type"] == "error" for event in answer["events"])
    named = [event["associations"][0]["identifier"] for event in answer["events"] if event["associations"]]
    assert named == ["B", "C"]
    with retailops.database.read() as connection:
        kept = connection.exec_driver_sql("select sku from stock").scalars().all()
    assert kept == [sku]


def test_p5_at_most_twenty_faults_are_told_and_the_rest_is_counted(retailops: Caller) -> None:
    answer = retailops.ask(
        "inventory_push", inventory_updates=[{"sku": f"S{n}", "quantity_available": "some"} for n in range(50)]
    )
    assert len(answer["events"]) == 21
    assert answer["events"][-1]["message"].startswith("30 ")


def test_the_body_may_be_gzip_and_is_counted_while_it_inflates(retailops: Caller) -> None:
    body = {"integration_auth_token": KEY, "client_id": 1201, "channel_info": {"id": 32}}
    packed = gzip.compress(json.dumps(body).encode())
    assert retailops.send("catalog_get_config", packed, {"Content-Encoding": "gzip"}).status_code == 200
    bomb = gzip.compress(b" " * (40 * 1024 * 1024))
    assert len(bomb) < 100_000
    assert retailops.send("catalog_get_config", bomb, {"Content-Encoding": "gzip"}).status_code == 413
    assert retailops.send("catalog_get_config", packed[:-9], {"Content-Encoding": "gzip"}).status_code == 400
    assert retailops.send("catalog_get_config", packed + b"more", {"Content-Encoding": "gzip"}).status_code == 400
    empty = gzip.compress(b"") * 100_000
    assert retailops.send("catalog_get_config", empty + packed, {"Content-Encoding": "gzip"}).status_code == 413
    assert retailops.send("catalog_get_config", packed, {"Content-Encoding": "br"}).status_code == 400
    assert retailops.send("catalog_get_config", b" " * (33 * 1024 * 1024)).status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/api/channel/catalog_get_config_v1",
        "//api/channel//catalog_get_config_v1",
        "/api/channel/catalog_get_config_v1/",
        "/api/channel/catalog_get_config_v1//?a=1&b=%2f",
    ],
)
def test_slashes_and_queries_do_not_matter(retailops: Caller, path: str) -> None:
    body = {"integration_auth_token": KEY, "client_id": 1201, "channel_info": {"id": 32}}
    path, _, query = path.partition("?")
    client = retailops.app.test_client()
    reply = client.post("/", json=body, environ_overrides={"PATH_INFO": path, "QUERY_STRING": query})
    assert (reply.status_code, reply.get_json()) == (200, {"sku_fanout": "no_fanout"})


def test_wrong_paths_and_methods_are_told_in_json_and_never_redirected(retailops: Caller) -> None:
    client = retailops.app.test_client()
    for path in ("/", "/api/channel/", "/api/channel/order_pull", "/api/channel/ORDER_PULL_v1", "/api/channel/x_v1"):
        assert client.post(path, json={}).status_code == 404
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
        reply = client.open("/api/channel/order_pull_v1", method=method)
        assert (reply.status_code, reply.headers["Allow"]) == (405, "POST")
        assert reply.content_type == "application/json"


def test_action_and_version_are_never_a_reason_to_refuse(retailops: Caller) -> None:
    for action in (None, "", 7, [], "SDK.x", {"a": 1}):
        for version in (None, "1", 2, "x", []):
            assert retailops.post("catalog_get_config", action=action, version=version).status_code == 200


def test_p31_the_test_key_changes_nothing_and_shows_no_real_order(retailops: Caller, pipe17: Sandbox) -> None:
    before = pipe17.state()
    retailops.key = "RETAILOPS_SDK"
    for path in FIXTURES:
        body = json.loads(path.read_text()) | {"client_id": PAIR[0], "channel_info": {"id": PAIR[1]}}
        answer = retailops.send(_callback_of(path), json.dumps(body).encode()).get_json()
        if _callback_of(path) == "order_pull":
            assert [order["channel_order_refnum"] for order in answer["orders"]] == ["DRY-RUN-1"]
        elif "events" in answer:
            assert "DRY_RUN" in codes(answer)
    after = pipe17.state()
    assert (after["calls"], after["shipments"]) == (before["calls"], before["shipments"])
    _assert_no_records(retailops)


def test_p31_a_real_key_for_an_unconfigured_pair_changes_nothing_and_never_looks_like_success(
    retailops: Caller, pipe17: Sandbox
) -> None:
    before = pipe17.state()
    for path in FIXTURES:
        callback = _callback_of(path)
        body = json.loads(path.read_text()) | {"integration_auth_token": KEY}
        answer = retailops.send(callback, json.dumps(body).encode()).get_json()
        if "events" in answer:
            assert codes(answer, "error") == ["CHANNEL_NOT_CONFIGURED"]
        if "status" in answer:
            assert answer["status"] == "fail"
        if callback == "payment_credit":
            assert answer["amount"] == 0
        if callback == "order_pull":
            assert answer["orders"] == []
    assert pipe17.state()["calls"] == before["calls"]
    _assert_no_records(retailops)


def _assert_no_records(retailops: Caller) -> None:
    with retailops.database.read() as connection:
        for table in ("handed_out", "commands", "deliveries", "stock", "packages", "held_back"):
            assert connection.exec_driver_sql(f"select count(*) from {table}").scalar_one() == 0, table


def test_p24_health_speaks_of_us_only(
    build_app: Callable[..., Flask], start_pipe17: Callable[..., Sandbox], contract: Contract
) -> None:
    sick = start_pipe17()
    caller = Caller(build_app(channel_table(sick.url)), contract)
    sick.fault(kind="status", code=500, times=1000)
    assert caller.post("order_pull").status_code == 503
    client = caller.app.test_client()
    calls = sick.state()["calls"]
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
    assert sick.state()["calls"] == calls
    works = caller.app.extensions["works"]
    works.database.engine.dispose()
    with works.database.write() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '0000'")
    reply = client.get("/readyz")
    assert (reply.status_code, client.get("/healthz").status_code) == (503, 200)
    assert reply.headers["Retry-After"]


def test_p25_one_id_leads_from_the_reply_to_log_journal_and_vendor(
    retailops: Caller, pipe17: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    body = {"integration_auth_token": KEY, "client_id": 1201, "channel_info": {"id": 32}}
    reply = retailops.send("order_pull", json.dumps(body).encode(), {"X-Request-Id": "trace-496"})
    assert reply.headers["X-Request-Id"] == "trace-496"
    assert "trace-496" in {call["request_id"] for call in pipe17.state()["recent_calls"]}
    retailops.app.extensions["works"].journal.flush()
    with retailops.database.read() as connection:
        kinds = connection.exec_driver_sql("select kind from journal where request_id = 'trace-496'").scalars().all()
    assert {"callback", "vendor"} <= set(kinds)
    made_up = retailops.send("order_pull", json.dumps(body).encode(), {"X-Request-Id": "bad id\twith blanks"})
    assert re.fullmatch(r"[0-9a-f]{32}", made_up.headers["X-Request-Id"])


def test_p15_a_large_callback_at_an_ill_vendor_does_not_hold_up_a_large_push_of_a_healthy_channel(
    start_pipe17: Callable[..., Sandbox], build_app: Callable[..., Flask], contract: Contract
) -> None:
    """R8: the attempt holds no process lock; R14 wants one large body *parsed* at a time."""
    ill, well = start_pipe17(), start_pipe17()
    app = build_app(
        channel_table(ill.url, more="patience_s = 4")
        + channel_table(well.url, name="other", pair=(1201, 33), key=OTHER_KEY, api_key=INTEGRATION_KEY)
    )
    sick, healthy = Caller(app, contract), Caller(app, contract, OTHER_KEY, (1201, 33))
    refnum = sick.pull()[0]["channel_order_refnum"]
    ill.fault(kind="hang")
    padding = "x" * 1_100_000
    entries = [{"channel_order_refnum": refnum, "retailops_order_id": 1}]
    slow = threading.Thread(target=sick.post, args=("order_acknowledge",), kwargs={"orders": entries, "note": padding})
    slow.start()
    time.sleep(0.3)
    rows = [{"sku": "A", "quantity_available": 1}]
    with Stopwatch() as watch:
        assert healthy.post("inventory_push", inventory_updates=rows, note=padding).status_code == 200
    slow.join()
    assert watch.took_s < 3, "it did not wait until the ill vendor was given up"


def test_r3_the_journal_says_which_unconfigured_pair_came(retailops: Caller) -> None:
    assert retailops.post("order_pull", channel_info={"id": "99"}).status_code == 200
    retailops.app.extensions["works"].journal.flush()
    with retailops.database.read() as connection:
        rows = connection.exec_driver_sql("select channel, outcome from journal where kind = 'callback'").all()
    assert [tuple(row) for row in rows] == [("unconfigured", "CHANNEL_NOT_CONFIGURED 1201/99")]


@pytest.mark.parametrize(("environment", "status"), [("development", 500), ("production", 200)])
def test_p18_an_order_found_wrong_at_the_last_look_is_left_out_in_production_and_a_fault_in_development(
    environment: str,
    status: int,
    build_app: Callable[..., Flask],
    pipe17: Sandbox,
    contract: Contract,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caller = Caller(build_app(channel_table(pipe17.url), APP_ENV=environment), contract)
    first, *others = [order["channel_order_refnum"] for order in caller.pull()]
    own = order_pull.order_json
    monkeypatch.setattr(order_pull, "mend_page", lambda _callback, content: (content, []))
    monkeypatch.setattr(
        order_pull, "order_json", lambda order: own(order) | ({"currency_code": 7} if order.refnum == first else {})
    )
    reply = caller.post("order_pull")
    assert reply.status_code == status
    if status == 200:
        assert [order["channel_order_refnum"] for order in reply.get_json()["orders"]] == others
    assert "left out of an answer, 1 of them" in caplog.text
