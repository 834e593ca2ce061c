"""RetailOps states the stock of many SKUs, absolute and whole; every gateway that hears stock is owed it.

A fact is answered once it is durable; it is sent in the background, newest value only (R13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.channel import reserving
from app.channel.desk import Asked, Desk
from app.channel.outcome import Outcome
from app.contract.problems import KEPT
from app.contract.reading import text, whole
from app.contract.schemas import Reading
from app.gateways.interface import Gateway
from app.gateways.words import Event, about
from app.records import catalogue, stock
from app.settings import Channel

_encode = msgspec.json.Encoder().encode

_PLACE_OF = {"external": "vendor_name", "inflight": "po"}
"""The field that says where units are, by quantity_type; for internal and unstated ones the facility."""


class Levels(msgspec.Struct):
    """Stock by SKU as the bytes to keep, and the SKUs that were named twice."""

    by_sku: dict[str, bytes]
    repeated: list[str]


def read(body: Mapping[str, Any], reading: Reading) -> Levels:
    """Every readable row; of a SKU named twice the last row counts.

    A row becomes the JSON of a `StockLevel`; plain tuples, because this runs ten thousand times a request.
    """
    by_sku: dict[str, bytes] = {}
    repeated = []
    bad = reading.bad_entries
    for index, row in enumerate(body.get("inventory_updates") or ()):
        if bad and index in bad:
            continue
        sku = row["sku"]
        if type(sku) is not str or sku[:1].isspace() or sku[-1:].isspace():
            sku = text(sku)
        quantity = row.get("quantity_available")
        if type(quantity) is not int:
            quantity = whole(quantity)
        details = row.get("quantity_detail")
        if sku in by_sku:
            repeated.append(sku)
        by_sku[sku] = _encode((quantity, [_detail(item) for item in details] if details else ()))
    return Levels(by_sku, repeated)


def _detail(item: Mapping[str, Any]) -> tuple[str, str, int, int]:
    """A `StockDetail`: its place is the facility, the vendor or the purchase order, by type."""
    available = item.get("available_quantity")
    total = item.get("total_quantity")
    kind = item.get("quantity_type")
    place = item.get(_PLACE_OF.get(kind, "facility_name") if type(kind) is str else "facility_name")
    return (
        kind.strip() if type(kind) is str else "",
        place.strip() if type(place) is str and "\x00" not in place else text(place),
        available if type(available) is int else whole(available),
        total if type(total) is int else whole(total),
    )


def carry_out(wanted: Levels, asked: Asked, desk: Desk) -> Outcome:
    """Raises `DatabaseUnavailable` when the levels cannot be kept."""
    takers = [gateway for gateway in desk.gateways_of(asked.channel) if gateway.takes_stock]
    # In the order in which a push of products takes their counters, lest the two wait for each other.
    hearing = sorted(takers, key=lambda gateway: gateway.token)
    unknown: list[str] = []
    if hearing and wanted.by_sku:
        with desk.database.write(wait_s=asked.deadline.left_s()) as connection:
            for gateway in hearing:
                stock.accept(
                    connection,
                    asked.channel.name,
                    gateway.token,
                    wanted.by_sku,
                    now=desk.clock(),
                    restate_after_s=_restate_after_s(gateway, asked.channel),
                )
            if any(gateway.stock_needs_catalog for gateway in hearing):
                known = catalogue.known_skus(connection, asked.channel.name, wanted.by_sku)
                unknown = [sku for sku in wanted.by_sku if sku not in known]
            reserving.stated(connection, desk, asked.channel, wanted.by_sku)
        desk.wake_deliveries()
    message = "the SKU stands in the request more than once; its last row counts"
    repeated = dict.fromkeys(wanted.repeated)
    events = [Event("warning", "DUPLICATE_SKU", message, about("sku_number", sku)) for sku in repeated]
    return Outcome([*events, *_not_in_catalogue(unknown)])


def _restate_after_s(gateway: Gateway, channel: Channel) -> float | None:
    """How long after it was last sent an equal level is sent again; None: never (R13)."""
    if channel.restate == "changed" or not gateway.stock_can_move_at_vendor:
        return None
    return gateway.restate_every_s


def _not_in_catalogue(skus: Sequence[str]) -> list[Event]:
    """A new product's stock and its catalogue record race: the stock is kept and told with the product."""
    message = "the SKU is not in the catalogue yet; its stock is kept and told with its product"
    events = [Event("warning", "SKU_UNKNOWN", message, about("sku_number", sku)) for sku in skus[:KEPT]]
    if len(skus) > KEPT:
        message = f"{len(skus) - KEPT} further SKUs are not in the catalogue yet"
        events.append(Event("warning", "SKU_UNKNOWN", message))
    return events
