"""Orders cancelled at their source after they were handed out: RetailOps gets them again with `cancel: true` (R18).

While RetailOps has open orders they are asked for with every `order_pull`, remembered as due, handed out before the
others, and due until RetailOps acknowledges that hand-out; the acknowledgement changes nothing at the vendor.  The
first acknowledgement of an order may be one of its first hand-out that came late, so the cancellation is handed out
once more after it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection, exists, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.channel.desk import Asked, Desk
from app.deliveries.transitions import OPEN_STATES
from app.domain.orders import CalledOff, Candidate, Order
from app.errors import GatewayError
from app.gateways.interface import Call, Gateway
from app.records.tables import IS_OPEN_ORDER, deliveries, handed_out
from app.records.tables import called_off_cursors as cursors

PER_PAGE = 25
"""Orders called off on one page, so that fresh ones keep most of it; those told least often go first."""

SHARE = 0.4
"""The part of a callback's time that may go into finding out; the orders themselves need the rest."""

BATCH = 500

log = logging.getLogger(__name__)


def is_any_open(desk: Desk, asked: Asked) -> bool:
    """Whether RetailOps has any order that is neither cancelled nor completed."""
    wanted = select(handed_out.c.refnum).where(handed_out.c.channel == asked.channel.key, IS_OPEN_ORDER).limit(1)
    with desk.database.read() as connection:
        return connection.execute(wanted).first() is not None


def find_out(desk: Desk, asked: Asked, source: Gateway) -> None:
    """Ask the source what was called off since the last time, and remember what concerns RetailOps.

    A source that cannot be asked is asked again with the next pull.
    """
    channel = asked.channel.key
    with desk.database.read() as connection:
        since_ms = connection.execute(
            select(cursors.c.until_ms).where(cursors.c.channel == channel, cursors.c.gateway == source.token)
        ).scalar()
    asked.leave_turn()
    call = Call(asked.deadline.within_s(asked.deadline.left_s() * SHARE), asked.request_id, "question")
    try:
        found = source.fetch_called_off(since_ms, int(desk.clock().timestamp() * 1000), call)
    except GatewayError as error:
        log.info("channel %s: what was called off at %s cannot be read now (%s)", channel, source.token, error.code)
        return
    with desk.database.read() as connection:
        fresh = _concerning(connection, channel, found.refnums)
    if not fresh and (found.until_ms == since_ms or not found.until_ms):
        return
    serial = [f"{channel}/{refnum}" for refnum in fresh]
    with desk.database.write(wait_s=asked.deadline.left_s(), serial=serial) as connection:
        _note(connection, channel, source.token, found, fresh, desk.clock())


def _concerning(connection: Connection, channel: str, refnums: Collection[str]) -> list[str]:
    """Those RetailOps was given and has neither cancelled itself nor been told of."""
    wanted = list(refnums)
    found: list[str] = []
    for at in range(0, len(wanted), BATCH):
        found += connection.execute(
            select(handed_out.c.refnum).where(
                handed_out.c.channel == channel,
                handed_out.c.refnum.in_(wanted[at : at + BATCH]),
                or_(handed_out.c.times > 0, handed_out.c.acknowledged_at.is_not(None)),
                handed_out.c.state == "open",
                handed_out.c.called_off_at.is_(None),
            )
        ).scalars()
    return found


def _note(
    connection: Connection, channel: str, gateway: str, found: CalledOff, fresh: Collection[str], now: datetime
) -> None:
    for refnum in fresh:
        _change(connection, channel, [refnum], called_off_at=now)
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(  # two pulls may be the first one
        make(cursors)
        .values(channel=channel, gateway=gateway, until_ms=found.until_ms)
        .on_conflict_do_update(index_elements=[cursors.c.channel, cursors.c.gateway], set_={"until_ms": found.until_ms})
    )


def due(desk: Desk, asked: Asked, source: Gateway) -> list[Candidate]:
    """Orders to hand out with `cancel: true` now; none while the source cannot be asked for them.

    While a cancellation of RetailOps' own has no outcome it may be that one that shows at the source.
    """
    channel = asked.channel.key
    with desk.database.read() as connection:
        refnums = list(
            connection.execute(
                select(handed_out.c.refnum)
                .where(
                    handed_out.c.channel == channel,
                    handed_out.c.called_off_at.is_not(None),
                    handed_out.c.called_off_told_at.is_(None),
                    handed_out.c.state == "open",
                    ~exists().where(
                        deliveries.c.channel == handed_out.c.channel,
                        deliveries.c.gateway == source.token,
                        deliveries.c.lane == handed_out.c.refnum,
                        deliveries.c.verb == "cancel_order",
                        deliveries.c.state.in_(OPEN_STATES),
                    ),
                )
                .order_by(handed_out.c.called_off_times, handed_out.c.called_off_at)
                .limit(PER_PAGE)
            ).scalars()
        )
    if not refnums:
        return []
    try:
        found = source.fetch_named(refnums, asked.call("question"))
    except GatewayError as error:
        log.info("channel %s: orders called off cannot be read from %s (%s)", channel, source.token, error.code)
        return []
    is_called_off = {item.refnum: not isinstance(item.order, Order) or item.order.is_cancelled for item in found}
    revived = [refnum for refnum, is_so in is_called_off.items() if not is_so]
    if revived:
        with desk.database.write(wait_s=asked.deadline.left_s()) as connection:
            _change(connection, channel, revived, called_off_at=None, called_off_times=0)
    return [item for item in found if is_called_off[item.refnum]]


def count(connection: Connection, channel: str, refnum: str) -> None:
    """The order was handed out with `cancel: true`."""
    _change(connection, channel, [refnum], called_off_times=handed_out.c.called_off_times + 1)


def acknowledge(desk: Desk, asked: Asked, numbers: Iterable[tuple[str, str]]) -> set[str]:
    """Of these orders (refnum, RetailOps' number) those RetailOps was told are called off.

    Their source needs no word: it called them off itself.
    """
    channel, by_refnum = asked.channel.key, dict(numbers)
    told = (
        handed_out.c.channel == channel,
        handed_out.c.refnum.in_(list(by_refnum)),
        handed_out.c.called_off_times > 0,
    )
    with desk.database.read() as connection:
        known = set(connection.execute(select(handed_out.c.refnum).where(*told)).scalars())
    if known:
        with desk.database.write(wait_s=asked.deadline.left_s()) as connection:
            for refnum in sorted(known):
                _take(connection, channel, refnum, by_refnum[refnum], desk.clock())
    return known


def _take(connection: Connection, channel: str, refnum: str, number: str, now: datetime) -> None:
    place = (handed_out.c.channel == channel, handed_out.c.refnum == refnum)
    row = connection.execute(
        select(handed_out.c.acknowledged_at, handed_out.c.retailops_order_id, handed_out.c.called_off_told_at).where(
            *place
        )
    ).one()
    if row.acknowledged_at is None:
        told = {"acknowledged_at": now, "called_off_times": 0}
    else:
        told = {"called_off_told_at": row.called_off_told_at or now}
    _change(connection, channel, [refnum], retailops_order_id=row.retailops_order_id or number, **told)


def _change(connection: Connection, channel: str, refnums: Collection[str], **values: object) -> None:
    connection.execute(
        update(handed_out)
        .where(handed_out.c.channel == channel, handed_out.c.refnum.in_(list(refnums)))
        .values(**values)
    )
