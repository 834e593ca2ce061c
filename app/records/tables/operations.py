"""What happened, line by line, and what operators did."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
)

from app.records.tables.columns import Moment, Serial, index, metadata

journal = Table(
    "journal",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("channel", String(63), nullable=False),
    Column("name", String(64), nullable=False),
    Column("order_refnum", Text, nullable=False),
    Column("status", Integer),
    Column("outcome", String(64), nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("request_id", String(64), nullable=False),
)
"""One line per callback and per vendor call; never a body (R16)."""

index(journal, "ix_journal_at", "at")
index(journal, "ix_journal_order_refnum", "channel", "order_refnum")

operations = Table(
    "operations",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("who", String(60), nullable=False),
    Column("act", String(40), nullable=False),
    Column("channel", String(63), nullable=False),
    Column("gateway", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("count", Integer, nullable=False),
)
"""Every act of an operator: who, when, what, why and what came of it (R34).

`reason` is the operator's own text.  Never purged, as the ledger is not: it says who let money go.
"""

index(operations, "ix_operations_channel", "channel", "id")

operation_targets = Table(
    "operation_targets",
    metadata,
    Column("operation_id", Serial, ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("id", Text, primary_key=True),
)
"""The objects each act changed: deliveries, orders, refunds, late events, SKUs, products."""
