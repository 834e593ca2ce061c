"""A column for when an order left the queue; code without it leaves it empty, and `storefront.order_queue` fills it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0221"
down_revision = "0220"
usable_from = "0100"


def upgrade() -> None:
    op.add_column("orders", sa.Column("taken_at", sa.BigInteger(), nullable=True))
