"""`channel init` writes what a server can be started with, and writes over nothing."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from click.testing import CliRunner
from dotenv import dotenv_values

from app import gateways, settings
from app.cli.init import init
from app.gateways import VENDORS


@pytest.mark.parametrize(
    "vendors", [chosen for count in (0, 1, 2, 3) for chosen in itertools.combinations(sorted(gateways.REGISTRY), count)]
)
def test_p23_what_init_writes_can_be_used_at_once(
    tmp_path: Path, vendors: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(init, [part for token in vendors for part in ("--vendor", token)])
    assert done.exit_code == 0, done.output
    values = {name: value or "" for name, value in dotenv_values(tmp_path / ".env").items()}
    found = settings.load({**values, "CHANNELS": (tmp_path / "channels.toml").read_text()}, vendors=VENDORS)
    assert {token for one in found.channels for token in one.gateways} == set(vendors or ("rally",))
    assert not any(one.set_aside for one in found.channels)
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0, "others of the machine cannot read the secrets"
    secrets = {values[name] for name in values if name.endswith("_SHOP_KEY") or name == "CONSOLE_TOKEN"}
    assert not any(secret in (tmp_path / "channels.toml").read_text() for secret in secrets)


def test_init_writes_over_nothing_and_makes_new_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(init).exit_code == 0
    first = (tmp_path / ".env").read_text()
    again = CliRunner().invoke(init, ["--vendor", "pipe17"])
    assert again.exit_code == 1 and "channels.toml is there already" in again.output
    assert (tmp_path / ".env").read_text() == first
    (tmp_path / "channels.toml").unlink()
    assert CliRunner().invoke(init).exit_code == 1, ".env holds the only copy of the keys"
    (tmp_path / ".env").unlink()
    assert CliRunner().invoke(init).exit_code == 0
    assert (tmp_path / ".env").read_text() != first
