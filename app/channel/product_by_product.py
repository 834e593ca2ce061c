"""Keeps a catalogue push in ever smaller parts until only the products are left out the database refuses (R6)."""

from __future__ import annotations

from collections.abc import Sequence

from app.channel.desk import Asked, Desk
from app.channel.entry_by_entry import refused_event
from app.gateways.words import Association, Event, Item, about
from app.records import cataloguing
from app.records.cataloguing import Statement
from app.records.database import DatabaseRefused


def accept_apart(
    desk: Desk, asked: Asked, gateways: Sequence[str], statements: Sequence[Statement]
) -> tuple[list[Item], list[Event]]:
    """The records whose SKU another one has now, and an error event for each record that cannot be kept.

    A product is kept with its variants or not at all.  Raises `DatabaseUnavailable`.
    """
    try:
        with desk.database.write(wait_s=asked.deadline.left_s()) as connection:
            return cataloguing.accept(connection, asked.channel.key, gateways, statements, desk.clock()), []
    except DatabaseRefused:
        middle = _middle(statements)
        if not middle:
            return [], [refused_event(_named(statement)) for statement in statements]
    displaced, refused = accept_apart(desk, asked, gateways, statements[:middle])
    behind = [
        Statement(one.identity, one.fields, None if one.parent is None else one.parent - middle)
        for one in statements[middle:]
    ]
    more_displaced, more_refused = accept_apart(desk, asked, gateways, behind)
    return [*displaced, *more_displaced], [*refused, *more_refused]


def _middle(statements: Sequence[Statement]) -> int:
    """Where the product nearest to the middle begins; 0 where there is but one product."""
    begins = [at for at, statement in enumerate(statements) if at and statement.parent is None]
    return min(begins, key=lambda at: abs(at - len(statements) / 2), default=0)


def _named(statement: Statement) -> tuple[Association, ...]:
    fields = statement.fields
    return about("product_id", str(fields.get("product_id") or "")) + about("sku_number", str(fields.get("sku") or ""))
