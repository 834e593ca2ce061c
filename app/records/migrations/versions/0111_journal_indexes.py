"""The journal is searched by the id of a request, and for what vendors called here."""

from __future__ import annotations

from contextlib import nullcontext

import sqlalchemy as sa
from alembic import op

revision = "0111"
down_revision = "0110"
usable_from = "0100"


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    is_hook = sa.text("kind = 'hook'")
    with op.get_context().autocommit_block() if is_postgresql else nullcontext():
        for name in ("ix_journal_request_id", "ix_journal_hooks"):  # perhaps invalid ones of an attempt before
            op.drop_index(name, "journal", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_journal_request_id",
            "journal",
            ["request_id"],
            postgresql_ops={"request_id": "varchar_pattern_ops"},
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_journal_hooks",
            "journal",
            ["at", "id"],
            sqlite_where=is_hook,
            postgresql_where=is_hook,
            postgresql_concurrently=True,
        )
