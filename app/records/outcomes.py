"""Writes attempts at owed calls and what came of them: under the lease of who made them, or over it if an answer is
certain.  Of an attempt is kept when it was, how long it took and what it left the call in, never what a vendor said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ClauseElement, Connection, Row, Update, bindparam, exists, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from app.domain.commands import OBSERVATIONS
from app.domain.events import Event, about
from app.domain.moments import moment_of
from app.records import late_events, leases
from app.records.deliveries import OPEN_STATES, Delivery, Settled
from app.records.outbox import in_lane, is_in, lane_names, wake_lanes
from app.records.statements import Prepared, among, upserted
from app.records.tables.columns import Moment
from app.records.tables.deliveries import attempts, commands, deliveries

_NOW = bindparam("now", type_=Moment)
_THESE = deliveries.c.id.in_(bindparam("ids", expanding=True))

_DOUBT = (
    update(deliveries)
    .where(_THESE, is_in(deliveries, OPEN_STATES))
    .values(is_possibly_done=True, last_attempt_at=_NOW, late_until=None)
)
_WAITING = deliveries.alias("waiting")
_IS_OTHER_IN_LANE = (
    *(_WAITING.c[name] == deliveries.c[name] for name in ("channel", "gateway", "lane")),
    _WAITING.c.id != deliveries.c.id,
)
# Read by its index for each row, as those that stand in front are (`records.claims`).
_IS_WAITED_FOR = select(_WAITING.c.id).where(*_IS_OTHER_IN_LANE, is_in(_WAITING, OPEN_STATES)).limit(1)
_HELD = Prepared(
    select(
        deliveries.c.id, deliveries.c.lease_token, deliveries.c.state, deliveries.c.attempts,
        deliveries.c.last_attempt_at, _IS_WAITED_FOR.scalar_subquery().is_not(None).label("is_waited_for"),
    )
    .where(among(deliveries.c.id, "ids"))
    .order_by(deliveries.c.id)
    .with_for_update(of=deliveries)
)  # fmt: skip
_LATER = (
    select(deliveries.c.verb)
    .where(*in_lane(deliveries), deliveries.c.id > bindparam("of_id"), deliveries.c.state == "delivered")
    .order_by(deliveries.c.id.desc())
    .limit(1)
)
_KEPT_TO = timedelta(milliseconds=2)
"""How much two readings of one time may differ once one of them was kept, which is done in milliseconds."""

_FOUND = ("state", "attempts", "is_possibly_done", "last_attempt_at", "next_try_at", "last_code", "last_error",
          "events", "late_until")  # fmt: skip


_ATTEMPT = [column.name for column in attempts.columns]

_ADD_ATTEMPTS = Prepared(lambda dialect: upserted(dialect, attempts))


def _written_to(is_over: bool) -> Update:
    """What came of an attempt at the call `of_id`.  The body goes as soon as the call is over (R28)."""
    names = (*_FOUND, "closed_at") if is_over else _FOUND
    values = {name: bindparam(f"new_{name}", type_=deliveries.c[name].type) for name in names}
    fixed = {**leases.ENDED, **({"body": None} if is_over else {})}
    return update(deliveries).where(deliveries.c.id == bindparam("of_id")).values({**values, **fixed})


def _with_attempt(written: Update, result: str) -> Any:
    """A statement of PostgreSQL's that writes a call and, if it was written, the attempt; it gives `result`."""
    held = written.cte("held")
    given = [bindparam(f"attempt_{column.name}", type_=column.type) for column in attempts.columns]
    added = postgresql_insert(attempts).from_select(_ATTEMPT, select(*given).select_from(held))
    return select(held.c[result]).add_cte(added.on_conflict_do_nothing().cte("attempted"))


def _written_if_held(is_over: bool, has_attempt: bool) -> Prepared:
    """The same under its lease, with the attempt beside it in one statement of PostgreSQL's."""
    is_waited_for = exists().where(
        *in_lane(_WAITING), _WAITING.c.id != bindparam("of_id"), is_in(_WAITING, OPEN_STATES)
    )
    held = _written_to(is_over).where(deliveries.c.lease_token == bindparam("of_token"))
    written = held.returning(is_waited_for.label("is_waited_for"))

    def build(dialect: str) -> ClauseElement:
        is_one = has_attempt and dialect != "sqlite"
        return _with_attempt(written, "is_waited_for") if is_one else written

    return Prepared(build)


