"""Whoever has a broken server finds its fault from the output alone; the SDK's tool often says nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from app import cli
from app.sandbox.faults import serve
from tests.cli import zoo
from tests.cli.zoo import KEY, ZOO, Animal
from tests.system.go_verifier import GoVerifier, NoGo, published_schemas

ROOT = Path(__file__).resolve().parents[2]
UPSTREAM = ROOT.parent / "shared" / "reference" / "retailops" / "master"
PATH = "/api/channel"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Schemas as loose as the published ones."""
    return published_schemas(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def go_verifier(tmp_path_factory: pytest.TempPathFactory) -> GoVerifier:
    try:
        return GoVerifier.build(tmp_path_factory.mktemp("go"))
    except NoGo as reason:
        pytest.skip(str(reason))


@pytest.fixture(params=ZOO.items(), ids=list(ZOO))
def animal(request: pytest.FixtureRequest) -> Iterator[tuple[Animal, str]]:
    """A server of the zoo and its base URL."""
    found: Animal = request.param[1]
    with serve(found.server()) as server:
        yield found, server.url + PATH


ACTIONS = "catalog_push,order_pull,cancel"
"""Callbacks with and without events and status; more would only take longer."""


def verify(base_url: str, *args: str) -> Result:
    flags = ["--base-url", base_url, "--timeout", "0.3", "--actions", ACTIONS]
    return CliRunner().invoke(cli.cli, ["verify", *flags, *args])


def test_p3_ours_is_right_about_every_server_and_names_the_fault(animal: tuple[Animal, str]) -> None:
    found, base_url = animal
    result = verify(base_url, "--jobs", "4")
    assert result.exit_code == (1 if found.clues else 0), result.output
    for clue in found.clues:
        assert clue in result.stdout
    assert KEY not in result.output
    if not found.clues:
        assert result.stdout.endswith("local verify was successful\n")


def test_p3_the_sdks_tool_says_of_it_what_is_written_down(animal: tuple[Animal, str], published: Path) -> None:
    found, base_url = animal
    replayed = verify(base_url, "--as-sdk-tool", "--stop-on-error", "--schema-path", str(published))
    assert replayed.exit_code == (0 if found.sdk_tool_passes else 1), replayed.output


def test_p3_and_so_does_its_algorithm_in_go(
    animal: tuple[Animal, str], published: Path, go_verifier: GoVerifier
) -> None:
    found, base_url = animal
    said = go_verifier.run(base_url, published, ROOT / "verifier_fixtures", KEY, ACTIONS, timeout_s=0.3)
    assert said.returncode == (0 if found.sdk_tool_passes else 1), said.stdout


def test_p3_and_with_the_published_schemas_themselves(animal: tuple[Animal, str]) -> None:
    if not UPSTREAM.is_dir():
        pytest.skip("the published schemas are not here")
    found, base_url = animal
    replayed = verify(
        base_url,
        "--as-sdk-tool",
        "--stop-on-error",
        "--schema-path",
        str(UPSTREAM),
        "--tests-path",
        str(UPSTREAM / "tests"),
    )
    assert replayed.exit_code == (0 if found.sdk_tool_passes else 1), replayed.output


def test_the_table_in_words_is_the_table_in_code() -> None:
    rows = re.findall(r"^\| (\w+) +\| (passes|fails) +\| (passes|fails) +\|", zoo.__doc__ or "", re.MULTILINE)
    verdict = {True: "passes", False: "fails"}
    assert rows == [(name, verdict[animal.sdk_tool_passes], verdict[not animal.clues]) for name, animal in ZOO.items()]


def test_the_same_fault_in_many_callbacks_is_summed_up_as_one_thing_to_mend() -> None:
    with serve(zoo.TrimsKeys()) as server:
        result = verify(server.url + PATH)
    mending = result.stdout.partition("What to mend")[2]
    assert re.search(r"^3 +the key with a blank behind it +status ", mending, re.MULTILINE), result.stdout


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
