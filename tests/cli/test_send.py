"""`channel send`: what RetailOps would send, to servers right and wrong, and what it would make of the answer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from app import cli
from app.cli.exchange import apply_change
from app.cli.samples import sample
from app.contract.files import FIXTURES
from app.contract.schemas import Contract
from app.sandbox.server import RunningServer, serve
from tests.channels import KEY, OTHER_KEY, PAIR, channel_table
from tests.command_line import unset_ours
from tests.retailops import Caller
from tests.sandboxes import Sandbox

Send = Callable[..., Result]


@pytest.fixture
def server(retailops: Caller) -> Iterator[RunningServer]:
    """The channel server on a socket."""
    with serve(retailops.app.wsgi_app) as running:
        yield running


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Send:
    unset_ours(monkeypatch)

    def run(*args: str, stdin: str = "", **environment: str) -> Result:
        env = {"APP_ENV": "development", "CHANNELS": channel_table("http://127.0.0.1:1"), **environment}
        done = CliRunner().invoke(cli.cli, ["send", *args], env=env, input=stdin)
        assert KEY not in done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return run


def base(server: RunningServer) -> str:
    return f"{server.url}/api/channel"


def answering(status: str, body: Any, *headers: tuple[str, str]) -> Callable[..., list[bytes]]:
    """A server with one answer to everything."""

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start(status, [("Content-Type", "application/json"), *headers])
        return [body if isinstance(body, bytes) else json.dumps(body).encode()]

    return app


def test_every_callback_has_a_sample_that_retailops_could_send(contract: Contract) -> None:
    for name, callback in contract.callbacks.items():
        body = {**sample(name), "client_id": 1, "channel_info": {"id": 2}}
        assert callback.read(body).is_clean, name
        assert name == "catalog_get_config" or len(body) > 4, name
        assert not {"S12345", "496", "string"} & set(json.dumps(body).split('"')), name
    fixtures = b"".join(file.read_bytes() for file in FIXTURES.glob("catalog_push_*"))
    for product in sample("catalog_push")["template_output"]["data"]["Product"]:
        assert str(product["object_data"]["id"]).encode() not in fixtures, "it may mean a product of the shop"


def test_p4_every_sample_sent_with_the_channels_own_key_gets_an_answer_retailops_takes(
    send: Send, server: RunningServer, contract: Contract
) -> None:
    for name in contract.callbacks:
        done = send(name, "--to", base(server), "--json")
        verdict = msgspec.json.decode(done.stdout)
        assert (done.exit_code, verdict["ok"], verdict["status"]) == (0, True, 200), verdict
        request = verdict["request"]
        assert (request["client_id"], request["channel_info"]["id"]) == PAIR
        assert (request["integration_auth_token"], verdict["request_problems"]) == ("***", [])
        assert verdict["ms"] >= 0 and verdict["request_id"]


def test_the_version_in_the_name_the_default_address_and_a_table_for_people(send: Send, server: RunningServer) -> None:
    shown = send("order_cancel_v1", "--set", "order.channel_order_refnum=A7", PORT=str(server.port))
    assert shown.exit_code == 0, shown.output
    for part in (f":{server.port}/api/channel/order_cancel_v1", '"channel_order_refnum": "A7"', "status 200",
                 "RetailOps would take this answer"):  # fmt: skip
        assert part in shown.output
    assert "\x1b" not in shown.output


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("order.order_items[0].quantity=2", {"order": {"order_items": [{"quantity": 2}, {"quantity": 1}]}}),
        (
            "order.order_items[2].sku=A-1",
            {"order": {"order_items": [{"quantity": 9}, {"quantity": 1}, {"sku": "A-1"}]}},
        ),
        ("order.order_items[1]=null", {"order": {"order_items": [{"quantity": 9}, None]}}),
        ("rmas[0].retailops_rma_id=007", {"rmas": [{"retailops_rma_id": "007"}]}),
        ("version=1.5", {"version": 1.5}),
        ('page_token="5"', {"page_token": "5"}),
        ("page_token=", {"page_token": ""}),
        ("note=a=b", {"note": "a=b"}),
    ],
)
def test_set_is_typed_and_finds_or_makes_its_place(change: str, expected: dict[str, Any]) -> None:
    body: dict[str, Any] = {"order": {"order_items": [{"quantity": 9}, {"quantity": 1}]}, "rmas": None}
    apply_change(body, change)
    assert body == {**body, **expected}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("order.quantity", "must be a path and a value"),
        ("=5", "must be a path and a value"),
        ("order..sku=5", "must be a path and a value"),
        ("order[0]=5", "is no list"),
        ("order.retailops_order_id.x=5", "is no object"),
        ("new[1]=5", "has 0 elements"),
    ],
)
def test_a_set_that_leads_nowhere_is_said_with_its_path(send: Send, change: str, said: str) -> None:
    done = send("order_cancel", "--set", change)
    assert done.exit_code == 2 and "--set" in done.output
    assert said in done.output and change.partition("=")[0] in done.output


def test_a_file_replaces_the_sample_and_the_pair_is_still_the_channels(
    send: Send, server: RunningServer, tmp_path: Any
) -> None:
    file = tmp_path / "body.json"
    file.write_text('{"action": "x", "version": 1, "client_id": 497, "channel_info": {"id": 21}, "page_token": ""}')
    given = ["order_pull", "--to", base(server), "--from", str(file), "--json"]
    request = msgspec.json.decode(send(*given).stdout)["request"]
    assert (request["client_id"], request["channel_info"]["id"]) == PAIR
    changed = msgspec.json.decode(send(*given, "--set", "client_id=497").stdout)["request"]
    assert changed["client_id"] == 497
    file.write_text("[1]")
    refused = send("order_pull", "--from", str(file))
    assert refused.exit_code == 2 and "not an object" in refused.output and "body.json" in refused.output


def test_what_retailops_would_not_send_is_sent_and_said(send: Send, server: RunningServer) -> None:
    done = send("order_cancel", "--to", base(server), "--set", "order=7", "--json")
    verdict = msgspec.json.decode(done.stdout)
    assert (done.exit_code, verdict["status"]) == (1, 400)
    assert "/order" in verdict["request_problems"][0] and "cannot take the body" in verdict["error"]


def test_all_problems_of_an_answer_are_told_and_no_key_with_them(send: Send) -> None:
    orders = [{"channel_order_refnum": KEY, "order_items": []}, {"currency_code": "DOGE"}]
    with serve(answering("200 OK", {"orders": orders, KEY: 1})) as server:  # type: ignore[arg-type]
        done = send("order_pull", "--to", server.url, "--json")
        shown = send("order_pull", "--to", server.url)
    verdict = msgspec.json.decode(done.stdout)
    pointers = {problem["pointer"] for problem in verdict["problems"]}
    assert {"/orders/0/channel_date_created", "/orders/0/currency_code", "/orders/1/currency_code"} <= pointers
    assert verdict["answer"]["orders"][0]["channel_order_refnum"] == "***"
    assert (done.exit_code, shown.exit_code) == (1, 1)
    assert "throw this answer away" in shown.output and "/orders/1/ship_service_code" in shown.output


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        ("302 Found", {}, "redirect, which is not followed"),
        ("401 No", {"error": KEY}, "does not accept the key"),
        ("404 Gone", b"<html>" + KEY.encode(), "no such callback"),
        ("201 Made", {"events": []}, "the body of a 200 only"),
        ("200 OK", b"<html>\x1b[31m" + KEY.encode(), "looks like HTML"),
        ("200 OK", b"", "is empty"),
        ("200 OK", b"[]", "not an object"),
        ("200 OK", {}, "is empty"),
    ],
)
def test_an_answer_that_is_none_is_named(send: Send, status: str, body: Any, said: str) -> None:
    other: list[str] = []

    def elsewhere(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        other.append(environ["PATH_INFO"])
        return answering("200 OK", {"events": []})(environ, start)

    with serve(elsewhere) as thief:  # type: ignore[arg-type]
        app = answering(status, body, ("Location", thief.url + "/"))
        with serve(app) as server:  # type: ignore[arg-type]
            done = send("order_acknowledge", "--to", f"{server.url}/x/")
    assert done.exit_code == 1 and said in done.output
    assert other == [] and "\x1b" not in done.output


def test_nobody_there_and_silence_are_told_by_the_option_they_come_from(send: Send) -> None:
    gone = send("order_pull", "--to", "http://127.0.0.1:1")
    assert gone.exit_code == 1 and "nobody listens at --to" in gone.output
    assert "nobody listens at http://localhost:1/api/channel" in send("order_pull", PORT="1").output
    with serve(answering("200 OK", {})) as server:  # type: ignore[arg-type]
        server.faults.add({"kind": "hang"})
        late = send("order_pull", "--to", server.url, "--timeout", "0.2")
    assert late.exit_code == 1 and "within 0.2 s" in late.output
    assert send("order_pull", "--to", "channel.example").exit_code == 2


def test_a_name_nobody_knows_is_answered_with_those_there_are(send: Send, contract: Contract) -> None:
    done = send("order_cancle")
    assert done.exit_code == 2
    assert all(name in done.output for name in contract.callbacks)


def test_the_key_comes_from_where_it_is_told_to(send: Send, retailops: Caller, server: RunningServer) -> None:
    given = ["order_pull", "--to", base(server), "--json"]
    dry = msgspec.json.decode(send(*given, "--key", "test", CHANNELS="broken [").stdout)
    assert [order["channel_order_refnum"] for order in dry["answer"]["orders"]] == ["DRY-RUN-1"]
    pair = ["--set", f"client_id={PAIR[0]}", "--set", f"channel_info.id={PAIR[1]}"]
    asked = send(*given, *pair, "--key", "ask", stdin=f"{KEY}\n")
    assert asked.exit_code == 0 and msgspec.json.decode(asked.stdout)["answer"]["orders"]
    assert send(*given, "--key", "ask").exit_code == 2
    two = channel_table("http://127.0.0.1:1") + channel_table(
        "http://127.0.0.1:1", name="second", pair=(1201, 33), key=OTHER_KEY, api_key="other"
    )
    vague = send(*given, CHANNELS=two)
    assert vague.exit_code == 2 and "first, second" in vague.output and "--channel" in vague.output
    wrong = send(*given, "--channel", "second", CHANNELS=two)
    assert (wrong.exit_code, msgspec.json.decode(wrong.stdout)["status"]) == (1, 401)
    assert OTHER_KEY not in wrong.output
    nameless = send(*given, "--channel", "third", CHANNELS=two)
    assert nameless.exit_code == 2 and "no such channel" in nameless.output


def test_a_wrong_key_of_ones_own_shows_the_refusal(send: Send, server: RunningServer) -> None:
    for token in ("null", "5", "", "not-the-key-of-anybody"):
        done = send("order_pull", "--to", base(server), "--set", f"integration_auth_token={token}")
        assert done.exit_code == 1 and "status 401" in done.output, done.output
    assert "not-the-key-of-anybody" not in done.output


def test_a_real_key_does_not_leave_for_strangers_nor_for_production_unasked(
    send: Send, server: RunningServer, pipe17: Sandbox
) -> None:
    for args, why in (
        (["order_pull", "--to", "https://stranger.invalid"], "neither loopback nor PUBLIC_URL"),
        (["inventory_push", "--to", "https://stranger.invalid", "--key", "channel"], "for real"),
    ):
        asked = send(*args, PUBLIC_URL="https://ours.example")
        assert asked.exit_code == 2 and why in asked.output and "--yes" in asked.output
    live = {"APP_ENV": "production", "DATABASE_URL": "sqlite:///x.db"}
    given = ["order_cancel", "--to", base(server)]
    assert send(*given, **live).exit_code == 2
    assert send(*given, "--yes", **live).exit_code == 0
    assert send("order_pull", "--to", base(server), **live).exit_code == 0
    assert not os.path.exists("x.db")


def test_faults_of_the_configuration_are_all_told_with_exit_code_2(send: Send) -> None:
    done = send("order_pull", CHANNELS="[[channel]]\nname = 'x'\n")
    assert done.exit_code == 2 and "auth_keys" in done.stderr and "client_id" in done.stderr
    none = send("order_pull", CHANNELS="# none")
    assert none.exit_code == 2 and "no channel is configured" in none.stderr