_WRITE = {is_over: Prepared(_written_to(is_over)) for is_over in (False, True)}
_WRITE_HELD = {
    (is_over, has_attempt): _written_if_held(is_over, has_attempt)
    for is_over in (False, True)
    for has_attempt in (False, True)
}


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
    found = _HELD.execute(connection, {"ids": [outcome.delivery.id for outcome in outcomes]})
    rows = {row.id: row for row in found}
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
        elif (
            row is not None
            and row.state == "delivered"
            and _may_be_later(outcome.settled, moment_of(row.last_attempt_at))
        ):
            _note_if_overtaken(connection, outcome.delivery, now)
    if in_doubt:
        connection.execute(_DOUBT, {"ids": in_doubt, "now": now})
    closed = [outcome for outcome in recorded.applied if outcome.settled.state not in OPEN_STATES]
    still_open = [outcome for outcome in recorded.applied if outcome.settled.state in OPEN_STATES]
    for is_over, written in ((True, closed), (False, still_open)):
        _WRITE[is_over].execute_many(connection, [_found_by(outcome, now) for outcome in written])
    made = (_attempt_row(outcome.delivery, outcome.settled) for outcome in outcomes if outcome.delivery.id in rows)
    _add_attempts(connection, filter(None, made))
    _wake_behind(connection, [outcome for outcome in closed if rows[outcome.delivery.id].is_waited_for], now)
    return recorded


def _is_recorded_under_lease(connection: Connection, outcome: Outcome, now: datetime) -> bool:
    """Write an outcome whose lease is held, as a request with one call has it: one statement where nobody waits for it.

    False, and nothing is written, where the lease is lost.
    """
    names, token = lane_names(*_lane_of(outcome.delivery)), {"of_token": outcome.token}
    attempt = _attempt_row(outcome.delivery, outcome.settled)
    statement = _WRITE_HELD[outcome.settled.state not in OPEN_STATES, attempt is not None]
    beside = _attempt_beside(attempt) if attempt is not None else {}
    row = statement.execute(connection, {**_found_by(outcome, now), **names, **token, **beside}).first()
    if attempt is not None and row is not None and connection.dialect.name == "sqlite":
        _add_attempts(connection, [attempt])
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


def _found_by(outcome: Outcome, now: datetime) -> dict[str, object]:
    """The parameters of `_written_to`."""
    settled = outcome.settled
    return {
        "of_id": outcome.delivery.id,
        "new_state": settled.state,
        "new_attempts": settled.attempts,
        "new_is_possibly_done": settled.is_possibly_done,
        "new_last_attempt_at": settled.last_attempt_at,
        "new_next_try_at": settled.next_try_at,
        "new_last_code": settled.code,
        "new_last_error": settled.error,
        "new_events": msgspec.json.encode(settled.events) if settled.events else None,
        "new_late_until": settled.late_until,
        "new_closed_at": now,
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


def _attempt_row(delivery: Delivery, settled: Settled) -> dict[str, Any] | None:
    """The row of an attempt; None for what was none, because nothing was sent and nothing was decided."""
    is_decided = settled.state not in OPEN_STATES
    if settled.begun_at is None or not (settled.attempts > delivery.attempts or is_decided):
        return None
    return {
        "delivery_id": delivery.id,
        "at": settled.begun_at,
        "number": settled.attempts,
        "ms": settled.ms,
        "outcome": settled.state,
        "status": _status(settled.code),
        "code": settled.code[:64],
    }


def _status(code: str) -> int | None:
    """The HTTP status that the code of an error names."""
    if code == "THROTTLED":
        return 429
    number = code.removeprefix("HTTP_")
    return int(number) if number != code and number.isdecimal() else None


def _add_attempts(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Keep these; one that is kept already, by a process that did not learn of it, stays as it is."""
    if added := list(rows):
        _ADD_ATTEMPTS.execute_many(connection, added)


def _attempt_beside(row: dict[str, Any]) -> dict[str, Any]:
    """The parameters of `_with_attempt` for this attempt."""
    return {f"attempt_{name}": value for name, value in row.items()}


def attempts_of(connection: Connection, delivery_ids: Collection[int]) -> Sequence[Row[Any]]:
    """The attempts at these calls, oldest first."""
    if not delivery_ids:
        return ()
    return connection.execute(
        select(attempts).where(attempts.c.delivery_id.in_(delivery_ids)).order_by(attempts.c.at)
    ).all()
