"""The tables: what has to outlive a process.

Times are aware UTC and stored as whole milliseconds; structures are stored as JSON bytes.  No table
holds an address of Pipe17 traffic except the body of a delivery that is still owed (R19).
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
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


class Amount(TypeDecorator[Decimal]):
    """Money, kept as whole ten-thousandths so that both databases add and compare it exactly.

    Raises ValueError for an amount with more than four decimals.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> int | None:
        if value is None:
            return None
        scaled = value.scaleb(4)
        if scaled != scaled.to_integral_value():
            raise ValueError("an amount has more than four decimals")
        return int(scaled)

    def process_result_value(self, value: int | None, dialect: Any) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-4)


handed_out = Table(
    "handed_out",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("refnum", Text, primary_key=True),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("state", String(16), nullable=False, server_default="open"),
    Column("lines", LargeBinary, nullable=False),
    Column("rejected", LargeBinary),
    Column("times", Integer, nullable=False, server_default="0"),
    Column("last_pull_ms", BigInteger, nullable=False, server_default="0"),
    Column("last_handed_at", Moment),
    Column("acknowledged_at", Moment),
    Column("retailops_order_id", Text, nullable=False, server_default=""),
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
    Column("retailops_shipment_id", Text, nullable=False),
    Column("lines", LargeBinary, nullable=False),
    Column("registered_at", Moment, nullable=False),
)
"""Parcels registered for an order: what has shipped, as far as this server knows (R21, R22)."""

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
    Column("payment_type", Text, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("captured", Amount, nullable=False, server_default="0"),
    Column("capturing", Amount, nullable=False, server_default="0"),
)
"""What was charged for each order, payment by payment; of an authorised one, what has been captured."""

Index("ix_payments_refnum", payments.c.channel, payments.c.refnum)

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
    Column("state", String(12), nullable=False),
    Column("refnum", Text, nullable=False, server_default=""),
    Column("matched_callback", String(40), nullable=False, server_default=""),
    Column("matched_key", Text, nullable=False, server_default=""),
    Column("repeats", Integer, nullable=False, server_default="0"),
    Column("created_at", Moment, nullable=False),
    Column("told_at", Moment),
    Column("released_at", Moment),
    UniqueConstraint("channel", "key"),
)
"""Money given back or held for it, payment by payment, and what was only recorded; never purged (R9, R23)."""

Index("ix_refunds_order_refnum", refunds.c.channel, refunds.c.order_refnum)
Index("ix_refunds_natural_key", refunds.c.channel, refunds.c.callback, refunds.c.natural_key)

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

Index("ix_commands_order_refnum", commands.c.channel, commands.c.order_refnum)

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
    Column("dropped_because", Text),
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
    deliveries.c.channel,
    deliveries.c.gateway,
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

catalogue = Table(
    "catalogue",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("key", Text, nullable=False),
    Column("root_key", Text, nullable=False),
    Column("identity", Text, nullable=False, server_default=""),
    Column("parent_sku", Text, nullable=False, server_default=""),
    Column("sku", Text, nullable=False),
    Column("title", Text, nullable=False, server_default=""),
    Column("item", LargeBinary, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("changed_at", Moment, nullable=False),
    UniqueConstraint("channel", "key"),
)
"""The catalogue as RetailOps stated it last, a row for each product and each variant (R13, R26).

`key` never changes; `root_key` is the row's own, or that of the product it is a variant of; `identity` is
RetailOps' object, "" until it has named one; `title` is folded for searching.
"""

Index("ix_catalogue_sku", catalogue.c.channel, catalogue.c.sku)
Index(
    "ix_catalogue_identity",
    catalogue.c.channel,
    catalogue.c.identity,
    sqlite_where=text("identity <> ''"),
    postgresql_where=text("identity <> ''"),
)
Index("ix_catalogue_root", catalogue.c.channel, catalogue.c.root_key)
Index(
    "ix_catalogue_parent_sku",
    catalogue.c.channel,
    catalogue.c.parent_sku,
    sqlite_where=text("parent_sku <> ''"),
    postgresql_where=text("parent_sku <> ''"),
)

catalogue_heard = Table(
    "catalogue_heard",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("root_key", Text, primary_key=True),
    Column("sent", LargeBinary),
    Column("seq", BigInteger, nullable=False),
    Column("sent_seq", BigInteger, nullable=False, server_default="0"),
    Column("refusal", Text, nullable=False, server_default=""),
)
"""How far each gateway has heard each product with its variants; owed where seq > sent_seq (R13)."""

Index(
    "ix_catalogue_heard_owed",
    catalogue_heard.c.channel,
    catalogue_heard.c.gateway,
    catalogue_heard.c.seq,
    sqlite_where=text("seq > sent_seq"),
    postgresql_where=text("seq > sent_seq"),
)

categories = Table(
    "categories",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("path", Text, nullable=False),
    UniqueConstraint("channel", "path"),
)
"""Every category a product ever stood in, so that it keeps one number for ever."""

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

late_news = Table(
    "late_news",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("gateway", String(32), nullable=False),
    Column("callback", String(40), nullable=False),
    Column("subject", Text, nullable=False),
    Column("code", String(80), nullable=False),
    Column("message", Text, nullable=False),
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

Index("ix_late_news_told_at", late_news.c.told_at)
Index("ix_late_news_subject", late_news.c.channel, late_news.c.subject)

rates = Table(
    "rates",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("tokens", Float, nullable=False),
    Column("fact_tokens", Float, nullable=False),
    Column("at", Float, nullable=False),
    Column("question_until", Float, nullable=False, server_default="0"),
    Column("command_until", Float, nullable=False, server_default="0"),
)
"""What is left of each vendor key's rate, shared by all processes of one PostgreSQL; unlogged, for a crash may
forget it (R14)."""

chores = Table(
    "chores",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("due_at", Moment, nullable=False),
)
"""Work that one process at a time does now and then: whoever moves `due_at` on has the turn."""
