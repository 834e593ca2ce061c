"""What RetailOps' commands are at Example Shop: an order is acknowledged, and its packages are reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.domain.commands import COMMANDS, Acknowledgement, Package
from app.errors import BrokenReply
from app.gateways.calls import Accepted, Call, NotOurs, Verb
from app.gateways.capabilities import CommandTarget
from app.gateways.vendors.example_shop.api import Api
from app.gateways.vendors.example_shop.orders import ACKNOWLEDGED, OPEN, ORDER, checked
from app.gateways.wire_objects import Figure, Id, Moment, Parts, Text, wire, write

ACKNOWLEDGE: Final = "/orders/{order}/acknowledge"
SHIPMENTS: Final = "/orders/{order}/shipments"

_NOT_OURS: Final = NotOurs("error", "NOT_CARRIED_OUT", "Example Shop has no call for this; nothing was done")


@dataclass(frozen=True)
class ShippedLine:
    """Units of a line in a shipment."""

    line_id: str = wire(Id("line_id"))
    quantity: int = wire(Figure("quantity"))


@dataclass(frozen=True)
class Shipment:
    """A package that left; a second one with the same id is the same package."""

    shipment_id: str = wire(Id("id"))
    carrier: str = wire(Text("carrier"))
    service: str = wire(Text("service"))
    tracking_number: str = wire(Text("tracking_number"))
    shipped_at: datetime | None = wire(Moment("shipped_at"))
    lines: tuple[ShippedLine, ...] = wire(Parts("lines", ShippedLine))


class OrderCommands(CommandTarget):
    """The commands of one account."""

    verbs: Mapping[str, Verb | NotOurs] = {
        **dict.fromkeys(COMMANDS, _NOT_OURS),
        "acknowledge_order": Verb("safe"),
        "submit_shipment": Verb("safe"),
    }
    label_leaves_out = frozenset({"weight_kg", "channel_ship_code"})

    def __init__(self, api: Api) -> None:
        self._api = api

    def acknowledge_order(self, acknowledgement: Acknowledgement, call: Call) -> Accepted:
        """RetailOps has the order."""
        refnum = acknowledgement.order_refnum
        if checked(self._api.read(ORDER, call, order=refnum)).status != OPEN:
            return Accepted()
        body = {"reference": acknowledgement.retailops_order_id}
        answer = self._api.write("POST", ACKNOWLEDGE, body, call, order=refnum)
        if answer.get("status") != ACKNOWLEDGED:
            raise BrokenReply("UNEXPECTED_FORM", f"POST {ACKNOWLEDGE} shows no sign that the order is acknowledged")
        return Accepted()

    def submit_shipment(self, package: Package, call: Call) -> Accepted:
        """A package has left; sending it again changes nothing, for its key is its id."""
        shipment = Shipment(
            package.key,
            package.carrier_name,
            package.carrier_class_name,
            package.tracking_number,
            package.shipped_at,
            tuple(ShippedLine(line.line_refnum, line.quantity) for line in package.lines),
        )
        answer = self._api.write("POST", SHIPMENTS, write(shipment), call, order=package.order_refnum)
        if answer.get("id") != package.key:
            raise BrokenReply("UNEXPECTED_FORM", f"POST {SHIPMENTS} shows no sign of the shipment")
        return Accepted()
