"""Rates that processes share, due deliveries found by gateway, and numbers of RetailOps of any length."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "rates",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("fact_tokens", sa.Float(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("question_until", sa.Float(), server_default="0", nullable=False),
        sa.Column("command_until", sa.Float(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rates")),
        # A crash may forget them, and so no call waits for a disk.
        prefixes=["UNLOGGED"] if is_postgresql else [],
    )
    op.drop_index("ix_deliveries_due", table_name="deliveries")
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["channel", "gateway", "next_try_at", "id"],
        unique=False,
        sqlite_where=sa.text("state in ('owed', 'checking')"),
        postgresql_where=sa.text("state in ('owed', 'checking')"),
    )
    for table, name in (("handed_out", "retailops_order_id"), ("packages", "retailops_shipment_id")):
        with op.batch_alter_table(table) as batch:
            batch.alter_column(name, type_=sa.Text(), existing_nullable=False)
