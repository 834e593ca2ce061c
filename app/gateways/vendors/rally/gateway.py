"""Rally as a source of orders: they are kept here, and Rally is informed of what becomes of them.

Questions are answered from the records.  A command changes the order as it is kept and then tells Rally how it
stands; so every call but a refund may be repeated, and a late one tells the newest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import ClassVar, Final

import msgspec
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
from app.domain.orders import CalledOff, Candidate, HeldBack, Order, OrderSketch
from app.domain.stock import StockChange, StockSent
from app.errors import GatewayError, Misconfigured, Refused
from app.gateways.interface import Accepted, Call, Gateway, Health, NotOurs, Tools, Verb
from app.gateways.vendors.rally.api import Api, client_of
from app.gateways.vendors.rally.changes import changed
from app.gateways.vendors.rally.facts import Facts
from app.gateways.vendors.rally.health import findings_of
from app.gateways.vendors.rally.hook_registry import HookRegistry
from app.gateways.vendors.rally.kept_orders import KeptOrders, with_refund
from app.gateways.vendors.rally.options import RallyOptions
from app.gateways.vendors.rally.order_document import OrderDocument, Refunded, read_document
from app.gateways.vendors.rally.payloads import refund_body, refunded_of
from app.gateways.vendors.rally.retailops_order import as_ordered, to_order, to_sketch
from app.gateways.vendors.rally.shop import GATEWAY, shop_of
from app.gateways.vendors.rally.telling import Telling
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
    label_leaves_out = frozenset({"weight_kg", "channel_ship_code"})
    stock_batch = 50
    catalog_batch = 50

    def __init__(self, options: RallyOptions, tools: Tools) -> None:
        self.shop = shop_of(options, tools)
        self._options = options
        self._orders = KeptOrders(self.shop)
        self._public_url = tools.public_url
        self.api = Api(client_of(options, tools), options)
        self._telling = Telling(self.shop, self.api)
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
        """By the time from which they may go; those called off at Rally only come by name (R18)."""
        since = None if since_ms is None else _moment(since_ms)
        while True:
            with self.shop.database.read() as connection:
                found = orders.exportable_since(connection, self.shop.channel, since, _moment(until_ms), CHUNK)
            yield [self._candidate(stored) for stored in found if stored.cancelled_at is None]
            if len(found) < CHUNK or found[-1].exportable_at is None:
                return
            since = found[-1].exportable_at + timedelta(milliseconds=1)

    def fetch_named(self, refnums: Sequence[str], call: Call) -> list[Candidate]:
        """Whatever their state, but never one that is unpaid or under review (P17)."""
        with self.shop.database.read() as connection:
            found = orders.of_refnums(connection, self.shop.channel, refnums)
        return [self._candidate(stored) for stored in found.values() if self._is_out(stored)]

    def fetch_called_off(self, since_ms: int | None, until_ms: int, call: Call) -> CalledOff:
        """Orders whose money the merchant gave back at Rally."""
        since = None if since_ms is None else _moment(since_ms) - OVERLAP
        with self.shop.database.read() as connection:
            refnums = orders.called_off(connection, self.shop.channel, since, _moment(until_ms))
        return CalledOff(tuple(refnums), until_ms)

    def find_order(self, refnum: str, call: Call) -> OrderSketch | None:
        with self.shop.database.read() as connection:
            stored = orders.get(connection, self.shop.channel, refnum)
        return to_sketch(read_document(stored.body)) if stored and self._is_out(stored) else None

    def as_it_stands(self, refnum: str, call: Call) -> Order | None:
        with self.shop.database.read() as connection:
            stored = orders.get(connection, self.shop.channel, refnum)
        if stored is None or not self._is_out(stored):
            return None
        return to_order(read_document(stored.body), default_ship_code=self._options.default_ship_code)

    def check(self, call: Call) -> Health:
        known = tuple(findings_of(self.shop))
        try:
            found = HookRegistry(self.api, self._options, self._public_url).finding(call)
        except (Misconfigured, Refused) as error:
            return Health("refused", error.message, known)
        except GatewayError as error:
            return Health("unreachable", error.message, known)
        return Health("connected", "", (found, *known))

    def _is_out(self, stored: StoredOrder) -> bool:
        return stored.exportable_at is not None and stored.exportable_at <= self.shop.clock()

    def _candidate(self, stored: StoredOrder) -> Candidate:
        document = read_document(stored.body)
        # RetailOps is given what was ordered, whatever it has changed since.
        order = to_order(
            as_ordered(document),
            default_ship_code=self._options.default_ship_code,
            is_cancelled=stored.cancelled_at is not None or stored.state == "cancelled",
        )
        out_at = stored.exportable_at or stored.created_at
        # What was called off goes whatever it was doubted for: nothing is booked of it (R18).
        is_held = bool(document.doubt) and not order.is_cancelled
        offered = HeldBack(stored.refnum, document.doubt) if is_held else order
        return Candidate(stored.refnum, int(out_at.timestamp() * 1000), offered)

    # Commands

    def acknowledge_order(self, wanted: Acknowledgement, call: Call) -> Accepted:
        """RetailOps has the order; Rally is told only where the merchant wishes it."""
        if not self._options.tell_acknowledged or wanted.is_correction:
            return Accepted()
        kept = self._orders.read(wanted.order_refnum)
        if kept is None:
            return self._tell_bare(wanted.order_refnum, "paid", call)
        self._telling.status(*kept, call)
        return Accepted()

    def submit_shipment(self, package: Package, call: Call) -> Accepted:
        """Its status, and what has left, by the path Rally may name one day or in `meta.fulfillments`."""
        state: State = "completed" if package.is_last else "paid"
        kept = self._orders.with_fulfillment(package, state)
        if kept is None:
            return self._tell_bare(package.order_refnum, state, call)
        self._telling.status(*kept, call)
        self._telling.parcel(*kept, package.key, call)
        return Accepted()

    def correct_shipment(self, package: Package, call: Call) -> Accepted:
        """Carrier or tracking was mended; which units left stays."""
        kept = self._orders.with_fulfillment(package, None)
        if kept is None:
            return Accepted((_past_its_date(package.order_refnum),))
        self._telling.parcel(*kept, package.key, call)
        return Accepted()

    def cancel_order(self, wanted: Cancellation, call: Call) -> Accepted:
        """Rally has one word for an order without money, however that came (contract 4.2).

        One that was never paid sends no status, only itself (contract 9).
        """
        kept = self._orders.read(wanted.order_refnum)
        if kept is None or kept[1].is_paid or kept[1].paid:
            return self._tell_state(wanted.order_refnum, "cancelled", call)
        cancelled = self._orders.change(wanted.order_refnum, lambda order: order, "cancelled")
        if cancelled is not None:
            self._telling.whole(*cancelled, call)
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
        self._telling.whole(*kept, call)
        return Accepted()

    def settle_payment(self, wanted: Settlement, call: Call) -> Accepted:
        """Rally has charged already and has no capture (contract 6.3): it is told how the order stands."""
        kept = self._orders.read(wanted.order_refnum)
        if kept is None:
            return Accepted((_past_its_date(wanted.order_refnum),))
        self._telling.status(*kept, call)
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
        return Accepted(refnum=refund.key, note=partial(self._note_refunded, refund.order_refnum, refunded))

    return_order = refund_payment
    credit_payment = refund_payment

    def note_done(self, connection: Connection, verb: str, body: CommandBody) -> None:
        """See `interface.Gateway`: of all calls only a refund leaves anything here once it is accepted."""
        if isinstance(body, Refund):
            stored = orders.get(connection, self.shop.channel, body.order_refnum)
            document = read_document(stored.body) if stored else None
            self._note_refunded(body.order_refnum, refunded_of(document, body), connection)

    def _note_refunded(self, order_refnum: str, refunded: Refunded, connection: Connection) -> None:
        """Rally has paid; nothing to keep for an order past its date."""
        stored = orders.get(connection, self.shop.channel, order_refnum)
        if stored is not None:
            document = with_refund(read_document(stored.body), refunded)
            self._orders.store(connection, stored, document, stored.state)

    def change_order(self, connection: Connection, change: OrderChange) -> OrderChanged:
        """See `interface.Gateway`; the caller holds the order."""
        stored = orders.get(connection, self.shop.channel, change.order_refnum)
        if stored is None:
            message = "the order is not kept here any more; nothing was changed"
            event = Event("error", "ORDER_GONE", message, about("order_refnum", change.order_refnum))
            return OrderChanged((), (event,), is_different=False)
        before = read_document(stored.body)
        found = catalogue.of_skus(connection, self.shop.channel, {line.sku for line in change.lines})
        outcome = changed(before, change.lines, found)
        document = outcome.document
        events = [
            Event("warning", "SKU_UNKNOWN", "no such SKU in the catalogue; the line was left out",
                  about("sku_number", line.sku)) for line in outcome.unknown
        ]  # fmt: skip
        events += [
            Event("error", "PRICE_BELOW_ZERO", "unit_price is below 0, which Rally refuses; the line was not added",
                  about("sku_number", line.sku)) for line in outcome.below_zero
        ]  # fmt: skip
        if not document.lines:
            message = "the change leaves no line on the order; nothing was changed: to call it off, cancel it"
            events.append(Event("error", "NO_LINES_LEFT", message, about("order_refnum", change.order_refnum)))
            return OrderChanged(to_sketch(before).lines, tuple(events), is_different=False)
        is_different = document != before
        # Whoever states its lines has looked at them.
        document = msgspec.structs.replace(document, doubt="")
        if document != before:
            self._orders.store(connection, stored, document, stored.state)
        if is_different:
            events += _of_money(document)
        return OrderChanged(to_sketch(document).lines, tuple(events), is_different)

    # Facts

    def push_catalog(self, changes: Sequence[ProductChange], call: Call) -> list[ProductSent]:
        return self._facts.push_catalog(changes, call)

    def push_inventory(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        return self._facts.push_inventory(changes, call)

    def _tell_state(self, refnum: str, state: State, call: Call) -> Accepted:
        """The order is in this state, or further already."""
        kept = self._orders.change(refnum, lambda order: order, state)
        if kept is None:
            return self._tell_bare(refnum, state, call)
        self._telling.status(*kept, call)
        return Accepted()

    def _tell_bare(self, refnum: str, state: State, call: Call) -> Accepted:
        self._telling.bare_status(refnum, state, call)
        return Accepted((_past_its_date(refnum),))


def _past_its_date(refnum: str) -> Event:
    message = "the order is past its date and not kept here any more; Rally is told its status and refunds alone"
    return Event("info", "ORDER_PAST_DATE", message, about("order_refnum", refnum))


def _of_money(document: OrderDocument) -> list[Event]:
    """No money moves with a change itself, so that the difference is told."""
    named = about("order_refnum", document.refnum)
    if document.total > document.paid:
        message = "the order comes to more than the shopper paid; Rally cannot charge the rest"
        return [Event("warning", "NOT_COVERED", message, named)]
    if document.total < document.paid:
        message = "the shopper paid more than the order comes to now; it goes back at completion, or when asked for"
        return [Event("info", "PAID_MORE", message, named)]
    return []


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
