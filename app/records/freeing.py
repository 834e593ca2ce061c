"""What holds up the calls and facts of one (channel, gateway), and how an operator lets go of it (R34, R36)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal, or_, select, update

from app.records import leases, outbox
from app.records.deliveries import DUE_STATES
from app.records.leases import LONGEST, LONGEST_PAUSE, LONGEST_SETTLING
from app.records.tables.columns import Moment
from app.records.tables.deliveries import deliveries
from app.records.tables.gateways import feeds
from app.records.tables.stock import sync_states

_STREAM: Final = sync_states.c
_CALL: Final = deliveries.c
_PAUSES: Final = (_STREAM.next_try_at, _STREAM.catalogue_next_try_at, _STREAM.poll_due_at)


@dataclass(frozen=True)
class HeldUp:
    """What stands in the way.

    `calls`: owed ones with a lease or a pause longer than any can be, and ended ones that would hold up the later ones
    of their order for so long.
    """

    stream_until: datetime | None
    """When the lease of whoever sends facts ends; None where nobody has one."""
    paused_until: datetime | None
    """The end of the longest pause of its facts; None where none lasts."""
    feed_until: datetime | None
    calls: int

    @property
    def is_any(self) -> bool:
        return any((self.stream_until, self.paused_until, self.feed_until, self.calls))


def held_up(connection: Connection, channel: str, gateway: str, now: datetime) -> HeldUp:
    """As it stands; nothing is written."""
    stream = connection.execute(select(sync_states).where(*_of(sync_states, channel, gateway))).first()
    feed = connection.execute(select(feeds.c.lease_until).where(*_of(feeds, channel, gateway))).scalar()
    is_any = or_(and_(*_stuck(now)), _is_late_for_ever(now))
    of_these = (*_of(deliveries, channel, gateway), is_any)
    calls = connection.execute(select(func.count()).select_from(deliveries).where(*of_these))
    pauses = [until for column in _PAUSES if stream and (until := stream._mapping[column.name]) and until > now]
    return HeldUp(stream.lease_until if stream else None, max(pauses, default=None), feed, int(calls.scalar_one()))


def free(connection: Connection, channel: str, gateway: str, now: datetime) -> HeldUp:
    """End all that; whoever still sends finds its lease lost and owes its facts again.  Returns what was held up.

    A call whose lease ends by this is one that may have been done: it is looked up, or left to a person (R11).
    """
    found = held_up(connection, channel, gateway, now)
    no_pause = {column.name: None for column in _PAUSES}
    connection.execute(
        update(sync_states).where(*_of(sync_states, channel, gateway)).values(**leases.ENDED, **no_pause)
    )
    connection.execute(update(feeds).where(*_of(feeds, channel, gateway)).values(leases.ENDED))
    # Their tokens stay, for they say that somebody may have sent them.
    ended = case((_CALL.lease_until > now, literal(now, Moment)), else_=_CALL.lease_until)
    these = update(deliveries).where(*_of(deliveries, channel, gateway))
    connection.execute(these.where(*_stuck(now)).values(next_try_at=now, lease_until=ended))
    connection.execute(these.where(_is_late_for_ever(now)).values(late_until=None))
    return found


def _of(table: Any, channel: str, gateway: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.channel == channel, table.c.gateway == gateway


def _is_late_for_ever(now: datetime) -> ColumnElement[bool]:
    return _CALL.late_until > now + LONGEST_SETTLING


def _stuck(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        outbox.is_in(deliveries, DUE_STATES),
        or_(_CALL.lease_until > now + LONGEST, _CALL.next_try_at > now + LONGEST_PAUSE),
    )
