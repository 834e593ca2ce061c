"""RetailOps' stock as Pipe17 hears it: one absolute `ingest` event per SKU and location (contract 2.4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.errors import BrokenReply, GatewayError, Refused
from app.gateways.interface import Call
from app.gateways.pipe17 import payloads
from app.gateways.pipe17.api import Api
from app.gateways.pipe17.locations import Locations, Served
from app.gateways.pipe17.options import Pipe17Options
from app.gateways.words import StockChange, StockLevel, StockSent

Note = dict[str, tuple[int, int | None]]
"""Location id -> onHand and unavailable as Pipe17 accepted them last."""

PATH = "/inventory"
_REASON_LENGTH = 120


@dataclass
class _Told:
    """What is to be told of one SKU, and what has become of it so far."""

    sku: str
    note: Note
    missing: set[str] = field(default_factory=set)
    """Locations Pipe17 has not answered for yet."""
    refusals: list[str] = field(default_factory=list)

    def result(self) -> StockSent:
        sentences = dict.fromkeys(self.refusals)
        return StockSent(self.sku, msgspec.json.encode(self.note), "; ".join(sentences))


@dataclass(frozen=True)
class _Figure:
    told: _Told
    location_id: str
    on_hand: int
    unavailable: int | None
    is_gone: bool = False
    """True for a place RetailOps names no more: once it is 0 nothing is left to remember."""


class Stock:
    """Sends levels.  Used by one sender at a time (R13)."""

    def __init__(self, options: Pipe17Options, api: Api, locations: Locations) -> None:
        self._options = options
        self._api = api
        self._locations = locations
        self._batch = options.ingest_batch if options.bulk_post == "array" else 1
        self._doubted: dict[str, set[str]] = {}
        """Per SKU the locations Pipe17 may have heard of without our knowing."""

    def push(self, changes: Sequence[StockChange], call: Call) -> list[StockSent]:
        """A result for every SKU Pipe17 has answered for; the others stay owed and are sent again whole.

        Every location of a changed SKU is told, also one whose figures equal the note: an attempt whose
        outcome is unknown, here or in another process, may have told Pipe17 something else since.
        Raises a `GatewayError` when not one SKU could be settled.
        """
        served = self._locations.served(call)
        all_told: list[_Told] = []
        figures: list[_Figure] = []
        for change in changes:
            told, own = self._figures(change, served)
            all_told.append(told)
            figures += own
        try:
            self._send(figures, call)
        except GatewayError:
            settled = [told for told in all_told if not told.missing]
            if not settled:
                raise
            return self._results(settled)
        return self._results(all_told)

    def _results(self, settled: Sequence[_Told]) -> list[StockSent]:
        for told in settled:
            self._doubted.pop(told.sku, None)
        return [told.result() for told in settled]

    def _figures(self, change: StockChange, served: Served) -> tuple[_Told, list[_Figure]]:
        told = _Told(change.sku, _read_note(change.sent))
        if not change.level.details and change.level.quantity_available > 0:
            told.refusals.append("its units are stated without the facilities that hold them")
            return told, []
        totals = self._by_location(told, change.level, served)
        gone = (set(told.note) | self._doubted.get(change.sku, set())) - set(totals)
        own = [_Figure(told, location_id, *totals[location_id]) for location_id in sorted(totals)]
        zero = 0 if self._options.unavailable == "difference" else None
        own += [_Figure(told, place, 0, zero, is_gone=True) for place in sorted(gone & set(served.ids))]
        told.missing = {figure.location_id for figure in own}
        return told, own

    def _by_location(self, told: _Told, level: StockLevel, served: Served) -> Note:
        """Units per location; facilities of one location are added up."""
        totals: Note = {}
        for detail in level.details:
            if detail.quantity_type not in ("internal", ""):  # RetailOps leaves it empty where it is not filled
                continue
            location_id = served.find(detail.place)
            if location_id is None:
                place = f"facility '{detail.place}'"
                told.refusals.append(f"{place} is no location of Pipe17 that this channel serves")
                continue
            on_hand, unavailable = totals.get(location_id, (0, 0))
            total = max(detail.total, detail.available)  # What may be sold is there, also where no total is given.
            totals[location_id] = (on_hand + total, (unavailable or 0) + total - detail.available)
        if self._options.unavailable == "omit":
            return {location_id: (on_hand, None) for location_id, (on_hand, _) in totals.items()}
        return totals

    def _send(self, figures: Sequence[_Figure], call: Call) -> None:
        batches = deque(figures[at : at + self._batch] for at in range(0, len(figures), self._batch))
        while batches:
            batch = batches.popleft()
            try:
                reasons = self._tell(batch, call)
            except Refused as error:
                if len(batch) > 1:
                    # One figure must not cost the others: find it by halves.
                    batches.extendleft((batch[len(batch) // 2 :], batch[: len(batch) // 2]))
                    continue
                reasons = [error.message]
            except GatewayError as error:
                if error.outcome_unknown:
                    for figure in batch:
                        self._doubted.setdefault(figure.told.sku, set()).add(figure.location_id)
                raise
            for figure, reason in zip(batch, reasons, strict=True):
                _settle(figure, reason)

    def _tell(self, batch: Sequence[_Figure], call: Call) -> list[str]:
        """Per figure why it was refused, "" when it was taken."""
        events = [
            payloads.ingest(
                figure.told.sku, figure.location_id, figure.on_hand, figure.unavailable, self._options.ptype
            )
            for figure in batch
        ]
        posted = events if self._options.bulk_post == "array" else events[0]
        results = self._api.write("POST", PATH, posted, call).get("inventory")
        if not isinstance(results, list):
            return [""] * len(batch)  # One object, or only "queued" (202): the whole was taken.
        return _reasons(batch, results)


def _reasons(batch: Sequence[_Figure], results: list[Any]) -> list[str]:
    """Answers by the SKU and location they repeat, else by their place (contract 1.6)."""
    found: dict[tuple[str, str], str] = {}
    for place, result in enumerate(results):
        row = result if isinstance(result, dict) else {}
        echo = row.get("inventory") if isinstance(row.get("inventory"), dict) else row
        key = (str(echo.get("sku", "")), str(echo.get("locationId", ""))) if echo else ("", "")
        if not all(key) and place < len(batch):
            key = (batch[place].told.sku, batch[place].location_id)
        found[key] = _reason(row)
    try:
        return [found[figure.told.sku, figure.location_id] for figure in batch]
    except KeyError:
        message = f"pipe17 answered POST {PATH} without a result for every figure"
        raise BrokenReply("RESULTS_MISSING", message) from None


def _reason(result: dict[str, Any]) -> str:
    if not payloads.has_failed(result):
        return ""
    said = result.get("message")
    reason = " ".join(said.split())[:_REASON_LENGTH] if isinstance(said, str) else ""
    return f"pipe17 refused it: {reason or 'no reason given'}"


def _settle(figure: _Figure, reason: str) -> None:
    told = figure.told
    told.missing.discard(figure.location_id)
    if reason:
        told.refusals.append(reason)
    elif figure.is_gone:
        told.note.pop(figure.location_id, None)
    else:
        told.note[figure.location_id] = (figure.on_hand, figure.unavailable)


def _read_note(sent: bytes | None) -> Note:
    if not sent:
        return {}
    try:
        return msgspec.json.decode(sent, type=Note)
    except msgspec.DecodeError:
        return {}  # Another vendor's, or an older form: everything is told anew anyway.
