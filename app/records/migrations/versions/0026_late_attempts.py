"""Until when an attempt that was given up without an answer may still arrive at the vendor (R11).

Code from before this migration goes on working: it does not wait for such attempts.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
usable_from = "0025"


def upgrade() -> None:
    with op.batch_alter_table("deliveries") as batch:
        batch.add_column(sa.Column("late_until", sa.BigInteger()))
    is_known = sa.text("late_until is not null")
    op.create_index(
        "ix_deliveries_late",
        "deliveries",
        ["channel", "gateway", "lane", "late_until"],
        unique=False,
        sqlite_where=is_known,
        postgresql_where=is_known,
    )
