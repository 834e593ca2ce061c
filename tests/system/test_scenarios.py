"""The demo's scenarios on real processes; and verifiers before and after, which change nothing real (P3, P31)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from sqlalchemy import MetaData, create_engine, select

from app import cli
from app.channel_settings import TEST_KEY
from app.cli.demo.pipe17 import Pipe17
from app.cli.demo.scenarios import TABLES, scenarios
from app.cli.demo.stage import Stage, staged
from app.sandbox.vendors.rally import ORGANIZATION_ID
from tests import ROOT, UPSTREAM
from tests.cli.processes import channel
from tests.system.chaos.records import await_quiet, opened, refund_entries
from tests.system.go_verifier import GoVerifier
from tests.system.scenario_books import CHANGES, Changes, played
from tests.waiting import eventually

OWN = (ROOT / "schemas", ROOT / "verifier_fixtures")

UNREAL = {
    "journal", "counters", "call_figures", "last_calls", "unverified_requests", "pending_figures", "open_breakers",
    "periodic_work", "heartbeat", "alembic_version",
}  # fmt: skip
"""Tables that change by a dry run, or by time: which calls there were and how many, when old rows were removed."""

FIXTURE_TESTS = 36


RESTLESS = {"sync_states": {"seq", "poll_due_at", "lease_token", "lease_until"}}
"""Columns that each poll for publish requests of Pipe17 changes."""

HELD = {
    "pipe17": ("shipments", "fulfillments", "orders", "products", "inventory", "locations", "ledger"),
    "rally": ("merchants",),
    "retailrocket": ("events", "products", "purchases", "subscribers"),
}
"""What is real of all that a vendor's stand-in holds."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """The demo's processes; the tests run in the order of this file, so the database is empty first."""
    with staged() as running:
        for vendor in TABLES:
            running.start_sandbox(vendor)
        running.start_server(TABLES)
        yield running


@pytest.fixture(scope="module")
def lived(stage: Stage) -> dict[str, dict[str, Changes]]:
    """By vendor and step what it changed in the records; at the end nothing is under way any more."""
    database = opened(stage.database_url)
    found = {
        vendor: played(database, stage.channel(vendor)["name"], vendor, steps) for vendor, steps in scenarios(stage)
    }
    database.close()
    for vendor in TABLES:
        requests.delete(f"{stage.sandbox_url(vendor)}/sandbox/faults", timeout=10)
    life = Pipe17(stage.retailops("pipe17"), stage.sandbox_url("pipe17"))
    life.at_vendor("shipments", {"count": 3})
    assert len(life.ro.pull_all()) == 3, "more orders wait"
    life.done("inventory_push", inventory_updates=[{"sku": "S12345", "quantity_available": 5}])
    assert await_quiet(stage.database_url, time.monotonic() + 30) == []
    return found


@pytest.fixture(params=["empty", "full"], scope="module")
def filled(request: pytest.FixtureRequest, stage: Stage) -> Stage:
    """The server before its first order, and in the middle of its work."""
    if request.param == "full":
        request.getfixturevalue("lived")
    return stage


def key_of(stage: Stage, kind: str) -> str:
    return TEST_KEY if kind == "test key" else str(stage.channel("pipe17")["auth_keys"][0])


def everything(stage: Stage) -> dict[str, Any]:
    """What is real: all rows of the database, and all that the vendors hold."""
    engine = create_engine(stage.database_url)
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        found: dict[str, Any] = {}
        for table in tables.sorted_tables:
            if table.name not in UNREAL:
                columns = [column for column in table.c if column.name not in RESTLESS.get(table.name, ())]
                found[table.name] = sorted(repr(tuple(row)) for row in connection.execute(select(*columns)))
    engine.dispose()
    for vendor, names in HELD.items():
        held = requests.get(f"{stage.sandbox_url(vendor)}/sandbox/state", timeout=10).json()
        found |= {f"{name} of {vendor}": held[name] for name in names}
    return found


@pytest.mark.parametrize("key", ["test key", "real key"])
@pytest.mark.parametrize("files", ["own", "published"])
def test_p3_p31_its_algorithm_in_go_passes_and_changes_nothing(
    filled: Stage, go_verifier: GoVerifier, files: str, key: str
) -> None:
    if files == "published" and not UPSTREAM.is_dir():
        pytest.skip("the published schemas are not here")
    schemas, tests = OWN if files == "own" else (UPSTREAM, UPSTREAM / "tests")
    before = everything(filled)
    for slash in ("", "/"):
        said = go_verifier.run(f"{filled.server_url}/api/channel{slash}", schemas, tests, key_of(filled, key))
        assert said.returncode == 0, said.stdout
        ran = FIXTURE_TESTS if files == "own" else 11
        assert said.stdout == f"local verify was successful, {ran} tests\n"
    assert everything(filled) == before


@pytest.mark.parametrize("key", ["test key", "real key"])
def test_p3_p31_ours_passes_too_and_tells_of_the_unconfigured_pair(
    filled: Stage, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "retailops" / "integration_auth_token"
    file.parent.mkdir()
    file.write_text(key_of(filled, key))
    before = everything(filled)
    monkeypatch.setenv("HOME", str(tmp_path))
    command = ["verify", "-base-url", f"{filled.server_url}/api/channel", "-use-auth-key"]
    command += ["-schema-path", str(OWN[0]), "-tests-path", str(OWN[1])]
    said = CliRunner().invoke(cli.cli, command)
    assert said.exit_code == 0, said.output
    assert everything(filled) == before
    assert ("CHANNEL_NOT_CONFIGURED" in said.stdout) == (key == "real key")
    assert ("DRY_RUN" in said.stdout) == (key == "test key")


def test_p3_p31_the_tool_itself_passes_where_there_is_one_and_changes_nothing(filled: Stage) -> None:
    tool = os.environ.get("RETAILOPS_SDK_VERIFY", "")
    if not shutil.which(tool):
        pytest.skip("RETAILOPS_SDK_VERIFY names no program")
    before = everything(filled)
    base_url = f"{filled.server_url}/api/channel"
    command = [tool, "-base-url", base_url, "-schema-path", str(OWN[0]), "-tests-path", str(OWN[1])]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stdout
    assert said.stdout.count("WAS A SUCCESS") == FIXTURE_TESTS
    assert everything(filled) == before


@pytest.mark.parametrize("vendor", CHANGES)
def test_p41_every_step_of_a_scenario_changes_our_records_by_what_it_says_and_by_nothing_else(
    lived: dict[str, dict[str, Changes]], vendor: str
) -> None:
    assert lived[vendor] == CHANGES[vendor]


def test_p10_what_each_vendor_holds_at_the_end_is_what_our_records_say(
    stage: Stage, lived: dict[str, dict[str, Changes]]
) -> None:
    there = requests.get(f"{stage.sandbox_url('pipe17')}/sandbox/state", timeout=10).json()
    made, ordered = units_of(there["fulfillments"]), units_of(there["shipments"])
    assert len(there["fulfillments"]) == 5, "two parcels, another one, what was rejected, and one owed for a while"
    assert made <= ordered, "nothing twice"
    ledger = [entry for entry in refund_entries(stage.database_url) if entry.state == "accepted"]
    at_rally = requests.get(f"{stage.sandbox_url('rally')}/sandbox/merchants/{ORGANIZATION_ID}", timeout=10).json()
    sent = [(refund["external_id"], Decimal(str(refund["amount"]))) for refund in at_rally["refunds"]]
    assert sorted(sent) == sorted((entry.key, entry.amount) for entry in ledger)


def test_the_demo_can_be_looked_into_from_its_folder(stage: Stage) -> None:
    """By the commands it prints, which find there what its server runs with."""
    reply = stage.retailops("pipe17").call("order_pull", page_token="")
    assert reply.status == 200
    checked = json.loads(channel(stage.folder, "check", "--json").stdout)
    ours = {(one["client_id"], one["channel_id"]) for one in map(stage.channel, TABLES)}
    assert {(part["client_id"], part["channel_id"]) for part in checked["channels"]} == ours
    assert {item["name"]: item["state"] for item in checked["server"]}["database"] == "ok"

    def newest() -> tuple[str, str]:
        item = json.loads(channel(stage.folder, "callbacks", "list", "--json").stdout)["callbacks"][0]
        return item["callback"], item["request_id"]

    eventually(lambda: newest() == ("order_pull", reply.request_id))


def units_of(held: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """The units of every line of every shipping request."""
    units: Counter[tuple[str, str]] = Counter()
    for item in held:
        for line in item["lineItems"]:
            units[item["shipmentId"], line["uniqueId"]] += line["quantity"]
    return units
