"""What Pipe17 holds: stock by SKU and location, our rows of its products, the states of shipping requests.

Everything is requested by SKU or id, a hundred at a time, because rows of an unfiltered list shift between pages while
the server beside us writes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain import comparisons
from app.domain.catalogue import ProductChange
from app.domain.comparisons import Figures, OrderThere, ProductDifference, StockCompared, StockDifference
from app.domain.stock import StockChange
from app.errors import Unavailable
from app.gateways.calls import Call, read_note
from app.gateways.holdings import Holdings, Page
from app.gateways.vendors.pipe17.connection.api import SHIPMENTS, Api
from app.gateways.vendors.pipe17.connection.integration import Integration
from app.gateways.vendors.pipe17.connection.integration_record import Flow
from app.gateways.vendors.pipe17.connection.locations import Locations
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.orders.shipments import READY, SENT, RequestState
from app.gateways.vendors.pipe17.orders.shipping_requests import ShippingRequests
from app.gateways.vendors.pipe17.products.known_products import KnownProducts, Match
from app.gateways.vendors.pipe17.products.product_cache import PATH as PRODUCTS
from app.gateways.vendors.pipe17.products.product_cache import batches
from app.gateways.vendors.pipe17.products.product_rows import fields_of
from app.gateways.vendors.pipe17.products.publishing import Note, Sending, Unit, row_change, stated_units
from app.gateways.vendors.pipe17.stock.held_stock import PATH as INVENTORY
from app.gateways.vendors.pipe17.stock.held_stock import ROWS, Level, StockRecord, held_stock
from app.gateways.vendors.pipe17.stock.ingest import Stock
from app.gateways.wire_objects import Json, is_possible_id, read, read_all, write

OPEN: Final = (
    "new", "pendingInventory", "pendingShippingLabel", "reviewRequired", READY, SENT,
    "partialFulfillment", "onHold",
)  # fmt: skip
"""States of a request of which Pipe17 still waits for something (contract 2.6)."""

_FLOWS: Final[Mapping[str, Flow]] = {"stock": "inventory", "products": "catalog", "orders": "orders"}


@dataclass(frozen=True, eq=False, repr=False)
class Pipe17Holdings(Holdings):
    """One key's view.  Used by one thread."""

    _api: Api
    _integration: Integration
    _locations: Locations
    _requests: ShippingRequests
    _known: KnownProducts
    _stock: Stock

    def why_not(self, what: str, call: Call) -> str:
        if what == "products" and not self._api.integration_id:
            return "a bare key has no rows of its own in Pipe17's products"
        if why := self._integration.why_off(_FLOWS[what], call):
            return f"the flow '{_FLOWS[what]}' is off: {why}"
        return ""

    # Stock

    def compare_stock(self, changes: Sequence[StockChange], call: Call) -> StockCompared:
        with self._integration.using("inventory", call) as settings:
            expected = self._stock.expected(changes, settings, call)
            served = self._locations.served(call)
            skus = list(dict.fromkeys(row.pipe17_sku for sending in expected for row in sending.rows))
            readable = {sku for some in batches(skus) for sku in some}
            held = held_stock(self._api, readable, served.ids, call)
            differences = []
            unreadable_skus = []
            for sending in expected:
                if any(row.pipe17_sku not in readable for row in sending.rows):
                    unreadable_skus.append(sending.sku)
                    continue
                for row in sending.rows:
                    ours = row.figure.stated
                    theirs = _theirs(held.get(row.key), ours)
                    if theirs != ours:
                        name = row.pipe17_sku if row.pipe17_sku != sending.sku else ""
                        place = served.facility_of.get(row.location_id, row.location_id)
                        differences.append(StockDifference(sending.sku, place, ours, theirs, name))
            return StockCompared(
                tuple(differences),
                theirs=tuple(dict.fromkeys([*(sending.pipe17_sku for sending in expected), *skus])),
                skipped=sum(sending.is_skipped for sending in expected),
                unreadable=tuple(unreadable_skus),
            )

    def stock_page(self, at: int, call: Call) -> Page[str]:
        with self._integration.using("inventory", call):
            params = {"locationId": ",".join(self._locations.served(call).ids), "order": "sku"}
            page = self._api.page(INVENTORY, params, call, skip=at, count=ROWS)
            names = (record.sku for record in read_all(StockRecord, page.rows) if record.is_physical and record.on_hand)
            return Page(tuple(dict.fromkeys(names)), page.next_skip)

    # Products

    def compare_products(self, changes: Sequence[ProductChange], call: Call) -> tuple[ProductDifference, ...]:
        with self._integration.using("catalog", call) as settings:
            units = [
                unit for change in changes for unit in stated_units(Sending(change, read_note(change.sent, Note) or {}))
            ]
            matches = self._known.find({unit.sku for unit in units}, settings.skus, call, is_fresh=True)
            if any(not match.is_sure for match in matches.values()):
                raise Unavailable("OUT_OF_TIME", "pipe17's products are still being searched for channel SKUs")
            own = self._own_rows(matches.values(), settings, call)
            return tuple(difference for unit in units for difference in self._compared(unit, matches[unit.sku], own))

    def _own_rows(self, matches: Collection[Match], settings: Pipe17Options, call: Call) -> dict[str, Json]:
        """Products we made, whole, by Pipe17's SKU; none where we make none, for then we write no field of them."""
        if not settings.create_products:
            return {}
        ours = [
            match.product.sku for match in matches if match.product and match.product.owner == self._api.integration_id
        ]
        found: dict[str, Json] = {}
        for some in batches(list(dict.fromkeys(ours))):
            for rows in self._api.pages(PRODUCTS, {"sku": ",".join(some)}, call):
                found |= {str(row.get("sku", "")): row for row in rows if isinstance(row, dict)}
        return found

    def _compared(self, unit: Unit, match: Match, own_rows: Mapping[str, Json]) -> Iterator[ProductDifference]:
        product = match.product
        if product is None:
            if unit.is_enabled:
                yield ProductDifference(unit.sku, "", "stated", None)
            return
        change, _ = row_change(self._api.integration_id, unit, match, unit.last_sent)
        theirs = write(product.own) if product.own else {}
        for name, value in change.items():
            if name != "integrationId" and value != theirs.get(name, ""):
                yield ProductDifference(unit.sku, name, str(value), theirs.get(name, ""))
        row = own_rows.get(product.sku)
        if row is not None and unit.item is not None and unit.is_enabled:
            for name, value in fields_of(unit.item, unit.parent_id).items():
                if comparisons.plain(row.get(name)) != comparisons.plain(value):
                    ours, held_value = comparisons.shown(value), comparisons.shown(row.get(name))
                    yield ProductDifference(unit.sku, name, ours, held_value)

    # Orders

    def open_orders(self, at: int, call: Call) -> Page[OrderThere]:
        with self._integration.using("orders", call):
            params = {"status": ",".join(OPEN), **self._locations.own_filter, "order": "createdAt"}
            page = self._api.page(SHIPMENTS, params, call, skip=at, count=ROWS)
            found = map(_order, read_all(RequestState, page.rows))
            return Page(tuple(there for there in found if there.is_open), page.next_skip)

    def orders(self, refnums: Collection[str], call: Call) -> Mapping[str, OrderThere]:
        """Raises `BrokenReply` when the list did not heed the ids: the others would read as unknown."""
        possible = [refnum for refnum in refnums if is_possible_id(refnum)]
        found: dict[str, OrderThere] = {}
        if not possible:
            return found
        with self._integration.using("orders", call):
            for refnum in possible:
                if "," in refnum:  # A list leaves it out.
                    state = read(RequestState, self._api.read_one(SHIPMENTS, refnum, call))
                    if state is not None and state.shipment_id == refnum:
                        found[refnum] = _order(state)
            found |= {state.shipment_id: _order(state) for state, _ in self._requests.listed(possible, call)}
        return found


def _order(state: RequestState) -> OrderThere:
    return OrderThere(state.shipment_id, state.status, state.status in OPEN)


def _theirs(held: Level | None, ours: Figures) -> Figures | None:
    """Only what is sent: what Pipe17 keeps by itself (committed) is no figure of RetailOps'."""
    if held is None:
        # No record is as good as one of 0: none is made only to say that.
        return dict.fromkeys(ours, 0) if not any(ours.values()) else None
    return {name: held.stated.get(name) for name in ours}
