"""Reads how a database would carry out statements: which of them look at more and more rows as tables grow."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.records.database import Database
from app.records.growing import GROWING, OF_FEW, VALUES
from app.records.tables import metadata

APP = str(Path(__file__).resolve().parents[2] / "app") + "/"

PASSED = (
    "records/statements.py",
    "records/bounded_search.py",
    "records/transactions.py",
    "records/search_keys.py:execute",
)
"""What only carries a statement out for the function that has it."""

WORD = re.compile(r"[a-z_]+")


@dataclass(frozen=True)
class Statement:
    """A statement of a function of ours, with the values of its first use."""

    function: str
    """As `records/pulls.py:count`."""
    sql: str
    values: Any


@dataclass(frozen=True, order=True)
class Walk:
    """A statement that reads every row of a table, of a channel, or of a part of it that grows."""

    function: str
    table: str
    how: str


@contextmanager
def noting(database: Database) -> Iterator[list[Statement]]:
    """Every statement of ours that any thread sends in the block, each once."""
    found: dict[str, Statement] = {}

    def note(_: Any, __: Any, sql: str, values: Any, *___: Any) -> None:
        function = _function()
        if function and sql not in found and re.match(r"\s*(select|with|insert|update|delete)\b", sql, re.IGNORECASE):
            found[sql] = Statement(function, sql, values[0] if isinstance(values, list) else values)

    sent: list[Statement] = []
    sa.event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)
        sent += found.values()


def _function() -> str:
    """Whose statement it is; "" where it is none of ours."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        name: str = frame.f_code.co_filename
        if name.startswith(APP):
            place = f"{name.removeprefix(APP)}:{frame.f_code.co_name}"
            if place.startswith(("records/", "storefront/")) and not place.startswith(PASSED) and "<" not in place:
                return place
        frame = frame.f_back
    return ""


def walks(database: Database, sent: list[Statement]) -> set[Walk]:
    """Those of the statements that walk through what grows."""
    found: set[Walk] = set()
    with database.engine.connect() as connection:
        tables = {} if database.is_sqlite else _tables_of_indexes(connection)
        if not database.is_sqlite:
            connection.exec_driver_sql("set enable_seqscan = off")
        for one in sent:
            accesses = _of_sqlite(connection, one) if database.is_sqlite else _of_postgresql(connection, one, tables)
            found |= {Walk(one.function, table, how) for table, how in accesses}
    return found


def compiled_anew(database: Database, sent: list[Statement]) -> set[str]:
    """The functions whose statements SQLite compiles at each run, although they are kept: it asks what may be read."""
    found: set[str] = set()
    asked: list[object] = []

    def note(*_: object) -> int:
        asked.append(_)
        return sqlite3.SQLITE_OK

    with database.engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        driver.execute("begin")
        driver.set_authorizer(note)
        for one in sent:
            for _ in range(2):
                asked.clear()
                with suppress(sqlite3.IntegrityError):  # a row is there already
                    driver.execute(one.sql, one.values).fetchall()
            if asked:
                found.add(one.function)
        driver.set_authorizer(None)
        driver.execute("rollback")
    return found


def _of_sqlite(connection: sa.Connection, one: Statement) -> Iterator[tuple[str, str]]:
    rows = connection.exec_driver_sql(f"explain query plan {one.sql}", one.values).all()
    names = {alias: table for table, alias in re.findall(r"(?:FROM|JOIN|,)\s+(\w+) AS (\w+)", one.sql)}
    for *_, detail in rows:
        read = re.match(r"(SCAN|SEARCH) (\S+)(?: USING (?:COVERING )?INDEX (\S+))?", detail)
        if read is None:
            continue
        table, index = names.get(read[2], read[2]), read[3]
        if table not in GROWING or index in OF_FEW:
            continue
        condition = detail[read.end() :]
        if read[1] == "SCAN" or "AUTOMATIC" in detail or not _narrows(table, condition):
            yield table, detail


def _of_postgresql(connection: sa.Connection, one: Statement, tables: dict[str, str]) -> Iterator[tuple[str, str]]:
    # An index that is written to but not searched is none of a plan of INSERT ... VALUES.
    [[plan]] = connection.exec_driver_sql(f"explain (format json, costs off) {one.sql}", one.values).scalars().all()
    nodes = [plan["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        kind, index = node["Node Type"], node.get("Index Name", "")
        table = node.get("Relation Name") or tables.get(index, "")
        if table not in GROWING or index in OF_FEW or kind in ("Bitmap Heap Scan", "ModifyTable", "LockRows"):
            continue
        condition = re.sub(r"'(?:[^']|'')*'", "", node.get("Index Cond", node.get("TID Cond", "")))
        if not _narrows(table, condition):
            yield table, f"{kind} {index} {condition}".strip()


def _narrows(table: str, condition: str) -> bool:
    """Whether a condition names a column that singles out a few rows."""
    columns = {*metadata.tables[table].columns.keys(), "rowid"} - VALUES.keys()
    return not columns.isdisjoint(WORD.findall(condition))


def _tables_of_indexes(connection: sa.Connection) -> dict[str, str]:
    return dict(map(tuple, connection.exec_driver_sql("select indexname, tablename from pg_indexes")))
