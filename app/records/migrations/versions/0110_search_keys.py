"""Numbers that orders and their parts are found by, attempts one by one, and more of what happened.

Old code leaves them empty: `records.search_filling` finds what it wrote meanwhile.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0110"
down_revision = "0100"
usable_from = "0100"


def upgrade() -> None:
    folded = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "search_keys",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("order_refnum", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("folded_key", folded, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "order_refnum", "kind", "object", name=op.f("pk_search_keys")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_search_keys_folded_key", "search_keys", ["folded_key"])
    op.create_index(
        "ix_search_keys_orders", "search_keys", ["at", "channel", "order_refnum"], **_where("kind = 'order'")
    )
    op.create_index("ix_search_keys_tracking", "search_keys", ["at"], **_where("kind = 'tracking'"))
    op.create_table(
        "attempts",
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("ms", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_attempts_delivery_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("delivery_id", "at", name=op.f("pk_attempts")),
    )
    op.create_table(
        "unverified_requests",
        sa.Column("path", sa.String(length=80), nullable=False),
        sa.Column("status", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("path", "status", name=op.f("pk_unverified_requests")),
    )
    op.add_column("journal", sa.Column("events", sa.LargeBinary(), nullable=True))
    op.add_column("handed_out", sa.Column("hand_outs", sa.Text(), nullable=True))


def _where(condition: str) -> dict[str, Any]:
    """The condition of a partial index, on both databases."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
