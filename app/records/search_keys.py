"""Every number that an order and its parts are known by, kept when it is learned and searched without regard to case.

The ids of deliveries and requests are rows with an index of their own and are searched there (`records.searching`):
they come by the hundred thousand, and nobody would find more by a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    CursorResult,
    Insert,
    Row,
    Select,
    Text,
    and_,
    delete,
    exists,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy import bindparam as given
from sqlalchemy.sql.dml import UpdateBase

from app.domain.moments import to_ms
from app.domain.texts import mended
from app.records.row_lists import cells_of
from app.records.statements import INSERTS, Prepared, are_among
from app.records.tables.operations import IS_TRACKING_KEY, search_keys
from app.records.tables.orders import handed_out

Kind = Literal[
    "order", "retailops_order", "source_order", "cart", "payment", "shipment", "package", "tracking", "return",
    "refund", "credit", "sku",
]  # fmt: skip
"""order: the channel's number.  retailops_order: RetailOps'.  source_order: the merchant's own at the source.  cart and
payment: ids of a checkout.  refund and credit: what the vendor calls money it gave back.  sku: of no order, "".  The
rest is RetailOps'."""

OF_MONEY: Final = ("return", "refund", "credit")
"""Kinds of numbers that come about long after an order is over."""

LONGEST = 255
"""Characters of a number; what is longer is nobody's to type."""


class Number(NamedTuple):
    """A number of an order, or of something that belongs to it."""

    order_refnum: str
    kind: Kind
    number: str


AsNumber = tuple[str, Kind, str]
"""A `Number`, or its three parts without the names, which a page of orders makes hundreds of."""


def folded(number: str) -> str:
    """The number as it is searched for: without regard to case and to blanks at its ends."""
    return mended(number).strip().casefold()


def learn(connection: Connection, channel: str, numbers: Iterable[AsNumber], now: datetime) -> None:
    """Keep these numbers, those that are known already among them: one statement, none for no numbers.

    What went with an order's personal data is not kept again: its tracking numbers, and where the order itself is found
    no more, all but what its money is called.
    """
    if learned := _learned(channel, numbers, now):
        _LEARN.execute(connection, learned)


def learn_each(connection: Connection, learned: Iterable[tuple[str, Number, datetime]]) -> None:
    """`learn` numbers of any channels and moments: in the order of their keys, so that no two who learn deadlock."""
    if rows := {(channel, *row, to_ms(at)) for channel, number, at in learned for row in _rows((number,))}:
        _LEARN_EACH.execute(connection, {"learned": sorted(rows)})


def learn_beside(
    connection: Connection, statement: UpdateBase, values: Mapping[str, Any], channel: str, numbers: Iterable[AsNumber],
    now: datetime,
) -> CursorResult[Any]:  # fmt: skip
    """Carry out another statement and keep these numbers; what that one gives.

    On PostgreSQL, where each statement is a way to the server and back, they are one.
    """
    learned = _learned(channel, numbers, now)
    if not learned:
        return connection.execute(statement, values)
    if connection.dialect.name == "sqlite":
        _LEARN.execute(connection, learned)
        return connection.execute(statement, values)
    return connection.execute(statement.add_cte(_BESIDE), {**values, **learned})


class Beside:
    """A statement that is made at start, and keeps numbers as `learn_beside` does."""

    def __init__(self, statement: Callable[[str], UpdateBase], *, are_new: bool = False) -> None:
        """`statement`: what makes it for a dialect of this name; `are_new`: the orders are not remembered before it."""
        self._learn = _LEARN_NEW if are_new else _LEARN
        learned = _NEW_BESIDE if are_new else _BESIDE
        self._statement = Prepared(
            lambda dialect: statement(dialect) if dialect == "sqlite" else statement(dialect).add_cte(learned)
        )

    def execute(
        self, connection: Connection, values: Mapping[str, Any], channel: str, numbers: Iterable[AsNumber],
        now: datetime,
    ) -> CursorResult[*tuple[Any, ...]]:  # fmt: skip
        """Carry it out and keep these numbers; what the statement gives."""
        learned = _learned(channel, numbers, now) or {"learned": (), "of_channel": channel, "learned_at": 0}
        if connection.dialect.name == "sqlite":
            self._learn.execute(connection, learned)
        return self._statement.execute(connection, {**values, **learned})


def forget(connection: Connection, channel: str, *order_refnums: str) -> None:
    """These orders are gone: nothing of them is found any more."""
    connection.execute(
        delete(search_keys).where(search_keys.c.channel == channel, search_keys.c.order_refnum.in_(order_refnums))
    )


