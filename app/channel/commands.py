"""How commands are carried out: T1 claims and commits what is owed, the attempt holds nothing, T2 records (R8, R9).

A callback may hold several commands (each package of a shipment, each acknowledgement).  Those of one order share one
T1 and one T2; those of many orders run in portions, for no transaction may last.  A command binds its natural key only
if a call of it had or may still have an effect.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import cast

from app.channel import command_claims, effects
from app.channel.command import Command
from app.channel.command_claims import Begun, LaneBusy, TwinRunning
from app.channel.command_events import events_of_command
from app.channel.entry_by_entry import refused_event
from app.channel.lane_waiting import await_own_throttle
from app.channel.services import CallbackRequest, Services
from app.deliveries import transitions
from app.deliveries.keeping import Kept
from app.domain.events import Event, about
from app.errors import HttpError
from app.records import claims, ledger, outbox
from app.records.database import DatabaseRefused, DatabaseUnavailable
from app.records.deliveries import OPEN_STATES, Settled
from app.records.outbox import CallReport
from app.records.outcomes import Outcome, record_outcomes
from app.records.transactions import repeated

TWIN_WAIT_S = 3.0
"""How long a repeat waits for the first of its kind to finish before it is sent away with 503 (R9)."""

PORTION = 25
"""Commands of different orders that share a transaction: T1 takes some seven statements for each, and the database cuts
a transaction off that lasts for seconds."""

RECORDING_S = 8.0
"""With less than this left of its budget a request does not record by itself: a database that hangs would hold it until
RetailOps has given up (P7)."""

GRACE_S = 1.0
"""How long after its budget a request still waits for its outcomes to be recorded."""

Reports = dict[int, list[CallReport]]
"""The calls of commands by ledger row."""


@dataclass(frozen=True)
class Ran:
    """What commands came to."""

    events: list[list[Event]]
    """Of each command, in order."""
    unrecorded: tuple[Outcome, ...] = ()
    """Known outcomes that are not in the records yet, for the database is away; they will be.  The records say less
    than is true until then, if they can be read at all."""


def run(request: CallbackRequest, commands: Sequence[Command]) -> list[Event]:
    """Carry the commands out and give their events, in order; see `execute`."""
    return [event for events in execute(request, commands).events for event in events]


def execute(request: CallbackRequest, commands: Sequence[Command]) -> Ran:
    """Carry the commands out.

    A command the database can never keep costs itself only (R6).  What vendors answered is reported and kept even if it
    cannot be recorded now.  Raises `HttpError` 503 when the same command is still running elsewhere,
    `DatabaseUnavailable` when nothing of a portion could be kept; the portions before it are done, and sent again they
    are repeats.
    """
    portions = _portions(commands)
    if len(portions) > 1:
        return _one_after_the_other(request, portions)
    try:
        begun = _begin_or_wait(request, commands)
    except DatabaseRefused:
        if len(commands) > 1:
            return _one_after_the_other(request, [[command] for command in commands])
        return Ran([[refused_event(about("order_refnum", command.order_refnum))] for command in commands])
    request.leave_turn()
    settled = _attempt(request, begun)
    reports = _recorded(request, begun, settled)
    unrecorded = tuple(begun.outcomes(settled)) if reports is None else ()
    reports = begun.reports_after(settled) if reports is None else reports
    request.services.wake_deliveries()
    is_vendors_decision = partial(request.services.is_vendors_decision, request.channel.key)
    found = [events_of_command(own, reports.get(row_id or 0, []), is_vendors_decision) for row_id, own in begun.rows]
    return Ran(found, unrecorded)


def _portions(commands: Sequence[Command]) -> list[list[Command]]:
    """The commands in their order, cut between orders where there are many; at least one portion."""
    portions: list[list[Command]] = [[]]
    for _, of_order in groupby(commands, key=lambda command: command.order_refnum):
        if len(portions[-1]) >= PORTION:
            portions.append([])
        portions[-1].extend(of_order)
    return portions


def _one_after_the_other(request: CallbackRequest, portions: Sequence[Sequence[Command]]) -> Ran:
    ran = [execute(request, portion) for portion in portions]
    unrecorded = tuple(outcome for one in ran for outcome in one.unrecorded)
    return Ran([events for one in ran for events in one.events], unrecorded)


def _begin_or_wait(request: CallbackRequest, commands: Sequence[Command]) -> Begun:
    give_up_at = time.monotonic() + min(TWIN_WAIT_S, request.deadline.left_s())
    has_waited = False
    while True:
        try:
            return command_claims.begin(request, commands, may_wait=not has_waited)
        except LaneBusy as busy:
            await_own_throttle(request, busy.gateway, busy.order_refnum, busy.verb)
            has_waited, give_up_at = True, time.monotonic() + min(TWIN_WAIT_S, request.deadline.left_s())
        except TwinRunning:
            if time.monotonic() >= give_up_at:
                message = "the same command is being carried out; ask again"
                raise HttpError(503, "COMMAND_RUNNING", message, retry_after_s=5) from None
            time.sleep(0.05)


def _attempt(request: CallbackRequest, begun: Begun) -> dict[int, Settled]:
    """Try what may be tried, first in first out per lane; a lane stops at its first call that stays open."""
    settled: dict[int, Settled] = {}
    stopped: set[tuple[str, str]] = set()
    for delivery in begun.attempts:
        lane = (delivery.gateway, delivery.lane)
        if lane in stopped:
            if request.services.is_vendors_decision(delivery.channel, delivery.gateway, delivery.verb):
                settled[delivery.id] = transitions.not_tried(delivery, request.services.clock())
            continue
        deadline = request.deadline.held_until(begun.held_until_s)
        settled[delivery.id] = request.services.attempts.make(delivery, deadline, is_inline=True)
        if settled[delivery.id].state not in ("delivered", "refused"):
            stopped.add(lane)
    return settled


def _recorded(request: CallbackRequest, begun: Begun, settled: dict[int, Settled]) -> Reports | None:
    """T2: record the attempts and give the calls of every command as the records have them then.

    None where the outcomes are kept to be written as soon as that is possible.  Raises `DatabaseUnavailable` where no
    call was attempted, for then nothing is lost, and what a fault of ours raises (500): even then the outcomes are
    kept.
    """
    if not begun.attempts:
        return repeated(lambda: _read(request.services, begun), time.monotonic() + TWIN_WAIT_S)
    if request.deadline.left_s() < RECORDING_S:
        kept = _keep(request.services, begun, settled)
        kept.is_recorded.wait(request.deadline.left_s() + GRACE_S)
        return cast("Reports | None", kept.result)
    try:
        return repeated(lambda: _finish(request.services, begun, settled), time.monotonic() + TWIN_WAIT_S)
    except (DatabaseUnavailable, DatabaseRefused):
        _keep(request.services, begun, settled)
        return None
    except Exception:
        _keep(request.services, begun, settled)
        raise


def _read(services: Services, begun: Begun) -> Reports:
    with services.database.read() as connection:
        return outbox.of_commands(connection, begun.row_ids)


def _keep(services: Services, begun: Begun, settled: dict[int, Settled]) -> Kept:
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

    outcomes = begun.outcomes(settled)
    said = [f"delivery {one.delivery.id} ({one.delivery.verb}) is {one.settled.state}" for one in outcomes]
    ids = [each.id for each in begun.attempts]
    return services.keeper.keep(ids, lambda: _finish(services, begun, settled), record_bare, ", ".join(said))


def _finish(services: Services, begun: Begun, settled: dict[int, Settled], *, is_bare: bool = False) -> Reports:
    """Outcomes, what they mean for our records (unless `is_bare`), and the calls of every command."""
    row_ids = begun.row_ids
    serial = [f"{delivery.channel}/{delivery.lane}" for delivery in begun.attempts]
    with services.database.write(serial=serial) as connection:
        now = services.clock()
        untried = [delivery.id for delivery in begun.attempts if delivery.id not in settled]
        if untried:
            claims.give_back(connection, untried, token=begun.token, next_try_at=now + outbox.BEHIND)
        recorded = record_outcomes(connection, begun.outcomes(settled), now)
        for outcome in recorded.applied if not is_bare else ():
            delivery = outcome.delivery
            gateway = services.gateways.get((delivery.channel, delivery.gateway))
            changes_nothing = delivery.id in begun.changing_nothing
            effects.apply(connection, delivery, outcome.settled, now, gateway, changes_nothing=changes_nothing)
        for outcome in recorded.after_all:
            effects.done_after_all(connection, outcome.delivery, outcome.settled, now)
        if begun.owns_all_calls and len(recorded.applied) == len(begun.attempts):
            reports = begun.reports_after(settled)
        else:
            reports = outbox.of_commands(connection, row_ids)
        # Behind the reports, for RetailOps has not requested it.  Once for all parts of a refund.
        for outcome in reversed(recorded.applied):
            if effects.follow_up(connection, outcome.delivery, outcome.settled, now):
                break
        if any(outcome.settled.state == "refused" for outcome in recorded.applied):
            outbox.release_unbound(connection, row_ids)
        ledger.finish(connection, row_ids, now)
    return reports
