"""Whoever has a broken server finds its fault from the output alone; the SDK's tool often says nothing."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from app import cli
from app.cli.verify.sdk_tool import Example, collect, replay
from app.cli.verify.target import Target
from app.sandbox.server import serve
from tests import ROOT, UPSTREAM
from tests.cli.verify import zoo
from tests.cli.verify.zoo import KEY, ZOO, Animal
from tests.system.go_verifier import GoVerifier, published_schemas

PATH = "/api/channel"


ACTIONS = "catalog_push,order_pull,cancel"
"""Callbacks with and without events and status; more would only take longer."""


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
def examples(published: Path, fixtures: Path) -> list[Example]:
    return collect(published, fixtures, ACTIONS)


@pytest.fixture(scope="module")
def upstream_examples() -> list[Example]:
    if not UPSTREAM.is_dir():
        pytest.skip("the published schemas are not here")
    return collect(UPSTREAM, UPSTREAM / "tests", ACTIONS)


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


def verify(base_url: str, *args: str, patience_s: float = zoo.Honest.patience_s) -> Result:
    flags = ["--base-url", base_url, "--timeout", str(patience_s), "--actions", ACTIONS]
    return CliRunner().invoke(cli.cli, ["verify", *flags, *args])


def parts(clue: str) -> list[str]:
    """What of a message stands in the line of its cause, where * is any index and one line holds many requests."""
    return [re.sub(r"/[0-9]+", "/*", part).removeprefix("for ") for part in re.split("[:;,] ", clue)]


def first_lines(text: str) -> str:
    """What stands in the first 40 lines of a window of 80 columns."""
    lines, height = [], 0
    for line in text.splitlines():
        height += max(1, -(-len(line) // 80))
        lines.append(line)
        if height > 40:
            return "\n".join(lines[:-1])
    return "\n".join(lines)


def tool_passes(base_url: str, examples: list[Example], patience_s: float = zoo.Honest.patience_s) -> bool:
    """What `--as-sdk-tool --stop-on-error` would say."""
    target = Target(base_url, patience_s, follows_redirects=True)
    try:
        return all(verdict.ok for verdict in replay(examples, target, KEY, stop_on_error=True))
    finally:
        target.close()


def test_p3_ours_is_right_about_every_server_and_names_the_fault(animal: tuple[Animal, str], fixtures: Path) -> None:
    found, base_url = animal
    result = verify(base_url, "--tests-path", str(fixtures), "--all", patience_s=found.server.patience_s)
    assert result.exit_code == (1 if found.clues else 0), result.output
    for clue in found.clues:
        assert clue in result.stdout
    causes = first_lines(result.stdout.partition("\ntest ")[0])
    for sign in found.signs or [part for clue in found.clues for part in parts(clue)]:
        assert sign in causes
    assert KEY not in result.output
    if not found.clues:
        assert result.stdout.endswith("local verify was successful\n")


def test_p3_the_sdks_tool_says_of_it_what_is_written_down(animal: tuple[Animal, str], examples: list[Example]) -> None:
    found, base_url = animal
    assert tool_passes(base_url, examples, found.server.patience_s) == found.sdk_tool_passes


def test_p3_and_so_does_its_algorithm_in_go(
    animal: tuple[Animal, str], published: Path, fixtures: Path, go_verifier: GoVerifier
) -> None:
    found, base_url = animal
    said = go_verifier.run(base_url, published, fixtures, KEY, ACTIONS, timeout_s=found.server.patience_s)
    passes = found.sdk_tool_passes or found.server is ZOO["counts_too_far"].server  # its validator is a newer one
    assert said.returncode == (0 if passes else 1), said.stdout


def test_p3_and_with_the_published_schemas_themselves(
    animal: tuple[Animal, str], upstream_examples: list[Example]
) -> None:
    found, base_url = animal
    assert tool_passes(base_url, upstream_examples, found.server.patience_s) == found.sdk_tool_passes


def odd(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """A schema file of ours, changed in place."""
    document = json.loads((ROOT / "schemas" / "order_cancel_v1.json").read_text())
    change(document)
    return json.dumps(document).encode()


def referring(document: dict[str, Any], **definition: Any) -> None:
    document["definitions"] = {"answer": definition}
    document["links"][0]["targetSchema"] = {"$ref": "#/definitions/answer"}


POSTS = ["POST good", "POST bad"]

ODD_FILES: dict[str, tuple[bytes, bool, list[str]]] = {
    "no definitions": (odd(lambda document: document.pop("definitions")), False, []),
    "definitions that are null": (odd(lambda document: document.update(definitions=None)), False, []),
    "definitions that are a list": (odd(lambda document: document.update(definitions=[])), False, []),
    "a reference to a definition": (odd(lambda document: referring(document, type="object")), True, POSTS),
    "a definition nothing satisfies": (odd(lambda document: referring(document, type="null")), False, POSTS[:1]),
    "another method": (odd(lambda document: document["links"][0].update(method="get")), False, ["GET good"]),
    "no method": (odd(lambda document: document["links"][0].pop("method")), False, ["GET good"]),
    "a method in capitals": (odd(lambda document: document["links"][0].update(method="POST")), True, POSTS),
    "two links": (odd(lambda document: document["links"].append(document["links"][0])), True, sorted(POSTS * 2)[::-1]),
    "no links": (odd(lambda document: document.pop("links")), True, []),
    "half a file": (b'{"links": [', True, []),
    "text behind the object": (odd(lambda _: None) + b" x", True, POSTS),
}
"""Each with the tool's verdict on an honest server and what it sends to it."""


