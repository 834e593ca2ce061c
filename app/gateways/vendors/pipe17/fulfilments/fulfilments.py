"""Fulfilments and their tracking: made once, never changed, so each is looked for before it is made (R24)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from app.domain.commands import Package
from app.errors import Refused, Unavailable
from app.gateways.interface import Call
from app.gateways.vendors.pipe17 import bodies, payloads
from app.gateways.vendors.pipe17.connection.api import DUPLICATE, Api
from app.gateways.vendors.pipe17.connection.moments import to_ms
from app.gateways.vendors.pipe17.payloads import Fulfillment, Json, Tracking

PATH: Final = "/fulfillments"
TRACKINGS: Final = "/trackings"
TRACKING: Final = "/trackings/{id}"


class Fulfilments:
    """What one key sees and makes of them."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def find(self, shipment_id: str, number: str, call: Call) -> Fulfillment | None:
        """Our fulfilment of a request by our own number of it; the same number of another request is not ours."""
        params: dict[str, str | int] = {"shipmentId": shipment_id}
        for rows in self._api.pages(PATH, "fulfillments", params, call):
            for row in rows:
                found = payloads.read(Fulfillment, row)
                if found is not None and (found.shipment_id, found.ext_fulfillment_id) == (shipment_id, number):
                    return found
        return None

    def find_package(self, package: Package, call: Call) -> Fulfillment | None:
        return self.find(package.order_refnum, bodies.number_of(package.order_refnum, package.key), call)

    def make(self, body: Json, call: Call) -> bool:
        """False when Pipe17 has it already.

        Raises `Refused` also when it is answered like a list, with a failed item (contract 1.6), and `Unavailable`
        while Pipe17 says that the number is taken and does not show by which fulfilment (R24).
        """
        try:
            results = self._api.write("POST", PATH, body, call).get("fulfillments")
        except Refused as error:
            if error.code != DUPLICATE:
                raise
            if self.find(body["shipmentId"], body[payloads.EXT_FULFILLMENT_ID], call) is None:
                raise duplicate_unseen("fulfilment") from error
            return False
        items = results if isinstance(results, list) else []
        if any(payloads.has_failed(item) for item in items):
            raise Refused("ITEM_FAILED", "pipe17 refused the fulfilment")
        return True

    def trackings(self, fulfillment_id: str, call: Call) -> Iterator[Tracking]:
        """What Pipe17 was sent of a fulfilment's way since it was made."""
        params: dict[str, str | int] = {"fulfillmentId": fulfillment_id}
        for rows in self._api.pages(TRACKINGS, "trackings", params, call):
            for row in rows:
                found = payloads.read(Tracking, row)
                if found is not None and found.fulfillment_id == fulfillment_id:
                    yield found

    def is_tracked(self, package: Package, call: Call) -> bool:
        """Whether a tracking at Pipe17 says what the package says now."""
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
        body = bodies.tracking(package, package.carrier_name or made.carrier)
        if known:
            self._api.write("PUT", TRACKING, body, call, ids={"id": known[-1].tracking_id})
        else:
            self._api.write("POST", TRACKINGS, {"fulfillmentId": made.fulfillment_id, **body}, call)
        return True


def _says(stands: Tracking | Fulfillment, package: Package, made: Fulfillment) -> bool:
    """Whether the number, the carrier and the date of a package stand there; a date it does not state counts not."""
    number = stands.number if isinstance(stands, Tracking) else stands.tracking_number
    is_dated = package.shipped_at is None or _ms(stands.shipped_at) == _ms(package.shipped_at)
    carrier = package.carrier_name or made.carrier
    return number == package.tracking_number and stands.carrier == carrier and is_dated


def _ms(at: datetime | None) -> int | None:
    return None if at is None else to_ms(at)


def duplicate_unseen(kind: str) -> Unavailable:
    """The error for a number that is taken by something Pipe17 does not show yet: surely nothing was done."""
    message = f"pipe17 has our number of this {kind} already and does not show the {kind} yet"
    return Unavailable("DUPLICATE_NOT_SHOWN", message)
