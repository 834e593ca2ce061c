"""An order is found by its number though RetailOps dropped the blanks at its ends."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("handed_out", sa.Column("trimmed_refnum", sa.Text))
    is_there = sa.text("trimmed_refnum is not null")
    op.create_index(
        "ix_handed_out_trimmed",
        "handed_out",
        ["channel", "trimmed_refnum"],
        unique=False,
        sqlite_where=is_there,
        postgresql_where=is_there,
    )
