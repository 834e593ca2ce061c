"""Channels, and which names, pairs and accounts mean whose records."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    String,
    Table,
    Text,
)

from app.records.tables.columns import Moment, metadata

channels = Table(
    "channels",
    metadata,
    Column("key", String(63), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("client_id", BigInteger),
    Column("channel_id", BigInteger),
    Column("registered_at", Moment, nullable=False),
    Column("forgotten_at", Moment),
)
"""Whose records these are: every other table's `channel` is a `key` of this one, which no renaming changes (R35).

`name` is what people see: the channel's, or of an account that had to leave it, one made for it.  The pair is null
until a server has started with the channel."""

channel_names = Table(
    "channel_names",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("channel", String(63), nullable=False),
)
"""Which records each name means, former names too: a process that still has one goes on with them."""

channel_accounts = Table(
    "channel_accounts",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("gateway", String(32), primary_key=True),
    Column("account", Text, nullable=False),
)
"""Whose account each gateway of a channel has, in the vendor's words or as part of a key's digest; never a secret."""
