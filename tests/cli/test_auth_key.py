"""`channel auth-key` keeps a key that RetailOps can carry, for its owner's eyes only."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from app import cli
from app.cli.verify.keys import PLACES, Secret

KEY = "a+stored/key0123456789abcdefghij"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of our own, wherever it is asked for."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def no_such_user(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", no_such_user)
    return tmp_path


def auth_key(*args: str, given: str | None = None) -> Result:
    return CliRunner().invoke(cli.cli, ["auth-key", *args], input=given)


def test_a_generated_key_is_one_retailops_can_carry_and_nobody_else_can_read(home: Path) -> None:
    previous = os.umask(0)
    try:
        made = auth_key("generate")
    finally:
        os.umask(previous)
    assert made.exit_code == 0, made.output
    file = home / PLACES[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    key = file.read_text()
    assert len(base64.b64decode(key, validate=True)) == 24
    assert "_" not in key
    assert key not in made.output
    assert [path.name for path in file.parent.iterdir()] == [file.name], "nothing is left behind"
    shown = auth_key("show")
    assert (shown.stdout, shown.stderr) == (key + "\n", "")
    assert msgspec.json.decode(auth_key("show", "--json").stdout) == {"key": key, "file": str(file)}


def test_a_stored_key_is_only_replaced_when_told_so(home: Path) -> None:
    assert auth_key("install", KEY).exit_code == 0
    refused = auth_key("generate")
    assert refused.exit_code == 1
    assert str(home / PLACES[0]) in refused.stderr
    assert "--replace" in refused.stderr
    assert auth_key("show").stdout == KEY + "\n"
    assert auth_key("install", KEY).exit_code == 0, "the same key again changes nothing"
    assert auth_key("generate", "--replace").exit_code == 0
    assert auth_key("show").stdout != KEY + "\n"


@pytest.mark.parametrize("place", PLACES)
def test_the_folder_of_the_tool_and_that_of_its_manual_are_both_used(home: Path, place: str) -> None:
    file = home / place
    file.parent.mkdir()
    file.write_text(KEY + "\n")
    file.chmod(0o644)
    shown = auth_key("show")
    assert shown.stdout == KEY + "\n"
    assert f"{file} can be read by other users; chmod 600 it" in shown.stderr
    replaced = auth_key("install", "--replace", given="another+key/0123456789abcdefghijk\n")
    assert replaced.exit_code == 0, replaced.output
    assert file.read_text() == "another+key/0123456789abcdefghijk"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path for each in PLACES if (path := home / each).exists()] == [file]


def test_two_files_that_disagree_are_named_and_neither_is_used(home: Path) -> None:
    for number, place in enumerate(PLACES):
        (home / place).parent.mkdir()
        (home / place).write_text(f"{KEY}{number}")
    result = auth_key("show")
    assert (result.exit_code, result.stdout) == (1, "")
    assert all(str(home / place) in result.stderr for place in PLACES)
    assert KEY not in result.stderr
    assert auth_key("generate", "--replace").exit_code == 0
    assert auth_key("show").exit_code == 0


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("secret_key+0123456789abcdefghij01", "underscore"),
        ("RETAILOPS_SDK", "public test key"),
        ("short", "at least 8 characters"),
        ("a key with blanks in it 01234567", "without blanks"),
    ],
)
def test_a_key_retailops_cannot_carry_is_refused_and_not_repeated(home: Path, key: str, rule: str) -> None:
    for result in (auth_key("install", key), auth_key("install", given=key)):
        assert result.exit_code == 2
        assert rule in result.stderr
        assert key not in result.output
    assert not (home / PLACES[0]).exists()


def test_where_nothing_is_stored_show_says_what_to_do(home: Path) -> None:
    result = auth_key("show")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "channel auth-key generate" in result.stderr


def test_the_help_explains_how_a_key_is_replaced(home: Path) -> None:
    said = " ".join(auth_key("--help").stdout.split())
    for step in ("generate --replace", "auth_keys = [", "channel certify", "take the old one out"):
        assert step in said


def test_p20_a_key_is_recognised_in_every_spelling() -> None:
    secret = Secret(KEY)
    for spelled in (
        KEY, KEY.replace("/", "\\/"), KEY.replace("+", "\\u002B"), KEY.replace("+", "%2b").replace("/", "%2F"),
    ):  # fmt: skip
        assert secret.masked(f"<{spelled}>") == "<***>"
    assert not secret.is_in(KEY[:-1])
    assert KEY not in repr(secret)
    empty: Any = Secret("")
    assert empty.masked("all stays") == "all stays"
