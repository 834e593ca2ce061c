"""RetailOps states the stock of many SKUs, absolute and whole; it becomes due at every gateway that takes stock.

A fact is answered once it is durable; it is sent in the background, newest value only (R13).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection

from app.channel import reservations
from app.channel.services import CallbackRequest, CallbackResult
from app.channel_settings import Channel
from app.contract.problems import KEPT
from app.contract.reading import text, whole
from app.contract.schemas import Reading
from app.domain.events import Event, about
from app.domain.stock import StockLevel
from app.domain.stock_levels import EXTERNAL_STOCK, OWN_STOCK, counted
from app.gateways.capabilities import StockSink
from app.records import catalogue, group_commit, stock
from app.records.stock_disagreements import Disagreement

_encode = msgspec.json.Encoder().encode

SHORT = 200
"""SKUs of a push that is so quickly written that its commit costs more: it shares one with others."""

_PLACE_OF = {"external": "vendor_name", "inflight": "po"}
"""The field that says where units are, by quantity_type; for internal and unstated ones the facility."""


Sums = tuple[int | None, int, int, bool, bool]
"""What a row states that does not agree with itself: its total (None: it states none), its own and other vendors' units
added up, whether it has a list of sources, and whether anything is in that.  A plain tuple, for there may be many."""


class Levels(msgspec.Struct):
    """Stock by SKU as the bytes to keep, the SKUs that were named twice, and those that are below 0 somewhere.

    `open` are rows of which the channel's settings say what counts.  `names_sources`: some row says where units are.
    """

    by_sku: dict[str, bytes]
    repeated: list[str]
    below_zero: dict[str, None] = {}
    open: dict[str, Sums] = {}
    names_sources: bool = False


def read(body: Mapping[str, Any], reading: Reading) -> Levels:
    """Every readable row; of a SKU named twice the last row counts.

    A row becomes the JSON of a `StockLevel`; plain tuples, because this runs ten thousand times a request.
    """
    by_sku: dict[str, bytes] = {}
    found = Levels(by_sku, [], {}, {})
    unsettled, below_zero = found.open, found.below_zero
    bad = reading.bad_entries
    names_sources = False
    for index, row in enumerate(body.get("inventory_updates") or ()):
        if bad and index in bad:
            continue
        sku = row["sku"]
        if type(sku) is not str:
            sku = text(sku)
        total = quantity = row.get("quantity_available")
        if type(quantity) is not int:
            quantity = whole(quantity)
            total = None if total is None or total == "" else quantity
        stated = row.get("quantity_detail")
        if sku in by_sku:
            found.repeated.append(sku)
            unsettled.pop(sku, None)
            below_zero.pop(sku, None)
        if quantity < 0:
            below_zero[sku] = None
        if stated:
            details = []
            own = external = 0
            for item in stated:
                kind, _, available, units = detail = _detail(item)
                details.append(detail)
                if kind == "internal":
                    own += available
                elif kind == "external":
                    external += available
                elif not kind:
                    own += available
                if available < 0 or units < 0:
                    below_zero[sku] = None
            names_sources = True
            if total is None or (quantity != own + external and quantity != own):
                unsettled[sku] = (total, own, external, True, True)
        else:
            details = []
            if quantity:
                unsettled[sku] = (quantity, 0, 0, stated is not None, False)
        by_sku[sku] = _encode((quantity, details))
    found.names_sources = names_sources
    return found


def names(payload: Levels) -> list[str]:
    """The SKUs."""
    return list(payload.by_sku)


def only(payload: Levels, skus: Collection[str]) -> Levels:
    """These SKUs alone, as the whole push states them."""
    chosen = frozenset(skus)
    return Levels(
        {sku: payload.by_sku[sku] for sku in skus},
        [sku for sku in payload.repeated if sku in chosen],
        {sku: None for sku in payload.below_zero if sku in chosen},
        {sku: sums for sku, sums in payload.open.items() if sku in chosen},
        payload.names_sources,
    )


def _detail(item: Mapping[str, Any]) -> tuple[str, str, int, int]:
    """A `StockDetail`: its place is the facility, the vendor or the purchase order, by type."""
    available = item.get("available_quantity")
    if type(available) is not int:
        available = whole(available)
    total = item.get("total_quantity")
    if type(total) is not int:
        total = whole(total, available)
    kind = item.get("quantity_type") or ""
    place = item.get(_PLACE_OF.get(kind, "facility_name"))
    if type(place) is not str or "\x00" in place:
        return kind, text(place), available, total
    return kind, place.strip(), available, total


def carry_out(payload: Levels, request: CallbackRequest) -> CallbackResult:
    """Raises `DatabaseUnavailable` when the levels cannot be kept."""
    disagreement = _settle(payload, request.channel)
    # In the order in which a push of products takes their counters, so that no two wait for each other.
    gateways = sorted(request.services.gateways_of(request.channel), key=lambda gateway: gateway.token)
    sinks = {gateway.token: gateway.stock for gateway in gateways if gateway.stock is not None}
    unknown: list[str] = []
    if sinks and payload.by_sku:
        unknown = _keep(_Push(payload.by_sku, request, sinks, disagreement))
        request.services.wake_deliveries()
    message = "the SKU stands in the request more than once; its last row counts"
    repeated = dict.fromkeys(payload.repeated)
    events = [Event("warning", "DUPLICATE_SKU", message, about("sku_number", sku)) for sku in repeated]
    # A vendor that is sent stock by location is never sent the total, so nobody has to decide whether it counts.
    if disagreement is not None and not all(sink.by_location for sink in sinks.values()):
        events.append(_disagrees(disagreement, request.channel))
    events += _negative(list(payload.below_zero))
    if any(sink.needs_catalogue for sink in sinks.values()):
        events += _not_in_catalogue(unknown)
    return CallbackResult(events)


@dataclass(frozen=True)
class _Push:
    """What is kept of a push, and for whom."""

    by_sku: dict[str, bytes]
    request: CallbackRequest
    sinks: Mapping[str, StockSink]
    disagreement: Disagreement | None


def _keep(push: _Push) -> list[str]:
    """Commit the levels; SKUs that the catalogue does not have.  Raises `DatabaseUnavailable`."""
    database, wait_s = push.request.services.database, push.request.deadline.left_s()
    if (rows := len(push.by_sku)) <= SHORT or group_commit.is_begun_meanwhile():
        return database.group_commits[push.request.channel.key].run(_keep_all, push, wait_s, rows=rows)
    with database.write(wait_s=wait_s) as connection:
        [unknown] = _keep_all(connection, [push])
        return unknown


def _keep_all(connection: Connection, pushes: Sequence[_Push]) -> list[list[str]]:
    """Write the levels of a channel's pushes as if one push after another; what `_keep` says, of each.

    Where blanks may make one SKU of two, each push has to see what those before it have written.
    """
    request, sinks = pushes[0].request, pushes[0].sinks
    channel = request.channel
    unknown: list[list[str]] = [[] for _ in pushes]
    if any(sink.needs_catalogue or sink.shows_with_catalogue for sink in sinks.values()):
        unknown = _unknown(connection, channel.key, [push.by_sku for push in pushes])
    if len(pushes) == 1 or stock.have_blanks(connection, channel.key, {sku for push in pushes for sku in push.by_sku}):
        for push in pushes:
            _one_spelling(connection, channel.key, push.by_sku)
            _write(connection, [push])
    else:
        _write(connection, pushes)
        stock.demand_no_blanks(connection, channel.key)
    return unknown


def _write(connection: Connection, pushes: Sequence[_Push]) -> None:
    request = pushes[0].request
    for at, (token, sink) in enumerate(pushes[0].sinks.items()):
        stock.accept(
            connection,
            request.channel.key,
            token,
            *(push.by_sku for push in pushes),
            now=request.services.clock(),
            restate_after_s=_restate_after_s(sink, request.channel),
            disagreements=[push.disagreement for push in pushes if push.disagreement and at == 0],
        )
    reservations.stated(connection, request, [sku for push in pushes for sku in push.by_sku])


def _unknown(connection: Connection, channel: str, pushes: Sequence[dict[str, bytes]]) -> list[list[str]]:
    """SKUs of each push that the catalogue does not have.

    One that is a single SKU of it but for blanks at the ends, which some of RetailOps' systems drop, goes by that one.
    """
    absent = catalogue.unknown_skus(connection, channel, [sku for by_sku in pushes for sku in by_sku])
    if not absent:
        return [[] for _ in pushes]
    unknown = [[sku for sku in by_sku if sku in absent] for by_sku in pushes]
    alike: dict[str, list[str]] = {}
    trimmed = {sku.strip() for skus in unknown for sku in skus if sku != sku.strip()}
    for sku in (*catalogue.known_skus(connection, channel, trimmed), *catalogue.blanked_skus(connection, channel)):
        alike.setdefault(sku.strip(), []).append(sku)
    for by_sku, skus in zip(pushes, unknown, strict=True) if alike else ():
        for sku in skus:
            meant = alike.get(sku.strip(), [])
            if len(meant) == 1 and meant[0] not in by_sku:
                by_sku[meant[0]] = by_sku.pop(sku)
    return [[sku for sku in skus if sku in by_sku] for by_sku, skus in zip(pushes, unknown, strict=True)]


def _one_spelling(connection: Connection, channel: str, by_sku: dict[str, bytes]) -> None:
    """A SKU in another spelling of its blanks goes by the one under which its level is kept (R32).

    Else an older statement in the one spelling could be sent after a newer one in the other.  A SKU that the catalogue
    names is that one, whatever was stated before it was named.
    """
    alike = stock.same_but_for_blanks(connection, channel, by_sku)
    named = catalogue.known_skus(connection, channel, alike) if alike else set()
    for sku, kept in alike.items():
        if kept not in by_sku and sku not in named:
            by_sku[kept] = by_sku.pop(sku)


def _disagrees(found: Disagreement, channel: Channel) -> Event:
    counts = {
        "": "the lower of the two counts until stock_from is set for the channel",
        "top": "quantity_available counts",
        "details": "the sum counts",
    }[channel.stock_from]
    message = (
        f"quantity_available is not the sum of quantity_detail for {found.skus} of the SKUs of this request, such "
        f"as this one; where one figure is sent, {counts}"
    )
    return Event("warning", "STOCK_DISAGREES", message, about("sku_number", found.sku))


def _settle(payload: Levels, channel: Channel) -> Disagreement | None:
    """Decide which figure counts where a row's total and its sources disagree, and put that in its place.

    Beside rows that name their sources a row that names none has no unit; where no row does, nothing is said of
    sources.  A total without the units of other vendors agrees as well as one with them.
    """
    # The reader has settled what agrees in every way that is right without a setting.
    is_plain = channel.count_external_stock and channel.stock_from != "details"
    unsettled = payload.open if is_plain else _all_sums(payload)
    counts_external, stock_from, names_sources = channel.count_external_stock, channel.stock_from, payload.names_sources
    by_sku = payload.by_sku
    count, first = 0, None
    for sku, (total, own, external, has_list, has_sources) in unsettled.items():
        added_up = own + external if counts_external else own
        if total is None:
            figure = added_up
        elif has_sources or names_sources:
            agrees = total == added_up or (has_sources and total == own)
            if not agrees:
                count += 1
                first = first or (sku, total, added_up)
            figure = total if agrees and not stock_from else counted(total, added_up, stock_from)
        elif has_list and stock_from == "details":
            figure = added_up
        else:
            continue
        is_nowhere = not has_sources and figure > 0 and names_sources
        if figure != total or is_nowhere:
            # The bytes are put together anew but for the sources, which are most of them.
            level = by_sku.get(sku)
            if level is None:
                continue  # settled by an earlier try of the same request, under the SKU it goes by now
            rest = level[level.index(b",") :]
            is_said = not is_nowhere or rest.endswith(_NOWHERE)
            by_sku[sku] = b"[%d%b" % (figure, rest if is_said else rest[:-1] + _NOWHERE)
    return Disagreement(count, *first) if first is not None else None


_NOWHERE = b",true]"


def _all_sums(payload: Levels) -> dict[str, Sums]:
    """What every row states: for settings few have, so it may take longer than the reader."""
    found = dict(payload.open)
    for sku, encoded in payload.by_sku.items():
        if sku in found:
            continue
        level = msgspec.json.decode(encoded, type=StockLevel)
        own = sum(detail.available for detail in level.details if detail.quantity_type in OWN_STOCK)
        external = sum(detail.available for detail in level.details if detail.quantity_type == EXTERNAL_STOCK)
        if external:
            found[sku] = (level.quantity_available, own, external, True, True)
    return found


def _negative(skus: Sequence[str]) -> list[Event]:
    """Stock below 0 is added up as stated; what a vendor is sent is 0 at least (R6)."""
    message = "the SKU has stock below 0; it is added up as stated, and a vendor is sent 0 at least"
    events = [Event("warning", "NEGATIVE_STOCK", message, about("sku_number", sku)) for sku in skus[:KEPT]]
    if len(skus) > KEPT:
        events.append(Event("warning", "NEGATIVE_STOCK", f"{len(skus) - KEPT} further SKUs have stock below 0"))
    return events


def _restate_after_s(sink: StockSink, channel: Channel) -> float | None:
    """How long after it was last sent an equal level is sent again; None: never (R13)."""
    if channel.restate == "changed" or not sink.can_move_at_vendor:
        return None
    return sink.restate_every_s


def _not_in_catalogue(skus: Sequence[str]) -> list[Event]:
    """A new product's stock and its catalogue record race: the stock is kept and sent with the product."""
    message = "the SKU is not in the catalogue yet; its stock is kept and told with its product"
    events = [Event("warning", "SKU_UNKNOWN", message, about("sku_number", sku)) for sku in skus[:KEPT]]
    if len(skus) > KEPT:
        message = f"{len(skus) - KEPT} further SKUs are not in the catalogue yet"
        events.append(Event("warning", "SKU_UNKNOWN", message))
    return events
