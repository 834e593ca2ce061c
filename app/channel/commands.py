"""How a command runs: T1 claims and commits what is owed, the attempt holds nothing, T2 records (R8, R9).

A callback may hold several commands (each package of a shipment, each acknowledgement).  Those of one order share one
T1 and one T2; those of many orders run in portions, for no transaction may last.  A command binds its natural key only
if a call of it had or may still have an effect.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from typing import cast

import msgspec
from sqlalchemy import Connection, Row, delete, select, update

from app.channel import effects
from app.channel.entry_by_entry import refused_event
from app.channel.lane_waiting import await_own_throttle
from app.channel.services import BUDGET_S, PATIENCE_MARGIN_S, CallbackRequest, Services
from app.clock import boot_s
from app.deliveries import transitions
from app.deliveries.keeping import Kept
from app.domain.events import Association, Event, about
from app.domain.texts import mended
from app.errors import HttpError
from app.gateways.calls import Verb
from app.records import claims, leases, outbox
from app.records.database import DatabaseRefused, DatabaseUnavailable, repeated
from app.records.deliveries import NEVER_KNOWN, OPEN_STATES, Delivery, Settled
from app.records.former_keys import KEY_FORM
from app.records.outbox import CallReport, Owed
from app.records.outcomes import Outcome, Recorded, record_outcomes
from app.records.statements import upsert
from app.records.tables.deliveries import commands as ledger

TWIN_WAIT_S = 3.0
"""How long a repeat waits for the first of its kind to finish before it is sent away with 503 (R9)."""

LAST_WAIT_S = 1.0
"""How long T1 waits for the writer even when the budget is spent: what was found out so far should be kept."""

RECORDING_S = 8.0
"""With less than this left of its budget a request does not record by itself: a database that hangs would hold it until
RetailOps has given up (P7)."""

GRACE_S = 1.0
"""How long after its budget a request still waits for its outcomes to be recorded."""

PORTION = 25
"""Commands of different orders that share a transaction: T1 takes some seven statements for each, and the database cuts
a transaction off that lasts for seconds."""

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
    former_meaning: object = None
    """What an earlier version took for the meaning, for what it has bound; None where that is the same."""
    awaits_throttle: bool = False
    """Whether it waits for earlier calls of its order that only our own rate delays, where the vendor decides (R14)."""

    @property
    def digest(self) -> str:
        """The same for the same meaning, whatever spelling the request used."""
        return _digest(self.meaning)

    def is_repeat_of(self, digest: str) -> bool:
        """Whether what is bound with this digest is the same request."""
        return digest == self.digest or (self.former_meaning is not None and digest == _digest(self.former_meaning))


@dataclass
class _Begun:
    """What T1 left behind: per command its ledger row and own events, and the deliveries to attempt now."""

    rows: list[tuple[int | None, list[Event]]] = field(default_factory=list)
    attempts: list[Delivery] = field(default_factory=list)
    token: str = ""
    held_until_s: float = 0.0
    """When the lease of those attempts ends (`clock.boot_s`), or somewhat earlier."""
    told: dict[int, list[CallReport]] = field(default_factory=dict)
    """What can be told of the calls of each ledger row by what T1 saw."""
    told_at: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Where in `told` each attempted delivery stands: ledger row and place."""

    @property
    def row_ids(self) -> list[int]:
        """The ledger rows of the commands that have one."""
        return [row_id for row_id, _ in self.rows if row_id is not None]


@dataclass(frozen=True)
class Ran:
    """What commands came to."""

    events: list[list[Event]]
    """Of each command, in order."""
    unrecorded: tuple[Outcome, ...] = ()
    """Known outcomes that are not in the records yet, for the database is away; they will be.  The records say less
    than is true until then, if they can be read at all."""


def _digest(meaning: object) -> str:
    return hashlib.sha256(msgspec.json.encode(meaning)).hexdigest()


class _TwinRunning(Exception):
    """The same command is being carried out by another request."""


