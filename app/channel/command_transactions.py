"""The two transactions of commands: T1 claims their keys, has them planned and writes the calls they owe, T2 records
what came of those (R8, R9).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast

from sqlalchemy import Connection

from app.channel import effects
from app.channel.command import Command, Plan
from app.channel.services import BUDGET_S, PATIENCE_MARGIN_S, CallbackRequest, Services
from app.clock import boot_s
from app.deliveries import transitions
from app.deliveries.keeping import Kept
from app.domain.events import Event
from app.domain.texts import mended
from app.records import claims, ledger, outbox
from app.records.database import DatabaseRefused, DatabaseUnavailable
from app.records.deliveries import OPEN_STATES, Delivery, Settled
from app.records.ledger import Bound, Claim
from app.records.outbox import CallReport, Owed
from app.records.outcomes import Outcome, record_outcomes
from app.records.search_keys import Number
from app.records.transactions import repeated

LAST_WAIT_S = 1.0
"""How long T1 waits for the writer even when the budget is spent: what was found out so far should be kept."""

TWIN_WAIT_S = 3.0
"""How long a repeat waits for the first of its kind to finish before it is sent away with 503 (R9)."""

RECORDING_S = 8.0
"""With less than this left of its budget a request does not record by itself: a database that hangs would hold it until
RetailOps has given up (P7)."""

GRACE_S = 1.0
"""How long after its budget a request still waits for its outcomes to be recorded."""

Placed = tuple[Delivery, Owed, bool]
"""A call that was written, what it was written from, and whether this request may try it at once."""

Reports = dict[int, list[CallReport]]
"""The calls of commands by ledger row."""


class TwinRunning(Exception):
    """The same command is being carried out by another request."""


@dataclass
class LaneBusy(Exception):
    """Earlier calls of the order stand before a command that the vendor decides and that may wait for them."""

    gateway: str
    order_refnum: str
    verb: str


@dataclass
class Begun:
    """What T1 left behind: per command its ledger row and own events, and the deliveries to attempt now."""

    token: str
    """Of the lease of those attempts."""
    held_until_s: float
    """When that lease ends (`clock.boot_s`), or somewhat earlier."""
    rows: list[tuple[int | None, list[Event]]] = field(default_factory=list)
    attempts: list[Delivery] = field(default_factory=list)
    changing_nothing: set[int] = field(default_factory=set)
    """Those of the attempts whose acceptance changes nothing in the records (`Owed.changes_nothing`)."""
    reports: dict[int, list[CallReport]] = field(default_factory=dict)
    """The calls of each ledger row by what T1 saw."""
    _places: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Where in `reports` each attempted delivery stands: ledger row and place."""

    @property
    def row_ids(self) -> list[int]:
        """The ledger rows of the commands that have one."""
        return [row_id for row_id, _ in self.rows if row_id is not None]

    def add_calls(self, row_id: int, before: list[CallReport], placed: Sequence[Placed]) -> None:
        """The calls that were written for a command, behind those it owed before; leased ones are attempted now."""
        reports = self.reports[row_id] = before
        for delivery, item, is_leased in placed:
            if is_leased:
                self.attempts.append(delivery)
                self._places[delivery.id] = row_id, len(reports)
                if item.changes_nothing:
                    self.changing_nothing.add(delivery.id)
            reports.append(CallReport(delivery.verb, delivery.gateway, "owed", "", "", item.about, ()))

    def outcomes(self, settled: dict[int, Settled]) -> list[Outcome]:
        """What came of the attempts that were made."""
        return [Outcome(each, self.token, settled[each.id]) for each in self.attempts if each.id in settled]

    def reports_after(self, settled: dict[int, Settled]) -> dict[int, list[CallReport]]:
        """The calls of each ledger row after these attempts, as T2 would read them from the records."""
        reports = {row_id: list(of_row) for row_id, of_row in self.reports.items()}
        for delivery_id, (row_id, place) in self._places.items():
            if (item := settled.get(delivery_id)) is not None:
                reports[row_id][place] = replace(
                    reports[row_id][place],
                    state=item.state,
                    code=item.code,
                    message=mended(item.error),
                    events=item.events,
                )
        return reports

    @property
    def owns_all_calls(self) -> bool:
        """Whether all calls of these commands are this request's own attempts, so that it need not read them again."""
        count = sum(map(len, self.reports.values()))
        return set(self.row_ids) == set(self.reports) and len(self._places) == count


def begin(request: CallbackRequest, commands: Sequence[Command], *, may_wait: bool) -> Begun:
    """Claim the commands and write what they owe.

    Raises `TwinRunning`, `LaneBusy` where a command may wait, and what the database raises; then nothing is written.
    """
    begun = Begun(outbox.new_lease(), boot_s() + BUDGET_S + PATIENCE_MARGIN_S)
    serial = [f"{request.channel.key}/{command.order_refnum}" for command in commands]
    wait_s = max(request.deadline.left_s(), LAST_WAIT_S)
    with request.services.database.write(wait_s=wait_s, serial=serial) as connection:
        for command in commands:
            _begin_one(connection, request, command, begun, may_wait=may_wait)
    return begun


