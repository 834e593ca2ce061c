"""Events: what RetailOps shows on an order, a line, a shipment or a SKU, beside the answer itself."""

from __future__ import annotations

from typing import Literal

import msgspec

EventType = Literal["error", "warning", "info"]

IdentifierType = Literal[
    "order_id", "order_refnum", "orderitem_id", "orderitem_refnum", "shipment_id", "shipmentitem_id",
    "product_id", "sku_number",
]  # fmt: skip


class Association(msgspec.Struct, frozen=True):
    """The object an event is about (SDK contract, block E)."""

    identifier_type: IdentifierType
    identifier: str


class Event(msgspec.Struct, frozen=True):
    """Something RetailOps shows on an order, a line, a shipment or a SKU.

    error: not done; warning: done, look at it; info: for the record.  `message` holds no customer data.
    """

    event_type: EventType
    code: str
    message: str
    associations: tuple[Association, ...] = ()


def about(identifier_type: IdentifierType, identifier: str) -> tuple[Association, ...]:
    """One association, or none where there is nothing to name."""
    return (Association(identifier_type, identifier),) if identifier else ()
