"""What a callback said of an order is kept for later ones: units taken off, its RetailOps number, replaced labels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0011"


def upgrade() -> None:
    with op.batch_alter_table("handed_out") as batch:
        batch.add_column(sa.Column("removed", sa.LargeBinary(), nullable=True))
        batch.add_column(sa.Column("left_open", sa.String(length=63), server_default="", nullable=False))
        batch.add_column(sa.Column("left_open_at", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("packages") as batch:
        batch.add_column(sa.Column("label", sa.String(length=24), server_default="", nullable=False))
        batch.add_column(sa.Column("label_key", sa.Text(), server_default="", nullable=False))
    has_number, is_left_open = sa.text("retailops_order_id != ''"), sa.text("left_open != ''")
    op.create_index(
        "ix_handed_out_number",
        "handed_out",
        ["channel", "retailops_order_id"],
        unique=False,
        sqlite_where=has_number,
        postgresql_where=has_number,
    )
    op.create_index(
        "ix_handed_out_left_open",
        "handed_out",
        ["channel"],
        unique=False,
        sqlite_where=is_left_open,
        postgresql_where=is_left_open,
    )
