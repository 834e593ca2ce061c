"""The number vendors know goods by follows the SKU, and no longer the record that has it just now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

NAME = "case when {0}sku = '' then {0}key else {0}sku end"


def upgrade() -> None:
    op.create_table(
        "sku_numbers",
        sa.Column("number", SERIAL, nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_sku_numbers")),
        sa.UniqueConstraint("channel", "name", name=op.f("uq_sku_numbers_channel_name")),
    )
    op.create_index("ix_sku_numbers_key", "sku_numbers", ["channel", "key"])
    with op.batch_alter_table("catalogue") as batch:
        batch.add_column(sa.Column("sku_number", sa.BigInteger(), server_default="0", nullable=False))
    name = NAME.format("")
    op.execute(
        f"insert into sku_numbers (number, channel, name, key) select number, channel, {name}, key from catalogue "
        f"where number in (select min(number) from catalogue group by channel, {name})"
    )
    op.execute(
        "update catalogue set sku_number = (select known.number from sku_numbers known "
        f"where known.channel = catalogue.channel and known.name = {NAME.format('catalogue.')})"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "select setval(pg_get_serial_sequence('sku_numbers', 'number'), coalesce(max(number), 1), "
            "max(number) is not null) from catalogue"
        )
