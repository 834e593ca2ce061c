"""One syncer at a time for the facts of each (channel, gateway): the lease, the counter, the pauses, the polls (R13).

The syncer is one for both kinds of fact, but each kind has its own pause: products a vendor fails on must not
hold up stock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, Literal, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Row,
    Table,
    exists,
    func,
    or_,
    select,
    type_coerce,
    update,
)

from app.records import leases
from app.records.statements import upsert
from app.records.tables.catalogue import catalogue_sync
from app.records.tables.stock import fact_obstacles, fact_streams, stock

Change = TypeVar("Change")
Kind = Literal["catalogue", "stock"]

HINTS_APART: Final = timedelta(seconds=10)
"""Hints of a vendor count at most once in so long."""


@dataclass(frozen=True)
class Batch(Generic[Change]):
    """Changed facts one syncer holds the stream for; `seqs` says which statement of each it read."""

    channel: str
    gateway: str
    kind: Kind
    token: str
    attempts: int
    changes: tuple[Change, ...] = ()
    seqs: Mapping[str, int] = field(default_factory=dict)
    levels: Mapping[str, bytes] = field(default_factory=dict)
    """Stock only: each level as it is kept, to know whether a newer statement differs from it."""
    claimed_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class PollTurn:
    """A poll for what the vendor's people changed; the syncer that runs it holds the lease."""

    channel: str
    gateway: str
    token: str
    since_ms: int | None
    """`until_ms` of the previous poll, by the vendor's clock; None for the first poll."""


@dataclass(frozen=True)
class Owed:
    """How many facts of a kind a gateway has not received, and why the last attempt failed."""

    channel: str
    gateway: str
    kind: Kind
    count: int
    last_error: str


@dataclass(frozen=True)
class _Pause:
    """Where the pause of a kind stands."""

    attempts: Column[int]
    next_try_at: Column[Any]
    last_error: Column[str]

    def values(self, attempts: int, next_try_at: datetime | None, last_error: str) -> dict[str, object]:
        return {
            self.attempts.name: attempts,
            self.next_try_at.name: next_try_at,
            self.last_error.name: last_error,
        }


_STREAMS: Final = fact_streams.c
_PAUSES: Final[Mapping[Kind, _Pause]] = {
    "catalogue": _Pause(_STREAMS.catalogue_attempts, _STREAMS.catalogue_next_try_at, _STREAMS.catalogue_last_error),
    "stock": _Pause(_STREAMS.attempts, _STREAMS.next_try_at, _STREAMS.last_error),
}


def next_seq(connection: Connection, channel: str, gateway: str) -> int:
    """The number of what is accepted now; the counter's row is held until the transaction ends."""
    row, next_one = {"channel": channel, "gateway": gateway, "seq": 1}, {"seq": _STREAMS.seq + 1}
    return int(upsert(connection, fact_streams, row, next_one, returning=[_STREAMS.seq]).scalar_one())


def hold(connection: Connection, channel: str, gateways: Collection[str] | None = None) -> None:
    """Wait for pushes and senders of these gateways (None: all of the channel), and let none begin until the end of
    the transaction: their rows are changed in one order, so that two transactions never wait for each other.

    SQLite has one writer at a time: nothing has to be waited for."""
    if connection.dialect.name == "sqlite":
        return
    among = [] if gateways is None else [_STREAMS.gateway.in_(sorted(gateways))]
    rows = select(_STREAMS.gateway).where(_STREAMS.channel == channel, *among).order_by(_STREAMS.gateway)
    connection.execute(rows.with_for_update()).all()


def take(
    connection: Connection, kind: Kind, channel: str, gateway: str, *, token: str, now: datetime, lease_s: float
) -> int | None:
    """Lease the stream; how often this kind failed lately, or None when it is another's or not due.

    The stream is taken before facts are read: what was read earlier another sender might have replaced at
    the vendor by a newer one.
    """
    pause = _PAUSES[kind]
    is_open = or_(pause.next_try_at.is_(None), pause.next_try_at <= now)
    row = _lease(connection, channel, gateway, is_open, pause.attempts, token, now, lease_s)
    return None if row is None else int(row[0])


def _lease(
    connection: Connection,
    channel: str,
    gateway: str,
    is_due: ColumnElement[bool],
    wanted: Column[Any],
    token: str,
    now: datetime,
    lease_s: float,
) -> Row[Any] | None:
    return connection.execute(
        update(fact_streams)
        .where(
            _STREAMS.channel == channel,
            _STREAMS.gateway == gateway,
            leases.is_free(_STREAMS.lease_until, now),
            is_due,
        )
        .values(lease_token=token, lease_until=now + timedelta(seconds=lease_s))
        .returning(wanted)
    ).first()


def release(connection: Connection, batch: Batch[Change]) -> bool:
    """The vendor answered, or there was nothing to send; False when somebody else holds the stream now."""
    return _end_lease(connection, batch.channel, batch.gateway, batch.token, _PAUSES[batch.kind].values(0, None, ""))


def postpone(connection: Connection, batch: Batch[Change], *, until: datetime, was_tried: bool, error: str) -> bool:
    """Nothing of this kind could be sent now; what holds then is sent later.  False when somebody else holds the
    stream now."""
    pause = _PAUSES[batch.kind].values(batch.attempts + was_tried, until, error)
    return _end_lease(connection, batch.channel, batch.gateway, batch.token, pause)


