"""The ledger of commands: what each natural key of a callback stands for, and what RetailOps was sent for it (R9).

A key is claimed before its command is planned, so that of two requests at once only one carries it out.  It stays
bound while a call of the command had or may still have an effect.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.events import Association, Event
from app.records import leases, search_keys
from app.records.search_keys import Number
from app.records.tables.deliveries import commands, deliveries


@dataclass(frozen=True)
class Claim:
    """A command's key, and the request that carries it out until `lease_until`; `digest` is of its meaning."""

    channel: str
    callback: str
    natural_key: str
    order_refnum: str
    digest: str
    request_id: str
    begun_at: datetime
    lease_until: datetime


@dataclass(frozen=True)
class Bound:
    """A command that another request has claimed before."""

    id: int
    digest: str
    lease_until: datetime
    finished_at: datetime | None
    encoded_events: bytes

    @property
    def events(self) -> list[Event]:
        """This server's own events of that request."""
        return msgspec.json.decode(self.encoded_events, type=list[Event])

    def is_running(self, now: datetime) -> bool:
        """Whether that request has not ended yet and its process is not dead."""
        return self.finished_at is None and leases.is_held(self.lease_until, now)


@dataclass(frozen=True)
class Origin:
    """The command that a call belongs to, and what the events of that call name."""

    callback: str
    begun_at: datetime
    about: tuple[Association, ...]


def claim(connection: Connection, claim: Claim, numbers: Collection[Number] = ()) -> int | None:
    """Bind the key before the command is looked at further: the id of its row, None where the key is bound already.

    `numbers` are found from now on, whatever comes of the command.
    """
    row = {**vars(claim), "events": _NO_EVENTS}
    statement = _CLAIM[connection.dialect.name]
    if numbers:
        claimed = search_keys.learn_beside(connection, statement, row, claim.channel, numbers, claim.begun_at)
    else:
        claimed = connection.execute(statement, row)
    found: int | None = claimed.scalar()
    return found


_NO_EVENTS = msgspec.json.encode(())
_CLAIM = {
    name: insert(commands)
    .on_conflict_do_nothing(index_elements=["channel", "callback", "natural_key"])
    .returning(commands.c.id)
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


def bound(connection: Connection, claim: Claim) -> Bound:
    """The command that the key is bound to, where `claim` found that it is bound."""
    of = commands.c
    row = connection.execute(
        select(of.id, of.digest, of.lease_until, of.finished_at, of.events).where(
            of.channel == claim.channel, of.callback == claim.callback, of.natural_key == claim.natural_key
        )
    ).one()
    return Bound(*row)


def bind(connection: Connection, row_id: int, claim: Claim, events: Sequence[Event], *, is_finished: bool) -> None:
    """Keep what the request of this claim says of the command, and whether it is over."""
    connection.execute(
        update(commands)
        .where(commands.c.id == row_id)
        .values(
            digest=claim.digest,
            events=msgspec.json.encode(events),
            request_id=claim.request_id,
            lease_until=claim.lease_until,
            finished_at=claim.begun_at if is_finished else None,
        )
    )


def forget(connection: Connection, row_id: int) -> None:
    """Free the key of a command that owes nothing."""
    connection.execute(delete(commands).where(commands.c.id == row_id))


def finish(connection: Connection, row_ids: Collection[int], now: datetime) -> None:
    """The requests that carry these commands out have ended."""
    connection.execute(update(commands).where(commands.c.id.in_(row_ids)).values(finished_at=now))


def origin_of(connection: Connection, delivery_id: int) -> Origin:
    """What a call belongs to."""
    row = connection.execute(
        select(commands.c.callback, commands.c.begun_at, deliveries.c.about)
        .join(commands, commands.c.id == deliveries.c.command_id)
        .where(deliveries.c.id == delivery_id)
    ).one()
    return Origin(row.callback, row.begun_at, msgspec.json.decode(row.about, type=tuple[Association, ...]))


def callback_of(connection: Connection, row_id: int) -> str | None:
    """The callback of a command, None where it has been forgotten."""
    found: str | None = connection.execute(select(commands.c.callback).where(commands.c.id == row_id)).scalar()
    return found
