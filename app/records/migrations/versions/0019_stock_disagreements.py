"""Stock pushes whose total and sources disagree are counted for each channel."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "stock_disagreements",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("pushes", sa.BigInteger(), nullable=False),
        sa.Column("skus", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("stated", sa.BigInteger(), nullable=False),
        sa.Column("added_up", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_stock_disagreements")),
    )
