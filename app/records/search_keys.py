"""Every number that an order and its parts are known by, kept when it is learned and searched without regard to case.

The ids of deliveries and requests are rows with an index of their own and are searched there (`records.searching`):
they come by the hundred thousand, and nobody would find more by a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec
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
    cast,
    column,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy import bindparam as given
from sqlalchemy import insert as sqlite_insert
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.sql.dml import UpdateBase

from app.domain.moments import to_ms
from app.domain.texts import mended
from app.records.statements import Prepared, are_among
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


def folded(number: str) -> str:
    """The number as it is searched for: without regard to case and to blanks at its ends."""
    return mended(number).strip().casefold()


def learn(connection: Connection, channel: str, numbers: Iterable[Number], now: datetime) -> None:
    """Keep these numbers, those that are known already among them: one statement, none for no numbers.

    What went with an order's personal data is not kept again: its tracking numbers, and where the order itself is found
    no more, all but what its money is called.
    """
    if rows := _rows(channel, numbers, now):
        _LEARN.execute(connection, {"learned": rows})


def learn_each(connection: Connection, learned: Iterable[tuple[str, Number, datetime]]) -> None:
    """`learn` numbers of any channels and moments: in the order of their keys, so that no two who learn deadlock."""
    if rows := {row for channel, number, at in learned for row in _kept_as(channel, (number,), at)}:
        _LEARN.execute(connection, {"learned": _as_json(rows)})


def learn_beside(
    connection: Connection, statement: UpdateBase, values: Mapping[str, Any], channel: str, numbers: Iterable[Number],
    now: datetime,
) -> CursorResult[Any]:  # fmt: skip
    """Carry out another statement and keep these numbers; what that one gives.

    On PostgreSQL, where each statement is a way to the server and back, they are one.
    """
    rows = _rows(channel, numbers, now)
    if not rows:
        return connection.execute(statement, values)
    if connection.dialect.name == "sqlite":
        _LEARN.execute(connection, {"learned": rows})
        return connection.execute(statement, values)
    return connection.execute(statement.add_cte(_BESIDE), {**values, "learned": rows})


def beside(statement: Callable[[str], UpdateBase]) -> Prepared:
    """What `statement` gives for a dialect of this name, made at start, for `learn_with`."""
    return Prepared(lambda dialect: statement(dialect) if dialect == "sqlite" else statement(dialect).add_cte(_BESIDE))


def learn_with(
    connection: Connection, statement: Prepared, values: Mapping[str, Any], channel: str, numbers: Iterable[Number],
    now: datetime,
) -> CursorResult[*tuple[Any, ...]]:  # fmt: skip
    """`learn_beside` for a statement that `beside` has made."""
    rows = _rows(channel, numbers, now) or "[]"
    if connection.dialect.name == "sqlite":
        _LEARN.execute(connection, {"learned": rows})
    return statement.execute(connection, {**values, "learned": rows})


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
    is_it = (of.channel == channel, of.order_refnum == refnum, of.kind == "order", of.object == refnum)
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


def _rows(channel: str, numbers: Iterable[Number], now: datetime) -> str:
    """Them as JSON, one parameter however many; "" for none."""
    rows = _kept_as(channel, numbers, now)
    return _as_json(rows) if rows else ""


def _kept_as(channel: str, numbers: Iterable[Number], now: datetime) -> set[tuple[Any, ...]]:
    at = to_ms(now)
    return {
        (channel, order_refnum, kind, written, folded(written), at)
        for order_refnum, kind, number in numbers
        if (written := mended(number).strip() if kind != "order" else number) and len(written) <= LONGEST
    }


def _as_json(rows: Collection[tuple[Any, ...]]) -> str:
    return msgspec.json.encode(sorted(rows)).decode()


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


def _sqlite() -> Insert:
    row = func.json_each(given("learned", type_=Text)).table_valued("value")
    values = [func.json_extract(row.c.value, f"$[{at}]") for at in range(len(_COLUMNS))]
    learned = select(*values).where(_is_welcome(*values[:3]))
    return sqlite_insert(search_keys).prefix_with("OR IGNORE").from_select(_COLUMNS, learned)


def _postgresql() -> Insert:
    row = func.jsonb_array_elements(cast(given("learned", type_=Text), JSONB)).table_valued(column("value", JSONB))
    texts = [row.c.value.op("->>", return_type=Text())(at) for at in range(len(_COLUMNS))]
    values = select(*texts[:-1], cast(texts[-1], BigInteger)).where(_is_welcome(*texts[:3]))
    return postgresql_insert(search_keys).from_select(_COLUMNS, values).on_conflict_do_nothing()


_LEARN = Prepared(lambda dialect: _sqlite() if dialect == "sqlite" else _postgresql())
_BESIDE = _postgresql().cte("learned")
