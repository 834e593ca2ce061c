"""The catalogue, the numbers of its SKUs and categories, and how far each gateway has received it."""

import sqlalchemy as sa

from app.records.tables.columns import FreeText, Moment, Serial, index, metadata
from app.records.tables.stock import HAS_BLANKS, IS_OWED_FACT, IS_TO_BE_OWED

catalogue = sa.Table(
    "catalogue",
    metadata,
    sa.Column("number", Serial, primary_key=True),
    sa.Column("channel", sa.String(63), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("root_key", sa.Text, nullable=False),
    sa.Column("identity", sa.Text, nullable=False, server_default=""),
    sa.Column("parent_sku", sa.Text, nullable=False, server_default=""),
    sa.Column("sku", sa.Text, nullable=False),
    sa.Column("title", FreeText, nullable=False, server_default=""),
    sa.Column("item", sa.LargeBinary, nullable=False),
    sa.Column("is_enabled", sa.Boolean, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
    sa.Column("sku_number", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("parent_key", sa.Text, nullable=False, server_default=""),
    sa.Column("nested_key", sa.Text, nullable=False, server_default=""),
    sa.Column("waits_for", sa.Text, nullable=False, server_default=""),
    sa.Column("claimed", sa.BigInteger, nullable=False, server_default="0"),
    sa.UniqueConstraint("channel", "key"),
)
"""The catalogue as RetailOps stated it last, a row for each product and each variant (R13, R26).

`item` and `nested_key`, the record this one was stated inside of, are what RetailOps stated and nothing else.  What
follows from the whole (`domain.catalogue_resolution`) stands beside it: `sku` is the SKU the record has, `waits_for`
the one it states and another record has; of several that state it the latest (`claimed`) has it.  `parent_key` is
the record it belongs to and `root_key` the product at the top, its own key for a product.

`key` never changes; `identity` is RetailOps' object, "" until it has named one; `title` is folded for searching;
`number` says which was named first, `sku_number` is the one vendors know it by.
"""

index(catalogue, "ix_catalogue_sku", "channel", "sku")
index(catalogue, "ix_catalogue_blanks", "channel", "sku", where=HAS_BLANKS)
index(catalogue, "ix_catalogue_identity", "channel", "identity", where="identity <> ''")
index(catalogue, "ix_catalogue_root", "channel", "root_key")
index(catalogue, "ix_catalogue_parent_sku", "channel", "parent_sku", where="parent_sku <> ''")
index(catalogue, "ix_catalogue_waits_for", "channel", "waits_for", where="waits_for <> ''")

HAS_TITLE = sa.text("title <> ''")

index(catalogue, "ix_catalogue_title", "channel", "number", "title", "root_key", where=HAS_TITLE)
"""Everything a search for a part of a title reads, without the records themselves."""

sku_numbers = sa.Table(
    "sku_numbers",
    metadata,
    sa.Column("number", Serial, primary_key=True),
    sa.Column("channel", sa.String(63), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.UniqueConstraint("channel", "name"),
)
"""The number of every SKU there ever was, which stays the SKU's whichever record has it, and is never given twice.

`name` is the SKU, or the record's key where it has none; `key` is the record that has it, or had it last.
"""

index(sku_numbers, "ix_sku_numbers_key", "channel", "key")

catalogue_sync = sa.Table(
    "catalogue_sync",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("root_key", sa.Text, primary_key=True),
    sa.Column("sent", sa.LargeBinary),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("sent_seq", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("refusal", FreeText, nullable=False, server_default=""),
    sa.Column("is_changed", sa.Boolean, nullable=False, server_default=sa.text("true")),
    sa.Column("turn", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("is_uncertain", sa.Boolean, nullable=False, server_default=sa.text("false")),
    sa.Column("is_in_flight", sa.Boolean, nullable=False, server_default=sa.text("false")),
    sa.Column("sent_at", Moment),
    sa.Column("again_at", Moment),
)
"""How far each gateway has received each product with its variants; owed where seq > sent_seq (R13).

The columns mean what they mean in `stock`; `is_in_flight`: an attempt began whose outcome was never recorded.
"""

index(
    catalogue_sync,
    "ix_catalogue_sync_owed",
    "channel",
    "gateway",
    "is_changed",
    "turn",
    "root_key",
    where=IS_OWED_FACT,
)
index(catalogue_sync, "ix_catalogue_sync_again", "channel", "gateway", "again_at", where=IS_TO_BE_OWED)

categories = sa.Table(
    "categories",
    metadata,
    sa.Column("number", Serial, primary_key=True),
    sa.Column("channel", sa.String(63), nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.UniqueConstraint("channel", "path"),
)
"""Every category a product ever stood in, so that it keeps one number for ever."""
