"""One syncer at a time for the facts of each (channel, gateway): the lease, the counter, the pauses (R13).

The syncer is one for both kinds of fact, but each kind has its own pause: products a vendor fails on must not
hold up stock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    ScalarSelect,
    exists,
    func,
    or_,
    select,
)

from app.records import leases
from app.records.statements import Prepared, upserted
from app.records.tables.catalogue import catalogue_sync
from app.records.tables.stock import stock, sync_states

Change = TypeVar("Change")
Kind = Literal["catalogue", "stock"]


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


_STREAMS: Final = sync_states.c


def _advanced(*returning: Column[Any]) -> Prepared:
    return Prepared(
        lambda dialect: upserted(
            dialect, sync_states, lambda more: {"seq": _STREAMS.seq + more.seq}, returning=returning
        ),
        ["channel", "gateway", "seq"],
    )


_NEXT_SEQ: Final = _advanced(_STREAMS.seq)
_ADVANCE: Final = _advanced()
_PAUSES: Final[Mapping[Kind, _Pause]] = {
    "catalogue": _Pause(_STREAMS.catalogue_attempts, _STREAMS.catalogue_next_try_at, _STREAMS.catalogue_last_error),
    "stock": _Pause(_STREAMS.attempts, _STREAMS.next_try_at, _STREAMS.last_error),
}


def next_seq(connection: Connection, channel: str, gateway: str) -> int:
    """The number of what is accepted now; the counter's row is held until the transaction ends."""
    return int(_NEXT_SEQ.execute(connection, {"channel": channel, "gateway": gateway, "seq": 1}).scalar_one())


def advance(connection: Connection, channel: str, gateway: str, count: int) -> None:
    """Take so many numbers for what the next statements of this transaction write; the last one is the row's `seq`."""
    _ADVANCE.execute_later(connection, {"channel": channel, "gateway": gateway, "seq": count})


def take(
    connection: Connection, kind: Kind, channel: str, gateway: str, *, token: str, now: datetime, lease_s: float
) -> int | None:
    """Lease the stream; how often this kind failed lately, or None when it is another's or not due.

    The stream is taken before facts are read: what was read earlier another sender might have replaced at
    the vendor by a newer one.
    """
    pause = _PAUSES[kind]
    is_open = or_(pause.next_try_at.is_(None), pause.next_try_at <= now)
    row = leases.take(
        connection, sync_states, (channel, gateway), token, now, lease_s, where=[is_open], returning=[pause.attempts]
    )
    return None if row is None else int(row[0])


def release(connection: Connection, batch: Batch[Change]) -> bool:
    """The vendor answered, or there was nothing to send; False when somebody else holds the stream now."""
    return _end(connection, batch, _PAUSES[batch.kind].values(0, None, ""))


def postpone(connection: Connection, batch: Batch[Change], *, until: datetime, was_tried: bool, error: str) -> bool:
    """Nothing of this kind could be sent now; what holds then is sent later.  False when somebody else holds the
    stream now."""
    return _end(connection, batch, _PAUSES[batch.kind].values(batch.attempts + was_tried, until, error))


def _end(connection: Connection, batch: Batch[Change], pause: Mapping[str, object]) -> bool:
    stream = (batch.channel, batch.gateway)
    return leases.write_held(connection, sync_states, stream, batch.token, {**leases.ENDED, **pause})


def is_waiting(kind: Kind, channel: str, gateway: str, now: datetime) -> ColumnElement[bool]:
    """SQL: this kind failed lately and is not due yet."""
    return exists().where(_STREAMS.channel == channel, _STREAMS.gateway == gateway, _PAUSES[kind].next_try_at > now)


def paused_until(kind: Kind, stream: FromClause) -> ScalarSelect[Any]:
    """SQL: when this kind may be tried again after it failed, of the `channel` and `gateway` of `stream`."""
    own = (_STREAMS.channel == stream.c.channel, _STREAMS.gateway == stream.c.gateway)
    return select(_PAUSES[kind].next_try_at).where(*own).scalar_subquery()


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
                sync_states,
                (facts.channel == _STREAMS.channel) & (facts.gateway == _STREAMS.gateway),
            )
            .where(facts.seq > facts.sent_seq)
            .group_by(facts.channel, facts.gateway, error)
        )
        found += [Owed(row[0], row[1], kind, row[2], row[3]) for row in rows]
    return found
