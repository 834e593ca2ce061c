"""What is counted of calls by the hour, when each was seen last, and how much was pending at each moment."""

import sqlalchemy as sa

from app.records.tables.columns import Moment, index, metadata

DURATION_BOUNDS_MS = (5, 10, 20, 50, 100, 200, 350, 500, 750, 1000, 1500, 2500, 5000, 10_000)
"""Upper bounds of the classes of durations; a last class holds what took longer."""

DURATION_CLASSES = tuple(f"took_{number}" for number in range(len(DURATION_BOUNDS_MS) + 1))
"""The columns that count calls by duration, shortest first."""

call_figures = sa.Table(
    "call_figures",
    metadata,
    sa.Column("span_s", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", Moment, primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("outcome", sa.String(16), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    *(sa.Column(name, sa.Integer, nullable=False, server_default="0") for name in DURATION_CLASSES),
)
"""Callbacks and vendor calls, counted by span of time, outcome and duration.

`kind` and `channel` mean what they mean in the journal; `name` is the callback or the vendor.  Each call is counted
once in every length of span, with the journal's line of it.  `took_N` counts those of the duration class N.
"""

last_calls = sa.Table(
    "last_calls",
    metadata,
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("outcome", sa.String(64), nullable=False),
    sa.Column("good_at", Moment),
)
"""When each callback, and each vendor, of a channel was called last, and when it last went well."""

pending_figures = sa.Table(
    "pending_figures",
    metadata,
    sa.Column("at", Moment, primary_key=True),
    sa.Column("channel", sa.String(63), primary_key=True),
    sa.Column("gateway", sa.String(32), primary_key=True),
    sa.Column("owed", sa.Integer, nullable=False),
    sa.Column("parked", sa.Integer, nullable=False),
    sa.Column("oldest_s", sa.Integer, nullable=False),
    sa.Column("facts", sa.Integer, nullable=False),
)
"""What each gateway had not received at a moment: calls owed or being found out, calls parked, the age of the oldest
of them in seconds (0 where there is none), and facts."""

index(pending_figures, "ix_pending_figures_channel", "channel", "at")
