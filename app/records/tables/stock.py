"""Stock levels and how far each gateway has received them, the sync state of gateways, and what stands in the way."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from app.records.tables.columns import FreeText, Moment, index, metadata

stock = Table(
    "stock",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("level", LargeBinary, nullable=False),
    Column("sent", LargeBinary),
    Column("seq", BigInteger, nullable=False),
    Column("sent_seq", BigInteger, nullable=False, server_default="0"),
    Column("refusal", FreeText, nullable=False, server_default=""),
    Column("is_changed", Boolean, nullable=False, server_default=text("true")),
    Column("turn", BigInteger, nullable=False, server_default="0"),
    Column("is_uncertain", Boolean, nullable=False, server_default=text("false")),
    Column("stated_at", Moment, nullable=False, server_default="0"),
    Column("sent_at", Moment),
    Column("moved_at", Moment),
    Column("again_at", Moment),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("attention", Text, nullable=False, server_default=""),
    sqlite_with_rowid=False,
)
"""The absolute stock of each SKU and how far each gateway has received it; owed where seq > sent_seq (R13).

`is_changed`: the level differs from what the vendor was last sent; those rows go first, by `turn`, the `seq` at which
they changed.  Of the others `turn` is when they were last sent, in milliseconds.  `is_uncertain`: the vendor may have
another figure than the one in `sent`.  `sent_at` is when the vendor last answered for the SKU, `moved_at` when a
shipment or an order last moved its figure since `stated_at`.  At `again_at` it is owed again by itself, `tries` times
more after a refusal.  `attention` is a sentence for the operator.
"""

IS_OWED_FACT = "seq > sent_seq"
IS_TO_BE_OWED = "again_at is not null"

index(stock, "ix_stock_owed", "channel", "gateway", "is_changed", "turn", "sku", where=IS_OWED_FACT)
index(stock, "ix_stock_again", "channel", "gateway", "again_at", where=IS_TO_BE_OWED)
index(stock, "ix_stock_attention", "channel", "gateway", where="attention <> ''")

fact_obstacles = Table(
    "fact_obstacles",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("fact", Text, primary_key=True),
    Column("code", String(16), primary_key=True),
    Column("subject", Text, primary_key=True),
)
"""What at a vendor stands in the way of a refused or skipped fact: `fact` is the SKU of stock, the product's key of
the catalogue; `code` and `subject` name the product, location or lock.  A fact is owed again once that is gone."""

index(fact_obstacles, "ix_fact_obstacles_subject", "channel", "gateway", "code", "subject")

fact_streams = Table(
    "fact_streams",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("seq", BigInteger, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_try_at", Moment),
    Column("lease_token", String(32)),
    Column("lease_until", Moment),
    Column("last_error", FreeText, nullable=False, server_default=""),
    Column("catalogue_attempts", Integer, nullable=False, server_default="0"),
    Column("catalogue_next_try_at", Moment),
    Column("catalogue_last_error", FreeText, nullable=False, server_default=""),
    Column("wishes_until_ms", BigInteger),
    Column("wishes_next_look_at", Moment),
)
"""One row per (channel, gateway) that hears facts: the counter of `seq`, and who sends just now (R13).

`attempts`, `next_try_at` and `last_error` are stock's; the catalogue has its own, for one kind of fact that cannot be
told must not hold up the other.  `wishes_until_ms` says up to when, by the vendor's clock, it is known what its people
want to hear again.
"""

stock_disagreements = Table(
    "stock_disagreements",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("pushes", BigInteger, nullable=False),
    Column("skus", Integer, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("sku", Text, nullable=False),
    Column("stated", BigInteger, nullable=False),
    Column("added_up", BigInteger, nullable=False),
)
"""Stock pushes in which `quantity_available` differs from the sum of `quantity_detail`, counted, with an example."""