@dataclass
class _LaneBusy(Exception):
    """Earlier calls of the order stand before a command that the vendor decides and that may wait for them."""

    gateway: str
    order_refnum: str
    verb: str


def run(services: Services, request: CallbackRequest, wanted: Sequence[Command]) -> list[list[Event]]:
    """Carry the commands out and give each one's events, in order; see `execute`."""
    return execute(services, request, wanted).events


def execute(services: Services, request: CallbackRequest, wanted: Sequence[Command]) -> Ran:
    """Carry the commands out.

    A command the database can never keep costs itself only (R6).  What vendors answered is told and kept even if it
    cannot be recorded now.  Raises `HttpError` 503 when the same command is still running elsewhere,
    `DatabaseUnavailable` when nothing of a portion could be kept; the portions before it are done, and sent again they
    are repeats.
    """
    portions = _portions(wanted)
    if len(portions) > 1:
        return _one_after_the_other(services, request, portions)
    try:
        begun = _begin_or_wait(services, request, wanted)
    except DatabaseRefused:
        if len(wanted) > 1:
            return _one_after_the_other(services, request, [[command] for command in wanted])
        return Ran([[refused_event(about("order_refnum", command.order_refnum))] for command in wanted])
    request.leave_turn()
    settled = _attempt(services, request, begun)
    told = _recorded(services, request, begun, settled)
    unrecorded = tuple(_outcomes(begun, settled)) if told is None else ()
    told = _told_from_memory(begun, settled) if told is None else told
    services.wake_deliveries()
    channel = request.channel.key
    found = []
    for row_id, own in begun.rows:
        vendors = [
            event
            for item in _newest(told.get(row_id or 0, []))
            for event in events_of(item, is_held=_is_vendors_decision(services, channel, item.gateway, item.verb))
        ]
        found.append([*_not_contradicted(own, vendors), *vendors])
    return Ran(found, unrecorded)


def _portions(wanted: Sequence[Command]) -> list[list[Command]]:
    """The commands in their order, cut between orders where there are many; at least one portion."""
    portions: list[list[Command]] = [[]]
    for _, of_order in groupby(wanted, key=lambda command: command.order_refnum):
        if len(portions[-1]) >= PORTION:
            portions.append([])
        portions[-1].extend(of_order)
    return portions


def _one_after_the_other(services: Services, request: CallbackRequest, portions: Sequence[Sequence[Command]]) -> Ran:
    ran = [execute(services, request, portion) for portion in portions]
    unrecorded = tuple(outcome for one in ran for outcome in one.unrecorded)
    return Ran([events for one in ran for events in one.events], unrecorded)


def _newest(told: Sequence[CallReport]) -> list[CallReport]:
    """The calls whose outcome still says something: of a call that states everything anew, the last of its kind."""
    last = {(item.gateway, item.verb): item for item in told}
    return [item for item in told if item.verb not in RESTATING or last[item.gateway, item.verb] is item]


def _not_contradicted(own: Sequence[Event], vendors: Sequence[Event]) -> list[Event]:
    """Our own events, without the word that a correction went on where the vendor says that it cannot take it."""
    is_refused = any(event.event_type == "error" or event.code == CANNOT_CORRECT for event in vendors)
    return [event for event in own if not (is_refused and event.code in CORRECTED)]


def _begin_or_wait(services: Services, request: CallbackRequest, wanted: Sequence[Command]) -> _Begun:
    give_up_at = time.monotonic() + min(TWIN_WAIT_S, request.deadline.left_s())
    has_waited = False
    while True:
        try:
            return _begin(services, request, wanted, has_waited=has_waited)
        except _LaneBusy as busy:
            await_own_throttle(services, request, busy.gateway, busy.order_refnum, busy.verb)
            has_waited, give_up_at = True, time.monotonic() + min(TWIN_WAIT_S, request.deadline.left_s())
        except _TwinRunning:
            if time.monotonic() >= give_up_at:
                message = "the same command is being carried out; ask again"
                raise HttpError(503, "COMMAND_RUNNING", message, retry_after_s=5) from None
            time.sleep(0.05)


