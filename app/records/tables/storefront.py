"""Orders, carts and reservations of a shop that is served here."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from app.records.tables.columns import Moment, index, metadata

orders = Table(
    "orders",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("refnum", Text, primary_key=True),
    Column("cart_id", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("hooks", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("exportable_at", Moment),
    Column("cancelled_at", Moment),
    Column("changed_at", Moment, nullable=False),
    Column("purge_after", Moment, nullable=False),
    Column("paid_at", Moment),
    UniqueConstraint("channel", "cart_id"),
)
"""Orders of a source that pushes them here, whole, until RetailOps needs them no more (R19, R28).

`hooks` holds what the source sent, one body a line, for what we do not understand yet.  `paid_at`: when the shopper's
money was first known of; a paid order is kept beyond its date until RetailOps has it.
"""

IS_PAID_FOR = orders.c.paid_at.is_not(None) & orders.c.state.in_(("pending", "review", "paid"))
"""Orders whose shopper has paid and which are not over at their source."""

index(orders, "ix_orders_created_at", "channel", "created_at")
index(orders, "ix_orders_exportable_at", "channel", "exportable_at")
index(orders, "ix_orders_cancelled_at", "channel", "cancelled_at")
index(orders, "ix_orders_purge_after", "purge_after")

carts = Table(
    "carts",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("cart_id", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("purge_after", Moment, nullable=False),
)
"""What shoppers are about to buy, until it is an order or forgotten (R28)."""

index(carts, "ix_carts_purge_after", "purge_after")

reservations = Table(
    "reservations",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("order_refnum", Text, primary_key=True),
    Column("units", Integer, nullable=False),
    Column("acknowledged_at", Moment),
)
"""Units of orders that RetailOps' stock figures do not count yet (R25)."""

index(reservations, "ix_reservations_order_refnum", "channel", "order_refnum")
