"""Leases as they are judged everywhere: by the shared clock, and never longer than a lease can be (R36).

Whoever's lease is over may have died, or may stand still and go on later.  So the next one treats what it did as
possibly done, and the first one looks at its lease again before it sends (`Deadline.held_until_s`) and when it records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, Table, or_, text, type_coerce, update

from app.records.tables.catalogue import catalogue_sync
from app.records.tables.deliveries import commands, deliveries
from app.records.tables.gateways import feeds
from app.records.tables.stock import stock, sync_states

LONGEST: Final = timedelta(seconds=180)
"""Every lease is shorter.  One that ends later than that from now was given by a wrong clock, and is over."""

LONGEST_PAUSE: Final = timedelta(hours=2)
"""No pause is longer, for a vendor's Retry-After counts up to an hour."""

LONGEST_SETTLING: Final = timedelta(hours=1)
"""A call that was given up may arrive for no longer: no vendor's `settle_seconds` is more."""

ENDED: Final = {"lease_token": None, "lease_until": None}
"""The columns of a row whose lease nobody holds."""

_IS_DUE_STATE = text("state in ('owed', 'checking')")


def is_over(until: Any, now: Any, beyond: Any) -> ColumnElement[bool]:
    """SQL: nobody holds the lease that ends at `until`.  `beyond` is `now` and `LONGEST`, both may be parameters."""
    return or_(until.is_(None), until <= now, until > beyond)


def is_free(until: Any, now: datetime) -> ColumnElement[bool]:
    """SQL: nobody holds the lease that ends at `until`."""
    return is_over(until, now, now + LONGEST)


def is_held(until: datetime | None, now: datetime) -> bool:
    """Whether somebody holds the lease that ends at `until`."""
    return until is not None and now < until <= now + LONGEST


def take(
    connection: Connection,
    table: Table,
    stream: tuple[str, str],
    token: str,
    now: datetime,
    lease_s: float,
    *,
    returning: Sequence[Any],
    where: Sequence[ColumnElement[bool]] = (),
    values: Mapping[str, object] | None = None,
) -> Row[Any] | None:
    """Lease the row that a (channel, gateway) has in this table, if it is free and `where` holds.

    Gives the columns `returning` of it; None where it was not leased.
    """
    is_free_row = is_free(table.c.lease_until, now)
    leased = {"lease_token": token, "lease_until": now + timedelta(seconds=lease_s), **(values or {})}
    taken = update(table).where(*_is_of(table, stream), is_free_row, *where).values(leased).returning(*returning)
    return connection.execute(taken).first()


def write_held(
    connection: Connection, table: Table, stream: tuple[str, str], token: str, values: Mapping[str, object]
) -> bool:
    """Write these values (`ENDED` among them ends the lease) into such a row; False when its lease was lost."""
    held = update(table).where(*_is_of(table, stream), table.c.lease_token == token)
    return connection.execute(held.values(values)).rowcount == 1


def _is_of(table: Table, stream: tuple[str, str]) -> tuple[ColumnElement[bool], ...]:
    return table.c.channel == stream[0], table.c.gateway == stream[1]


def end_leases(connection: Connection, now: datetime) -> None:
    """Whoever had a lease is gone; what it may have done stays in doubt, for its token is kept."""
    for column, also in (
        (deliveries.c.lease_until, _IS_DUE_STATE),
        (commands.c.lease_until, commands.c.finished_at.is_(None)),
        (sync_states.c.lease_until, sync_states.c.lease_token.is_not(None)),
        (feeds.c.lease_until, feeds.c.lease_token.is_not(None)),
    ):
        connection.execute(update(column.table).where(also, column.is_not(None)).values({column: now}))


def wake_after_step_back(connection: Connection, now: datetime, step: timedelta) -> None:
    """The shared clock went back by `step`, which is negative: what would last until it is there again does not."""
    furthest = now + LONGEST_PAUSE
    connection.execute(
        update(deliveries).where(_IS_DUE_STATE, deliveries.c.next_try_at > furthest).values(next_try_at=now)
    )
    connection.execute(
        update(deliveries).where(_IS_DUE_STATE, deliveries.c.last_attempt_at > now).values(last_attempt_at=now)
    )
    # Calls given up before the step may still arrive for as long as before, and orders wait no longer for them.
    late_ms = type_coerce(deliveries.c.late_until, BigInteger)
    connection.execute(
        update(deliveries)
        .where(deliveries.c.late_until > now + LONGEST_SETTLING)
        .values(late_until=late_ms + int(step.total_seconds() * 1000))
    )
    streams = sync_states.c
    for column in (streams.next_try_at, streams.catalogue_next_try_at, streams.poll_due_at,
                   stock.c.again_at, catalogue_sync.c.again_at):  # fmt: skip
        connection.execute(update(column.table).where(column > furthest).values({column: now}))
