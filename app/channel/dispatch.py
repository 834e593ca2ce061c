"""Takes a callback from its parsed body to its answer: key, shape, channel, action, and the check of the answer.

Knows no HTTP; whatever is not a 200 leaves as `HttpError`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from app.channel.actions import action, answer_shape, entry_action
from app.channel.dry_run import answer_unreal
from app.channel.entry_by_entry import carry_out_apart, refused_event
from app.channel.late_events import LateEvents
from app.channel.request_faults import (
    ENTRY_NAMES,
    answer_problems,
    body_problems,
    fault_events,
    more_problems_event,
    problem_event,
)
from app.channel.routing import Routing, Standing
from app.channel.services import CallbackRequest, CallbackResult, Services
from app.channel_settings import Channel
from app.contract.outgoing import BadAnswer, Judged, mend
from app.contract.reading import Envelope, entries, shown
from app.contract.schemas import Callback, Reading
from app.deadline import Deadline
from app.domain.body_problems import NO_PROBLEMS, BodyProblems
from app.domain.events import Event, about
from app.errors import HttpError
from app.records.database import DatabaseRefused
from app.records.transactions import repeated

CHANNEL_SET_ASIDE = "CHANNEL_SET_ASIDE"
"""Code of every 503 for a channel that a fault of its own stops (R35)."""

SET_ASIDE_RETRY_S = 300
"""Only a new configuration and a restart help."""

MOST_ENTRIES = 200_000
"""Independent entries of one request.  What can be read and kept of them has to be answered within the budget (P7)."""

KNOWN_GOOD, KNOWN_GOOD_BYTES = 256, 400
"""How many answers are remembered as right, and how long one may be."""

_encode = msgspec.json.Encoder().encode

log = logging.getLogger(__name__)


@dataclass
class Note:
    """What the journal and the log keep of a callback; filled as far as the callback got."""

    channel: str = ""
    order_refnum: str = ""
    outcome: str = ""
    events: Sequence[Event] = ()
    """What it was answered with."""
    problems: BodyProblems = NO_PROBLEMS
    """What was wrong with its body, or with our answer."""


@dataclass(frozen=True)
class Received:
    """A callback that was understood, before anything is done for it."""

    callback: Callback
    body: dict[str, Any]
    """As it came, mended; its independent entries are let go before anything is written."""
    reading: Reading
    envelope: Envelope
    standing: Standing
    channel: Channel | None
    payload: Any
    """The callback's own part in our types; None where nothing can come of it."""

    @property
    def key(self) -> str:
        """The key of the channel's records, "" where it is for no channel's."""
        return self.channel.key if self.channel else ""


