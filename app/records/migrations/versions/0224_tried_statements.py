"""Stock remembers which statement an attempt of unknown outcome was about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0224"
down_revision = "0223"
usable_from = "0100"


def upgrade() -> None:
    op.add_column("stock", sa.Column("tried_seq", sa.BigInteger(), nullable=True))
