"""Carries commands out and gives the events of what became of them: T1, the attempts, which hold nothing, T2 (R8, R9).

A callback may hold several commands (each package of a shipment, each acknowledgement).  Those of one order share one
T1 and one T2; those of many orders run in portions, for no transaction may last.  A command binds its natural key only
if a call of it had or may still have an effect.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

from app.channel import command_transactions
from app.channel.actions import command_of
from app.channel.command import Command
from app.channel.command_transactions import Begun, LaneBusy, TwinRunning
from app.channel.entry_by_entry import refused_event
from app.channel.lane_waiting import await_own_throttle
from app.channel.services import CallbackRequest
from app.deliveries import transitions
from app.domain.events import Event, about
from app.errors import HttpError
from app.records.database import DatabaseRefused
from app.records.deliveries import NEVER_KNOWN, Settled
from app.records.outbox import CallReport
from app.records.outcomes import Outcome

PORTION = 25
"""Commands of different orders that share a transaction: T1 takes some seven statements for each, and the database cuts
a transaction off that lasts for seconds."""

GIVING_BACK = ("return_order", "refund_payment")
"""The verbs of money this server itself owes the customer (R10)."""

RESTATING = (
    "correct_shipment", "acknowledge_order", "complete_order", "record_return", "cancel_order", "update_order",
)  # fmt: skip
"""Verbs of which a later call for the same command replaces what an earlier one said."""

CANNOT_CORRECT = "CANNOT_CORRECT"
"""The code by which a vendor says that it took a correction and cannot change what it has."""

CORRECTED = ("SHIPMENT_CORRECTED", "RETURN_CORRECTED", "COMPLETION_CORRECTED", "RETAILOPS_ID_ADDED")
"""Codes of the `info` events that go with a correction on its way to the vendor (R9)."""


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
    reports = command_transactions.recorded(request, begun, settled)
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
    give_up_at = _twin_until_s(request)
    has_waited = False
    while True:
        try:
            return command_transactions.begin(request, commands, may_wait=not has_waited)
        except LaneBusy as busy:
            await_own_throttle(request, busy.gateway, busy.order_refnum, busy.verb)
            has_waited, give_up_at = True, _twin_until_s(request)
        except TwinRunning:
            if time.monotonic() >= give_up_at:
                message = "the same command is being carried out; ask again"
                raise HttpError(503, "COMMAND_RUNNING", message, retry_after_s=5) from None
            time.sleep(0.05)


def _twin_until_s(request: CallbackRequest) -> float:
    return time.monotonic() + min(command_transactions.TWIN_WAIT_S, request.deadline.left_s())


def _attempt(request: CallbackRequest, begun: Begun) -> dict[int, Settled]:
    """Try what may be tried, first in first out per lane; a lane stops at its first call that stays open."""
    settled: dict[int, Settled] = {}
    stopped: set[tuple[str, str]] = set()
    refused: defaultdict[tuple[str, str], set[type[Command]]] = defaultdict(set)
    for at, delivery in enumerate(begun.attempts):
        lane = (delivery.gateway, delivery.lane)
        if lane in stopped:
            if request.services.is_vendors_decision(delivery.channel, delivery.gateway, delivery.verb):
                settled[delivery.id] = transitions.not_tried(delivery, request.services.clock())
            continue
        for command in refused[lane]:
            delivery = begun.attempts[at] = replace(delivery, command=command.behind_refused(delivery.command))
        deadline = request.deadline.held_until(begun.held_until_s)
        settled[delivery.id] = request.services.attempts.make(delivery, deadline, is_inline=True)
        if settled[delivery.id].state not in ("delivered", "refused"):
            stopped.add(lane)
        elif settled[delivery.id].state == "refused" and (kind := command_of(delivery.verb)):
            refused[lane].add(kind)
    return settled


def events_of_command(
    own: Sequence[Event], reports: Sequence[CallReport], is_vendors_decision: Callable[[str, str], bool]
) -> list[Event]:
    """This server's own events of a command, then those of its calls; the function is given a gateway and a verb.

    Without the event that a correction was sent on where the vendor says that it cannot take it.
    """
    of_calls = [
        event
        for report in _newest(reports)
        for event in events_of_call(report, is_held=is_vendors_decision(report.gateway, report.verb))
    ]
    is_refused = any(event.event_type == "error" or event.code == CANNOT_CORRECT for event in of_calls)
    return [*(event for event in own if not (is_refused and event.code in CORRECTED)), *of_calls]


def _newest(reports: Sequence[CallReport]) -> list[CallReport]:
    """The calls whose outcome still counts: of a call that states everything anew, the last of its kind.

    A refund that was refused counts no more once the cancellation behind it is sent again, for that gives back all that
    is left.
    """
    last = {(report.gateway, report.verb): report for report in reports}
    cancellations = [at for at, report in enumerate(reports) if report.verb == "cancel_order"]
    before = cancellations[-2] if len(cancellations) > 1 else 0
    return [
        report
        for at, report in enumerate(reports)
        if (report.verb not in RESTATING or last[report.gateway, report.verb] is report)
        and not (at < before and report.verb == "refund_payment" and report.state == "refused")
    ]


def events_of_call(report: CallReport, *, is_held: bool) -> list[Event]:
    """What RetailOps is sent about one call to a vendor, by what has become of it so far.

    `is_held` is true where the vendor decides: then a call without an outcome is no success.  A process
    that was killed in the middle of one leaves it owed, and whether it was done is unknown yet (R10).
    """
    gateway, about = report.gateway, report.about
    reason = f" ({report.code})" if report.code else ""
    state = "checking" if is_held and report.state in ("owed", "parked") else report.state
    match state:
        case "delivered":
            return list(report.events)
        case "owed" | "parked" if report.verb in GIVING_BACK:
            message = f"the refund is kept here; {gateway} has not accepted it yet{reason}"
            return [Event("warning", "REFUND_OWED", message, about)]
        case "refused" if report.verb == "refund_payment":
            message = f"{gateway} refused to give the money back{reason}; an operator has to look"
            return [Event("warning", "REFUND_REFUSED", message, about)]
        case "owed" if not report.code and not about:
            return []
        case "owed" if not report.code:
            message = f"{gateway} is told after the earlier calls for this order"
            return [Event("warning", "QUEUED", message, about)]
        case "owed":
            message = f"kept here; {gateway} has not taken it yet{reason} and is tried again"
            return [Event("warning", "OWED", message, about)]
        case "checking":
            message = f"{gateway} gave no usable answer{reason}; it is being found out, send again to learn it"
            return [Event("error", "OUTCOME_UNKNOWN", message, about)]
        case "parked":
            message = f"kept here; {gateway} did not take it{reason}, an operator has to decide"
            return [Event("warning", "PARKED", message, about)]
        case "dropped" if report.code == NEVER_KNOWN:
            message = f"nobody found out whether {gateway} did it; an operator gave up looking"
            return [Event("error", "OUTCOME_UNKNOWN", message, about)]
        case "dropped":
            return [Event("warning", "GIVEN_UP", f"an operator gave up telling {gateway}{reason}", about)]
    return [Event("error", report.code, report.message, about)]
