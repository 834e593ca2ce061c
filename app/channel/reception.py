"""A callback from its parsed body to its answer: key, shape, channel, action, and the answer's own check.

Knows no HTTP; whatever is not a 200 leaves as `Rejected`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from app.channel.actions import action
from app.channel.desk import Asked, Desk
from app.channel.order_json import order_json
from app.channel.outcome import Outcome, answer, event_json, more_problems_event, problem_event
from app.channel.routing import Routing, Standing
from app.contract.outgoing import BadAnswer, mend
from app.contract.reading import amount, mapping, text, whole
from app.contract.schemas import Callback, Reading
from app.errors import Rejected
from app.gateways.policy import Deadline
from app.gateways.words import Address, Event, IdentifierType, Order, OrderLine

_ENTRY_NAMES: Mapping[str, tuple[IdentifierType, str]] = {
    "inventory_push": ("sku_number", "sku"),
    "order_acknowledge": ("order_refnum", "channel_order_refnum"),
}
"""What an entry of a list callback is called by, so that its events name it."""

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


class Malformed(Rejected):
    """A body that cannot be taken as the callback (R6): 400, each fault as an event."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(400, "INVALID_ENVELOPE", "the body cannot be taken as this callback")
        self.events = [event_json(problem_event(problem)) for problem in reading.envelope]
        if reading.hidden:
            self.events.append(event_json(more_problems_event(reading.hidden)))


class Reception:
    """Answers callbacks for all channels of the process."""

    def __init__(self, desk: Desk, routing: Routing, *, raises_on_bad_answer: bool) -> None:
        self._desk = desk
        self._routing = routing
        self._raises_on_bad_answer = raises_on_bad_answer
        self._known_good: set[tuple[str, bytes]] = set()

    def receive(
        self, callback: Callback, body: dict[str, Any], request_id: str, deadline: Deadline, note: Note
    ) -> bytes:
        """The body of a 200, encoded.

        Raises `Rejected` (400, 401, 503), `DatabaseUnavailable`, and outside production `BadAnswer`.
        """
        caller = self._routing.caller(body.pop("integration_auth_token", None))
        reading = callback.read(body)
        if reading.envelope:
            raise Malformed(reading)
        standing, channel = self._routing.route(caller, _pair(body))
        note.channel = channel.name if channel else standing
        note.order_refnum = _order_refnum(body)
        outcome = Outcome(_faults(callback, body, reading))
        if channel is None:
            _answer_unreal(standing, callback, body, reading, outcome)
        elif not reading.problems:
            asked = Asked(callback, body, reading, channel, request_id, deadline)
            doing = action(callback.name)
            done = doing.carry_out(doing.read(body, reading), asked, self._desk)
            outcome = Outcome([*outcome.events, *done.events], done.content)
        note.outcome = _summary(outcome)
        return self._checked(callback, answer(callback.name, outcome), note)

    def _checked(self, callback: Callback, given: dict[str, Any], note: Note) -> bytes:
        """The answer as RetailOps' caller will take it; a fault here is ours.

        Most answers are one of a few, such as an empty list of events; what was right once stays right.
        """
        encoded = _encode(given)
        if (callback.name, encoded) in self._known_good:
            return encoded
        try:
            checked, held = mend(callback, given)
        except BadAnswer as error:
            if self._raises_on_bad_answer:
                raise
            log.error("an answer of %s breaks its schema: %s", callback.name, error)
            raise
        for item in held:
            log.error("channel %s: an order was left out of an answer: %s", note.channel, item.problems[0].message)
        if checked is not given:
            return _encode(checked)
        if len(encoded) <= KNOWN_GOOD_BYTES and len(self._known_good) < KNOWN_GOOD:
            self._known_good.add((callback.name, encoded))
        return encoded


def _faults(callback: Callback, body: Mapping[str, Any], reading: Reading) -> list[Event]:
    """Every schema fault as an event about the narrowest object that can be named."""
    if reading.is_clean:
        return []
    events: list[Event] = []
    refnum = _order_refnum(body)
    events.extend(problem_event(problem, "order_refnum", refnum) for problem in reading.problems)
    if reading.bad_entries:
        identifier_type, name = _ENTRY_NAMES[callback.name]
        rows = body[callback.entries or ""]
        for index, problems in reading.bad_entries.items():
            identifier = text(mapping(rows[index]).get(name))
            events.extend(problem_event(problem, identifier_type, identifier) for problem in problems)
    if reading.hidden:
        events.append(more_problems_event(reading.hidden))
    return events


def _pair(body: Mapping[str, Any]) -> tuple[int, int | None]:
    """(client_id, channel_info.id); 0 is a number here, but RetailOps writes "null" for none."""
    channel_id = text(mapping(body["channel_info"]).get("id"))
    return whole(body["client_id"]), whole(channel_id) if channel_id not in ("", "null") else None


def _order_refnum(body: Mapping[str, Any]) -> str:
    return text(mapping(body.get("order")).get("channel_order_refnum")) or text(body.get("channel_order_refnum"))


def _summary(outcome: Outcome) -> str:
    """The first error's code, else the first warning's, else a standing's own word, else success."""
    for event_type in ("error", "warning"):
        for event in outcome.events:
            if event.event_type == event_type:
                return event.code
    return "DRY_RUN" if any(event.code == "DRY_RUN" for event in outcome.events) else "success"


def _answer_unreal(
    standing: Standing, callback: Callback, body: Mapping[str, Any], reading: Reading, outcome: Outcome
) -> None:
    """A caller that may only look: the test key (R2) or a pair no channel has (R3).  Reads no record."""
    if standing == "unconfigured":
        message = "no channel of this server has this client_id and channel_info.id; nothing was done"
        outcome.events.insert(0, Event("error", "CHANNEL_NOT_CONFIGURED", message))
        return
    if reading.problems:
        return
    action(callback.name).read(body, reading)
    outcome.events.insert(0, Event("info", "DRY_RUN", "test key: the request was checked and nothing was done"))
    if callback.name == "order_pull":
        outcome.content["orders"] = [order_json(SYNTHETIC_ORDER)]
    if callback.name == "payment_credit":
        outcome.content["amount"] = max(amount(mapping(body.get("credit")).get("amount")), Decimal(0))
        outcome.content["refnum"] = "DRY-RUN"


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
