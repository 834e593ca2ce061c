"""Keys say in which form they spell RetailOps' numbers; the numbers of acknowledged orders take the form of today (R7).

Code from before this migration goes on working: its keys are marked as spelled in the earlier form.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.domain.retailops_numbers import canonical

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    for name in ("commands", "refunds"):
        with op.batch_alter_table(name) as batch:
            batch.add_column(sa.Column("key_form", sa.Integer(), server_default="1", nullable=False))
    number = sa.column("retailops_order_id", sa.Text())
    orders = sa.table("handed_out", sa.column("channel", sa.Text()), sa.column("refnum", sa.Text()), number)
    is_spelled_otherwise = sa.or_(*(number.like(start) for start in ("0%", "-0%", "+%", "%.%")))
    connection = op.get_bind()
    for channel, refnum, spelled in connection.execute(
        sa.select(orders.c.channel, orders.c.refnum, number).where(is_spelled_otherwise)
    ).all():
        connection.execute(
            sa.update(orders)
            .where(orders.c.channel == channel, orders.c.refnum == refnum)
            .values(retailops_order_id=canonical(spelled))
        )
