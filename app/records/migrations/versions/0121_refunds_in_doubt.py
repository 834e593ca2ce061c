"""An index of the few refunds that a person has to decide on, made beside traffic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0121"
down_revision = "0120"
usable_from = "0100"

NAME = "ix_refunds_in_doubt"
IS_IN_DOUBT = sa.text("state = 'parked'")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(NAME, "refunds", ["id"], sqlite_where=IS_IN_DOUBT)
        return
    with op.get_context().autocommit_block():
        op.drop_index(NAME, "refunds", postgresql_concurrently=True, if_exists=True)
        op.create_index(NAME, "refunds", ["id"], postgresql_where=IS_IN_DOUBT, postgresql_concurrently=True)
