"""How often each order was handed out by `order_pull`, walk by walk (R18)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Text, bindparam, case, func, select, update

from app.records.statements import among
from app.records.tables.columns import Moment
from app.records.tables.orders import IS_OPEN_ORDER, handed_out

TIRED_AFTER = 5
"""Hand-outs without acknowledgement after which an order goes behind fresh ones (R18)."""

KEPT_MOMENTS = 100
"""Hand-outs of an order that are kept one by one; of later ones the last."""

TIRED_FOR = timedelta(days=7)
"""An order its source has not offered for so long is not looked for any more."""


_OF_CHANNEL = handed_out.c.channel == bindparam("of_channel")
_HANDED_AT = bindparam("handed_at", type_=Moment)
_MOMENT = bindparam("moment", type_=Text)

_ANY_OPEN = select(handed_out.c.refnum).where(_OF_CHANNEL, IS_OPEN_ORDER).limit(1)

_STANDING = select(
    handed_out.c.refnum,
    handed_out.c.times,
    handed_out.c.last_pull_ms,
    handed_out.c.acknowledged_at.is_not(None).label("is_acknowledged"),
).where(_OF_CHANNEL, among(handed_out.c.refnum, "refnums"))

_COUNT = (
    update(handed_out)
    .where(_OF_CHANNEL, among(handed_out.c.refnum, "refnums"), handed_out.c.last_pull_ms != bindparam("pull_ms"))
    .values(
        times=handed_out.c.times + 1,
        last_pull_ms=bindparam("pull_ms"),
        last_handed_at=_HANDED_AT,
        hand_outs=case(
            (handed_out.c.times < KEPT_MOMENTS, func.coalesce(handed_out.c.hand_outs, "").concat(_MOMENT)),
            else_=handed_out.c.hand_outs,
        ),
    )
    .returning(handed_out.c.refnum, handed_out.c.times)
)


def moments(kept: str | None) -> list[datetime]:
    """When an order was handed out, oldest first, by `handed_out.hand_outs`."""
    return [datetime.fromtimestamp(int(ms) / 1000, UTC) for ms in (kept or "").split(",") if ms]


def is_any_open(connection: Connection, channel: str) -> bool:
    """Whether RetailOps has any order that is neither cancelled nor completed."""
    return connection.execute(_ANY_OPEN, {"of_channel": channel}).first() is not None


def standing(
    connection: Connection, channel: str, refnums: Collection[str], pull_ms: int
) -> dict[str, tuple[int, bool]]:
    """Per order how often walks before that of `pull_ms` handed it out, and whether RetailOps has it."""
    rows = connection.execute(_STANDING, {"of_channel": channel, "refnums": refnums}).all()
    return {refnum: (times - (last == pull_ms), is_acknowledged) for refnum, times, last, is_acknowledged in rows}


def has_tired(connection: Connection, channel: str, pull_ms: int, now: datetime) -> bool:
    """Whether walks before that of `pull_ms` handed out an order so often that it goes behind the fresh ones."""
    query = _ANY_OPEN.where(
        handed_out.c.acknowledged_at.is_(None),
        handed_out.c.times >= TIRED_AFTER,
        handed_out.c.last_pull_ms != pull_ms,
        handed_out.c.last_handed_at > now - TIRED_FOR,
    )
    return connection.execute(query, {"of_channel": channel}).first() is not None


def count(connection: Connection, channel: str, refnums: Collection[str], pull_ms: int, now: datetime) -> list[str]:
    """Count the hand-outs once per walk, however often its page is requested; those that go last from now on."""
    if not refnums:
        return []
    moment = f",{int(now.timestamp() * 1000)}"
    now_counted = {
        "of_channel": channel, "refnums": refnums, "pull_ms": pull_ms, "handed_at": now, "moment": moment,
    }  # fmt: skip
    tired = {refnum for refnum, times in connection.execute(_COUNT, now_counted).all() if times == TIRED_AFTER}
    return [refnum for refnum in refnums if refnum in tired]
