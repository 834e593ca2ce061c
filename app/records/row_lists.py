"""Many rows that are one parameter, to be read or inserted: a JSON list, which either database takes apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Dialect,
    Insert,
    LargeBinary,
    String,
    Subquery,
    Table,
    Text,
    bindparam,
    insert,
    literal_column,
    select,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from app.records.statements import INSERTS


class _Cells(TypeDecorator[Sequence[Sequence[Any]]]):
    """Rows as one parameter: a JSON list of lists, for a place is found in half the time that a name takes."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[Sequence[Any]] | None, dialect: Dialect) -> str:
        return msgspec.json.encode(value or ()).decode()


class _Rows(FunctionElement[Any]):
    name = "rows"
    inherit_cache = True


@compiles(_Rows)
def _rows(element: _Rows, compiler: SQLCompiler, **kw: Any) -> str:
    [rows] = (compiler.process(part, **kw) for part in element.clauses)
    is_sqlite = compiler.dialect.name == "sqlite"
    return f"json_each({rows})" if is_sqlite else f"json_array_elements(CAST({rows} AS JSON))"


class _Cell(FunctionElement[Any]):
    """The value at a place of a row of `_Rows`; its type is that of the column."""

    name = "cell"
    inherit_cache = True

    def __init__(self, row: ColumnElement[Any], place: int, column: Column[Any]) -> None:
        self.type = column.type
        super().__init__(row, literal_column(str(place)))


@compiles(_Cell)
def _cell(element: _Cell, compiler: SQLCompiler, **kw: Any) -> str:
    row, place = (compiler.process(part, **kw) for part in element.clauses)
    is_binary = isinstance(element.type, LargeBinary)
    if compiler.dialect.name == "sqlite":
        value = f"json_extract({row}, '$[{place}]')"
        return f"CAST({value} AS BLOB)" if is_binary else value
    if is_binary:
        return f"convert_to({row} ->> {place}, 'UTF8')"
    if isinstance(element.type, String):
        return f"({row} ->> {place})"
    return f"CAST({row} ->> {place} AS {compiler.dialect.type_compiler_instance.process(element.type)})"


def cells_of(table: Table, names: Sequence[str], rows: str = "rows") -> list[ColumnElement[Any]]:
    """These columns of the rows in the parameter `rows`, each of which holds them in this order, to be selected."""
    return _cells([table.c[name] for name in names], rows)


def rows_of(columns: Mapping[str, Column[Any]], rows: str = "rows") -> Subquery:
    """The rows in the parameter `rows`, to be joined: each holds these columns in their order.

    The values are as the database keeps them (text for bytes); the type of each is that of the column it is named with.
    """
    cells = zip(columns, _cells(columns.values(), rows), strict=True)
    return select(*(cell.label(name) for name, cell in cells)).subquery("given")


def _cells(columns: Iterable[Column[Any]], rows: str) -> list[ColumnElement[Any]]:
    row = _Rows(bindparam(rows, type_=_Cells())).table_valued("value").c.value
    return [_Cell(row, place, column) for place, column in enumerate(columns)]


def insert_many(table: Table, of_each: Sequence[str], of_all: Sequence[str] = (), *, dialect: str = "") -> Insert:
    """An INSERT of all rows in the parameter `rows`: one however many, so it is made once and sent once.

    A row holds the columns `of_each` in their order, as the database keeps them (text for bytes); a parameter of its
    own each of the columns `of_all`.  With the name of a dialect, a row that is there already stays as it is; without,
    it is a `DatabaseConflict`.
    """
    cells = cells_of(table, of_each)
    shared = [bindparam(name, type_=table.c[name].type) for name in of_all]
    names, rows = [*of_each, *of_all], select(*cells, *shared)
    if not dialect:
        return insert(table).from_select(names, rows)
    unless_there: Insert = INSERTS[dialect](table).from_select(names, rows.where(true())).on_conflict_do_nothing()
    return unless_there
