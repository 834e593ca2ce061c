"""Sends RetailOps' stock to Pipe17: one absolute `ingest` event per SKU and location (contract 2.4).

Counts are sent as they are on the shelf: Pipe17's buffer is for what is published to a channel, never for what a
warehouse reports (contract 4.1).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.facts import Obstacle
from app.domain.stock import StockChange, StockSent
from app.domain.stock_levels import OWN_STOCK
from app.errors import GatewayError, Misconfigured, Refused, Unavailable
from app.gateways.calls import Call
from app.gateways.capabilities import StockSink
from app.gateways.vendors.pipe17.connection.api import FORBIDDEN, Api, post_each
from app.gateways.vendors.pipe17.connection.integration import Integration, using
from app.gateways.vendors.pipe17.connection.locations import Locations, Served
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.products.known_products import KnownProducts, Match, unread
from app.gateways.vendors.pipe17.stock.held_stock import PATH, Level, UntrackedStock, held_stock
from app.gateways.vendors.pipe17.stock.stock_rows import Row, Sending, StockRows, in_words, lock_subject, noted
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

    _options: Pipe17Options
    _api: Api
    integration: Integration
    _locations: Locations
    _known: KnownProducts
    _untracked: UntrackedStock
    _is_blind: bool = False
    _missing_read_at: float = float("-inf")

    by_location = True

    def __post_init__(self) -> None:
        self._rows = StockRows(self._options, self._locations)
        self._batch = self._options.bulk_batch

    def in_words(self, sent: bytes) -> Mapping[str, str]:
        return in_words(sent)

    @using("inventory")
    def push(self, settings: Pipe17Options, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        """A result for every SKU Pipe17 has answered for; the others stay due and are sent again whole.

        A SKU that Pipe17 does not track or has locked is skipped.  Every location of a SKU is sent, also one whose
        figures equal the note; the inventory mode "delta" leaves out those that Pipe17 has as they were sent last.
        Raises a `GatewayError` when not one SKU could be settled.
        """
        refused = [change.sku for change in changes if change.was_refused]
        if refused:
            self._forget(refused, settings)
        served = self._served(changes, call)
        matches = self._matches([change.sku for change in changes], settings, call)
        sure = [change for change in changes if matches[change.sku].is_sure]
        if not sure:
            raise Unavailable("OUT_OF_TIME", "pipe17's products are still being searched for channel SKUs")
        locked = self._untracked.of(served.ids, call)
        sendings: list[Sending] = []
        rows: list[Row] = []
        for change in sure:
            sending, own = self._free_rows(change, matches, served, locked)
            sendings.append(sending)
            rows += own
        if settings.inventory_mode == "delta":
            rows = self._differing(rows, call)
        for row in rows:
            row.sending.missing.add(row.key)
        try:
            self._send(rows, call)
        except GatewayError:
            settled = [sending for sending in sendings if not sending.missing]
            if not settled:
                raise
            return [sending.result() for sending in settled]
        return [sending.result() for sending in sendings]

    def _forget(self, skus: Sequence[str], settings: Pipe17Options) -> None:
        """What was read before these were refused is read anew."""
        self._known.forget_refused(skus, settings.skus)
        self._locations.forget()
        self._untracked.forget()

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

    def _differing(self, rows: Sequence[Row], call: Call) -> list[Row]:
        """Those whose figure Pipe17 has not, or was not sent last; all of them where the key may not read stock."""
        alike = [row for row in rows if row.sending.note.get(row.location_id) == noted(row.figure)]
        alike = [row for row in alike if row.pipe17_sku == row.sending.pipe17_sku and not row.is_gone]
        if not alike:
            return list(rows)
        try:
            held = held_stock(self._api, [row.pipe17_sku for row in alike], {row.location_id for row in alike}, call)
        except (Misconfigured, Refused) as error:
            if isinstance(error, Misconfigured) and error.code != FORBIDDEN:
                raise
            return list(rows)
        same = {id(row) for row in alike if (record := held.get(row.key)) and record.has(row.figure)}
        return [row for row in rows if id(row) not in same]

    def _free_rows(
        self, change: StockChange, matches: Mapping[str, Match], served: Served, locked: Collection[tuple[str, str]]
    ) -> tuple[Sending, list[Row]]:
        """What is to be sent of a SKU, without records that Pipe17 has locked."""
        sending, every = self._rows.of(change, matches[change.sku], served)
        own = [row for row in every if row.key not in locked]
        sending.is_skipped |= len(own) < len(every)
        sending.obstacles += [Obstacle("lock", lock_subject(*row.key)) for row in every if row.key in locked]
        return sending, own

    def expected(
        self, changes: Sequence[StockChange], settings: Pipe17Options, call: Call
    ) -> list[tuple[Sending, list[Row]]]:
        """What Pipe17 holds once it has these levels; nothing is sent.  Raises a `GatewayError`."""
        served = self._served(changes, call)
        skus = [change.sku for change in changes]
        matches = self._matches(skus, settings, call)
        if not self._is_blind:
            self._known.search_all(call)  # Of a SKU that several products carry all have to be known.
            matches = self._matches(skus, settings, call)
        locked = self._untracked.of(served.ids, call)
        return [self._free_rows(change, matches, served, locked) for change in changes]

    def _matches(self, skus: Sequence[str], settings: Pipe17Options, call: Call) -> Mapping[str, Match]:
        """Without leave to read products nothing is skipped and only the setting's pairs count."""
        try:
            found = self._known.find(skus, settings.skus, call, others=True)
        except (Misconfigured, Refused) as error:
            if isinstance(error, Misconfigured) and error.code != FORBIDDEN:
                raise
            if not self._is_blind:
                log.warning("pipe17 does not show its products (%s): stock is sent for every SKU", error.code)
            self._is_blind = True
            return unread(skus, settings.skus)
        self._is_blind = False
        return found

    def _send(self, rows: Sequence[Row], call: Call) -> None:
        events = [self._event(row) for row in rows]
        names = ("sku", "locationId")
        for place, reason in post_each(self._api, PATH, "inventory", events, names, call, batch=self._batch):
            rows[place].settle(reason)

    def _event(self, row: Row) -> Json:
        vendor_sku = row.sending.sku if row.sending.sku != row.pipe17_sku else ""
        level = (row.figure.on_hand, row.figure.unavailable, row.figure.future)
        return write(Ingest(*level, row.pipe17_sku, row.location_id, "ingest", self._options.ptype, vendor_sku))
