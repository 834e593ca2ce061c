"""`channel check`: what answers, what does not, and what waits for an operator, with an exit code that says it."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import insert, update

from app import cli
from app.clock import utc_now
from app.contract.schemas import Contract
from app.docs.library import FOLDER
from app.domain.findings import Finding
from app.operations.overview import overview
from app.operations.scope import Scope
from app.records.database import Database
from app.records.tables.deliveries import commands, deliveries, late_events
from app.records.tables.operations import journal
from app.records.tables.orders import handed_out, held_back
from app.records.tables.stock import sync_states
from app.sandbox.server import RunningServer, serve
from app.sandbox.vendors import rally
from app.sandbox.vendors.pipe17 import BASE_PATH, DEFAULT_KEYS, INTEGRATION_ID, INTEGRATION_KEY, LEGACY_KEY
from tests.channels import KEY, OTHER_KEY, channel_table
from tests.command_line import unset_ours
from tests.databases import open_database
from tests.retailops import Caller
from tests.sandboxes import Sandbox
from tests.stopwatch import Stopwatch
from tests.waiting import eventually

Check = Callable[..., Result]
THIRD_KEY = "key+of+the+third+channel+0000003"
PASSWORD = "pa55word-of-the-database"


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Check]:
    unset_ours(monkeypatch)
    before = logging.getLogger("app").handlers[:]

    def run(channels: str, *args: str, **environment: str) -> Result:
        env = {"APP_ENV": "development", "DATABASE_URL": database_url, "CHANNELS": channels, **environment}
        done = CliRunner().invoke(cli.cli, ["check", *args], env=env)
        for secret in (KEY, OTHER_KEY, LEGACY_KEY, INTEGRATION_KEY, PASSWORD):
            assert secret not in done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    yield run
    logging.getLogger("app").handlers[:] = before


def report(done: Result) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(done.stdout)
    return told


def states(findings: list[dict[str, Any]]) -> dict[str, str]:
    return {item["name"]: item["state"] for item in findings}


def sentence(findings: list[dict[str, Any]], name: str) -> str:
    return str(next(item["sentence"] for item in findings if item["name"] == name))


def test_where_all_is_well_the_exit_code_is_0(check: Check, pipe17: Sandbox, retailops: Caller) -> None:
    with serve(retailops.app.wsgi_app) as server:
        done = check(channel_table(pipe17.url), "--json", PUBLIC_URL=server.url)
        shown = check(channel_table(pipe17.url), "first", PUBLIC_URL=server.url)
    told = report(done)
    assert (done.exit_code, told["ok"], shown.exit_code) == (0, True, 0), done.output
    assert states(told["server"]) == {"database": "ok", "public address": "ok", "unknown pairs": "ok"}
    [channel] = told["channels"]
    [gateway] = channel["gateways"]
    assert (channel["channel"], gateway["gateway"], gateway["state"]) == ("first", "pipe17", "connected")
    assert states(gateway["findings"])["clock"] == "ok"
    assert channel["findings"] == [] and "pipe17" not in told["unused"]
    assert "All is well." in shown.output and "\x1b" not in shown.output


def test_p14_the_learned_rate_is_shown_with_its_setting_its_limit_and_the_last_throttling(
    check: Check, start_pipe17: Callable[..., Sandbox], retailops: Caller
) -> None:
    pipe17 = start_pipe17()

    def rate(line: str) -> str:
        done = check(channel_table(pipe17.url).replace("requests_per_s = 0\n", line), "--json")
        [gateway] = report(done)["channels"][0]["gateways"]
        assert states(gateway["findings"])["rate"] == "ok"
        return sentence(gateway["findings"], "rate")

    assert rate("requests_per_s = 0\n") == "not limited by us (requests_per_s is 0)"
    assert rate("rate_max = 5\n") == "5 calls/s, which is never passed (requests_per_s)"
    assert rate("requests_per_s = 8\n") == "8 calls/s learned (requests_per_s 8, at most 32), never cut"
    pipe17.fault(kind="status", code=429, times=1)
    begun = utc_now()
    cut = rate("requests_per_s = 8\n")
    words, day = cut.split(", last cut ")
    assert words == "4 calls/s learned (requests_per_s 8, at most 32)"
    assert day.split()[0] in {f"{moment:%Y-%m-%d}" for moment in (begun, utc_now())}
    limited = rate("requests_per_s = 8\nrate_max = 10\n")  # one call has succeeded since, after some milliseconds
    assert limited.startswith("4") and "calls/s learned (requests_per_s 8, at most 10), last cut " in limited
    assert rate("requests_per_s = 6\n").startswith("6 calls/s learned (requests_per_s 6, at most 24), last cut ")


def test_before_the_first_start_nothing_is_made_and_that_is_said(check: Check, pipe17: Sandbox, tmp_path: Path) -> None:
    done = check(channel_table(pipe17.url), "--json", DATABASE_URL=f"sqlite:///{tmp_path}/new/channel.db")
    assert (done.exit_code, states(report(done)["server"])["database"]) == (0, "off")
    assert not (tmp_path / "new").exists()


def test_settings_and_grants_of_an_integration_are_found_and_nothing_is_written(
    check: Check, start_pipe17: Callable[..., Sandbox]
) -> None:
    pipe17 = start_pipe17(shipments=0)
    pipe17.tell(f"integrations/{INTEGRATION_ID}", {"status": "configured", "entities": {"inventory": ""}}, "PUT")
    methods = {**DEFAULT_KEYS[0].methods, "fulfillments": ""}
    pipe17.tell("keys", {"key": INTEGRATION_KEY, "integration": INTEGRATION_ID, "methods": methods}, "PUT")
    table = channel_table(pipe17.url, api_key=INTEGRATION_KEY, more=f'integration_id = "{INTEGRATION_ID}"')
    done = check(table, "--json")
    [gateway] = report(done)["channels"][0]["gateways"]
    found = states(gateway["findings"])
    assert (done.exit_code, gateway["state"], found["settings"]) == (1, "connected", "ok")
    assert "configured" in sentence(gateway["findings"], "settings")
    assert (found["inventory"], found["orders"], found["read fulfillments"]) == ("off", "ok", "attention")
    assert not [name for name in pipe17.state()["calls"] if not name.startswith("GET ")]


def test_what_waits_for_a_grant_is_pointed_at_as_long_as_it_waits(
    check: Check, start_pipe17: Callable[..., Sandbox], build_app: Callable[..., Flask], contract: Contract
) -> None:
    pipe17 = start_pipe17(shipments=1)

    def grant(**changes: str) -> None:
        methods = {**DEFAULT_KEYS[0].methods, **changes}
        pipe17.tell("keys", {"key": INTEGRATION_KEY, "integration": INTEGRATION_ID, "methods": methods}, "PUT")

    more = f'integration_id = "{INTEGRATION_ID}"\nintegration_refresh_s = 0.2'
    table = channel_table(pipe17.url, api_key=INTEGRATION_KEY, more=more)
    retailops = Caller(build_app(table), contract)
    [order] = retailops.pull()
    grant(shipments="rl", inventory="rl")
    retailops.acknowledge(order["channel_order_refnum"])
    details = [{"quantity_type": "internal", "facility_name": "Dallas DC", "available_quantity": 3,
                "total_quantity": 3}]  # fmt: skip
    rows = [{"sku": "BOWL", "quantity_available": 3, "quantity_detail": details}]
    retailops.ask("inventory_push", inventory_updates=rows)

    def waiting() -> dict[str, str]:
        found = report(check(table, "--json"))["channels"][0]["findings"]
        return {item["name"]: item["sentence"] for item in found if item["state"] == "attention"}

    told = eventually(lambda: found if len(found := waiting()) == 2 else {})
    assert told.keys() == {"acknowledge_order", "stock"} and check(table).exit_code == 1
    assert "1 call to pipe17" in told["acknowledge_order"] and "403 to PUT /shipments/{id}" in told["acknowledge_order"]
    assert "1 SKU" in told["stock"] and "403 to POST /inventory" in told["stock"]
    grant()
    with retailops.database.write() as connection:
        connection.execute(update(deliveries).values(next_try_at=utc_now()))
        connection.execute(update(sync_states).values(next_try_at=None))
    eventually(lambda: check(table).exit_code == 0)


def test_a_refused_key_and_a_vendor_that_is_away_are_told_apart(
    check: Check, pipe17: Sandbox, start_pipe17: Callable[..., Sandbox]
) -> None:
    away = start_pipe17()
    table = (
        channel_table(pipe17.url, api_key="not-a-key")
        + channel_table(away.url, name="second", pair=(1201, 33), key=OTHER_KEY, api_key=LEGACY_KEY)
        + channel_table(pipe17.url, name="third", pair=(1201, 34), key=THIRD_KEY, api_key=INTEGRATION_KEY)
    )
    away.server.stop()
    done = check(table, "--json")
    found = {part["channel"]: part["gateways"][0]["state"] for part in report(done)["channels"]}
    assert (done.exit_code, found) == (1, {"first": "refused", "second": "unreachable", "third": "connected"})
    assert check(table, "third").exit_code == 0


def test_a_vendor_that_hangs_costs_its_patience_once_however_many_channels_wait(check: Check, pipe17: Sandbox) -> None:
    pipe17.fault(kind="hang")
    slow = "patience_s = 0.6"
    table = channel_table(pipe17.url, more=slow) + channel_table(
        pipe17.url, name="second", pair=(1201, 33), key=OTHER_KEY, api_key=INTEGRATION_KEY, more=slow
    )
    with Stopwatch() as watch:
        done = check(table, "--json")
    assert watch.took_s < 3
    assert {part["gateways"][0]["state"] for part in report(done)["channels"]} == {"unreachable"}
    assert done.exit_code == 1


def test_with_the_database_away_the_vendors_are_still_checked(check: Check, pipe17: Sandbox) -> None:
    address = f"postgresql://channel:{PASSWORD}@127.0.0.1:1/channel"
    done = check(channel_table(pipe17.url), "--json", DATABASE_URL=address)
    told = report(done)
    assert (done.exit_code, states(told["server"])["database"]) == (1, "attention")
    assert "does not answer" in sentence(told["server"], "database")
    assert told["channels"][0]["gateways"][0]["state"] == "connected"


@pytest.mark.both_databases
@pytest.mark.unmigrated
def test_migrations_that_wait_are_counted(check: Check, pipe17: Sandbox, database_url: str) -> None:
    database = open_database(database_url)
    waiting = len(database.pending())
    database.close()
    done = check(channel_table(pipe17.url), "--json")
    server = report(done)["server"]
    assert f"{waiting} migration" in sentence(server, "database") and "wait" in sentence(server, "database")
    if database.is_sqlite:
        assert (done.exit_code, states(server)["database"]) == (0, "off")
    else:
        assert (done.exit_code, states(server)["database"]) == (1, "attention")
        assert "channel db upgrade" in sentence(server, "database")


def fill(database: Database) -> None:
    """What is left after trouble, once for the channel and once for one that is gone."""
    now = utc_now()
    with database.write() as connection:
        for channel in ("first", "gone"):
            command = {
                "channel": channel, "callback": "order_shipment_submit", "natural_key": "k", "order_refnum": "A1",
                "digest": "", "events": b"[]", "request_id": "r", "begun_at": now, "lease_until": now,
                "finished_at": now,
            }  # fmt: skip
            number = connection.execute(insert(commands).returning(commands.c.id), command).scalar_one()
            for state in ("parked", "owed"):
                row = {
                    "channel": channel, "gateway": "pipe17", "verb": "submit_shipment", "lane": "A1",
                    "command_id": number, "about": b"[]", "state": state, "next_try_at": now + timedelta(days=9),
                    "request_id": "r", "created_at": now,
                }  # fmt: skip
                connection.execute(insert(deliveries), row)
        for number in range(5):
            held = {"channel": "first", "refnum": f"H{number}", "reason": "its country is unknown", "since": now}
            connection.execute(insert(held_back), held)
        tired = {"channel": "first", "refnum": "T1", "lines": b"[]", "times": 6, "last_handed_at": now}
        connection.execute(insert(handed_out), tired)
        news = {
            "channel": "first", "gateway": "pipe17", "callback": "order_shipment_submit", "subject": "A1",
            "code": "LATE_X", "message": "m", "about": b"[]", "request_id": "r", "at": now,
        }  # fmt: skip
        connection.execute(insert(late_events), news)
        connection.execute(insert(late_events), {**news, "subject": "A2", "dismissed_at": now})


def test_what_waits_for_an_operator_is_counted_by_channel(check: Check, pipe17: Sandbox, retailops: Caller) -> None:
    fill(retailops.database)
    done = check(channel_table(pipe17.url), "--json")
    told = report(done)
    found = told["channels"][0]["findings"]
    assert done.exit_code == 1
    assert states(found) == {
        "parked": "attention", "owed": "ok", "held back": "attention", "unacknowledged": "attention",
        "late news": "attention",
    }  # fmt: skip
    assert "about order A1: `channel deliveries list --state parked`" in sentence(found, "parked")
    held = sentence(found, "held back")
    assert "5 orders" in held and "H0 (its country is unknown)" in held and "2 more" in held and "H4" not in held
    assert "order T1" in sentence(found, "unacknowledged")
    late = sentence(found, "late news")
    assert "1 failure " in late and "`channel late list` shows them, `channel late dismiss` ends them" in late
    assert "channel 'gone', not configured now" in sentence(told["server"], "parked")
    shown = check(channel_table(pipe17.url)).output
    assert "held back" in shown and "Not all is well" in shown


def test_r3_a_pair_nobody_has_is_told_with_its_numbers_and_certification_is_not_mistaken_for_one(
    check: Check, pipe17: Sandbox, retailops: Caller
) -> None:
    retailops.pair = (497, 21)
    assert retailops.pull() == []
    assert retailops.pull(client_id="0", channel_info={"id": None}) == []  # as verifier_fixtures/order_pull_v1_ex_3
    retailops.app.extensions["works"].journal.flush()
    done = check(channel_table(pipe17.url), "--json")
    assert (done.exit_code, states(report(done)["server"])["unknown pairs"]) == (0, "ok")
    assert "certification" in sentence(report(done)["server"], "unknown pairs")
    assert overview(retailops.database, Scope(), ()).wrong_pairs == (), "the page says otherwise than the command"
    retailops.pair = (1201, 99)
    retailops.pull(channel_info={})
    retailops.pull()
    retailops.cancel("A1")
    retailops.app.extensions["works"].journal.flush()
    done = check(channel_table(pipe17.url), "--json")
    assert (done.exit_code, states(report(done)["server"])["unknown pairs"]) == (1, "attention")
    assert "1201/99 (2x, last " in sentence(report(done)["server"], "unknown pairs")
    assert [item.pair for item in overview(retailops.database, Scope(), ()).wrong_pairs] == ["1201/99", "1201/absent"]
    with retailops.database.write() as connection:
        connection.execute(journal.update().values(at=utc_now() - timedelta(days=8)))
    assert check(channel_table(pipe17.url)).exit_code == 0


def test_p45_a_wall_clock_that_is_not_the_servers_is_named(
    check: Check, pipe17: Sandbox, retailops: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    retailops.database.now()
    own_s = time.time
    monkeypatch.setattr(time, "time", lambda: own_s() + 3600)
    done = check(channel_table(pipe17.url), "--json")
    server = report(done)["server"]
    assert (done.exit_code, states(server)["clock"]) == (1, "attention")
    assert "this machine's clock is 3,600 s ahead of the one the server goes by" in sentence(server, "clock")


def test_a_vendor_whose_clock_is_far_from_ours_is_named(check: Check) -> None:
    def late(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("200 OK", [("Content-Type", "application/json"), ("Date", "Tue, 03 Feb 2026 15:00:00 GMT")])
        return [json.dumps({"success": True, "locations": []}).encode()]

    with serve(late) as server:  # type: ignore[arg-type]
        done = check(channel_table(server.url), "--json")
    [gateway] = report(done)["channels"][0]["gateways"]
    assert (done.exit_code, gateway["state"], states(gateway["findings"])["clock"]) == (1, "connected", "attention")
    assert " s behind ours" in sentence(gateway["findings"], "clock")


def test_the_public_address_has_to_be_this_server(check: Check, pipe17: Sandbox) -> None:
    for address, said in ((pipe17.url, "not as this server does"), ("http://127.0.0.1:1", "does not answer")):
        done = check(channel_table(pipe17.url), "--json", PUBLIC_URL=address)
        assert (done.exit_code, states(report(done)["server"])["public address"]) == (1, "attention")
        assert said in sentence(report(done)["server"], "public address")


def test_the_test_key_in_production_is_pointed_at(check: Check, pipe17: Sandbox) -> None:
    done = check(channel_table(pipe17.url), "--json", APP_ENV="production", VERIFY_KEY="on")
    assert (done.exit_code, states(report(done)["server"])["test key"]) == (1, "attention")


@pytest.fixture
def rally_server() -> Iterator[RunningServer]:
    with rally.serve_rally() as server:
        yield server


def test_rallys_hooks_are_counted(check: Check, rally_server: RunningServer) -> None:
    merchant = rally.SAMPLES.merchants[0]
    table = f"""
