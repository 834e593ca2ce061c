"""What the processes of this server share: turns, the clock, and which code can use the database."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
)

from app.records.tables.columns import Moment, Serial, metadata

chores = Table(
    "chores",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("due_at", Moment, nullable=False),
)
"""Work that one process at a time does now and then: whoever moves `due_at` on has the turn."""

heartbeat = Table(
    "heartbeat",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("seen", Moment, nullable=False),
    Column("boot_id", String(64), nullable=False, server_default=""),
    Column("booted_at", Moment),
)
"""One row: `at` is when a running process wrote it last, `seen` the time that was seen passing until then (R36).

`seen` began as the time of day and stands still over steps.  SQLite only: `booted_at` is when, by the shared clock, the
start `boot_id` of the machine was."""

unseen_steps = Table(
    "unseen_steps",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("seen", Moment, nullable=False),
    Column("step_ms", BigInteger, nullable=False),
)
"""Steps of the shared clock that nobody saw passing, as it stood still or ran: at which `seen`, and by how much."""

schema_compatibility = Table(
    "schema_compatibility",
    metadata,
    Column("revision", String(32), primary_key=True),
    Column("usable_from", String(32), nullable=False),
)
"""Of each migration that has run the oldest one whose code can still use the database (P47)."""

write_probes = Table(
    "write_probes",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)
"""What `/readyz` writes to see that the database takes anything; a row for each process that has done so lately."""
