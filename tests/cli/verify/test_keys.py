"""The stored key, which `channel verify` sends and never shows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tests.cli.verify.servers import reply_to_good_key, tokens

KEY = "a+stored/key0123456789abcdefghij"


@pytest.mark.parametrize("folder", ["retailops", ".retailops"])
def test_p20_the_stored_key_is_sent_and_never_shown(
    against: Any, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "integration_auth_token").write_text(KEY + "\n")
    echo = reply_to_good_key((200, "application/json", msgspec.json.encode({"events": KEY})))
    result, _, server = against("--actions", "order_cancel", "-use-auth-key", "--verbose", change=echo)
    assert tokens(server).count(KEY) == 3, "a server without this key answers 401, so nothing is repeated"
    assert result.exit_code == 1
    assert "***" in result.stderr
    assert KEY not in result.output
    assert "RETAILOPS_SDK" not in result.output


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ({"retailops": KEY}, ""),
        ({"retailops": KEY, ".retailops": KEY}, ""),
        ({"retailops": KEY + "\n"}, "the newline behind the key"),
        ({".retailops": KEY}, "finds no key there"),
    ],
)
def test_a_stored_key_the_sdks_tool_would_not_read_the_same_way_is_told(
    against: Any, stored: dict[str, str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_dir=str(tmp_path)))
    for folder, text in stored.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "integration_auth_token").write_text(text)
        (tmp_path / folder / "integration_auth_token").chmod(0o600)
    for flags in (("--use-auth-key",), ("--use-auth-key", "--as-sdk-tool")):
        result, _, server = against("--actions", "order_cancel", *flags)
        assert KEY in tokens(server)
        assert KEY not in result.output
        assert told in result.stderr
        assert ("the SDK's own tool reads only" in result.stderr) == bool(told)


def test_a_key_below_a_home_the_sdks_tool_does_not_know_is_told(
    against: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, key in (("shell", KEY), ("database", KEY[::-1])):
        (tmp_path / folder / "retailops").mkdir(parents=True)
        (tmp_path / folder / "retailops" / "integration_auth_token").write_text(key)
    monkeypatch.setenv("HOME", str(tmp_path / "shell"))
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_dir=str(tmp_path / "database")))
    result, _, server = against("--actions", "order_cancel", "--use-auth-key")
    assert KEY in tokens(server)
    assert f"the SDK's own tool reads only {tmp_path}/database/retailops/" in result.stderr
    assert "something else" in result.stderr


def test_without_a_stored_key_nothing_is_sent(against: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_user(_: int) -> None:
        raise KeyError

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("pwd.getpwuid", no_such_user)
    result, _, server = against("--use-auth-key")
    assert (result.exit_code, server.bodies) == (1, [])
    assert "~/retailops/integration_auth_token" in result.stderr
