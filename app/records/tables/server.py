"""What the processes of this server share: turns, the clock, and which code can use the database."""

import sqlalchemy as sa

from app.records.tables.columns import Moment, Serial, metadata

periodic_work = sa.Table(
    "periodic_work",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("due_at", Moment, nullable=False),
)
"""Work that one process at a time does now and then: whoever moves `due_at` on has the turn."""

heartbeat = sa.Table(
    "heartbeat",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("seen", Moment, nullable=False),
    sa.Column("boot_id", sa.String(64), nullable=False, server_default=""),
    sa.Column("booted_at", Moment),
)
"""One row: `at` is when a running process wrote it last, `seen` the time that was seen passing until then (R36).

`seen` began as the time of day and stands still over steps.  SQLite only: `booted_at` is when, by the shared clock, the
start `boot_id` of the machine was."""

unseen_steps = sa.Table(
    "unseen_steps",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("seen", Moment, nullable=False),
    sa.Column("step_ms", sa.BigInteger, nullable=False),
)
"""Steps of the shared clock that nobody saw passing, as it stood still or ran: at which `seen`, and by how much."""

schema_compatibility = sa.Table(
    "schema_compatibility",
    metadata,
    sa.Column("revision", sa.String(32), primary_key=True),
    sa.Column("usable_from", sa.String(32), nullable=False),
)
"""Of each migration that has run the oldest one whose code can still use the database (P47)."""

write_probes = sa.Table(
    "write_probes",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)
"""What `/readyz` writes to see that the database takes anything; a row for each process that has done so lately."""