def _end_lease(
    connection: Connection, channel: str, gateway: str, token: str, values: Mapping[str, object | None]
) -> bool:
    result = connection.execute(
        update(fact_streams)
        .where(_STREAMS.channel == channel, _STREAMS.gateway == gateway, _STREAMS.lease_token == token)
        .values(lease_token=None, lease_until=None, **values)
    )
    return result.rowcount == 1


def is_due(
    facts: Table, kind: Kind, channel: str, gateway: str, due: ColumnElement[bool], now: datetime
) -> ColumnElement[bool]:
    """SQL: the gateway has facts of this kind to receive, now or by `due` again, and may be tried now."""
    own = (facts.c.channel == channel, facts.c.gateway == gateway)
    is_waiting = exists().where(
        _STREAMS.channel == channel, _STREAMS.gateway == gateway, _PAUSES[kind].next_try_at > now
    )
    # Each asks an index of its own.
    return ~is_waiting & (exists().where(*own, facts.c.seq > facts.c.sent_seq) | exists().where(*own, due))


def next_rows(
    connection: Connection, facts: Table, key: Column[str], channel: str, gateway: str, limit: int
) -> list[Row[Any]]:
    """The facts whose turn it is: changed ones first."""
    found: list[Row[Any]] = []
    for is_changed in (True, False):
        found += connection.execute(
            select(facts)
            .where(
                facts.c.channel == channel,
                facts.c.gateway == gateway,
                facts.c.seq > facts.c.sent_seq,
                facts.c.is_changed.is_(is_changed),
            )
            .order_by(facts.c.turn, key)
            .limit(limit - len(found))
        ).all()
        if len(found) == limit:
            break
    return found


# Polls and hints


def is_poll_due(channel: str, gateway: str, every_s: float, now: datetime) -> ColumnElement[bool]:
    """SQL: the vendor is to be polled now for what its people changed, which happens `every_s`.

    Only where it received products or where a refused fact waits for something they may do.
    """
    synced, obstacles = catalogue_sync.c, fact_obstacles.c
    return exists().where(
        _STREAMS.channel == channel,
        _STREAMS.gateway == gateway,
        _is_poll_open(every_s, now),
        or_(
            exists().where(synced.channel == channel, synced.gateway == gateway),
            exists().where(obstacles.channel == channel, obstacles.gateway == gateway),
        ),
    )


def _is_poll_open(every_s: float, now: datetime) -> ColumnElement[bool]:
    """Its time has come, or a hint counts since the last poll began."""
    due_at, hinted_at = _STREAMS.poll_due_at, _STREAMS.hinted_at
    is_hinted = (hinted_at <= now) & (
        type_coerce(due_at, BigInteger) < type_coerce(hinted_at, BigInteger) + int(every_s * 1000)
    )
    return or_(due_at.is_(None), due_at <= now, is_hinted)


def take_poll(
    connection: Connection, channel: str, gateway: str, *, token: str, every_s: float, now: datetime, lease_s: float
) -> PollTurn | None:
    """Lease the stream for a poll; None when it is another's or the poll not due."""
    row = _lease(connection, channel, gateway, _is_poll_open(every_s, now), _STREAMS.poll_until_ms, token, now, lease_s)
    return None if row is None else PollTurn(channel, gateway, token, row[0])


def end_poll(connection: Connection, turn: PollTurn, *, until_ms: int | None, next_at: datetime) -> bool:
    """The poll is over; False when somebody else holds the stream now."""
    values = {"poll_until_ms": until_ms, "poll_due_at": next_at}
    return _end_lease(connection, turn.channel, turn.gateway, turn.token, values)


def hinted_at(connection: Connection, channel: str, gateway: str) -> datetime | None:
    """Since when the last hint of the vendor counts; it may be soon.  None before the first."""
    mine = (_STREAMS.channel == channel, _STREAMS.gateway == gateway)
    return connection.execute(select(_STREAMS.hinted_at).where(*mine)).scalar()


def is_hint_coming(hint: datetime | None, now: datetime) -> bool:
    """Whether the last hint does not count yet, so that another one now says nothing new."""
    return hint is not None and now < hint <= now + HINTS_APART


def note_hint(connection: Connection, channel: str, gateway: str, now: datetime) -> None:
    """The vendor says that something changed there, which concerns every process, whichever it was said to.

    It counts never sooner than `HINTS_APART` after the one before, so that a flood of hints is no flood of calls.
    """
    before = hinted_at(connection, channel, gateway)
    if is_hint_coming(before, now):
        return
    # One that lies further ahead is of a clock that was set back since.
    at = now if before is None or before > now else max(now, before + HINTS_APART)
    upsert(connection, fact_streams, {"channel": channel, "gateway": gateway, "hinted_at": at}, {"hinted_at": at})


def owed(connection: Connection) -> list[Owed]:
    """What every gateway has not received yet."""
    found = []
    kinds: tuple[tuple[Kind, Any], ...] = (("catalogue", catalogue_sync.c), ("stock", stock.c))
    for kind, facts in kinds:
        error = _PAUSES[kind].last_error
        rows = connection.execute(
            select(facts.channel, facts.gateway, func.count(), error)
            .join_from(
                facts.seq.table,
                fact_streams,
                (facts.channel == _STREAMS.channel) & (facts.gateway == _STREAMS.gateway),
            )
            .where(facts.seq > facts.sent_seq)
            .group_by(facts.channel, facts.gateway, error)
        )
        found += [Owed(row[0], row[1], kind, row[2], row[3]) for row in rows]
    return found
