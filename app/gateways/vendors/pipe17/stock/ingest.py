"""Sends RetailOps' stock to Pipe17: one absolute `ingest` event per SKU and location (contract 2.4).

Counts are sent as they are on the shelf: Pipe17's buffer is for what is published to a channel, never for what a
warehouse reports (contract 4.1).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.stock import StockChange, StockSent
from app.domain.stock_levels import OWN_STOCK
from app.errors import GatewayError, Refused, Unavailable
from app.gateways.calls import Call, read_note
from app.gateways.capabilities import StockSink
from app.gateways.vendors.pipe17.connection.api import Api, NoGrant
from app.gateways.vendors.pipe17.connection.integration import Integration
from app.gateways.vendors.pipe17.connection.locations import Locations, Served
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.products.known_products import KnownProducts, Match, unread
from app.gateways.vendors.pipe17.stock.held_stock import PATH, Level, UntrackedStock, held_stock
from app.gateways.vendors.pipe17.stock.stock_rows import Note, Row, Sending, StockRows
from app.gateways.wire_objects import Id, Json, Text, wire, write

MISSING_EVERY_S: Final = 30.0
"""How often the locations are read anew at most because a facility has none, besides for what was refused before."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ingest(Level):
    """One stock event: absolute; `committed` is Pipe17's own and never sent."""

    sku: str = wire(Id("sku"))
    location_id: str = wire(Id("locationId"))
    event: str = wire(Text("event"))
    ptype: str = wire(Text("ptype"))
    vendor_sku: str = wire(Id("vendorSKU"))


@dataclass(eq=False, repr=False)
class Stock(StockSink):
    """Sends levels.  Used by one sender at a time (R13)."""

    _api: Api
    _integration: Integration
    _locations: Locations
    _known: KnownProducts
    _untracked: UntrackedStock
    _is_blind: bool = False
    _missing_read_at: float = float("-inf")

    by_location = True

    def __post_init__(self) -> None:
        self._rows = StockRows(self._api.options, self._locations)

    def in_words(self, sent: bytes) -> Mapping[str, str]:
        parts = ("on hand", "of them not for sale", "coming in")
        note = read_note(sent, Note) or {}
        named = {place: zip(noted.figures, parts, strict=True) for place, noted in note.items()}
        return {place: ", ".join(f"{n} {part}" for n, part in pairs if n is not None) for place, pairs in named.items()}

    def push(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        """A result for every SKU Pipe17 has answered for; the others stay due and are sent again whole.

        A SKU that Pipe17 does not track or has locked is skipped.  Every location of a SKU is sent, also one whose
        figures equal the note; the inventory mode "delta" leaves out those that Pipe17 has as they were sent last.
        Raises a `GatewayError` when not one SKU could be settled.
        """
        with self._integration.using("inventory", call) as settings:
            refused = [change.sku for change in changes if change.was_refused]
            if refused:  # What was read before is read anew.
                self._known.forget_refused(refused, settings.skus)
                self._locations.forget()
                self._untracked.forget()
            served = self._served(changes, call)
            matches = self._matches([change.sku for change in changes], settings, call)
            sure = [change for change in changes if matches[change.sku].is_sure]
            if not sure:
                raise Unavailable("OUT_OF_TIME", "pipe17's products are still being searched for channel SKUs")
            sendings = self._sendings(sure, matches, served, call)
            if settings.inventory_mode == "delta":
                self._leave_out_held(sendings, call)
            rows = [row for sending in sendings for row in sending.rows]
            events = [self._event(row) for row in rows]
            try:
                for place, reason in self._api.post_each(PATH, events, ("sku", "locationId"), call):
                    rows[place].settle(reason)
            except GatewayError:
                if all(sending.rows for sending in sendings):
                    raise
            return [sending.result() for sending in sendings if not sending.rows]

    def _served(self, changes: Sequence[StockChange], call: Call) -> Served:
        """The locations; where a facility is missing they are read anew now and then, for somebody may have made it."""
        served = self._locations.served(call)
        details = [item for change in changes for item in change.level.details if item.quantity_type in OWN_STOCK]
        missing = {item.place for item in details if served.find(item.place) is None}
        is_due = self._api.now() - self._missing_read_at > MISSING_EVERY_S
        if is_due and any(not self._locations.is_filtered_out(facility) for facility in missing):
            self._missing_read_at = self._api.now()
            self._locations.forget()
            served = self._locations.served(call)
        return served

    def _leave_out_held(self, sendings: Sequence[Sending], call: Call) -> None:
        """Leaves out figures that Pipe17 has as they were sent last; none where the key may not read stock."""
        alike = [row for sending in sendings for row in sending.rows if row.is_as_sent_last]
        if not alike:
            return
        try:
            held = held_stock(self._api, [row.pipe17_sku for row in alike], {row.location_id for row in alike}, call)
        except (NoGrant, Refused):
            return
        for row in alike:
            if (record := held.get(row.key)) and record.has(row.figure):
                row.settle("")

    def _sendings(
        self, changes: Sequence[StockChange], matches: Mapping[str, Match], served: Served, call: Call
    ) -> list[Sending]:
        locked = self._untracked.of(served.ids, call)
        return [self._rows.of(change, matches[change.sku], served, locked) for change in changes]

    def expected(self, changes: Sequence[StockChange], settings: Pipe17Options, call: Call) -> list[Sending]:
        """What Pipe17 holds once it has these levels; nothing is sent.  Raises a `GatewayError`."""
        served = self._served(changes, call)
        skus = [change.sku for change in changes]
        matches = self._matches(skus, settings, call)
        if not self._is_blind:
            self._known.search_all(call)  # Of a SKU that several products carry all have to be known.
            matches = self._matches(skus, settings, call)
        return self._sendings(changes, matches, served, call)

    def _matches(self, skus: Sequence[str], settings: Pipe17Options, call: Call) -> Mapping[str, Match]:
        """Without leave to read products nothing is skipped and only the setting's pairs count."""
        try:
            found = self._known.find(skus, settings.skus, call, others=True)
        except (NoGrant, Refused) as error:
            if not self._is_blind:
                log.warning("pipe17 does not show its products (%s): stock is sent for every SKU", error.code)
            self._is_blind = True
            return unread(skus, settings.skus)
        self._is_blind = False
        return found

    def _event(self, row: Row) -> Json:
        vendor_sku = row.sending.sku if row.sending.sku != row.pipe17_sku else ""
        level = (row.figure.on_hand, row.figure.unavailable, row.figure.future)
        return write(Ingest(*level, row.pipe17_sku, row.location_id, "ingest", self._api.options.ptype, vendor_sku))
