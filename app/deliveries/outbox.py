"""The deliveries table as a queue: owe, see whether a lane is free, claim, record under the lease."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    case,
    column,
    delete,
    exists,
    insert,
    or_,
    select,
    update,
    values,
)

from app.deliveries.transitions import OPEN_STATES, Delivery, Settled
from app.gateways.words import Association, CommandBody, Event
from app.records.tables import commands, deliveries

DUE_STATES = ("owed", "checking")

BEHIND = timedelta(minutes=1)
"""How long a call behind another is not looked at; it is woken earlier when the other is closed."""

LOOK_FURTHER = 50
"""How many calls beyond the wanted number a claim looks at, for those that stand behind others."""

_ABOUT = tuple[Association, ...]


@dataclass(frozen=True)
class Owed:
    """A call to be owed: which gateway, which verb, what it says, and what its events are about."""

    gateway: str
    verb: str
    body: CommandBody
    about: tuple[Association, ...]


@dataclass(frozen=True)
class Told:
    """What RetailOps may be told of one delivery of a command."""

    verb: str
    gateway: str
    state: str
    code: str
    message: str
    about: tuple[Association, ...]
    events: tuple[Event, ...]


def new_lease() -> str:
    """A token that proves who holds a delivery."""
    return secrets.token_hex(8)


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
) -> Delivery:
    """Write one owed call; with a lease it belongs to the request that wrote it until the lease ends.

    Without one it stands behind another call of its lane and is woken when that one is closed.
    """
    body = msgspec.json.encode(owed.body)
    delivery_id = connection.execute(
        insert(deliveries).returning(deliveries.c.id),
        {
            "channel": channel,
            "gateway": owed.gateway,
            "verb": owed.verb,
            "lane": lane,
            "command_id": command_id,
            "body": body,
            "about": msgspec.json.encode(owed.about),
            "state": "owed",
            "next_try_at": now if lease else now + BEHIND,
            "lease_token": lease[0] if lease else None,
            "lease_until": lease[1] if lease else None,
            "request_id": request_id,
            "created_at": now,
        },
    ).scalar_one()
    return Delivery(
        delivery_id, channel, owed.gateway, owed.verb, lane, command_id, body, "owed", 0, False, None, request_id
    )


def is_lane_free(connection: Connection, channel: str, gateway: str, lane: str) -> bool:
    """True when nothing is open for this order at this gateway, so that an inline attempt keeps the order."""
    row = connection.execute(_open_in_lane(channel, gateway, lane).limit(1)).first()
    return row is None


def wake_lane(connection: Connection, channel: str, gateway: str, lane: str, now: datetime) -> None:
    """A call of this lane was closed: the next one in it need not wait any longer."""
    first = connection.execute(_open_in_lane(channel, gateway, lane).order_by(deliveries.c.id).limit(1)).scalar()
    if first is not None:
        connection.execute(
            update(deliveries).where(deliveries.c.id == first, deliveries.c.next_try_at > now).values(next_try_at=now)
        )


def _open_in_lane(channel: str, gateway: str, lane: str) -> Select[tuple[int]]:
    return select(deliveries.c.id).where(
        deliveries.c.channel == channel,
        deliveries.c.gateway == gateway,
        deliveries.c.lane == lane,
        _is_in(deliveries, OPEN_STATES),
    )


def _is_in(table: FromClause, states: Sequence[str]) -> ColumnElement[bool]:
    """Written out, because a partial index serves only who names its condition."""
    return table.c.state.in_(bindparam("_".join(states), states, expanding=True, literal_execute=True))


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(
        _is_in(deliveries, DUE_STATES),
        deliveries.c.next_try_at <= now,
        or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= now),
    )


def claim(
    connection: Connection, channel: str, gateway: str, *, now: datetime, lease_s: float, limit: int
) -> tuple[str, list[Delivery]]:
    """Lease up to `limit` due deliveries that stand first in their lanes; returns the lease token and them.

    Looks at no more than a few times `limit`, however many are owed: one that turns out to stand behind
    another is put off until that one is closed (`wake_lane`) or `BEHIND` has passed.
    """
    earlier = deliveries.alias("earlier")
    is_behind = exists().where(
        earlier.c.channel == deliveries.c.channel,
        earlier.c.gateway == deliveries.c.gateway,
        earlier.c.lane == deliveries.c.lane,
        earlier.c.id < deliveries.c.id,
        _is_in(earlier, OPEN_STATES),
    )
    seen = connection.execute(
        select(deliveries, is_behind.label("is_behind"))
        .where(deliveries.c.channel == channel, deliveries.c.gateway == gateway, _is_due(now))
        .order_by(deliveries.c.next_try_at, deliveries.c.id)
        .limit(limit + LOOK_FURTHER)
        .with_for_update(skip_locked=True, of=deliveries)
    ).all()
    behind = [row.id for row in seen if row.is_behind]
    if behind:
        # Asked again, for between the two statements the one in front may have been closed.
        connection.execute(
            update(deliveries).where(deliveries.c.id.in_(behind), is_behind).values(next_try_at=now + BEHIND)
        )
    rows = [row for row in seen if not row.is_behind][:limit]
    token = new_lease()
    if rows:
        # A lease that ran out belonged to a process that died or lost the database after it may have sent.
        has_run_out = deliveries.c.lease_token.is_not(None)
        connection.execute(
            update(deliveries)
            .where(deliveries.c.id.in_([row.id for row in rows]))
            .values(
                is_possibly_done=or_(deliveries.c.is_possibly_done, has_run_out),
                last_attempt_at=case((has_run_out, deliveries.c.lease_until), else_=deliveries.c.last_attempt_at),
                lease_token=token,
                lease_until=now + timedelta(seconds=lease_s),
            )
        )
    return token, [
        Delivery(
            row.id, row.channel, row.gateway, row.verb, row.lane, row.command_id, row.body or b"", row.state,
            row.attempts, row.is_possibly_done or row.lease_token is not None,
            row.lease_until if row.lease_token is not None else row.last_attempt_at, row.request_id,
        )
        for row in rows
    ]  # fmt: skip


def record(connection: Connection, delivery: Delivery, settled: Settled, *, token: str, now: datetime) -> bool:
    """Write an attempt's outcome if the lease is still held; False when somebody else has it now."""
    is_closed = settled.state not in OPEN_STATES
    outcome = {
        "state": settled.state,
        "attempts": settled.attempts,
        "is_possibly_done": settled.is_possibly_done,
        "last_attempt_at": settled.last_attempt_at,
        "next_try_at": settled.next_try_at,
        "last_code": settled.code,
        "last_error": settled.error,
        "events": msgspec.json.encode(settled.events) if settled.events else None,
        "lease_token": None,
        "lease_until": None,
        "closed_at": now if is_closed else None,
    }
    if is_closed:
        outcome["body"] = None  # personal data goes as soon as nobody needs it (R28)
    result = connection.execute(
        update(deliveries)
        .where(and_(deliveries.c.id == delivery.id, deliveries.c.lease_token == token))
        .values(**outcome)
    )
    if result.rowcount != 1:
        return False
    if is_closed:
        wake_lane(connection, delivery.channel, delivery.gateway, delivery.lane, now)
    return True


