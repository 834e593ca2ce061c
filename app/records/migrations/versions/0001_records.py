"""The first records: orders handed out, packages, the ledger, deliveries, stock, the journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "commands",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("callback", sa.String(length=40), nullable=False),
        sa.Column("natural_key", sa.Text(), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("events", sa.LargeBinary(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commands")),
        sa.UniqueConstraint(
            "channel", "callback", "natural_key", name=op.f("uq_commands_channel_callback_natural_key")
        ),
    )
    op.create_table(
        "fact_streams",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=True),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", name=op.f("pk_fact_streams")),
    )
    op.create_table(
        "handed_out",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("refnum", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("state", sa.String(length=16), server_default="open", nullable=False),
        sa.Column("lines", sa.LargeBinary(), nullable=False),
        sa.Column("rejected", sa.LargeBinary(), nullable=True),
        sa.Column("times", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_pull_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_handed_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("retailops_order_id", sa.String(length=32), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("channel", "refnum", name=op.f("pk_handed_out")),
    )
    op.create_table(
        "held_back",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("refnum", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "refnum", name=op.f("pk_held_back")),
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
    )
    op.create_index("ix_journal_at", "journal", ["at"], unique=False)
    op.create_index("ix_journal_order_refnum", "journal", ["channel", "order_refnum"], unique=False)
    op.create_table(
        "packages",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("retailops_shipment_id", sa.String(length=32), nullable=False),
        sa.Column("lines", sa.LargeBinary(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "order_refnum", "key", name=op.f("pk_packages")),
    )
    op.create_table(
        "stock",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("level", sa.LargeBinary(), nullable=False),
        sa.Column("sent", sa.LargeBinary(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("sent_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refusal", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", "sku", name=op.f("pk_stock")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_stock_owed",
        "stock",
        ["channel", "gateway", "seq"],
        unique=False,
        sqlite_where=sa.text("seq > sent_seq"),
        postgresql_where=sa.text("seq > sent_seq"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("verb", sa.String(length=40), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("command_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("about", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("is_possibly_done", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("last_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("last_code", sa.String(length=64), server_default="", nullable=False),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("events", sa.LargeBinary(), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["command_id"], ["commands.id"], name=op.f("fk_deliveries_command_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index("ix_deliveries_command_id", "deliveries", ["command_id"], unique=False)
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["next_try_at", "id"],
        unique=False,
        sqlite_where=sa.text("state in ('owed', 'checking')"),
        postgresql_where=sa.text("state in ('owed', 'checking')"),
    )
    op.create_index(
        "ix_deliveries_lane",
        "deliveries",
        ["channel", "gateway", "lane", "id"],
        unique=False,
        sqlite_where=sa.text("state in ('owed', 'checking', 'parked')"),
        postgresql_where=sa.text("state in ('owed', 'checking', 'parked')"),
    )
