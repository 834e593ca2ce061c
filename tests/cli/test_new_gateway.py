"""`channel new-gateway` in a copy of the project: what it writes passes as it is, and nothing is overwritten."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from app import cli
from tests.conftest import ROOT

COPIED = ("app", "tests", "schemas", "verifier_fixtures", "pyproject.toml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the command needs of a checkout, and no more."""
    folder = tmp_path / "checkout"
    for file in ("app/gateways/vendors/__init__.py", "tests/gateways/conformance_targets.py"):
        (folder / file).parent.mkdir(parents=True)
        shutil.copy(ROOT / file, folder / file)
    return folder


@pytest.fixture
def new_gateway(checkout: Path) -> Callable[..., Result]:
    return lambda *args: CliRunner().invoke(cli.cli, ["new-gateway", "--into", str(checkout), *args])


def test_p29_a_new_gateway_passes_the_conformance_suite_ruff_and_mypy_at_once(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, copy / name)
    made = CliRunner().invoke(cli.cli, ["new-gateway", "my_parrot", "--into", str(copy), "--json"])
    assert made.exit_code == 0, made.output
    files = [file for file in msgspec.json.decode(made.stdout)["files"] if file.endswith(".py")]
    suite = ["pytest", "-q", "-p", "no:cacheprovider", "tests/gateways/test_conformance.py", "-k", "my_parrot"]
    commands = [
        suite,
        ["ruff", "check", *files],
        ["ruff", "format", "--check", *files],
        # What mypy learns of the rest of the code serves the next run on the project itself.
        ["mypy", "--cache-dir", str(ROOT / ".mypy_cache"), "app/gateways/vendors/my_parrot"],
    ]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", *command], cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for command in commands
    ]
    for process in running:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
    assert "Write here" in (copy / "app/gateways/vendors/my_parrot/gateway.py").read_text()
    assert "[invented]" in (copy / "app/gateways/vendors/my_parrot/UNVERIFIED.md").read_text()


def test_a_new_vendor_is_its_folder_and_its_test_target_and_changes_no_file(
    new_gateway: Callable[..., Result], checkout: Path
) -> None:
    before = {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()}
    done = new_gateway("zebra")
    assert done.exit_code == 0, done.output
    assert {path: path.read_bytes() for path in before} == before
    written = {Path(line.strip()) for line in done.output.split("Written:\n")[1].splitlines()[:6]}
    made = {path.relative_to(checkout) for path in checkout.rglob("*") if path.is_file()} - {
        path.relative_to(checkout) for path in before
    }
    assert made == written
    assert {path.parent for path in made} == {Path("app/gateways/vendors/zebra"), Path("tests/gateways")}


@pytest.mark.parametrize(
    "name", ["Parrot", "my-parrot", "7up", "_x", "a", "class", "pipe17", "catalog", "x" * 21, "../x"]
)
def test_a_name_that_cannot_be_a_vendors_is_refused(
    new_gateway: Callable[..., Result], checkout: Path, name: str
) -> None:
    before = sorted(checkout.rglob("*"))
    refused = new_gateway(name)
    assert refused.exit_code == 2 and "NAME" in refused.output
    assert sorted(checkout.rglob("*")) == before


def test_what_exists_is_never_overwritten(new_gateway: Callable[..., Result], checkout: Path) -> None:
    (checkout / "tests/gateways/target_zebra.py").write_text("mine")
    refused = new_gateway("zebra")
    assert refused.exit_code == 2 and "target_zebra.py exists already" in refused.output
    assert not (checkout / "app/gateways/vendors/zebra").exists()
    assert (checkout / "tests/gateways/target_zebra.py").read_text() == "mine"


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    refused = CliRunner().invoke(cli.cli, ["new-gateway", "zebra", "--into", str(tmp_path)])
    assert refused.exit_code == 2 and "app/gateways/vendors" in refused.output
