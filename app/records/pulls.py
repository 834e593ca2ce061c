"""How often each order was handed out by `order_pull`, walk by walk (R18)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    update,
)  # fmt: skip

from app.domain.moments import to_ms
from app.records.statements import Prepared, among
from app.records.tables.columns import Moment
from app.records.tables.orders import handed_out, held_back

TIRED_AFTER = 5
"""Hand-outs without acknowledgement after which an order goes behind fresh ones (R18)."""

KEPT_MOMENTS = 100
"""Hand-outs of an order that are kept one by one; of later ones the last."""

_OF_CHANNEL = handed_out.c.channel == bindparam("of_channel")
_HANDED_AT = bindparam("handed_at", type_=Moment)
_MOMENT = bindparam("moment", type_=Text)
_IS_OTHER_WALK = handed_out.c.last_pull_ms != bindparam("pull_ms")

_SET_ASIDE = Prepared(
    select(
        handed_out.c.refnum, handed_out.c.acknowledged_at.is_not(None), handed_out.c.times, handed_out.c.hand_outs
    ).where(
        _OF_CHANNEL,
        among(handed_out.c.refnum, "refnums"),
        or_(handed_out.c.acknowledged_at.is_not(None), handed_out.c.times >= TIRED_AFTER),
    )
)

_NO: ColumnElement[int] = literal_column("0")
_YES: ColumnElement[int] = literal_column("1")

_KEPT = Prepared(
    select(
        handed_out.c.refnum,
        handed_out.c.times,
        handed_out.c.last_pull_ms,
        _NO.label("is_held"),
        case((handed_out.c.acknowledged_at.is_not(None), _YES), else_=_NO).label("is_acknowledged"),
        case((handed_out.c.erased_at.is_not(None), _YES), else_=_NO).label("is_erased"),
    )
    .where(_OF_CHANNEL, among(handed_out.c.refnum, "refnums"))
    .union_all(
        select(held_back.c.refnum, _NO, _NO, _YES, _NO, _NO).where(
            held_back.c.channel == bindparam("of_channel"), among(held_back.c.refnum, "refnums")
        )
    )
)

_COUNT = Prepared(
    update(handed_out)
    .where(_OF_CHANNEL, among(handed_out.c.refnum, "refnums"), _IS_OTHER_WALK)
    .values(
        times=handed_out.c.times + 1,
        last_pull_ms=bindparam("pull_ms"),
        last_handed_at=_HANDED_AT,
        hand_outs=case(
            (handed_out.c.times < KEPT_MOMENTS, func.coalesce(handed_out.c.hand_outs, "").concat(_MOMENT)),
            else_=handed_out.c.hand_outs,
        ),
    )
)


@dataclass(frozen=True)
class Walk:
    """A walk of `order_pull`: its moment, by which its hand-outs are counted once, and the time now."""

    pull_ms: int
    now: datetime

    @property
    def moment(self) -> str:
        """As a hand-out is added to `handed_out.hand_outs`."""
        return f",{to_ms(self.now)}"


class HandOuts(NamedTuple):
    """How often an order was handed out, and by which walk last."""

    times: int
    last_pull_ms: int


@dataclass(frozen=True)
class Kept:
    """What is known of the orders of a page before it is handed out."""

    handed_out: dict[str, HandOuts]
    """Those that were handed out or that a callback named."""
    held_back: set[str]
    acknowledged: set[str]
    """Those of them that RetailOps has."""
    erased: set[str]
    """Those of them whose personal data is gone."""


def set_aside(
    connection: Connection, channel: str, refnums: Collection[str], pull_ms: int
) -> tuple[set[str], set[str]]:
    """Of these orders those that RetailOps has, and those others that were given too often before this walk began.

    What other walks give meanwhile changes nothing, so that all pages of a walk take an order for the same.
    """
    tired: set[str] = set()
    acknowledged: set[str] = set()
    named = {"of_channel": channel, "refnums": refnums}
    for refnum, is_acknowledged, times, hand_outs in _SET_ASIDE.execute(connection, named).all():
        if is_acknowledged:
            acknowledged.add(refnum)
        elif times - sum(ms >= pull_ms for ms in _moments_ms(hand_outs)) >= TIRED_AFTER:
            tired.add(refnum)
    return acknowledged, tired


def kept(connection: Connection, channel: str, refnums: Collection[str]) -> Kept:
    """What is known of these orders."""
    found = Kept({}, set(), set(), set())
    named = {"of_channel": channel, "refnums": refnums}
    for refnum, times, last_pull_ms, is_held, is_acknowledged, is_erased in _KEPT.execute(connection, named).all():
        if is_held:
            found.held_back.add(refnum)
            continue
        found.handed_out[refnum] = HandOuts(times, last_pull_ms)
        if is_acknowledged:
            found.acknowledged.add(refnum)
        if is_erased:
            found.erased.add(refnum)
    return found


def count(connection: Connection, channel: str, refnums: Collection[str], walk: Walk) -> None:
    """Count a hand-out of these orders, once per walk however often its page is pulled."""
    if refnums:
        named = {"of_channel": channel, "refnums": refnums, "pull_ms": walk.pull_ms}
        _COUNT.execute(connection, {**named, "handed_at": walk.now, "moment": walk.moment})


def moments(kept: str | None) -> list[datetime]:
    """When an order was handed out, oldest first, by `handed_out.hand_outs`."""
    return [datetime.fromtimestamp(ms / 1000, UTC) for ms in _moments_ms(kept)]


def _moments_ms(kept: str | None) -> list[int]:
    return [int(ms) for ms in (kept or "").split(",") if ms]
