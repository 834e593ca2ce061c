"""Records hang on a channel's key, names and accounts are kept beside it, and orders say when they were paid."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

HELD = (
    "handed_out", "orders", "carts", "commands", "deliveries", "refunds", "payments", "stock", "catalogue", "late_news",
)  # fmt: skip
"""The tables whose channels were known by name alone; that name is their key from now on."""


def upgrade() -> None:
    op.create_table(
        "channels",
        sa.Column("key", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=True),
        sa.Column("channel_id", sa.BigInteger(), nullable=True),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("forgotten_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_channels")),
    )
    op.create_table(
        "channel_names",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channel_names")),
    )
    op.create_table(
        "channel_accounts",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", name=op.f("pk_channel_accounts")),
    )
    op.add_column("orders", sa.Column("paid_at", sa.BigInteger(), nullable=True))
    is_paid = "state = 'paid' or exportable_at is not null"
    op.execute(f"update orders set paid_at = coalesce(exportable_at, created_at) where {is_paid}")
    held = " union ".join(f"select channel from {table} where channel <> ''" for table in HELD)
    now_ms = int(time.time() * 1000)
    op.execute(
        f"insert into channels (key, name, registered_at) select channel, channel, {now_ms} from ({held}) as held"
    )
    op.execute("insert into channel_names (name, channel) select name, key from channels")
