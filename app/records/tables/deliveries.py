"""The ledger of commands, the calls they owe to vendors, and what turned out after the answer."""

import sqlalchemy as sa

from app.records.tables.columns import FreeText, Moment, Serial, index, metadata

commands = sa.Table(
    "commands",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("channel", sa.String(63), nullable=False),
    sa.Column("callback", sa.String(40), nullable=False),
    sa.Column("natural_key", sa.Text, nullable=False),
    sa.Column("order_refnum", sa.Text, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("events", sa.LargeBinary, nullable=False),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("begun_at", Moment, nullable=False),
    sa.Column("lease_until", Moment, nullable=False),
    sa.Column("finished_at", Moment),
    sa.UniqueConstraint("channel", "callback", "natural_key"),
)
"""The ledger of natural keys: a command with an effect binds its key for ever (R9)."""

index(commands, "ix_commands_order_refnum", "channel", "order_refnum")

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("channel", sa.String(63), nullable=False),
    sa.Column("gateway", sa.String(32), nullable=False),
    sa.Column("verb", sa.String(40), nullable=False),
    sa.Column("lane", sa.Text, nullable=False),
    sa.Column("command_id", Serial, sa.ForeignKey("commands.id", ondelete="CASCADE"), nullable=False),
    sa.Column("body", sa.LargeBinary),
    sa.Column("about", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("is_possibly_done", sa.Boolean, nullable=False, server_default=sa.text("false")),
    sa.Column("last_attempt_at", Moment),
    sa.Column("next_try_at", Moment, nullable=False),
    sa.Column("lease_token", sa.String(32)),
    sa.Column("lease_until", Moment),
    sa.Column("last_code", sa.String(64), nullable=False, server_default=""),
    sa.Column("last_error", FreeText, nullable=False, server_default=""),
    sa.Column("events", sa.LargeBinary),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("closed_at", Moment),
    sa.Column("dropped_because", FreeText),
    sa.Column("late_until", Moment),
)
"""Calls owed to vendors; the body goes when the call is delivered, the line stays (R8, R12, R28)."""

IS_OPEN = sa.text("state in ('owed', 'checking', 'parked')")

index(deliveries, "ix_deliveries_lane", "channel", "gateway", "lane", "id", where=IS_OPEN)
index(
    deliveries,
    "ix_deliveries_due",
    "channel",
    "gateway",
    "next_try_at",
    "id",
    where="state in ('owed', 'checking')",
)
index(deliveries, "ix_deliveries_command_id", "command_id")
index(deliveries, "ix_deliveries_late", "channel", "gateway", "lane", "late_until", where="late_until is not null")
"""Few rows: calls of which an attempt may still arrive at the vendor, so that later ones of the lane wait (R11)."""

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("delivery_id", Serial, sa.ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("at", Moment, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("ms", sa.Integer),
    sa.Column("outcome", sa.String(12), nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("code", sa.String(64), nullable=False),
)
"""Each attempt at a call, written with what came of it: `outcome` is the state it left the call in.

`number` counts from 1; an operator who has a parked call tried again lets it begin anew.  `status` is the vendor's
HTTP status, null where there was none or it says nothing that the outcome does not."""

late_events = sa.Table(
    "late_events",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("channel", sa.String(63), nullable=False),
    sa.Column("gateway", sa.String(32), nullable=False),
    sa.Column("callback", sa.String(40), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("code", sa.String(80), nullable=False),
    sa.Column("message", FreeText, nullable=False),
    sa.Column("about", sa.LargeBinary, nullable=False),
    sa.Column("delivery_id", sa.BigInteger),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("sent_at", Moment),
    sa.Column("sent_to", sa.String(64), nullable=False, server_default=""),
    sa.Column("sent_request_id", sa.String(64), nullable=False, server_default=""),
    sa.Column("dismissed_at", Moment),
)
"""What turned out after a callback was answered, until RetailOps and the operator know it (R15)."""

index(late_events, "ix_late_events_sent_at", "sent_at")
index(late_events, "ix_late_events_subject", "channel", "subject")
index(late_events, "ix_late_events_open", "channel", where="dismissed_at is null")
index(late_events, "ix_late_events_dismissed", "dismissed_at", where="dismissed_at is not null")
