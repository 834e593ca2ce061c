"""Many workers, one queue of deliveries: see which gateways have some due, claim them under a lease, give them back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    func,
    null,
    or_,
    select,
    update,
)

from app.domain.commands import read_back
from app.domain.moments import moment_of
from app.records import leases
from app.records.deliveries import DUE_STATES, OPEN_STATES, Delivery
from app.records.indexed_streams import Stream, streams_in
from app.records.outbox import BEHIND, is_in, new_lease
from app.records.statements import Prepared, among
from app.records.tables.columns import Moment
from app.records.tables.deliveries import deliveries

LOOK_FURTHER = 50
"""How many calls beyond the requested number a claim looks at, for those that stand behind others."""


def _is_due(now: BindParameter[datetime]) -> ColumnElement[bool]:
    return and_(
        is_in(deliveries, DUE_STATES),
        deliveries.c.next_try_at <= now,
        leases.is_over(deliveries.c.lease_until, now, bindparam("beyond", type_=Moment)),
    )


# The statements of a busy worker are made once, for making them costs more than running them.
_NOW = bindparam("now", type_=Moment)
_UNTIL = bindparam("until", type_=Moment)
_THESE = among(deliveries.c.id, "ids")

_EARLIER = deliveries.alias("earlier")
_IN_FRONT = (
    _EARLIER.c.channel == deliveries.c.channel,
    _EARLIER.c.gateway == deliveries.c.gateway,
    _EARLIER.c.lane == deliveries.c.lane,
    _EARLIER.c.id < deliveries.c.id,
)


def _is_any(which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Read by its index for each row; of two `exists` PostgreSQL would read every open call of the table."""
    return select(_EARLIER.c.id).where(*_IN_FRONT, which).limit(1).scalar_subquery().is_not(None)


# One that is over holds up the next while an attempt of it may still arrive there, after what is sent now (R11).
_IS_BEHIND = or_(_is_any(is_in(_EARLIER, OPEN_STATES)), _is_any(_EARLIER.c.late_until > _NOW))
_DUE = Prepared(
    select(
        deliveries.c.id, deliveries.c.verb, deliveries.c.lane, deliveries.c.command_id, deliveries.c.body,
        deliveries.c.state, deliveries.c.attempts, deliveries.c.is_possibly_done, deliveries.c.last_attempt_at,
        deliveries.c.lease_token, deliveries.c.lease_until, deliveries.c.request_id, deliveries.c.late_until,
        _IS_BEHIND.label("is_behind"),
    )
    .where(
        deliveries.c.channel == bindparam("of_channel"),
        deliveries.c.gateway == bindparam("of_gateway"),
        _is_due(_NOW),
    )
    .order_by(deliveries.c.next_try_at, deliveries.c.id)
    .limit(bindparam("look_at"))
    .with_for_update(skip_locked=True, of=deliveries)
)  # fmt: skip
_LATE_UNTIL = select(func.max(_EARLIER.c.late_until)).where(*_IN_FRONT, _EARLIER.c.late_until > _NOW).scalar_subquery()
_PUT_OFF = Prepared(
    update(deliveries)
    .where(_THESE, _IS_BEHIND)
    .values(next_try_at=case((_LATE_UNTIL < _UNTIL, _LATE_UNTIL), else_=_UNTIL))
)

# A lease that ran out belonged to a process that died or lost the database after it may have sent.
_HAS_RUN_OUT = deliveries.c.lease_token.is_not(None)
_LEASE = Prepared(
    update(deliveries)
    .where(_THESE)
    .values(
        is_possibly_done=or_(deliveries.c.is_possibly_done, _HAS_RUN_OUT),
        last_attempt_at=case(
            (and_(_HAS_RUN_OUT, deliveries.c.lease_until <= _NOW), deliveries.c.lease_until),
            (_HAS_RUN_OUT, _NOW),
            else_=deliveries.c.last_attempt_at,
        ),
        late_until=case((_HAS_RUN_OUT, null()), else_=deliveries.c.late_until),
        lease_token=bindparam("token"),
        lease_until=_UNTIL,
    )
)


