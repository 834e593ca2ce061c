"""RetailOps' stock as Pipe17 hears it: one absolute `ingest` event per SKU and location (contract 2.4).

Counts are told as they are on the shelf: Pipe17's buffer is for what a channel is told, never for what a
warehouse reports (contract 4.1).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from app.errors import GatewayError, Misconfigured, Refused, Unavailable
from app.gateways.interface import Call
from app.gateways.pipe17 import bodies
from app.gateways.pipe17.api import Api
from app.gateways.pipe17.bulk import post_each
from app.gateways.pipe17.definition import IntegrationSettings
from app.gateways.pipe17.integration import FORBIDDEN
from app.gateways.pipe17.known_products import KnownProducts, Match, unread
from app.gateways.pipe17.locations import Locations, Served
from app.gateways.pipe17.locks import Locks
from app.gateways.pipe17.options import Pipe17Options
from app.gateways.pipe17.payloads import Json
from app.gateways.words import StockChange, StockDetail, StockSent

PATH: Final = "/inventory"

INTERNAL: Final = ("internal", "")
"""`quantity_type` of units in a facility; RetailOps leaves it empty where it is not filled."""

EXTERNAL: Final = "external"
INFLIGHT: Final = "inflight"

log = logging.getLogger(__name__)


class Figure(msgspec.Struct, frozen=True, array_like=True):
    """What one location has of a SKU; None is what is not told."""

    on_hand: int
    unavailable: int | None = None
    future: int | None = None


Note = dict[str, list[int | None]]
"""By location id the figures as Pipe17 accepted them last, without those that were not told at the end.

