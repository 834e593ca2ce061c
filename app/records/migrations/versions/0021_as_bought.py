"""What was paid for shipping, what each refund is for, and since when units are taken off stand with the order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    with op.batch_alter_table("handed_out") as batch:
        batch.add_column(sa.Column("shipping", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("shipping_tax", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("taken_off_after", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("refunds") as batch:
        batch.add_column(sa.Column("rows", sa.LargeBinary(), nullable=True))
