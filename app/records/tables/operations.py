"""What happened, line by line, what operators did, and by which numbers it is found."""

import sqlalchemy as sa

from app.records.tables.columns import Moment, Serial, SortedText, index, metadata

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
    sa.Column("events", sa.LargeBinary),
    sa.Column("problems", sa.LargeBinary),
)
"""One line per callback, per vendor call and per request of a vendor (`kind` hook); never a body (R16).

`events`: of a callback, the events it was answered with, where there were any.  `problems`: what was wrong with its
body or with our answer, by pointer and rule (`domain.body_problems`)."""

IS_HOOK = "kind = 'hook'"

index(journal, "ix_journal_at", "at")
index(journal, "ix_journal_order_refnum", "channel", "order_refnum")
index(journal, "ix_journal_hooks", "at", "id", where=IS_HOOK)
sa.Index("ix_journal_request_id", journal.c.request_id, postgresql_ops={"request_id": "varchar_pattern_ops"})
"""Served for prefixes with LIKE; what it costs falls to the thread that writes the journal."""

unverified_requests = sa.Table(
    "unverified_requests",
    metadata,
    sa.Column("path", sa.String(80), primary_key=True),
    sa.Column("status", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("first_at", Moment, nullable=False),
    sa.Column("last_at", Moment, nullable=False),
)
"""Requests without a valid key or signature, of the last hour, at most 100 kinds of them (P46)."""

search_keys = sa.Table(
    "search_keys",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("order_refnum", sa.Text, primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("object", sa.Text, primary_key=True),
    sa.Column("folded_key", SortedText, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sqlite_with_rowid=False,
)
"""Every number an order and its parts are known by, from the moment it is known (P38).

`object` is the number as it is written, `folded_key` as it is searched for (`records.search_keys.folded`), `at` when it
was learned.  The row of kind `order` is the order's own: there is one for each order this server knows.
"""

IS_ORDER_KEY = "kind = 'order'"
IS_TRACKING_KEY = "kind = 'tracking'"

index(search_keys, "ix_search_keys_folded_key", "folded_key")
index(search_keys, "ix_search_keys_orders", "at", "channel", "order_refnum", where=IS_ORDER_KEY)
index(search_keys, "ix_search_keys_channel_orders", "channel", "at", "order_refnum", where=IS_ORDER_KEY)
index(search_keys, "ix_search_keys_tracking", "at", where=IS_TRACKING_KEY)

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
