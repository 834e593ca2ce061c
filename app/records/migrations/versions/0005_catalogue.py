"""The catalogue, and how far each gateway has heard it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "catalogue",
        sa.Column("number", SERIAL, nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("root_key", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), server_default="", nullable=False),
        sa.Column("parent_sku", sa.Text(), server_default="", nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("item", sa.LargeBinary(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_catalogue")),
        sa.UniqueConstraint("channel", "key", name=op.f("uq_catalogue_channel_key")),
    )
    op.create_index("ix_catalogue_sku", "catalogue", ["channel", "sku"])
    op.create_index(
        "ix_catalogue_identity",
        "catalogue",
        ["channel", "identity"],
        sqlite_where=sa.text("identity <> ''"),
        postgresql_where=sa.text("identity <> ''"),
    )
    op.create_index("ix_catalogue_root", "catalogue", ["channel", "root_key"])
    op.create_index(
        "ix_catalogue_parent_sku",
        "catalogue",
        ["channel", "parent_sku"],
        sqlite_where=sa.text("parent_sku <> ''"),
        postgresql_where=sa.text("parent_sku <> ''"),
    )
    op.create_table(
        "catalogue_heard",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("root_key", sa.Text(), nullable=False),
        sa.Column("sent", sa.LargeBinary()),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("sent_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refusal", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("channel", "gateway", "root_key", name=op.f("pk_catalogue_heard")),
    )
    op.create_index(
        "ix_catalogue_heard_owed",
        "catalogue_heard",
        ["channel", "gateway", "seq"],
        sqlite_where=sa.text("seq > sent_seq"),
        postgresql_where=sa.text("seq > sent_seq"),
    )
    op.create_table(
        "categories",
        sa.Column("number", SERIAL, nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_categories")),
        sa.UniqueConstraint("channel", "path", name=op.f("uq_categories_channel_path")),
    )
