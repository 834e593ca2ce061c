"""Fulfilments and their trackings: made once and never changed, so each is searched for before it is made (R24)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from app.domain.commands import Completion, Package, PackageLine
from app.domain.moments import ms_if_any, to_ms
from app.errors import Refused, Unavailable
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import DUPLICATE, Api
from app.gateways.vendors.pipe17.orders.shipments import Line
from app.gateways.wire_objects import Figure, Id, ListedId, Moment, Parts, Text, wire, write

PATH: Final = "/fulfillments"
TRACKINGS: Final = "/trackings"
TRACKING: Final = "/trackings/{id}"

LONGEST_ORDER: Final = 64
"""An order's id stands in our numbers as it is up to so many characters; they are documented as 16."""

KILOGRAM: Final = "kg"
REJECTED: Final = "rejected"


@dataclass(frozen=True)
class Fulfillment:
    """One parcel, or units that will never ship (contract 3.6; guessed names, see UNVERIFIED.md)."""

    shipment_id: str = wire(Id("shipmentId"))
    ext_fulfillment_id: str = wire(Id("extFulfillmentId"))
    """Our own number of it."""
    fulfillment_id: str = wire(Id("fulfillmentId"))
    type: str = wire(Text("fulfillmentType"))
    lines: tuple[Line, ...] = wire(Parts("lineItems", Line))
    tracking_number: str = wire(ListedId("trackingNumber"))
    """The first one, where there are several."""
    carrier: str = wire(Text("shippingCarrier"))
    carrier_class: str = wire(Text("shippingClass"))
    shipped_at: datetime | None = wire(Moment("actualShipDate"))
    weight: Decimal | None = wire(Figure("weight"))
    weight_unit: str = wire(Text("weightUnit"))

    @property
    def units(self) -> Mapping[str, Decimal]:
        """Quantity by the line's uniqueId."""
        return {line.unique_id: line.quantity for line in self.lines if line.unique_id}


@dataclass(frozen=True)
class Tracking:
    """A tracking added to a fulfilment after it was made (contract 3.7)."""

    tracking_id: str = wire(Id("trackingId"))
    fulfillment_id: str = wire(Id("fulfillmentId"))
    tracking_number: str = wire(Id("trackingNumber"))
    carrier: str = wire(Text("shippingCarrier"))
    shipped_at: datetime | None = wire(Moment("actualShipDate"))


def fulfillment(package: Package, pipe17_skus: Mapping[str, str]) -> Fulfillment:
    """The fulfilment of one parcel; `pipe17_skus` by RetailOps' SKU, where they differ."""
    weight_kg = package.weight_kg if package.weight_kg is not None and package.weight_kg > 0 else None
    return Fulfillment(
        package.order_refnum,
        number_of(package.order_refnum, package.key),
        lines=_lines(package.lines, pipe17_skus),
        tracking_number=package.tracking_number,
        carrier=package.carrier_name,
        carrier_class=package.carrier_class_name,
        shipped_at=package.shipped_at,
        weight=weight_kg,
        weight_unit="" if weight_kg is None else KILOGRAM,
    )


def rejection(completion: Completion, pipe17_skus: Mapping[str, str]) -> Fulfillment:
    """The fulfilment that closes units which will never ship (contract 2.7)."""
    lines = _lines(completion.unshipped, pipe17_skus)
    return Fulfillment(completion.order_refnum, rejection_id(completion), type=REJECTED, lines=lines)


def rejection_id(completion: Completion) -> str:
    """One rejection per completion of an order, so its id follows from the order's and the completion's number."""
    further = f"-{completion.number}" if completion.number > 1 else ""
    return number_of(completion.order_refnum, f"{REJECTED}{further}")


def number_of(order_refnum: str, key: str) -> str:
    """Our number of a package, a return or a rejection at Pipe17.

    It holds the order, for one box, and one number of RetailOps', may serve two (R24): so a number that is taken
    already is taken by the same order.
    """
    if len(order_refnum) > LONGEST_ORDER:
        order_refnum = hashlib.sha256(order_refnum.encode()).hexdigest()[:24]
    return f"{order_refnum}-{key}"


