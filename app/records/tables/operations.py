"""What happened, line by line, and what operators did."""

import sqlalchemy as sa

from app.records.tables.columns import Moment, Serial, index, metadata

journal = sa.Table(
    "journal",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("channel", sa.String(63), nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("order_refnum", sa.Text, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("outcome", sa.String(64), nullable=False),
    sa.Column("duration_ms", sa.Integer, nullable=False),
    sa.Column("request_id", sa.String(64), nullable=False),
)
"""One line per callback and per vendor call; never a body (R16)."""

index(journal, "ix_journal_at", "at")
index(journal, "ix_journal_order_refnum", "channel", "order_refnum")

operations = sa.Table(
    "operations",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("who", sa.String(60), nullable=False),
    sa.Column("act", sa.String(40), nullable=False),
    sa.Column("channel", sa.String(63), nullable=False),
    sa.Column("gateway", sa.String(32), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("outcome", sa.String(32), nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
)
"""Every act of an operator: who, when, what, why and what came of it (R34).

`reason` is the operator's own text.  Never purged, as the ledger is not: it says who let money go.
"""

index(operations, "ix_operations_channel", "channel", "id")

operation_targets = sa.Table(
    "operation_targets",
    metadata,
    sa.Column("operation_id", Serial, sa.ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
)
"""The objects each act changed: deliveries, orders, refunds, late events, SKUs, products."""

pauses = sa.Table(
    "pauses",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("who", sa.String(60), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
"""Gateways that an operator has paused: since when, who and why; nothing is sent to them while the row stands."""

check_requests = sa.Table(
    "check_requests",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("who", sa.String(60), nullable=False),
    sa.Column("begun_at", Moment),
    sa.Column("ended_at", Moment),
    sa.Column("lease_until", Moment),
    sa.Column("done", sa.Integer, nullable=False, server_default="0"),
    sa.Column("total", sa.Integer, nullable=False, server_default="0"),
    sa.Column("report", sa.LargeBinary),
)
"""Requests to check all connections, which a delivering process carries out: how far it is, and what it found.

`report` is the finished report as JSON; `done` of `total` gateways have answered."""
