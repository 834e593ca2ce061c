"""Stores a catalogue push in ever smaller parts, so that only products the database refuses are left out (R6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from app.channel.entry_by_entry import refused_event
from app.channel.services import CallbackRequest
from app.domain.catalogue_resolution import PushNames
from app.domain.events import Association, Event, about
from app.records import cataloguing
from app.records.catalogue_statements import Accepted, Statement
from app.records.database import DatabaseRefused


def accept_apart(
    request: CallbackRequest, gateways: Sequence[str], statements: Sequence[Statement],
    names: Callable[[], PushNames] | None,
) -> tuple[Accepted, list[Event]]:  # fmt: skip
    """What became of these records, and an error event for each that cannot be kept.

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
            return Accepted(), [refused_event(named(statement)) for statement in statements]
    accepted, refused = accept_apart(request, gateways, statements[:middle], names)
    behind = [replace(one, parent=None if one.parent is None else one.parent - middle) for one in statements[middle:]]
    more_accepted, more_refused = accept_apart(request, gateways, behind, names)
    accepted.add(more_accepted)
    return accepted, [*refused, *more_refused]


def _middle(statements: Sequence[Statement]) -> int:
    """Where the product nearest to the middle begins; 0 where there is but one product."""
    begins = [at for at, statement in enumerate(statements) if at and statement.parent is None]
    return min(begins, key=lambda at: abs(at - len(statements) / 2), default=0)


def named(statement: Statement) -> tuple[Association, ...]:
    """The record's product id and SKU, as far as it states them."""
    fields = statement.fields
    return about("product_id", str(fields.get("product_id") or "")) + about("sku_number", str(fields.get("sku") or ""))
