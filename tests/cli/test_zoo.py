"""Whoever has a broken server finds its fault from the output alone; the SDK's tool often says nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from app import cli
from app.cli.verify.exchange import Target
from app.cli.verify.plan import Plan, make_plan
from app.cli.verify.sdk_tool import replay
from app.sandbox.faults import serve
from tests.cli import zoo
from tests.cli.zoo import KEY, ZOO, Animal
from tests.system.go_verifier import GoVerifier, published_schemas

ROOT = Path(__file__).resolve().parents[2]
UPSTREAM = ROOT.parent / "shared" / "reference" / "retailops" / "master"
PATH = "/api/channel"


ACTIONS = "catalog_push,order_pull,cancel"
"""Callbacks with and without events and status; more would only take longer."""

TIMEOUT_S = 0.3


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Schemas as loose as the published ones."""
    return published_schemas(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One fixture for each callback: no server of the zoo minds which."""
    folder = tmp_path_factory.mktemp("fixtures")
    for file in (ROOT / "verifier_fixtures").glob("*_v1_ex_1.json"):
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def plan(published: Path, fixtures: Path) -> Plan:
    return make_plan(published, fixtures, ACTIONS, is_lenient=True)


@pytest.fixture(scope="module")
def upstream_plan() -> Plan:
    if not UPSTREAM.is_dir():
        pytest.skip("the published schemas are not here")
    return make_plan(UPSTREAM, UPSTREAM / "tests", ACTIONS, is_lenient=True)


class Cage:
    """A server that outlives its animals, since some of them remember what they were asked."""

    def __init__(self, animal: Animal) -> None:
        self.animal = animal
        self.inmate = animal.server()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        return self.inmate(environ, start_response)


@pytest.fixture(params=ZOO.items(), ids=list(ZOO), scope="module")
def cage(request: pytest.FixtureRequest) -> Iterator[tuple[Cage, str]]:
    running = Cage(request.param[1])
    with serve(running) as server:
        yield running, server.url + PATH


@pytest.fixture
def animal(cage: tuple[Cage, str]) -> tuple[Animal, str]:
    """A server of the zoo that nobody has called yet, and its base URL."""
    running, base_url = cage
    running.inmate = running.animal.server()
    return running.animal, base_url


def verify(base_url: str, *args: str) -> Result:
    flags = ["--base-url", base_url, "--timeout", str(TIMEOUT_S), "--actions", ACTIONS]
    return CliRunner().invoke(cli.cli, ["verify", *flags, *args])


def tool_passes(base_url: str, plan: Plan) -> bool:
    """What `--as-sdk-tool --stop-on-error` would say, without compiling the schemas each time."""
    target = Target(base_url, TIMEOUT_S, follows_redirects=True)
    try:
        return all(verdict.ok for verdict in replay(plan, target, KEY, stop_on_error=True))
    finally:
        target.close()


def test_p3_ours_is_right_about_every_server_and_names_the_fault(animal: tuple[Animal, str], fixtures: Path) -> None:
    found, base_url = animal
    result = verify(base_url, "--tests-path", str(fixtures))
    assert result.exit_code == (1 if found.clues else 0), result.output
    for clue in found.clues:
        assert clue in result.stdout
    assert KEY not in result.output
    if not found.clues:
        assert result.stdout.endswith("local verify was successful\n")


def test_p3_the_sdks_tool_says_of_it_what_is_written_down(animal: tuple[Animal, str], plan: Plan) -> None:
    found, base_url = animal
    assert tool_passes(base_url, plan) == found.sdk_tool_passes


def test_p3_and_so_does_its_algorithm_in_go(
    animal: tuple[Animal, str], published: Path, fixtures: Path, go_verifier: GoVerifier
) -> None:
    found, base_url = animal
    said = go_verifier.run(base_url, published, fixtures, KEY, ACTIONS, timeout_s=TIMEOUT_S)
    assert said.returncode == (0 if found.sdk_tool_passes else 1), said.stdout


def test_p3_and_with_the_published_schemas_themselves(animal: tuple[Animal, str], upstream_plan: Plan) -> None:
    found, base_url = animal
    assert tool_passes(base_url, upstream_plan) == found.sdk_tool_passes


def test_the_table_in_words_is_the_table_in_code() -> None:
    rows = re.findall(r"^\| (\w+) +\| (passes|fails) +\| (passes|fails) +\|", zoo.__doc__ or "", re.MULTILINE)
    verdict = {True: "passes", False: "fails"}
    assert rows == [(name, verdict[animal.sdk_tool_passes], verdict[not animal.clues]) for name, animal in ZOO.items()]


def test_the_same_fault_in_many_callbacks_is_summed_up_as_one_thing_to_mend() -> None:
    with serve(zoo.TrimsKeys()) as server:
        result = verify(server.url + PATH)
    mending = result.stdout.partition("What to mend")[2]
    row = r"^3 +the key with a blank behind it +catalog_push and 2 more "
    assert re.search(row, mending, re.MULTILINE), result.stdout


def test_a_build_server_gets_a_junit_file_with_every_request(tmp_path: Path) -> None:
    from xml.etree import ElementTree

    file = tmp_path / "verify.xml"
    with serve(zoo.EchoesWrongKeys()) as server:
        result = verify(server.url + PATH, "--junit", str(file), "--json")
    report: dict[str, Any] = msgspec.json.decode(result.stdout)
    suite = ElementTree.parse(file).getroot()[0]
    cases = suite.findall("testcase")
    failures = suite.findall("testcase/failure")
    assert len(cases) == int(suite.attrib["tests"]) == report["totals"]["requests"]
    assert len(failures) == int(suite.attrib["failures"]) > 0
    assert "/error: the answer for a wrong key holds the key that was sent" in failures[0].attrib["message"]
    assert all(float(case.attrib["time"]) >= 0 for case in cases)
    assert KEY not in file.read_text()
