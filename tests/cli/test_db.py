"""`channel db upgrade` needs the database alone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.cli.processes import channel

CANARY = "cAnArY0123456789"


def test_db_upgrade_needs_only_the_database_and_names_what_it_ran(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/records/channel.db"
    first = channel(tmp_path, "db", "upgrade", DATABASE_URL=address)
    assert first.returncode == 0, first.stderr
    assert "ran migration 0100" in first.stdout
    again = channel(tmp_path, "db", "upgrade", "--json", DATABASE_URL=address)
    assert msgspec.json.decode(again.stdout) == {"migrations": []}


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("", 2),
        ("mysql://u:{canary}@h/x", 2),
        ("postgres://u:{canary}@h:port/x", 2),
        ("postgres://u:{canary}@127.0.0.1:1/x", 1),  # nobody listens there
        ("sqlite:////dev/null/x", 2),
    ],
)
def test_db_upgrade_says_what_is_wrong_without_the_password(tmp_path: Path, address: str, status: int) -> None:
    done = channel(tmp_path, "db", "upgrade", DATABASE_URL=address.format(canary=CANARY))
    assert done.returncode == status
    assert "DATABASE_URL" in done.stderr or "/dev/null" in done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert status == 2 or "nobody listens at its address" in done.stderr
