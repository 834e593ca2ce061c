"""The commands at Rally: each changes the order as it is kept here and then sends Rally the order as it stands.

So every call but a refund may be repeated, and a late one sends the newest state.
"""

from __future__ import annotations

from collections.abc import Mapping

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
from app.gateways.vendors.rally.order_webhooks import OrderWebhooks
from app.gateways.vendors.rally.payloads import refund_body
from app.storefront.kept_orders import KeptOrders
from app.storefront.order_store import State
from app.storefront.refund_rows import refunded_of


class RallyCommands(CommandTarget, MoneyMover):
    """The commands of one merchant, those of money among them."""

    label_leaves_out = frozenset({"weight_kg", "channel_ship_code"})

    def __init__(self, merchant: Merchant, api: Api) -> None:
        self._options = options = merchant.options
        self._orders = KeptOrders(merchant)
        self._webhooks = OrderWebhooks(merchant, api)
        self._api = api
        self.refunds_unshipped = options.refund_unshipped_on_complete
        self.refunds_unused_shipping = options.refund_shipping_when_nothing_ships
        # Rally has no read for refunds, so one of unknown outcome waits for a person (R11).
        repeat: Verb = Verb("safe" if options.refund_repeat == "same_id" else "never")
        self.verbs: Mapping[str, Verb | NotOurs] = {
            "acknowledge_order": Verb("safe"),
            "submit_shipment": Verb("safe"),
            "correct_shipment": Verb("safe"),
            "cancel_order": Verb("safe"),
            "complete_order": Verb("safe"),
            "update_order": Verb("safe"),
            "settle_payment": Verb("safe"),
            "return_order": repeat,
            "refund_payment": repeat,
            "credit_payment": Verb(repeat.repeat, decided_by="vendor"),
            "record_return": NotOurs("info", "NOT_APPLICABLE", "Rally is told of a return with its refund"),
            "push_catalog": NotOurs("info", "NOT_APPLICABLE", "the catalogue is told as a fact, not as a command"),
        }

    def acknowledge_order(self, acknowledgement: Acknowledgement, call: Call) -> Accepted:
        """RetailOps has the order; Rally is sent that only where the merchant configures it."""
        if not self._options.tell_acknowledged or acknowledgement.is_correction:
            return Accepted()
        kept = self._orders.read(acknowledgement.order_refnum)
        if kept is None:
            return self._send_bare(acknowledgement.order_refnum, "paid", call)
        self._webhooks.status(*kept, call)
        return Accepted()

    def submit_shipment(self, package: Package, call: Call) -> Accepted:
        """Its status, and what has left, by the path Rally may name one day or in `meta.fulfillments`."""
        state: State = "completed" if package.is_last else "paid"
        kept = self._orders.with_fulfillment(package, state)
        if kept is None:
            return self._send_bare(package.order_refnum, state, call)
        self._webhooks.status(*kept, call)
        self._webhooks.parcel(*kept, package.key, call)
        return Accepted()

    def correct_shipment(self, package: Package, call: Call) -> Accepted:
        """Carrier or tracking was mended; which units left stays."""
        kept = self._orders.with_fulfillment(package, None)
        if kept is None:
            return Accepted((_past_its_date(package.order_refnum),))
        self._webhooks.parcel(*kept, package.key, call)
        return Accepted()

    def cancel_order(self, cancellation: Cancellation, call: Call) -> Accepted:
        """Rally has one word for an order without money, however that came (contract 4.2).

        One that was never paid sends no status, only itself (contract 9).
        """
        kept = self._orders.read(cancellation.order_refnum)
        if kept is None or kept[1].is_paid or kept[1].paid:
            return self._send_state(cancellation.order_refnum, "cancelled", call)
        cancelled = self._orders.in_state(cancellation.order_refnum, "cancelled")
        if cancelled is not None:
            self._webhooks.whole(*cancelled, call)
        return Accepted()

    def complete_order(self, completion: Completion, call: Call) -> Accepted:
        return self._send_state(completion.order_refnum, "completed", call)

    def update_order(self, restatement: Restatement, call: Call) -> Accepted:
        """The order as it stands: with nothing of its money left, or with other lines."""
        if restatement.is_paid_back:
            accepted = self._send_state(restatement.order_refnum, "refunded", call)
            if accepted.events:
                return accepted
        kept = self._orders.read(restatement.order_refnum)
        if kept is None:
            return Accepted((_past_its_date(restatement.order_refnum),))
        self._webhooks.whole(*kept, call)
        return Accepted()

    def settle_payment(self, settlement: Settlement, call: Call) -> Accepted:
        """Rally has charged already and has no capture (contract 6.3): it is sent the order as it stands."""
        kept = self._orders.read(settlement.order_refnum)
        if kept is None:
            return Accepted((_past_its_date(settlement.order_refnum),))
        self._webhooks.status(*kept, call)
        return Accepted()

    def refund_payment(self, refund: Refund, call: Call) -> Accepted:
        """Money back.  One that Rally has accepted is not sent again, whatever became of our own record of it.

        Of an order past its date the ledger alone says what is left (R28).
        """
        kept = self._orders.read(refund.order_refnum)
        document = kept[1] if kept else None
        if document and any(known.key == refund.key for known in document.refunds):
            return Accepted(refnum=refund.key)
        if kept and kept[0].state == "refunded":
            message = "the merchant had given the money back at Rally; nothing was paid again"
            event = Event("info", "REFUNDED_AT_RALLY", message, about("order_refnum", refund.order_refnum))
            return Accepted((event,), refund.key)
        refunded = refunded_of(document, refund)
        self._api.send("order-refund-create", refund_body(refund.order_refnum, refunded, self._options), call)
        return Accepted(
            refnum=refund.key,
            note=lambda connection: self._orders.note_refunded(connection, refund.order_refnum, refunded),
        )

    def on_confirmed(self, connection: Connection, verb: str, body: CommandBody) -> None:
        """See `CommandTarget`: of all calls only a refund leaves anything here once it is accepted."""
        if isinstance(body, Refund):
            self._orders.note_refund(connection, body)

    def _send_state(self, refnum: str, state: State, call: Call) -> Accepted:
        """The order is in this state, or further already."""
        kept = self._orders.in_state(refnum, state)
        if kept is None:
            return self._send_bare(refnum, state, call)
        self._webhooks.status(*kept, call)
        return Accepted()

    def _send_bare(self, refnum: str, state: State, call: Call) -> Accepted:
        self._webhooks.bare_status(refnum, state, call)
        return Accepted((_past_its_date(refnum),))


def _past_its_date(refnum: str) -> Event:
    message = "the order is past its date and not kept here any more; Rally is told its status and refunds alone"
    return Event("info", "ORDER_PAST_DATE", message, about("order_refnum", refnum))
