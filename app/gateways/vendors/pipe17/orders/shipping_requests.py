"""Reading Pipe17's shipping requests: the queue, the cancelled ones, those named, and one by its id."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.domain import moments
from app.domain.orders import Candidate, HeldBack, OrderSketch, SourceCancellations
from app.errors import BrokenReply, Refused
from app.gateways.calls import Call
from app.gateways.vendors.pipe17.connection import paging
from app.gateways.vendors.pipe17.connection.api import NOT_FOUND, Api, Params, unreadable
from app.gateways.vendors.pipe17.connection.locations import Locations, Served
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.orders.order_mapping import OrderSkus, to_order, to_sketch
from app.gateways.vendors.pipe17.orders.shipments import CANCELLED, READY, RequestState, Shipment
from app.gateways.vendors.pipe17.products.product_cache import ProductCache, batches
from app.gateways.wire_objects import is_possible_id, read, read_all

FEW: Final = 3
"""Up to so many named orders are read one by one, which is proven to work; more are requested as a list."""

UNREADABLE: Final = "the shipping request cannot be read"

log = logging.getLogger(__name__)


class ShippingRequests:
    """What one key sees of them.  An order is a shipping request, so one order of a shop may come as several."""

    def __init__(
        self, options: Pipe17Options, api: Api, locations: Locations, products: ProductCache, channel: str
    ) -> None:
        self._api = api
        self._locations = locations
        self._channel = channel
        self._path = options.shipments_path
        self._one = f"{options.shipments_path}/{{id}}"
        self._skus = OrderSkus(api, products, options.integration_id, channel)

    def queue(
        self, since_ms: int | None, until_ms: int, settings: Pipe17Options, call: Call
    ) -> Iterator[list[Candidate]]:
        """Requests ready at our locations (contract 2.6), oldest first.

        The status is the queue, so there is no time filter unless a cursor is given; that begins a
        millisecond early because it is unknown whether `since` includes its own instant.
        """
        served = self._locations.served(call)
        params: Params = {"status": READY, "locationId": ",".join(served.ids), "order": "createdAt"}
        if since_ms is not None:
            params = {**params, "since": moments.moment_text(max(since_ms - 1, 0))}
        transfers: list[str] = []
        for chunk in paging.in_order(self._pages(params, call), until_ms):
            found = []
            due = []
            for at_ms, shipment in chunk:
                if not isinstance(shipment, Shipment):
                    found.append(_unreadable(shipment.shipment_id, at_ms))
                elif not shipment.is_sale:
                    transfers.append(shipment.shipment_id)
                elif self._is_due(shipment, served, until_ms):
                    due.append((at_ms, shipment))
            found += self._candidates(due, served, settings, call)
            if found:
                yield found
        if transfers:
            ids = ", ".join(transfers)
            log.info("channel %s: transfers of pipe17 are not orders: %s", self._channel, ids)

    def _is_due(self, shipment: Shipment, served: Served, now_ms: int) -> bool:
        """Checked here too, for it is unproven that every filter of the list works."""
        is_ready = shipment.status in ("", READY)
        is_held = shipment.hold_until is not None and moments.to_ms(shipment.hold_until) > now_ms
        is_here = not shipment.location_id or shipment.location_id in served.ids
        return is_ready and is_here and not is_held and self._locations.is_ours(shipment)

    def _candidates(
        self,
        shipments: Sequence[tuple[int, Shipment]],
        served: Served | None,
        settings: Pipe17Options,
        call: Call,
    ) -> list[Candidate]:
        partner_skus = self._partner_skus([shipment for _, shipment in shipments], settings, call)
        facility_of = served.facility_of if served else {}
        found = []
        for at_ms, shipment in shipments:
            order = to_order(shipment, settings, partner_skus, facility_of.get(shipment.location_id, ""))
            found.append(Candidate(shipment.shipment_id, at_ms, order))
        return found

    def _partner_skus(self, shipments: Sequence[Shipment], settings: Pipe17Options, call: Call) -> Mapping[str, str]:
        skus = dict.fromkeys(line.sku for shipment in shipments for line in shipment.lines)
        return self._skus.partner_skus(skus, settings.skus, call)

    def sketch(self, shipment: Shipment, settings: Pipe17Options, call: Call) -> OrderSketch:
        """What is remembered of a request, under RetailOps' SKUs."""
        return to_sketch(shipment, self._partner_skus([shipment], settings, call))

    def cancelled(self, since_ms: int | None, now_ms: int, settings: Pipe17Options, call: Call) -> SourceCancellations:
        """Our requests that Pipe17's people cancelled (contract 2.6, second poll).

        Also those at a location that is not served any more: RetailOps has them, and would ship them.
        """
        cancelled: Params = {"status": ",".join(sorted(CANCELLED)), **self._locations.own_filter}
        changed = paging.changed(
            lambda since: self._pages({**cancelled, **since}, call), self._changed, since_ms, now_ms,
            overlap_s=settings.poll_overlap_s,
        )  # fmt: skip
        return SourceCancellations(tuple(filter(None, changed.items)), changed.until_ms)

    def _pages(self, params: Params, call: Call) -> Iterator[list[Any]]:
        return self._api.pages(self._path, params, call, key="shipments")

    def _changed(self, row: Any) -> tuple[str, int | None, str] | None:
        """Its id, when it changed, and its id again if it is one of ours that is cancelled."""
        shipment = read(Shipment, row)
        if shipment is None:
            return None
        is_called_off = shipment.status in CANCELLED and shipment.is_sale
        refnum = shipment.shipment_id
        own = refnum if is_called_off and self._locations.is_ours(shipment) else ""
        return refnum, moments.ms_if_any(shipment.updated_at), own

    def named(self, refnums: Sequence[str], settings: Pipe17Options, call: Call) -> list[Candidate]:
        """Left out: transfers, requests routed to others, and, without a call, what cannot be an id."""
        possible = list(dict.fromkeys(refnum for refnum in refnums if is_possible_id(refnum)))
        found: list[Shipment] = []
        unreadable_ids: list[str] = []
        # A list takes ids with commas between, so an id that holds one is read by itself.
        alone = possible if len(possible) <= FEW else [refnum for refnum in possible if "," in refnum]
        for refnum in alone:
            try:
                shipment = self.find(refnum, call)
            except BrokenReply:
                unreadable_ids.append(refnum)
            else:
                found += [shipment] if shipment else []
        if unreadable_ids and not found and alone == possible:
            raise unreadable(self._one)
        for some in batches(possible) if alone != possible else ():
            readable, broken = self._find_many(some, call)
            found += readable
            unreadable_ids += broken
        ours = [
            (shipment.created_ms or 0, shipment)
            for shipment in found
            if shipment.is_sale and self._locations.is_ours(shipment)
        ]
        return [
            *(_unreadable(item, 0) for item in unreadable_ids),
            *self._candidates(ours, self._locations.known, settings, call),
        ]

    def _find_many(self, ids: Sequence[str], call: Call) -> tuple[list[Shipment], list[str]]:
        """One list call for at most a page of ids: the requests, and the ids of those that cannot be read.

        Raises `BrokenReply` when the list did not heed them, which it is not proven to do: an order left
        out for that would read as unknown.
        """
        rows = self._api.page(self._path, {"shipmentId": ",".join(ids)}, call, key="shipments").rows
        found = list(read_all(Shipment, rows))
        if any(shipment.shipment_id not in ids for shipment in found):
            raise unreadable(self._path)
        unread = {state.shipment_id for state in read_all(RequestState, rows)} - {item.shipment_id for item in found}
        return found, [item for item in ids if item in unread]

    def find(self, refnum: str, call: Call) -> Shipment | None:
        """One request whatever its state; None also for what cannot be an id, without a call.

        The id is compared with what was read, for `ext:...` in its place reads a request by another number.
        """
        if not is_possible_id(refnum):
            return None
        row = self._api.read_one(self._one, "shipment", refnum, call)
        if row is None:
            return None
        shipment = read(Shipment, row)
        if shipment is None:
            raise unreadable(self._one)
        return shipment if shipment.shipment_id == refnum else None

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
            self._api.write("PUT", self._one, change, call, ids={"id": refnum})
        except Refused as error:
            if error.code == NOT_FOUND:
                raise _unknown(refnum) from error
            message = f"Pipe17 refused the new state of the shipping request ({error.code})"
            raise Refused("STATE_REFUSED", message, association=("order_refnum", refnum)) from error


def _unreadable(refnum: str, at_ms: int) -> Candidate:
    return Candidate(refnum, at_ms, HeldBack(refnum, UNREADABLE))


def _unknown(refnum: str) -> Refused:
    message = "Pipe17 has no such shipping request"
    return Refused("ORDER_UNKNOWN", message, association=("order_refnum", refnum))
