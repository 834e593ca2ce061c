"""Orders their source cancelled after RetailOps got them: what was found, handed out and acknowledged of that (R18)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import ClauseElement, Connection, bindparam, exists, select, update

from app.records.deliveries import OPEN_STATES
from app.records.outbox import is_in
from app.records.statements import Prepared, among, upserted
from app.records.tables.deliveries import deliveries
from app.records.tables.orders import IS_OPEN_ORDER, handed_out
from app.records.tables.orders import source_cancellation_cursors as cursors

_KNOWN_UNTIL = select(cursors.c.until_ms).where(
    cursors.c.channel == bindparam("of_channel"), cursors.c.gateway == bindparam("of_gateway")
)


def _advanced(dialect: str) -> ClauseElement:
    return upserted(dialect, cursors, lambda row: {"until_ms": row.until_ms})


_KNOW_UNTIL = Prepared(_advanced)

_IS_BEING_CANCELLED = exists().where(
    deliveries.c.channel == handed_out.c.channel,
    deliveries.c.gateway == bindparam("of_gateway"),
    deliveries.c.lane == handed_out.c.refnum,
    deliveries.c.verb == "cancel_order",
    is_in(deliveries, OPEN_STATES),
)

_IS_DUE = (
    handed_out.c.channel == bindparam("of_channel"),
    handed_out.c.source_cancelled_at.is_not(None),
    handed_out.c.cancellation_known_at.is_(None),
    IS_OPEN_ORDER,  # written out: SQLite plans anew each time for a parameter that an index's condition may name
    ~_IS_BEING_CANCELLED,
)
_DUE = Prepared(
    select(handed_out.c.refnum)
    .where(*_IS_DUE)
    .order_by(handed_out.c.cancellation_times, handed_out.c.source_cancelled_at)
    .limit(bindparam("most"))
)

_STANDING = Prepared(
    select(
        exists().where(handed_out.c.channel == bindparam("of_channel"), IS_OPEN_ORDER),
        _KNOWN_UNTIL.scalar_subquery(),
        exists().where(*_IS_DUE),
    )
)


def standing(connection: Connection, channel: str, gateway: str, most: int) -> tuple[bool, int | None, tuple[str, ...]]:
    """Whether RetailOps has any order that is neither cancelled nor completed, and where there is one up to when, by
    the source's clock, it is known which orders it cancelled, None at first, and those that are `due`."""
    named = {"of_channel": channel, "of_gateway": gateway}
    has_open, until_ms, has_due = _STANDING.execute(connection, named).one()
    return bool(has_open), until_ms, tuple(due(connection, channel, gateway, most)) if has_due else ()


def concerning(connection: Connection, channel: str, refnums: Collection[str]) -> list[str]:
    """Of these cancelled orders those RetailOps was given, has not cancelled itself and was not sent as cancelled.

    It was given those it pulled by their number, too, which no walk has counted.
    """
    query = select(handed_out.c.refnum).where(
        handed_out.c.channel == channel,
        among(handed_out.c.refnum, "refnums"),
        IS_OPEN_ORDER,
        handed_out.c.source_cancelled_at.is_(None),
    )
    return list(connection.execute(query, {"refnums": refnums}).scalars())


def note(connection: Connection, channel: str, refnums: Collection[str], now: datetime) -> None:
    """RetailOps is to be sent that these orders were cancelled."""
    _change(connection, channel, refnums, source_cancelled_at=now)


def know_until(connection: Connection, channel: str, gateway: str, until_ms: int) -> None:
    """What the source cancelled up to then, by its clock, is known."""
    row = {"channel": channel, "gateway": gateway, "until_ms": until_ms}
    _KNOW_UNTIL.execute(connection, row)  # two pulls may be the first one


def due(connection: Connection, channel: str, gateway: str, limit: int) -> list[str]:
    """Orders to hand out as cancelled now, those sent least often first.

    Not while a cancellation of RetailOps' own has no outcome, for it may be that one that shows at the source.
    """
    named = {"of_channel": channel, "of_gateway": gateway, "most": limit}
    return list(_DUE.execute(connection, named).scalars())


def revive(connection: Connection, channel: str, refnums: Collection[str]) -> None:
    """The source has them as orders again."""
    _change(connection, channel, refnums, source_cancelled_at=None, cancellation_times=0)


def count(connection: Connection, channel: str, refnums: Collection[str]) -> None:
    """These orders were handed out with `cancel: true`."""
    if refnums:
        _change(connection, channel, refnums, cancellation_times=handed_out.c.cancellation_times + 1)


def acknowledge(connection: Connection, channel: str, numbers: Mapping[str, str], now: datetime) -> None:
    """RetailOps has acknowledged these orders (its number by refnum) after it was sent that they are cancelled.

    The first acknowledgement of an order may be one of its first hand-out that came late.
    """
    for refnum, number in sorted(numbers.items()):
        place = (handed_out.c.channel == channel, handed_out.c.refnum == refnum)
        columns = (handed_out.c.acknowledged_at, handed_out.c.retailops_order_id, handed_out.c.cancellation_known_at)
        row = connection.execute(select(*columns).where(*place)).one()
        if row.acknowledged_at is None:
            known_now = {"acknowledged_at": now, "cancellation_times": 0}
        else:
            known_now = {"cancellation_known_at": row.cancellation_known_at or now}
        _change(connection, channel, [refnum], retailops_order_id=row.retailops_order_id or number, **known_now)


def _change(connection: Connection, channel: str, refnums: Collection[str], **values: object) -> None:
    named = update(handed_out).where(handed_out.c.channel == channel, among(handed_out.c.refnum, "refnums"))
    connection.execute(named.values(**values), {"refnums": refnums})
