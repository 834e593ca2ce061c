"""Alembic's entry: migrations run on the connection that `app.records.migrating` hands over.

Where that is in a transaction already (SQLite) all of them are part of it; else each has one of its own.
"""

from __future__ import annotations

from alembic import context

from app.records import compatibility
from app.records.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
    transaction_per_migration=True,
    on_version_apply=compatibility.keep,
)
with context.begin_transaction():
    context.run_migrations()
