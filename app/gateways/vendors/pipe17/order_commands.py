"""Carries out the commands at Pipe17, each inside the flow it belongs to, and none twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from app.domain.commands import (
    Acknowledgement,
    Cancellation,
    CommandBody,
    Completion,
    Package,
    Refund,
    Restatement,
    ReturnedGoods,
    Settlement,
)
from app.domain.events import Event, about
from app.domain.purchases import Purchase
from app.errors import GatewayError, Refused
from app.gateways.calls import Accepted, Call, NotOurs, Verb
from app.gateways.capabilities import CommandTarget
from app.gateways.vendors.pipe17.connection.api import NoGrant
from app.gateways.vendors.pipe17.connection.integration import FlowOff, Integration
from app.gateways.vendors.pipe17.fulfilments import Fulfilments, about_package, fulfillment, rejection
from app.gateways.vendors.pipe17.orders.shipments import CANCELLED, OVER, SENT, SHIPPED
from app.gateways.vendors.pipe17.orders.shipping_requests import ShippingRequests
from app.gateways.vendors.pipe17.returns import Returns, in_pipe17_skus

UNITS_OPEN: Final = "UNITS_OPEN_AT_PIPE17"
"""Code of the warning that Pipe17 still waits for units of a completed request."""

VERBS: Final[Mapping[str, Verb | NotOurs]] = {
    "acknowledge_order": Verb("safe"),
    "submit_shipment": Verb("lookup"),
    "correct_shipment": Verb("lookup"),
    "cancel_order": Verb("lookup", decided_by="vendor"),
    "complete_order": Verb("lookup"),
    "settle_payment": NotOurs("info", "NOT_APPLICABLE", "Pipe17 sees no payments; the selling channel settles them"),
    "return_order": NotOurs(
        "warning", "NO_MONEY_MOVED", "Pipe17 moves no money; the selling channel refunds this return"
    ),
    "record_return": Verb("lookup"),
    "credit_payment": NotOurs(
        "error", "CREDIT_NOT_HERE", "Pipe17 moves no money; the selling channel has to refund this"
    ),
    "refund_payment": NotOurs(
        "warning", "NO_MONEY_MOVED", "Pipe17 moves no money; the selling channel refunds what will not ship"
    ),
    "update_order": NotOurs(
        "warning",
        "UPDATE_NOT_PASSED_ON",
        "Pipe17's shipping requests cannot be edited; the change stays in RetailOps",
    ),
    "push_catalog": NotOurs(
        "warning",
        "CATALOG_NOT_PASSED_ON",
        "the catalogue was not passed on: only an integration of Pipe17's can say which products it has",
    ),
}
"""How each command behaves here, or why it is not carried out."""


@dataclass(frozen=True, eq=False)
class Pipe17Commands(CommandTarget):
    """The commands of one key."""

    _integration: Integration
    _requests: ShippingRequests
    _fulfilments: Fulfilments
    _returns: Returns

    verbs = VERBS

    def acknowledge_order(self, acknowledged: Acknowledgement, call: Call) -> Accepted:
        """Mark the request as sent to us.  One that was cancelled meanwhile is reported, not failed."""
        with self._integration.using("states", call):
            named = about("order_refnum", acknowledged.order_refnum)
            shipment = self._requests.get(acknowledged.order_refnum, call)
            if shipment.status in CANCELLED:
                message = "the shipping request was cancelled in Pipe17; do not ship it"
                return Accepted((Event("warning", "ORDER_CANCELLED", message, named),))
            reference = acknowledged.retailops_order_id
            if shipment.status in (SENT, *SHIPPED, *OVER):
                if acknowledged.is_correction and shipment.ext_reference_id in ("", acknowledged.previous_order_id):
                    self._requests.put(acknowledged.order_refnum, call, reference=reference)
                    return Accepted()
                if reference and shipment.ext_reference_id not in ("", reference):
                    message = "Pipe17 has it as accepted under another number; somebody else may ship it too"
                    return Accepted((Event("warning", "OTHER_REFERENCE", message, named),))
                return Accepted((Event("info", "ALREADY_ACKNOWLEDGED", "Pipe17 knew it already", named),))
            self._requests.put(acknowledged.order_refnum, call, status=SENT, reference=reference or None)
            return Accepted()

    def submit_shipment(self, package: Package, call: Call) -> Accepted:
        """One fulfilment per package; none can be changed, so it is looked for before it is made (R24)."""
        with self._integration.using("fulfillments", call) as settings:
            if self._fulfilments.find_package(package, call) is None:
                try:
                    if self._fulfilments.make(fulfillment(package, settings.skus.to_pipe17), call):
                        return Accepted()
                except Refused as error:
                    message = (
                        f"Pipe17 refused the fulfilment ({error.code}): the request may be cancelled there, "
                        "or its lines may have fewer units open"
                    )
                    raise Refused("FULFILLMENT_REFUSED", message) from error
            event = Event("info", "ALREADY_REGISTERED", "Pipe17 has this package already", about_package(package))
            return Accepted((event,))

    def correct_shipment(self, package: Package, call: Call) -> Accepted:
        """See `Fulfilments.correct`."""
        return self._fulfilments.correct(package, call)

    def cancel_order(self, cancellation: Cancellation, call: Call) -> Accepted:
        """Cancel a request of which nothing has shipped (R21); Pipe17 may route its units elsewhere."""
        with self._integration.using("states", call) as settings:
            refnum = cancellation.order_refnum
            shipment = self._requests.get(refnum, call)
            if shipment.status in CANCELLED:
                message = "Pipe17 had cancelled it already"
                return Accepted((Event("info", "ALREADY_CANCELLED", message, about("order_refnum", refnum)),))
            if shipment.status in SHIPPED:
                message = "Pipe17 has a fulfilment of this request; nothing was changed"
                raise Refused("ALREADY_SHIPPED", message, association=("order_refnum", refnum))
            self._requests.put(refnum, call, status=settings.cancel_status)
            return Accepted()

    def complete_order(self, completion: Completion, call: Call) -> Accepted:
        """Reject what will never ship, then report whether Pipe17 still waits for something (R22).

        A rejection is a fulfilment of its own kind, so it is looked for before it is made.  Raises a `GatewayError`
        only where nothing was written.
        """
        with self._integration.using("fulfillments", call) as settings:
            refnum = completion.order_refnum
            events: list[Event] = []
            is_written = False
            is_due = completion.unshipped and settings.reject_unshipped
            if is_due and self._fulfilments.find_rejection(completion, call) is None:
                try:
                    is_written = self._fulfilments.make(rejection(completion, settings.skus.to_pipe17), call)
                except Refused as error:  # The order completes all the same (contract 5.2, row 7).
                    message = f"Pipe17 refused to take back the units that will not ship ({error.code})"
                    events.append(Event("warning", "REJECTION_REFUSED", message, about("order_refnum", refnum)))
            still_open = self._what_is_open(refnum, call, may_fail=not is_written)
            # What somebody has closed or cancelled there cannot be rejected, and need not.
            is_waiting = any(event.code == UNITS_OPEN for event in still_open)
            return Accepted((*events, *still_open) if is_waiting else still_open)

    def _what_is_open(self, refnum: str, call: Call, *, may_fail: bool) -> tuple[Event, ...]:
        """Nothing when Pipe17 waits for nothing more.

        Raises a `GatewayError` when it cannot be read and `may_fail`; after a write that would send the
        same write again.
        """
        named = about("order_refnum", refnum)
        try:
            shipment = self._requests.get(refnum, call)
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
        return (Event("warning", UNITS_OPEN, message, named),)

    def records_returns(self, call: Call) -> bool:
        """True while a return is to be made at Pipe17; also while all is switched off there, for then it waits."""
        if not self._integration.settings(call).create_returns:
            return False
        return not self._integration.why_off("returns", call) or bool(self._integration.last.why_all_off)

    def record_return(self, goods: ReturnedGoods, call: Call) -> Accepted:
        """Write what came back; a key or a setting that does not allow it holds nothing up (contract 4.1)."""
        settings = self._integration.settings(call)
        named = about("order_refnum", goods.order_refnum)
        message = "Pipe17 is not told of this return: the flow is off there"
        not_sent = Accepted((Event("info", "RETURN_NOT_PASSED_ON", message, named),))
        if not settings.create_returns:
            return not_sent
        with self._unless_returns_are_off():
            with self._integration.using("states", call):
                order = self._requests.get(goods.order_refnum, call)
            with self._integration.using("returns", call):
                return self._returns.write(in_pipe17_skus(goods, settings.skus.to_pipe17), order, call)
        return not_sent

    @contextmanager
    def _unless_returns_are_off(self) -> Iterator[None]:
        """Ends quietly where the flow of returns is off; while all is switched off at Pipe17, a return waits."""
        try:
            yield
        except NoGrant:
            pass
        except FlowOff:
            if self._integration.last.why_all_off:
                raise

    def look_up(self, verb: str, body: CommandBody, call: Call) -> Accepted | None:
        """Within the flow of the verb, so nothing is read either while that is off."""
        match body:
            case Package() if verb == "correct_shipment":
                with self._integration.using("trackings", call):
                    return Accepted() if self._fulfilments.is_tracked(body, call) else None
            case Package():
                with self._integration.using("fulfillments", call):
                    is_there = self._fulfilments.find_package(body, call) is not None
                return Accepted() if is_there else None
            case Completion():
                with self._integration.using("fulfillments", call):
                    if self._fulfilments.find_rejection(body, call) is None:
                        return None
                    return Accepted(self._what_is_open(body.order_refnum, call, may_fail=False))
            case Cancellation() | Acknowledgement():
                with self._integration.using("states", call):
                    shipment = self._requests.find(body.order_refnum, call)
                states = CANCELLED if isinstance(body, Cancellation) else (SENT,)
                return Accepted() if shipment is not None and shipment.status in states else None
            case ReturnedGoods():  # Where returns are off, `record_return`, which comes next, says so.
                with self._unless_returns_are_off(), self._integration.using("returns", call) as settings:
                    written = in_pipe17_skus(body, settings.skus.to_pipe17)
                    return Accepted() if self._returns.is_written(written, call) else None
                return None
            case Refund() | Settlement() | Restatement() | Purchase():
                return None  # Never queued for Pipe17, which moves no money and takes no changes (R24).