def claim(
    connection: Connection,
    channel: str,
    gateway: str,
    *,
    now: datetime,
    lease_s: float,
    limit: int,
    ahead: int = 0,
    never_ahead: Collection[str] = (),
    except_for: Collection[int] = (),
) -> tuple[str, list[Delivery]]:
    """Lease up to `limit` due deliveries that stand first in their lanes; returns the lease token and them.

    After those come up to `ahead` more, for threads that will soon be free; none of the verbs `never_ahead`.
    Deliveries `except_for` are left alone, for their outcome is known and only not recorded yet.

    Looks at no more than a few times as many, however many are owed: one that turns out to stand behind
    another is put off until that one is closed (`wake_lanes`) or `BEHIND` has passed.
    """
    most = limit + ahead
    for look_at in (most, most + LOOK_FURTHER):
        of = {"of_channel": channel, "of_gateway": gateway, "now": now, "beyond": now + leases.LONGEST}
        of["look_at"] = look_at
        seen = _DUE.execute(connection, of).all()
        behind = [row.id for row in seen if row.is_behind]
        if not behind:
            break
        # Read again, for between the two statements the one in front may have been closed.
        _PUT_OFF.execute(connection, {"ids": behind, "until": now + BEHIND, "now": now})
    first = [row for row in seen if not row.is_behind and row.id not in except_for][:most]
    rows = first[:limit] + [row for row in first[limit:] if row.verb not in never_ahead]
    token = new_lease()
    if rows:
        until = now + timedelta(seconds=lease_s)
        _LEASE.execute(connection, {"ids": [row.id for row in rows], "token": token, "until": until, "now": now})
    return token, [
        Delivery(
            row.id, channel, gateway, row.verb, row.lane, row.command_id, read_back(row.verb, row.body), row.state,
            row.attempts, bool(row.is_possibly_done) or row.lease_token is not None,
            _last_attempt_at(row, now), row.request_id,
            None if row.lease_token is not None else moment_of(row.late_until),
        )
        for row in rows
    ]  # fmt: skip


def _last_attempt_at(row: Any, now: datetime) -> datetime | None:
    """When whoever had the call last may have tried it."""
    if row.lease_token is None:
        return moment_of(row.last_attempt_at)
    return min(moment_of(row.lease_until) or now, now)


def give_back(connection: Connection, delivery_ids: Sequence[int], *, token: str, next_try_at: datetime) -> None:
    """End a lease without an attempt."""
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(delivery_ids), deliveries.c.lease_token == token)
        .values(**leases.ENDED, next_try_at=next_try_at)
    )


def due_streams(connection: Connection, now: datetime, until: datetime | None = None) -> dict[Stream, datetime]:
    """When each (channel, gateway) with calls has one that `claim` might find: now or before, or else by `until`.

    Also those that are no longer configured.  Costs no write lock.
    """
    until = until or now
    rows = _DUE_STREAMS.execute(connection, {"now": now, "beyond": now + leases.LONGEST, "until": until})
    found = (
        (row.channel, row.gateway, moment_of(row.due_at if row.due_at is not None else row.later_at)) for row in rows
    )
    return {(channel, gateway): at for channel, gateway, at in found if at is not None}


def _due_streams(dialect: str) -> Select[Any]:
    streams = streams_in(deliveries, "ix_deliveries_due", dialect)
    own = (deliveries.c.channel == streams.c.channel, deliveries.c.gateway == streams.c.gateway)
    next_try_at = deliveries.c.next_try_at
    # With a limit, for PostgreSQL would else read the whole backlog once instead of one row for each stream.
    due = select(next_try_at).where(*own, _is_due(_NOW)).order_by(next_try_at).limit(1).scalar_subquery()
    is_later = (is_in(deliveries, DUE_STATES), next_try_at > _NOW, next_try_at <= _UNTIL)
    later = select(next_try_at).where(*own, *is_later).order_by(next_try_at).limit(1).scalar_subquery()
    return select(streams.c.channel, streams.c.gateway, due.label("due_at"), later.label("later_at"))


_DUE_STREAMS = Prepared(_due_streams)
