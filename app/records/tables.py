"""The tables: what has to outlive a process.

Times are aware UTC and stored as whole milliseconds; structures are stored as JSON bytes.  No table
holds an address of Pipe17 traffic except the body of a delivery that is still owed (R19).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Serial = BigInteger().with_variant(Integer, "sqlite")
"""A growing number; SQLite numbers rows by itself only where the type is spelled INTEGER."""


class Moment(TypeDecorator[datetime]):
    """An aware UTC time, kept as milliseconds since 1970 so that both databases compare it alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        return None if value is None else int(value.timestamp() * 1000)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)


handed_out = Table(
    "handed_out",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("refnum", Text, primary_key=True),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("state", String(16), nullable=False, server_default="open"),
    Column("lines", LargeBinary, nullable=False),
    Column("times", Integer, nullable=False, server_default="0"),
    Column("last_pull_ms", BigInteger, nullable=False, server_default="0"),
    Column("last_handed_at", Moment),
    Column("acknowledged_at", Moment),
    Column("retailops_order_id", String(32), nullable=False, server_default=""),
)
"""What `order_pull` gave away or a callback asked about, for every order source (R18)."""

held_back = Table(
    "held_back",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("refnum", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", Moment, nullable=False),
)
"""Orders that could not be sent correctly, for the operator; gone once they can."""

packages = Table(
    "packages",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("order_refnum", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("retailops_shipment_id", String(32), nullable=False),
    Column("lines", LargeBinary, nullable=False),
    Column("registered_at", Moment, nullable=False),
)
"""Parcels registered for an order: what has shipped, as far as this server knows (R21, R22)."""

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
    UniqueConstraint("channel", "callback", "natural_key"),
)
"""The ledger of natural keys: a command with an effect binds its key for ever (R9)."""

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
    Column("last_error", Text, nullable=False, server_default=""),
    Column("events", LargeBinary),
    Column("request_id", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("closed_at", Moment),
)
"""Calls owed to vendors; the body goes when the call is delivered, the line stays (R8, R12, R28)."""

IS_OPEN = text("state in ('owed', 'checking', 'parked')")

Index(
    "ix_deliveries_lane",
    deliveries.c.channel,
    deliveries.c.gateway,
    deliveries.c.lane,
    deliveries.c.id,
    sqlite_where=IS_OPEN,
    postgresql_where=IS_OPEN,
)
Index(
    "ix_deliveries_due",
    deliveries.c.next_try_at,
    deliveries.c.id,
    sqlite_where=text("state in ('owed', 'checking')"),
    postgresql_where=text("state in ('owed', 'checking')"),
)
Index("ix_deliveries_command_id", deliveries.c.command_id)

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
    Column("refusal", Text, nullable=False, server_default=""),
    sqlite_with_rowid=False,
)
"""The absolute stock of each SKU and how far each gateway has heard it; owed where seq > sent_seq (R13)."""

Index(
    "ix_stock_owed",
    stock.c.channel,
    stock.c.gateway,
    stock.c.seq,
    sqlite_where=text("seq > sent_seq"),
    postgresql_where=text("seq > sent_seq"),
)

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
    Column("last_error", Text, nullable=False, server_default=""),
)
"""One row per (channel, gateway) that hears facts: the counter of `seq`, and who sends just now (R13)."""

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

Index("ix_journal_at", journal.c.at)
Index("ix_journal_order_refnum", journal.c.channel, journal.c.order_refnum)