[[channel]]
name = "rally-us"
client_id = 1201
channel_id = 31
auth_keys = ["{KEY}"]
gateways = ["rally"]
[channel.rally]
base_url = "{rally_server.url}{rally.BASE_PATH}"
api_key = "{merchant.api_keys[0]}"
organization_id = "{merchant.organization_id}"
storefront_client_id = "{merchant.client_id}"
"""
    done = check(table, "--json")
    [gateway] = report(done)["channels"][0]["gateways"]
    assert (done.exit_code, gateway["state"]) == (1, "connected"), done.output
    assert "0 of 13" in sentence(gateway["findings"], "hooks")
    assert "channel rally hooks register" in sentence(gateway["findings"], "hooks")
    assert merchant.api_keys[0] not in done.output


def test_what_others_fetch_from_here_is_tried() -> None:
    from app.cli.public_address import of_address

    def feed(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("200 OK" if environ["PATH_INFO"] == "/feeds/a.xml" else "404 Gone", [])
        return []

    with serve(feed) as server:  # type: ignore[arg-type]
        there = of_address(Finding("feed", "ok", "3 offers", f"{server.url}/feeds/a.xml"))
        gone = of_address(Finding("feed", "ok", "3 offers", f"{server.url}/feeds/b.xml"))
    assert (there.state, gone.state) == ("ok", "attention")
    assert "404" in gone.sentence and gone.sentence.startswith("3 offers")


def test_a_configuration_that_cannot_be_used_is_exit_code_2(check: Check, pipe17: Sandbox) -> None:
    broken = check("[[channel]]\nname = 'x'\n")
    assert broken.exit_code == 2 and "auth_keys" in broken.stderr
    as_json = check("[[channel]]\nname = 'x'\n", "--json")
    assert as_json.exit_code == 2 and any("auth_keys" in fault for fault in report(as_json)["faults"])
    nobody = check(channel_table(pipe17.url), "second")
    assert nobody.exit_code == 2 and "channels.toml has first" in nobody.stderr
    empty = check("# none")
    assert empty.exit_code == 2 and "no channel is configured" in empty.stderr


def test_a_gateway_that_cannot_be_set_up_is_not_configured(check: Check, pipe17: Sandbox) -> None:
    bad_key = "k\u00e9y-that-no-header-can-carry-\u20ac"
    done = check(channel_table(pipe17.url, api_key=bad_key), "--json")
    assert done.exit_code == 2 and bad_key not in done.output
    assert BASE_PATH not in done.stderr


def test_p37_locations_that_can_never_be_served_are_named_with_what_mends_them(
    check: Check, start_pipe17: Callable[..., Sandbox]
) -> None:
    pipe17 = start_pipe17(shipments=0)

    def locations(more: str, api_key: str = LEGACY_KEY) -> tuple[int, list[tuple[str, str]]]:
        done = check(channel_table(pipe17.url, api_key=api_key, more=more), "--json")
        [gateway] = report(done)["channels"][0]["gateways"]
        found = [(item["state"], item["sentence"]) for item in gateway["findings"] if item["name"] == "locations"]
        assert states(gateway["findings"])["inventory engine"] == "note"
        return done.exit_code, found

    shown = {item["name"]: item for item in pipe17.state()["locations"]}
    ours = next(item for item in shown.values() if item["status"] == "active")
    code, [(state, _)] = locations("")
    assert (code, state) == (0, "ok")
    code, found = locations('[channel.pipe17.locations]\n"Nowhere" = "ffffffffffffffff"')
    assert code == 1 and [state for state, _ in found] == ["attention", "attention"]
    assert "facility 'Nowhere' in locations does not exist at Pipe17" in found[0][1]
    assert "order_pull stays empty" in found[1][1]
    code, found = locations(f'location_filter = ["{ours["locationId"]}", "eeeeeeeeeeeeeeee"]')
    assert code == 1 and [state for state, _ in found] == ["attention"] and "location_filter does not" in found[0][1]
    code, found = locations('inflight_location = "dddddddddddddddd"')
    assert code == 1 and "inflight_location does not exist" in found[0][1]
    code, found = locations('[channel.pipe17.facilities]\n"Dock" = "No such name"')
    assert code == 1 and "facility 'Dock' of facilities" in found[0][1]
    code, found = locations('integration_id = "0123456789abcdef"', api_key=INTEGRATION_KEY)
    assert code == 1 and "`channel pipe17 locations sync`" in found[-1][1]


def test_p37_the_example_of_the_page_works_as_it_stands_against_the_sandbox(
    check: Check, pipe17: Sandbox, build_app: Callable[..., Flask], contract: Contract
) -> None:
    page = (FOLDER / "start" / "pipe17.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```toml\n(\[\[channel\]\]\n.*?)```", page, re.DOTALL)
    channels = example.replace("http://127.0.0.1:5100", pipe17.url)
    keys = {"PIPE17_EU_KEY": KEY, "PIPE17_API_KEY": LEGACY_KEY}
    done = check(channels, "--json", **keys)
    [gateway] = report(done)["channels"][0]["gateways"]
    assert done.exit_code == 0 and sentence(gateway["findings"], "locations") == "1 served, such as 'Dallas DC'"
    app = build_app(channels.replace("${PIPE17_EU_KEY}", KEY).replace("${PIPE17_API_KEY}", LEGACY_KEY))
    assert Caller(app, contract, pair=(1201, 32)).pull(), "the location has orders"


def test_p37_a_path_that_refuses_every_pull_is_named(check: Check, pipe17: Sandbox) -> None:
    done = check(channel_table(pipe17.url, more='shipments_path = "/shipping-requests"'), "--json")
    [gateway] = report(done)["channels"][0]["gateways"]
    assert done.exit_code == 1 and states(gateway["findings"])["read orders"] == "attention"
    assert "/shipping-requests, which is shipments_path, is refused" in sentence(gateway["findings"], "read orders")


def test_p37_a_channel_that_is_set_aside_is_named_and_the_others_are_checked(check: Check, pipe17: Sandbox) -> None:
    table = channel_table(pipe17.url) + channel_table(
        pipe17.url,
        name="second",
        pair=(1201, 33),
        key=OTHER_KEY,
        api_key=INTEGRATION_KEY,
        more='default_currency = "clp"',
    )
    done = check(table, "--json")
    first, second = report(done)["channels"]
    assert (done.exit_code, first["findings"]) == (1, [])
    assert states(second["findings"]) == {"set aside": "attention"}
    assert "default_currency: RetailOps takes orders only in" in sentence(second["findings"], "set aside")
    shown = check(table)
    assert "set aside" in shown.output and shown.exit_code == 1


def test_a_channel_without_an_order_source_says_that_every_pull_is_empty(check: Check, pipe17: Sandbox) -> None:
    done = check(channel_table(pipe17.url, more="orders = false"), "--json")
    assert done.exit_code == 0 and states(report(done)["channels"][0]["findings"]) == {"orders": "note"}


STOCK_CHANNEL = """
[[channel]]
name = "shop"
client_id = 1201
channel_id = 32
auth_keys = ["{key}"]
gateways = ["retailrocket"]
{more}

