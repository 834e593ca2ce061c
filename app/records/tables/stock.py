"""Stock levels and how far each gateway has received them, the sync state of gateways, and what stands in the way."""

import sqlalchemy as sa

from app.records.tables.columns import BLANKS, FreeText, Moment, index, metadata

stock = sa.Table(
    "stock",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("sku", sa.Text, primary_key=True),
    sa.Column("level", sa.LargeBinary, nullable=False),
    sa.Column("sent", sa.LargeBinary),
    sa.Column("uncertain", sa.LargeBinary),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("sent_seq", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("refusal", FreeText, nullable=False, server_default=""),
    sa.Column("is_changed", sa.Boolean, nullable=False, server_default=sa.text("true")),
    sa.Column("turn", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("is_uncertain", sa.Boolean, nullable=False, server_default=sa.text("false")),
    sa.Column("stated_at", Moment, nullable=False, server_default="0"),
    sa.Column("sent_at", Moment),
    sa.Column("moved_at", Moment),
    sa.Column("again_at", Moment),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attention", sa.Text, nullable=False, server_default=""),
    sqlite_with_rowid=False,
)
"""The absolute stock of each SKU and how far each gateway has received it; owed where seq > sent_seq (R13).

`is_changed`: the level differs from what the vendor was last sent; those rows go first, by `turn`, the `seq` at which
they changed.  Of the others `turn` is when they were last sent, in milliseconds.  `is_uncertain`: the vendor may have
another figure than the one in `sent`.  `uncertain`: as JSON, the sources of the levels that attempts began to send
and whose outcome was never recorded.  `sent_at` is when the vendor last answered for the SKU, `moved_at` when a
shipment or an order last moved its figure since `stated_at`.  At `again_at` it is owed again by itself, `tries` times
more after a refusal.  `attention` is a sentence for the operator.
"""

IS_OWED_FACT = "seq > sent_seq"
IS_TO_BE_OWED = "again_at is not null"

index(stock, "ix_stock_owed", "channel", "gateway", "is_changed", "turn", "sku", where=IS_OWED_FACT)
index(stock, "ix_stock_again", "channel", "gateway", "again_at", where=IS_TO_BE_OWED)
index(stock, "ix_stock_attention", "channel", "gateway", where="attention <> ''")

HAS_BLANKS = f"sku <> trim(sku, '{BLANKS}')"
"""SKUs with a blank at an end, which some of RetailOps' systems drop."""

index(stock, "ix_stock_blanks", "channel", "sku", where=HAS_BLANKS)

fact_obstacles = sa.Table(
    "fact_obstacles",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("fact", sa.Text, primary_key=True),
    sa.Column("code", sa.String(16), primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
)
"""What at a vendor stands in the way of a refused or skipped fact: `fact` is the SKU of stock, the product's key of
the catalogue; `code` and `subject` name the product, location or lock.  A fact is owed again once that is gone."""

index(fact_obstacles, "ix_fact_obstacles_subject", "channel", "gateway", "code", "subject")

sync_states = sa.Table(
    "sync_states",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_try_at", Moment),
    sa.Column("lease_token", sa.String(32)),
    sa.Column("lease_until", Moment),
    sa.Column("last_error", FreeText, nullable=False, server_default=""),
    sa.Column("catalogue_attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("catalogue_next_try_at", Moment),
    sa.Column("catalogue_last_error", FreeText, nullable=False, server_default=""),
    sa.Column("poll_until_ms", sa.BigInteger),
    sa.Column("poll_due_at", Moment),
    sa.Column("hinted_at", Moment),
)
"""One row per (channel, gateway) that receives facts: the counter of `seq`, and who sends just now (R13).

`attempts`, `next_try_at` and `last_error` are stock's; the catalogue has its own, for one kind of fact that cannot be
sent must not hold up the other.  `poll_until_ms` says up to when, by the vendor's clock, it is known what its people
changed, and `poll_due_at` when the next poll is due; a hint of the vendor counts from `hinted_at` on.
"""

stock_disagreements = sa.Table(
    "stock_disagreements",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("pushes", sa.BigInteger, nullable=False),
    sa.Column("skus", sa.Integer, nullable=False),
    sa.Column("last_at", Moment, nullable=False),
    sa.Column("sku", sa.Text, nullable=False),
    sa.Column("stated", sa.BigInteger, nullable=False),
    sa.Column("added_up", sa.BigInteger, nullable=False),
)
"""Stock pushes in which `quantity_available` differs from the sum of `quantity_detail`, counted, with an example."""
