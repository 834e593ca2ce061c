"""Completes a shipping request: rejects what will never ship, and reports what Pipe17 still waits for (R22)."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.commands import Completion
from app.domain.events import Event, about
from app.errors import GatewayError, Refused
from app.gateways.calls import Accepted, Call
from app.gateways.vendors.pipe17.fulfilments.fulfilments import Fulfilments, rejection, rejection_id
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.orders.shipments import CANCELLED, OVER
from app.gateways.vendors.pipe17.orders.shipping_requests import ShippingRequests


class Completions:
    """A rejection is a fulfilment of its own kind, so it is looked for before it is made."""

    def __init__(self, requests: ShippingRequests, fulfilments: Fulfilments, *, rejects_unshipped: bool) -> None:
        self._requests = requests
        self._fulfilments = fulfilments
        self._rejects_unshipped = rejects_unshipped

    def complete(self, completion: Completion, settings: Pipe17Options, call: Call) -> Accepted:
        """Reject what will never ship, then report whether Pipe17 still waits for something.

        Raises a `GatewayError` only where nothing was written.
        """
        events: list[Event] = []
        is_written = False
        if completion.unshipped and self._rejects_unshipped and not self._is_rejected(completion, call):
            is_written, events = self._reject(completion, settings.skus.to_pipe17, call)
        return Accepted((*events, *self._what_is_open(completion, call, may_fail=not is_written)))

    def look_up(self, completion: Completion, call: Call) -> Accepted | None:
        """What an earlier attempt came to; None when no trace of it is visible."""
        if not self._is_rejected(completion, call):
            return None
        return Accepted(self._what_is_open(completion, call, may_fail=False))

    def _is_rejected(self, completion: Completion, call: Call) -> bool:
        return self._fulfilments.find(completion.order_refnum, rejection_id(completion), call) is not None

    def _reject(self, completion: Completion, pipe17_skus: Mapping[str, str], call: Call) -> tuple[bool, list[Event]]:
        """Whether Pipe17 took the rejection now, and the event where it did not (contract 5.2, row 7)."""
        try:
            return self._fulfilments.make(rejection(completion, pipe17_skus), call), []
        except Refused as error:
            message = f"Pipe17 refused to take back the units that will not ship ({error.code})"
            named = about("order_refnum", completion.order_refnum)
            return False, [Event("warning", "REJECTION_REFUSED", message, named)]

    def _what_is_open(self, completion: Completion, call: Call, *, may_fail: bool) -> tuple[Event, ...]:
        """Nothing when Pipe17 waits for nothing more.

        Raises a `GatewayError` when it cannot be read and `may_fail`; after a write that would send the
        same write again.
        """
        named = about("order_refnum", completion.order_refnum)
        try:
            shipment = self._requests.get(completion.order_refnum, call)
        except GatewayError as error:
            if may_fail:
                raise
            message = f"the units were rejected; whether others are open at Pipe17 is unknown ({error.code})"
            return (Event("warning", "STATE_NOT_READ", message, named),)
        if shipment.status in OVER:
            return ()
        if shipment.status in CANCELLED:
            return (Event("warning", "ORDER_CANCELLED", "the shipping request is cancelled in Pipe17", named),)
        message = "Pipe17 still counts units of this request as open"
        return (Event("warning", "UNITS_OPEN_AT_PIPE17", message, named),)
