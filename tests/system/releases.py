"""Two versions of the server's code in folders of their own: the last release, and this one with made-up migrations."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from app.records import compatibility
from tests import ROOT

PARTS = ("app", "schemas")
"""What a server needs of the project."""

LAST_RELEASE = (ROOT / "tests" / "system" / "last_release.txt").read_text().split()[0]
"""The commit that stands for the release before this one."""

MIGRATION = '''"""Made up by a test."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{after}"
usable_from = "{usable_from}"


def upgrade() -> None:
{steps}
'''

ADDITIVE = "9001"
BREAKING = "9002"

_ADDS = """\
    op.create_table("made_up", sa.Column("id", sa.BigInteger(), primary_key=True))
    for table in ("stock", "commands", "deliveries", "handed_out"):
        op.add_column(table, sa.Column("made_up", sa.Text(), server_default="", nullable=False))
"""
_BREAKS = """\
    for table in {tables}:
        op.execute(f"create table {{table}}_then as select * from {{table}}")
"""

KEPT = {
    "stock": "sku, gateway, level, stated_at",
    "commands": "id, natural_key",
    "handed_out": "refnum, acknowledged_at",
}
"""Of which columns the breaking migration keeps the contents as they are when it runs; only callbacks write them.

Not `seq`: a worker of the newest code rightly owes a figure again that an older worker may have sent last.
"""


def last_release(folder: Path) -> Path:
    """The code of the last release.  Skips the test where this copy of the project has no history."""
    try:
        packed = subprocess.run(
            ["git", "archive", LAST_RELEASE, *PARTS], cwd=ROOT, capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"commit {LAST_RELEASE[:12]} of the last release is not in this copy of the project")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def newest_migration(code: Path) -> str:
    """The head of a release's migrations, by its files: their names begin with their numbers."""
    files = sorted((code / "app" / "records" / "migrations" / "versions").glob("[0-9]*.py"))
    return files[-1].name.partition("_")[0]


def with_additive(folder: Path, usable_from: str) -> Path:
    """This code with one migration more, which code that knows `usable_from` can live with."""
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part)  # with its bytecode: processes start the sooner
    _add(folder, ADDITIVE, compatibility.head(), usable_from, _ADDS)
    return folder


def with_breaking(folder: Path, additive: Path) -> Path:
    """That code with another one, which only code that has it can live with."""
    shutil.copytree(additive, folder)
    _add(folder, BREAKING, ADDITIVE, BREAKING, _BREAKS.format(tables=tuple(KEPT)))
    return folder


def _add(folder: Path, revision: str, after: str, usable_from: str, steps: str) -> None:
    text = MIGRATION.format(revision=revision, after=after, usable_from=usable_from, steps=steps)
    (folder / "app" / "records" / "migrations" / "versions" / f"{revision}_made_up.py").write_text(text)
