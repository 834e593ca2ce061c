"""Fulfilments: made once and never changed, so each is searched for before it is made (R24).

A correction of a package's number, carrier and date goes into a tracking beside its fulfilment.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final

from app.domain.commands import Completion, Package, PackageLine
from app.domain.events import Association, Event, about
from app.domain.moments import ms_if_any, to_ms
from app.errors import Refused, Unavailable
from app.gateways.calls import Accepted, Call
from app.gateways.vendors.pipe17.connection.api import Api, NoGrant
from app.gateways.vendors.pipe17.connection.integration import FlowOff, Integration
from app.gateways.vendors.pipe17.orders.shipments import Line
from app.gateways.wire_objects import Figure, Id, ListedId, Moment, Parts, Text, wire, write

PATH: Final = "/fulfillments"
TRACKINGS: Final = "/trackings"

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


def about_package(package: Package) -> tuple[Association, ...]:
    """What an event about a package names."""
    return about("shipment_id", package.retailops_shipment_id) or about("order_refnum", package.order_refnum)


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


@dataclass(frozen=True, eq=False, repr=False)
class Fulfilments:
    """What one key sees and makes of them."""

    _api: Api
    _integration: Integration

    def find(self, shipment_id: str, number: str, call: Call) -> Fulfillment | None:
        """Our fulfilment of a request by our own number of it; the same number of another request is not ours."""
        shown = self._api.objects(PATH, Fulfillment, {"shipmentId": shipment_id}, call)
        found = (item for item in shown if (item.shipment_id, item.ext_fulfillment_id) == (shipment_id, number))
        return next(found, None)

    def find_package(self, package: Package, call: Call) -> Fulfillment | None:
        return self.find(package.order_refnum, number_of(package.order_refnum, package.key), call)

    def find_rejection(self, completion: Completion, call: Call) -> Fulfillment | None:
        return self.find(completion.order_refnum, rejection_id(completion), call)

    def make(self, fulfillment: Fulfillment, call: Call) -> bool:
        """False when Pipe17 has it already.  Raises as `Api.make` does."""
        find = partial(self.find, fulfillment.shipment_id, fulfillment.ext_fulfillment_id, call)
        return self._api.make(PATH, fulfillment, "fulfilment", find, call) is None

    def correct(self, package: Package, call: Call) -> Accepted:
        """Number, carrier and date go into a tracking; what else differs from the fulfilment is a warning.

        Where one part is carried and another is not, there is an event for both; one also says that the grant is
        missing.  Raises `Unavailable` while Pipe17 does not show the fulfilment, which may have been made a moment ago.
        """
        is_sent, reason = self._corrected(package, call)
        if not reason:
            return Accepted()
        named = about_package(package)
        message = f"the package was registered before and Pipe17 cannot change it: {reason}"
        events = [Event("warning", "CANNOT_CORRECT", message, named)]
        if is_sent:
            message = "the package was registered before; its number, carrier and ship date at Pipe17 are corrected"
            events.insert(0, Event("info", "SHIPMENT_CORRECTED", message, named))
        return Accepted(tuple(events))

    def _corrected(self, package: Package, call: Call) -> tuple[bool, str]:
        """Whether a tracking was written, and what Pipe17 has otherwise than the package says; "" for nothing.

        A key without the grant is no error (R24).
        """
        with self._integration.using("fulfillments", call):
            made = self.find_package(package, call)
        if made is None or not made.fulfillment_id:
            raise Unavailable("FULFILLMENT_NOT_SHOWN", "pipe17 does not show the fulfilment of this package yet")
        if not package.tracking_number or not (package.carrier_name or made.carrier):
            return False, "it has no tracking number or no carrier"
        try:
            with self._integration.using("trackings", call):
                is_sent = self._track(package, made, call)
        except Refused as error:
            return False, f"Pipe17 refused the tracking ({error.code})"
        except (NoGrant, FlowOff) as error:
            if isinstance(error, FlowOff) and not self._integration.lacks_grant("trackings"):
                raise
            return False, "this key may not write trackings"
        frozen = _frozen(made, package)
        kept = f"only number, carrier and ship date can be sent; it keeps the earlier {frozen}" if frozen else ""
        return is_sent, kept

    def _trackings(self, fulfillment_id: str, call: Call) -> Iterator[Tracking]:
        """What Pipe17 was sent of a fulfilment's way since it was made."""
        shown = self._api.objects(TRACKINGS, Tracking, {"fulfillmentId": fulfillment_id}, call)
        return (item for item in shown if item.tracking_id and item.fulfillment_id == fulfillment_id)

    def is_tracked(self, package: Package, call: Call) -> bool:
        """Whether a tracking at Pipe17 equals the package as it is now."""
        made = self.find_package(package, call)
        if made is None:
            return False
        return any(_says(item, package, made) for item in self._trackings(made.fulfillment_id, call))

    def _track(self, package: Package, made: Fulfillment, call: Call) -> bool:
        """Send the package's number, carrier and date; False where Pipe17 shows them already.

        The fulfilment itself is frozen (contract 2.7), so they go into a tracking beside it: the one that is
        there, or a new one.
        """
        known = list(self._trackings(made.fulfillment_id, call))
        stands: Tracking | Fulfillment = known[-1] if known else made
        if _says(stands, package, made):
            return False
        tracking = Tracking(
            tracking_number=package.tracking_number,
            carrier=package.carrier_name or made.carrier,
            shipped_at=package.shipped_at,
        )
        if known:
            self._api.change(TRACKINGS, known[-1].tracking_id, write(tracking), call)
        else:
            self._api.post(TRACKINGS, write(replace(tracking, fulfillment_id=made.fulfillment_id)), call)
        return True


def _says(stands: Tracking | Fulfillment, package: Package, made: Fulfillment) -> bool:
    """Whether the number, the carrier and the date of a package stand there; a date it does not state counts not."""
    is_dated = package.shipped_at is None or ms_if_any(stands.shipped_at) == to_ms(package.shipped_at)
    carrier = package.carrier_name or made.carrier
    return stands.tracking_number == package.tracking_number and stands.carrier == carrier and is_dated


def _frozen(made: Fulfillment, package: Package) -> str:
    """What the fulfilment says otherwise and no tracking can hold, by name; "" for nothing."""
    units = Counter[str]()
    for line in package.lines:
        units[line.line_refnum] += line.quantity
    has_other_class = package.carrier_class_name not in ("", made.carrier_class)
    has_other_weight = made.weight_unit == KILOGRAM and made.weight not in (None, package.weight_kg)
    has_other_units = bool(made.units) and made.units != units
    named = {"service class": has_other_class, "weight": has_other_weight, "contents": has_other_units}
    return " and ".join(name for name, is_other in named.items() if is_other)
