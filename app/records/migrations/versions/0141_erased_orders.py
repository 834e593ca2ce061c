"""Orders whose personal data is gone are marked, so that nothing that names them brings it back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0141"
down_revision = "0140"
usable_from = "0100"


def upgrade() -> None:
    op.add_column("handed_out", sa.Column("erased_at", sa.BigInteger(), nullable=True))
