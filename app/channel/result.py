"""The result of a callback, and the answer that RetailOps gets for it.

Whether a command succeeded is not a second opinion: `status` is fail exactly when an error event says
why, because RetailOps shows people the events (SDK contract 4.7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.channel.money import as_number
from app.contract.outgoing import Judged
from app.domain.events import Event, IdentifierType, about


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

    def add(
        self,
        event_type: str,
        code: str,
        message: str,
        identifier_type: IdentifierType = "order_refnum",
        identifier: str = "",
    ) -> None:
        """Add one event about at most one object."""
        self.events.append(Event(event_type, code, message, about(identifier_type, identifier)))  # type: ignore[arg-type]


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


def answer(callback: str, result: CallbackResult) -> dict[str, Any]:
    """The JSON body of a 200 for this callback; every list and enum the contract has is present."""
    events = [event_json(event) for event in _without_repeats(result.events)]
    build = _SHAPES.get(callback, _events_only)
    return build(events, result)


def _without_repeats(events: Sequence[Event]) -> list[Event]:
    return list(dict.fromkeys(events))


def _events_only(events: list[dict[str, Any]], result: CallbackResult) -> dict[str, Any]:
    return {"events": events}


def _with_status(events: list[dict[str, Any]], result: CallbackResult) -> dict[str, Any]:
    return {"status": "fail" if result.has_failed else "success", "events": events}


def _catalog_get_config(events: list[dict[str, Any]], result: CallbackResult) -> dict[str, Any]:
    return {"sku_fanout": result.content.get("sku_fanout", "no_fanout")}


def _order_pull(events: list[dict[str, Any]], result: CallbackResult) -> dict[str, Any]:
    """The page as the action had it judged, where it had."""
    if isinstance(result.content, Judged):
        return result.content
    return {"next_page_token": result.content.get("next_page_token", ""), "orders": result.content.get("orders", [])}


def _order_update(events: list[dict[str, Any]], result: CallbackResult) -> dict[str, Any]:
    return {
        "events": events,
        "line_items": result.content.get("line_items", []),
        "values": result.content.get("values", {}),
    }


def _order_returned(events: list[dict[str, Any]], result: CallbackResult) -> dict[str, Any]:
    return {
        "events": events,
        "payment_transactions": result.content.get("payment_transactions", []),
        "return": {"channel_store_credit_amount": as_number(result.content.get("store_credit", 0))},
    }


def _payment_credit(events: list[dict[str, Any]], result: CallbackResult) -> dict[str, Any]:
    """This answer has no events: the first one's message is all RetailOps can be sent."""
    return {
        "payment_processing_type": "channel_payment",
        "transaction_type": "credit",
        "payment_type": result.content.get("payment_type", "none"),
        "amount": as_number(result.content.get("amount", 0)),
        "message": result.events[0].message if result.events else "",
        "status": result.content.get("status", "fail" if result.has_failed else "success"),
        "refnum": result.content.get("refnum", ""),
    }


_SHAPES: Mapping[str, Callable[[list[dict[str, Any]], CallbackResult], dict[str, Any]]] = {
    "catalog_get_config": _catalog_get_config,
    "order_pull": _order_pull,
    "order_cancel": _with_status,
    "order_complete": _with_status,
    "order_update": _order_update,
    "order_returned": _order_returned,
    "payment_credit": _payment_credit,
}
