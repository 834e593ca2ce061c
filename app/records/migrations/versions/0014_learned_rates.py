"""Rates are learned, kept in tokens of one kind, and shared by the processes on SQLite too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    # Nothing in it is worth carrying over: tokens of the last second, marks of calls that wait.
    op.drop_table("rates")
    numbers = ("setting", "rate", "tokens", "at", "question_until", "command_until", "fact_until", "fact_credit",
               "grown_at", "cut_at")  # fmt: skip
    op.create_table(
        "rates",
        sa.Column("name", sa.String(length=64), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in numbers),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rates")),
        # A crash may forget them, and so no call waits for a disk.
        prefixes=["UNLOGGED"] if op.get_bind().dialect.name == "postgresql" else [],
    )
