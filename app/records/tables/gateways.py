"""What gateways keep: feeds, what observers are told, learned rates, and counted requests of vendors."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from app.records.tables.columns import Moment, index, metadata

feeds = Table(
    "feeds",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("changes", BigInteger, nullable=False, server_default="0"),
    Column("built_changes", BigInteger, nullable=False, server_default="0"),
    Column("changed_at", Moment),
    Column("form", String(64), nullable=False, server_default=""),
    Column("build", BigInteger, nullable=False, server_default="0"),
    Column("begun_builds", BigInteger, nullable=False, server_default="0"),
    Column("etag", String(64), nullable=False, server_default=""),
    Column("modified_at", Moment),
    Column("built_at", Moment),
    Column("size", BigInteger, nullable=False, server_default="0"),
    Column("packed_size", BigInteger, nullable=False, server_default="0"),
    Column("listed", LargeBinary),
    Column("report", LargeBinary),
    Column("lease_token", String(32)),
    Column("lease_until", Moment),
)
"""What a vendor fetches here: which build holds, how much has changed since, and who builds just now.

`listed` is which numbers stand in it, `report` what was left out of it and what is about to leave it.  Of a vendor
that is told products instead only `form` is kept: what decided, besides the goods, what it was told.
"""

feed_pieces = Table(
    "feed_pieces",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("build", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)
"""The text of each feed, compressed, in pieces, so that nobody holds all of it."""

observed_orders = Table(
    "observed_orders",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("refnum", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("seen_at", Moment, nullable=False),
)
"""What an observer will be told of an order that was handed out, until its moment comes (R17, R28)."""

index(observed_orders, "ix_observed_orders_seen_at", "seen_at")

told_lines = Table(
    "told_lines",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("order_refnum", Text, primary_key=True),
    Column("product", Text, primary_key=True),
    Column("doubts", Integer, nullable=False, server_default="0"),
    Column("told_at", Moment),
)
"""Which goods of which order an observer has been told of, so that none is counted twice; `doubts` counts the
attempts in a row whose outcome nobody knows."""

inbound_requests = Table(
    "inbound_requests",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("topic", String(40), primary_key=True),
    Column("status", Integer, primary_key=True, autoincrement=False),
    Column("reason", String(120), primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("count", Integer, nullable=False),
)
"""Answers to vendors' own requests, counted by kind and period; never what was asked."""

rates = Table(
    "rates",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("setting", Float, nullable=False),
    Column("rate", Float, nullable=False),
    Column("tokens", Float, nullable=False),
    Column("at", Float, nullable=False),
    Column("question_until", Float, nullable=False),
    Column("command_until", Float, nullable=False),
    Column("fact_until", Float, nullable=False),
    Column("fact_credit", Float, nullable=False),
    Column("grown_at", Float, nullable=False),
    Column("cut_at", Float, nullable=False),
)
"""Each vendor key's rate as it was learned and what is left of it, shared by all processes (`transport.rates` says
what each number means); unlogged in PostgreSQL, for a crash may forget it (R14)."""
