"""The calls owed to vendors, a queue with one lane for each order: add, see whether a lane is free, read outcomes."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    BindParameter,
    Boolean,
    ColumnElement,
    Connection,
    FromClause,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from app.domain.commands import CommandBody, read_back
from app.domain.events import Association, Event
from app.records.deliveries import OPEN_STATES, Delivery
from app.records.statements import Prepared
from app.records.tables.columns import Moment
from app.records.tables.deliveries import commands, deliveries

BEHIND = timedelta(minutes=1)
"""How long a call behind another is not looked at; it is woken earlier when the other is closed."""

_ABOUT = tuple[Association, ...]


@dataclass(frozen=True)
class Owed:
    """A call to be owed: which gateway, which verb, what it says, and what its events are about."""

    gateway: str
    verb: str
    body: CommandBody
    about: tuple[Association, ...]
    changes_nothing: bool = False
    """True where its acceptance changes nothing in the records, as long as no call before it in its lane is open."""


@dataclass(frozen=True)
class CallReport:
    """What RetailOps may be sent about one delivery of a command."""

    verb: str
    gateway: str
    state: str
    code: str
    message: str
    about: tuple[Association, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Front:
    """The call that stands first in a lane, and when it is tried next; `lease_until` None while nobody tries it."""

    verb: str
    state: str
    attempts: int
    last_code: str
    next_try_at: datetime
    lease_until: datetime | None


def new_lease() -> str:
    """A token that proves who holds a delivery."""
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Placed:
    """A call that was written; `is_leased` where the request that wrote it may try it at once."""

    delivery: Delivery
    is_leased: bool


def owe(
    connection: Connection,
    owed: Owed,
    *,
    channel: str,
    lane: str,
    command_id: int,
    request_id: str,
    now: datetime,
    lease: tuple[str, datetime] | None,
    is_kept_behind: bool = True,
) -> Placed | None:
    """Write one owed call; with a lease it belongs to the request that wrote it until the lease ends.

    The lease is taken only if the lane is free: if nothing is open there but what the same lease holds, and nothing may
    still arrive there.  Else the call stands behind others and is woken when the one in front is closed, or is due when
    nothing can arrive any more; where it may not stand behind (`is_kept_behind`) nothing is written: None.
    """
    body = msgspec.json.encode(owed.body)
    token, until = lease or (None, None)
    row = connection.execute(
        _OWE,
        {
            "channel": channel,
            "gateway": owed.gateway,
            "verb": owed.verb,
            "lane": lane,
            "command_id": command_id,
            "body": body,
            "about": msgspec.json.encode(owed.about),
            "lease_token": token,
            "lease_until": until,
            "request_id": request_id,
            "created_at": now,
            "behind_until": now + BEHIND,
            "is_kept_behind": is_kept_behind,
        },
    ).first()
    if row is None:
        return None
    command = read_back(owed.verb, body)  # an attempt now sends what a later one would
    delivery = Delivery(
        row.id, channel, owed.gateway, owed.verb, lane, command_id, command, "owed", 0, False, None, request_id
    )
    return Placed(delivery, row.lease_token is not None)


def owe_after(connection: Connection, delivery: Delivery, owed: Owed, now: datetime) -> None:
    """Write a call that follows from the outcome of another, for the same command and in the same lane."""
    placed = owe(
        connection,
        owed,
        channel=delivery.channel,
        lane=delivery.lane,
        command_id=delivery.command_id,
        request_id=delivery.request_id,
        now=now,
        lease=None,
    )
    assert placed is not None
    wake(connection, placed.delivery.id, now)


def is_lane_free(connection: Connection, channel: str, gateway: str, lane: str, now: datetime) -> bool:
    """True when nothing is open for this order at this gateway and nothing may still arrive there, so that an inline
    attempt keeps the order."""
    front = front_of_lane(connection, channel, gateway, lane)
    return front is None and late_until(connection, channel, gateway, lane, now) is None


def late_until(connection: Connection, channel: str, gateway: str, lane: str, now: datetime) -> datetime | None:
    """Until when an attempt for this order that was given up without an answer may still arrive; None: none can."""
    late = select(func.max(deliveries.c.late_until)).where(*in_lane(deliveries), deliveries.c.late_until > now)
    found: datetime | None = connection.execute(late, lane_names(channel, gateway, lane)).scalar()
    return found


def front_of_lane(connection: Connection, channel: str, gateway: str, lane: str) -> Front | None:
    """None where nothing is open for this order at this gateway."""
    of = deliveries.c
    columns = select(of.verb, of.state, of.attempts, of.last_code, of.next_try_at, of.lease_until)
    first = columns.where(*in_lane(deliveries), is_in(deliveries, OPEN_STATES)).order_by(of.id).limit(1)
    row = connection.execute(first, lane_names(channel, gateway, lane)).first()
    return None if row is None else Front(*row)


def wake(connection: Connection, delivery_id: int, now: datetime) -> None:
    """This call need not wait; should it stand behind another, it does so."""
    connection.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(next_try_at=now))


def wake_lanes(connection: Connection, lanes: Mapping[tuple[str, str, str], datetime]) -> None:
    """A call was closed in each (channel, gateway, lane): the next one there need not wait longer than until then."""
    _WAKE.execute_many(connection, [{**lane_names(*lane), "now": free_at} for lane, free_at in lanes.items()])


def in_lane(table: FromClause) -> list[ColumnElement[bool]]:
    """The deliveries of the lane that the parameters of `lane_names` name."""
    return [table.c[name] == bindparam(f"of_{name}") for name in ("channel", "gateway", "lane")]


def lane_names(channel: str, gateway: str, lane: str) -> dict[str, str]:
    """The parameters of `in_lane`."""
    return {"of_channel": channel, "of_gateway": gateway, "of_lane": lane}


def is_in(table: FromClause, states: Sequence[str]) -> ColumnElement[bool]:
    """Written out, because a partial index serves only who names its condition."""
    return table.c.state.in_([literal_column(f"'{state}'") for state in states])


_NEXT = deliveries.alias("next")
_IS_OPEN = is_in(_NEXT, OPEN_STATES)
_NOW = bindparam("now", type_=Moment)
# Written even where it is due already: who is just putting it off has to be waited for, or it would win.
_WAKE = Prepared(
    update(deliveries)
    .where(deliveries.c.id == select(func.min(_NEXT.c.id)).where(*in_lane(_NEXT), _IS_OPEN).scalar_subquery())
    .values(next_try_at=case((deliveries.c.next_try_at > _NOW, _NOW), else_=deliveries.c.next_try_at))
)


def _given(name: str) -> BindParameter[Any]:
    return bindparam(name, type_=deliveries.c[name].type)


def _lane_of_call(table: FromClause) -> tuple[ColumnElement[bool], ...]:
    return tuple(table.c[name] == _given(name) for name in ("channel", "gateway", "lane"))


_BEFORE = deliveries.alias("before")
_IS_OTHERS = or_(_BEFORE.c.lease_token.is_(None), _BEFORE.c.lease_token != _given("lease_token"))
_OPEN_BEFORE = exists(select(_BEFORE.c.id).where(*_lane_of_call(_BEFORE), is_in(_BEFORE, OPEN_STATES), _IS_OTHERS))
_LATE_BEFORE = (
    select(func.max(_BEFORE.c.late_until))
    .where(*_lane_of_call(_BEFORE), _BEFORE.c.late_until > _given("created_at"))
    .scalar_subquery()
)
_LANE = select(
    and_(_given("lease_token").is_not(None), ~_OPEN_BEFORE, _LATE_BEFORE.is_(None)).label("is_free"),
    _LATE_BEFORE.label("late_until"),
).subquery("of_lane")
_OWED: dict[str, ColumnElement[Any]] = {
    **{
        name: _given(name)
        for name in ("channel", "gateway", "verb", "lane", "command_id", "body", "about", "request_id", "created_at")
    },
    "state": literal_column("'owed'"),
    "next_try_at": case(
        (_LANE.c.is_free, _given("created_at")),
        else_=func.coalesce(_LANE.c.late_until, bindparam("behind_until", type_=Moment)),
    ),
    "lease_token": case((_LANE.c.is_free, _given("lease_token"))),
    "lease_until": case((_LANE.c.is_free, _given("lease_until"))),
}
_OWE = (
    insert(deliveries)
    .from_select(
        list(_OWED),
        select(*_OWED.values()).where(or_(_LANE.c.is_free, bindparam("is_kept_behind", type_=Boolean))),
        include_defaults=False,
    )
    .returning(deliveries.c.id, deliveries.c.lease_token)
)


def release_unbound(connection: Connection, command_ids: Iterable[int]) -> set[int]:
    """Forget commands none of whose calls had or may still have an effect (R9); returns the forgotten ids."""
    ids = set(command_ids)
    if not ids:
        return set()
    bound = connection.execute(
        select(deliveries.c.command_id)
        .where(deliveries.c.command_id.in_(ids), deliveries.c.state != "refused")
        .distinct()
    ).scalars()
    unbound = ids - set(bound)
    if unbound:
        connection.execute(delete(deliveries).where(deliveries.c.command_id.in_(unbound)))
        connection.execute(delete(commands).where(commands.c.id.in_(unbound)))
    return unbound


def of_commands(connection: Connection, command_ids: Collection[int]) -> dict[int, list[CallReport]]:
    """What can be reported of every delivery of these commands, in the order they were owed."""
    reports: dict[int, list[CallReport]] = {command_id: [] for command_id in command_ids}
    if not reports:
        return reports
    rows = connection.execute(select(deliveries).where(deliveries.c.command_id.in_(reports)).order_by(deliveries.c.id))
    for row in rows:
        reports[row.command_id].append(
            CallReport(
                row.verb,
                row.gateway,
                row.state,
                row.last_code,
                row.last_error,
                msgspec.json.decode(row.about, type=_ABOUT),
                msgspec.json.decode(row.events, type=tuple[Event, ...]) if row.events else (),
            )
        )
    return reports
