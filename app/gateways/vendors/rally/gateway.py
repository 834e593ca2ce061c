"""Rally as a source of orders: they are kept here, and Rally is informed of what becomes of them.

Questions are answered from the records.  A command changes the order as it is kept and then tells Rally how it
stands; so every call but a refund may be repeated, and a late one tells the newest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from sqlalchemy import Connection

from app.domain.catalogue import ProductChange, ProductSent
from app.domain.commands import (
    Acknowledgement,
    Cancellation,
    CommandBody,
    Completion,
    OrderChange,
    OrderChanged,
    Package,
    Refund,
    Restatement,
    Settlement,
)
from app.domain.events import Event, about
from app.domain.orders import CalledOff, Candidate, Order, OrderSketch
from app.domain.stock import StockChange, StockSent
from app.errors import GatewayError, Misconfigured, Refused
from app.gateways.interface import Accepted, Call, Gateway, Health, NotOurs, Tools, Verb
from app.gateways.vendors.rally.api import Api, client_of
from app.gateways.vendors.rally.facts import Facts
from app.gateways.vendors.rally.health import findings_of
from app.gateways.vendors.rally.hook_registry import HookRegistry
from app.gateways.vendors.rally.merchant import GATEWAY, merchant_of
from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.vendors.rally.order_webhooks import OrderWebhooks
from app.gateways.vendors.rally.payloads import refund_body
from app.storefront.kept_orders import KeptOrders
from app.storefront.order_source import OrderSource
from app.storefront.order_store import State
from app.storefront.refund_rows import refunded_of


class RallyGateway(Gateway):
    """One merchant of Rally."""

    token: ClassVar[str] = GATEWAY
    takes_stock: ClassVar[bool] = True
    takes_catalog = True
    brings_orders = True
    stock_needs_catalog = True
    gives_store_credit = False
    label_leaves_out = frozenset({"weight_kg", "channel_ship_code"})
    stock_batch = 50
    catalog_batch = 50

    def __init__(self, options: RallyOptions, tools: Tools) -> None:
        self.shop = merchant_of(options, tools)
        self._options = options
        self._orders = KeptOrders(self.shop)
        self._source = OrderSource(self.shop)
        self._public_url = tools.public_url
        self.api = Api(client_of(options, tools), options)
        self._webhooks = OrderWebhooks(self.shop, self.api)
        self._facts = Facts(self.shop, self.api)
        self.refunds_unshipped = options.refund_unshipped_on_complete
        self.refunds_unused_shipping = options.refund_shipping_when_nothing_ships
        self.reserve_grace_s = options.reserve_grace_s
        self.restate_every_s = options.restate_every * 3600.0
        self.settle_s = options.settle_seconds
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

    # Questions

    def fetch_orders(self, since_ms: int | None, until_ms: int, call: Call) -> Iterator[list[Candidate]]:
        return self._source.chunks(since_ms, until_ms)

    def fetch_named(self, refnums: Sequence[str], call: Call) -> list[Candidate]:
        return self._source.named(refnums)

    def fetch_called_off(self, since_ms: int | None, until_ms: int, call: Call) -> CalledOff:
        return self._source.called_off(since_ms, until_ms)

    def find_order(self, refnum: str, call: Call) -> OrderSketch | None:
        return self._source.sketch(refnum)

    def as_it_stands(self, refnum: str, call: Call) -> Order | None:
        return self._source.as_it_stands(refnum)

    def check(self, call: Call) -> Health:
        known = tuple(findings_of(self.shop))
        try:
            found = HookRegistry(self.api, self._options, self._public_url).finding(call)
        except (Misconfigured, Refused) as error:
            return Health("refused", error.message, known)
        except GatewayError as error:
            return Health("unreachable", error.message, known)
        return Health("connected", "", (found, *known))

    # Commands

    def acknowledge_order(self, wanted: Acknowledgement, call: Call) -> Accepted:
        """RetailOps has the order; Rally is told only where the merchant wishes it."""
        if not self._options.tell_acknowledged or wanted.is_correction:
            return Accepted()
        kept = self._orders.read(wanted.order_refnum)
        if kept is None:
            return self._tell_bare(wanted.order_refnum, "paid", call)
        self._webhooks.status(*kept, call)
        return Accepted()

    def submit_shipment(self, package: Package, call: Call) -> Accepted:
        """Its status, and what has left, by the path Rally may name one day or in `meta.fulfillments`."""
        state: State = "completed" if package.is_last else "paid"
        kept = self._orders.with_fulfillment(package, state)
        if kept is None:
            return self._tell_bare(package.order_refnum, state, call)
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

    def cancel_order(self, wanted: Cancellation, call: Call) -> Accepted:
        """Rally has one word for an order without money, however that came (contract 4.2).

        One that was never paid sends no status, only itself (contract 9).
        """
        kept = self._orders.read(wanted.order_refnum)
        if kept is None or kept[1].is_paid or kept[1].paid:
            return self._tell_state(wanted.order_refnum, "cancelled", call)
        cancelled = self._orders.in_state(wanted.order_refnum, "cancelled")
        if cancelled is not None:
            self._webhooks.whole(*cancelled, call)
        return Accepted()

    def complete_order(self, wanted: Completion, call: Call) -> Accepted:
        return self._tell_state(wanted.order_refnum, "completed", call)

    def update_order(self, wanted: Restatement, call: Call) -> Accepted:
        """The order as it stands: with nothing of its money left, or with other lines."""
        if wanted.is_paid_back:
            told = self._tell_state(wanted.order_refnum, "refunded", call)
            if told.events:
                return told
        kept = self._orders.read(wanted.order_refnum)
        if kept is None:
            return Accepted((_past_its_date(wanted.order_refnum),))
        self._webhooks.whole(*kept, call)
        return Accepted()

    def settle_payment(self, wanted: Settlement, call: Call) -> Accepted:
        """Rally has charged already and has no capture (contract 6.3): it is told how the order stands."""
        kept = self._orders.read(wanted.order_refnum)
        if kept is None:
            return Accepted((_past_its_date(wanted.order_refnum),))
        self._webhooks.status(*kept, call)
        return Accepted()

    def refund_payment(self, refund: Refund, call: Call) -> Accepted:
        """Money back.  One Rally has said yes to is not sent again, whatever became of our own record of it.

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
        self.api.tell("order-refund-create", refund_body(refund.order_refnum, refunded, self._options), call)
        return Accepted(
            refnum=refund.key,
            note=lambda connection: self._orders.note_refunded(connection, refund.order_refnum, refunded),
        )

    return_order = refund_payment
    credit_payment = refund_payment

    def note_done(self, connection: Connection, verb: str, body: CommandBody) -> None:
        """See `interface.Gateway`: of all calls only a refund leaves anything here once it is accepted."""
        if isinstance(body, Refund):
            self._orders.note_refund(connection, body)

    def change_order(self, connection: Connection, change: OrderChange) -> OrderChanged:
        return self._orders.change_lines(connection, change)

    # Facts

    def push_catalog(self, changes: Sequence[ProductChange], call: Call) -> list[ProductSent]:
        return self._facts.push_catalog(changes, call)

    def push_inventory(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        return self._facts.push_inventory(changes, call)

    def _tell_state(self, refnum: str, state: State, call: Call) -> Accepted:
        """The order is in this state, or further already."""
        kept = self._orders.in_state(refnum, state)
        if kept is None:
            return self._tell_bare(refnum, state, call)
        self._webhooks.status(*kept, call)
        return Accepted()

    def _tell_bare(self, refnum: str, state: State, call: Call) -> Accepted:
        self._webhooks.bare_status(refnum, state, call)
        return Accepted((_past_its_date(refnum),))


def _past_its_date(refnum: str) -> Event:
    message = "the order is past its date and not kept here any more; Rally is told its status and refunds alone"
    return Event("info", "ORDER_PAST_DATE", message, about("order_refnum", refnum))
