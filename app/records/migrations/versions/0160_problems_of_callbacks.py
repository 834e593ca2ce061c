"""A column for what was wrong with a callback's body; code without it leaves it empty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0160"
down_revision = "0141"
usable_from = "0100"


def upgrade() -> None:
    op.add_column("journal", sa.Column("problems", sa.LargeBinary()))
