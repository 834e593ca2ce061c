"""RetailOps pushes its catalogue: what belongs together is kept together and owed to every gateway that takes products.

A push is one statement: it is kept in pieces, but no piece is judged without what the others state.  A fact is answered
once it is durable; it is sent in the background, newest statement only (R13).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from app.channel import catalogue
from app.channel.catalogue_fields import DEFAULT_PATHS
from app.channel.entry_by_entry import refused_event
from app.channel.services import CallbackRequest, CallbackResult
from app.contract.problems import KEPT
from app.contract.schemas import Reading
from app.domain.catalogue import Item
from app.domain.catalogue_resolution import PushNames
from app.domain.events import Association, Event, EventType, about
from app.gateways.calls import NotOurs
from app.records import cataloguing
from app.records.catalogue_statements import Accepted, Statement
from app.records.database import DatabaseRefused

CHUNK = 500
"""Records of one transaction, about: the writer is not held for a whole catalogue."""


def read(body: Mapping[str, Any], reading: Reading) -> Mapping[str, Any]:
    """The template's output under either of its names, as it is: where its fields stand, the channel says."""
    return {name: body[name] for name in catalogue.NAMES if name in body}


def entry_faults(payload: Mapping[str, Any]) -> list[Event]:
    """Records that could be read for no channel whatever, for a caller whose push is only checked (R2)."""
    found = _Events()
    found.add(catalogue.frame_faults(payload))
    return found.listed()


def carry_out(payload: Mapping[str, Any], request: CallbackRequest) -> CallbackResult:
    """Keeps every readable record, with one error event for each other one.

    Raises `DatabaseUnavailable` when the records cannot be kept; what was kept before is kept again then.
    """
    result = CallbackResult()
    takers = []
    for gateway in request.services.gateways_of(request.channel):
        declared = gateway.commands.verbs.get("push_catalog")
        if gateway.catalogue is not None:
            takers.append(gateway.token)
        elif isinstance(declared, NotOurs):
            result.events.append(Event(declared.event_type, declared.code, declared.message))
    if not takers:
        return CallbackResult([*result.events, *entry_faults(payload)])
    found = _Events()
    if not payload:
        found.add(catalogue.frame_faults(payload))
    channel = request.channel
    names = cache(lambda: catalogue.names(payload, channel.catalog))
    for chunk, is_whole in _chunks(catalogue.read(payload, channel.catalog, channel.shop_url, channel.not_sold_words)):
        if chunk.statements:
            accepted, refused = _keep_apart(request, takers, chunk.statements, None if is_whole else names)
            found.add(refused)
            found.add(_accepted_events(accepted, channel.catalog.get("sku", DEFAULT_PATHS["sku"])))
        found.add(chunk.events)
    request.services.wake_deliveries()
    return CallbackResult([*result.events, *found.listed()])


def _keep_apart(
    request: CallbackRequest, gateways: Sequence[str], statements: Sequence[Statement],
    names: Callable[[], PushNames] | None,
) -> tuple[Accepted, list[Event]]:  # fmt: skip
    """Keep the records, in ever smaller parts where the database refuses some of them (R6).

    Gives what became of them, and an error event for each that cannot be kept.

    A product is kept with its variants or not at all.  `names` is what the whole push states of SKUs.
    Raises `DatabaseUnavailable`.
    """
    try:
        with request.services.database.write(wait_s=request.deadline.left_s()) as connection:
            now = request.services.clock()
            return cataloguing.accept(connection, request.channel.key, gateways, statements, now, names), []
    except DatabaseRefused:
        middle = _middle(statements)
        if not middle:
            return Accepted(), [refused_event(_named(statement)) for statement in statements]
    accepted, refused = _keep_apart(request, gateways, statements[:middle], names)
    behind = [replace(one, parent=None if one.parent is None else one.parent - middle) for one in statements[middle:]]
    more_accepted, more_refused = _keep_apart(request, gateways, behind, names)
    accepted.add(more_accepted)
    return accepted, [*refused, *more_refused]


def _middle(statements: Sequence[Statement]) -> int:
    """Where the product nearest to the middle begins; 0 where there is but one product."""
    begins = [at for at, statement in enumerate(statements) if at and statement.parent is None]
    return min(begins, key=lambda at: abs(at - len(statements) / 2), default=0)


def _accepted_events(accepted: Accepted, sku_path: str) -> Iterator[Event]:
    """What RetailOps should know of the records as a whole."""
    for displaced in accepted.displaced:
        effect = (
            "its variants are sold as before" if displaced.is_group else "this one counts as switched off meanwhile"
        )
        message = f"another record of the catalogue has this SKU now; {effect}"
        yield Event("warning", "DUPLICATE_SKU", message, _about(displaced.item))
    for item in accepted.in_cycle:
        message = "the record is stated to belong to one that belongs to it; that statement has no effect"
        yield Event("warning", "PARENT_CYCLE", message, _about(item))
    for statement in accepted.unknown:
        message = catalogue.sku_missing(statement.place, sku_path)
        yield Event("error", "SKU_MISSING", message, _named(statement))


def _named(statement: Statement) -> tuple[Association, ...]:
    """The record's product id and SKU, as far as it states them."""
    fields = statement.fields
    return about("product_id", str(fields.get("product_id") or "")) + about("sku_number", str(fields.get("sku") or ""))


def _about(item: Item) -> tuple[Association, ...]:
    return about("product_id", item.product_id) + about("sku_number", item.sku)


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


def _chunks(families: Iterator[catalogue.Records]) -> Iterator[tuple[catalogue.Records, bool]]:
    """What belongs together, put together until there are about `CHUNK` records; true where that is the whole push."""
    chunk, is_first = catalogue.Records(), True
    for family in families:
        if len(chunk.statements) >= CHUNK or len(chunk.events) >= CHUNK:
            yield chunk, False
            chunk, is_first = catalogue.Records(), False
        at = len(chunk.statements)
        chunk.statements += [
            one if one.parent is None or not at else replace(one, parent=one.parent + at) for one in family.statements
        ]
        chunk.events += family.events
    yield chunk, is_first
