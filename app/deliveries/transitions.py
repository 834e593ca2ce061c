"""What becomes of an owed call after an attempt: pure decisions of R10, R11 and R12.

An inline attempt is one made before RetailOps has its answer; a refusal then stands in that answer
and holds nothing, while the same refusal later has to wait for a person, unless our records undo what was refused.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from app.domain.commands import Restatement
from app.errors import PAUSED, SWITCHED_OFF, BrokenReply, GatewayError, Refused
from app.gateways.calls import Accepted, Verb
from app.records.deliveries import Delivery, Settled, State
from app.transport.retries import next_try_s

MAX_TRIES = 300
"""Tries before a call is parked; with pauses of at most five minutes this is about a day."""

OUR_FAULTS = ("INTERNAL_FAULT", "RECORDS_UNAVAILABLE")
"""Codes of attempts that ended by a fault of ours, or because our database went away."""

NOT_BOOKED = "NOT_BOOKED"
"""Code of a call whose outcome is known, although a fault of ours keeps its consequences from being written."""

UNTRIED_CODES = frozenset(
    {"BREAKER_OPEN", "RATE_LIMITED", "VENDOR_BUSY", "OUT_OF_TIME", "LEASE_ENDED", SWITCHED_OFF, PAUSED}
)
"""Errors raised before anything was sent; they cost no try."""


def must_look_up(delivery: Delivery, verb: Verb) -> bool:
    """True when the call has to be looked up at the vendor before anything may be sent again."""
    return verb.repeat == "lookup" and (is_held_decision(delivery, verb) or delivery.is_possibly_done)


def is_held_decision(delivery: Delivery, verb: Verb) -> bool:
    """True when the vendor decides and may have: RetailOps was answered "unknown", so it is found out (R10)."""
    return delivery.state == "checking" or (delivery.is_possibly_done and verb.decided_by == "vendor")


def must_park(delivery: Delivery, verb: Verb) -> bool:
    """True when it may have been done and this vendor gives no way to know."""
    return verb.repeat == "never" and (is_held_decision(delivery, verb) or delivery.is_possibly_done)


def may_send_again(delivery: Delivery, verb: Verb, settle_s: float, now: datetime) -> bool:
    """After an empty look-up: whether the vendor has had its time to show what it did (R11)."""
    waited = delivery.last_attempt_at is None or now - delivery.last_attempt_at >= timedelta(seconds=settle_s)
    return waited and not is_held_decision(delivery, verb)


def after_empty_look_up(delivery: Delivery, verb: Verb, settle_s: float, now: datetime) -> Settled:
    """No trace at the vendor, and nothing may be sent: wait, or for a held decision say it was not done."""
    settled_at = (delivery.last_attempt_at or now) + timedelta(seconds=settle_s)
    held = is_held_decision(delivery, verb)
    if held and now >= settled_at:
        return _settled(delivery, "refused", now, code="NOT_DONE", error="the vendor shows no trace of it")
    state: State = "checking" if held else delivery.state
    next_try_at = max(settled_at, now + timedelta(seconds=1))
    return _settled(delivery, state, next_try_at, code="NOT_VISIBLE_YET", error="the vendor shows no trace of it yet")


def parked_as_unknown(delivery: Delivery, now: datetime) -> Settled:
    """It may have been done and must not be repeated: a person has to look."""
    message = "it may have been done, and this vendor gives no way to know"
    return _settled(delivery, "parked", now, code="OUTCOME_UNKNOWN", error=message)


def after_acceptance(delivery: Delivery, accepted: Accepted, now: datetime) -> Settled:
    """The vendor has it."""
    return Settled(
        "delivered", delivery.attempts + 1, False, now, now,
        events=accepted.events, refnum=accepted.refnum, note=accepted.note,
    )  # fmt: skip


def late_until(delivery: Delivery, settle_s: float) -> datetime | None:
    """Until when an earlier attempt may still arrive; one whose process died was given up when its lease ended."""
    if delivery.late_until is None and delivery.is_possibly_done and delivery.last_attempt_at is not None:
        return delivery.last_attempt_at + timedelta(seconds=settle_s)
    return delivery.late_until


def late_after(delivery: Delivery, error: GatewayError, settle_s: float, now: datetime) -> datetime | None:
    """The same after a further attempt that failed at `now`, when its connection was closed."""
    before = late_until(delivery, settle_s)
    if not error.outcome_unknown:
        return before
    # What was answered, however badly, has arrived.
    is_answered = error.code.startswith("HTTP_") or (isinstance(error, BrokenReply) and error.code not in OUR_FAULTS)
    own = now if is_answered else now + timedelta(seconds=settle_s)
    return own if before is None else max(before, own)


def not_booked(delivery: Delivery, settled: Settled, now: datetime) -> Settled:
    """The outcome is known and what follows from it cannot be written, by a fault of ours: a person decides."""
    said = "has done it" if settled.state == "delivered" else "has not done it"
    message = f"{delivery.gateway} {said}, and this server could not book what follows; see its log, then decide"
    return Settled(
        "parked", settled.attempts, settled.state == "delivered", now, now, NOT_BOOKED, message,
        begun_at=settled.begun_at, ms=settled.ms,
    )  # fmt: skip


def not_tried(delivery: Delivery, now: datetime) -> Settled:
    """What the vendor decides is not owed behind a call that stayed open: it was not done (R10)."""
    message = "it was not tried, because an earlier part has no outcome yet"
    return _settled(delivery, "refused", now, code="NOT_TRIED", error=message)


def after_error(
    delivery: Delivery, verb: Verb, error: GatewayError, *, now: datetime, is_inline: bool, roll: float
) -> Settled:
    """The attempt failed: owed again, held for a look-up, parked for a person, or finally refused."""
    was_tried = error.code not in UNTRIED_CODES
    attempts = delivery.attempts + (1 if was_tried else 0)
    code, message = error.code, error.message
    tried_at = now if was_tried else delivery.last_attempt_at
    pause = timedelta(seconds=next_try_s(max(attempts, 1), error.retry_after_s, roll))
    possibly_done = delivery.is_possibly_done or error.outcome_unknown

    def settled(state: State) -> Settled:
        return Settled(state, attempts, possibly_done, now + pause, tried_at, code, message)

    if isinstance(error, Refused):
        return settled("refused" if is_inline or _is_taken_back(delivery) else "parked")
    if verb.decided_by == "vendor":
        return settled("checking" if possibly_done else "refused")
    if possibly_done and verb.repeat == "never":
        return settled("parked")
    if attempts >= MAX_TRIES:
        return settled("parked")
    return settled("owed")


def _is_taken_back(delivery: Delivery) -> bool:
    """True for a change that our own records undo once it is refused: nothing is left for a person to decide."""
    with suppress(Refused):
        body = delivery.command
        return isinstance(body, Restatement) and bool(body.undo)
    return False


def after_look_up_error(delivery: Delivery, error: GatewayError, *, now: datetime, roll: float) -> Settled:
    """The look-up itself failed: nothing is known that was not known before, but it counts as a try."""
    attempts = delivery.attempts + (1 if error.code not in UNTRIED_CODES else 0)
    pause = timedelta(seconds=next_try_s(max(attempts, 1), error.retry_after_s, roll))
    state: State = "parked" if attempts >= MAX_TRIES else delivery.state
    settled = _settled(delivery, state, now + pause, code=error.code, error=error.message)
    return replace(settled, attempts=attempts)


def _settled(delivery: Delivery, state: State, next_try_at: datetime, *, code: str = "", error: str = "") -> Settled:
    return Settled(
        state,
        delivery.attempts,
        delivery.is_possibly_done,
        next_try_at,
        delivery.last_attempt_at,
        code,
        error,
    )
