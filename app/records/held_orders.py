"""Orders that RetailOps does not get before a person has looked, for the operator (see `tables.orders.held_back`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.sql.dml import UpdateBase

from app.domain.orders import HeldBack
from app.domain.texts import mended
from app.records import search_keys
from app.records.row_lists import insert_many
from app.records.search_keys import Number
from app.records.statements import Prepared, among
from app.records.tables.orders import held_back


def _held(dialect: str) -> UpdateBase:
    rows = insert_many(held_back, ("refnum", "reason"), ("channel", "since"), dialect=dialect)
    return rows.returning(held_back.c.refnum)


_HOLD = search_keys.Beside(_held)
_HOLD_NEW = search_keys.Beside(_held, are_new=True)
_IS_NAMED = (held_back.c.channel == bindparam("of_channel"), among(held_back.c.refnum, "refnums"))
_NOTED = Prepared(select(held_back.c.refnum).where(*_IS_NAMED))
_LET_GO = Prepared(delete(held_back).where(*_IS_NAMED))


def hold(
    connection: Connection, channel: str, held: Iterable[HeldBack], now: datetime, *, are_new: bool = False
) -> set[str]:
    """Name these orders as held back; which of them were not yet.

    `are_new`: none of them was handed out or named by a callback, so that none can have been erased.
    """
    rows = {item.refnum: (item.refnum, mended(item.reason)) for item in held}
    if not rows:
        return set()
    named = {"channel": channel, "since": now, "rows": list(rows.values())}
    numbers = [Number(refnum, "order", refnum) for refnum in rows]
    statement = _HOLD_NEW if are_new else _HOLD
    return set(statement.execute(connection, named, channel, numbers, now).scalars())


def noted(connection: Connection, channel: str, refnums: Collection[str]) -> set[str]:
    """Which of these orders are named as held back."""
    return set(_NOTED.execute(connection, {"of_channel": channel, "refnums": refnums}).scalars())


def let_go(connection: Connection, channel: str, refnums: Collection[str]) -> None:
    """Nobody has to look any more: they are sent, or they are over."""
    if refnums:
        _LET_GO.execute(connection, {"of_channel": channel, "refnums": refnums})
