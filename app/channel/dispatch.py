"""Takes a callback that was understood to its answer: action, late events (R15), and the check of the answer.

Knows no HTTP; whatever is not a 200 leaves as `HttpError`.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from app.channel.actions import action, answer_shape, entry_action
from app.channel.dry_run import answer_unreal
from app.channel.entry_by_entry import carry_out_apart, refused_event
from app.channel.receiving import Note, Received
from app.channel.request_faults import ENTRY_NAMES, answer_problems, body_problems, fault_events
from app.channel.services import CallbackRequest, CallbackResult, Services
from app.contract.outgoing import BadAnswer, Judged, mend
from app.contract.reading import shown
from app.contract.schemas import Callback
from app.deadline import Deadline
from app.domain.events import Event, about
from app.records import late_events
from app.records.database import Database, DatabaseRefused, DatabaseUnavailable
from app.records.transactions import repeated

LOOK_EVERY_S = 1.0
"""How often a process looks whether any channel has news; between that an answer costs no query."""

TIME_NEEDED_S = 6.0
"""Less than this left of a callback's budget, and the news waits: a busy database must not make it late."""

KNOWN_GOOD, KNOWN_GOOD_BYTES = 256, 400
"""How many answers are remembered as right, and how long one may be."""

_encode = msgspec.json.Encoder().encode

log = logging.getLogger(__name__)


class LateEvents:
    """Adds each channel's late events to its answers; one per process."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._looking = threading.Lock()
        self._look_at_s = 0.0
        self._channels: set[str] = set()

    def question(self, channel: str, callback: str, body: Mapping[str, Any]) -> str:
        """What the request is known by when it comes again; "" where there is no news for the channel."""
        if time.monotonic() >= self._look_at_s:
            self._look()
        if channel not in self._channels:
            return ""
        return hashlib.sha256(callback.encode() + msgspec.json.encode(body)).hexdigest()

    def for_answer(self, channel: str, digest: str, request_id: str, deadline: Deadline) -> list[Event]:
        """Warnings to add to the answer to a `question`, which is otherwise complete; marked as sent.

        Never raises for the database: news that cannot be read now waits for another answer.
        """
        if not digest or deadline.left_s() < TIME_NEEDED_S:
            return []
        try:
            with self._database.read() as connection:
                if not late_events.is_any_for(connection, channel, digest, self._clock()):
                    return []
            with self._database.write(wait_s=0.5) as connection:
                return late_events.take(connection, channel, digest, request_id, self._clock())
        except DatabaseUnavailable as error:
            log.warning("channel %s: late news waits for the database: %s", channel, error)
            return []

    def _look(self) -> None:
        """One thread looks; the others go by what was seen last."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            self._look_at_s = time.monotonic() + LOOK_EVERY_S
            with self._database.read() as connection:
                self._channels = late_events.channels_with_news(connection, self._clock())
        except DatabaseUnavailable:
            self._channels = set()
            self._look_at_s = time.monotonic() + 5 * LOOK_EVERY_S
        finally:
            self._looking.release()


class CallbackDispatcher:
    """Answers callbacks for all channels of the process."""

    def __init__(self, services: Services, *, raises_on_bad_answer: bool) -> None:
        self._services = services
        self._raises_on_bad_answer = raises_on_bad_answer
        self._late_events = LateEvents(services.database, services.clock)
        self._known_good: set[tuple[str, bytes]] = set()

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
        if isinstance(given, Judged):
            return given.encoded
        encoded = _encode(given)
        if (callback.name, encoded) in self._known_good:
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
