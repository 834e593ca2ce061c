"""RetailOps' stock as Pipe17 receives it: one absolute `ingest` event per SKU and location (contract 2.4).

Counts are sent as they are on the shelf: Pipe17's buffer is for what is published to a channel, never for what a
warehouse reports (contract 4.1).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from app.domain.facts import Obstacle
from app.domain.stock import StockChange, StockDetail, StockSent
from app.domain.stock_levels import on_shelf
from app.errors import GatewayError, Misconfigured, Refused, Unavailable
from app.gateways.calls import Call
from app.gateways.capabilities import StockSink
from app.gateways.vendors.pipe17.connection.api import FORBIDDEN, Api
from app.gateways.vendors.pipe17.connection.bulk import post_each
from app.gateways.vendors.pipe17.connection.connector_settings import IntegrationSettings
from app.gateways.vendors.pipe17.connection.integration import Integration, using
from app.gateways.vendors.pipe17.connection.locations import Locations, Served, name_key
from app.gateways.vendors.pipe17.connection.wire import Id, Json, Text, wire, write
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.products.known_products import KnownProducts, Match, unread
from app.gateways.vendors.pipe17.stock.held_stock import PATH, Level, StockRecord, held_stock
from app.gateways.vendors.pipe17.stock.untracked_stock import UntrackedStock

MISSING_EVERY_S: Final = 30.0
"""How often the locations are read anew at most because a facility has none, besides for what was refused before."""

INTERNAL: Final = ("internal", "")
"""`quantity_type` of units in a facility; RetailOps leaves it empty where it is not filled."""

EXTERNAL: Final = "external"
INFLIGHT: Final = "inflight"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ingest(Level):
    """One stock event: absolute; `committed` is Pipe17's own and never sent."""

    sku: str = wire(Id("sku"))
    location_id: str = wire(Id("locationId"))
    event: str = wire(Text("event"))
    ptype: str = wire(Text("ptype"))
    vendor_sku: str = wire(Id("vendorSKU"))


Note = dict[str, list[int | None]]
"""By location id the figures as Pipe17 accepted them last, without those that were not sent at the end.

Without any figure Pipe17 may have whatever an earlier attempt sent there."""


@dataclass
class _Sending:
    """What is to be sent of one SKU, and what has become of it so far."""

    sku: str
    pipe17_sku: str
    note: Note
    missing: set[tuple[str, str]] = field(default_factory=set)
    """Pipe17's SKUs and location ids it has not answered for yet."""
    refusals: list[str] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    is_product_known: bool = True
    is_skipped: bool = False
    """True if some of it is skipped because Pipe17 locks or does not track the product."""
    others: tuple[str, ...] = ()
    """Pipe17's SKUs of the other products that carry this SKU."""
    attention: str = ""

    def result(self) -> StockSent:
        sentences = "; ".join(dict.fromkeys(self.refusals))
        is_skipped = self.is_skipped and not sentences
        return StockSent(
            self.sku,
            msgspec.json.encode(self.note),
            sentences,
            is_skipped,
            tuple(dict.fromkeys(self.obstacles)),
            attention=self.attention,
        )


@dataclass(frozen=True)
class _Row:
    """One figure on its way."""

    sending: _Sending
    pipe17_sku: str
    location_id: str
    figure: Level
    is_gone: bool = False
    """True for a place RetailOps names no more: once it is 0 nothing is left to remember."""

    @property
    def key(self) -> tuple[str, str]:
        return self.pipe17_sku, self.location_id


@dataclass(frozen=True)
class Expected:
    """What Pipe17 has to hold of a SKU; `figures` by Pipe17's SKU and location id, without locked records.

    `is_skipped`: some or all of it is locked or not tracked there.
    """

    sku: str
    pipe17_sku: str
    figures: Mapping[tuple[str, str], Level]
    is_skipped: bool


