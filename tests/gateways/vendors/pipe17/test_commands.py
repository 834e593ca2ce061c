"""`channel pipe17`: locations found, made and given to us, and the text an administrator pastes into Pipe17."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from click.testing import CliRunner, Result

from app import cli
from app.domain.facts import Obstacle
from app.domain.stock import StockSent
from app.gateways.vendors.pipe17.connection.connector_settings import FIELDS
from app.records import stock, stock_batches
from app.records.database import Database
from app.sandbox.vendors.pipe17 import DEFAULT_KEYS, FOREIGN_INTEGRATION_ID, INTEGRATION_ID, INTEGRATION_KEY, LEGACY_KEY
from app.sandbox.vendors.pipe17.samples import DALLAS, FOREIGN, RENO
from tests.channels import channel_table
from tests.command_line import unset_ours
from tests.databases import migrate
from tests.sandboxes import Sandbox

OWN = f'integration_id = "{INTEGRATION_ID}"\n'
TEXAS = ("--country", "us", "--city", "Austin", "--state", "TX", "--zip", "78701", "--address1", "5 Dock Road")


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch, pipe17: Sandbox, tmp_path: Path) -> Callable[..., Result]:
    """The command line of a channel in front of the sandbox."""
    unset_ours(monkeypatch)

    def run(*args: str, api_key: str = INTEGRATION_KEY, more: str = OWN) -> Result:
        table = channel_table(pipe17.url, api_key=api_key, more=more)
        environment = {
            "APP_ENV": "development",
            "CHANNELS": table,
            "DATABASE_URL": f"sqlite:///{tmp_path / 'channel.db'}",
        }
        result = CliRunner().invoke(cli.cli, ["pipe17", *args], env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert api_key not in result.output
        return result

    return run


def location(sandbox: Sandbox, name: str) -> dict[str, Any]:
    [found] = [item for item in sandbox.state()["locations"] if item["name"] == name]
    return dict(found)


def rows(result: Result, key: str) -> dict[str, dict[str, Any]]:
    """The rows of the only channel, by the name of the location or facility."""
    [shown] = msgspec.json.decode(result.stdout)["channels"]
    return {row["name" if key == "locations" else "facility"]: row for row in shown[key]}


def test_locations_are_shown_with_their_owner_facility_and_whether_they_are_served(
    channel: Callable[..., Result], pipe17: Sandbox
) -> None:
    result = channel("locations", "list", "--json", more=f'{OWN}[channel.pipe17.facilities]\n"Nevada" = "{RENO}"\n')
    shown = rows(result, "locations")
    assert result.exit_code == 0
    assert {name: (row["owner"], row["facility"], row["is_served"]) for name, row in shown.items()} == {
        DALLAS: ("us", DALLAS, True),
        RENO: ("us", "Nevada", True),
        FOREIGN: ("another integration", "", False),
    }
    places = {"location_filter": location(pipe17, RENO)["locationId"]}
    pipe17.tell(f"integrations/{INTEGRATION_ID}", {"settings": places}, "PUT")
    filtered = rows(channel("locations", "list", "--json"), "locations")
    assert [name for name, row in filtered.items() if row["is_served"]] == [RENO]
    text = channel("locations", "list")
    assert DALLAS in text.stdout and "another integration" in text.stdout and text.stderr == ""


def test_a_facility_gets_its_location_found_linked_or_made_and_a_second_run_changes_nothing(
    channel: Callable[..., Result], pipe17: Sandbox
) -> None:
    idle = location(pipe17, RENO)["locationId"]
    unlinked = {"name": "Boise DC", "address": {"country": "US"}, "status": "active"}
    made = _ask_as_merchant(pipe17, "POST", "locations", unlinked)["location"]["locationId"]
    wanted = (DALLAS, "boise dc", "Austin DC", FOREIGN, "Denver DC")
    dry = channel("locations", "sync", *wanted, "--dry-run", "--json", *TEXAS)
    before = pipe17.state()["locations"]
    assert {name: row["done"] for name, row in rows(dry, "steps").items()} == {
        DALLAS: "ready", "boise dc": "would link", "Austin DC": "would create", FOREIGN: "failed",
        "Denver DC": "would create",
    }  # fmt: skip
    assert dry.exit_code == 1 and "--take-over" in rows(dry, "steps")[FOREIGN]["note"]

    without_address = channel("locations", "sync", "Austin DC", "--json")
    assert "--country" in rows(without_address, "steps")["Austin DC"]["note"] and without_address.exit_code == 1
    assert pipe17.state()["locations"] == before

    done = rows(channel("locations", "sync", *wanted[:3], "--json", *TEXAS), "steps")
    assert [row["done"] for row in done.values()] == ["ready", "linked", "created"]
    assert (
        location(pipe17, "Boise DC")["fulfillmentIntegrationId"] == INTEGRATION_ID
        and done["boise dc"]["location_id"] == made
    )
    austin = location(pipe17, "Austin DC")
    assert austin["fulfillmentIntegrationId"] == INTEGRATION_ID
    assert austin["address"] == {
        "address1": "5 Dock Road", "city": "Austin", "stateOrProvince": "TX", "zipCodeOrPostalCode": "78701",
        "country": "US",
    }  # fmt: skip
    again = channel("locations", "sync", *wanted[:3], "--json", *TEXAS)
    assert {row["done"] for row in rows(again, "steps").values()} == {"ready"} and again.exit_code == 0
    assert location(pipe17, FOREIGN)["fulfillmentIntegrationId"] == FOREIGN_INTEGRATION_ID
    taken = channel("locations", "sync", FOREIGN, "--take-over")
    assert "linked" in taken.stdout and taken.exit_code == 0
    assert location(pipe17, FOREIGN)["fulfillmentIntegrationId"] == INTEGRATION_ID
    assert idle == location(pipe17, RENO)["locationId"]


def test_configured_facilities_are_taken_when_none_is_named(channel: Callable[..., Result], pipe17: Sandbox) -> None:
    reno = location(pipe17, RENO)["locationId"]
    more = f'{OWN}[channel.pipe17.locations]\n"West" = "{reno}"\n"Nowhere" = "ffff"\n[channel.pipe17.facilities]\n'
    more += f'"Texas" = "{DALLAS}"\n'
    result = channel("locations", "sync", "--json", more=more)
    steps = rows(result, "steps")
    assert (steps["West"]["location"], steps["West"]["done"]) == (RENO, "ready")
    assert (steps["Texas"]["location"], steps["Texas"]["done"]) == (DALLAS, "ready")
    assert "configured id" in steps["Nowhere"]["note"] and result.exit_code == 1
    bare = channel("locations", "sync")
    assert bare.exit_code == 2 and "names no facility" in bare.stderr


def test_without_the_grant_the_merchant_is_told_what_to_do_by_hand(
    channel: Callable[..., Result], pipe17: Sandbox
) -> None:
    methods = {**DEFAULT_KEYS[0].methods, "locations": "rl"}
    pipe17.tell("keys", {"key": INTEGRATION_KEY, "integration": INTEGRATION_ID, "methods": methods}, "PUT")
    result = channel("locations", "sync", "Austin DC", FOREIGN, "--take-over", "--json", *TEXAS)
    for row in rows(result, "steps").values():
        assert row["done"] == "failed" and "HTTP_403" in row["note"] and "by hand" in row["note"]
    assert result.exit_code == 1


def test_a_bare_key_works_and_is_told_what_it_loses(channel: Callable[..., Result]) -> None:
    result = channel("locations", "list", "--json", api_key=LEGACY_KEY, more="")
    assert "bare API key" in result.stderr and "do-not-track" in result.stderr
    assert all(row["is_served"] for row in rows(result, "locations").values())
    synced = channel("locations", "sync", DALLAS, "--json", api_key=LEGACY_KEY, more="")
    assert "integration_id" in rows(synced, "steps")[DALLAS]["note"]


def test_the_settings_definition_is_json_to_paste(channel: Callable[..., Result]) -> None:
    result = channel("settings-definition")
    declared = msgspec.json.decode(result.stdout)
    fields = {item["path"]: item for item in declared["settings"]["fields"]}
    assert list(fields) == list(FIELDS) and result.exit_code == 0
    assert fields["cancel_status"]["options"]["values"] == ["canceledRestock", "canceled"]
    assert fields["poll_overlap_minutes"]["options"]["defaultValue"] == 10
    assert {"name": "shipments", "direction": "in"} in declared["entities"]


def test_a_wrong_channel_or_country_is_a_wrong_command_line(channel: Callable[..., Result]) -> None:
    assert channel("locations", "list", "--channel", "other").exit_code == 2
    assert channel("locations", "sync", "X", "--country", "USA").exit_code == 2


def test_p33_stock_refused_for_want_of_a_location_is_owed_as_soon_as_the_location_is_there(
    channel: Callable[..., Result], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'channel.db'}"
    migrate(url)
    database = Database(url)
    now = datetime.now(UTC)
    stream = ("first", "pipe17")
    with database.write() as connection:
        stock.accept(connection, *stream, {sku: b"[1,[]]" for sku in "AB"}, now=now)
        batch = stock_batches.claim(connection, *stream, token="t", limit=9, now=now, lease_s=9)
        assert batch
        lacks = {"A": "austin dc", "B": "denver dc"}
        sent = [StockSent(sku, b"{}", "no", obstacles=(Obstacle("location", lacks[sku]),)) for sku in lacks]
        assert stock_batches.record(connection, batch, sent)

    def owed() -> list[str]:
        with database.read() as connection:
            return [item.sku for item in stock.stated(connection, *stream, after="", limit=9) if item.is_owed]

    assert channel("locations", "sync", "Austin DC", "--dry-run", *TEXAS).exit_code == 0 and owed() == []
    assert channel("locations", "sync", "Austin DC", *TEXAS).exit_code == 0 and owed() == ["A"]
    database.close()


def _ask_as_merchant(sandbox: Sandbox, method: str, path: str, body: Any) -> Any:
    reply = requests.request(
        method, f"{sandbox.url}/api/v3/{path}", json=body, headers={"X-Pipe17-Key": LEGACY_KEY}, timeout=10
    )
    assert reply.ok, reply.text
    return reply.json()
