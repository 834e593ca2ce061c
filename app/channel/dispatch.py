"""Takes a callback from its parsed body to its answer: key, shape, channel, action, and the check of the answer.

Knows no HTTP; whatever is not a 200 leaves as `HttpError`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from app.channel.actions import action, entry_action
from app.channel.entry_by_entry import carry_out_apart, refused_event
from app.channel.late_events import LateEvents
from app.channel.order_json import order_json
from app.channel.result import (
    CallbackResult,
    answer,
    event_json,
    ignored_event,
    more_ignored_event,
    more_problems_event,
    problem_event,
)
from app.channel.routing import Routing, Standing
from app.channel.services import CallbackRequest, Services
from app.contract.outgoing import BadAnswer, Judged, mend
from app.contract.problems import Problem, parts_of
from app.contract.reading import amount, entries, mapping, text, whole
from app.contract.schemas import Callback, Reading
from app.deadline import Deadline
from app.domain.events import Association, Event, IdentifierType, about
from app.domain.orders import Address, Order, OrderLine
from app.domain.texts import REPLACEMENT, key_fault
from app.errors import HttpError
from app.records.database import DatabaseRefused, repeated
from app.settings import Channel

_ENTRY_NAMES: Mapping[str, tuple[IdentifierType, str]] = {
    "inventory_push": ("sku_number", "sku"),
    "order_acknowledge": ("order_refnum", "channel_order_refnum"),
}
"""What an entry of a list callback is called by, so that its events name it."""

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


@dataclass(frozen=True)
class Received:
    """A callback that was understood, before anything is done for it."""

    callback: Callback
    body: dict[str, Any]
    """As it came, mended; its independent entries are let go before anything is written."""
    reading: Reading
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
        self.events = [event_json(problem_event(problem)) for problem in reading.envelope]
        if reading.hidden:
            self.events.append(event_json(more_problems_event(reading.hidden)))


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
        """The callback in our types.  Asks no record and no vendor.  Raises `HttpError` (400, 401, 413)."""
        caller = self._routing.caller(body.pop("integration_auth_token", None))
        if callback.entries and len(entries(body.get(callback.entries))) > MOST_ENTRIES:
            message = f"{callback.entries} has more than {MOST_ENTRIES} entries; send them in several requests"
            raise HttpError(413, "TOO_MANY_ENTRIES", message)
        reading = callback.read(body)
        if reading.envelope:
            raise Malformed(reading)
        if reading.mended is not None:
            body = dict(reading.mended)
            reading = replace(reading, mended=None)
        standing, channel = self._routing.route(caller, _pair(body))
        note.channel = channel.key if channel else standing
        note.order_refnum = _order_refnum(body)
        if channel is not None and channel.set_aside:
            message = "this channel is set aside because of its configuration; `channel check` names the fault"
            raise HttpError(503, CHANNEL_SET_ASIDE, message, retry_after_s=SET_ASIDE_RETRY_S)
        is_of_use = standing != "unconfigured" and not reading.problems
        payload = action(callback.name).read(body, reading) if is_of_use else None
        return Received(callback, body, reading, standing, channel, payload)

    def answer(
        self,
        received: Received,
        request_id: str,
        deadline: Deadline,
        note: Note,
        leave_turn: Callable[[], None] = lambda: None,
    ) -> bytes:
        """Do what is asked; the body of a 200, encoded.

        `leave_turn` is called when a large body is written, or before a vendor is waited for.

        Raises `HttpError` 503, `DatabaseUnavailable`, and `BadAnswer` for an answer RetailOps would throw
        away: where it can be mended by leaving orders out, in development only.
        """
        callback, body, reading, channel = received.callback, received.body, received.reading, received.channel
        faults, ignored = _faults(callback, body, reading)
        result = CallbackResult(faults)
        question = ""
        if channel is None:
            _answer_unreal(received, result)
        else:
            question = self._late_events.question(channel.key, callback.name, body)
        if channel is not None and not reading.problems:
            if callback.name in _ENTRY_NAMES and callback.entries:
                body[callback.entries] = []  # they are read: what was parsed is as large as all else of a push
            request = CallbackRequest(callback, body, reading, channel, request_id, deadline, leave_turn)
            done = self._carried_out(received, request)
            result = CallbackResult([*result.events, *done.events], done.content)
            note.order_refnum = note.order_refnum or done.order_refnum
        result.events += ignored  # last, for an answer without events says the first one's message
        note.outcome = _summary(result)
        if received.standing == "unconfigured":  # R3: the operator shall see which numbers somebody got wrong
            note.outcome += " {}/{}".format(*_pair(body))
        given = answer(callback.name, result)
        if channel is not None and "events" in given:
            late = self._late_events.for_answer(channel.key, question, request_id, deadline)
            given["events"].extend(map(event_json, late))
        return self._checked(callback, given, note)

    def _carried_out(self, received: Received, request: CallbackRequest) -> CallbackResult:
        """What the action came to; what the database can never keep is an error event (R6)."""
        carry_out = action(request.callback.name).carry_out

        def again_at_conflict(payload: Any) -> CallbackResult:
            give_up_at = time.monotonic() + request.deadline.left_s()
            return repeated(lambda: carry_out(payload, request, self._services), give_up_at)

        try:
            return again_at_conflict(received.payload)
        except DatabaseRefused:
            if request.callback.entries is None or request.callback.name not in _ENTRY_NAMES:
                return CallbackResult([refused_event(about("order_refnum", _order_refnum(request.body)))])
        chosen = entry_action(request.callback.name)
        return carry_out_apart(
            chosen.names(received.payload),
            lambda names: again_at_conflict(chosen.only(received.payload, names)),
            lambda name: about(_ENTRY_NAMES[request.callback.name][0], _shown(name)),
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


def _faults(callback: Callback, body: Mapping[str, Any], reading: Reading) -> tuple[list[Event], list[Event]]:
    """Every schema fault, and every field that was ignored, as events about what they are in."""
    if reading.is_clean:
        return [], []
    faults = [problem_event(problem, _named(callback, body, problem)) for problem in (*reading.problems, *reading.lost)]
    for problems in reading.bad_entries.values():
        faults.extend(problem_event(problem, _named(callback, body, problem)) for problem in problems)
    ignored = [ignored_event(problem, _named(callback, body, problem)) for problem in reading.ignored]
    if reading.hidden:
        faults.append(more_problems_event(reading.hidden + reading.hidden_ignored))
    elif reading.hidden_ignored:
        ignored.append(more_ignored_event(reading.hidden_ignored))
    return faults, ignored


def _named(callback: Callback, body: Mapping[str, Any], problem: Problem) -> tuple[Association, ...]:
    """The row, the shipment or the order a fault is in, as far as it has a number that can be shown."""
    place = parts_of(problem.pointer)
    if callback.entries and len(place) > 1 and place[0] == callback.entries and callback.name in _ENTRY_NAMES:
        identifier_type, name = _ENTRY_NAMES[callback.name]
        return about(identifier_type, _shown(mapping(body[callback.entries][int(place[1])]).get(name)))
    return about("order_refnum", _order_refnum(body))


def _shown(value: object) -> str:
    """A number as an event may name it: nothing that could not be a key."""
    found = text(value)
    return "" if key_fault(found) or REPLACEMENT in found else found


def _pair(body: Mapping[str, Any]) -> tuple[int, int | None]:
    """(client_id, channel_info.id); 0 is a number here, but RetailOps writes "null" for none."""
    channel_id = text(mapping(body["channel_info"]).get("id"))
    return whole(body["client_id"]), whole(channel_id) if channel_id not in ("", "null") else None


def _order_refnum(body: Mapping[str, Any]) -> str:
    order = mapping(body.get("order"))
    return _shown(order.get("channel_order_refnum")) or _shown(body.get("channel_order_refnum"))


def _summary(result: CallbackResult) -> str:
    """The first error's code, else the first warning's, else a standing's own word, else success."""
    for event_type in ("error", "warning"):
        for event in result.events:
            if event.event_type == event_type:
                return event.code
    return "DRY_RUN" if any(event.code == "DRY_RUN" for event in result.events) else "success"


