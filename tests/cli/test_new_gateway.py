"""`channel new-gateway` in a copy of the project: what it writes passes as it is, and nothing is overwritten."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from click.testing import CliRunner, Result

from app import cli, settings
from app.cli.new_gateway import FOLDERS
from app.errors import SettingsFault
from app.gateways import EXAMPLE, VENDORS
from tests import ROOT
from tests.command_line import without_ours
from tests.real_server import free_port
from tests.waiting import eventually

BIN = Path(sys.executable).parent

PARTS = ("app", "tests", "schemas", "verifier_fixtures", "pyproject.toml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the command needs of a checkout, and no more."""
    folder = tmp_path / "checkout"
    for copied in FOLDERS:
        shutil.copytree(
            ROOT / copied / EXAMPLE, folder / copied / EXAMPLE, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


@pytest.fixture
def new_gateway(checkout: Path) -> Callable[..., Result]:
    return lambda *args: CliRunner().invoke(cli.cli, ["new-gateway", "--into", str(checkout), *args])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of all of it, where nothing is edited but what the command writes; with its bytecode, which is as new."""
    copy = tmp_path / "copy"
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name)
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, copy / name)
    return copy


def _python(project: Path, *command: str, **how: Any) -> subprocess.Popen[str]:
    how |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([sys.executable, "-m", *command], cwd=project, text=True, **how)


def _all_succeed(project: Path, *commands: list[str]) -> None:
    """Run side by side."""
    with ExitStack() as stack:
        running = [stack.enter_context(_python(project, *command)) for command in commands]
        ended = [(process.communicate(timeout=300)[0], process.returncode) for process in running]
    assert [said for said, code in ended if code != 0] == []


def _is_up(server: str) -> bool:
    try:
        return requests.get(f"{server}/readyz", timeout=10).ok
    except requests.RequestException:
        return False


@pytest.mark.parametrize("name", ["my_parrot", "ab", "a_vendor_of_20_chars"])
def test_p29_what_is_written_is_clean_however_long_the_name_is(project: Path, name: str) -> None:
    made = CliRunner().invoke(cli.cli, ["new-gateway", name, "--into", str(project), "--json"])
    assert made.exit_code == 0, made.output
    files = [file for file in msgspec.json.decode(made.stdout)["files"] if file.endswith(".py")]
    _all_succeed(project, ["ruff", "check", *files], ["ruff", "format", "--check", *files])
    for path in (project / "app").rglob(f"*{name}*/*.*"):
        assert not re.search(r"example_?shop|example shop", path.read_text(), re.IGNORECASE), path


def test_p29_a_new_gateway_passes_the_conformance_suite_ruff_and_mypy_at_once(project: Path) -> None:
    made = CliRunner().invoke(cli.cli, ["new-gateway", "my_parrot", "--into", str(project), "--json"])
    assert made.exit_code == 0, made.output
    suite = ["tests/gateways/test_conformance.py", "tests/gateways/vendors/my_parrot", "tests/sandbox"]
    houses = "tests/test_house.py::test_p29_every_folder_is_a_room_and_every_vendor_a_folder"
    _all_succeed(
        project,
        ["pytest", "-q", "-p", "no:cacheprovider", *suite, houses, "-k", "my_parrot or every_folder"],
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        # What mypy learns of the rest of the code serves the next run on the project itself.
        ["mypy", "--cache-dir", str(ROOT / ".mypy_cache")],
    )
    linted = subprocess.run([str(BIN / "lint-imports")], cwd=project, capture_output=True, text=True, timeout=300)
    assert linted.returncode == 0, linted.stdout
    assert "[invented]" in (project / "app/gateways/vendors/my_parrot/UNVERIFIED.md").read_text()


def test_p29_a_new_vendor_runs_at_once_with_its_stand_in_and_a_server(project: Path, tmp_path: Path) -> None:
    """`channel sandbox acme`, what it prints put into files, `channel check`, and commands through a real server."""
    assert CliRunner().invoke(cli.cli, ["new-gateway", "acme", "--into", str(project)]).exit_code == 0
    files = tmp_path / "files"
    files.mkdir()
    environment = without_ours()
    environment |= {"PYTHONPATH": str(project), "APP_ENV": "development", "CHANNELS_FILE": str(files / "channels.toml")}
    environment |= {"DATABASE_URL": f"sqlite:///{files}/channel.db"}
    with ExitStack() as stack:

        def start(*command: str) -> subprocess.Popen[str]:
            process = stack.enter_context(_python(files, "app.cli", *command, env=environment))
            stack.callback(process.terminate)
            return process

        def run(*command: str) -> Any:
            process = start(*command, "--json")
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 0, said
            return msgspec.json.decode(said)

        sandbox = start("sandbox", "acme", "--port", "0", "--json")
        assert sandbox.stdout is not None
        shown = msgspec.json.decode(sandbox.stdout.readline())
        (files / "channels.toml").write_text(shown["channels_toml"])
        (files / ".env").write_text(shown["env"])
        [running] = shown["sandboxes"]
        assert running["vendor"] == "acme"
        assert "connected" in str(run("check"))
        port = free_port()
        start("serve", "--port", str(port))
        server = f"http://127.0.0.1:{port}"
        eventually(lambda: _is_up(server))
        to = ("--to", f"{server}/api/channel")
        [order, *_] = run("send", "order_pull", *to)["answer"]["orders"]
        number = order["channel_order_refnum"]
        run("send", "order_acknowledge", "--set", f"orders[0].channel_order_refnum={number}", *to)
        state = requests.get(f"{running['admin_url']}state", timeout=10).json()
        assert state["orders"][number]["status"] == "acknowledged"


def test_a_new_vendor_is_its_folders_and_its_tests_and_changes_no_file(
    new_gateway: Callable[..., Result], checkout: Path
) -> None:
    before = {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()}
    done = new_gateway("zebra")
    assert done.exit_code == 0, done.output
    assert {path: path.read_bytes() for path in before} == before
    written = {Path(line.strip()) for line in done.output.split("Written:\n")[1].splitlines() if line.startswith("  ")}
    made = {path.relative_to(checkout) for path in checkout.rglob("*") if path.is_file()} - {
        path.relative_to(checkout) for path in before
    }
    assert made == written and len(made) == len(before)
    assert {path.parent for path in made} == {folder / "zebra" for folder in FOLDERS}


def test_the_vendor_that_is_copied_can_be_no_channels_gateway() -> None:
    text = f'[[channel]]\nname = "a"\nclient_id = 1\nchannel_id = 2\nauth_keys = ["k"]\ngateways = ["{EXAMPLE}"]\n'
    with pytest.raises(SettingsFault) as caught:
        settings.load({"APP_ENV": "development", "CHANNELS": text}, vendors=VENDORS)
    assert any(EXAMPLE in fault for fault in caught.value.faults)


@pytest.mark.parametrize(
    "name",
    ["Parrot", "my-parrot", "7up", "_x", "a", "class", "pipe17", "catalog", "check", "all", EXAMPLE, "x" * 21, "../x"],
)
def test_a_name_that_cannot_be_a_vendors_is_refused(
    new_gateway: Callable[..., Result], checkout: Path, name: str
) -> None:
    before = sorted(checkout.rglob("*"))
    refused = new_gateway(name)
    assert refused.exit_code == 2 and "NAME" in refused.output
    assert sorted(checkout.rglob("*")) == before


def test_what_exists_is_never_overwritten(new_gateway: Callable[..., Result], checkout: Path) -> None:
    mine = checkout / "tests/gateways/vendors/zebra/target.py"
    mine.parent.mkdir()
    mine.write_text("mine")
    refused = new_gateway("zebra")
    assert refused.exit_code == 2 and "tests/gateways/vendors/zebra exists already" in refused.output
    assert not (checkout / "app/gateways/vendors/zebra").exists()
    assert mine.read_text() == "mine"


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    refused = CliRunner().invoke(cli.cli, ["new-gateway", "zebra", "--into", str(tmp_path)])
    assert refused.exit_code == 2 and "app/gateways/vendors" in refused.output