def _begin(services: Services, request: CallbackRequest, wanted: Sequence[Command], *, has_waited: bool) -> _Begun:
    """T1."""
    begun = _Begun(token=outbox.new_lease(), held_until_s=boot_s() + BUDGET_S + PATIENCE_MARGIN_S)
    channel = request.channel.key
    serial = [f"{channel}/{command.order_refnum}" for command in wanted]
    with services.database.write(wait_s=max(request.deadline.left_s(), LAST_WAIT_S), serial=serial) as connection:
        for command in wanted:
            claimed_id = _claim(connection, services, request, command)
            row = _bound(connection, channel, command) if claimed_id is None else None
            is_declined = False
            if row is not None and row.finished_at is None and leases.is_held(row.lease_until, services.clock()):
                raise _TwinRunning
            if row is None:
                plan, base = command.plan(connection), []
            elif command.is_repeat_of(row.digest):
                plan, base = Plan(), msgspec.json.decode(row.events, type=_EVENTS)
            else:
                plan = command.correct(connection)
                # A correction that says something itself is the news, whether it goes on or is refused.
                has_news = bool(plan.owed or plan.events)
                base = [] if has_news or plan.answers_alone else msgspec.json.decode(row.events, type=_EVENTS)
                is_declined = has_news and not plan.owed
            row_id = claimed_id if row is None else int(row.id)
            assert row_id is not None
            told = outbox.of_commands(connection, [row_id])[row_id] if row is not None and plan.owed else []
            placed, busy = _owe(connection, services, request, command, plan, row_id, begun.token)
            if busy and command.awaits_throttle and not has_waited:
                raise _LaneBusy(busy[0].gateway, command.order_refnum, busy[0].verb)
            own = [*base, *plan.events, *map(_busy_event, busy)]
            if placed:
                is_inline = any(item.is_leased for item in placed)
                if row is not None or own or not is_inline:
                    _bind(connection, services, request, command, row_id, own, is_finished=not is_inline)
                begun.told[row_id] = told
            elif row is None:
                connection.execute(delete(ledger).where(ledger.c.id == row_id))
            # What vendors said of the earlier request is no answer to one that changed nothing of it.
            is_kept = bool(placed) or (row is not None and not is_declined)
            begun.rows.append((row_id if is_kept else None, own))
            for item in placed:
                if item.is_leased:
                    begun.attempts.append(item.delivery)
                    begun.told_at[item.delivery.id] = row_id, len(told)
                told.append(CallReport(item.delivery.verb, item.delivery.gateway, "owed", "", "", item.about, ()))
    return begun


def _claim(connection: Connection, services: Services, request: CallbackRequest, command: Command) -> int | None:
    """Bind the command's key before it is looked at further: its row, or None where the key is bound already."""
    now = services.clock()
    row = {
        "channel": request.channel.key,
        "callback": command.callback,
        "natural_key": command.natural_key,
        "order_refnum": command.order_refnum,
        "key_form": KEY_FORM,
        "digest": command.digest,
        "events": msgspec.json.encode(()),
        "request_id": request.request_id,
        "begun_at": now,
        "lease_until": now + timedelta(seconds=BUDGET_S + PATIENCE_MARGIN_S),
    }
    claimed = upsert(connection, ledger, row, key=("channel", "callback", "natural_key"), returning=[ledger.c.id])
    found: int | None = claimed.scalar()
    return found


def _bound(connection: Connection, channel: str, command: Command) -> Row[tuple[object, ...]] | None:
    return connection.execute(
        select(ledger).where(
            ledger.c.channel == channel,
            ledger.c.callback == command.callback,
            ledger.c.natural_key == command.natural_key,
        )
    ).first()


@dataclass(frozen=True)
class _Placed:
    """A call that was written for a command."""

    delivery: Delivery
    is_leased: bool
    about: tuple[Association, ...]


