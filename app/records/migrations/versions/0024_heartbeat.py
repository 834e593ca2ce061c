"""Time that was seen passing is kept, and the shared clock of processes on SQLite; credits carry that time.

Code from before this migration goes on working: credits it writes count by their date until they are read by new code.
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "heartbeat",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("boot_id", sa.String(length=64), server_default="", nullable=False),
        sa.Column("booted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "unseen_steps",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("step_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unseen_steps")),
    )
    with op.batch_alter_table("refunds") as batch:
        batch.add_column(sa.Column("seen", sa.BigInteger(), nullable=True))
    op.execute("update refunds set seen = created_at")
    is_shared = op.get_bind().dialect.name == "postgresql"
    now = "(extract(epoch from clock_timestamp()) * 1000)::bigint" if is_shared else str(int(time.time() * 1000))
    op.execute(f"insert into heartbeat (id, at, seen) values (1, {now}, {now})")
