"""Many rows that are one parameter, to be read or inserted: a JSON list, which either database takes apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Dialect,
    Insert,
    LargeBinary,
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


class _Cells(TypeDecorator[Sequence[Mapping[str, Any]]]):
    """Rows as one parameter: a JSON list of objects."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[Mapping[str, Any]] | None, dialect: Dialect) -> str:
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
    """The value of a column in a row of `_Rows`; its type is that of the column."""

    name = "cell"
    inherit_cache = True

    def __init__(self, row: ColumnElement[Any], column: Column[Any]) -> None:
        self.type = column.type
        super().__init__(row, literal_column(f"'{column.name}'"))


@compiles(_Cell)
def _cell(element: _Cell, compiler: SQLCompiler, **kw: Any) -> str:
    row, name = (compiler.process(part, **kw) for part in element.clauses)
    is_binary = isinstance(element.type, LargeBinary)
    if compiler.dialect.name == "sqlite":
        value = f"json_extract({row}, '$.{name[1:-1]}')"
        return f"CAST({value} AS BLOB)" if is_binary else value
    if is_binary:
        return f"convert_to({row} ->> {name}, 'UTF8')"
    return f"CAST({row} ->> {name} AS {compiler.dialect.type_compiler_instance.process(element.type)})"


def cells_of(table: Table, names: Sequence[str]) -> list[ColumnElement[Any]]:
    """These columns of the rows in the parameter `rows`, to be selected."""
    row = _Rows(bindparam("rows", type_=_Cells())).table_valued("value").c.value
    return [_Cell(row, table.c[name]) for name in names]


def insert_many(table: Table, of_each: Sequence[str], of_all: Sequence[str] = (), *, dialect: str = "") -> Insert:
    """An INSERT of all rows in the parameter `rows`: one however many, so it is made once and sent once.

    A row holds by name the columns `of_each`, as the database keeps them (text for bytes); a parameter of its own
    each of the columns `of_all`.  With the name of a dialect, a row that is there already stays as it is; without,
    it is a `DatabaseConflict`.
    """
    cells = cells_of(table, of_each)
    shared = [bindparam(name, type_=table.c[name].type) for name in of_all]
    names, rows = [*of_each, *of_all], select(*cells, *shared)
    if not dialect:
        return insert(table).from_select(names, rows)
    unless_there: Insert = INSERTS[dialect](table).from_select(names, rows.where(true())).on_conflict_do_nothing()
    return unless_there
