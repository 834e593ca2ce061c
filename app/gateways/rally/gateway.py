"""Rally as RetailOps' channel: its orders are kept here, and it is told what becomes of them.

Questions are answered from the records.  A command changes the order as it is kept and then tells Rally how it
stands; so every call but a refund may be repeated, and a late one tells the newest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

from sqlalchemy import Connection

from app.errors import GatewayError, Misconfigured, Refused
from app.gateways import words
from app.gateways.interface import Accepted, Call, Gateway, Health, NotOurs, Tools, Verb
from app.gateways.rally.api import Api, line_of
from app.gateways.rally.changes import changed
from app.gateways.rally.facts import Facts
from app.gateways.rally.hook_registry import HookRegistry
from app.gateways.rally.kept_orders import KeptOrders
from app.gateways.rally.options import RallyOptions
from app.gateways.rally.order_document import (
    RALLY_STATUS,
    OrderDocument,
    read_document,
    to_order,
    to_sketch,
)
from app.gateways.rally.payloads import (
    fulfillment_body,
    refund_body,
    refunded_of,
    snapshot,
    status_body,
)
from app.gateways.rally.shop import GATEWAY, shop_of
from app.gateways.words import Event, about
from app.records import catalogue, orders
from app.records.orders import State, StoredOrder

CHUNK: Final = 200
"""Orders read at a time for a walk."""

OVERLAP: Final = timedelta(minutes=2)
"""How far the look for called-off orders goes back, for one may be committed after a later one."""


class RallyGateway(Gateway):
    """One merchant of Rally."""

    token: ClassVar[str] = GATEWAY
    takes_stock: ClassVar[bool] = True
    takes_catalog = True
    brings_orders = True
    stock_needs_catalog = True
    gives_store_credit = False
    stock_batch = 50
    catalog_batch = 50

    def __init__(self, options: RallyOptions, tools: Tools) -> None:
        self.shop = shop_of(options, tools)
        self._options = options
        self._orders = KeptOrders(self.shop)
        self._public_url = tools.public_url
        self.api = Api(line_of(options, tools), options)
        self._facts = Facts(self.shop, self.api)
        self.refunds_unshipped = options.refund_unshipped_on_complete
        self.reserve_grace_s = options.reserve_grace_s
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

    def fetch_orders(self, since_ms: int | None, until_ms: int, call: Call) -> Iterator[list[words.Candidate]]:
        """By the time from which they may go; those called off at Rally only come by name (R18)."""
        since = None if since_ms is None else _moment(since_ms)
        while True:
            with self.shop.database.read() as connection:
                found = orders.exportable_since(connection, self.shop.channel, since, _moment(until_ms), CHUNK)
            yield [self._candidate(stored) for stored in found if stored.cancelled_at is None]
            if len(found) < CHUNK or found[-1].exportable_at is None:
                return
            since = found[-1].exportable_at + timedelta(milliseconds=1)

    def fetch_named(self, refnums: Sequence[str], call: Call) -> list[words.Candidate]:
        """Whatever their state, but never one that is unpaid or under review (P17)."""
        with self.shop.database.read() as connection:
            found = orders.of_refnums(connection, self.shop.channel, refnums)
        return [self._candidate(stored) for stored in found.values() if self._is_out(stored)]

    def fetch_called_off(self, since_ms: int | None, until_ms: int, call: Call) -> words.CalledOff:
        """Orders whose money the merchant gave back at Rally."""
        since = None if since_ms is None else _moment(since_ms) - OVERLAP
        with self.shop.database.read() as connection:
            refnums = orders.called_off(connection, self.shop.channel, since, _moment(until_ms))
        return words.CalledOff(tuple(refnums), until_ms)

    def find_order(self, refnum: str, call: Call) -> words.OrderSketch | None:
        with self.shop.database.read() as connection:
            stored = orders.get(connection, self.shop.channel, refnum)
        return to_sketch(read_document(stored.body)) if stored and self._is_out(stored) else None

    def check(self, call: Call) -> Health:
        try:
            found = HookRegistry(self.api, self._options, self._public_url).finding(call)
        except (Misconfigured, Refused) as error:
            return Health("refused", error.message)
        except GatewayError as error:
            return Health("unreachable", error.message)
        return Health("connected", "", (found,))

    def _is_out(self, stored: StoredOrder) -> bool:
        return stored.exportable_at is not None and stored.exportable_at <= self.shop.clock()

    def _candidate(self, stored: StoredOrder) -> words.Candidate:
        document = read_document(stored.body)
        order = to_order(
            document,
            default_ship_code=self._options.default_ship_code,
            is_cancelled=stored.cancelled_at is not None or stored.state == "cancelled",
        )
        out_at = stored.exportable_at or stored.created_at
        return words.Candidate(stored.refnum, int(out_at.timestamp() * 1000), order)

    # Commands

    def acknowledge_order(self, wanted: words.Acknowledgement, call: Call) -> Accepted:
        """RetailOps has the order; Rally is told only where the merchant wishes it."""
        if self._options.tell_acknowledged and not wanted.is_correction:
            stored, document = self._orders.read(wanted.order_refnum)
            self._tell_status(document, stored.state, call)
        return Accepted()

    def submit_shipment(self, package: words.Package, call: Call) -> Accepted:
        """Its status, and what has left, by the path Rally may name one day or in `meta.fulfillments`."""
        state: State | None = "completed" if package.is_last else None
        stored, document = self._orders.with_fulfillment(package, state)
        self._tell_status(document, stored.state, call)
        self._tell_fulfillments(stored, document, package.key, call)
        return Accepted()

    def correct_shipment(self, package: words.Package, call: Call) -> Accepted:
        """Carrier or tracking was mended; which units left stays."""
        stored, document = self._orders.with_fulfillment(package, None)
        self._tell_fulfillments(stored, document, package.key, call)
        return Accepted()

    def cancel_order(self, wanted: words.Cancellation, call: Call) -> Accepted:
        """Rally has one word for an order without money, however that came (contract 4.2)."""
        stored, document = self._orders.change(wanted.order_refnum, lambda order: order, "cancelled")
        self._tell_status(document, stored.state, call)
        return Accepted()

    def complete_order(self, wanted: words.Completion, call: Call) -> Accepted:
        stored, document = self._orders.change(wanted.order_refnum, lambda order: order, "completed")
        self._tell_status(document, stored.state, call)
        return Accepted()

    def update_order(self, wanted: words.Restatement, call: Call) -> Accepted:
        """The order as it stands: with nothing of its money left, or with other lines."""
        state: State | None = "refunded" if wanted.is_paid_back else None
        stored, document = self._orders.change(wanted.order_refnum, lambda order: order, state)
        if wanted.is_paid_back:
            self._tell_status(document, stored.state, call)
        self._tell_whole(stored, document, call)
        return Accepted()

    def settle_payment(self, wanted: words.Settlement, call: Call) -> Accepted:
        """Rally has charged already and has no capture (contract 6.3): it is told how the order stands."""
        stored, document = self._orders.read(wanted.order_refnum)
        self._tell_status(document, stored.state, call)
        return Accepted()

    def refund_payment(self, refund: words.Refund, call: Call) -> Accepted:
        """Money back.  One Rally has said yes to is not sent again, whatever became of our own record of it."""
        stored, document = self._orders.read(refund.order_refnum)
        if any(known.key == refund.key for known in document.refunds):
            return Accepted(refnum=refund.key)
        if stored.state == "refunded":
            message = "the merchant had given the money back at Rally; nothing was paid again"
            event = Event("info", "REFUNDED_AT_RALLY", message, about("order_refnum", refund.order_refnum))
            return Accepted((event,), refund.key)
        refunded = refunded_of(document, refund)
        self.api.tell("order-refund-create", refund_body(document, refunded, self._options), call)
        self._orders.note_refunded(refund.order_refnum, refunded)
        return Accepted(refnum=refund.key)

    return_order = refund_payment
    credit_payment = refund_payment

    def change_order(self, connection: Connection, change: words.OrderChange) -> words.OrderChanged:
        """See `interface.Gateway`; the caller holds the order."""
        stored = orders.get(connection, self.shop.channel, change.order_refnum)
        if stored is None:
            message = "the order is not kept here any more; nothing was changed"
            event = Event("error", "ORDER_GONE", message, about("order_refnum", change.order_refnum))
            return words.OrderChanged((), (event,), is_different=False)
        before = read_document(stored.body)
        found = catalogue.of_skus(connection, self.shop.channel, {line.sku for line in change.lines})
        document, unknown = changed(before, change.lines, found)
        events = [
            Event("warning", "SKU_UNKNOWN", "no such SKU in the catalogue; the line was left out",
                  about("sku_number", line.sku)) for line in unknown
        ]  # fmt: skip
        is_different = document != before
        if is_different:
            self._orders.store(connection, stored, document, stored.state)
            events += _of_money(document)
        return words.OrderChanged(to_sketch(document).lines, tuple(events), is_different)

    # Facts

    def push_catalog(self, changes: Sequence[words.ProductChange], call: Call) -> list[words.ProductSent]:
        return self._facts.push_catalog(changes, call)

    def push_inventory(self, changes: Sequence[words.StockChange], call: Call) -> list[words.StockSent]:
        return self._facts.push_inventory(changes, call)

    # What Rally is told

    def _tell_status(self, document: OrderDocument, state: State, call: Call) -> None:
        self.api.tell("order-status-update", status_body(document, self._word(state), self._options), call)

    def _tell_whole(self, stored: StoredOrder, document: OrderDocument, call: Call) -> None:
        self.api.tell("order-update", snapshot(document, self._word(stored.state), self._options), call)

    def _tell_fulfillments(self, stored: StoredOrder, document: OrderDocument, key: str, call: Call) -> None:
        if not self._options.fulfillment_path:
            self._tell_whole(stored, document, call)
            return
        parcel = next(item for item in document.fulfillments if item.key == key)
        body = {
            "organization_id": self._options.organization_id,
            "external_order_id": document.refnum,
            **fulfillment_body(parcel),
        }
        self.api.tell_at(self._options.fulfillment_path, body, call)

    def _word(self, state: State) -> str:
        """Rally's status, as the merchant has it."""
        own = {
            "cancelled": self._options.cancel_status,
            "refunded": self._options.refunded_status,
            "completed": self._options.completed_status,
            "paid": self._options.paid_status,
        }
        return own.get(state, RALLY_STATUS[state])


def _of_money(document: OrderDocument) -> list[Event]:
    """No money moves with a change, so that the difference is told."""
    named = about("order_refnum", document.refnum)
    if document.total > document.paid:
        message = "the order comes to more than the shopper paid; Rally cannot charge the rest"
        return [Event("warning", "NOT_COVERED", message, named)]
    if document.total < document.paid:
        message = "the shopper paid more than the order comes to now; it goes back when a refund is asked for"
        return [Event("info", "PAID_MORE", message, named)]
    return []


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
