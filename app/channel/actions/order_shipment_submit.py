"""A shipment has left: each of its packages is registered once and told to the order's source.

A package is known by RetailOps' shipment and package numbers (R24).  Lines are found by the channel's
line number, then by SKU; units beyond what is open are cut with a warning; other lines go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.channel import orders
from app.channel.commands import for_known_order
from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.channel.running import run
from app.channel.shipments import Shipped, package_command, read_shipments
from app.contract.reading import mapping, text
from app.contract.schemas import Reading
from app.gateways.interface import Gateway


def read(body: Mapping[str, Any], reading: Reading) -> tuple[str, list[Shipped]]:
    """The order's refnum and the packages."""
    refnum = text(body.get("channel_order_refnum"))
    return refnum, read_shipments(refnum, [mapping(body.get("shipment"))])


def carry_out(wanted: tuple[str, list[Shipped]], asked: Asked, desk: Desk) -> Outcome:
    """Raises `Rejected` 503 while the same package is being registered elsewhere."""
    refnum, shipped = wanted

    def submit(desk: Desk, asked: Asked, source: Gateway, order: orders.KnownOrder) -> Outcome:
        outcome = Outcome()
        if not shipped:
            outcome.add("warning", "NO_PACKAGES", "the shipment has no packages", identifier=refnum)
        commands = [package_command(desk, asked, source, order, item) for item in shipped]
        for events in run(desk, asked, commands):
            outcome.events.extend(events)
        return outcome

    return for_known_order(desk, asked, "submit_shipment", refnum, submit)
