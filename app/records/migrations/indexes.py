"""Indexes of tables that have rows, made beside traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
from alembic import op

WAIT: Final = "10min"
"""How long PostgreSQL waits for the transactions that run, which does not hold up any other."""


def add(
    name: str, table: str, columns: Sequence[str], *, where: str | None = None, ops: Mapping[str, str] | None = None
) -> None:
    """Make an index, on PostgreSQL concurrently; a migration calls this before anything else, for it may be repeated.

    `ops`: PostgreSQL's operator classes by column.
    """
    condition = None if where is None else sa.text(where)
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(name, table, list(columns), sqlite_where=condition)
        return
    with _beside_traffic():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)  # an invalid one of an attempt before
        op.create_index(
            name,
            table,
            list(columns),
            postgresql_ops=dict(ops or {}),
            postgresql_where=condition,
            postgresql_concurrently=True,
        )


def remove(name: str, table: str) -> None:
    """Take an index away, which old code does not notice; a migration may call this after `add`."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index(name, table, if_exists=True)
        return
    with _beside_traffic():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


@contextmanager
def _beside_traffic() -> Iterator[None]:
    """Outside of a transaction, and without the limit that keeps traffic from queueing behind a migration: these
    statements let it pass, and they wait for every transaction that is older than they are."""
    with op.get_context().autocommit_block():
        before = op.get_bind().execute(sa.text("show lock_timeout")).scalar_one()
        op.execute(f"set lock_timeout = '{WAIT}'")
        yield
        op.execute(f"set lock_timeout = '{before}'")