[channel.retailrocket]
partner_id = "5a5b5c5d5e5f5a5b5c5d5e5f"
api_url = "http://127.0.0.1:9/api"
"""


@pytest.mark.parametrize(
    ("more", "state", "said"),
    [
        ("", "attention", "the lower of the two counts until stock_from"),
        ('stock_from = "details"', "ok", "the sum counts"),
        ('stock_from = "top"', "ok", "quantity_available counts"),
        ("", "ok", "every vendor of this channel is sent stock by location"),
    ],
)
def test_stock_that_contradicts_itself_is_counted_and_shown_with_an_example(
    more: str,
    state: str,
    said: str,
    check: Check,
    build_app: Callable[..., Flask],
    contract: Contract,
    pipe17: Sandbox,
) -> None:
    text = STOCK_CHANNEL.format(key=KEY, more=more)
    if said.startswith("every vendor"):
        text = channel_table(pipe17.url)
    caller = Caller(build_app(text), contract)

    def found() -> dict[str, Any]:
        findings = report(check(text, "--json"))["channels"][0]["findings"]
        return next((item for item in findings if item["name"] == "stock figures"), {})

    sources = [{"quantity_type": "internal", "facility_name": "Dallas", "available_quantity": 16, "total_quantity": 16}]
    rows = [{"sku": "ONE", "quantity_available": 16, "quantity_detail": sources}]
    caller.ask("inventory_push", inventory_updates=rows)
    assert found() == {}
    for _ in range(2):
        caller.ask("inventory_push", inventory_updates=[*rows, {"sku": "TWO", "quantity_available": 30}])
    assert found()["state"] == state
    assert "in 2 stock pushes" in found()["sentence"] and "30 and 0 for SKU TWO" in found()["sentence"]
    assert said in found()["sentence"]
