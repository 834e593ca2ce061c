"""Column types of the tables, and how their keys and indexes are named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, ColumnElement, Dialect, Index, Integer, MetaData, Table, Text, TextClause, text
from sqlalchemy.types import TypeDecorator

from app.domain.exact_amounts import amount_of, units_if_any
from app.domain.moments import moment_of, ms_if_any
from app.domain.texts import mended_if_any

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


class Moment(TypeDecorator[datetime]):
    """An aware UTC time, kept as milliseconds since 1970 so that both databases compare it alike."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:
        return ms_if_any

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:
        return moment_of


class Amount(TypeDecorator[Decimal]):
    """Money, kept as whole ten-thousandths so that both databases add and compare it exactly.

    Raises ValueError for an amount with more than four decimals.
    """

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Decimal | None], int | None]:
        return units_if_any

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], Decimal | None]:
        return amount_of


class FreeText(TypeDecorator[str]):
    """A sentence that may come from outside, kept with U+FFFD for what no database takes.  Never a key."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        return mended_if_any


Condition = ColumnElement[bool] | TextClause | str


def index(table: Table, name: str, *columns: str, where: Condition | None = None) -> None:
    """An index of a table, in both databases; `where` makes it a partial one."""
    where = text(where) if isinstance(where, str) else where
    Index(name, *(table.c[column] for column in columns), sqlite_where=where, postgresql_where=where)
