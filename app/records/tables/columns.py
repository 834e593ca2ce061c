"""Column types of the tables, and how their keys and indexes are named."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Index, Integer, MetaData, Table, Text, TextClause, text
from sqlalchemy.types import TypeDecorator

from app.domain.texts import mended

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BLANKS = (
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What `str.strip` takes off, for a database."""

Serial = BigInteger().with_variant(Integer, "sqlite")
"""A growing number; SQLite numbers rows by itself only where the type is spelled INTEGER."""

SortedText = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that both databases compare and sort alike, by its characters' numbers, so that an index serves prefixes."""


def milliseconds(at: datetime) -> int:
    """A moment that was read, as `Moment` keeps it."""
    return round(at.timestamp() * 1000)


class Moment(TypeDecorator[datetime]):
    """An aware UTC time, kept as milliseconds since 1970 so that both databases compare it alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        return None if value is None else int(value.timestamp() * 1000)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        return moment_of(value)


def moment_of(ms: int | None) -> datetime | None:
    """The time that `Moment` keeps as this number."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def units_of(amount: Decimal) -> int:
    """The amount as `Amount` keeps it.  Raises ValueError as `Amount`."""
    if not amount:  # as of most orders of a source without money
        return 0
    scaled = amount.scaleb(4)
    if scaled != scaled.to_integral_value():
        raise ValueError("an amount has more than four decimals")
    return int(scaled)


class Amount(TypeDecorator[Decimal]):
    """Money, kept as whole ten-thousandths so that both databases add and compare it exactly.

    Raises ValueError for an amount with more than four decimals.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> int | None:
        return None if value is None else units_of(value)

    def process_result_value(self, value: int | None, dialect: Any) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-4)


class FreeText(TypeDecorator[str]):
    """A sentence that may come from outside, kept with U+FFFD for what no database takes.  Never a key."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else mended(value)


Condition = ColumnElement[bool] | TextClause | str


def index(table: Table, name: str, *columns: str, where: Condition | None = None) -> None:
    """An index of a table, in both databases; `where` makes it a partial one."""
    where = text(where) if isinstance(where, str) else where
    Index(name, *(table.c[column] for column in columns), sqlite_where=where, postgresql_where=where)
