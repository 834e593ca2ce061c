"""What statements of all tables share: long lists of keys, rows that may be there already, and being made once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ClauseElement,
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Dialect,
    Insert,
    Integer,
    Table,
    Text,
    bindparam,
    func,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

MANY = 500
"""How many rows one statement names."""

T = TypeVar("T")

Change = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]
"""New values by column, or what gives them when it is passed the row that was to be added (SQL's `excluded`)."""


class _Listed(TypeDecorator[Collection[Any]]):
    """Texts or whole numbers as one parameter: an array of PostgreSQL, a JSON list for SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, *, is_number: bool) -> None:
        super().__init__()
        self.is_number = is_number

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(ARRAY(BigInteger() if self.is_number else Text()))

    def bind_processor(self, dialect: Dialect) -> Callable[[Collection[Any] | None], str]:
        return _json_list if dialect.name == "sqlite" else _array


def _json_list(values: Collection[Any] | None) -> str:
    return msgspec.json.encode(list(values or ())).decode()


def _array(values: Collection[Any] | None) -> str:
    """As PostgreSQL writes an array: its driver takes thirty times as long to write a list."""
    listed = list(map(str, values or ()))
    joined = "".join(listed)
    if "\\" in joined or '"' in joined:
        listed = [value.replace("\\", "\\\\").replace('"', '\\"') for value in listed]
    return '{"' + '","'.join(listed) + '"}' if listed else "{}"


def texts(name: str) -> BindParameter[Collection[str]]:
    """A parameter of any number of texts."""
    return bindparam(name, type_=_Listed(is_number=False))


class _Among(FunctionElement[bool]):  # of no type: SQLAlchemy adds `= 1` to a Boolean for SQLite, which uses no index
    name = "among"
    inherit_cache = True


@compiles(_Among)
def _among(element: _Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, listed = (compiler.process(part, **kw) for part in element.clauses)
    form = "{} IN (SELECT value FROM json_each({}))" if compiler.dialect.name == "sqlite" else "{} = ANY ({})"
    return form.format(column, listed)


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether the column is one of the keys in the parameter `name`: one however many, so statements are made once.

    The keys are texts or whole numbers, as the column is.
    """
    return _Among(column, bindparam(name, type_=_Listed(is_number=isinstance(column.type, Integer))))


def are_among(
    connection: Connection, columns: Sequence[ColumnElement[Any]], rows: Iterable[Sequence[str]]
) -> ColumnElement[bool]:
    """Whether these columns of texts, together, are one of these rows; an index of theirs serves it.

    SQLite uses none for rows that are written out, and reads the whole table.
    """
    listed = [tuple(row) for row in rows]
    if connection.dialect.name != "sqlite":
        return tuple_(*columns).in_(listed)
    row = func.json_each(_json_list(listed)).table_valued("value")
    values = [func.json_extract(row.c.value, f"$[{place}]") for place in range(len(columns))]
    return tuple_(*columns).in_(select(*values))


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
    return connection.execute(upserted(connection.dialect.name, table, change, key, returning), rows)


INSERTS: Mapping[str, Callable[[Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def upserted(
    dialect: str,
    table: Table,
    change: Change | None = None,
    key: Sequence[str] = (),
    returning: Sequence[Column[Any]] = (),
) -> Insert | ReturningInsert[Any]:
    """The statement of `upsert` for the dialect of this name."""
    added = INSERTS[dialect](table)
    columns = [table.c[name] for name in key] or list(table.primary_key.columns)
    if change is None:
        statement: Insert = added.on_conflict_do_nothing(index_elements=columns)
    else:
        values = change(added.excluded) if callable(change) else change
        statement = added.on_conflict_do_update(index_elements=columns, set_=dict(values))
    return statement.returning(*returning) if returning else statement


Build = Callable[[str], ClauseElement]

_ALL: list[Prepared] = []


class Prepared:
    """A statement whose parameters are all named, compiled once a process and sent as it is.

    SQLAlchemy compiles a statement when an engine meets it first, which takes longer than most take to run; these are
    compiled when a server starts (`compile_all`).

    Its results are the driver's own values: the columns' types are not applied to them.
    """

    def __init__(self, statement: ClauseElement | Build, columns: Sequence[str] | None = None) -> None:
        """`statement`: or what makes it for a dialect of this name, where the two databases need different ones.

        `columns`: of a table's plain INSERT those that have a parameter each; None: all.
        """
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}
        _ALL.append(self)

    def execute(self, connection: Connection, parameters: Mapping[str, Any]) -> CursorResult[*tuple[Any, ...]]:
        """Run it once.  Raises KeyError where a parameter is missing."""
        compiled = self._compiled.get(connection.dialect.name) or self.compile(connection.dialect)
        return connection.exec_driver_sql(compiled.text, compiled.values(parameters))

    def execute_later(self, connection: Connection, parameters: Mapping[str, Any]) -> None:
        """As the function of this name.  Raises KeyError where a parameter is missing."""
        compiled = self._compiled.get(connection.dialect.name) or self.compile(connection.dialect)
        execute_later(connection, compiled.text, compiled.values(parameters))

    def execute_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each of the rows.  Raises KeyError where a parameter is missing."""
        if rows:
            compiled = self._compiled.get(connection.dialect.name) or self.compile(connection.dialect)
            connection.exec_driver_sql(compiled.text, [compiled.values(row) for row in rows])

    def compile(self, dialect: Dialect) -> _Compiled:
        """Make it for this dialect, unless it is made."""
        if dialect.name not in self._compiled:
            chosen = self._statement(dialect.name) if callable(self._statement) else self._statement
            self._compiled[dialect.name] = _Compiled(chosen, dialect, self._columns)
        return self._compiled[dialect.name]


class _Compiled:
    def __init__(self, statement: ClauseElement, dialect: Dialect, columns: Sequence[str] | None) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
        self.text = str(compiled)
        binds: dict[str, tuple[Any, Callable[[Any], Any] | None]] = {}
        for bind, name in compiled.bind_names.items():
            process = bind.type.dialect_impl(dialect).bind_processor(dialect) if bind.required else None
            if process or name not in binds:  # of one that stands there as of several types, the one that converts
                binds[name] = bind, process
        self._is_positional = compiled.positional
        self._names: list[str] = compiled.positiontup if compiled.positional else list(binds)
        self._given = [
            (name, process, bind.required, bind.value)
            for name, (bind, process) in ((name, binds[name]) for name in self._names)
        ]

    def values(self, parameters: Mapping[str, Any]) -> Any:
        """As the driver takes them: a tuple or a dictionary."""
        found = [
            (process(parameters[name]) if process else parameters[name]) if is_given else fixed
            for name, process, is_given, fixed in self._given
        ]
        if self._is_positional:
            return tuple(found)
        return dict(zip(self._names, found, strict=True))


def execute_later(connection: Connection, statement: str, parameters: Any) -> None:
    """Run a statement in the form of the driver, whose result is not needed, before the next one or the COMMIT.

    What it raises is raised there.  On SQLite it is run at once.
    """
    driver: Any = connection.connection.dbapi_connection
    getattr(driver, "execute_later", connection.exec_driver_sql)(statement, parameters)


def compile_all(dialect: Dialect) -> None:
    """Make every statement for this dialect, so that no callback waits for it."""
    for statement in _ALL:
        statement.compile(dialect)
