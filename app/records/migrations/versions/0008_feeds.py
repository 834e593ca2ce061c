"""Feeds that vendors fetch here, and what observers of orders are told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "feeds",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("changes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("built_changes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("changed_at", sa.BigInteger()),
        sa.Column("form", sa.String(length=64), server_default="", nullable=False),
        sa.Column("build", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("begun_builds", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("etag", sa.String(length=64), server_default="", nullable=False),
        sa.Column("modified_at", sa.BigInteger()),
        sa.Column("built_at", sa.BigInteger()),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("packed_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("listed", sa.LargeBinary()),
        sa.Column("report", sa.LargeBinary()),
        sa.Column("lease_token", sa.String(length=32)),
        sa.Column("lease_until", sa.BigInteger()),
        sa.PrimaryKeyConstraint("channel", "gateway", name=op.f("pk_feeds")),
    )
    op.create_table(
        "feed_pieces",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("build", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", "build", "position", name=op.f("pk_feed_pieces")),
    )
    op.create_table(
        "observed_orders",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("refnum", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", "refnum", name=op.f("pk_observed_orders")),
    )
    op.create_index("ix_observed_orders_seen_at", "observed_orders", ["seen_at"])
    op.create_table(
        "told_lines",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("doubts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("told_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("channel", "gateway", "order_refnum", "product", name=op.f("pk_told_lines")),
    )
