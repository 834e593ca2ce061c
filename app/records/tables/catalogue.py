"""The catalogue, the numbers of its SKUs and categories, and how far each gateway has received it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from app.records.tables.columns import FreeText, Moment, Serial, index, metadata
from app.records.tables.stock import IS_OWED_FACT, IS_TO_BE_OWED

catalogue = Table(
    "catalogue",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("key", Text, nullable=False),
    Column("root_key", Text, nullable=False),
    Column("identity", Text, nullable=False, server_default=""),
    Column("parent_sku", Text, nullable=False, server_default=""),
    Column("sku", Text, nullable=False),
    Column("title", FreeText, nullable=False, server_default=""),
    Column("item", LargeBinary, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("sku_number", BigInteger, nullable=False, server_default="0"),
    Column("parent_key", Text, nullable=False, server_default=""),
    Column("nested_key", Text, nullable=False, server_default=""),
    Column("waits_for", Text, nullable=False, server_default=""),
    Column("claimed", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("channel", "key"),
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
index(catalogue, "ix_catalogue_identity", "channel", "identity", where="identity <> ''")
index(catalogue, "ix_catalogue_root", "channel", "root_key")
index(catalogue, "ix_catalogue_parent_sku", "channel", "parent_sku", where="parent_sku <> ''")
index(catalogue, "ix_catalogue_waits_for", "channel", "waits_for", where="waits_for <> ''")

HAS_TITLE = text("title <> ''")

index(catalogue, "ix_catalogue_title", "channel", "number", "title", "root_key", where=HAS_TITLE)
"""Everything a search for a part of a title reads, without the records themselves."""

sku_numbers = Table(
    "sku_numbers",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("name", Text, nullable=False),
    Column("key", Text, nullable=False),
    UniqueConstraint("channel", "name"),
)
"""The number of every SKU there ever was, which stays the SKU's whichever record has it, and is never given twice.

`name` is the SKU, or the record's key where it has none; `key` is the record that has it, or had it last.
"""

index(sku_numbers, "ix_sku_numbers_key", "channel", "key")

catalogue_heard = Table(
    "catalogue_heard",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("root_key", Text, primary_key=True),
    Column("sent", LargeBinary),
    Column("seq", BigInteger, nullable=False),
    Column("sent_seq", BigInteger, nullable=False, server_default="0"),
    Column("refusal", FreeText, nullable=False, server_default=""),
    Column("is_changed", Boolean, nullable=False, server_default=text("true")),
    Column("turn", BigInteger, nullable=False, server_default="0"),
    Column("is_uncertain", Boolean, nullable=False, server_default=text("false")),
    Column("is_in_flight", Boolean, nullable=False, server_default=text("false")),
    Column("sent_at", Moment),
    Column("again_at", Moment),
)
"""How far each gateway has received each product with its variants; owed where seq > sent_seq (R13).

The columns mean what they mean in `stock`; `is_in_flight`: an attempt began whose outcome was never recorded.
"""

index(
    catalogue_heard,
    "ix_catalogue_heard_owed",
    "channel",
    "gateway",
    "is_changed",
    "turn",
    "root_key",
    where=IS_OWED_FACT,
)
index(catalogue_heard, "ix_catalogue_heard_again", "channel", "gateway", "again_at", where=IS_TO_BE_OWED)

categories = Table(
    "categories",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("path", Text, nullable=False),
    UniqueConstraint("channel", "path"),
)
"""Every category a product ever stood in, so that it keeps one number for ever."""
