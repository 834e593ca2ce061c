"""The calls that inform Rally of an order: its status, the whole order, its shipments."""

from __future__ import annotations

from app.gateways.calls import Call
from app.gateways.vendors.rally.api import Api
from app.gateways.vendors.rally.hook_responses import status_of
from app.gateways.vendors.rally.merchant import Merchant
from app.gateways.vendors.rally.payloads import fulfillment_body, snapshot, status_body
from app.storefront.order_document import OrderDocument
from app.storefront.order_progress import shown_state
from app.storefront.order_store import State, StoredOrder


class OrderWebhooks:
    """One merchant's orders.  Everything raises a `GatewayError`."""

    def __init__(self, merchant: Merchant, api: Api) -> None:
        self._options = merchant.options
        self._clock = merchant.clock
        self._api = api

    def status(self, stored: StoredOrder, document: OrderDocument, call: Call) -> None:
        """The order's status alone."""
        body = status_body(document.refnum, document.number, self._status(stored), self._options)
        self._api.send("order-status-update", body, call)

    def bare_status(self, refnum: str, state: State, call: Call) -> None:
        """All that can be sent of an order past its date (R28); its number is its id."""
        body = status_body(refnum, refnum, status_of(state, self._options), self._options)
        self._api.send("order-status-update", body, call)

    def whole(self, stored: StoredOrder, document: OrderDocument, call: Call) -> None:
        """The order as it is now."""
        self._api.send("order-update", snapshot(document, self._status(stored), self._options), call)

    def parcel(self, stored: StoredOrder, document: OrderDocument, key: str, call: Call) -> None:
        """A parcel, at the path the operator has set, or else with all others in the whole order."""
        if not self._options.fulfillment_path:
            self.whole(stored, document, call)
            return
        parcel = next(item for item in document.fulfillments if item.key == key)
        body = {
            "organization_id": self._options.organization_id,
            "external_order_id": document.refnum,
            **fulfillment_body(parcel),
        }
        self._api.send_to(self._options.fulfillment_path, body, call)

    def _status(self, stored: StoredOrder) -> str:
        return status_of(shown_state(stored, self._clock()), self._options)
