"""Pipe17's shipping requests as orders: an order's number is the `shipmentId`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from app.domain.orders import Candidate, OrderSketch, SourceCancellations
from app.errors import SWITCHED_OFF, Misconfigured, Unavailable
from app.gateways.calls import Call
from app.gateways.capabilities import OrderSource
from app.gateways.vendors.pipe17.connection.integration import Integration, using
from app.gateways.vendors.pipe17.connection.locations import Locations
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.orders.shipping_requests import ShippingRequests


class Pipe17Orders(OrderSource):
    """The requests that one key sees, while the flow of orders is on."""

    token = "pipe17"

    def __init__(self, integration: Integration, locations: Locations, requests: ShippingRequests) -> None:
        self.integration = integration
        self._locations = locations
        self._requests = requests

    def fetch_orders(self, since_ms: int | None, until_ms: int, call: Call) -> Iterator[list[Candidate]]:
        """The queue; nothing while the flow is off."""
        with self._unless_off(call), self.integration.using("orders", call) as settings:
            yield from self._requests.queue(since_ms, until_ms, settings, call)

    def fetch_cancellations(self, since_ms: int | None, until_ms: int, call: Call) -> SourceCancellations:
        """What Pipe17's people cancelled; nothing, and the cursor stays, while the flow is off."""
        with self._unless_off(call), self.integration.using("orders", call) as settings:
            return self._requests.cancelled(since_ms, until_ms, settings, call)
        return SourceCancellations((), since_ms or 0)

    def fetch_named(self, refnums: Sequence[str], call: Call) -> list[Candidate]:
        with self._unless_off(call), self.integration.using("orders", call) as settings:
            return self._requests.named(refnums, settings, call)
        return []

    @contextmanager
    def _unless_off(self, call: Call) -> Iterator[None]:
        """Ends quietly where a question failed only because the flow is off: nothing is to be said (contract 4.1)."""
        try:
            yield
        except Unavailable as error:
            if error.code != SWITCHED_OFF:
                raise
        except Misconfigured:
            if not self.integration.why_off("orders", call):
                raise

    @using("orders")
    def find_order(self, settings: Pipe17Options, refnum: str, call: Call) -> OrderSketch | None:
        """None also for what cannot be an id of Pipe17's, without a call."""
        shipment = self._requests.find(refnum, call)
        if shipment is None or not shipment.is_sale or not self._locations.is_ours(shipment):
            return None
        return self._requests.sketch(shipment, settings, call)