class Malformed(HttpError):
    """A body that cannot be taken as the callback (R6): 400, each fault as an event."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(400, "INVALID_ENVELOPE", "the body cannot be taken as this callback")
        self.sent = [problem_event(problem) for problem in reading.envelope]
        if reading.hidden:
            self.sent.append(more_problems_event(reading.hidden))
        self.events = list(map(event_json, self.sent))


class CallbackDispatcher:
    """Answers callbacks for all channels of the process."""

    def __init__(self, services: Services, routing: Routing, *, raises_on_bad_answer: bool) -> None:
        self._services = services
        self._routing = routing
        self._raises_on_bad_answer = raises_on_bad_answer
        self._late_events = LateEvents(services.database, services.clock)
        self._known_good: set[tuple[str, bytes]] = set()

    def holder(self, key: str) -> str:
        """Whose key this is, "" for nobody's; large bodies have their turn by it."""
        return self._routing.holder(key)

    def read(self, callback: Callback, body: dict[str, Any], note: Note) -> Received:
        """The callback in our types.  Reads no record and calls no vendor.  Raises `HttpError` (400, 401, 413)."""
        caller = self._routing.caller(body.pop("integration_auth_token", None))
        if callback.entries and len(entries(body.get(callback.entries))) > MOST_ENTRIES:
            message = f"{callback.entries} has more than {MOST_ENTRIES} entries; send them in several requests"
            raise HttpError(413, "TOO_MANY_ENTRIES", message)
        reading = callback.read(body)
        if reading.envelope:
            note.problems = body_problems(reading)
            fault = Malformed(reading)
            note.events = fault.sent
            raise fault
        if reading.mended is not None:
            body = dict(reading.mended)
            reading = replace(reading, mended=None)
        envelope = Envelope.read(body)
        standing, channel = self._routing.route(caller, envelope.pair)
        note.channel = channel.key if channel else standing
        note.order_refnum = envelope.order_refnum
        if channel is not None and channel.set_aside:
            message = "this channel is set aside because of its configuration; `channel check` names the fault"
            raise HttpError(503, CHANNEL_SET_ASIDE, message, retry_after_s=SET_ASIDE_RETRY_S)
        is_of_use = standing != "unconfigured" and not reading.problems
        payload = action(callback.name).read(body, reading) if is_of_use else None
        return Received(callback, body, reading, envelope, standing, channel, payload)

    def answer(
        self,
        received: Received,
        request_id: str,
        deadline: Deadline,
        note: Note,
        leave_turn: Callable[[], None] = lambda: None,
    ) -> bytes:
        """Do what the callback requests; the body of a 200, encoded.

        `leave_turn` is called when a large body is written, or before a vendor is waited for.

        Raises `HttpError` 503, `DatabaseUnavailable`, and `BadAnswer` for an answer RetailOps would throw
        away: where it can be mended by leaving orders out, in development only.
        """
        callback, body, reading, channel = received.callback, received.body, received.reading, received.channel
        faults: list[Event] = []
        ignored: list[Event] = []
        if not reading.is_clean:
            note.problems = body_problems(reading)
            faults, ignored = fault_events(callback, body, reading, received.envelope)
        result = CallbackResult(faults)
        question = ""
        if channel is None:
            is_configured = received.standing != "unconfigured"
            answer_unreal(callback, body, reading, result, is_configured=is_configured)
        else:
            question = self._late_events.question(channel.key, callback.name, body)
        if channel is not None and not reading.problems:
            if callback.name in ENTRY_NAMES and callback.entries:
                body[callback.entries] = []  # they are read: what was parsed is as large as all else of a push
            request = CallbackRequest(
                self._services, callback, body, reading, channel, request_id, deadline, leave_turn
            )
            done = self._carried_out(received, request)
            result = CallbackResult([*result.events, *done.events], done.content)
            note.order_refnum = note.order_refnum or done.order_refnum
        result.events += ignored  # last, for an answer without events says the first one's message
        note.outcome = _summary(result)
        if received.standing == "unconfigured":  # R3: the operator shall see which numbers somebody got wrong
            note.outcome += " {}/{}".format(*received.envelope.pair)
        note.events = result.events
        given = _answer_json(callback, result)
        if channel is not None and "events" in given:
            late = self._late_events.for_answer(channel.key, question, request_id, deadline)
            given["events"].extend(map(event_json, late))
            note.events = [*result.events, *late]
        return self._checked(callback, given, note)

    def _carried_out(self, received: Received, request: CallbackRequest) -> CallbackResult:
        """What the action came to; what the database can never keep is an error event (R6)."""
        carry_out = action(request.callback.name).carry_out

        def again_at_conflict(payload: Any) -> CallbackResult:
            give_up_at = time.monotonic() + request.deadline.left_s()
            return repeated(lambda: carry_out(payload, request), give_up_at)

        try:
            return again_at_conflict(received.payload)
        except DatabaseRefused:
            if request.callback.entries is None or request.callback.name not in ENTRY_NAMES:
                return CallbackResult([refused_event(about("order_refnum", received.envelope.order_refnum))])
        chosen = entry_action(request.callback.name)
        return carry_out_apart(
            chosen.names(received.payload),
            lambda names: again_at_conflict(chosen.only(received.payload, names)),
            lambda name: about(ENTRY_NAMES[request.callback.name][0], shown(name)),
            request.deadline,
        )

    def _checked(self, callback: Callback, given: dict[str, Any], note: Note) -> bytes:
        """The answer as RetailOps' caller will take it; a fault here is ours.

        Most answers are one of a few, such as an empty list of events; what was right once stays right.  A page of
        orders was judged by the action, which has to know what it holds back.
        """
        encoded = _encode(given)
        if isinstance(given, Judged) or (callback.name, encoded) in self._known_good:
            return encoded
        try:
            checked, held = mend(callback, given)
        except BadAnswer as error:
            note.problems = answer_problems(error.problems)
            log.error("an answer of %s breaks its schema: %s", callback.name, error)
            raise
        if held:
            message = "channel %s: orders were left out of an answer, %s of them, the first: %s"
            log.error(message, note.channel, len(held), held[0].problems[0].message)
        if held and self._raises_on_bad_answer:
            raise BadAnswer(tuple(problem for item in held for problem in item.problems))
        if checked is not given:
            return _encode(checked)
        if len(encoded) <= KNOWN_GOOD_BYTES and len(self._known_good) < KNOWN_GOOD:
            self._known_good.add((callback.name, encoded))
        return encoded


def event_json(event: Event) -> dict[str, Any]:
    """An event as RetailOps reads it; `associations` is always a list (SDK contract 1.6)."""
    return {
        "event_type": event.event_type,
        "code": event.code,
        "message": event.message,
        "associations": [
            {"identifier_type": item.identifier_type, "identifier": item.identifier} for item in event.associations
        ],
    }


def _answer_json(callback: Callback, result: CallbackResult) -> dict[str, Any]:
    """The JSON body of a 200 for this callback; every list and enum the contract has is present."""
    events = [event_json(event) for event in dict.fromkeys(result.events)]
    shape = answer_shape(callback.name)
    if shape is not None:
        return shape(events, result)
    status = {"status": "fail" if result.has_failed else "success"} if callback.answer_has_status else {}
    return {**status, "events": events}


def _summary(result: CallbackResult) -> str:
    """The first error's code, else the first warning's, else a standing's own word, else success."""
    for event_type in ("error", "warning"):
        for event in result.events:
            if event.event_type == event_type:
                return event.code
    return "DRY_RUN" if any(event.code == "DRY_RUN" for event in result.events) else "success"
