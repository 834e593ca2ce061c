"""What follows from the whole catalogue stands beside what was stated: who has a SKU, who belongs to whom.

Code from before this migration goes on working: what it writes is resolved when the record is stated again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    with op.batch_alter_table("catalogue") as batch:
        for name in ("parent_key", "nested_key", "waits_for"):
            batch.add_column(sa.Column(name, sa.Text(), server_default="", nullable=False))
        batch.add_column(sa.Column("claimed", sa.BigInteger(), server_default="0", nullable=False))
    is_waiting = sa.text("waits_for <> ''")
    op.create_index(
        "ix_catalogue_waits_for",
        "catalogue",
        ["channel", "waits_for"],
        unique=False,
        sqlite_where=is_waiting,
        postgresql_where=is_waiting,
    )
    op.execute("update catalogue set parent_key = root_key where root_key <> key")
    op.execute("update catalogue set nested_key = root_key where root_key <> key and parent_sku = ''")
