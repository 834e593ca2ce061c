"""What statements of all tables share: long lists of names as parameters, and rows that may be there already."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Dialect,
    Table,
    Text,
    bindparam,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

MANY = 500
"""How many rows one statement names."""

T = TypeVar("T")

Change = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]
"""New values by column, or what gives them when it is passed the row that was to be added (SQL's `excluded`)."""


class _Texts(TypeDecorator[Collection[str]]):
    """Texts as one parameter: an array of PostgreSQL, a JSON list for SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(Text()))

    def process_bind_param(self, value: Collection[str] | None, dialect: Dialect) -> str | list[str]:
        return msgspec.json.encode(list(value or ())).decode() if dialect.name == "sqlite" else list(value or ())


class _Among(FunctionElement[bool]):  # of no type: SQLAlchemy adds `= 1` to a Boolean for SQLite, which uses no index
    name = "among"
    inherit_cache = True


@compiles(_Among)
def _among(element: _Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, texts = (compiler.process(part, **kw) for part in element.clauses)
    form = "{} IN (SELECT value FROM json_each({}))" if compiler.dialect.name == "sqlite" else "{} = ANY ({})"
    return form.format(column, texts)


def among(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Whether the column is one of the keys in the parameter `name`: one however many, so statements are made once."""
    return _Among(column, bindparam(name, type_=_Texts()))


def visible(column: ColumnElement[str], channels: Collection[str] | None) -> ColumnElement[bool]:
    """Whether the row's channel is one of these keys; None: whatever it is."""
    return true() if channels is None else column.in_(sorted(channels))


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