def give_back(connection: Connection, delivery_ids: Sequence[int], *, token: str, now: datetime) -> None:
    """End a lease without an attempt: these stand behind one that stayed open."""
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(delivery_ids), deliveries.c.lease_token == token)
        .values(lease_token=None, lease_until=None, next_try_at=now + BEHIND)
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


def of_commands(connection: Connection, command_ids: Collection[int]) -> dict[int, list[Told]]:
    """What can be told of every delivery of these commands, in the order they were owed."""
    told: dict[int, list[Told]] = {command_id: [] for command_id in command_ids}
    if not told:
        return told
    rows = connection.execute(select(deliveries).where(deliveries.c.command_id.in_(told)).order_by(deliveries.c.id))
    for row in rows:
        told[row.command_id].append(
            Told(
                row.verb,
                row.gateway,
                row.state,
                row.last_code,
                row.last_error,
                msgspec.json.decode(row.about, type=_ABOUT),
                msgspec.json.decode(row.events, type=tuple[Event, ...]) if row.events else (),
            )
        )
    return told


def streams(connection: Connection) -> set[tuple[str, str]]:
    """Every (channel, gateway) that is owed anything, also those that are no longer configured."""
    rows = connection.execute(
        select(deliveries.c.channel, deliveries.c.gateway).where(_is_in(deliveries, DUE_STATES)).distinct()
    )
    return {(row.channel, row.gateway) for row in rows}


def due_streams(connection: Connection, candidates: Sequence[tuple[str, str]], now: datetime) -> list[tuple[str, str]]:
    """Those of the (channel, gateway) pairs for which `claim` might find something; costs no write lock."""
    if not candidates:
        return []
    wanted = values(column("channel", Text), column("gateway", Text), name="wanted").data(candidates).cte()
    # With a limit, for PostgreSQL would else read the whole backlog once instead of one row for each stream.
    one = (
        select(deliveries.c.id)
        .where(deliveries.c.channel == wanted.c.channel, deliveries.c.gateway == wanted.c.gateway, _is_due(now))
        .order_by(deliveries.c.next_try_at)
        .limit(1)
        .scalar_subquery()
    )
    return [(row.channel, row.gateway) for row in connection.execute(select(wanted).where(one.is_not(None)))]
