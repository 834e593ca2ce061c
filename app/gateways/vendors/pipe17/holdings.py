"""What Pipe17 holds: stock by SKU and location, our rows of its products, the states of shipping requests.

Everything is requested by SKU or id, a hundred at a time, because rows of an unfiltered list shift between pages while
the server beside us writes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain import comparisons
from app.domain.catalogue import Item, ProductChange
from app.domain.comparisons import Figures, OrderThere, ProductDifference, StockCompared, StockDifference
from app.domain.stock import StockChange
from app.errors import Unavailable
from app.gateways.calls import Call, read_note
from app.gateways.holdings import Holdings, Page
from app.gateways.vendors.pipe17.connection.api import Api, unreadable
from app.gateways.vendors.pipe17.connection.integration import Integration, using
from app.gateways.vendors.pipe17.connection.integration_record import Flow
from app.gateways.vendors.pipe17.connection.locations import Locations
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.orders.shipments import READY, SENT, RequestState
from app.gateways.vendors.pipe17.products.known_products import KnownProducts, Match
from app.gateways.vendors.pipe17.products.product_cache import PATH as PRODUCTS
from app.gateways.vendors.pipe17.products.product_cache import batches
from app.gateways.vendors.pipe17.products.product_rows import fields_of
from app.gateways.vendors.pipe17.products.publishing import LastSent, Note, row_change, status_for
from app.gateways.vendors.pipe17.stock.held_stock import PATH as INVENTORY
from app.gateways.vendors.pipe17.stock.held_stock import ROWS, Level, StockRecord, held_stock
from app.gateways.vendors.pipe17.stock.ingest import Stock
from app.gateways.wire_objects import Json, is_possible_id, read, read_all

OPEN: Final = (
    "new", "pendingInventory", "pendingShippingLabel", "reviewRequired", READY, SENT,
    "partialFulfillment", "onHold",
)  # fmt: skip
"""States of a request of which Pipe17 still waits for something (contract 2.6)."""

_FLOWS: Final[Mapping[str, Flow]] = {"stock": "inventory", "products": "catalog", "orders": "orders"}


@dataclass(frozen=True, eq=False, repr=False)
class Pipe17Holdings(Holdings):
    """One key's view.  Used by one thread."""

    _options: Pipe17Options
    _api: Api
    integration: Integration
    _locations: Locations
    _known: KnownProducts
    _stock: Stock

    def why_not(self, what: str, call: Call) -> str:
        if what == "products" and not self._options.integration_id:
            return "a bare key has no rows of its own in Pipe17's products"
        if why := self.integration.why_off(_FLOWS[what], call):
            return f"the flow '{_FLOWS[what]}' is off: {why}"
        return ""

    # Stock

    @using("inventory")
    def compare_stock(self, settings: Pipe17Options, changes: Sequence[StockChange], call: Call) -> StockCompared:
        expected = self._stock.expected(changes, settings, call)
        served = self._locations.served(call)
        skus = list(dict.fromkeys(row.pipe17_sku for _, rows in expected for row in rows))
        readable = {sku for some in batches(skus) for sku in some}
        held = held_stock(self._api, readable, served.ids, call)
        differences = []
        unreadable_skus = []
        for sending, rows in expected:
            if any(row.pipe17_sku not in readable for row in rows):
                unreadable_skus.append(sending.sku)
                continue
            for row in rows:
                ours = row.figure.stated
                theirs = _theirs(held.get(row.key), ours)
                if theirs != ours:
                    name = row.pipe17_sku if row.pipe17_sku != sending.sku else ""
                    place = served.facility_of.get(row.location_id, row.location_id)
                    differences.append(StockDifference(sending.sku, place, ours, theirs, name))
        return StockCompared(
            tuple(differences),
            theirs=tuple(dict.fromkeys([*(sending.pipe17_sku for sending, _ in expected), *skus])),
            skipped=sum(sending.is_skipped for sending, _ in expected),
            unreadable=tuple(unreadable_skus),
        )

    @using("inventory")
    def stock_page(self, settings: Pipe17Options, at: int, call: Call) -> Page[str]:
        params = {"locationId": ",".join(self._locations.served(call).ids), "order": "sku"}
        page = self._api.page(INVENTORY, params, call, skip=at, count=ROWS)
        names = (record.sku for record in read_all(StockRecord, page.rows) if record.is_physical and record.on_hand)
        return Page(tuple(dict.fromkeys(names)), page.next_skip)

    # Products

    @using("catalog")
    def compare_products(
        self, settings: Pipe17Options, changes: Sequence[ProductChange], call: Call
    ) -> tuple[ProductDifference, ...]:
        units = [
            (unit, note.get(unit.sku), unit.product_id or change.product.item.product_id, change.product)
            for change in changes
            if change.product is not None
            for note in [read_note(change.sent, Note) or {}]
            for unit in {unit.sku: unit for unit in reversed(change.product.units) if unit.sku}.values()
        ]
        matches = self._known.find({unit.sku for unit, *_ in units}, settings.skus, call, is_fresh=True)
        if any(not match.is_sure for match in matches.values()):
            raise Unavailable("OUT_OF_TIME", "pipe17's products are still being searched for channel SKUs")
        own = self._own_rows(matches.values(), settings, call)
        return tuple(
            difference
            for unit, last, product_id, product in units
            for difference in self._compared(unit, last, product_id, product.item.product_id, matches[unit.sku], own)
        )

    def _own_rows(self, matches: Collection[Match], settings: Pipe17Options, call: Call) -> dict[str, Json]:
        """Products we made, whole, by Pipe17's SKU; none where we make none, for then we write no field of them."""
        if not settings.create_products:
            return {}
        ours = [
            match.product.sku
            for match in matches
            if match.product and match.product.owner == self._options.integration_id
        ]
        found: dict[str, Json] = {}
        for some in batches(list(dict.fromkeys(ours))):
            for rows in self._api.pages(PRODUCTS, {"sku": ",".join(some)}, call):
                found |= {str(row.get("sku", "")): row for row in rows if isinstance(row, dict)}
        return found

    def _compared(
        self,
        unit: Item,
        last: LastSent | None,
        product_id: str,
        parent_id: str,
        match: Match,
        own_rows: Mapping[str, Json],
    ) -> Iterator[ProductDifference]:
        product, is_enabled = match.product, unit.is_enabled is not False
        if product is None:
            if is_enabled:
                yield ProductDifference(unit.sku, "", "stated", None)
            return
        status, _ = status_for(product.own, last, product_id, is_enabled=is_enabled)
        change = row_change(self._options.integration_id, unit.sku, match, product.own, status, product_id)
        held = product.own
        theirs = {"status": held.status, "extProductId": held.ext_product_id, "sku": held.sku} if held else {}
        for name in ("status", "extProductId", "sku"):
            if name in change and change[name] != theirs.get(name, ""):
                yield ProductDifference(unit.sku, name, str(change[name]), theirs.get(name, ""))
        row = own_rows.get(product.sku)
        if row is not None and is_enabled:
            for name, value in fields_of(unit, parent_id).items():
                if comparisons.plain(row.get(name)) != comparisons.plain(value):
                    ours, held_value = comparisons.shown(value), comparisons.shown(row.get(name))
                    yield ProductDifference(unit.sku, name, ours, held_value)

    # Orders

    @using("orders")
    def open_orders(self, settings: Pipe17Options, at: int, call: Call) -> Page[OrderThere]:
        params = {"status": ",".join(OPEN), **self._locations.own_filter, "order": "createdAt"}
        page = self._api.page(self._options.shipments_path, params, call, skip=at, key="shipments", count=ROWS)
        found = map(_order, read_all(RequestState, page.rows))
        return Page(tuple(there for there in found if there.is_open), page.next_skip)

    def orders(self, refnums: Collection[str], call: Call) -> Mapping[str, OrderThere]:
        """Raises `BrokenReply` when the list did not heed the ids: the others would read as unknown."""
        possible = [refnum for refnum in refnums if is_possible_id(refnum)]
        # A list takes ids with commas between, so an id that holds one is read by itself.
        ids = [refnum for refnum in possible if "," not in refnum]
        found: dict[str, OrderThere] = {}
        if not possible:
            return found
        with self.integration.using("orders", call):
            path = self._options.shipments_path
            for refnum in set(possible) - set(ids):
                state = read(RequestState, self._api.read_one(f"{path}/{{id}}", "shipment", refnum, call))
                if state is not None and state.shipment_id == refnum:
                    found[refnum] = _order(state)
            params = {"shipmentId": ",".join(ids)}
            listed = self._api.objects(path, RequestState, params, call, key="shipments", count=ROWS) if ids else ()
            for state in listed:
                if state.shipment_id not in refnums:
                    raise unreadable(path)
                found[state.shipment_id] = _order(state)
        return found


def _order(state: RequestState) -> OrderThere:
    return OrderThere(state.shipment_id, state.status, state.status in OPEN)


def _theirs(held: Level | None, ours: Figures) -> Figures | None:
    """Only what is sent: what Pipe17 keeps by itself (committed) is no figure of RetailOps'."""
    if held is None:
        # No record is as good as one of 0: none is made only to say that.
        return dict.fromkeys(ours, 0) if not any(ours.values()) else None
    return {name: held.stated.get(name) for name in ours}