@pytest.fixture(params=ODD_FILES.values(), ids=list(ODD_FILES))
def odd_file(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bool, list[str]]:
    """A folder with one odd schema file, and what comes of it."""
    content, passes, sent = request.param
    (tmp_path / "order_cancel_v1.json").write_bytes(content)
    return tmp_path, passes, sent


class Listening(zoo.Honest):
    """An honest server that remembers what came."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def reply(self, method: str, path: str, raw: bytes) -> zoo.Reply:
        self.heard.append(f"{method} {'good' if KEY.encode() in raw else 'bad'}")
        return super().reply(method, path, raw)


def test_p3_of_an_odd_schema_file_the_replay_makes_what_the_sdks_tool_makes(
    odd_file: tuple[Path, bool, list[str]], fixtures: Path
) -> None:
    folder, passes, sent = odd_file
    server = Listening()
    with serve(server) as running:
        assert tool_passes(running.url + PATH, collect(folder, fixtures, "")) == passes
    assert server.heard == sent


def test_p3_and_so_does_its_algorithm_in_go_of_an_odd_schema_file(
    odd_file: tuple[Path, bool, list[str]], fixtures: Path, go_verifier: GoVerifier
) -> None:
    folder, passes, sent = odd_file
    server = Listening()
    with serve(server) as running:
        said = go_verifier.run(running.url + PATH, folder, fixtures, KEY)
    assert said.returncode == (0 if passes else 1), said.stdout
    assert server.heard == sent


def test_the_table_in_words_is_the_table_in_code() -> None:
    rows = re.findall(r"^\| (\w+) +\| (passes|fails) +\| (passes|fails) +\|", zoo.__doc__ or "", re.MULTILINE)
    verdict = {True: "passes", False: "fails"}
    assert rows == [(name, verdict[animal.sdk_tool_passes], verdict[not animal.clues]) for name, animal in ZOO.items()]


def test_p3_the_same_fault_in_many_callbacks_and_requests_is_one_cause() -> None:
    with serve(zoo.TrimsKeys()) as server:
        result = verify(server.url + PATH)
        (cause,) = msgspec.json.decode(verify(server.url + PATH, "--json").stdout)["causes"]
    keys = ["the key with a blank before it", "the key with a blank behind it"]
    assert (cause["group"], cause["requests"], cause["times"]) == ("keys", keys, 6)
    assert cause["callbacks"] == {"catalog_push": 2, "order_pull": 2, "order_cancel": 2}
    assert f"for {' and '.join(keys)}, status 200 came instead of 401" in result.stdout
    assert "in all 3 callbacks, 6 times" in result.stdout
    assert len(result.stdout.splitlines()) == 7, "nothing of the single tests"


@pytest.mark.parametrize("columns", [None, 80], ids=["piped", "terminal"])
@pytest.mark.parametrize("name", zoo.SEVERAL_FAULTS)
def test_p3_several_faults_at_once_are_named_in_the_first_40_lines_the_worst_first(
    name: str, columns: int | None, fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = zoo.SEVERAL_FAULTS[name]
    if columns:
        monkeypatch.setattr(
            "app.cli.verify.command.console",
            lambda: Console(file=sys.stdout, force_terminal=True, width=columns, markup=False, color_system=None),
        )
    with serve(found.server()) as server:
        result = verify(server.url + PATH, "--tests-path", str(fixtures), patience_s=found.server.patience_s)
    shown = result.stdout.rpartition("\x1b[2K")[2]  # behind what showed the progress and is gone
    lines = first_lines(shown)
    assert result.exit_code == 1
    seen = " ".join(lines.split())  # a terminal breaks lines at blanks
    places = [seen.find(sign) for sign in found.signs]
    assert -1 not in places, (found.signs[places.index(-1)], result.stdout)
    assert places == sorted(places), "the worst first"
    assert all(len(line) <= 80 for line in shown.splitlines() if columns), shown


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
