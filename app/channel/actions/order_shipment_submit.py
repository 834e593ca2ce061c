"""A shipment has left: each of its packages is registered once and sent to the order's source.

A package is known by RetailOps' shipment and package numbers (R24).  Lines are found by the channel's line number,
then by SKU; units beyond what is open are cut with a warning; other lines go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.channel.commands import OrderName, for_known_order
from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.channel.running import run
from app.channel.shipments import Shipped, package_commands, read_shipments
from app.contract.reading import mapping, number
from app.contract.schemas import Reading
from app.gateways.interface import Gateway
from app.records.handed_out import KnownOrder


@dataclass(frozen=True)
class Wanted:
    """The packages of one shipment of an order."""

    name: OrderName
    shipped: list[Shipped]
    is_blank: bool
    """True for a shipment of zeros, as an old caller sends it."""


def read(body: Mapping[str, Any], reading: Reading) -> Wanted:
    """The order and the packages."""
    shipment = body.get("shipment")
    is_blank = isinstance(shipment, dict) and not number(shipment.get("retailops_shipment_id"))
    return Wanted(OrderName.read(body), read_shipments([mapping(shipment)]), is_blank)


def carry_out(wanted: Wanted, asked: Asked, desk: Desk) -> Outcome:
    """Raises `Rejected` 503 while the same package is being registered elsewhere."""

    def submit(desk: Desk, asked: Asked, source: Gateway, order: KnownOrder) -> Outcome:
        outcome = Outcome()
        if not wanted.shipped:
            severity = "info" if wanted.is_blank else "warning"
            outcome.add(severity, "NO_PACKAGES", "the shipment has no packages", identifier=order.refnum)
        for events in run(desk, asked, package_commands(desk, asked, source, order, wanted.shipped)):
            outcome.events.extend(events)
        return outcome

    return for_known_order(desk, asked, "submit_shipment", wanted.name, submit)
