"""Each kind of fact waits by itself, and a vendor's wishes to hear products again are looked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    with op.batch_alter_table("fact_streams") as batch:
        batch.add_column(sa.Column("catalogue_attempts", sa.Integer(), server_default="0", nullable=False))
        batch.add_column(sa.Column("catalogue_next_try_at", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("catalogue_last_error", sa.Text(), server_default="", nullable=False))
        batch.add_column(sa.Column("wishes_until_ms", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("wishes_next_look_at", sa.BigInteger(), nullable=True))
