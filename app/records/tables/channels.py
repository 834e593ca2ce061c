"""Channels, and which names, pairs and accounts mean whose records."""

import sqlalchemy as sa

from app.records.tables.columns import Moment, metadata

channels = sa.Table(
    "channels",
    metadata,
    sa.Column("key", sa.String(63), primary_key=True),
    sa.Column("name", sa.String(63), nullable=False),
    sa.Column("client_id", sa.BigInteger),
    sa.Column("channel_id", sa.BigInteger),
    sa.Column("registered_at", Moment, nullable=False),
    sa.Column("forgotten_at", Moment),
)
"""Whose records these are: every other table's `channel` is a `key` of this one, which no renaming changes (R35).

`name` is what people see: the channel's, or of an account that had to leave it, one made for it.  The pair is null
until a server has started with the channel."""

channel_names = sa.Table(
    "channel_names",
    metadata,
    sa.Column("name", sa.String(63), primary_key=True),
    sa.Column("channel", sa.String(63), nullable=False),
)
"""Which records each name means, former names too: a process that still has one goes on with them."""

channel_accounts = sa.Table(
    "channel_accounts",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
)
"""Whose account each gateway of a channel has, in the vendor's words or as part of a key's digest; never a secret."""