class Stock(StockSink):
    """Sends levels.  Used by one sender at a time (R13)."""

    by_location = True

    def __init__(
        self,
        options: Pipe17Options,
        api: Api,
        integration: Integration,
        locations: Locations,
        known: KnownProducts,
        untracked: UntrackedStock,
    ) -> None:
        self._options = options
        self.integration = integration
        self._api = api
        self._locations = locations
        self._known = known
        self._untracked = untracked
        self._batch = options.ingest_batch if options.bulk_post == "array" else None
        self._owns_locations = bool(options.integration_id or options.locations)
        """False for a bare key that may be shown locations of others as well."""
        self._is_blind = False
        self._missing_read_at = float("-inf")

    @using("inventory")
    def push(self, settings: IntegrationSettings, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        """A result for every SKU Pipe17 has answered for; the others stay owed and are sent again whole.

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
        sendings: list[_Sending] = []
        rows: list[_Row] = []
        for change in sure:
            sending, wanted = self._rows(change, matches[change.sku], served)
            own = [row for row in wanted if row.key not in locked]
            sending.is_skipped |= len(own) < len(wanted)
            sending.obstacles += [Obstacle("lock", lock_subject(*row.key)) for row in wanted if row.key in locked]
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

    def _forget(self, skus: Sequence[str], settings: IntegrationSettings) -> None:
        """What was believed when these were refused is read anew."""
        self._known.forget_refused(skus, settings.sku_mapping)
        self._locations.forget()
        self._untracked.forget()

    def _served(self, changes: Sequence[StockChange], call: Call) -> Served:
        """The locations; where a facility is missing they are read anew now and then, for somebody may have made it."""
        served = self._locations.served(call)
        details = [item for change in changes for item in change.level.details if item.quantity_type in INTERNAL]
        missing = {item.place for item in details if served.find(item.place) is None}
        is_due = self._api.now() - self._missing_read_at > MISSING_EVERY_S
        if is_due and any(not self._locations.is_filtered_out(facility) for facility in missing):
            self._missing_read_at = self._api.now()
            self._locations.forget()
            served = self._locations.served(call)
        return served

    def _differing(self, rows: Sequence[_Row], call: Call) -> list[_Row]:
        """Those whose figure Pipe17 has not, or was not sent last; all of them where the key may not read stock."""
        alike = [row for row in rows if row.sending.note.get(row.location_id) == _noted(row.figure)]
        alike = [row for row in alike if row.pipe17_sku == row.sending.pipe17_sku and not row.is_gone]
        if not alike:
            return list(rows)
        try:
            held = held_stock(self._api, [row.pipe17_sku for row in alike], {row.location_id for row in alike}, call)
        except (Misconfigured, Refused) as error:
            if isinstance(error, Misconfigured) and error.code != FORBIDDEN:
                raise
            return list(rows)
        same = {id(row) for row in alike if _has(held.get(row.key), row.figure)}
        return [row for row in rows if id(row) not in same]

    def expected(self, changes: Sequence[StockChange], settings: IntegrationSettings, call: Call) -> list[Expected]:
        """What Pipe17 holds once it has these levels; nothing is sent.  Raises a `GatewayError`."""
        served = self._served(changes, call)
        skus = [change.sku for change in changes]
        matches = self._matches(skus, settings, call)
        if not self._is_blind:
            self._known.search_all(call)  # Of a SKU that several products carry all have to be known.
            matches = self._matches(skus, settings, call)
        locked = self._untracked.of(served.ids, call)
        found = []
        for change in changes:
            sending, rows = self._rows(change, matches[change.sku], served)
            free = {row.key: row.figure for row in rows if row.key not in locked}
            found.append(Expected(change.sku, sending.pipe17_sku, free, sending.is_skipped or len(free) < len(rows)))
        return found

    def _matches(self, skus: Sequence[str], settings: IntegrationSettings, call: Call) -> Mapping[str, Match]:
        """Without leave to read products nothing is skipped and only the setting's pairs count."""
        try:
            found = self._known.find(skus, settings.sku_mapping, call, others=True)
        except (Misconfigured, Refused) as error:
            if isinstance(error, Misconfigured) and error.code != FORBIDDEN:
                raise
            if not self._is_blind:
                log.warning("pipe17 does not show its products (%s): stock is sent for every SKU", error.code)
            self._is_blind = True
            return unread(skus, settings.sku_mapping)
        self._is_blind = False
        return found

    def _rows(self, change: StockChange, match: Match, served: Served) -> tuple[_Sending, list[_Row]]:
        sending = _Sending(change.sku, match.pipe17_sku, self._note(change, served))
        sending.is_product_known = match.product is not None
        if match.product is not None and match.product.is_locked:
            sending.is_skipped = True
            sending.obstacles.append(Obstacle("lock", match.pipe17_sku))
            return sending, []
        if not match.pipe17_sku:
            sending.refusals.append("the product of this SKU at Pipe17 has another SKU at RetailOps")
            sending.obstacles.append(Obstacle("product", change.sku))
            return sending, []
        if not change.level.details and change.level.quantity_available > 0 and not change.level.is_nowhere:
            sending.refusals.append("its units are stated without the facilities that hold them")
            return sending, []
        totals = self._by_location(sending, change.level.details, served)
        gone = set(sending.note) - set(totals)
        if self._owns_locations and not change.level.details:
            gone |= set(served.ids)
        sku = match.pipe17_sku
        own = [_Row(sending, sku, place, totals[place]) for place in sorted(totals)]
        emptied = sorted(gone & set(served.ids))
        own += [_Row(sending, sku, place, self._nothing(sending, place), is_gone=True) for place in emptied]
        return sending, own + self._rows_of_others(sending, match, own, served)

    def _rows_of_others(self, sending: _Sending, match: Match, own: Sequence[_Row], served: Served) -> list[_Row]:
        """Products that carry the same channel SKU would sell the same units: they have 0, or all have the figure."""
        others = [product for product in match.others if not product.is_locked]
        if not match.others:
            return []
        sending.others = tuple(product.sku for product in others)
        named = ", ".join(product.sku for product in match.others)
        takes_all = self._options.alias_stock == "all"
        done = "they have the same figure (alias_stock)" if takes_all else "their stock is sent as 0"
        sending.attention = f"{match.pipe17_sku} has its stock; other products of Pipe17 carry it too: {named}; {done}"
        if takes_all:
            return [replace(row, pipe17_sku=sku) for sku in sending.others for row in own]
        places = {row.location_id for row in own} | (set(served.ids) if self._owns_locations else set())
        nothing = [(place, self._nothing(sending, place)) for place in sorted(places)]
        return [_Row(sending, sku, place, figure) for sku in sending.others for place, figure in nothing]

    def _note(self, change: StockChange, served: Served) -> Note:
        """What Pipe17 has; after an attempt whose outcome nobody knows only the places where that may be anything."""
        note = _read_note(change.sent)
        if change.doubted is None:
            return note
        doubted = self._by_location(_Sending(change.sku, "", {}), change.doubted, served)
        return {location_id: [] for location_id in (*note, *doubted)}

    def _nothing(self, sending: _Sending, location_id: str) -> Level:
        was_future = location_id == self._options.inflight_location or len(sending.note.get(location_id, ())) > 2
        return self._figure(0, 0, 0 if was_future else None)

    def _figure(self, on_hand: int, unavailable: int, future: int | None) -> Level:
        return Level(on_hand, unavailable if self._options.unavailable == "difference" else None, future)

    def _by_location(self, sending: _Sending, details: Sequence[StockDetail], served: Served) -> dict[str, Level]:
        """Units per location; facilities of one location are added up."""
        shelf: dict[str, tuple[int, int]] = {}
        coming: dict[str, int] = {}
        for detail in details:
            total = max(detail.total, detail.available)  # What may be sold is there, also where no total is given.
            if detail.quantity_type == INFLIGHT:
                place = self._options.inflight_location
                if place in served.ids:
                    coming[place] = coming.get(place, 0) + total
                continue
            location_id = self._place(sending, detail, served)
            if location_id:
                on_hand, unavailable = shelf.get(location_id, (0, 0))
                shelf[location_id] = (on_hand + total, unavailable + total - detail.available)
        if self._options.inflight_location in shelf:
            coming.setdefault(self._options.inflight_location, 0)
        return {
            location_id: self._figure(*on_shelf(*shelf.get(location_id, (0, 0))), _floored(coming.get(location_id)))
            for location_id in (*shelf, *(place for place in coming if place not in shelf))
        }

    def _place(self, sending: _Sending, detail: StockDetail, served: Served) -> str:
        """The location whose shelf holds the units, or "" where they are not sent."""
        is_external = detail.quantity_type == EXTERNAL and self._options.external_stock
        if detail.quantity_type not in INTERNAL and not is_external:
            return ""
        location_id = served.find(detail.place)
        if location_id is None and not self._locations.is_filtered_out(detail.place):
            kind = "vendor" if is_external else "facility"
            sending.refusals.append(f"{kind} '{detail.place}' is no location of Pipe17 that this channel serves")
            sending.obstacles.append(Obstacle("location", name_key(detail.place)))
        return location_id or ""

    def _send(self, rows: Sequence[_Row], call: Call) -> None:
        events = [self._event(row) for row in rows]
        names = ("sku", "locationId")
        for place, reason in post_each(self._api, PATH, "inventory", events, names, call, batch=self._batch):
            _settle(rows[place], reason)

    def _event(self, row: _Row) -> Json:
        vendor_sku = row.sending.sku if row.sending.sku != row.pipe17_sku else ""
        figures = _figures(row.figure)
        return write(Ingest(*figures, row.pipe17_sku, row.location_id, "ingest", self._options.ptype, vendor_sku))


def _settle(row: _Row, reason: str) -> None:
    sending = row.sending
    sending.missing.discard(row.key)
    if reason:
        sending.refusals.append(reason if row.pipe17_sku == sending.pipe17_sku else f"{row.pipe17_sku}: {reason}")
        if not sending.is_product_known:
            sending.obstacles += [Obstacle("product", name) for name in (sending.sku, sending.pipe17_sku)]
    elif row.pipe17_sku != sending.pipe17_sku:
        return  # The note is about the product that has the stock.
    elif row.is_gone:
        sending.note.pop(row.location_id, None)
    else:
        sending.note[row.location_id] = _noted(row.figure)


def _floored(units: int | None) -> int | None:
    return None if units is None else max(units, 0)


def lock_subject(pipe17_sku: str, location_id: str) -> str:
    """How an obstacle names a locked stock record; a location id holds no blank."""
    return f"{location_id} {pipe17_sku}"


def _has(held: StockRecord | None, figure: Level) -> bool:
    """Whether Pipe17 shows just this; what is not sent may be anything."""
    if held is None:
        return False
    pairs = zip(_figures(held), _figures(figure), strict=True)
    return all(own is None or shown == own for shown, own in pairs)


def _figures(level: Level) -> tuple[int | None, int | None, int | None]:
    return level.on_hand, level.unavailable, level.future


def _noted(figure: Level) -> list[int | None]:
    figures = [figure.on_hand, figure.unavailable]
    return figures if figure.future is None else [*figures, figure.future]


def _read_note(sent: bytes | None) -> Note:
    if not sent:
        return {}
    try:
        return msgspec.json.decode(sent, type=Note)
    except msgspec.DecodeError:
        return {}  # Another vendor's, or an older form: everything is sent anew anyway.
