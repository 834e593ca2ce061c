"""Stated facts are owed again whether equal or not; which go first, and why a vendor refused one, is kept (R13)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0016"

KEYS = {"stock": "sku", "catalogue_heard": "root_key"}


def upgrade() -> None:
    _add_columns(
        "stock",
        sa.Column("stated_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attention", sa.Text(), server_default="", nullable=False),
    )
    _add_columns(
        "catalogue_heard", sa.Column("is_in_flight", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    for table, key in KEYS.items():
        # What is settled differs from nothing that was sent; when it was stated and sent nobody knows any more.
        op.execute(f"update {table} set is_changed = (seq > sent_seq), turn = seq")
        op.drop_index(f"ix_{table}_owed", table_name=table)
        is_owed, is_again = sa.text("seq > sent_seq"), sa.text("again_at is not null")
        op.create_index(
            f"ix_{table}_owed",
            table,
            ["channel", "gateway", "is_changed", "turn", key],
            sqlite_where=is_owed,
            postgresql_where=is_owed,
        )
        op.create_index(
            f"ix_{table}_again",
            table,
            ["channel", "gateway", "again_at"],
            sqlite_where=is_again,
            postgresql_where=is_again,
        )
    needs = sa.text("attention <> ''")
    op.create_index("ix_stock_attention", "stock", ["channel", "gateway"], sqlite_where=needs, postgresql_where=needs)
    op.execute("update stock set refusal = 'skipped' where refusal = 'passed over'")
    op.create_table(
        "fact_obstacles",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "channel", "gateway", "kind", "fact", "code", "subject", name=op.f("pk_fact_obstacles")
        ),
    )
    op.create_index("ix_fact_obstacles_subject", "fact_obstacles", ["channel", "gateway", "code", "subject"])


def _add_columns(table: str, *own: sa.Column[object]) -> None:
    with op.batch_alter_table(table) as batch:
        batch.add_column(sa.Column("is_changed", sa.Boolean(), server_default=sa.text("true"), nullable=False))
        batch.add_column(sa.Column("turn", sa.BigInteger(), server_default="0", nullable=False))
        batch.add_column(sa.Column("is_uncertain", sa.Boolean(), server_default=sa.text("false"), nullable=False))
        batch.add_column(sa.Column("sent_at", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("again_at", sa.BigInteger(), nullable=True))
        for column in own:
            batch.add_column(column)
