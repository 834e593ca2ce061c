"""RetailOps pushes its catalogue: each record is kept by itself and owed to every gateway that takes products.

A fact is answered once it is durable; it is sent in the background, newest statement only (R13).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.channel import catalogue
from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.channel.product_by_product import accept_apart
from app.contract.problems import KEPT
from app.contract.schemas import Reading
from app.gateways.interface import NotOurs
from app.gateways.words import Event, EventType, about
from app.records.cataloguing import Statement

CHUNK = 500
"""Records of one transaction, about: the writer is not held for a whole catalogue."""


def read(body: Mapping[str, Any], reading: Reading) -> Mapping[str, Any]:
    """The template's output under either of its names, as it is: where its fields stand, the channel says."""
    return {name: body.get(name) for name in catalogue.NAMES}


def entry_faults(wanted: Mapping[str, Any]) -> list[Event]:
    """Records that could be read for no channel whatever, for a caller whose push is only checked (R2)."""
    found = _Events()
    found.add(catalogue.frame_faults(wanted))
    return found.listed()


def carry_out(wanted: Mapping[str, Any], asked: Asked, desk: Desk) -> Outcome:
    """Keeps every readable record, with one error event for each other one.

    Raises `DatabaseUnavailable` when the records cannot be kept; what was kept before is kept again then.
    """
    outcome = Outcome()
    takers = []
    for gateway in desk.gateways_of(asked.channel):
        declared = gateway.verbs.get("push_catalog")
        if gateway.takes_catalog:
            takers.append(gateway.token)
        elif isinstance(declared, NotOurs):
            outcome.add(declared.event_type, declared.code, declared.message)
    if not takers:
        return Outcome([*outcome.events, *entry_faults(wanted)])
    found = _Events()
    for chunk in _chunks(catalogue.read(wanted, asked.channel.catalog, asked.channel.shop_url)):
        statements = chunk.statements
        if statements:
            displaced, refused = accept_apart(desk, asked, takers, statements)
            found.add(refused)
            for item in displaced:
                message = "another record of the catalogue has this SKU now; this one counts as switched off"
                ids = about("product_id", item.product_id) + about("sku_number", item.sku)
                found.add([Event("warning", "DUPLICATE_SKU", message, ids)])
        found.add(chunk.events)
    desk.wake_deliveries()
    return Outcome([*outcome.events, *found.listed()])


@dataclass
class _Events:
    """The first events of a push, errors before warnings; the others are only counted (R6)."""

    kept: dict[EventType, list[Event]] = field(default_factory=lambda: {"error": [], "warning": [], "info": []})
    counts: dict[EventType, int] = field(default_factory=lambda: {"error": 0, "warning": 0, "info": 0})

    def add(self, events: Iterable[Event]) -> None:
        for event in events:
            self.counts[event.event_type] += 1
            if len(self.kept[event.event_type]) < KEPT:
                self.kept[event.event_type].append(event)

    def listed(self) -> list[Event]:
        """At most `KEPT`, and one for each kind that counts the rest of it."""
        listed: list[Event] = []
        rest: list[Event] = []
        for event_type, events in self.kept.items():
            shown = events[: KEPT - len(listed)]
            listed += shown
            if hidden := self.counts[event_type] - len(shown):
                rest.append(Event(event_type, "INVALID_MORE", f"{hidden} further {event_type}s are not listed"))
        return [*listed, *rest]


def _chunks(products: Iterator[catalogue.Records]) -> Iterator[catalogue.Records]:
    """Products put together until there are about `CHUNK` records; a product is never parted."""
    chunk = catalogue.Records()
    for product in products:
        at = len(chunk.statements)
        chunk.statements += [
            Statement(one.identity, one.fields, None if one.parent is None else one.parent + at)
            for one in product.statements
        ]
        chunk.events += product.events
        if len(chunk.statements) >= CHUNK or len(chunk.events) >= CHUNK:
            yield chunk
            chunk = catalogue.Records()
    yield chunk
