"""RetailOps as a warehouse of a Pipe17 organisation: shipping requests in, fulfilments and stock out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from app.errors import BrokenReply, GatewayError, Misconfigured, Refused
from app.gateways import words
from app.gateways.interface import Accepted, Call, Gateway, Health, NotOurs, Verb
from app.gateways.line import Line
from app.gateways.pipe17 import payloads, walk
from app.gateways.pipe17.api import DUPLICATE, NOT_FOUND, PAGE, Api, unreadable
from app.gateways.pipe17.locations import Locations
from app.gateways.pipe17.options import OBJECT_ID, Pipe17Options
from app.gateways.pipe17.orders import Defaults, to_order, to_sketch
from app.gateways.pipe17.payloads import Fulfillment, Json, Shipment
from app.gateways.pipe17.stock import Stock
from app.gateways.words import Event, about

FULFILLMENTS: Final = "/fulfillments"
FEW: Final = 3
"""Up to so many named orders are read one by one, which is proven to work; more are asked for as a list."""

UNREADABLE: Final = "the shipping request cannot be read"

log = logging.getLogger(__name__)


class Pipe17Gateway(Gateway):
    """One Pipe17 key of one channel.  An order is a shipping request; its number is the `shipmentId`."""

    token: ClassVar[str] = "pipe17"
    takes_stock: ClassVar[bool] = True
    verbs: ClassVar[Mapping[str, Verb | NotOurs]] = {
        "acknowledge_order": Verb("safe"),
        "submit_shipment": Verb("lookup"),
        "cancel_order": Verb("lookup", decided_by="vendor"),
        "complete_order": Verb("lookup"),
        "settle_payment": NotOurs(
            "info", "NOT_APPLICABLE", "Pipe17 sees no payments; the selling channel settles them"
        ),
        "return_order": NotOurs(
            "warning", "NO_MONEY_MOVED", "Pipe17 moves no money; the selling channel refunds this return"
        ),
        "credit_payment": NotOurs(
            "error", "CREDIT_NOT_HERE", "Pipe17 moves no money; the selling channel has to refund this"
        ),
        "refund_payment": NotOurs(
            "warning", "NO_MONEY_MOVED", "Pipe17 moves no money; the selling channel refunds what will not ship"
        ),
        "update_order": NotOurs(
            "warning", "UPDATE_NOT_PASSED_ON",
            "Pipe17's shipping requests cannot be edited; the change stays in RetailOps",
        ),
        "push_catalog": NotOurs(
            "warning", "CATALOG_NOT_PASSED_ON", "the catalogue was not passed on; Pipe17 keeps its own"
        ),
    }  # fmt: skip

    def __init__(self, options: Pipe17Options, line: Line, channel: str) -> None:
        self._options = options
        self._channel = channel
        self._shipments = options.shipments_path
        self._shipment = f"{options.shipments_path}/{{id}}"
        self._defaults = Defaults(options.default_ship_code, options.default_currency)
        self._api = Api(line)
        self._locations = Locations(options, self._api, channel)
        self._stock = Stock(options, self._api, self._locations)
        self.brings_orders = options.orders
        self.settle_s = options.settle_seconds

    # Questions

    def fetch_orders(self, since_ms: int | None, until_ms: int, call: Call) -> Iterator[list[words.Candidate]]:
        """The queue: requests ready at our locations (contract 2.6).

        The status is the queue, so there is no time filter unless a cursor is given; that begins a
        millisecond early because it is unknown whether `since` includes its own instant.
        """
        params: dict[str, str | int] = {
            "status": payloads.READY,
            "locationId": ",".join(self._locations.served(call).ids),
            "order": "createdAt",
        }
        if since_ms is not None:
            params["since"] = payloads.since_text(max(since_ms - 1, 0))
        transfers: list[str] = []
        for chunk in walk.in_order(self._api.pages(self._shipments, "shipments", params, call), until_ms):
            found = []
            for at_ms, shipment in chunk:
                if isinstance(shipment, str):
                    held = words.HeldBack(shipment, UNREADABLE)
                    found.append(words.Candidate(shipment, at_ms, held))
                elif not shipment.is_sale:
                    transfers.append(shipment.shipment_id)
                elif self._is_due(shipment, until_ms):
                    found.append(self._candidate(shipment, at_ms))
            if found:
                yield found
        if transfers:
            ids = ", ".join(transfers)
            log.info("channel %s: transfers of pipe17 are not orders: %s", self._channel, ids)

    def _is_due(self, shipment: Shipment, now_ms: int) -> bool:
        """Checked here too, for it is unproven that every filter of the list works as asked."""
        is_ready = shipment.status in ("", payloads.READY)
        is_held = shipment.hold_until is not None and payloads.to_ms(shipment.hold_until) > now_ms
        return is_ready and not is_held and self._locations.is_ours(shipment)

    def _candidate(self, shipment: Shipment, at_ms: int) -> words.Candidate:
        return words.Candidate(shipment.shipment_id, at_ms, to_order(shipment, self._defaults))

    def fetch_named(self, refnums: Sequence[str], call: Call) -> list[words.Candidate]:
        """Left out: transfers, requests routed to others, and, unasked, what cannot be an id of Pipe17's."""
        wanted = list(dict.fromkeys(refnum for refnum in refnums if OBJECT_ID.fullmatch(refnum)))
        found: list[Shipment] = []
        unreadable_ids: list[str] = []
        if len(wanted) <= FEW:
            for refnum in wanted:
                try:
                    shipment = self._find(refnum, call)
                except BrokenReply:
                    unreadable_ids.append(refnum)
                else:
                    found += [shipment] if shipment else []
            if unreadable_ids and not found:
                raise unreadable(self._shipment)
        for at in range(0, len(wanted), PAGE) if len(wanted) > FEW else ():
            readable, broken = self._find_many(wanted[at : at + PAGE], call)
            found += readable
            unreadable_ids += broken
        return [
            *(words.Candidate(item, 0, words.HeldBack(item, UNREADABLE)) for item in unreadable_ids),
            *(
                self._candidate(shipment, payloads.created_ms(shipment) or 0)
                for shipment in found
                if shipment.is_sale and self._locations.is_ours(shipment)
            ),
        ]

    def _find_many(self, ids: Sequence[str], call: Call) -> tuple[list[Shipment], list[str]]:
        """One list call for at most a page of ids: the requests, and the ids of those that cannot be read.

        Raises `BrokenReply` when the list did not heed them, which it is not proven to do: an order left
        out for that would read as unknown.
        """
        params: dict[str, str | int] = {"shipmentId": ",".join(ids)}
        rows = next(self._api.pages(self._shipments, "shipments", params, call))
        found = [item for row in rows if (item := payloads.read(Shipment, row))]
        if any(shipment.shipment_id not in ids for shipment in found):
            raise unreadable(self._shipments)
        named = {row.get("shipmentId") for row in rows if isinstance(row, dict)}
        read = {shipment.shipment_id for shipment in found}
        return found, [item for item in ids if item in named and item not in read]

    def find_order(self, refnum: str, call: Call) -> words.OrderSketch | None:
        """None also for what cannot be an id of Pipe17's, without a call."""
        shipment = self._find(refnum, call)
        if shipment is None or not shipment.is_sale or not self._locations.is_ours(shipment):
            return None
        return to_sketch(shipment)

    def check(self, call: Call) -> Health:
        try:
            self._api.read("/locations", call, params={"count": 1})
        except (Misconfigured, Refused) as error:
            return Health("refused", error.message)
        except GatewayError as error:
            return Health("unreachable", error.message)
        return Health("connected")

    # Commands

    def acknowledge_order(self, wanted: words.Acknowledgement, call: Call) -> Accepted:
        """Mark the request as sent to us.  One that was cancelled meanwhile is reported, not failed."""
        named = about("order_refnum", wanted.order_refnum)
        shipment = self._get(wanted.order_refnum, call)
        if shipment.status in payloads.CANCELLED:
            message = "the shipping request was cancelled in Pipe17; do not ship it"
            return Accepted((Event("warning", "ORDER_CANCELLED", message, named),))
        reference = wanted.retailops_order_id
        if shipment.status in (payloads.SENT, *payloads.SHIPPED, *payloads.OVER):
            if wanted.is_correction and shipment.ext_reference_id in ("", wanted.previous_order_id):
                self._put(wanted.order_refnum, payloads.reference_change(reference), call)
                return Accepted()
            if reference and shipment.ext_reference_id not in ("", reference):
                message = "Pipe17 has it as accepted under another number; somebody else may ship it too"
                return Accepted((Event("warning", "OTHER_REFERENCE", message, named),))
            return Accepted((Event("info", "ALREADY_ACKNOWLEDGED", "Pipe17 knew it already", named),))
        self._put(wanted.order_refnum, payloads.status_change(payloads.SENT, reference), call)
        return Accepted()

    def submit_shipment(self, package: words.Package, call: Call) -> Accepted:
        """One fulfilment per package; none can be changed, so it is looked for before it is made (R24)."""
        named = about("shipment_id", package.retailops_shipment_id)
        named = named or about("order_refnum", package.order_refnum)
        already = Accepted((Event("info", "ALREADY_REGISTERED", "Pipe17 has this package already", named),))
        if self._has_fulfillment(package.order_refnum, package.key, call):
            return already
        try:
            self._fulfil(payloads.fulfillment(package), call)
        except Refused as error:
            if error.code == DUPLICATE:
                return already
            message = (
                f"Pipe17 refused the fulfilment ({error.code}): the request may be cancelled there, "
                "or its lines may have fewer units open"
            )
            raise Refused("FULFILLMENT_REFUSED", message) from error
        return Accepted()

    def cancel_order(self, wanted: words.Cancellation, call: Call) -> Accepted:
        """Cancel a request of which nothing has shipped (R21); Pipe17 may route its units elsewhere."""
        refnum = wanted.order_refnum
        named = about("order_refnum", refnum)
        shipment = self._get(refnum, call)
        if shipment.status in payloads.CANCELLED:
            return Accepted((Event("info", "ALREADY_CANCELLED", "Pipe17 had cancelled it already", named),))
        if shipment.status in payloads.SHIPPED:
            message = "Pipe17 has a fulfilment of this request; nothing was changed"
            raise Refused("ALREADY_SHIPPED", message, association=("order_refnum", refnum))
        self._put(refnum, payloads.status_change(self._options.cancel_status), call)
        return Accepted()

    def complete_order(self, wanted: words.Completion, call: Call) -> Accepted:
        """Reject what will never ship, then say whether Pipe17 still waits for something (R22)."""
        events: list[Event] = []
        is_written = False
        is_wanted = bool(wanted.unshipped) and self._options.reject_unshipped
        if is_wanted and not self._is_rejected(wanted, call):
            is_written, events = self._reject(wanted, call)
        return Accepted((*events, *self._what_is_open(wanted, call, may_fail=not is_written)))

    def look_up(self, verb: str, body: words.CommandBody, call: Call) -> Accepted | None:
        match body:
            case words.Package():
                is_there = self._has_fulfillment(body.order_refnum, body.key, call)
                return Accepted() if is_there else None
            case words.Completion():
                if not self._is_rejected(body, call):
                    return None
                return Accepted(self._what_is_open(body, call, may_fail=False))
            case words.Cancellation() | words.Acknowledgement():
                shipment = self._find(body.order_refnum, call)
                states = payloads.CANCELLED if isinstance(body, words.Cancellation) else (payloads.SENT,)
                return Accepted() if shipment is not None and shipment.status in states else None
            case words.Refund() | words.Settlement():
                return None  # Never owed to Pipe17, which moves no money (R24).

    # Facts

    def push_inventory(self, changes: Sequence[words.StockChange], call: Call) -> list[words.StockSent]:
        """See `Stock.push`: a SKU without a result stays owed."""
        return self._stock.push(changes, call)

    # What the verbs share

    def _find(self, refnum: str, call: Call) -> Shipment | None:
        if not OBJECT_ID.fullmatch(refnum):
            return None
        row = self._api.read_one(self._shipment, "shipment", refnum, call)
        if row is None:
            return None
        shipment = payloads.read(Shipment, row)
        if shipment is None:
            raise unreadable(self._shipment)
        return shipment

    def _get(self, refnum: str, call: Call) -> Shipment:
        shipment = self._find(refnum, call)
        if shipment is None:
            raise _unknown(refnum)
        return shipment

    def _put(self, refnum: str, change: Json, call: Call) -> None:
        try:
            self._api.write("PUT", self._shipment, change, call, ids={"id": refnum})
        except Refused as error:
            if error.code == NOT_FOUND:
                raise _unknown(refnum) from error
            message = f"Pipe17 refused the new state of the shipping request ({error.code})"
            raise Refused("STATE_REFUSED", message, association=("order_refnum", refnum)) from error

    def _has_fulfillment(self, shipment_id: str, ext_fulfillment_id: str, call: Call) -> bool:
        params: dict[str, str | int] = {"shipmentId": shipment_id}
        for rows in self._api.pages(FULFILLMENTS, "fulfillments", params, call):
            for row in rows:
                found = payloads.read(Fulfillment, row)
                if found is not None and (found.shipment_id, found.ext_fulfillment_id) == (
                    shipment_id,
                    ext_fulfillment_id,
                ):
                    return True
        return False

    def _is_rejected(self, wanted: words.Completion, call: Call) -> bool:
        return self._has_fulfillment(wanted.order_refnum, payloads.rejection_id(wanted), call)

    def _fulfil(self, fulfillment: Json, call: Call) -> None:
        """Raises `Refused` also when it is answered like a list, with a failed item (contract 1.6)."""
        results = self._api.write("POST", FULFILLMENTS, fulfillment, call).get("fulfillments")
        items = results if isinstance(results, list) else []
        if any(payloads.has_failed(item) for item in items):
            raise Refused("ITEM_FAILED", "pipe17 refused the fulfilment")

    def _reject(self, wanted: words.Completion, call: Call) -> tuple[bool, list[Event]]:
        """Whether Pipe17 took the rejection now, and what to say when it did not (contract 5.2, row 7)."""
        try:
            self._fulfil(payloads.rejection(wanted), call)
        except Refused as error:
            if error.code == DUPLICATE:
                return False, []
            message = f"Pipe17 refused to take back the units that will not ship ({error.code})"
            named = about("order_refnum", wanted.order_refnum)
            return False, [Event("warning", "REJECTION_REFUSED", message, named)]
        return True, []

    def _what_is_open(self, wanted: words.Completion, call: Call, *, may_fail: bool) -> tuple[Event, ...]:
        """Nothing when Pipe17 waits for nothing more.

        Raises a `GatewayError` when it cannot be asked and `may_fail`; after a write that would send the
        same write again.
        """
        named = about("order_refnum", wanted.order_refnum)
        try:
            shipment = self._get(wanted.order_refnum, call)
        except GatewayError as error:
            if may_fail:
                raise
            message = f"the units were rejected; whether others are open at Pipe17 is unknown ({error.code})"
            return (Event("warning", "STATE_NOT_READ", message, named),)
        if shipment.status in payloads.OVER:
            return ()
        if shipment.status in payloads.CANCELLED:
            message = "the shipping request is cancelled in Pipe17"
            return (Event("warning", "ORDER_CANCELLED", message, named),)
        message = "Pipe17 still counts units of this request as open"
        return (Event("warning", "UNITS_OPEN_AT_PIPE17", message, named),)


def _unknown(refnum: str) -> Refused:
    message = "Pipe17 has no such shipping request"
    return Refused("ORDER_UNKNOWN", message, association=("order_refnum", refnum))