Without any figure Pipe17 may have whatever an earlier attempt told it there."""


@dataclass
class _Told:
    """What is to be told of one SKU, and what has become of it so far."""

    sku: str
    pipe17_sku: str
    note: Note
    missing: set[str] = field(default_factory=set)
    """Locations Pipe17 has not answered for yet."""
    refusals: list[str] = field(default_factory=list)
    is_skipped: bool = False
    """True when some of it is not told, for nobody wants to hear it."""

    def result(self) -> StockSent:
        sentences = "; ".join(dict.fromkeys(self.refusals))
        is_skipped = self.is_skipped and not sentences
        return StockSent(self.sku, msgspec.json.encode(self.note), sentences, is_skipped)


@dataclass(frozen=True)
class _Row:
    """One figure on its way."""

    told: _Told
    location_id: str
    figure: Figure
    is_gone: bool = False
    """True for a place RetailOps names no more: once it is 0 nothing is left to remember."""


class Stock:
    """Sends levels.  Used by one sender at a time (R13)."""

    def __init__(self, options: Pipe17Options, api: Api, locations: Locations, known: KnownProducts) -> None:
        self._options = options
        self._api = api
        self._locations = locations
        self._known = known
        self._locks = Locks(api)
        self._batch = options.ingest_batch if options.bulk_post == "array" else None
        self._owns_locations = bool(options.integration_id or options.locations)
        """False for a bare key that may be shown locations of others as well."""
        self._is_blind = False

    def push(self, changes: Sequence[StockChange], settings: IntegrationSettings, call: Call) -> list[StockSent]:
        """A result for every SKU Pipe17 has answered for; the others stay owed and are sent again whole.

        A SKU whose stock nobody wants (not tracked, locked) is settled without a word.  Every location of a changed
        SKU is told, also one whose figures equal the note; the inventory mode "delta" leaves those out.
        Raises a `GatewayError` when not one SKU could be settled.
        """
        served = self._locations.served(call)
        matches = self._matches([change.sku for change in changes], settings, call)
        sure = [change for change in changes if matches[change.sku].is_sure]
        if not sure:
            raise Unavailable("OUT_OF_TIME", "pipe17's products are still being searched for channel SKUs")
        locked = self._locks.of(served.ids, call)
        all_told: list[_Told] = []
        rows: list[_Row] = []
        for change in sure:
            told, wanted = self._rows(change, matches[change.sku], served)
            own = [row for row in wanted if (told.pipe17_sku, row.location_id) not in locked]
            told.is_skipped |= len(own) < len(wanted)
            if settings.inventory_mode == "delta":
                own = [row for row in own if row.is_gone or told.note.get(row.location_id) != _noted(row.figure)]
            told.missing = {row.location_id for row in own}
            all_told.append(told)
            rows += own
        try:
            self._send(rows, call)
        except GatewayError:
            settled = [told for told in all_told if not told.missing]
            if not settled:
                raise
            return [told.result() for told in settled]
        return [told.result() for told in all_told]

    def _matches(self, skus: Sequence[str], settings: IntegrationSettings, call: Call) -> Mapping[str, Match]:
        """Without leave to read products nothing is skipped and only the setting's pairs count."""
        try:
            found = self._known.find(skus, settings.sku_mapping, call)
        except (Misconfigured, Refused) as error:
            if isinstance(error, Misconfigured) and error.code != FORBIDDEN:
                raise
            if not self._is_blind:
                log.warning("pipe17 does not show its products (%s): stock is told for every SKU", error.code)
            self._is_blind = True
            return unread(skus, settings.sku_mapping)
        self._is_blind = False
        return found

    def _rows(self, change: StockChange, match: Match, served: Served) -> tuple[_Told, list[_Row]]:
        told = _Told(change.sku, match.pipe17_sku, self._note(change, served))
        if match.product is not None and match.product.is_locked:
            told.is_skipped = True
            return told, []
        if not match.pipe17_sku:
            told.refusals.append("the product of this SKU at Pipe17 has another SKU at RetailOps")
            return told, []
        if not change.level.details and change.level.quantity_available > 0:
            told.refusals.append("its units are stated without the facilities that hold them")
            return told, []
        totals = self._by_location(told, change.level.details, served)
        gone = set(told.note) - set(totals)
        if self._owns_locations and not change.level.details:
            gone |= set(served.ids)
        own = [_Row(told, location_id, totals[location_id]) for location_id in sorted(totals)]
        own += [_Row(told, place, self._nothing(told, place), is_gone=True) for place in sorted(gone & set(served.ids))]
        return told, own

    def _note(self, change: StockChange, served: Served) -> Note:
        """What Pipe17 has; after an attempt whose outcome nobody knows only the places where that may be anything."""
        note = _read_note(change.sent)
        if change.doubted is None:
            return note
        doubted = self._by_location(_Told(change.sku, "", {}), change.doubted, served)
        return {location_id: [] for location_id in (*note, *doubted)}

    def _nothing(self, told: _Told, location_id: str) -> Figure:
        was_future = location_id == self._options.inflight_location or len(told.note.get(location_id, ())) > 2
        return self._figure(0, 0, 0 if was_future else None)

    def _figure(self, on_hand: int, unavailable: int, future: int | None) -> Figure:
        return Figure(on_hand, unavailable if self._options.unavailable == "difference" else None, future)

    def _by_location(self, told: _Told, details: Sequence[StockDetail], served: Served) -> dict[str, Figure]:
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
            location_id = self._place(told, detail, served)
            if location_id:
                on_hand, unavailable = shelf.get(location_id, (0, 0))
                shelf[location_id] = (on_hand + total, unavailable + total - detail.available)
        if self._options.inflight_location in shelf:
            coming.setdefault(self._options.inflight_location, 0)
        return {
            location_id: self._figure(*shelf.get(location_id, (0, 0)), coming.get(location_id))
            for location_id in (*shelf, *(place for place in coming if place not in shelf))
        }

    def _place(self, told: _Told, detail: StockDetail, served: Served) -> str:
        """The location whose shelf holds the units, or "" where they are not told."""
        is_external = detail.quantity_type == EXTERNAL and self._options.external_stock
        if detail.quantity_type not in INTERNAL and not is_external:
            return ""
        location_id = served.find(detail.place)
        if location_id is None and not self._locations.is_filtered_out(detail.place):
            kind = "vendor" if is_external else "facility"
            told.refusals.append(f"{kind} '{detail.place}' is no location of Pipe17 that this channel serves")
        return location_id or ""

    def _send(self, rows: Sequence[_Row], call: Call) -> None:
        events = [self._event(row) for row in rows]
        names = ("sku", "locationId")
        for place, reason in post_each(self._api, PATH, "inventory", events, names, call, batch=self._batch):
            _settle(rows[place], reason)

    def _event(self, row: _Row) -> Json:
        told, figure = row.told, row.figure
        event = bodies.ingest(told.pipe17_sku, row.location_id, figure.on_hand, figure.unavailable, self._options.ptype)
        if figure.future is not None:
            event[bodies.FUTURE] = figure.future
        if told.sku != told.pipe17_sku:
            event["vendorSKU"] = told.sku
        return event


def _settle(row: _Row, reason: str) -> None:
    told = row.told
    told.missing.discard(row.location_id)
    if reason:
        told.refusals.append(reason)
    elif row.is_gone:
        told.note.pop(row.location_id, None)
    else:
        told.note[row.location_id] = _noted(row.figure)


def _noted(figure: Figure) -> list[int | None]:
    figures = [figure.on_hand, figure.unavailable]
    return figures if figure.future is None else [*figures, figure.future]


def _read_note(sent: bytes | None) -> Note:
    if not sent:
        return {}
    try:
        return msgspec.json.decode(sent, type=Note)
    except msgspec.DecodeError:
        return {}  # Another vendor's, or an older form: everything is told anew anyway.
