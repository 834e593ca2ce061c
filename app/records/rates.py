"""The rates of vendor keys that all processes share: one row for each key, changed under its lock (R14).

What the numbers mean is decided by who calls vendors (`transport`, whose `RateStore` this is); here they are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import Row, Select, cast, extract, func, literal, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import Float

from app.records.database import Database, DatabaseUnavailable
from app.records.database_errors import in_words
from app.records.statements import upsert
from app.records.tables.gateways import rates

WAIT_S = 0.25
"""How long SQLite's writer is waited for; who is refused asks again, and a callback's own writing goes on."""

T = TypeVar("T")


class StoredRates:
    """By the clock that all processes share (`app.clock`), at the moment at which the row is theirs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def update(
        self, name: str, decide: Callable[[Mapping[str, float] | None, float], tuple[T, Mapping[str, float]]]
    ) -> T:
        """Store what `decide` makes of the row, None where there is none, and of the time in seconds.

        Raises `DatabaseUnavailable`, also where the table does not exist yet.
        """
        try:
            # What a power cut forgets is learned again, so no call waits for a disk.
            wait_s = WAIT_S if self._database.is_sqlite else None
            with self._database.write(wait_s=wait_s, is_durable=False) as connection:
                row = connection.execute(self._locked(name)).first()
                if row is None:
                    answer, first = decide(None, self._now_s())
                    if upsert(connection, rates, {"name": name, **first}).rowcount:
                        return answer
                    # Another process has just made it.
                    row = connection.execute(self._locked(name)).one()
                answer, changed = decide(_numbers(row), row.now)
                connection.execute(update(rates).where(rates.c.name == name).values(dict(changed)))
                return answer
        except SQLAlchemyError as error:
            raise DatabaseUnavailable(in_words(getattr(error, "orig", None) or error)) from error

    def read(self, name: str) -> Mapping[str, float] | None:
        """The row as it stands.  Raises `DatabaseUnavailable`."""
        try:
            with self._database.read() as connection:
                row = connection.execute(select(rates).where(rates.c.name == name)).first()
        except SQLAlchemyError as error:
            raise DatabaseUnavailable(in_words(getattr(error, "orig", None) or error)) from error
        return None if row is None else _numbers(row)

    def _locked(self, name: str) -> Select[Any]:
        if self._database.is_sqlite:  # the whole transaction is alone
            return select(rates, literal(self._now_s()).label("now")).where(rates.c.name == name)
        now = cast(extract("epoch", func.clock_timestamp()), Float).label("now")
        return select(rates, now).where(rates.c.name == name).with_for_update()

    def _now_s(self) -> float:
        return self._database.clock().timestamp()


def _numbers(row: Row[Any]) -> dict[str, float]:
    return {key: value for key, value in row._mapping.items() if key not in ("name", "now")}
