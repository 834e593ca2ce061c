"""Which figures Pipe17 is to have of a SKU, one row for each of its products and locations (contract 2.4, 4.1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from app.domain.facts import Obstacle
from app.domain.stock import StockChange, StockDetail, StockSent
from app.domain.stock_levels import EXTERNAL_STOCK, OWN_STOCK, facility_key, on_shelf
from app.gateways.calls import read_note
from app.gateways.vendors.pipe17.connection.locations import Locations, Served
from app.gateways.vendors.pipe17.options import Pipe17Options
from app.gateways.vendors.pipe17.products.known_products import Match
from app.gateways.vendors.pipe17.stock.held_stock import Level

INFLIGHT: Final = "inflight"


class Noted(msgspec.Struct, frozen=True, array_like=True):
    """The figures of one location as Pipe17 accepted them last; None is what was not sent.

    Without any figure Pipe17 may have whatever an earlier attempt sent there.
    """

    on_hand: int | None = None
    unavailable: int | None = None
    future: int | None = None
    facilities: tuple[str, ...] = ()
    """Whose units they are, by `facility_key`."""

    @property
    def figures(self) -> tuple[int | None, ...]:
        return self.on_hand, self.unavailable, self.future


Note = dict[str, Noted]
"""What Pipe17 has of a SKU, by location id."""


@dataclass(eq=False, repr=False)
class Sending:
    """What is to be sent of one SKU, and what has become of it so far."""

    sku: str
    pipe17_sku: str
    note: Note
    rows: list[Row] = field(default_factory=list)
    """Those Pipe17 has not answered for yet."""
    refusals: list[str] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    facilities: dict[str, set[str]] = field(default_factory=dict)
    """By location, as `facility_key`, whose units are on its shelf; under "" those that have no location."""
    is_product_known: bool = True
    is_skipped: bool = False
    """True if some of it is skipped because Pipe17 locks or does not track the product."""
    attention: str = ""

    def refuse(self, reason: str, *obstacles: Obstacle) -> None:
        """`obstacles` are what is to be gone before it is worth another try."""
        self.refusals.append(reason)
        self.obstacles += obstacles

    def result(self) -> StockSent:
        note = msgspec.json.encode(self.note)
        sentences = "; ".join(dict.fromkeys(self.refusals))
        is_skipped = self.is_skipped and not sentences
        obstacles = tuple(dict.fromkeys(self.obstacles))
        return StockSent(self.sku, note, sentences, is_skipped, obstacles, attention=self.attention)


@dataclass(frozen=True, eq=False, repr=False)
class Row:
    """One figure on its way."""

    sending: Sending
    pipe17_sku: str
    location_id: str
    figure: Level
    is_gone: bool = False
    """True for a place RetailOps names no more: once it is 0 nothing is left to remember."""

    @property
    def noted(self) -> Noted:
        figure, facilities = self.figure, self.sending.facilities.get(self.location_id, ())
        return Noted(figure.on_hand, figure.unavailable, figure.future, tuple(sorted(facilities)))

    @property
    def key(self) -> tuple[str, str]:
        return self.pipe17_sku, self.location_id

    @property
    def is_as_sent_last(self) -> bool:
        """Whether the note says this very figure, of the product that has the stock."""
        is_own = self.pipe17_sku == self.sending.pipe17_sku and not self.is_gone
        last = self.sending.note.get(self.location_id)
        return is_own and last is not None and last.figures == self.noted.figures

    def settle(self, reason: str) -> None:
        """Pipe17 has answered for it: with the reason of a refusal, or "" where it has the figure now."""
        sending, is_own = self.sending, self.pipe17_sku == self.sending.pipe17_sku
        sending.rows.remove(self)
        if reason:
            sending.refuse(reason if is_own else f"{self.pipe17_sku}: {reason}")
            if not sending.is_product_known:
                sending.obstacles += [Obstacle("product", name) for name in (sending.sku, sending.pipe17_sku)]
        elif not is_own:
            return  # The note is about the product that has the stock.
        elif self.is_gone:
            sending.note.pop(self.location_id, None)
        else:
            sending.note[self.location_id] = self.noted


class StockRows:
    """Translates levels as RetailOps states them; makes no call."""

    def __init__(self, options: Pipe17Options, locations: Locations) -> None:
        self._options = options
        self._locations = locations
        self._owns_locations = bool(options.integration_id or options.locations)
        """False for a bare key that may be shown locations of others as well."""

    def of(self, change: StockChange, match: Match, served: Served, locked: Collection[tuple[str, str]]) -> Sending:
        """What is to be sent of a SKU; `locked` are the records, by SKU and location id, that Pipe17 has locked."""
        sending = Sending(change.sku, match.pipe17_sku, self._note(change, served))
        sending.is_product_known = match.product is not None
        if match.product is not None and match.product.is_locked:
            sending.is_skipped = True
            sending.obstacles.append(Obstacle("lock", match.pipe17_sku))
        elif not match.pipe17_sku:
            reason = "the product of this SKU at Pipe17 has another SKU at RetailOps"
            sending.refuse(reason, Obstacle("product", change.sku))
        elif not change.level.details and change.level.quantity_available > 0 and not change.level.is_nowhere:
            sending.refuse("its units are stated without the facilities that hold them")
        else:
            own = self._own_rows(sending, change, served)
            rows = own + self._rows_of_others(sending, match, own, served)
            sending.rows = [row for row in rows if row.key not in locked]
            sending.is_skipped = len(sending.rows) < len(rows)
            sending.obstacles += [Obstacle("lock", lock_subject(*row.key)) for row in rows if row.key in locked]
        return sending

    def _own_rows(self, sending: Sending, change: StockChange, served: Served) -> list[Row]:
        """Of the product that has the stock."""
        totals = self._by_location(sending, change.level.details, served)
        # A facility without a location is refused; its former one, which was renamed perhaps, stays as it is.
        unplaced = sending.facilities.get("", set())
        noted = sending.note.keys() - totals.keys()
        gone = {place for place in noted if unplaced.isdisjoint(sending.note[place].facilities)}
        if self._owns_locations and not change.level.details:
            gone |= set(served.ids)
        emptied = sorted(gone & set(served.ids))
        sku = sending.pipe17_sku
        return [
            *(Row(sending, sku, place, totals[place]) for place in sorted(totals)),
            *(Row(sending, sku, place, self._nothing(sending, place), is_gone=True) for place in emptied),
        ]

    def _rows_of_others(self, sending: Sending, match: Match, own: Sequence[Row], served: Served) -> list[Row]:
        """Products that carry the same channel SKU would sell the same units: they have 0, or all have the figure."""
        others = [product for product in match.others if not product.is_locked]
        if not match.others:
            return []
        named = ", ".join(product.sku for product in match.others)
        takes_all = self._options.alias_stock == "all"
        done = "they have the same figure (alias_stock)" if takes_all else "their stock is sent as 0"
        sending.attention = f"{match.pipe17_sku} has its stock; other products of Pipe17 carry it too: {named}; {done}"
        if takes_all:
            return [replace(row, pipe17_sku=product.sku) for product in others for row in own]
        places = {row.location_id for row in own} | (set(served.ids) if self._owns_locations else set())
        nothing = [(place, self._nothing(sending, place)) for place in sorted(places)]
        return [Row(sending, product.sku, place, figure) for product in others for place, figure in nothing]

    def _note(self, change: StockChange, served: Served) -> Note:
        """What Pipe17 has; after an attempt whose outcome nobody knows only the places where that may be anything."""
        note = read_note(change.sent, Note) or {}
        if change.uncertain is None:
            return note
        lost = Sending(change.sku, "", {})
        found = {place: Noted(facilities=known.facilities) for place, known in note.items()}
        for place in self._by_location(lost, change.uncertain, served):
            named = lost.facilities.get(place, set()).union(found.get(place, Noted()).facilities)
            found[place] = Noted(facilities=tuple(sorted(named)))
        return found

    def _nothing(self, sending: Sending, location_id: str) -> Level:
        last = sending.note.get(location_id, Noted())
        was_future = location_id == self._options.inflight_location or last.future is not None
        return self._figure(0, 0, 0 if was_future else None)

    def _figure(self, on_hand: int, unavailable: int, future: int | None) -> Level:
        return Level(on_hand, unavailable if self._options.unavailable == "difference" else None, future)

    def _by_location(self, sending: Sending, details: Sequence[StockDetail], served: Served) -> dict[str, Level]:
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
        coming = {place: max(units, 0) for place, units in coming.items()}
        return {
            location_id: self._figure(*on_shelf(*shelf.get(location_id, (0, 0))), coming.get(location_id))
            for location_id in dict.fromkeys((*shelf, *coming))
        }

    def _place(self, sending: Sending, detail: StockDetail, served: Served) -> str:
        """The location whose shelf holds the units, or "" where they are not sent."""
        is_external = detail.quantity_type == EXTERNAL_STOCK and self._options.external_stock
        if detail.quantity_type not in OWN_STOCK and not is_external:
            return ""
        location_id = served.find(detail.place)
        sending.facilities.setdefault(location_id or "", set()).add(facility_key(detail.place))
        if location_id is None and not self._locations.is_filtered_out(detail.place):
            kind = "vendor" if is_external else "facility"
            reason = f"{kind} '{detail.place}' is no location of Pipe17 that this channel serves"
            sending.refuse(reason, Obstacle("location", facility_key(detail.place)))
        return location_id or ""


def lock_subject(pipe17_sku: str, location_id: str) -> str:
    """How an obstacle names a locked stock record; a location id holds no blank."""
    return f"{location_id} {pipe17_sku}"
