"""Payments of orders, and the ledger of money given back for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "payments",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("refnum", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("currency_code", sa.String(length=3), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("processing_type", sa.String(length=32), nullable=False),
        sa.Column("payment_type", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("captured", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("capturing", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("channel", "order_refnum", "refnum", name=op.f("pk_payments")),
    )
    op.create_index("ix_payments_refnum", "payments", ["channel", "refnum"], unique=False)
    op.create_table(
        "refunds",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("payment_refnum", sa.Text(), nullable=False),
        sa.Column("callback", sa.String(length=40), nullable=False),
        sa.Column("natural_key", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency_code", sa.String(length=3), nullable=False),
        sa.Column("is_store_credit", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("lines", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("refnum", sa.Text(), server_default="", nullable=False),
        sa.Column("matched_callback", sa.String(length=40), server_default="", nullable=False),
        sa.Column("matched_key", sa.Text(), server_default="", nullable=False),
        sa.Column("repeats", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
        sa.UniqueConstraint("channel", "key", name=op.f("uq_refunds_channel_key")),
    )
    op.create_index("ix_refunds_order_refnum", "refunds", ["channel", "order_refnum"], unique=False)
    op.create_index("ix_refunds_natural_key", "refunds", ["channel", "callback", "natural_key"], unique=False)
