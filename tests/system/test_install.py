"""The project installs from its own files alone, and works in a folder that has none of them (P41)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from app.settings import ENVIRONMENT_HELP
from tests import ROOT
from tests.waiting import eventually

BARE = {
    name: value for name, value in os.environ.items() if name not in {*ENVIRONMENT_HELP, "PYTHONPATH", "VIRTUAL_ENV"}
}

INSTALL_S = 400

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files of the project as version control has them, and nothing that was built beside them."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout: git lists no files here")
    subprocess.run(
        ["tar", "-c", "--null", "-T", "-", "-f", str(tmp_path / "all.tar")], cwd=ROOT, input=listed.stdout, check=True
    )
    subprocess.run(["tar", "-xf", str(tmp_path / "all.tar")], cwd=copy, check=True)
    return copy


def installed(tmp_path: Path, checkout: Path, *what: str) -> Path:
    """A new environment with what `pip install` was given; its folder of commands.

    pip itself stays outside of it, for installing that takes as long as the rest.  So does compiling all that nobody
    imports: Python compiles what is used.
    """
    place = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True, timeout=120, env=BARE)
    done = subprocess.run(
        [*PIP, "--python", str(place / "bin" / "python"), "install", "-q", "--no-compile", *what],
        cwd=checkout, capture_output=True, text=True, timeout=INSTALL_S, env=BARE,
    )  # fmt: skip
    if done.returncode and "CI" not in os.environ and re.search(r"NewConnectionError|ConnectTimeout", done.stderr):
        pytest.skip("no package registry can be reached")
    assert done.returncode == 0, done.stderr[-3000:]
    return place / "bin"


def run(commands: Path, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(commands / arguments[0]), *arguments[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        env=BARE,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def assert_demo_holds(commands: Path, folder: Path) -> None:
    result = json.loads(run(commands, folder, "channel", "demo", "--once", "--json"))
    assert result["held"] is True and all(step["held"] for step in result["steps"])
    assert len(result["steps"]) >= 12


@contextmanager
def serving(commands: Path, folder: Path) -> Iterator[str]:
    """`channel serve` of the folder, as soon as it says that it serves; its address."""
    process = subprocess.Popen(
        [str(commands / "channel"), "serve", "--port", "5917"],
        cwd=folder, stdout=subprocess.PIPE, text=True, env={**BARE, "WEB_CONCURRENCY": "1"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"Serving .* on (http://\S+)", line):
                yield found[1]
                return
        raise AssertionError("it ended without serving")
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_p41_what_a_host_installs_has_the_command_and_works_anywhere(tmp_path: Path, checkout: Path) -> None:
    """requirements.txt, as a host installs it; then from an empty folder to a verified channel, and the demo."""
    commands = installed(tmp_path, checkout, "-r", "requirements.txt")
    subprocess.run(["rm", "-r", str(checkout)], check=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(commands, empty, "channel", "--version").startswith("channel, version ")
    assert list(commands.parent.rglob("app/docs/explain/rules.md")), "the pages that messages and code cite come along"
    run(commands, empty, "channel", "init", "--vendor", "rally")
    with serving(commands, empty) as address:
        verified = json.loads(
            run(commands, empty, "channel", "verify", "-base-url", f"{address}/api/channel", "--json")
        )
        assert verified["ok"] is True and len(verified["results"]) >= 36
        for page, holds in (("login", "Sign in"), ("static/console.css", "--paper"), ("static/console.js", "refresh")):
            assert holds in requests.get(f"{address}/console/{page}", timeout=10).text, "templates and files come along"
        for page in ("/docs", "/docs/reference/settings", "/docs/reference/callbacks", "/docs/static/docs.css"):
            assert answers(address + page) == 200, page
    assert_container_serves(commands, empty)
    assert_demo_holds(commands, empty)


def assert_container_serves(commands: Path, initialised: Path) -> None:
    """The container recipe, from where its packages are installed on: its command, all it needs in variables."""
    page = ROOT / "app" / "docs" / "howto" / "anywhere.md"
    [recipe] = re.findall(r"```dockerfile\n(.*?)```", page.read_text(), re.DOTALL)
    assert "RUN pip install --no-cache-dir -r requirements.txt\n" in recipe
    [command] = re.findall(r"^CMD (.*)$", recipe, re.MULTILINE)
    program, *arguments = json.loads(command)
    folder = initialised.parent / "srv"
    folder.mkdir()
    written = (line.partition("=") for line in (initialised / ".env").read_text().splitlines() if line[:1].isupper())
    variables = {name: value.strip("'\"") for name, _, value in written if name != "APP_ENV"}
    variables |= {"CHANNELS": (initialised / "channels.toml").read_text(), "PORT": "5918", "WEB_CONCURRENCY": "1"}
    variables |= {"DATABASE_URL": f"sqlite:///{folder}/channel.db"}
    process = subprocess.Popen([str(commands / program), *arguments], cwd=folder, env={**BARE, **variables})
    try:
        eventually(lambda: answers(f"http://127.0.0.1:{variables['PORT']}/readyz") == 200, 60)
    finally:
        process.terminate()
        assert process.wait(30) == 0


def answers(url: str) -> int | None:
    """The status of a GET; None where nobody listens."""
    try:
        return requests.get(url, timeout=5).status_code
    except requests.ConnectionError:
        return None


def test_p41_the_lowest_versions_allowed_run_the_demo(tmp_path: Path, checkout: Path) -> None:
    wanted = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["dependencies"]
    floors = [re.sub(r"\[.*?\]", "", re.sub(r"(>=[^,]+).*", r"\1", line)).replace(">=", "==") for line in wanted]
    assert all("==" in floor for floor in floors), "each dependency says from which version on"
    (tmp_path / "floors.txt").write_text("\n".join(floors) + "\n")
    commands = installed(tmp_path, checkout, "-c", str(tmp_path / "floors.txt"), ".")
    listed = [*PIP, "--python", str(commands / "python"), "list", "--format", "json"]
    shown = subprocess.run(listed, cwd=tmp_path, capture_output=True, text=True, check=True, env=BARE).stdout
    found = {item["name"].lower().replace("_", "-"): item["version"] for item in json.loads(shown)}
    for floor in floors:
        name, _, version = floor.partition("==")
        assert found[name.lower()].startswith(version), floor
    empty = tmp_path / "empty"
    empty.mkdir()
    rendered = "from app.docs.library import Library; print(len([page.html for page in Library().pages.values()]))"
    assert int(run(commands, empty, "python", "-c", rendered)) > 20
    assert_demo_holds(commands, empty)
