"""How vendors' own requests were answered is counted, so that a check can say why they are refused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "inbound_requests",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("topic", sa.String(length=40), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=120), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "channel", "gateway", "topic", "status", "reason", "at", name=op.f("pk_inbound_requests")
        ),
    )