def _answer_unreal(received: Received, result: CallbackResult) -> None:
    """A caller that may only look: the test key (R2) or a pair no channel has (R3).  Reads no record."""
    callback = received.callback
    judge = getattr(action(callback.name), "entry_faults", None)
    if judge is not None and not received.reading.problems:
        result.events.extend(judge(action(callback.name).read(received.body, received.reading)))
    if received.standing == "unconfigured":
        message = "no channel of this server has this client_id and channel_info.id; nothing was done"
        result.events.insert(0, Event("error", "CHANNEL_NOT_CONFIGURED", message))
        return
    if received.reading.problems:
        return
    result.events.insert(0, Event("info", "DRY_RUN", "test key: the request was checked and nothing was done"))
    if received.callback.name == "order_pull":
        result.content["orders"] = [order_json(SYNTHETIC_ORDER)]
    if received.callback.name == "payment_credit":
        result.content["amount"] = max(amount(mapping(received.body.get("credit")).get("amount")), Decimal(0))
        result.content["refnum"] = "DRY-RUN"


SYNTHETIC_ORDER = Order(
    refnum="DRY-RUN-1",
    created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    currency_code="USD",
    ship_service_code="GROUND",
    shipping_address=Address(
        first_name="Test",
        last_name="Order",
        address1="1 Example Street",
        city="Austin",
        state_match="TX",
        postal_code="78701",
        country_match="US",
    ),
    lines=(OrderLine(refnum="1", sku="S12345", quantity=1, description="Example", unit_price=Decimal("10.00")),),
    full_name="Test Order",
    carries_money=False,
)
"""What `order_pull` gives for the public test key, so that a verifier has an order to look at (R2)."""
