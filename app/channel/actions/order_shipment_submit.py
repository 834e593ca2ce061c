"""A shipment has left: each of its packages is registered once and sent to the order's source.

A package is known by RetailOps' shipment and package numbers (R24).  Lines are found by the channel's line number,
then by SKU; units beyond what is open are cut with a warning; other lines go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.channel.command import OrderAtSource, for_known_order
from app.channel.commands import run
from app.channel.services import CallbackRequest, CallbackResult
from app.channel.shipments import RegisterPackage, package_commands
from app.contract.packages import StatedPackage, read_shipments
from app.contract.reading import OrderName, number
from app.contract.schemas import Reading
from app.domain.events import Event, EventType


@dataclass(frozen=True)
class ShipmentRequest:
    """The packages of one shipment of an order."""

    name: OrderName
    shipped: list[StatedPackage]
    is_blank: bool
    """True for a shipment of zeros, as an old caller sends it."""


def read(body: Mapping[str, Any], reading: Reading) -> ShipmentRequest:
    """The order and the packages."""
    shipment = body.get("shipment")
    is_blank = isinstance(shipment, dict) and not number(shipment.get("retailops_shipment_id"))
    return ShipmentRequest(OrderName.read(body), read_shipments([shipment]), is_blank)


def carry_out(payload: ShipmentRequest, request: CallbackRequest) -> CallbackResult:
    """Raises `HttpError` 503 while the same package is being registered elsewhere."""

    def submit(order: OrderAtSource) -> CallbackResult:
        events = []
        if not payload.shipped:
            severity: EventType = "info" if payload.is_blank else "warning"
            events.append(Event(severity, "NO_PACKAGES", "the shipment has no packages", order.named))
        return CallbackResult([*events, *run(request, package_commands(order, payload.shipped))])

    return for_known_order(request, "submit_shipment", payload.name, submit, commands_read_it=bool(payload.shipped))


COMMAND = RegisterPackage
