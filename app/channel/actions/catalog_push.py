"""RetailOps pushes its catalogue: each record is kept by itself and owed to every gateway that hears it.

A fact is answered once it is durable; it is sent in the background, newest statement only (R13).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.channel import catalogue
from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome, more_problems_event
from app.channel.product_by_product import accept_apart
from app.contract.problems import KEPT
from app.contract.reading import mapping
from app.contract.schemas import Reading
from app.gateways.interface import NotOurs
from app.gateways.words import Event, about
from app.records.cataloguing import Statement

CHUNK = 500
"""Records of one transaction, about: the writer is not held for a whole catalogue."""


def read(body: Mapping[str, Any], reading: Reading) -> Mapping[str, Any]:
    """The template's output under either of its names (SDK contract 2.3)."""
    return mapping(body.get("template_output")) or mapping(body.get("TemplateOutput"))


def carry_out(wanted: Mapping[str, Any], asked: Asked, desk: Desk) -> Outcome:
    """Keeps every readable record, with one error event for each other one.

    Raises `DatabaseUnavailable` when the records cannot be kept; what was kept before is kept again then.
    """
    outcome = Outcome()
    hearing = []
    for gateway in desk.gateways_of(asked.channel):
        declared = gateway.verbs.get("push_catalog")
        if gateway.takes_catalog:
            hearing.append(gateway.token)
        elif isinstance(declared, NotOurs):
            outcome.add(declared.event_type, declared.code, declared.message)
    if not hearing:
        return outcome
    found: list[Event] = []
    hidden = 0
    for chunk in _chunks(catalogue.read(wanted, asked.channel.catalog)):
        statements = chunk.statements
        if statements:
            displaced, refused = accept_apart(desk, asked, hearing, statements)
            found += refused
            for item in displaced:
                message = "another record of the catalogue has this SKU now; this one counts as switched off"
                ids = about("product_id", item.product_id) + about("sku_number", item.sku)
                found.append(Event("warning", "DUPLICATE_SKU", message, ids))
        found += chunk.events
        hidden += chunk.hidden
    desk.wake_deliveries()
    hidden += max(len(found) - KEPT, 0)
    return Outcome([*outcome.events, *found[:KEPT], *([more_problems_event(hidden)] if hidden else [])])


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
        chunk.hidden += product.hidden
        if len(chunk.statements) >= CHUNK:
            yield chunk
            chunk = catalogue.Records()
    yield chunk
