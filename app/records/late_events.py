"""Failures found after a callback was answered: kept for the operator, sent to RetailOps once (R15).

A row goes with the first answer that can carry it.  For a while after that it goes again with the answer to the same
request only, because the answer that carried it may have been lost on its way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, func, insert, literal, or_, select, update

from app.domain.events import Association, Event
from app.records.bounded_search import Part, look_through, to_the_second
from app.records.statements import Prepared, visible
from app.records.tables.channels import channels as channel_rows
from app.records.tables.columns import Moment
from app.records.tables.deliveries import late_events

DONE = "LATE_DONE"
"""The one code that is no failure: once RetailOps knows it, nobody has to do anything."""

REFUSED = {"inventory_push": "LATE_STOCK_REFUSED", "catalog_push": "LATE_PRODUCT_REFUSED"}
"""The code of a refused fact, by the callback that stated it."""

SENT_AT_ONCE = 20
"""Most late news in one answer."""

REPEATABLE_FOR = timedelta(minutes=10)
"""How long a repeat of the request whose answer carried it gets it again."""

REFUSED_FACTS_KEPT = 100
"""Refused SKUs of one gateway that wait to be sent; beyond that only the log and the stock rows show them."""

_ABOUT = tuple[Association, ...]


def note(
    connection: Connection,
    *,
    channel: str,
    gateway: str,
    callback: str,
    subject: str,
    event: Event,
    request_id: str,
    now: datetime,
    delivery_id: int | None = None,
) -> None:
    """Keep one piece of news.  `subject` is the order or SKU; `delivery_id` the parked delivery it is about."""
    connection.execute(
        insert(late_events),
        {
            "channel": channel,
            "gateway": gateway,
            "callback": callback,
            "subject": subject,
            "code": event.code[:80],
            "message": event.message,
            "about": msgspec.json.encode(event.associations),
            "delivery_id": delivery_id,
            "request_id": request_id,
            "at": now,
        },
    )


@dataclass(frozen=True)
class RefusedFact:
    """A SKU or product a vendor finally refused; `reason` holds no value."""

    subject: str
    reason: str
    about: tuple[Association, ...]


def note_refused(
    connection: Connection,
    channel: str,
    gateway: str,
    callback: str,
    refused: Sequence[RefusedFact],
    request_id: str,
    now: datetime,
) -> None:
    """Keep the facts of an answered push that a gateway refused, each once until an operator dismisses it."""
    by_subject = {fact.subject: fact for fact in refused}
    if not by_subject:
        return
    code = REFUSED[callback]
    of_kind = and_(late_events.c.channel == channel, late_events.c.gateway == gateway, late_events.c.code == code)
    known = set(
        connection.execute(
            select(late_events.c.subject).where(
                of_kind, late_events.c.subject.in_(by_subject), late_events.c.dismissed_at.is_(None)
            )
        ).scalars()
    )
    waiting = connection.execute(
        select(func.count()).select_from(late_events).where(of_kind, late_events.c.sent_at.is_(None))
    ).scalar_one()
    fresh = [fact for subject, fact in by_subject.items() if subject not in known]
    for fact in fresh[: max(REFUSED_FACTS_KEPT - int(waiting), 0)]:
        message = f"{callback} was answered before {gateway} was told: it refuses this SKU ({fact.reason})"
        note(
            connection,
            channel=channel,
            gateway=gateway,
            callback=callback,
            subject=fact.subject,
            event=Event("warning", code, message, fact.about),
            request_id=request_id,
            now=now,
        )


# Two, so that each is read by the index of `sent_at`.
_NEWS = Prepared(
    select(late_events.c.channel)
    .where(late_events.c.sent_at.is_(None))
    .union(
        select(late_events.c.channel).where(late_events.c.sent_at > bindparam("repeated_after", type_=Moment)),
    )
)


def channels_with_news(connection: Connection, now: datetime) -> set[str]:
    """The channels whose next answer may have something to add."""
    return set(_NEWS.execute(connection, {"repeated_after": now - REPEATABLE_FOR}).scalars())


def is_any_for(connection: Connection, channel: str, digest: str, now: datetime) -> bool:
    """True when `take` would find something for this request; costs no write lock."""
    is_due = _is_due(channel, digest, now, late_events.c)
    row = connection.execute(select(late_events.c.id).where(is_due).limit(1)).first()
    return row is not None


def take(connection: Connection, channel: str, digest: str, request_id: str, now: datetime) -> list[Event]:
    """The oldest news for this answer, marked as sent.  `digest` is of the request's content."""
    due = late_events.alias()  # chosen first: in the order of ids all that ever turned out would be read
    rows = connection.execute(
        select(late_events)
        .where(late_events.c.id.in_(select(due.c.id).where(_is_due(channel, digest, now, due.c))))
        .order_by(late_events.c.id)
        .limit(SENT_AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    # PostgreSQL gives rows as they are once they are locked: another answer may just have taken one.
    rows = [row for row in rows if row.sent_at is None or row.sent_to == digest]
    fresh = [row.id for row in rows if row.sent_at is None]
    if fresh:
        connection.execute(
            update(late_events)
            .where(late_events.c.id.in_(fresh))
            .values(sent_at=now, sent_to=digest, sent_request_id=request_id)
        )
        connection.execute(
            update(late_events).where(late_events.c.id.in_(fresh), late_events.c.code == DONE).values(dismissed_at=now)
        )
    return [event_of(row) for row in rows]


def event_of(row: Any) -> Event:
    """A row as RetailOps reads it: always a warning, so that no answer fails for it."""
    return Event("warning", row.code, row.message, msgspec.json.decode(row.about, type=_ABOUT))


def dismiss(
    connection: Connection,
    now: datetime,
    *,
    news_ids: Collection[int] = (),
    delivery_ids: Collection[int] = (),
) -> set[int]:
    """The operator knows: nothing of it is sent any more.  Returns the ids that were open."""
    rows = connection.execute(
        update(late_events)
        .where(
            or_(late_events.c.id.in_(news_ids), late_events.c.delivery_id.in_(delivery_ids)),
            late_events.c.dismissed_at.is_(None),
        )
        .values(dismissed_at=now, sent_at=func.coalesce(late_events.c.sent_at, literal(now, Moment)))
        .returning(late_events.c.id)
    )
    return set(rows.scalars())


def named(connection: Connection, news_ids: Collection[int]) -> Sequence[Row[Any]]:
    """These, oldest first."""
    return connection.execute(
        select(late_events).where(late_events.c.id.in_(news_ids)).order_by(late_events.c.id)
    ).all()


def of_delivery(connection: Connection, delivery: Row[Any]) -> Sequence[Row[Any]]:
    """What is noted of a call, for the request that owed it."""
    of = late_events.c
    of_order = (of.channel == delivery.channel, of.subject == delivery.lane)
    is_its = (of.delivery_id == delivery.id, of.request_id == delivery.request_id)
    return connection.execute(select(late_events).where(*of_order, *is_its)).all()


def page(
    connection: Connection,
    *,
    channels: Collection[str] | None,
    channel: str,
    gateway: str,
    subject: str = "",
    is_open: bool,
    before: int | None,
    limit: int,
    searched: int,
) -> Part:
    """Those of these channels (None: all) before an id, newest first; what is empty does not restrict.

    Open ones and those of a subject have an index; of all others at most `searched` are looked through.
    """

    def rules(of: Any) -> Iterator[ColumnElement[bool]]:
        yield visible(of.channel, channels)
        for column, value in ((of.channel, channel), (of.gateway, gateway), (of.subject, subject)):
            if value:
                yield column == value
        if is_open:
            yield of.dismissed_at.is_(None)

    listed = select(late_events) if before is None else select(late_events).where(late_events.c.id < before)
    if is_open or subject:
        some = late_events.alias()
        chosen = select(some.c.id).where(*rules(some.c))
        if subject:  # the channel is named for the index
            chosen = chosen.where(some.c.channel.in_(select(channel_rows.c.key)))
        listed = listed.where(late_events.c.id.in_(chosen))
    part = look_through(connection, listed, rules, by=("id",), limit=limit, searched=searched)
    return part if channels is None else to_the_second(part, None)


def _is_due(channel: str, digest: str, now: datetime, of: Any) -> ColumnElement[bool]:
    # What has come right is dismissed by being sent; what an operator dismissed is not sent again.
    is_open = or_(of.dismissed_at.is_(None), of.code == DONE)
    is_repeat = and_(of.sent_to == digest, of.sent_at > now - REPEATABLE_FOR, is_open)
    return and_(of.channel == channel, or_(of.sent_at.is_(None), is_repeat))
