"""Pipe17's shipping requests by their ids: read, and given a new state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.errors import Refused
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection.api import NOT_FOUND, SHIPMENTS, Api
from app.gateways.vendors.pipe17.orders.shipments import RequestState, Shipment
from app.gateways.vendors.pipe17.products.product_cache import batches
from app.gateways.wire_objects import is_possible_id, read


@dataclass(frozen=True, eq=False, repr=False)
class ShippingRequests:
    """What one key sees of them.  An order is a shipping request, so one order of a shop may come as several."""

    _api: Api

    def find(self, refnum: str, call: Call) -> Shipment | None:
        """One request whatever its state; None also for what cannot be an id, without a call.

        The id is compared with what was read, for `ext:...` in its place reads a request by another number.
        """
        if not is_possible_id(refnum):
            return None
        row = self._api.read_one(SHIPMENTS, refnum, call)
        if row is None:
            return None
        shipment = read(Shipment, row)
        if shipment is None:
            raise self._api.unreadable(SHIPMENTS, is_one=True)
        return shipment if shipment.shipment_id == refnum else None

    def listed(self, refnums: Sequence[str], call: Call) -> Iterator[tuple[RequestState, Shipment | None]]:
        """The state of each request that is there, and the request where it can be read.

        An id that holds a comma is left out, for a list takes ids with commas between.  Raises `BrokenReply` when it
        did not heed the ids, which it is not proven to do: a request left out for that would read as unknown.
        """
        for ids in batches(refnums):
            for rows in self._api.pages(SHIPMENTS, {"shipmentId": ",".join(ids)}, call):
                for state, row in ((read(RequestState, row), row) for row in rows):
                    if state is not None and state.shipment_id not in ids:
                        raise self._api.unreadable(SHIPMENTS)
                    if state is not None:
                        yield state, read(Shipment, row)

    def get(self, refnum: str, call: Call) -> Shipment:
        """As `find`; raises `Refused` ORDER_UNKNOWN where there is none."""
        shipment = self.find(refnum, call)
        if shipment is None:
            raise _unknown(refnum)
        return shipment

    def put(self, refnum: str, call: Call, *, status: str | None = None, reference: str | None = None) -> None:
        """Give a request a new state or our number of it; None leaves it as it is (contract 2.6).

        Raises `Refused` in our own words.
        """
        stated = {"status": status, "extReferenceId": reference}
        change = {name: value for name, value in stated.items() if value is not None}
        try:
            self._api.change(SHIPMENTS, refnum, change, call)
        except Refused as error:
            if error.code == NOT_FOUND:
                raise _unknown(refnum) from error
            message = f"Pipe17 refused the new state of the shipping request ({error.code})"
            raise Refused("STATE_REFUSED", message, association=("order_refnum", refnum)) from error


def _unknown(refnum: str) -> Refused:
    message = "Pipe17 has no such shipping request"
    return Refused("ORDER_UNKNOWN", message, association=("order_refnum", refnum))