def _owe(
    connection: Connection,
    services: Services,
    request: CallbackRequest,
    command: Command,
    plan: Plan,
    row_id: int,
    token: str,
) -> tuple[list[_Placed], list[Owed]]:
    """Write the calls that are owed; each may be tried inline if its lane was free before (R12).

    What the vendor decides cannot be owed: behind a waiting lane it is not begun at all (R10), and given back.
    """
    placed: list[_Placed] = []
    busy: list[Owed] = []
    now = services.clock()
    for item in plan.owed:
        written = outbox.owe(
            connection,
            item,
            channel=request.channel.key,
            lane=command.order_refnum,
            command_id=row_id,
            request_id=request.request_id,
            now=now,
            lease=(token, now + timedelta(seconds=BUDGET_S + PATIENCE_MARGIN_S)),
            is_kept_behind=not _is_vendors_decision(services, request.channel.key, item.gateway, item.verb),
        )
        if written is None:
            busy.append(item)
        else:
            placed.append(_Placed(written.delivery, written.is_leased, item.about))
    return placed, busy


def _busy_event(item: Owed) -> Event:
    message = f"earlier calls for this order are still owed to {item.gateway}; nothing was done, send again"
    return Event("error", "EARLIER_CALLS_OWED", message, item.about)


def _bind(
    connection: Connection,
    services: Services,
    request: CallbackRequest,
    command: Command,
    row_id: int,
    own: Sequence[Event],
    *,
    is_finished: bool,
) -> None:
    """What is said of the command now, and whether its request is over."""
    now = services.clock()
    connection.execute(
        update(ledger)
        .where(ledger.c.id == row_id)
        .values(
            digest=command.digest,
            events=msgspec.json.encode(own),
            request_id=request.request_id,
            lease_until=now + timedelta(seconds=BUDGET_S + PATIENCE_MARGIN_S),
            finished_at=now if is_finished else None,
        )
    )


def _attempt(services: Services, request: CallbackRequest, begun: _Begun) -> dict[int, Settled]:
    """Try what may be tried, first in first out per lane; a lane stops at its first call that stays open."""
    settled: dict[int, Settled] = {}
    stopped: set[tuple[str, str]] = set()
    for delivery in begun.attempts:
        lane = (delivery.gateway, delivery.lane)
        if lane in stopped:
            if _is_vendors_decision(services, delivery.channel, delivery.gateway, delivery.verb):
                settled[delivery.id] = transitions.not_tried(delivery, services.clock())
            continue
        settled[delivery.id] = services.courier.attempt(
            delivery, request.deadline.held_until(begun.held_until_s), is_inline=True
        )
        if settled[delivery.id].state not in ("delivered", "refused"):
            stopped.add(lane)
    return settled


def _is_vendors_decision(services: Services, channel: str, gateway: str, verb: str) -> bool:
    known = services.gateways.get((channel, gateway))
    declared = known.commands.verbs.get(verb) if known else None
    return isinstance(declared, Verb) and declared.decided_by == "vendor"


def _recorded(
    services: Services, request: CallbackRequest, begun: _Begun, settled: dict[int, Settled]
) -> dict[int, list[CallReport]] | None:
    """T2, and what can be told of every command; None where it is kept to be written as soon as that is possible.

    Raises `DatabaseUnavailable` where no call was attempted, for then nothing is lost; and what a fault of ours raises
    (500): even then the outcomes are kept.
    """
    if not begun.attempts:
        return repeated(lambda: _told(services, begun), time.monotonic() + TWIN_WAIT_S)
    if request.deadline.left_s() < RECORDING_S:
        kept = _keep(services, begun, settled)
        kept.is_recorded.wait(request.deadline.left_s() + GRACE_S)
        return cast("dict[int, list[CallReport]] | None", kept.result)
    try:
        return repeated(lambda: _finish(services, begun, settled), time.monotonic() + TWIN_WAIT_S)
    except (DatabaseUnavailable, DatabaseRefused):
        _keep(services, begun, settled)
        return None
    except Exception:
        _keep(services, begun, settled)
        raise