def _lines(lines: Sequence[PackageLine], pipe17_skus: Mapping[str, str]) -> tuple[Line, ...]:
    """Each line under the SKU its request has, which is remembered with the order since it was fetched."""
    return tuple(
        Line(Decimal(line.quantity), line.line_refnum, line.source_sku or pipe17_skus.get(line.sku, line.sku))
        for line in lines
    )


class Fulfilments:
    """What one key sees and makes of them."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def find(self, shipment_id: str, number: str, call: Call) -> Fulfillment | None:
        """Our fulfilment of a request by our own number of it; the same number of another request is not ours."""
        shown = self._api.objects(PATH, Fulfillment, {"shipmentId": shipment_id}, call)
        found = (item for item in shown if (item.shipment_id, item.ext_fulfillment_id) == (shipment_id, number))
        return next(found, None)

    def find_package(self, package: Package, call: Call) -> Fulfillment | None:
        return self.find(package.order_refnum, number_of(package.order_refnum, package.key), call)

    def make(self, fulfillment: Fulfillment, call: Call) -> bool:
        """False when Pipe17 has it already.

        Raises `Unavailable` while Pipe17 says that the number is taken and does not show by which fulfilment (R24).
        """
        try:
            self._api.make(PATH, fulfillment, call)
        except Refused as error:
            if error.code != DUPLICATE:
                raise
            if self.find(fulfillment.shipment_id, fulfillment.ext_fulfillment_id, call) is None:
                raise duplicate_unseen("fulfilment") from error
            return False
        return True

    def trackings(self, fulfillment_id: str, call: Call) -> Iterator[Tracking]:
        """What Pipe17 was sent of a fulfilment's way since it was made."""
        shown = self._api.objects(TRACKINGS, Tracking, {"fulfillmentId": fulfillment_id}, call)
        return (item for item in shown if item.tracking_id and item.fulfillment_id == fulfillment_id)

    def is_tracked(self, package: Package, call: Call) -> bool:
        """Whether a tracking at Pipe17 equals the package as it is now."""
        made = self.find_package(package, call)
        if made is None:
            return False
        return any(_says(item, package, made) for item in self.trackings(made.fulfillment_id, call))

    def track(self, package: Package, made: Fulfillment, call: Call) -> bool:
        """Send the package's number, carrier and date; False where Pipe17 shows them already.

        The fulfilment itself is frozen (contract 2.7), so they go into a tracking beside it: the one that is
        there, or a new one.
        """
        known = list(self.trackings(made.fulfillment_id, call))
        stands: Tracking | Fulfillment = known[-1] if known else made
        if _says(stands, package, made):
            return False
        tracking = Tracking(
            tracking_number=package.tracking_number,
            carrier=package.carrier_name or made.carrier,
            shipped_at=package.shipped_at,
        )
        if known:
            self._api.write("PUT", TRACKING, write(tracking), call, ids={"id": known[-1].tracking_id})
        else:
            self._api.write("POST", TRACKINGS, write(replace(tracking, fulfillment_id=made.fulfillment_id)), call)
        return True


def _says(stands: Tracking | Fulfillment, package: Package, made: Fulfillment) -> bool:
    """Whether the number, the carrier and the date of a package stand there; a date it does not state counts not."""
    is_dated = package.shipped_at is None or ms_if_any(stands.shipped_at) == to_ms(package.shipped_at)
    carrier = package.carrier_name or made.carrier
    return stands.tracking_number == package.tracking_number and stands.carrier == carrier and is_dated


def duplicate_unseen(kind: str) -> Unavailable:
    """The error for a number that is taken by something Pipe17 does not show yet: surely nothing was done."""
    message = f"pipe17 has our number of this {kind} already and does not show the {kind} yet"
    return Unavailable("DUPLICATE_NOT_SHOWN", message)
