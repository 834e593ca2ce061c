"""Writes what came of attempts at owed calls: under the lease of who made them, or over it if an answer is certain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, exists, select, update

from app.domain.commands import OBSERVATIONS
from app.domain.events import Event, about
from app.records import attempts, late_events, leases
from app.records.deliveries import OPEN_STATES, Delivery, Settled
from app.records.outbox import in_lane, is_in, lane_names, wake_lanes
from app.records.tables.columns import Moment
from app.records.tables.deliveries import commands, deliveries

_NOW = bindparam("now", type_=Moment)
_THESE = deliveries.c.id.in_(bindparam("ids", expanding=True))

_DOUBT = (
    update(deliveries)
    .where(_THESE, is_in(deliveries, OPEN_STATES))
    .values(is_possibly_done=True, last_attempt_at=_NOW, late_until=None)
)
_HELD = (
    select(
        deliveries.c.id, deliveries.c.lease_token, deliveries.c.state, deliveries.c.attempts,
        deliveries.c.last_attempt_at,
    )
    .where(_THESE)
    .order_by(deliveries.c.id)
    .with_for_update()
)  # fmt: skip
_LATER = (
    select(deliveries.c.verb)
    .where(*in_lane(deliveries), deliveries.c.id > bindparam("of_id"), deliveries.c.state == "delivered")
    .order_by(deliveries.c.id.desc())
    .limit(1)
)
_KEPT_TO = timedelta(milliseconds=2)
"""How much two readings of one time may differ once one of them was kept, which is done in milliseconds."""
_WRITE = update(deliveries).where(deliveries.c.id == bindparam("of_id"))
_WAITING = deliveries.alias("waiting")
_WRITE_HELD = _WRITE.where(deliveries.c.lease_token == bindparam("of_token")).returning(
    exists()
    .where(*in_lane(_WAITING), _WAITING.c.id != bindparam("of_id"), is_in(_WAITING, OPEN_STATES))
    .label("is_waited_for")
)


@cache
def _write_held_beside(columns: tuple[str, ...]) -> Any:
    """`_WRITE_HELD` for these columns with the attempt beside it, in one statement of PostgreSQL's."""
    values = {name: bindparam(f"new_{name}", type_=deliveries.c[name].type) for name in columns}
    return attempts.with_attempt(_WRITE_HELD.values(values), "is_waited_for")


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt, and the lease under which it was made."""

    delivery: Delivery
    token: str
    settled: Settled


@dataclass(frozen=True)
class Recorded:
    """What became of outcomes that were to be recorded."""

    applied: list[Outcome] = field(default_factory=list)
    """Those that are written now; one whose lease was lost names the state it was written over."""
    after_all: list[Outcome] = field(default_factory=list)
    """Acceptances of calls that somebody had given up or that were found not done meanwhile (DONE_AFTER_ALL)."""


def record_outcomes(connection: Connection, outcomes: Sequence[Outcome], now: datetime) -> Recorded:
    """Write the outcomes that count: those whose lease is held, and definite answers of the vendor without it (R8).

    An acceptance counts over whatever is open, for nobody can know better.  A refusal counts without its lease only
    while nobody has tried since, for it says nothing about another attempt.  All else is left to who has the call now;
    if it may have been sent it is in doubt from now on, so that it is looked up before it is sent.  A lease is lost
    when another has taken it, whatever any clock says: the rows are locked while that is looked at.
    A few statements, however many outcomes there are: a busy worker records hundreds a second.
    """
    if not outcomes:
        return Recorded()
    if len(outcomes) == 1 and _is_recorded_under_lease(connection, outcomes[0], now):
        return Recorded([outcomes[0]])
    rows = {row.id: row for row in connection.execute(_HELD, {"ids": [item.delivery.id for item in outcomes]})}
    recorded = Recorded()
    in_doubt: list[int] = []
    for outcome in outcomes:
        row, is_done = rows.get(outcome.delivery.id), outcome.settled.state == "delivered"
        if row is not None and row.lease_token == outcome.token:
            recorded.applied.append(outcome)
        elif row is not None and row.state in OPEN_STATES:
            is_untried_since = row.lease_token is None and row.attempts == outcome.delivery.attempts
            if is_done or (outcome.settled.state == "refused" and is_untried_since):
                recorded.applied.append(replace(outcome, delivery=replace(outcome.delivery, state=row.state)))
            elif outcome.settled.is_possibly_done:
                in_doubt.append(outcome.delivery.id)
        elif is_done and (row is None or row.state in ("dropped", "refused")):
            recorded.after_all.append(outcome)
        elif row is not None and row.state == "delivered" and _may_be_later(outcome.settled, row.last_attempt_at):
            _note_if_overtaken(connection, outcome.delivery, now)
    if in_doubt:
        connection.execute(_DOUBT, {"ids": in_doubt, "now": now})
    closed = [outcome for outcome in recorded.applied if outcome.settled.state not in OPEN_STATES]
    _write(connection, [_written(outcome, now) for outcome in closed])
    still_open = [outcome for outcome in recorded.applied if outcome.settled.state in OPEN_STATES]
    _write(connection, [_written(outcome, now) for outcome in still_open])
    made = (attempts.row_of(outcome.delivery, outcome.settled) for outcome in outcomes if outcome.delivery.id in rows)
    attempts.add(connection, filter(None, made))
    _wake_behind(connection, closed, now)
    return recorded


def _is_recorded_under_lease(connection: Connection, outcome: Outcome, now: datetime) -> bool:
    """Write an outcome whose lease is held, as a request with one call has it: one statement where nobody waits for it.

    False, and nothing is written, where the lease is lost.
    """
    names = lane_names(*_lane_of(outcome.delivery))
    written = {**_written(outcome, now), **names, "of_token": outcome.token}
    attempt = attempts.row_of(outcome.delivery, outcome.settled)
    if attempt is not None and connection.dialect.name != "sqlite":
        values = {f"new_{name}": value for name, value in _written(outcome, now).items() if name != "of_id"}
        statement = _write_held_beside(tuple(name.removeprefix("new_") for name in values))
        row = connection.execute(statement, {**written, **values, **attempts.beside(attempt)}).first()
    else:
        row = connection.execute(_WRITE_HELD, written).first()
        attempts.add(connection, [attempt] if attempt is not None and row is not None else [])
    if row is None:
        return False
    if row.is_waited_for and outcome.settled.state not in OPEN_STATES:
        _wake_behind(connection, [outcome], now)
    return True


def _wake_behind(connection: Connection, closed: Sequence[Outcome], now: datetime) -> None:
    free_at: dict[tuple[str, str, str], datetime] = {}
    for outcome in closed:
        lane = _lane_of(outcome.delivery)
        free_at[lane] = max(now, free_at.get(lane, now), outcome.settled.late_until or now)
    wake_lanes(connection, free_at)


def _written(outcome: Outcome, now: datetime) -> dict[str, object]:
    settled = outcome.settled
    # Personal data goes as soon as nobody needs it (R28).
    over: dict[str, object] = {} if settled.state in OPEN_STATES else {"closed_at": now, "body": None}
    return {
        **over,
        "of_id": outcome.delivery.id,
        "state": settled.state,
        "attempts": settled.attempts,
        "is_possibly_done": settled.is_possibly_done,
        "last_attempt_at": settled.last_attempt_at,
        "next_try_at": settled.next_try_at,
        "last_code": settled.code,
        "last_error": settled.error,
        "events": msgspec.json.encode(settled.events) if settled.events else None,
        **leases.ENDED,
        "late_until": settled.late_until,
    }


def _may_be_later(settled: Settled, delivered_at: datetime | None) -> bool:
    """True for an attempt that may have arrived after the call was delivered, when later ones of its order began.

    One that was answered before that did not; nor did the attempt that is recorded twice, for its process never learned
    that the database had taken it.
    """
    is_done = settled.state == "delivered"
    over_at = settled.last_attempt_at if is_done else settled.late_until
    is_over = over_at is not None and delivered_at is not None and over_at - delivered_at < _KEPT_TO
    return (is_done or settled.is_possibly_done) and not is_over


def _note_if_overtaken(connection: Connection, delivery: Delivery, now: datetime) -> None:
    """Note for operators a call that may have arrived after later ones of its order, which nobody can send again.

    Its process stood still while sending; another made the call and the later ones, whose bodies are gone (R28).
    """
    channel, gateway, lane = _lane_of(delivery)
    later = connection.execute(_LATER, {**lane_names(channel, gateway, lane), "of_id": delivery.id}).scalar()
    if later is None or delivery.verb in OBSERVATIONS:
        return
    callback = connection.execute(select(commands.c.callback).where(commands.c.id == delivery.command_id)).scalar()
    message = (
        f"{gateway} may have received {delivery.verb} of order {lane} once more, after the later {later}, because a "
        "process of this server stood still; compare the order there with what was said last"
    )
    event = Event("warning", "LATE_SENT_AGAIN", message, about("order_refnum", lane))
    late_events.note(
        connection, channel=channel, gateway=gateway, callback=callback or delivery.verb, subject=lane, event=event,
        request_id=delivery.request_id, now=now,
    )  # fmt: skip


def _lane_of(delivery: Delivery) -> tuple[str, str, str]:
    return delivery.channel, delivery.gateway, delivery.lane


def _write(connection: Connection, rows: list[dict[str, object]]) -> None:
    if rows:
        connection.execute(_WRITE, rows)