def _told(services: Services, begun: _Begun) -> dict[int, list[CallReport]]:
    with services.database.read() as connection:
        return outbox.of_commands(connection, begun.row_ids)


def _keep(services: Services, begun: _Begun, settled: dict[int, Settled]) -> Kept:
    """Have this process write T2 as soon as the database takes it."""

    def record_bare() -> None:
        now = services.clock()
        bare = {
            each.id: settled[each.id]
            if settled[each.id].state in OPEN_STATES
            else transitions.not_booked(each, settled[each.id], now)
            for each in begun.attempts
            if each.id in settled
        }
        _finish(services, begun, bare, is_bare=True)

    outcomes = _outcomes(begun, settled)
    said = [f"delivery {one.delivery.id} ({one.delivery.verb}) is {one.settled.state}" for one in outcomes]
    ids = [each.id for each in begun.attempts]
    return services.keeper.keep(ids, lambda: _finish(services, begun, settled), record_bare, ", ".join(said))


def _outcomes(begun: _Begun, settled: dict[int, Settled]) -> list[Outcome]:
    return [Outcome(each, begun.token, settled[each.id]) for each in begun.attempts if each.id in settled]


def _told_from_memory(begun: _Begun, settled: dict[int, Settled]) -> dict[int, list[CallReport]]:
    """The same as T2 would give, from what T1 saw and what vendors answered."""
    told = {row_id: list(items) for row_id, items in begun.told.items()}
    for delivery_id, (row_id, place) in begun.told_at.items():
        if (item := settled.get(delivery_id)) is not None:
            told[row_id][place] = replace(
                told[row_id][place], state=item.state, code=item.code, message=mended(item.error), events=item.events
            )
    return told


def _finish(
    services: Services, begun: _Begun, settled: dict[int, Settled], *, is_bare: bool = False
) -> dict[int, list[CallReport]]:
    """T2: outcomes, what they mean for our records (unless `is_bare`), and what can be told of every command."""
    row_ids = begun.row_ids
    serial = [f"{delivery.channel}/{delivery.lane}" for delivery in begun.attempts]
    with services.database.write(serial=serial) as connection:
        now = services.clock()
        untried = [delivery.id for delivery in begun.attempts if delivery.id not in settled]
        if untried:
            claims.give_back(connection, untried, token=begun.token, next_try_at=now + outbox.BEHIND)
        recorded = record_outcomes(connection, _outcomes(begun, settled), now)
        for outcome in recorded.applied if not is_bare else ():
            delivery = outcome.delivery
            gateway = services.gateways.get((delivery.channel, delivery.gateway))
            effects.apply(connection, delivery, outcome.settled, now, gateway)
        for outcome in recorded.after_all:
            effects.done_after_all(connection, outcome.delivery, outcome.settled, now)
        is_all_known = _is_all_known(begun, recorded)
        told = _told_from_memory(begun, settled) if is_all_known else outbox.of_commands(connection, row_ids)
        # Once it is clear what to tell: what follows from it nobody asked for.  Once for all parts of a refund.
        any(effects.follow_up(connection, item.delivery, item.settled, now) for item in reversed(recorded.applied))
        if any(outcome.settled.state == "refused" for outcome in recorded.applied):
            outbox.release_unbound(connection, row_ids)
        connection.execute(update(ledger).where(ledger.c.id.in_(row_ids)).values(finished_at=now))
    return told


def _is_all_known(begun: _Begun, recorded: Recorded) -> bool:
    """Whether the records say of these commands just what this request has seen: all their calls are its own."""
    count = sum(map(len, begun.told.values()))
    return set(begun.row_ids) == set(begun.told) and len(recorded.applied) == len(begun.told_at) == count


def events_of(told: CallReport, *, is_held: bool) -> list[Event]:
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