def _begin_one(
    connection: Connection, request: CallbackRequest, command: Command, begun: Begun, *, may_wait: bool
) -> None:
    now = request.services.clock()
    lease_until = now + timedelta(seconds=BUDGET_S + PATIENCE_MARGIN_S)
    name = command.callback, command.natural_key, command.order_refnum
    claim = Claim(request.channel.key, *name, command.digest, request.request_id, now, lease_until)
    numbers = [Number(command.order_refnum, kind, number) for kind, number in command.numbers]
    claimed_id = ledger.claim(connection, claim, numbers)
    bound = ledger.bound(connection, claim) if claimed_id is None else None
    if bound is not None and bound.is_running(now):
        raise TwinRunning
    row_id = claimed_id if bound is None else bound.id
    assert row_id is not None
    plan, base, is_declined = _planned(connection, command, bound)
    before = outbox.of_commands(connection, [row_id])[row_id] if bound is not None and plan.owed else []
    placed, busy = _owe(connection, request.services, claim, plan, row_id, begun.token)
    if busy and command.awaits_throttle and may_wait:
        raise LaneBusy(busy[0].gateway, command.order_refnum, busy[0].verb)
    own = [*base, *plan.events, *map(busy_event, busy)]
    if placed:
        is_inline = any(is_leased for _, _, is_leased in placed)
        if bound is not None or own or not is_inline:
            ledger.bind(connection, row_id, claim, own, is_finished=not is_inline)
        begun.add_calls(row_id, before, placed)
    elif bound is None:
        ledger.forget(connection, row_id)
    # What vendors said of the earlier request is no answer to one that changed nothing of it.
    is_kept = bool(placed) or (bound is not None and not is_declined)
    begun.rows.append((row_id if is_kept else None, own))


def _planned(connection: Connection, command: Command, bound: Bound | None) -> tuple[Plan, list[Event], bool]:
    """What the command comes to now, the earlier request's own events where they still answer it, and whether it is a
    correction that changes nothing."""
    if bound is None:
        return command.plan(connection), [], False
    if command.is_repeat_of(bound.digest):
        if not _is_refused(connection, command, bound):
            return Plan(), bound.events, False
        plan = command.send_again(connection)
        return plan, [], not plan.owed
    plan = command.correct(connection)
    # A correction that says something itself is the news, whether it goes on or is refused.
    has_news = bool(plan.owed or plan.events)
    is_declined = has_news or (plan.answers_alone and _is_refused(connection, command, bound))
    return plan, [] if has_news or plan.answers_alone else bound.events, is_declined and not plan.owed


def _is_refused(connection: Connection, command: Command, bound: Bound) -> bool:
    """Whether the vendor refused for good, when it was sent last, what a repeat sends again, or a part of it."""
    if not command.sent_again:
        return False
    calls = outbox.of_commands(connection, [bound.id])[bound.id]
    last = next((call for call in reversed(calls) if call.verb == command.sent_again), None)
    if last is None:
        return False
    return last.state == "refused" or any(event.code in command.refused_in_part for event in last.events)


def _owe(
    connection: Connection, services: Services, claim: Claim, plan: Plan, row_id: int, token: str
) -> tuple[list[Placed], list[Owed]]:
    """Write the calls that are owed; each may be tried inline if its lane was free before (R12).

    What the vendor decides cannot be owed: behind a waiting lane it is not begun at all (R10), and given back.
    """
    placed: list[Placed] = []
    busy: list[Owed] = []
    now = services.clock()  # behind what the plan has written, in the timeline of the order too
    for item in plan.owed:
        written = outbox.owe(
            connection,
            item,
            channel=claim.channel,
            lane=claim.order_refnum,
            command_id=row_id,
            request_id=claim.request_id,
            now=now,
            lease=(token, now + timedelta(seconds=BUDGET_S + PATIENCE_MARGIN_S)),
            is_kept_behind=not services.is_vendors_decision(claim.channel, item.gateway, item.verb),
        )
        if written is None:
            busy.append(item)
        else:
            placed.append((written.delivery, item, written.is_leased))
    return placed, busy


def busy_event(owed: Owed) -> Event:
    """A call that the vendor decides was not begun, for earlier calls of its order have no outcome yet."""
    message = f"earlier calls for this order are still owed to {owed.gateway}; nothing was done, send again"
    return Event("error", "EARLIER_CALLS_OWED", message, owed.about)


def recorded(request: CallbackRequest, begun: Begun, settled: dict[int, Settled]) -> Reports | None:
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