def stale_tracking(before: datetime) -> Select[Any]:
    """Keys of tracking numbers that were learned before: whoever has one may look up where the parcel went (R28)."""
    of = search_keys.c
    is_tracking: ColumnElement[bool] = literal_column(IS_TRACKING_KEY)  # SQLAlchemy adds `= 1` to a Boolean
    return select(of.channel, of.order_refnum, of.kind, of.object).where(is_tracking, of.at < before).order_by(of.at)


def tracking_of(channel: str, order_refnum: str) -> Select[Any]:
    """Keys of the tracking numbers of an order."""
    of = search_keys.c
    is_it = (of.channel == channel, of.order_refnum == order_refnum, of.kind == "tracking")
    return select(of.channel, of.order_refnum, of.kind, of.object).where(*is_it)


def purge(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    """Delete these."""
    connection.execute(delete(search_keys).where(are_among(connection, list(search_keys.primary_key.columns), rows)))


def known_at(connection: Connection, channel: str, refnum: str) -> datetime | None:
    """When this server learned of an order, None where that was before it kept that."""
    of = search_keys.c
    is_it = (of.channel == channel, of.order_refnum == refnum, of.kind == _ORDER, of.object == refnum)
    found: datetime | None = connection.execute(select(of.at).where(*is_it)).scalar()
    return found


def of_order(connection: Connection, channel: str, order_refnum: str) -> list[Number]:
    """The numbers of an order and its parts, by kind and number."""
    of = search_keys.c
    rows = connection.execute(
        select(of.order_refnum, of.kind, of.object)
        .where(of.channel == channel, of.order_refnum == order_refnum)
        .order_by(of.kind, of.object)
    )
    return [Number(*row) for row in rows]


def _learned(channel: str, numbers: Iterable[AsNumber], now: datetime) -> Mapping[str, Any]:
    """The parameters of `_LEARN`; none for no numbers."""
    rows = _rows(numbers)
    return {"learned": sorted(rows), "of_channel": channel, "learned_at": to_ms(now)} if rows else {}


def _rows(numbers: Iterable[AsNumber]) -> set[tuple[str, ...]]:
    """Order, kind, number and folded number (as `folded` makes it) of each."""
    rows: set[tuple[str, ...]] = set()
    for order_refnum, kind, number in numbers:
        plain = mended(number).strip()
        written = number if kind == "order" else plain
        if written and len(written) <= LONGEST:
            rows.add((order_refnum, kind, written, plain.casefold()))
    return rows


_COLUMNS = [each.name for each in search_keys.columns]


def _is_welcome(channel: ColumnElement[str], order_refnum: ColumnElement[str], kind: ColumnElement[str]) -> Any:
    known = search_keys.alias("known")
    is_found = exists().where(known.c.channel == channel, known.c.order_refnum == order_refnum, known.c.kind == _ORDER)
    may_come_back = and_(kind != _TRACKING, or_(kind.in_(list(map(_constant, OF_MONEY))), is_found))
    is_erased = exists().where(
        handed_out.c.channel == channel, handed_out.c.refnum == order_refnum, handed_out.c.erased_at.is_not(None)
    )
    return or_(~is_erased, may_come_back)


def _constant(text: str) -> ColumnElement[str]:
    return literal_column(f"'{text}'", Text)


_ORDER, _TRACKING = map(_constant, ("order", "tracking"))


def _statement(dialect: str, *, is_each: bool = False, are_new: bool = False) -> Insert:
    """Learn the rows in the parameter `learned`: whole ones where `is_each`, else those that `_rows` gives.

    `are_new`: of orders that are not remembered, so that none of them can have been erased.
    """
    cells = cells_of(search_keys, _COLUMNS if is_each else _COLUMNS[1:-1], "learned")
    if not is_each:
        cells = [given("of_channel", type_=Text), *cells, given("learned_at", type_=BigInteger)]
    learned = select(*cells).where(true() if are_new else _is_welcome(*cells[:3]))
    kept: Insert = INSERTS[dialect](search_keys).from_select(_COLUMNS, learned).on_conflict_do_nothing()
    return kept


_LEARN = Prepared(_statement)
_LEARN_NEW = Prepared(partial(_statement, are_new=True))
_LEARN_EACH = Prepared(partial(_statement, is_each=True))
_BESIDE = _statement("postgresql").cte("learned")
_NEW_BESIDE = _statement("postgresql", are_new=True).cte("learned")
