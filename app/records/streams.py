"""One sender at a time for the facts of each (channel, gateway): the lease, the counter, the pause (R13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, exists, or_, update
from sqlalchemy.dialects import postgresql, sqlite

from app.records.tables import fact_streams

Change = TypeVar("Change")


@dataclass(frozen=True)
class Batch(Generic[Change]):
    """Changed facts one sender holds the stream for; `seqs` says which statement of each it read."""

    channel: str
    gateway: str
    token: str
    attempts: int
    changes: tuple[Change, ...] = ()
    seqs: Mapping[str, int] = field(default_factory=dict)


def next_seq(connection: Connection, channel: str, gateway: str) -> int:
    """The number of what is accepted now; the counter's row is held until the transaction ends."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(fact_streams).values(channel=channel, gateway=gateway, seq=1)
    statement = statement.on_conflict_do_update(
        index_elements=[fact_streams.c.channel, fact_streams.c.gateway], set_={"seq": fact_streams.c.seq + 1}
    )
    return int(connection.execute(statement.returning(fact_streams.c.seq)).scalar_one())


def take(
    connection: Connection, channel: str, gateway: str, *, token: str, now: datetime, lease_s: float
) -> int | None:
    """Lease the stream; how often it failed lately, or None when it is another's or not due.

    The stream is taken before facts are read: what was read earlier another sender might have replaced at
    the vendor by a newer one.
    """
    row = connection.execute(
        update(fact_streams)
        .where(
            fact_streams.c.channel == channel,
            fact_streams.c.gateway == gateway,
            or_(fact_streams.c.lease_until.is_(None), fact_streams.c.lease_until <= now),
            or_(fact_streams.c.next_try_at.is_(None), fact_streams.c.next_try_at <= now),
        )
        .values(lease_token=token, lease_until=now + timedelta(seconds=lease_s))
        .returning(fact_streams.c.attempts)
    ).first()
    return None if row is None else row.attempts


def release(connection: Connection, batch: Batch[Change]) -> bool:
    """The vendor answered, or there was nothing to tell; False when somebody else holds the stream now."""
    return _end_lease(connection, batch, attempts=0, next_try_at=None, last_error="")


def postpone(connection: Connection, batch: Batch[Change], *, until: datetime, was_tried: bool, error: str) -> None:
    """Nothing could be told now; what holds then is sent later."""
    _end_lease(connection, batch, attempts=batch.attempts + was_tried, next_try_at=until, last_error=error)


def _end_lease(connection: Connection, batch: Batch[Change], **values: object) -> bool:
    result = connection.execute(
        update(fact_streams)
        .where(
            fact_streams.c.channel == batch.channel,
            fact_streams.c.gateway == batch.gateway,
            fact_streams.c.lease_token == batch.token,
        )
        .values(lease_token=None, lease_until=None, **values)
    )
    return result.rowcount == 1


def is_waiting(channel: str, gateway: str, now: datetime) -> ColumnElement[bool]:
    """Whether the stream failed lately and is not due yet."""
    return exists().where(
        fact_streams.c.channel == channel, fact_streams.c.gateway == gateway, fact_streams.c.next_try_at > now
    )
