"""The SDK's verifier, in Go and as it is, against the real server: it passes, and it changes nothing real (P3, P31)."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import MetaData, create_engine, select

from app import cli
from app.channel_settings import TEST_KEY
from app.cli.demo.pipe17 import Pipe17
from app.cli.verify.reference import Reference
from app.cli.verify.sdk_tool import is_its_date_time
from app.contract.problems import Schema
from tests.system.chaos.records import await_quiet
from tests.system.go_verifier import GoVerifier, published_schemas
from tests.system.stage import KEY, Stage

ROOT = Path(__file__).resolve().parents[2]
UPSTREAM = ROOT.parent / "shared" / "reference" / "retailops" / "master"
OWN = (ROOT / "schemas", ROOT / "verifier_fixtures")

UNREAL = {
    "journal", "counters", "call_figures", "last_calls", "unverified_requests", "pending_figures", "open_breakers",
    "periodic_work", "alembic_version",
}  # fmt: skip
"""Tables that change by a dry run, or by time: which calls there were and how many, when old rows were removed."""

FIXTURE_TESTS = 36


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The real processes; the tests run in the order of this file, so the database is empty first."""
    folder = tmp_path_factory.mktemp("stage")
    with Stage(folder, f"sqlite:///{folder}/channel.db", is_hurried=False) as running:
        running.start()
        yield running


@pytest.fixture(params=["empty", "full"], scope="module")
def filled(request: pytest.FixtureRequest, stage: Stage) -> Stage:
    """The server before its first order, and in the middle of its work."""
    if request.param == "full":
        work(stage)
    return stage


def work(stage: Stage) -> None:
    """The demo's life of orders, some more orders waiting, and stock; nothing is under way any more."""
    life = Pipe17(stage.retailops(), stage.vendor_url)
    for act in (
        life.pull, life.acknowledge, life.stock, life.ship, life.ship_again, life.cancel, life.cancel_shipped,
        life.complete, life.called_off, life.money,
    ):  # fmt: skip
        print(act())
    vendor = stage.vendor()
    made, ordered = units_of(vendor["fulfillments"]), units_of(vendor["shipments"])
    assert len(vendor["fulfillments"]) == 4 and made <= ordered, "two parcels, another one and what was rejected, once"
    stage.tell_vendor("shipments", {"count": 3})
    assert len(life.ro.pull_all()) == 3
    life.done("inventory_push", inventory_updates=[{"sku": "S12345", "quantity_available": 5}])
    life.ro.close()
    assert await_quiet(stage.database_url, time.monotonic() + 30) == []


def units_of(held: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """The units of every line of every shipping request."""
    units: Counter[tuple[str, str]] = Counter()
    for item in held:
        for line in item["lineItems"]:
            units[item["shipmentId"], line["uniqueId"]] += line["quantity"]
    return units


def everything(stage: Stage) -> dict[str, Any]:
    """What is real: all rows of the database, and all that the vendor holds."""
    engine = create_engine(stage.database_url)
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        rows = {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(select(table)))
            for table in tables.sorted_tables
            if table.name not in UNREAL
        }
    engine.dispose()
    held = stage.vendor()
    return {**rows, **{name: held[name] for name in ("shipments", "fulfillments", "inventory") if name in held}}


@pytest.mark.parametrize("key", [TEST_KEY, KEY], ids=["test key", "real key"])
@pytest.mark.parametrize("files", ["own", "published"])
def test_p3_p31_its_algorithm_in_go_passes_and_changes_nothing(
    filled: Stage, go_verifier: GoVerifier, files: str, key: str
) -> None:
    if files == "published" and not UPSTREAM.is_dir():
        pytest.skip("the published schemas are not here")
    schemas, tests = OWN if files == "own" else (UPSTREAM, UPSTREAM / "tests")
    before = everything(filled)
    for slash in ("", "/"):
        said = go_verifier.run(f"{filled.server_url}/api/channel{slash}", schemas, tests, key)
        assert said.returncode == 0, said.stdout
        ran = FIXTURE_TESTS if files == "own" else 11
        assert said.stdout == f"local verify was successful, {ran} tests\n"
    assert everything(filled) == before


@pytest.mark.parametrize("key", [TEST_KEY, KEY], ids=["test key", "real key"])
def test_p3_p31_ours_passes_too_and_tells_of_the_unconfigured_pair(
    filled: Stage, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "retailops" / "integration_auth_token"
    file.parent.mkdir()
    file.write_text(key)
    before = everything(filled)
    monkeypatch.setenv("HOME", str(tmp_path))
    command = ["verify", "-base-url", f"{filled.server_url}/api/channel", "-use-auth-key"]
    command += ["-schema-path", str(OWN[0]), "-tests-path", str(OWN[1])]
    said = CliRunner().invoke(cli.cli, command)
    assert said.exit_code == 0, said.output
    assert everything(filled) == before
    assert ("CHANNEL_NOT_CONFIGURED" in said.stdout) == (key == KEY)
    assert ("DRY_RUN" in said.stdout) == (key == TEST_KEY)


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


def test_p3_its_validator_and_our_replay_of_it_agree(go_verifier: GoVerifier, seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    pairs: list[tuple[Schema, Any]] = []
    for value in (
        "2016-01-01T01:02:03Z", "2016-01-01T01:02:03.5+02:00", "2016-01-01", "10:11:12", "10:11:12Z", "2016-02-30",
        "2016-01-01T01:02:03", "2016-01-01 01:02:03Z", "2016-01-01T25:02:03Z", "yesterday", "", 7, None,
    ):  # fmt: skip
        pairs.append(({"type": "string", "format": "date-time"}, value))
    pairs += [({"type": "integer"}, value) for value in (1, 1.0, 1e2, 1.5, "1", True, None, -0.0)]
    for schemas in (OWN[0], published_schemas(tmp_path)):
        for file in sorted(schemas.glob("*_v1.json")):
            link = json.loads(file.read_text())["links"][0]
            for fixture in sorted(OWN[1].glob(f"{file.stem}_ex_*.json")):
                body = json.loads(fixture.read_text())
                pairs += [(link["schema"], changed(body, draw)) for _ in range(6)]
            answer = (ROOT / "tests" / "contract" / "answers").glob(f"{file.stem.removesuffix('_v1')}*.json")
            for sample in sorted(answer):
                pairs += [(link["targetSchema"], changed(json.loads(sample.read_text()), draw)) for _ in range(6)]
    theirs = go_verifier.verdicts(pairs)
    compiled = {id(schema): Reference(schema, {"date-time": is_its_date_time}) for schema, _ in pairs}
    ours = [compiled[id(schema)].is_valid(value) for schema, value in pairs]
    different = [pair for pair, one, other in zip(pairs, theirs, ours, strict=True) if one != other]
    assert not different, (len(different), different[0])
    assert 0.1 < sum(theirs) / len(theirs) < 0.9, "both verdicts occur"


def changed(value: Any, draw: random.Random) -> Any:
    """A copy with one thing in it of another kind, or gone."""
    copy = json.loads(json.dumps(value))
    node, place = copy, None
    while isinstance(node, dict | list) and node and (place is None or draw.random() < 0.85):
        parent, place = node, draw.choice(list(node) if isinstance(node, dict) else range(len(node)))
        node = parent[place]
    if place is not None:
        parent[place] = draw.choice([None, "", "text", 0, 1, -1, 1.0, 1.5, True, [], {}, "2026-01-02", 10**12])
        if draw.random() < 0.3:
            del parent[place]
    return copy
