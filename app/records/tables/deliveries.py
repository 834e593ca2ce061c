"""The ledger of commands, the calls they owe to vendors, and what turned out after the answer."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from app.records.tables.columns import FreeText, Moment, Serial, index, metadata

commands = Table(
    "commands",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("callback", String(40), nullable=False),
    Column("natural_key", Text, nullable=False),
    Column("order_refnum", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("events", LargeBinary, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("key_form", Integer, nullable=False, server_default="1"),
    UniqueConstraint("channel", "callback", "natural_key"),
)
"""The ledger of natural keys: a command with an effect binds its key for ever (R9).

`key_form`: how `natural_key` spells RetailOps' numbers (`former_keys`)."""

index(commands, "ix_commands_order_refnum", "channel", "order_refnum")

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("gateway", String(32), nullable=False),
    Column("verb", String(40), nullable=False),
    Column("lane", Text, nullable=False),
    Column("command_id", Serial, ForeignKey("commands.id", ondelete="CASCADE"), nullable=False),
    Column("body", LargeBinary),
    Column("about", LargeBinary, nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("is_possibly_done", Boolean, nullable=False, server_default=text("false")),
    Column("last_attempt_at", Moment),
    Column("next_try_at", Moment, nullable=False),
    Column("lease_token", String(32)),
    Column("lease_until", Moment),
    Column("last_code", String(64), nullable=False, server_default=""),
    Column("last_error", FreeText, nullable=False, server_default=""),
    Column("events", LargeBinary),
    Column("request_id", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("closed_at", Moment),
    Column("dropped_because", FreeText),
    Column("late_until", Moment),
)
"""Calls owed to vendors; the body goes when the call is delivered, the line stays (R8, R12, R28)."""

IS_OPEN = text("state in ('owed', 'checking', 'parked')")

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

late_news = Table(
    "late_news",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("gateway", String(32), nullable=False),
    Column("callback", String(40), nullable=False),
    Column("subject", Text, nullable=False),
    Column("code", String(80), nullable=False),
    Column("message", FreeText, nullable=False),
    Column("about", LargeBinary, nullable=False),
    Column("delivery_id", BigInteger),
    Column("request_id", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("told_at", Moment),
    Column("told_to", String(64), nullable=False, server_default=""),
    Column("told_request_id", String(64), nullable=False, server_default=""),
    Column("dismissed_at", Moment),
)
"""What turned out after a callback was answered, until RetailOps and the operator know it (R15)."""

index(late_news, "ix_late_news_told_at", "told_at")
index(late_news, "ix_late_news_subject", "channel", "subject")
