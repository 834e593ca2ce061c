"""PostgreSQL leaves room in the pages of stock: a push replaces every level, and writes it beside the former one."""

from __future__ import annotations

from alembic import op

revision = "0223"
down_revision = "0222"
usable_from = "0100"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("alter table stock set (fillfactor = 50)")
