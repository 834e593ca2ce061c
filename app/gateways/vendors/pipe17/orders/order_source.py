"""Pipe17's shipping requests as orders: an order's number is the `shipmentId`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from app.domain import moments
from app.domain.orders import Candidate, HeldBack, OrderSketch, SourceCancellations
from app.errors import BrokenReply, Misconfigured
from app.gateways.calls import Call
from app.gateways.capabilities import OrderSource
from app.gateways.vendors.pipe17.connection import paging
from app.gateways.vendors.pipe17.connection.api import SHIPMENTS, TOKEN, Api, Params
from app.gateways.vendors.pipe17.connection.integration import FlowOff, Integration
from app.gateways.vendors.pipe17.connection.locations import Locations, Served
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.orders.order_mapping import OrderSkus, to_order, to_sketch
from app.gateways.vendors.pipe17.orders.shipments import CANCELLED, READY, Shipment
from app.gateways.vendors.pipe17.orders.shipping_requests import ShippingRequests
from app.gateways.wire_objects import is_possible_id, read

FEW: Final = 3
"""Up to so many named orders are read one by one, which is proven to work; more are requested as a list."""

UNREADABLE: Final = "the shipping request cannot be read"

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, repr=False)
class Pipe17Orders(OrderSource):
    """The requests that one key sees, while the flow of orders is on."""

    _api: Api
    _integration: Integration
    _locations: Locations
    _requests: ShippingRequests
    _skus: OrderSkus

    token = TOKEN

    def fetch_orders(self, since_ms: int | None, until_ms: int, call: Call) -> Iterator[list[Candidate]]:
        """Requests ready at our locations (contract 2.6); nothing while the flow is off.

        The status is the queue, so there is no time filter unless a cursor is given; that begins a
        millisecond early because it is unknown whether `since` includes its own instant.
        """
        with self._unless_off(call), self._integration.using("orders", call) as settings:
            served = self._locations.served(call)
            params: Params = {"status": READY, "locationId": ",".join(served.ids), "order": "createdAt"}
            if since_ms is not None:
                params = {**params, "since": moments.moment_text(max(since_ms - 1, 0))}
            transfers: list[str] = []
            for chunk in paging.in_order(self._api.pages(SHIPMENTS, params, call), until_ms):
                unread, due = [], []
                for at_ms, shipment in chunk:
                    if not isinstance(shipment, Shipment):
                        unread.append(_unread(shipment.shipment_id, at_ms))
                    elif not shipment.is_sale:
                        transfers.append(shipment.shipment_id)
                    elif self._is_due(shipment, served, until_ms):
                        due.append((at_ms, shipment))
                if found := unread + self._candidates(due, served, settings, call):
                    yield found
            if transfers:
                ids = ", ".join(transfers)
                log.info("channel %s: transfers of pipe17 are not orders: %s", self._api.channel, ids)

    def fetch_cancellations(self, since_ms: int | None, until_ms: int, call: Call) -> SourceCancellations:
        """Our requests that Pipe17's people cancelled (contract 2.6, second poll).

        Also those at a location that is not served any more: RetailOps has them, and would ship them.  Nothing, and
        the cursor stays, while the flow is off.
        """
        with self._unless_off(call), self._integration.using("orders", call) as settings:
            cancelled: Params = {"status": ",".join(sorted(CANCELLED)), **self._locations.own_filter}
            changed = paging.changed(
                lambda since: self._api.pages(SHIPMENTS, {**cancelled, **since}, call), self._changed, since_ms,
                until_ms, overlap_s=settings.poll_overlap_s,
            )  # fmt: skip
            return SourceCancellations(tuple(filter(None, changed.items)), changed.until_ms)
        return SourceCancellations((), since_ms or 0)

    def fetch_named(self, refnums: Sequence[str], call: Call) -> list[Candidate]:
        """Left out: transfers, requests routed to others, and, without a call, what cannot be an id."""
        with self._unless_off(call), self._integration.using("orders", call) as settings:
            found, unread = self._read_named(list(dict.fromkeys(filter(is_possible_id, refnums))), call)
            ours = [(item.created_ms or 0, item) for item in found if item.is_sale and self._locations.is_ours(item)]
            return unread + self._candidates(ours, self._locations.known, settings, call)
        return []

    def find_order(self, refnum: str, call: Call) -> OrderSketch | None:
        """What is remembered of a request; None also for what cannot be an id of Pipe17's, without a call."""
        with self._integration.using("orders", call) as settings:
            shipment = self._requests.find(refnum, call)
            if shipment is None or not shipment.is_sale or not self._locations.is_ours(shipment):
                return None
            return to_sketch(shipment, self._skus.partner_skus([shipment], settings.skus, call))

    @contextmanager
    def _unless_off(self, call: Call) -> Iterator[None]:
        """Ends quietly where a question failed only because the flow is off: nothing is to be said (contract 4.1)."""
        try:
            yield
        except FlowOff:
            pass
        except Misconfigured:
            if not self._integration.why_off("orders", call):
                raise

    def _is_due(self, shipment: Shipment, served: Served, now_ms: int) -> bool:
        """Checked here too, for it is unproven that every filter of the list works."""
        is_ready = shipment.status in ("", READY)
        is_held = shipment.hold_until is not None and moments.to_ms(shipment.hold_until) > now_ms
        is_here = not shipment.location_id or shipment.location_id in served.ids
        return is_ready and is_here and not is_held and self._locations.is_ours(shipment)

    def _changed(self, row: Any) -> tuple[str, int | None, str] | None:
        """Its id, when it changed, and its id again if it is one of ours that is cancelled."""
        shipment = read(Shipment, row)
        if shipment is None:
            return None
        is_called_off = shipment.status in CANCELLED and shipment.is_sale
        refnum = shipment.shipment_id
        own = refnum if is_called_off and self._locations.is_ours(shipment) else ""
        return refnum, moments.ms_if_any(shipment.updated_at), own

    def _read_named(self, ids: Sequence[str], call: Call) -> tuple[list[Shipment], list[Candidate]]:
        """The requests, and those that cannot be read.

        Raises `BrokenReply` where that is true of all of a few.
        """
        found: list[Shipment] = []
        unread: list[Candidate] = []
        is_few = len(ids) <= FEW
        for refnum in ids:
            if is_few or "," in refnum:  # A list leaves it out.
                try:
                    found += filter(None, [self._requests.find(refnum, call)])
                except BrokenReply:
                    unread.append(_unread(refnum, 0))
        if is_few and unread and not found:
            raise self._api.unreadable(SHIPMENTS, is_one=True)
        for state, shipment in () if is_few else self._requests.listed(ids, call):
            if shipment is not None:
                found.append(shipment)
            else:
                unread.append(_unread(state.shipment_id, 0))
        return found, unread

    def _candidates(
        self, shipments: Sequence[tuple[int, Shipment]], served: Served | None, settings: Pipe17Options, call: Call
    ) -> list[Candidate]:
        """The requests, each with its milliseconds of creation, as orders."""
        partner_skus = self._skus.partner_skus([shipment for _, shipment in shipments], settings.skus, call)
        facility_of: Mapping[str, str] = served.facility_of if served else {}
        found = []
        for at_ms, shipment in shipments:
            order = to_order(shipment, settings, partner_skus, facility_of.get(shipment.location_id, ""))
            found.append(Candidate(shipment.shipment_id, at_ms, order))
        return found


def _unread(refnum: str, at_ms: int) -> Candidate:
    return Candidate(refnum, at_ms, HeldBack(refnum, UNREADABLE))
