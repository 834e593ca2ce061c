"""What gateways keep: feeds, what observers are sent, learned rates, and counted requests of vendors."""

import sqlalchemy as sa

from app.records.tables.columns import Moment, index, metadata

feeds = sa.Table(
    "feeds",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("changes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("built_changes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("changed_at", Moment),
    sa.Column("form", sa.String(64), nullable=False, server_default=""),
    sa.Column("build", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("begun_builds", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("etag", sa.String(64), nullable=False, server_default=""),
    sa.Column("modified_at", Moment),
    sa.Column("built_at", Moment),
    sa.Column("size", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("packed_size", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("listed", sa.LargeBinary),
    sa.Column("report", sa.LargeBinary),
    sa.Column("lease_token", sa.String(32)),
    sa.Column("lease_until", Moment),
)
"""What a vendor fetches here: which build holds, how much has changed since, and who builds just now.

`listed` is which numbers stand in it, `report` what was left out of it and what is about to leave it.  Of a vendor
that is sent products instead only `form` is kept: what decided, besides the goods, what it was sent.
"""

feed_pieces = sa.Table(
    "feed_pieces",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("build", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
"""The text of each feed, compressed, in pieces, so that nobody holds all of it."""

pending_reports = sa.Table(
    "pending_reports",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("refnum", sa.Text, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
)
"""Purchases that observers will be sent once the order is acknowledged or completed (R17, R28)."""

index(pending_reports, "ix_pending_reports_seen_at", "seen_at")

reported_lines = sa.Table(
    "reported_lines",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("order_refnum", sa.Text, primary_key=True),
    sa.Column("product", sa.Text, primary_key=True),
    sa.Column("uncertain", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reported_at", Moment),
)
"""Which goods of which order an observer was sent, so that none is counted twice; `uncertain` counts the attempts in a
row whose outcome is unknown."""

inbound_requests = sa.Table(
    "inbound_requests",
    metadata,
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("topic", sa.String(40), primary_key=True),
    sa.Column("status", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("reason", sa.String(120), primary_key=True),
    sa.Column("at", Moment, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
)
"""Answers to vendors' own requests, counted by kind and period; never their content."""

rates = sa.Table(
    "rates",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("setting", sa.Float, nullable=False),
    sa.Column("rate", sa.Float, nullable=False),
    sa.Column("tokens", sa.Float, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("question_until", sa.Float, nullable=False),
    sa.Column("command_until", sa.Float, nullable=False),
    sa.Column("fact_until", sa.Float, nullable=False),
    sa.Column("fact_credit", sa.Float, nullable=False),
    sa.Column("grown_at", sa.Float, nullable=False),
    sa.Column("cut_at", sa.Float, nullable=False),
)
"""Each vendor key's rate as it was learned and what is left of it, shared by all processes (`transport.rates` says
what each number means); unlogged in PostgreSQL, for a crash may forget it (R14)."""
