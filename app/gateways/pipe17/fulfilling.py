"""Fulfilments and their tracking: made once, never changed, so each is looked for before it is made (R24)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.errors import Refused
from app.gateways import words
from app.gateways.interface import Call
from app.gateways.pipe17 import bodies, payloads
from app.gateways.pipe17.api import DUPLICATE, Api
from app.gateways.pipe17.payloads import Fulfillment, Json, Tracking

PATH: Final = "/fulfillments"
TRACKINGS: Final = "/trackings"
TRACKING: Final = "/trackings/{id}"


class Fulfilling:
    """What one key sees and makes of them."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def find(self, shipment_id: str, ext_fulfillment_id: str, call: Call) -> Fulfillment | None:
        """Our fulfilment of a request by our own number of it."""
        params: dict[str, str | int] = {"shipmentId": shipment_id}
        for rows in self._api.pages(PATH, "fulfillments", params, call):
            for row in rows:
                found = payloads.read(Fulfillment, row)
                if found is not None and (found.shipment_id, found.ext_fulfillment_id) == (
                    shipment_id,
                    ext_fulfillment_id,
                ):
                    return found
        return None

    def make(self, body: Json, call: Call) -> bool:
        """False when Pipe17 has it already.

        Raises `Refused` also when it is answered like a list, with a failed item (contract 1.6).
        """
        try:
            results = self._api.write("POST", PATH, body, call).get("fulfillments")
        except Refused as error:
            if error.code == DUPLICATE:
                return False
            raise
        items = results if isinstance(results, list) else []
        if any(payloads.has_failed(item) for item in items):
            raise Refused("ITEM_FAILED", "pipe17 refused the fulfilment")
        return True

    def trackings(self, fulfillment_id: str, call: Call) -> Iterator[Tracking]:
        """What Pipe17 was told of a fulfilment's way since it was made."""
        params: dict[str, str | int] = {"fulfillmentId": fulfillment_id}
        for rows in self._api.pages(TRACKINGS, "trackings", params, call):
            for row in rows:
                found = payloads.read(Tracking, row)
                if found is not None and found.fulfillment_id == fulfillment_id:
                    yield found

    def is_tracked(self, package: words.Package, call: Call) -> bool:
        """Whether Pipe17 knows the package's present tracking number by a tracking of its own."""
        made = self.find(package.order_refnum, package.key, call)
        if made is None:
            return False
        return any(item.number == package.tracking_number for item in self.trackings(made.fulfillment_id, call))

    def track(self, package: words.Package, made: Fulfillment, call: Call) -> bool:
        """Tell a mended tracking number; False when the fulfilment had this one from the first.

        The fulfilment itself is frozen (contract 2.7), so the number goes into a tracking beside it: the one
        that is there, or a new one.
        """
        known = list(self.trackings(made.fulfillment_id, call))
        if not known and made.tracking_number == package.tracking_number:
            return False
        if any(item.number == package.tracking_number for item in known):
            return True
        if known:
            change = bodies.tracking_change(package)
            self._api.write("PUT", TRACKING, change, call, ids={"id": known[-1].tracking_id})
        else:
            self._api.write("POST", TRACKINGS, bodies.tracking(package, made.fulfillment_id), call)
        return True
