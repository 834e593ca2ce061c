"""Tables of counted calls, pending work, paused gateways and requested checks; code without them ignores them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0120"
down_revision = "0111"
usable_from = "0100"

CLASSES = 15
"""Classes of durations."""


def upgrade() -> None:
    op.create_table(
        "call_figures",
        sa.Column("span_s", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        *(sa.Column(f"took_{number}", sa.Integer(), server_default="0", nullable=False) for number in range(CLASSES)),
        sa.PrimaryKeyConstraint("span_s", "at", "kind", "channel", "name", "outcome", name=op.f("pk_call_figures")),
    )
    op.create_table(
        "last_calls",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("good_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("kind", "channel", "name", name=op.f("pk_last_calls")),
    )
    op.create_table(
        "pending_figures",
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("owed", sa.Integer(), nullable=False),
        sa.Column("parked", sa.Integer(), nullable=False),
        sa.Column("oldest_s", sa.Integer(), nullable=False),
        sa.Column("facts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("at", "channel", "gateway", name=op.f("pk_pending_figures")),
    )
    op.create_index("ix_pending_figures_channel", "pending_figures", ["channel", "at"])
    op.create_table(
        "pauses",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=60), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", name=op.f("pk_pauses")),
    )
    op.create_table(
        "check_requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=60), nullable=False),
        sa.Column("begun_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("total", sa.Integer(), server_default="0", nullable=False),
        sa.Column("report", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_check_requests")),
    )
