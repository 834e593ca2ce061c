"""What was charged for orders and what has gone back."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from app.records.tables.columns import Amount, FreeText, Moment, Serial, index, metadata

payments = Table(
    "payments",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("order_refnum", Text, primary_key=True),
    Column("refnum", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("processing_type", String(32), nullable=False),
    Column("payment_type", FreeText, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("captured", Amount, nullable=False, server_default="0"),
    Column("capturing", Amount, nullable=False, server_default="0"),
)
"""What was charged for each order, payment by payment; of an authorised one, what has been captured."""

index(payments, "ix_payments_refnum", "channel", "refnum")

refunds = Table(
    "refunds",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("key", Text, nullable=False),
    Column("order_refnum", Text, nullable=False),
    Column("payment_refnum", Text, nullable=False),
    Column("callback", String(40), nullable=False),
    Column("natural_key", Text, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("is_store_credit", Boolean, nullable=False, server_default=text("false")),
    Column("lines", LargeBinary, nullable=False),
    Column("rows", LargeBinary),
    Column("state", String(12), nullable=False),
    Column("refnum", Text, nullable=False, server_default=""),
    Column("matched_callback", String(40), nullable=False, server_default=""),
    Column("matched_key", Text, nullable=False, server_default=""),
    Column("repeats", Integer, nullable=False, server_default="0"),
    Column("created_at", Moment, nullable=False),
    Column("told_at", Moment),
    Column("released_at", Moment),
    Column("seen", Moment),
    Column("key_form", Integer, nullable=False, server_default="1"),
    UniqueConstraint("channel", "key"),
)
"""Money given back or held for it, payment by payment, and what was only recorded; never purged (R9, R23).

`seen`: when it was written, by the time that was seen passing (`heartbeat`).  `lines`: the units it is for.  `rows`:
what part of the amount is for which line, for tax and for shipping; null where that was not worked out here.
`key_form`: how `natural_key` spells RetailOps' numbers (`former_keys`)."""

index(refunds, "ix_refunds_order_refnum", "channel", "order_refnum")
index(refunds, "ix_refunds_natural_key", "channel", "callback", "natural_key")
