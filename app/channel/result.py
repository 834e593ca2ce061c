"""The result of a callback, and the answer that RetailOps gets for it.

Whether a command succeeded is not a second opinion: `status` is fail exactly when an error event says
why, because RetailOps shows people the events (SDK contract 4.7).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.contract.schemas import Callback
from app.domain.events import Event


@dataclass
class CallbackResult:
    """The events of a callback and whatever else its answer holds."""

    events: list[Event] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)
    order_refnum: str = ""
    """The order it turned out to be about, where the body names none; for the journal."""

    @property
    def has_failed(self) -> bool:
        """True when something requested was not done."""
        return any(event.event_type == "error" for event in self.events)


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


Shape = Callable[[list[dict[str, Any]], CallbackResult], dict[str, Any]]
"""Makes the body of an answer of its events as JSON and of the callback's result."""


def answer(callback: Callback, result: CallbackResult, shape: Shape | None) -> dict[str, Any]:
    """The JSON body of a 200 for this callback; every list and enum the contract has is present.

    `shape` is the callback's own where its answer holds more than events and a status.
    """
    events = [event_json(event) for event in dict.fromkeys(result.events)]
    if shape is not None:
        return shape(events, result)
    status = {"status": "fail" if result.has_failed else "success"} if callback.answer_has_status else {}
    return {**status, "events": events}
