"""Orders called off at their source after they were handed out, and up to when that is known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    with op.batch_alter_table("handed_out") as batch:
        batch.add_column(sa.Column("called_off_at", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("called_off_times", sa.Integer(), server_default="0", nullable=False))
        batch.add_column(sa.Column("called_off_told_at", sa.BigInteger(), nullable=True))
    is_due = sa.text("called_off_at is not null and called_off_told_at is null")
    op.create_index(
        "ix_handed_out_called_off",
        "handed_out",
        ["channel", "called_off_at"],
        unique=False,
        sqlite_where=is_due,
        postgresql_where=is_due,
    )
    op.create_table(
        "called_off_cursors",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", name=op.f("pk_called_off_cursors")),
    )
