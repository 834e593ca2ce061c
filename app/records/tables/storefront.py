"""Orders, carts and reservations of a shop that is served here."""

import sqlalchemy as sa

from app.records.tables.columns import Moment, index, metadata

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("refnum", sa.Text, primary_key=True),
    sa.Column("cart_id", sa.Text, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("hooks", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("exportable_at", Moment),
    sa.Column("cancelled_at", Moment),
    sa.Column("changed_at", Moment, nullable=False),
    sa.Column("purge_after", Moment, nullable=False),
    sa.Column("paid_at", Moment),
    sa.Column("taken_at", Moment),
    sa.UniqueConstraint("channel", "cart_id"),
)
"""Orders of a source that pushes them here, whole, until RetailOps needs them no more (R19, R28).

`hooks` holds what the source sent, one body a line, for what we do not understand yet.  `paid_at`: when the shopper's
money was first known of; a paid order is kept beyond its date until RetailOps has it.  `taken_at`: when it was noted
that RetailOps has it for good, or that it is over for it (`storefront.order_queue`).
"""

IS_PAID_FOR = orders.c.paid_at.is_not(None) & orders.c.state.in_(("pending", "review", "paid"))
"""Orders whose shopper has paid and which are not over at their source."""

index(orders, "ix_orders_created_at", "channel", "created_at")
index(orders, "ix_orders_exportable_at", "channel", "exportable_at")
index(orders, "ix_orders_cancelled_at", "channel", "cancelled_at")
index(orders, "ix_orders_purge_after", "purge_after")

IS_QUEUED = sa.text("exportable_at is not null and taken_at is null")
"""Orders that RetailOps may be given, and some that it has by now."""

index(orders, "ix_orders_queue", "channel", "exportable_at", "refnum", where=IS_QUEUED)

carts = sa.Table(
    "carts",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("cart_id", sa.Text, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
    sa.Column("purge_after", Moment, nullable=False),
)
"""What shoppers are about to buy, until it is an order or forgotten (R28)."""

index(carts, "ix_carts_purge_after", "purge_after")

reservations = sa.Table(
    "reservations",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("sku", sa.Text, primary_key=True),
    sa.Column("order_refnum", sa.Text, primary_key=True),
    sa.Column("units", sa.Integer, nullable=False),
    sa.Column("acknowledged_at", Moment),
)
"""Units of orders that RetailOps' stock figures do not count yet (R25)."""

index(reservations, "ix_reservations_order_refnum", "channel", "order_refnum")
