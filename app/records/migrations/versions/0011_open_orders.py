"""Whether RetailOps has any open order is asked with every pull."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    is_open = sa.text("state = 'open'")
    op.create_index(
        "ix_handed_out_open", "handed_out", ["channel"], unique=False, sqlite_where=is_open, postgresql_where=is_open
    )
