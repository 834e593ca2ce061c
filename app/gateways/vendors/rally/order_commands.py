"""The commands at Rally: each changes the order as it is kept here and then sends Rally the order as it stands.

So every call but a refund may be repeated, and a late one sends the newest state.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from app.domain.commands import (
    Acknowledgement,
    Cancellation,
    CommandBody,
    Completion,
    Package,
    Refund,
    Restatement,
    Settlement,
)
from app.domain.events import Event, about
from app.gateways.calls import Accepted, Call, NotOurs, Verb
from app.gateways.capabilities import CommandTarget, MoneyMover
from app.gateways.vendors.rally.api import Api
from app.gateways.vendors.rally.merchant import Merchant
from app.gateways.vendors.rally.payloads import fulfillment_body, refund_body, snapshot, status_body, status_of
from app.storefront.kept_orders import Kept, KeptOrders
from app.storefront.order_progress import shown_state
from app.storefront.order_store import OrderState, StoredOrder
from app.storefront.refund_rows import refunded_of

_SAFE: Final = (
    "acknowledge_order", "submit_shipment", "correct_shipment", "cancel_order", "complete_order", "update_order",
    "settle_payment",
)  # fmt: skip
"""Commands that send Rally the order as it stands, or its status."""


class RallyCommands(CommandTarget, MoneyMover):
    """The commands of one merchant, those of money among them."""

    label_leaves_out = frozenset({"weight_kg", "channel_ship_code"})

    def __init__(self, merchant: Merchant, api: Api) -> None:
        self._options = options = merchant.options
        self._clock = merchant.clock
        self._orders = KeptOrders(merchant)
        self._api = api
        self.refunds_unshipped = options.refund_unshipped_on_complete
        self.refunds_unused_shipping = options.refund_shipping_when_nothing_ships
        # Rally has no read for refunds, so one of unknown outcome waits for a person (R11).
        repeat = Verb("safe" if options.refund_repeat == "same_id" else "never")
        self.verbs = {
            **dict.fromkeys(_SAFE, Verb("safe")),
            **dict.fromkeys(("return_order", "refund_payment"), repeat),
            "credit_payment": replace(repeat, decided_by="vendor"),
            "record_return": NotOurs("info", "NOT_APPLICABLE", "Rally is told of a return with its refund"),
        }

    def acknowledge_order(self, acknowledgement: Acknowledgement, call: Call) -> Accepted:
        """RetailOps has the order; Rally is sent that only where the merchant configures it."""
        if not self._options.tell_acknowledged or acknowledgement.is_correction:
            return Accepted()
        kept = self._orders.read(acknowledgement.order_refnum)
        return self._send_status(acknowledgement.order_refnum, kept, "paid", call)

    def submit_shipment(self, package: Package, call: Call) -> Accepted:
        """Its status, and what has left, by the path Rally may name one day or in `meta.fulfillments`."""
        state: OrderState = "completed" if package.is_last else "paid"
        kept = self._orders.with_fulfillment(package, state)
        accepted = self._send_status(package.order_refnum, kept, state, call)
        if kept is not None:
            self._send_parcel(package, kept, call)
        return accepted

    def correct_shipment(self, package: Package, call: Call) -> Accepted:
        """Carrier or tracking was mended; which units left stays."""
        return self._send_parcel(package, self._orders.with_fulfillment(package, None), call)

    def cancel_order(self, cancellation: Cancellation, call: Call) -> Accepted:
        """Rally has one word for an order without money, however that came (contract 4.2).

        One that was never paid sends no status, only itself (contract 9).
        """
        refnum = cancellation.order_refnum
        kept = self._orders.read(refnum)
        if kept is None or kept[1].is_paid or kept[1].paid:
            return self._send_state(refnum, "cancelled", call)
        return self._send_whole(refnum, self._orders.in_state(refnum, "cancelled"), call)

    def complete_order(self, completion: Completion, call: Call) -> Accepted:
        return self._send_state(completion.order_refnum, "completed", call)

    def update_order(self, restatement: Restatement, call: Call) -> Accepted:
        """The order as it stands: with nothing of its money left, or with other lines."""
        refnum = restatement.order_refnum
        if restatement.is_paid_back:
            accepted = self._send_status(refnum, self._orders.paid_back(refnum), "refunded", call)
            if accepted.events:
                return accepted
        return self._send_whole(refnum, self._orders.read(refnum), call)

    def settle_payment(self, settlement: Settlement, call: Call) -> Accepted:
        """Rally has charged already and has no capture (contract 6.3): it is sent the order as it stands."""
        kept = self._orders.read(settlement.order_refnum)
        if kept is None:
            return _past_its_date(settlement.order_refnum)
        return self._send_status(settlement.order_refnum, kept, "paid", call)

    def refund_payment(self, refund: Refund, call: Call) -> Accepted:
        """Money back.  One that Rally has accepted is not sent again, whatever became of our own record of it.

        Of an order past its date the ledger alone says what is left (R28).
        """
        kept = self._orders.read(refund.order_refnum)
        document = kept[1] if kept else None
        if document and any(known.key == refund.key for known in document.refunds):
            return Accepted(refnum=refund.key)
        if kept and kept[0].state == "refunded" and kept[1].is_refunded_by_merchant(refund.payment_refnum):
            message = "the merchant had given this payment back at Rally; nothing was paid again"
            event = Event("info", "REFUNDED_AT_RALLY", message, about("order_refnum", refund.order_refnum))
            return Accepted((event,), refund.key)
        refunded = refunded_of(document, refund)
        self._api.send("order-refund-create", refund_body(refund.order_refnum, refunded), call)
        return Accepted(
            refnum=refund.key,
            note=lambda connection: self._orders.note_refunded(connection, refund.order_refnum, refunded),
        )

    def on_confirmed(self, connection: Connection, verb: str, body: CommandBody) -> None:
        """See `CommandTarget`: of all calls only a refund leaves anything here once it is accepted."""
        if isinstance(body, Refund):
            self._orders.note_refund(connection, body)

    def _send_state(self, refnum: str, state: OrderState, call: Call) -> Accepted:
        """The order is in this state, or further already."""
        return self._send_status(refnum, self._orders.in_state(refnum, state), state, call)

    def _send_status(self, refnum: str, kept: Kept | None, state: OrderState, call: Call) -> Accepted:
        """The order's status alone; `state` for one past its date, of which nothing else can be sent (R28).

        The number of such an order is its id.
        """
        number = kept[1].number if kept else refnum
        status = self._status(kept[0]) if kept else status_of(state, self._options)
        self._api.send("order-status-update", status_body(refnum, number, status), call)
        return Accepted() if kept else _past_its_date(refnum)

    def _send_whole(self, refnum: str, kept: Kept | None, call: Call) -> Accepted:
        """The order as it is now; nothing of one past its date."""
        if kept is None:
            return _past_its_date(refnum)
        self._api.send("order-update", snapshot(kept[1], self._status(kept[0])), call)
        return Accepted()

    def _send_parcel(self, package: Package, kept: Kept | None, call: Call) -> Accepted:
        """A parcel, at the path the operator has set, or else with all others in the whole order."""
        if kept is None or not self._options.fulfillment_path:
            return self._send_whole(package.order_refnum, kept, call)
        parcel = next(item for item in kept[1].fulfillments if item.key == package.key)
        body = {"external_order_id": kept[1].refnum, **fulfillment_body(parcel)}
        self._api.send_to(self._options.fulfillment_path, body, call)
        return Accepted()

    def _status(self, stored: StoredOrder) -> str:
        return status_of(shown_state(stored, self._clock()), self._options)


def _past_its_date(refnum: str) -> Accepted:
    message = "the order is not kept here any more; Rally is told its status and refunds alone"
    return Accepted((Event("info", "ORDER_PAST_DATE", message, about("order_refnum", refnum)),))
