"""An index of the few SKUs of stock that have a blank at an end, made beside traffic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0140"
down_revision = "0130"
usable_from = "0100"

NAME = "ix_stock_blanks"
HAS_BLANKS = sa.text("sku <> trim(sku)")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(NAME, "stock", ["channel", "sku"], sqlite_where=HAS_BLANKS)
        return
    with op.get_context().autocommit_block():
        op.drop_index(NAME, "stock", postgresql_concurrently=True, if_exists=True)
        op.create_index(NAME, "stock", ["channel", "sku"], postgresql_where=HAS_BLANKS, postgresql_concurrently=True)
