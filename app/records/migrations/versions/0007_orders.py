"""Orders and carts of a source that pushes them here, the units they hold, and a quick search by title."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("refnum", sa.Text(), nullable=False),
        sa.Column("cart_id", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("hooks", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("exportable_at", sa.BigInteger()),
        sa.Column("cancelled_at", sa.BigInteger()),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("purge_after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "refnum", name=op.f("pk_orders")),
        sa.UniqueConstraint("channel", "cart_id", name=op.f("uq_orders_channel_cart_id")),
    )
    op.create_index("ix_orders_created_at", "orders", ["channel", "created_at"])
    op.create_index("ix_orders_exportable_at", "orders", ["channel", "exportable_at"])
    op.create_index("ix_orders_cancelled_at", "orders", ["channel", "cancelled_at"])
    op.create_index("ix_orders_purge_after", "orders", ["purge_after"])
    op.create_table(
        "carts",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("cart_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("purge_after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "cart_id", name=op.f("pk_carts")),
    )
    op.create_index("ix_carts_purge_after", "carts", ["purge_after"])
    op.create_table(
        "reservations",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("channel", "sku", "order_refnum", name=op.f("pk_reservations")),
    )
    op.create_index("ix_reservations_order_refnum", "reservations", ["channel", "order_refnum"])
    has_title = sa.text("title <> ''")
    op.create_index(
        "ix_catalogue_title",
        "catalogue",
        ["channel", "number", "title", "root_key"],
        sqlite_where=has_title,
        postgresql_where=has_title,
    )
