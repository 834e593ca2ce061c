"""How a command runs: T1 claims and commits what is owed, the attempt holds nothing, T2 records (R8, R9).

A callback may hold several commands (each package of a shipment, each acknowledgement); they share one
T1 and one T2.  A command binds its natural key only if a call of it had or may still have an effect.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from app.channel import consequences
from app.channel.desk import BUDGET_S, PATIENCE_MARGIN_S, Asked, Desk
from app.channel.entry_by_entry import refused_event
from app.deliveries import claims, outbox, transitions
from app.deliveries.claims import Outcome
from app.deliveries.operating import NEVER_KNOWN
from app.deliveries.outbox import Owed, Told
from app.deliveries.transitions import Delivery, Settled
from app.errors import Rejected
from app.gateways.interface import Verb
from app.gateways.words import Event, about
from app.records.database import DatabaseRefused, repeated
from app.records.tables import commands as ledger

TWIN_WAIT_S = 3.0
"""How long a repeat waits for the first of its kind to finish before it is sent away with 503 (R9)."""

LAST_WAIT_S = 1.0
"""How long T1 waits for the writer even when the budget is spent: what was found out so far should be kept."""

GIVING_BACK = ("return_order", "refund_payment")
"""The verbs of money this server itself owes the customer (R10)."""

RESTATING = ("correct_shipment", "acknowledge_order", "complete_order", "record_return")
"""Verbs of which a later call for the same command replaces what an earlier one said."""

CANNOT_CORRECT = "CANNOT_CORRECT"
"""The code by which a vendor says that it took a correction and cannot change what it has."""

CORRECTED = ("SHIPMENT_CORRECTED", "RETURN_CORRECTED", "COMPLETION_CORRECTED", "RETAILOPS_ID_ADDED")
"""Codes of the `info` events that go with a correction on its way to the vendor (R9)."""

_EVENTS = list[Event]


@dataclass(frozen=True)
class Plan:
    """What a command comes to by our own records: what to tell, and which calls are owed for it."""

    events: Sequence[Event] = ()
    owed: Sequence[Owed] = ()
    answers_alone: bool = False
    """True for a correction that is no repeat, though it has nothing to say: the first answer is none to it."""


@dataclass(frozen=True)
class Command:
    """One thing RetailOps requests, done once.

    `meaning` is the named tuple of fields that make two requests the same; `plan` is called inside T1 when
    the key is new, `correct` when the key is bound and the meaning differs.
    """

    callback: str
    natural_key: str
    order_refnum: str
    meaning: object
    plan: Callable[[Connection], Plan]
    correct: Callable[[Connection], Plan]

    @property
    def digest(self) -> str:
        """The same for the same meaning, whatever spelling the request used."""
        return hashlib.sha256(msgspec.json.encode(self.meaning)).hexdigest()


@dataclass
class _Begun:
    """What T1 left behind: per command its ledger row and own events, and the deliveries to attempt now."""

    rows: list[tuple[int | None, list[Event]]] = field(default_factory=list)
    attempts: list[Delivery] = field(default_factory=list)
    token: str = ""


class _TwinRunning(Exception):
    """The same command is being carried out by another request."""


def run(desk: Desk, asked: Asked, wanted: Sequence[Command]) -> list[list[Event]]:
    """Carry the commands out and give each one's events, in order.

    A command the database can never keep costs itself only (R6).  Raises `Rejected` 503 when the same command is
    still running elsewhere, `DatabaseUnavailable` when nothing could be kept.
    """
    try:
        begun = _begin_or_wait(desk, asked, wanted)
    except DatabaseRefused:
        if len(wanted) > 1:
            return [events for command in wanted for events in run(desk, asked, [command])]
        return [[refused_event(about("order_refnum", command.order_refnum))] for command in wanted]
    asked.leave_turn()
    settled = _attempt(desk, asked, begun)
    told = repeated(lambda: _finish(desk, begun, settled), time.monotonic() + TWIN_WAIT_S)
    desk.wake_deliveries()
    channel = asked.channel.key
    found = []
    for row_id, own in begun.rows:
        vendors = [
            event
            for item in _newest(told.get(row_id or 0, []))
            for event in events_of(item, is_held=_is_vendors_decision(desk, channel, item.gateway, item.verb))
        ]
        found.append([*_not_contradicted(own, vendors), *vendors])
    return found


def _newest(told: Sequence[Told]) -> list[Told]:
    """The calls whose outcome still says something: of a call that states everything anew, the last of its kind."""
    last = {(item.gateway, item.verb): item for item in told}
    return [item for item in told if item.verb not in RESTATING or last[item.gateway, item.verb] is item]


def _not_contradicted(own: Sequence[Event], vendors: Sequence[Event]) -> list[Event]:
    """Our own events, without the word that a correction went on where the vendor says that it cannot take it."""
    is_refused = any(event.event_type == "error" or event.code == CANNOT_CORRECT for event in vendors)
    return [event for event in own if not (is_refused and event.code in CORRECTED)]


def _begin_or_wait(desk: Desk, asked: Asked, wanted: Sequence[Command]) -> _Begun:
    give_up_at = time.monotonic() + min(TWIN_WAIT_S, asked.deadline.left_s())
    while True:
        try:
            return _begin(desk, asked, wanted)
        except _TwinRunning:
            if time.monotonic() >= give_up_at:
                message = "the same command is being carried out; ask again"
                raise Rejected(503, "COMMAND_RUNNING", message, retry_after_s=5) from None
            time.sleep(0.05)


def _begin(desk: Desk, asked: Asked, wanted: Sequence[Command]) -> _Begun:
    """T1."""
    begun = _Begun(token=outbox.new_lease())
    channel = asked.channel.key
    serial = [f"{channel}/{command.order_refnum}" for command in wanted]
    with desk.database.write(wait_s=max(asked.deadline.left_s(), LAST_WAIT_S), serial=serial) as connection:
        free_lanes: dict[tuple[str, str], bool] = {}
        for command in wanted:
            row = _bound(connection, channel, command)
            is_declined = False
            if row is not None and row.finished_at is None and row.lease_until > desk.clock():
                raise _TwinRunning
            if row is None:
                plan, base = command.plan(connection), []
            elif row.digest == command.digest:
                plan, base = Plan(), msgspec.json.decode(row.events, type=_EVENTS)
            else:
                plan = command.correct(connection)
                # A correction that says something itself is the news, whether it goes on or is refused.
                has_news = bool(plan.owed or plan.events)
                base = [] if has_news or plan.answers_alone else msgspec.json.decode(row.events, type=_EVENTS)
                is_declined = has_news and not plan.owed
            owed, busy = _attemptable(desk, asked, connection, command, plan, free_lanes)
            own = [*base, *plan.events, *busy]
            # What vendors said of the earlier request is no answer to one that changed nothing of it.
            row_id = int(row.id) if row is not None and not is_declined else None
            if owed:
                is_inline_owed = any(is_inline for _, is_inline in owed)
                row_id = _bind(connection, desk, asked, command, row_id, own, is_finished=not is_inline_owed)
            begun.rows.append((row_id, own))
            for item, is_inline in owed:
                assert row_id is not None
                delivery = _owe(connection, desk, asked, command, item, row_id, begun.token if is_inline else None)
                if is_inline:
                    begun.attempts.append(delivery)
    return begun


def _bound(connection: Connection, channel: str, command: Command) -> Row[tuple[object, ...]] | None:
    return connection.execute(
        select(ledger).where(
            ledger.c.channel == channel,
            ledger.c.callback == command.callback,
            ledger.c.natural_key == command.natural_key,
        )
    ).first()


def _attemptable(
    desk: Desk,
    asked: Asked,
    connection: Connection,
    command: Command,
    plan: Plan,
    free_lanes: dict[tuple[str, str], bool],
) -> tuple[list[tuple[Owed, bool]], list[Event]]:
    """Which calls are owed and whether each may be tried inline (R12).

    What the vendor decides cannot be owed: behind a waiting lane it is not begun at all (R10).
    """
    owed: list[tuple[Owed, bool]] = []
    busy: list[Event] = []
    for item in plan.owed:
        lane = (item.gateway, command.order_refnum)
        if lane not in free_lanes:
            free_lanes[lane] = outbox.is_lane_free(connection, asked.channel.key, *lane)
        verb = desk.gateways[(asked.channel.key, item.gateway)].verbs[item.verb]
        if not free_lanes[lane] and isinstance(verb, Verb) and verb.decided_by == "vendor":
            message = f"earlier calls for this order are still owed to {item.gateway}; nothing was done, send again"
            busy.append(Event("error", "EARLIER_CALLS_OWED", message, item.about))
        else:
            owed.append((item, free_lanes[lane]))
    return owed, busy


def _bind(
    connection: Connection,
    desk: Desk,
    asked: Asked,
    command: Command,
    row_id: int | None,
    own: Sequence[Event],
    *,
    is_finished: bool,
) -> int:
    now = desk.clock()
    values = {
        "digest": command.digest,
        "events": msgspec.json.encode(own),
        "request_id": asked.request_id,
        "lease_until": now + timedelta(seconds=BUDGET_S + PATIENCE_MARGIN_S),
        "finished_at": now if is_finished else None,
    }
    if row_id is not None:
        connection.execute(update(ledger).where(ledger.c.id == row_id).values(**values))
        return row_id
    return int(
        connection.execute(
            insert(ledger).returning(ledger.c.id),
            {
                **values,
                "channel": asked.channel.key,
                "callback": command.callback,
                "natural_key": command.natural_key,
                "order_refnum": command.order_refnum,
                "begun_at": now,
            },
        ).scalar_one()
    )


def _owe(
    connection: Connection, desk: Desk, asked: Asked, command: Command, item: Owed, row_id: int, token: str | None
) -> Delivery:
    now = desk.clock()
    lease = (token, now + timedelta(seconds=BUDGET_S + PATIENCE_MARGIN_S)) if token else None
    return outbox.owe(
        connection,
        item,
        channel=asked.channel.key,
        lane=command.order_refnum,
        command_id=row_id,
        request_id=asked.request_id,
        now=now,
        lease=lease,
    )


def _attempt(desk: Desk, asked: Asked, begun: _Begun) -> dict[int, Settled]:
    """Try what may be tried, first in first out per lane; a lane stops at its first call that stays open."""
    settled: dict[int, Settled] = {}
    stopped: set[tuple[str, str]] = set()
    for delivery in begun.attempts:
        lane = (delivery.gateway, delivery.lane)
        if lane in stopped:
            if _is_vendors_decision(desk, delivery.channel, delivery.gateway, delivery.verb):
                settled[delivery.id] = transitions.not_tried(delivery, desk.clock())
            continue
        settled[delivery.id] = desk.courier.attempt(delivery, asked.deadline, is_inline=True)
        if settled[delivery.id].state not in ("delivered", "refused"):
            stopped.add(lane)
    return settled


def _is_vendors_decision(desk: Desk, channel: str, gateway: str, verb: str) -> bool:
    known = desk.gateways.get((channel, gateway))
    declared = known.verbs.get(verb) if known else None
    return isinstance(declared, Verb) and declared.decided_by == "vendor"


def _finish(desk: Desk, begun: _Begun, settled: dict[int, Settled]) -> dict[int, list[Told]]:
    """T2: outcomes under the lease, what they mean for our records, and what can be told of every command."""
    row_ids = [row_id for row_id, _ in begun.rows if row_id is not None]
    if not row_ids:
        return {}
    if not begun.attempts:
        with desk.database.read() as connection:
            return outbox.of_commands(connection, row_ids)
    serial = [f"{delivery.channel}/{delivery.lane}" for delivery in begun.attempts]
    with desk.database.write(serial=serial) as connection:
        now = desk.clock()
        untried = [delivery.id for delivery in begun.attempts if delivery.id not in settled]
        if untried:
            claims.give_back(connection, untried, token=begun.token, next_try_at=now + outbox.BEHIND)
        outcomes = [
            Outcome(delivery, begun.token, settled[delivery.id])
            for delivery in begun.attempts
            if delivery.id in settled
        ]
        recorded = claims.record(connection, outcomes, now)
        for outcome in recorded:
            delivery = outcome.delivery
            gateway = desk.gateways.get((delivery.channel, delivery.gateway))
            consequences.apply(connection, delivery, outcome.settled, now, gateway)
        told = outbox.of_commands(connection, row_ids)
        # Once it is clear what to tell: what follows from it nobody asked for.  Once for all parts of a refund.
        any(consequences.follow_up(connection, item.delivery, item.settled, now) for item in reversed(recorded))
        outbox.release_unbound(connection, row_ids)
        connection.execute(update(ledger).where(ledger.c.id.in_(row_ids)).values(finished_at=now))
    return told


def events_of(told: Told, *, is_held: bool) -> list[Event]:
    """What RetailOps hears of one call to a vendor, by what has become of it so far.

    `is_held` is true where the vendor decides: then a call without an outcome is no success.  A process
    that was killed in the middle of one leaves it owed, and nobody knows yet whether it was done (R10).
    """
    reason = f" ({told.code})" if told.code else ""
    state = "checking" if is_held and told.state in ("owed", "parked") else told.state
    match state:
        case "delivered":
            return list(told.events)
        case "owed" | "parked" if told.verb in GIVING_BACK:
            message = f"the refund is kept here; {told.gateway} has not accepted it yet{reason}"
            return [Event("warning", "REFUND_OWED", message, told.about)]
        case "refused" if told.verb == "refund_payment":
            message = f"{told.gateway} refused to give the money back{reason}; an operator has to look"
            return [Event("warning", "REFUND_REFUSED", message, told.about)]
        case "owed" if not told.code and not told.about:
            return []
        case "owed" if not told.code:
            message = f"{told.gateway} is told after the earlier calls for this order"
            return [Event("warning", "QUEUED", message, told.about)]
        case "owed":
            message = f"kept here; {told.gateway} has not taken it yet{reason} and is tried again"
            return [Event("warning", "OWED", message, told.about)]
        case "checking":
            message = f"{told.gateway} gave no usable answer{reason}; it is being found out, send again to learn it"
            return [Event("error", "OUTCOME_UNKNOWN", message, told.about)]
        case "parked":
            message = f"kept here; {told.gateway} did not take it{reason}, an operator has to decide"
            return [Event("warning", "PARKED", message, told.about)]
        case "dropped" if told.code == NEVER_KNOWN:
            message = f"nobody found out whether {told.gateway} did it; an operator gave up looking"
            return [Event("error", "OUTCOME_UNKNOWN", message, told.about)]
        case "dropped":
            return [Event("warning", "GIVEN_UP", f"an operator gave up telling {told.gateway}{reason}", told.about)]
    return [Event("error", told.code, told.message, told.about)]
