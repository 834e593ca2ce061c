"""What statements of all tables share: parts of a long list of names, and rows that may be there already."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, CursorResult, Table
from sqlalchemy.dialects import postgresql, sqlite

MANY = 500
"""How many rows one statement names."""

T = TypeVar("T")

Change = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]
"""New values by column, or what gives them when it is passed the row that was to be added (SQL's `excluded`)."""


def chunked(values: Collection[T], size: int = MANY) -> Iterator[Sequence[T]]:
    """The values in their order, at most `size` at a time; nothing of nothing."""
    listed = list(values)
    return (listed[at : at + size] for at in range(0, len(listed), size))


def upsert(
    connection: Connection,
    table: Table,
    rows: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    change: Change | None = None,
    *,
    key: Sequence[str] = (),
    returning: Sequence[Column[Any]] = (),
) -> CursorResult[Any]:
    """Add rows; of one whose `key` (the primary key) is there already make `change`, None: leave it as it is.

    No row is added twice by two transactions at once.  `returning` gives these columns of what was written.
    """
    added = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)
    columns = [table.c[name] for name in key] or list(table.primary_key.columns)
    if change is None:
        statement = added.on_conflict_do_nothing(index_elements=columns)
    else:
        values = change(added.excluded) if callable(change) else change
        statement = added.on_conflict_do_update(index_elements=columns, set_=dict(values))
    return connection.execute(statement.returning(*returning) if returning else statement, rows)
