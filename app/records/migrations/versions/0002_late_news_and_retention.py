"""Late news, chores that one process at a time does, the reason of a drop, and orders found in the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "late_news",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("callback", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("about", sa.LargeBinary(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("told_to", sa.String(length=64), server_default="", nullable=False),
        sa.Column("told_request_id", sa.String(length=64), server_default="", nullable=False),
        sa.Column("dismissed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_late_news")),
    )
    op.create_index("ix_late_news_told_at", "late_news", ["told_at"], unique=False)
    op.create_index("ix_late_news_subject", "late_news", ["channel", "subject"], unique=False)
    chores = op.create_table(
        "chores",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chores")),
    )
    op.bulk_insert(chores, [{"name": "retention", "due_at": 0}])
    op.add_column("deliveries", sa.Column("dropped_because", sa.Text(), nullable=True))
    op.create_index("ix_commands_order_refnum", "commands", ["channel", "order_refnum"], unique=False)
