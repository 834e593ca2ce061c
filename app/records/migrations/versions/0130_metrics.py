"""Tables for what all processes count together, and an index for what `/metrics` reads of the records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.records.migrations import indexes

revision = "0130"
down_revision = "0121"
usable_from = "0100"


def upgrade() -> None:
    indexes.add("ix_late_events_open", "late_events", ["channel"], where="dismissed_at is null")
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("labels", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", name=op.f("pk_counters")),
    )
    op.create_table(
        "open_breakers",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("process", sa.String(length=32), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", "process", name=op.f("pk_open_breakers")),
    )
